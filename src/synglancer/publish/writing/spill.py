"""First pass: the rows of a slab, partitioned by the shards that they go to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.encoding import RELATIONSHIPS, ROW, record_type
from synglancer.publish.plan import INDEXES, Plan, load_plan
from synglancer.publish.sharding import mix
from synglancer.publish.writing.survey import load_slab

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW, _VERY_FEW = 2**16, 2**8


def spill(work: str, mark: str, number: int) -> dict[str, Any]:
    """Write the rows of a slab into one file for each index, sorted by shard.

    Returns
    -------
    dict
        ``rows``: how many rows each source gets, by tag.
    """
    folder = Path(work)
    plan = load_plan(work, mark)
    slab = plan.slabs[number]
    rows = load_slab(folder, number, slab, plan.dropped)
    names = [source.tag for source in plan.sources]
    codes = np.array([names.index(tag) for tag in slab["tags"]], np.int64)
    tags = codes[rows["tag"]]
    for index in INDEXES:
        kept: Any = slice(None)
        if index in RELATIONSHIPS:
            kept = rows[index] != 0
            kept = slice(None) if kept.all() else np.flatnonzero(kept)
        parts = _find_parts(index, rows[kept], tags[kept], plan)
        records = rows.view(_beginning(record_type(index).itemsize))["beginning"][kept]
        _write(folder / f"{index}-{number:05d}", records, parts, plan.offset(index)[-1][0])
    counted = np.bincount(tags, minlength=len(names)).tolist()
    return {"rows": dict(zip(names, counted, strict=True))}


def _beginning(size: int) -> np.dtype[Any]:
    """Return the type of a row whose beginning alone matters; the rest is opaque bytes."""
    return np.dtype(
        {"names": ["beginning"], "formats": [(np.void, size)], "offsets": [0],
         "itemsize": ROW.itemsize}
    )  # fmt: skip


def _find_parts(
    index: str, rows: NDArray[Any], tags: NDArray[np.int64], plan: Plan
) -> NDArray[np.int64]:
    """Return the number of the part of an index that each row belongs to."""
    offsets = plan.offset(index)
    parts = np.zeros(len(rows), np.int64)
    for number, source in enumerate(plan.sources):
        mine = np.flatnonzero(tags == number) if len(plan.sources) > 1 else np.arange(len(rows))
        if index != "spatial":
            keys = rows["id" if index == "by_id" else index][mine]
            parts[mine] = offsets[number][0] + source.shardings[index].find_shards(keys)
            continue
        level_of = find_levels(rows["id"][mine], [level.until for level in source.levels])
        for depth, level in enumerate(source.levels):
            inside = mine[level_of == depth]
            cells = level.find_cells(rows["point"][inside], plan.lower, plan.extent)
            parts[inside] = offsets[number][depth] + level.sharding.find_shards(cells)
    return parts


def find_levels(ids: NDArray[np.uint64], until: list[float]) -> NDArray[np.int64]:
    """Return the level of each row, which its ID alone decides."""
    share = mix(ids).astype(np.float64) / 2.0**64
    return np.minimum(np.searchsorted(np.array(until), share, side="right"), len(until) - 1)


def _write(path: Path, records: NDArray[Any], parts: NDArray[np.int64], number: int) -> None:
    # The smaller the numbers, the fewer passes their sorting takes.
    small = np.uint8 if number <= _VERY_FEW else np.uint16 if number <= _FEW else np.int64
    order = np.argsort(parts.astype(small), kind="stable")
    ends = np.concatenate(([0], np.cumsum(np.bincount(parts, minlength=number))))
    for suffix, content in ((".spill", records[order]), (".ends", ends)):
        temporary = path.with_suffix(f"{suffix}.{os.getpid()}.tmp")
        content.tofile(temporary)
        temporary.replace(path.with_suffix(suffix))


def load_part(work: Path, index: str, part: int, plan: Plan) -> NDArray[Any]:
    """Load the rows of one part of an index from the files of all slabs."""
    kind = record_type(index)
    spans = []
    for number in range(len(plan.slabs)):
        with (work / f"{index}-{number:05d}.ends").open("rb") as file:
            file.seek(8 * part)
            first, end = np.frombuffer(file.read(16), "<i8").tolist()
        spans.append((number, first, end))
    records = np.empty(sum(end - first for _, first, end in spans), kind)
    place = 0
    for number, first, end in spans:
        if end > first:
            with (work / f"{index}-{number:05d}.spill").open("rb", buffering=0) as file:
                file.seek(first * kind.itemsize)
                target = records[place : place + end - first].view(np.uint8)
                if file.readinto(target.data) != len(target):
                    raise OSError(f"{file.name} is shorter than it was")
            place += end - first
    return records
