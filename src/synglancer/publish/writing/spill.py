"""First pass: partition the rows of a slab by shard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.encoding import RELATIONSHIPS, record_type, take_records
from synglancer.publish.plan import INDEXES, Plan, Source
from synglancer.publish.sharding import mix, sort_small
from synglancer.publish.staging import finished
from synglancer.publish.writing.survey import load_slab
from synglancer.publish.writing.work import build_damaged, load_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray


def spill(work: str, mark: str, number: int) -> dict[str, Any]:
    """Write the rows of a slab into one file for each index, sorted by shard.

    Returns
    -------
    dict
        ``rows``: number of rows for each source, by tag; ``parts``: number of rows for each part,
        by index.
    """
    folder = Path(work)
    plan = load_plan(work, mark)
    by_tag = load_slab(folder, number, plan.slabs[number], plan.dropped)
    parts = {}
    for index in INDEXES:
        counts, pieces = [], []
        for source in plan.sources:
            mine = by_tag.get(source.tag)
            if mine is not None and index in RELATIONSHIPS and not mine[index].all():
                mine = mine[mine[index] != 0]
            shards = sum(sharding.shards for _, sharding in source.list_files(index))
            if mine is None or shards == 1:
                counts.append(np.array([0 if mine is None else len(mine)] + [0] * (shards - 1)))
                order = None
            else:
                places = _find_parts(index, mine, source, plan)
                counts.append(np.bincount(places, minlength=shards))
                order = sort_small(places, shards)
            if mine is not None:
                pieces.append(take_records(mine, index, order))
        parts[index] = np.concatenate(counts).tolist()
        with (
            finished(_name_file(folder, index, number)) as path,
            path.open("wb", buffering=0) as file,
        ):
            for piece in pieces:
                piece.tofile(file)
    return {"rows": {tag: len(mine) for tag, mine in by_tag.items()}, "parts": parts}


def _find_parts(index: str, rows: NDArray[Any], source: Source, plan: Plan) -> NDArray[np.int64]:
    """Return the part of an index, within the source, to which each row belongs."""
    if index != "spatial":
        keys = rows["id" if index == "by_id" else index]
        return source.shardings[index].find_shards(keys)
    depths = find_levels(rows["id"], [level.until for level in source.levels])
    shards = np.array([level.sharding.shards for level in source.levels], np.int64)
    parts = (np.cumsum(shards) - shards)[depths]
    for depth, level in enumerate(source.levels):
        if shards[depth] > 1:
            inside = np.flatnonzero(depths == depth)
            cells = level.find_cells(rows["point"][inside], plan.lower, plan.extent)
            parts[inside] += level.sharding.find_shards(cells)
    return parts


def find_levels(ids: NDArray[np.uint64], until: list[float]) -> NDArray[np.int64]:
    """Return the level of each row, which depends only on its ID."""
    share = mix(ids).astype(np.float64) / 2.0**64
    return np.minimum(np.searchsorted(np.array(until), share, side="right"), len(until) - 1)


def _name_file(folder: Path, index: str, slab: int) -> Path:
    return folder / f"{index}-{slab:05d}.spill"


def save_spans(work: Path, spilled: list[dict[str, Any]]) -> dict[str, NDArray[np.int64]]:
    """Save the beginning and end of each part of an index in the file of each slab.

    Returns
    -------
    dict of ndarray, shape (parts,)
        Number of rows of each part, by index.
    """
    rows = {}
    for index in INDEXES:
        counts = np.array([outcome["parts"][index] for outcome in spilled], np.int64)
        ends = np.concatenate([np.zeros((len(counts), 1), np.int64), counts.cumsum(axis=1)], axis=1)
        np.save(work / f"{index}.npy", np.ascontiguousarray(ends.T))
        rows[index] = counts.sum(axis=0)
    return rows


def load_part(work: Path, index: str, part: int) -> NDArray[Any]:
    """Load the rows of one part of an index from the files of all slabs."""
    kind = record_type(index)
    firsts, ends = np.load(work / f"{index}.npy", mmap_mode="r")[part : part + 2].tolist()
    records = np.empty(sum(ends) - sum(firsts), kind)
    place = 0
    for slab, (first, end) in enumerate(zip(firsts, ends, strict=True)):
        if end > first:
            path = _name_file(work, index, slab)
            try:
                with path.open("rb", buffering=0) as file:
                    file.seek(first * kind.itemsize)
                    target = records[place : place + end - first].view(np.uint8)
                    whole = file.readinto(target.data) == len(target)
            except FileNotFoundError as error:
                raise build_damaged(path, work) from error
            if not whole:
                raise build_damaged(path, work)
            place += end - first
    return records
