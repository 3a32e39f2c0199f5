"""First look at the inputs: rows are checked and kept as slabs, samples and repeats are noted."""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.encoding import RELATIONSHIPS, ROW
from synglancer.publish.inputs import InputFile, match_columns, open_parquet, translated
from synglancer.publish.rows import RowReader, drop_repeated
from synglancer.publish.sharding import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 1 << 17
_MOST_HASH = 2**64 - 1


@lru_cache(maxsize=4)
def load_request(work: str, _mark: str) -> dict[str, Any]:
    """Load what was asked from a folder of work, once in a process."""
    request: dict[str, Any] = json.loads((Path(work) / "request.json").read_bytes())
    return request


def make_units(files: list[InputFile], tag: str, slab_rows: int) -> tuple[list[Any], int]:
    """Divide Parquet files into parts of about one slab each.

    Parameters
    ----------
    files
        All of them Parquet.
    tag
        The column of the tag.
    slab_rows
        Rows of a slab.

    Returns
    -------
    units : list
        Each a list of parts: ``file`` (its number), ``groups`` (row groups), ``row`` (the first,
        from 1).
    rows : int
        Number of all rows.
    """
    units: list[list[dict[str, Any]]] = []
    filled, total = slab_rows, 0
    for number, file in enumerate(files):
        with translated(file.name):
            parquet = open_parquet(file.path)
            match_columns(parquet.schema_arrow.names, tag, file.name)
            metadata = parquet.metadata
            sizes = [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]
            parquet.close()
        row = 1
        for group, size in enumerate(sizes):
            if not units or filled + size > slab_rows:
                units.append([])
                filled = 0
            parts = units[-1]
            if parts and parts[-1]["file"] == number:
                parts[-1]["groups"].append(group)
            else:
                parts.append({"file": number, "groups": [group], "row": row})
            filled += size
            row += size
            total += size
    return units, total


def survey(work: str, mark: str, unit: int) -> dict[str, Any]:
    """Read one part of the inputs, and write its slabs.

    Returns
    -------
    dict
        ``slabs`` and ``counts``: what was left out, by reason.
    """
    request = load_request(work, mark)
    return _Survey(Path(work), request, unit).run()


class _Survey:
    def __init__(self, work: Path, request: dict[str, Any], unit: int) -> None:
        self._work = work
        self._request = request
        self._unit = unit
        self._tags: dict[str, int] = {}
        self._counts: Counter[str] = Counter()
        self._slabs: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        most = self._request["slab_rows"]
        waiting: list[NDArray[Any]] = []
        for part in self._request["units"][self._unit]:
            for rows in self._read(part):
                if waiting and sum(map(len, waiting)) + len(rows) > most:
                    self._write(np.concatenate(waiting))
                    waiting = []
                waiting.append(rows)
        if waiting:
            self._write(np.concatenate(waiting))
        return {"slabs": self._slabs, "counts": dict(self._counts)}

    def _read(self, part: dict[str, Any]) -> Any:
        import pyarrow as pa

        given = self._request["files"][part["file"]]
        tag = self._request["tag_column"]
        with translated(given["name"]):
            schema = open_parquet(given["path"]).schema_arrow
            text = pa.types.is_string(schema.field(tag).type)
            parquet = open_parquet(
                given["path"], read_dictionary=[tag] if text else None, pre_buffer=False
            )
            columns = match_columns(schema.names, tag, given["name"])
            reader = RowReader(
                given["name"], columns, self._request["resolution"], self._tags, self._counts
            )
            row = part["row"]
            for batch in parquet.iter_batches(
                min(_BATCH, self._request["slab_rows"]), part["groups"], columns.names,
                use_threads=False,
            ):  # fmt: skip
                self._counts["read"] += batch.num_rows
                yield reader.read(batch, row)
                row += batch.num_rows
            parquet.close()

    def _write(self, rows: NDArray[Any]) -> None:
        before = len(rows)
        rows, mixed, confidence = drop_repeated(rows)
        self._counts["repeating a synapse"] += before - len(rows)
        if not len(rows):
            return
        name = f"slab-{self._unit:05d}-{len(self._slabs):03d}"
        path = self._work / name
        rows.tofile(path.with_suffix(".rows"))
        mixed.tofile(path.with_suffix(".mixed"))
        confidence.astype("<f4").tofile(path.with_suffix(".confidence"))
        share = self._request["share"]
        most = np.uint64(min(int(share * 2.0**64), _MOST_HASH))
        picked = rows[mix(rows["id"]) <= most]
        keys: dict[str, Any] = {}
        for side in RELATIONSHIPS:
            cells = rows[side]
            keys[side] = np.unique(cells[(mix(cells) <= most) & (cells != 0)])
        np.savez(
            path.with_suffix(".npz"),
            points=picked["point"], ids=picked["id"], tags=picked["tag"], **keys,
        )  # fmt: skip
        tags = list(self._tags)
        counted = np.bincount(rows["tag"], minlength=len(tags)).tolist()
        self._slabs.append(
            {
                "file": name,
                "rows": len(rows),
                "tags": tags,
                "tag_rows": {
                    tag: number for tag, number in zip(tags, counted, strict=True) if number
                },
                "lower": rows["point"].min(axis=0).tolist(),
                "upper": rows["point"].max(axis=0).tolist(),
                "share": share,
            }
        )


