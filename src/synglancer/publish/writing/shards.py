"""Second pass: sort, encode and write the rows of one shard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.destinations import open_destination
from synglancer.publish.encoding import (
    RELATIONSHIPS,
    encode_groups,
    encode_single,
    find_groups,
    record_type,
)
from synglancer.publish.plan import INDEXES, Plan
from synglancer.publish.sharding import (
    Sharding,
    build_shard,
    mix,
    pack_chunks,
    sort_small,
    sort_with_order,
)
from synglancer.publish.writing.counts import keep_counts
from synglancer.publish.writing.spill import load_part
from synglancer.publish.writing.work import load_plan, load_request

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys

Task = tuple[str, int, int, int]
"""Index, number of the source, number of the level (0 if it has no levels), shard."""


def list_shards(plan: Plan, rows: dict[str, NDArray[np.int64]]) -> list[Task]:
    """List all shards, the largest first, so that no worker is left with a large one at the end.

    Parameters
    ----------
    plan
        How the rows are spread over files.
    rows
        Number of rows of each part, by index.
    """
    sizes = {
        (index, number, level, shard): rows[index][first + shard] * record_type(index).itemsize
        for index in INDEXES
        for number, firsts in enumerate(plan.offset(index)[:-1])
        for level, first in enumerate(firsts)
        for shard in range(plan.sources[number].list_files(index)[level][1].shards)
    }
    return sorted(sizes, key=lambda task: -int(sizes[task]))


def write_shard(work: str, mark: str, task: Task) -> dict[str, Any]:
    """Write one shard of an index.

    Returns
    -------
    dict
        ``bytes``, and ``largest``, the largest number of rows of a key.
    """
    index, number, level, shard = task
    plan = load_plan(work, mark)
    request = load_request(work, mark)
    source = plan.sources[number]
    folder, sharding = source.list_files(index)[level]
    part = plan.offset(index)[number][level] + shard
    records = load_part(Path(work), index, part)
    rows = len(records)
    largest = min(rows, 1)
    if index == "by_id":
        keys, order = _order_single(records["id"], sharding)
        encoded, lengths = encode_single(records, order, request["properties"])
    else:
        if index == "spatial":
            keys = source.levels[level].find_cells(records["point"], plan.lower, plan.extent)
            order = _order_cells(keys, records["id"])
            keys = keys[order]
        else:
            keys, order = sort_with_order(np.ascontiguousarray(records[index]))
        keys, starts, order = _order_groups(keys, order, sharding)
        counts = np.diff(starts, append=rows)
        largest = int(counts.max()) if rows else 0
        if request["counts"] and index in RELATIONSHIPS:
            keep_counts(Path(work), index, number, shard, keys, counts)
        encoded, lengths = encode_groups(records, order, starts, request["properties"])
    del records, order
    data, sizes = pack_chunks(sharding, encoded, lengths)
    del encoded
    pieces = build_shard(sharding, keys, sizes, data)
    destination = open_destination(request["destination"], request["timeout"])
    size = destination.write(f"{folder}/{sharding.name_file(shard)}", pieces)
    return {"bytes": size, "largest": largest}


def _order_single(ids: Keys, sharding: Sharding) -> tuple[Keys, NDArray[np.int64]]:
    """Order annotations by minishard and ID."""
    keys, order = sort_with_order(np.ascontiguousarray(ids))
    if (keys[1:] == keys[:-1]).any():
        raise AssertionError("an annotation was to be written twice")
    by_minishard = sort_small(sharding.find_minishards(keys), sharding.minishards)
    return keys[by_minishard], order[by_minishard]


def _order_cells(cells: Keys, ids: Keys) -> NDArray[np.int64]:
    """Order rows by cell, and randomly within a cell, so that viewers can draw a sample."""
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
        The key of each group, and its first row.
    order : ndarray of int64, shape (n,)
        The earlier position of each row.
    """
    old = find_groups(keys)
    names = keys[old]
    moved = sort_small(sharding.find_minishards(names), sharding.minishards)
    counts = np.diff(old, append=len(keys))[moved]
    starts = np.cumsum(counts) - counts
    place = np.arange(len(keys)) + np.repeat(old[moved] - starts, counts)
    return names[moved], starts, order[place]
