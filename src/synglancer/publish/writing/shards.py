"""Second pass: the rows of one shard, sorted, encoded and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.destinations import open_destination
from synglancer.publish.encoding import encode_groups, encode_single, find_groups
from synglancer.publish.plan import INDEXES, Plan, load_plan
from synglancer.publish.sharding import Sharding, build_shard, mix, seal, sort_with_order
from synglancer.publish.writing.spill import load_part
from synglancer.publish.writing.survey import load_request

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys

Task = tuple[str, int, int, int]
"""Index, number of the source, number of the level (0 where there are none), shard."""


def list_shards(plan: Plan) -> list[Task]:
    """List all shards."""
    return [
        (index, number, level, shard)
        for index in INDEXES
        for number, source in enumerate(plan.sources)
        for level, (_, sharding) in enumerate(source.list_files(index))
        for shard in range(sharding.shards)
    ]


def write_shard(work: str, mark: str, task: Task) -> dict[str, Any]:
    """Write one shard of an index.

    Returns
    -------
    dict
        ``file``, ``bytes``, ``rows``, ``keys`` and ``largest``: the most rows that a key has.
    """
    index, number, level, shard = task
    plan = load_plan(work, mark)
    request = load_request(work, mark)
    source = plan.sources[number]
    folder, sharding = source.list_files(index)[level]
    part = plan.offset(index)[number][level] + shard
    records = load_part(Path(work), index, part, plan)
    rows = len(records)
    largest = min(rows, 1)
    if index == "by_id":
        keys, records = _sort_single(records, sharding)
        single, sizes = encode_single(records, request["properties"])
        data: Any = single.data
    else:
        if index == "spatial":
            keys = source.levels[level].find_cells(records["point"], plan.lower, plan.extent)
            order = _order_cells(keys, records["id"])
            keys = keys[order]
        else:
            keys, order = sort_with_order(np.ascontiguousarray(records[index]))
        keys, starts, order = _order_groups(keys, order, sharding)
        records = _move(records, order)
        del order
        largest = int(np.diff(starts, append=rows).max()) if rows else 0
        encoded, lengths = encode_groups(records, starts, request["properties"])
        del records
        data, sizes = seal(encoded, lengths)
        del encoded
    pieces = build_shard(sharding, keys, sizes, data)
    name = f"{folder}/{sharding.name_file(shard)}"
    size = open_destination(request["destination"]).write(name, pieces)
    return {"file": name, "bytes": size, "rows": rows, "keys": len(keys), "largest": largest}


def _move(records: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    opaque = np.dtype((np.void, records.dtype.itemsize))
    return records.view(opaque)[order].view(records.dtype)


def _sort_single(records: NDArray[Any], sharding: Sharding) -> tuple[Keys, NDArray[Any]]:
    """Sort annotations by minishard and ID."""
    keys, order = sort_with_order(np.ascontiguousarray(records["id"]))
    if (keys[1:] == keys[:-1]).any():
        raise AssertionError("an annotation was to be written twice")
    by_minishard = np.argsort(sharding.find_minishards(keys).astype(np.uint32), kind="stable")
    return keys[by_minishard], _move(records, order[by_minishard])


def _order_cells(cells: Keys, ids: Keys) -> NDArray[np.int64]:
    """Order rows by cell, those of a cell at random: a viewer that draws a part draws a sample."""
    if not len(cells):
        return np.zeros(0, np.int64)
    bits = 63 - int(cells.max()).bit_length() - len(cells).bit_length()
    mixed = mix(mix(ids)) >> np.uint64(64 - bits)
    return sort_with_order((cells << np.uint64(bits)) | mixed)[1]


def _order_groups(
    keys: Keys, order: NDArray[np.int64], sharding: Sharding
) -> tuple[Keys, NDArray[np.int64], NDArray[np.int64]]:
    """Order groups of rows, which are sorted by key, by minishard and key.

    Returns
    -------
    keys, starts : ndarray, shape (groups,)
        The key of each group, and where it begins.
    order : ndarray of int64, shape (n,)
        Where each row was.
    """
    old = find_groups(keys)
    names = keys[old]
    moved = np.argsort(sharding.find_minishards(names), kind="stable")
    counts = np.diff(old, append=len(keys))[moved]
    starts = np.cumsum(counts) - counts
    place = np.arange(len(keys)) + np.repeat(old[moved] - starts, counts)
    return names[moved], starts, order[place]