def find_repeated(work: str, mark: str, part: int) -> dict[str, Any]:
    """Find synapses that several slabs have, among those whose mixed ID lies in one range.

    Of the rows of a synapse the most confident one is kept, of equal ones that of the first slab.
    """
    request = load_request(work, mark)
    folder = Path(work)
    slabs = json.loads((folder / "slabs.json").read_bytes())
    parts = request["repeat_parts"]
    ends = [(part * 2**64) // parts, ((part + 1) * 2**64) // parts]
    found, spans = [], []
    for slab in slabs:
        stored: Any = np.memmap(folder / f"{slab['file']}.mixed", "<u8", mode="r")
        low = int(np.searchsorted(stored, np.uint64(ends[0])))
        high = len(stored)
        if ends[1] < 2**64:
            high = int(np.searchsorted(stored, np.uint64(ends[1])))
        found.append(np.array(stored[low:high]))
        spans.append((low, high))
    every = np.sort(np.concatenate(found))
    repeated = np.unique(every[1:][every[1:] == every[:-1]])
    if not len(repeated):
        return {"dropped": 0}
    rows = []
    for number, (slab, mixed, (low, high)) in enumerate(zip(slabs, found, spans, strict=True)):
        mine = np.isin(mixed, repeated)
        stored = np.memmap(folder / f"{slab['file']}.confidence", "<f4", mode="r")
        confidence = np.asarray(stored[low:high])[mine]
        rows.append((mixed[mine], -confidence, np.full(len(confidence), number)))
    mixed, worse, slab_numbers = (np.concatenate(column) for column in zip(*rows, strict=True))
    order = np.lexsort((slab_numbers, worse, mixed))
    further = np.concatenate(([False], mixed[order][1:] == mixed[order][:-1]))
    drop = order[further]
    owners = slab_numbers[drop]
    lists: dict[str, Any] = {
        str(number): np.sort(mixed[drop[owners == number]]) for number in np.unique(owners)
    }
    np.savez(folder / f"dropped-{part:05d}.npz", **lists)
    return {"dropped": len(drop)}


def load_slab(work: Path, number: int, slab: dict[str, Any], dropped: list[int]) -> NDArray[Any]:
    """Load the rows of a slab, without those that other slabs have instead."""
    rows = np.fromfile(work / f"{slab['file']}.rows", ROW)
    lists = []
    for part in dropped:
        with np.load(work / f"dropped-{part:05d}.npz") as stored:
            if str(number) in stored:
                lists.append(stored[str(number)])
    return rows[~np.isin(mix(rows["id"]), np.concatenate(lists))] if lists else rows
