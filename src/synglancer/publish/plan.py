"""Plan a publication: the parts to read, and how rows are divided among files.

The plan is stored as JSON in the work folder, so that processes on all machines follow the same
plan, and an interrupted run can be resumed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.destinations import name_folder
from synglancer.publish.encoding import RELATIONSHIPS
from synglancer.publish.sharding import Sharding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys

INDEXES = ("by_id", *RELATIONSHIPS, "spatial")
PLAN = "plan.json"
"""Name of the file with the plan, in the work folder."""

_LIMIT = 5_000  # approximate largest number of annotations in a cell of a level
_UNIT = 1024  # nm; the smallest cells' sides are multiples of it, so all sides are whole numbers
_MOST_BITS = 10
_SHARD_BYTES = 64_000_000
_ROW_BYTES = {"by_id": 44, "pre": 28, "post": 28, "spatial": 28}
_LARGE = 300  # number of rows of a cell (about 8 kB) above which compression is worth its time
_KEYS_A_MINISHARD = 1000
_CELLS_A_MINISHARD = 32
_UNEVEN_SHARDS, _UNEVEN_MINISHARDS = 1.5, 8.0


@dataclass(frozen=True)
class Level:
    """A level of the spatial index.

    Attributes
    ----------
    until
        Share of the rows that are in this level or a coarser one.
    bits
        Base-2 logarithm of the number of cells along each axis.
    sharding
        How the cells are spread over files.
    """

    until: float
    bits: tuple[int, int, int]
    sharding: Sharding

    def find_cells(self, points: NDArray[np.float32], lower: Any, extent: Any) -> Keys:
        """Return the key of the cell of each point: its compressed Morton code."""
        code = np.zeros(len(points), np.uint64)
        for axis, spread in enumerate(_spread_bits(self.bits)):
            side = extent[axis] / (1 << self.bits[axis])
            cells = (points[:, axis].astype(np.float64) - lower[axis]) / side
            code |= spread[cells.astype(np.int64)]
        return code


@lru_cache(maxsize=64)
def _spread_bits(bits: tuple[int, int, int]) -> list[Keys]:
    """Return the part of the Morton code that each cell number along an axis adds."""
    spread = [np.zeros(1 << number, np.uint64) for number in bits]
    place = 0
    for bit in range(max(bits)):
        for axis in range(3):
            if bit < bits[axis]:
                one = np.arange(1 << bits[axis], dtype=np.uint64) >> np.uint64(bit) & np.uint64(1)
                spread[axis] |= one << np.uint64(place)
                place += 1
    return spread


@dataclass(frozen=True)
class Source:
    """How the rows of one tag are spread over files.

    Attributes
    ----------
    tag, folder
        The tag, and the folder of its source.
    shardings
        The shardings of ``by_id`` and each relationship.
    levels
        The levels of the spatial index, from coarse to fine.
    """

    tag: str
    folder: str
    shardings: dict[str, Sharding]
    levels: list[Level]

    def list_files(self, index: str) -> list[tuple[str, Sharding]]:
        """List the folders of an index with their shardings."""
        if index != "spatial":
            return [(f"{self.folder}/{index}", self.shardings[index])]
        return [
            (f"{self.folder}/spatial{number}", level.sharding)
            for number, level in enumerate(self.levels)
        ]


@dataclass(frozen=True)
class Plan:
    """How all rows are spread over files.

    Attributes
    ----------
    lower, extent
        Lower bound and size of the volume that holds the points, along each axis, in nm.
    sources
        One source for each tag.
    slabs
        Files of rows: ``file``, and ``tags`` with the number of consecutive rows of each tag.
    dropped
        Non-empty parts of the list of repeated rows.
    """

    lower: list[int]
    extent: list[int]
    sources: list[Source]
    slabs: list[dict[str, Any]]
    dropped: list[int]

    def offset(self, index: str) -> list[list[int]]:
        """Return the first part of each source and level of an index, and the end of the parts."""
        offsets, total = [], 0
        for source in self.sources:
            firsts = []
            for _, sharding in source.list_files(index):
                firsts.append(total)
                total += sharding.shards
            offsets.append(firsts)
        return [*offsets, [total]]

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        sources = [
            {
                "tag": source.tag,
                "folder": source.folder,
                "shardings": {name: one.to_json() for name, one in source.shardings.items()},
                "levels": [
                    {"until": one.until, "bits": one.bits, "sharding": one.sharding.to_json()}
                    for one in source.levels
                ],
            }
            for source in self.sources
        ]
        return {
            "lower": self.lower, "extent": self.extent, "sources": sources,
            "slabs": self.slabs, "dropped": self.dropped,
        }  # fmt: skip

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Plan:
        """Read a plan."""
        sources = [
            Source(
                one["tag"],
                one["folder"],
                {name: Sharding.from_json(item) for name, item in one["shardings"].items()},
                [
                    Level(item["until"], tuple(item["bits"]), Sharding.from_json(item["sharding"]))
                    for item in one["levels"]
                ],
            )
            for one in text["sources"]
        ]
        return cls(text["lower"], text["extent"], sources, text["slabs"], text["dropped"])


def make_plan(work: Path, slabs: list[dict[str, Any]], dropped: list[int], most: int) -> Plan:
    """Plan how rows are spread over files.

    Parameters
    ----------
    work
        The folder with the samples of the slabs.
    slabs
        The survey's results for each slab.
    dropped
        Non-empty parts of the list of repeated rows.
    most
        Number of rows that a process can hold while it encodes a shard.
    """
    lower = np.floor(np.min([slab["lower"] for slab in slabs], axis=0)).astype(np.int64)
    upper = np.floor(np.max([slab["upper"] for slab in slabs], axis=0)).astype(np.int64)
    # Points must be below the upper bound in float32, too, whose steps far from 0 exceed 1 nm.
    extent = ((upper - lower + 1) // _UNIT + 1) * _UNIT
    rows: Counter[str] = Counter()
    for slab in slabs:
        rows.update(slab["tags"])
    sample = _load_sample(work, slabs)
    sources = []
    for tag in sorted(rows):
        shardings = {"by_id": _plan_ids(sample["ids", tag], rows[tag], most)}
        for name in RELATIONSHIPS:
            cells, share = sample[name, tag], slabs[0]["share"]
            shardings[name] = _plan_cells(cells, share, rows[tag], name, most)
        levels = _plan_levels(sample["points", tag], rows[tag], lower, extent, most)
        sources.append(Source(tag, name_folder(tag), shardings, levels))
    kept = [{name: slab[name] for name in ("file", "tags")} for slab in slabs]
    return Plan(lower.tolist(), extent.tolist(), sources, kept, dropped)


def _load_sample(work: Path, slabs: list[dict[str, Any]]) -> dict[tuple[str, str], NDArray[Any]]:
    """Load the rows that were sampled: their points, IDs and cells on either side, by tag."""
    parts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for slab in slabs:
        with np.load(work / f"{slab['file']}.npz") as stored:
            for number, tag in enumerate(slab["tags"]):
                for name in ("points", "ids", *RELATIONSHIPS):
                    parts[name, tag].append(stored[f"{name}-{number}"])
    return {place: np.concatenate(arrays) for place, arrays in parts.items()}


def _count_bits(number: float) -> int:
    """Return the base-2 logarithm of a number, rounded up."""
    return max(0, int(np.ceil(np.log2(number)))) if number > 1 else 0


def _most_rows(index: str, most: int) -> float:
    """Return the largest number of rows to plan per shard, as hashing spreads them unevenly."""
    return 0.9 * min(_SHARD_BYTES / _ROW_BYTES[index], most)


def _plan_cells(sample: Keys, share: float, rows: int, side: str, most: int) -> Sharding:
    """Plan the sharding of the cells on one side, compressed if most rows are in large cells.

    All rows of a share of the cells are sampled.
    """
    counts = np.unique(sample, return_counts=True)[1]
    cells = len(counts) / share
    shards = _count_bits(rows / _most_rows(side, most))
    minishards = _count_bits(min(cells, rows) / (1 << shards) / _KEYS_A_MINISHARD)
    large = 2 * counts[counts >= _LARGE].sum() > counts.sum()
    return Sharding("murmurhash3_x86_128", minishards, shards, "gzip" if large else "raw")


def _plan_ids(ids: Keys, rows: int, most: int) -> Sharding:
    """Plan the sharding of IDs: keep near IDs, as of one cell's synapses, together if even.

    Otherwise IDs are spread by their lower bits, or hashed if the lower bits are uneven.
    """
    shards = _count_bits(rows / _most_rows("by_id", most))
    minishards = _count_bits(rows / (1 << shards) / _KEYS_A_MINISHARD)
    # Try one block of IDs per minishard first, then several smaller blocks.
    span = int(ids.max()) - int(ids.min()) + 1 if len(ids) else 1
    largest = _count_bits(span) - shards - minishards if shards + minishards else 0
    for shift in range(max(0, largest), -1, -1):
        sharding = Sharding("identity", minishards, shards, "raw", shift)
        if _is_even(sharding, ids):
            return sharding
    return Sharding("murmurhash3_x86_128", minishards, shards, "raw")


def _is_even(sharding: Sharding, ids: Keys) -> bool:
    """Whether a sample of IDs is spread evenly over shards and minishards."""
    for places, kinds, most_uneven in (
        (sharding.find_shards(ids), sharding.shards, _UNEVEN_SHARDS),
        (sharding.find_minishards(ids), sharding.minishards, _UNEVEN_MINISHARDS),
    ):
        expected = len(ids) / kinds
        noise = 5 * np.sqrt(expected)
        if len(ids) and np.bincount(places).max() > most_uneven * expected + noise:
            return False
    return True


def _plan_levels(
    points: NDArray[np.float32], rows: int, lower: Any, extent: Any, most: int
) -> list[Level]:
    """Plan levels until the fullest cell has about `_LIMIT` rows that no coarser level has."""
    levels: list[Level] = []
    bits = [0, 0, 0]
    weight = rows / max(len(points), 1)
    before = 0.0
    while True:
        grid = Level(1.0, (bits[0], bits[1], bits[2]), Sharding("identity", 0, 0, "gzip"))
        counts = np.unique(grid.find_cells(points, lower, extent), return_counts=True)[1]
        fullest = float(counts.max()) * weight * (1 - before) if len(counts) else 0.0
        sides = [extent[axis] / (1 << bits[axis]) for axis in range(3)]
        split = [
            axis
            for axis in range(3)
            if bits[axis] < _MOST_BITS
            and sides[axis] >= 2 * _UNIT
            and sides[axis] > max(sides) / np.sqrt(2)
        ]
        last = fullest <= _LIMIT or not split
        until = 1.0 if last else before + (1 - before) * _LIMIT / fullest
        share = until - before
        shards = _count_bits(rows * share / _most_rows("spatial", most))
        cells = min(len(counts), rows * share)
        minishards = _count_bits(cells / (1 << shards) / _CELLS_A_MINISHARD)
        sharding = Sharding("murmurhash3_x86_128", minishards, shards, "gzip")
        levels.append(Level(until, grid.bits, sharding))
        if last:
            return levels
        before = until
        for axis in split:
            bits[axis] += 1


def describe_levels(source: Source, plan: Plan, limits: Sequence[int]) -> list[dict[str, Any]]:
    """Return the description of the spatial index for the info file.

    Parameters
    ----------
    source, plan
        The source and the plan.
    limits
        The largest number of rows in a cell, for each level.
    """
    return [
        {
            "key": f"spatial{number}",
            "sharding": level.sharding.to_json(),
            "grid_shape": [1 << bits for bits in level.bits],
            "chunk_size": [
                _shorten(extent / (1 << bits))
                for extent, bits in zip(plan.extent, level.bits, strict=True)
            ],
            "limit": max(1, limit),
        }
        for number, (level, limit) in enumerate(zip(source.levels, limits, strict=True))
    ]


def _shorten(side: float) -> float:
    return int(side) if side == int(side) else side
