"""Survey the inputs: check rows, write them as slabs, and collect samples and repeated rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.encoding import RELATIONSHIPS, record_type, take_records
from synglancer.publish.inputs import InputFile, match_columns, open_parquet, translated
from synglancer.publish.rows import RowReader, drop_repeated
from synglancer.publish.sharding import mix, sort_small
from synglancer.publish.writing.work import load_request

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BATCH = 1 << 17
_SLAB_ROWS = 1 << 18
"""Largest number of rows in a slab: arrays of this length fit into processor cache and heap."""

_UNIT_ROWS = 1 << 20
_MOST_HASH = 2**64 - 1


def make_units(files: list[InputFile], tag: str) -> tuple[list[Any], int]:
    """Divide Parquet files into parts of about a million rows.

    Parameters
    ----------
    files
        The Parquet files.
    tag
        The column of the tag.

    Returns
    -------
    units : list
        Lists of parts: ``file`` (its number), ``groups`` (row groups) and ``row`` (number of the
        first row, from 1).
    rows : int
        Total number of rows.
    """
    units: list[list[dict[str, Any]]] = []
    filled, total = _UNIT_ROWS, 0
    for number, file in enumerate(files):
        with translated(file.name):
            parquet = open_parquet(file.path)
            match_columns(parquet.schema_arrow.names, tag, file.name)
            metadata = parquet.metadata
            sizes = [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]
            parquet.close()
        row = 1
        for group, size in enumerate(sizes):
            if not units or filled + size > _UNIT_ROWS:
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
        ``slabs``, and ``counts`` of the rows left out, by reason.
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
        most = min(self._request["slab_rows"], _SLAB_ROWS)
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
        rows, mixed, confidence = drop_repeated(rows, mix(rows["id"]))
        self._counts["repeating a synapse"] += before - len(rows)
        if not len(rows):
            return
        name = f"slab-{self._unit:05d}-{len(self._slabs):03d}"
        path = self._work / name
        mixed.tofile(path.with_suffix(".mixed"))
        confidence.astype("<f4").tofile(path.with_suffix(".confidence"))
        counted = np.bincount(rows["tag"], minlength=len(self._tags)).tolist()
        records = take_records(rows, "by_id", sort_small(rows["tag"], len(self._tags)))
        records.tofile(path.with_suffix(".rows"))
        tags = {tag: number for tag, number in zip(self._tags, counted, strict=True) if number}
        self._pick(path, records, tags)
        self._slabs.append(
            {
                "file": name,
                "tags": tags,
                "lower": records["point"].min(axis=0).tolist(),
                "upper": records["point"].max(axis=0).tolist(),
                "share": self._request["share"],
            }
        )

    def _pick(self, path: Path, records: NDArray[Any], tags: dict[str, int]) -> None:
        """Keep a sample of a slab: some rows by their IDs, and all rows of some cells."""
        most = np.uint64(min(int(self._request["share"] * 2.0**64), _MOST_HASH))
        sample: dict[str, Any] = {}
        end = 0
        for number, rows in enumerate(tags.values()):
            mine = records[end : end + rows]
            picked = mine[mix(mine["id"]) <= most]
            sample[f"points-{number}"], sample[f"ids-{number}"] = picked["point"], picked["id"]
            for side in RELATIONSHIPS:
                cells = np.ascontiguousarray(mine[side])
                sample[f"{side}-{number}"] = cells[(mix(cells) <= most) & (cells != 0)]
            end += rows
        np.savez(path.with_suffix(".npz"), **sample)


def find_repeated(work: str, mark: str, part: int) -> dict[str, Any]:
    """Find synapses in several slabs, among synapses with mixed IDs in one range.

    The most confident row of each synapse is kept, or the first slab's if equally confident.
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


def load_slab(
    work: Path, number: int, slab: dict[str, Any], dropped: list[int]
) -> dict[str, NDArray[Any]]:
    """Load the rows of a slab by tag, without repeated rows that are kept in other slabs."""
    records = np.fromfile(work / f"{slab['file']}.rows", record_type("by_id"))
    ends = np.cumsum([*slab["tags"].values()])
    lists = []
    for part in dropped:
        with np.load(work / f"dropped-{part:05d}.npz") as stored:
            if str(number) in stored:
                lists.append(stored[str(number)])
    by_tag = dict(zip(slab["tags"], np.split(records, ends[:-1]), strict=True))
    if not lists:
        return by_tag
    others = np.concatenate(lists)
    return {tag: mine[~np.isin(mix(mine["id"]), others)] for tag, mine in by_tag.items()}
