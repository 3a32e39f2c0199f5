"""Write Neuroglancer's precomputed format: scales, chunks, compressed segmentation.

The same content always gives the same bytes: compressed files hold no time.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cave_sandbox.sample.geometry import Floats, Ints

_BLOCK = 8
_LEVEL = 2  # higher levels would not make images smaller, since most of an image is noise

Triple = tuple[int, int, int]
Axes = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
Window = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Lattice:
    """The voxels of one scale of a volume; every triple is (x, y, z)."""

    resolution: Triple  # size of a voxel in nm
    offset: Triple  # the first voxel, counted from the position (0, 0, 0) nm
    shape: Triple  # number of voxels
    chunk: Triple  # size of a chunk in voxels

    @property
    def key(self) -> str:
        """The scale's name and folder."""
        return "_".join(str(size) for size in self.resolution)

    @cached_property
    def axes(self) -> Axes:
        """The centres of the voxels along x, y and z, in nm."""
        x, y, z = (
            ((np.arange(count) + first + 0.5) * size).astype(np.float32)
            for count, first, size in zip(self.shape, self.offset, self.resolution, strict=True)
        )
        return x, y, z

    def voxels(self, positions: Floats) -> Ints:
        """Find the voxels, counted from the first, that hold positions (n, 3) in nm."""
        found = np.floor(positions / np.array(self.resolution)).astype(np.int64)
        return found - np.array(self.offset)

    def around(self, centres: Floats, reach: Floats) -> Iterator[tuple[int, Window, Axes]]:
        """Yield the voxels within reach (n,) of positions (n, 3) in nm, if there are any.

        For each position, yield its row, the slices (z, y, x) of a field, and the offsets of the
        voxels' centres from the position along x, y and z, ready to be broadcast.
        """
        first = (centres - reach[:, None]) // self.resolution - self.offset
        last = (centres + reach[:, None]) // self.resolution - self.offset
        low, high = np.maximum(first, 0), np.minimum(last + 1, self.shape)
        for row in np.flatnonzero(np.all(low < high, axis=1)):
            bounds = zip(low[row].astype(int), high[row].astype(int), strict=True)
            parts = [slice(*bound) for bound in bounds]
            away = [
                axis[part] - np.float32(place)
                for axis, part, place in zip(self.axes, parts, centres[row], strict=True)
            ]
            x, y, z = away[0][None, None, :], away[1][None, :, None], away[2][:, None, None]
            yield int(row), (parts[2], parts[1], parts[0]), (x, y, z)

    def coarser(self, times: int) -> Lattice:
        """Return the lattice with voxels that are ``times`` larger along x and y.

        Along these axes, its first voxel and its shape must be multiples of ``times``.
        """
        x, y, z = self.resolution
        first = (self.offset[0] // times, self.offset[1] // times, self.offset[2])
        shape = (self.shape[0] // times, self.shape[1] // times, self.shape[2])
        return Lattice((x * times, y * times, z), first, shape, shape)

    def chunks(self) -> Iterator[tuple[str, Triple, Triple]]:
        """Yield name, lower and upper bound of each chunk, counted from the first voxel."""
        starts = [range(0, size, step) for size, step in zip(self.shape, self.chunk, strict=True)]
        for z, y, x in product(*reversed(starts)):
            low = (x, y, z)
            high = triple(np.minimum(np.add(low, self.chunk), self.shape))
            bounds = zip(np.add(low, self.offset), np.add(high, self.offset), strict=True)
            yield "_".join(f"{first}-{last}" for first, last in bounds), low, high

    def describe(self, encoding: str) -> dict[str, Any]:
        """Return the scale's record in an ``info`` file."""
        record: dict[str, Any] = {
            "key": self.key,
            "resolution": list(self.resolution),
            "voxel_offset": list(self.offset),
            "size": list(self.shape),
            "chunk_sizes": [list(self.chunk)],
            "encoding": encoding,
        }
        if encoding == "compressed_segmentation":
            record["compressed_segmentation_block_size"] = [_BLOCK] * 3
        return record


def triple(values: Iterable[float]) -> Triple:
    """Return three numbers as integers."""
    x, y, z = (int(value) for value in values)
    return x, y, z


def extent_record(lattice: Lattice, resolution: tuple[float, float, float]) -> dict[str, Any]:
    """Describe a hidden first scale, which gives the extent of the volume and is never read.

    The viewer takes the bounds and the voxel of a volume from its first scale, but the sample's
    finest scale covers only the surroundings of a soma.
    """
    sizes, large = triple(resolution), np.array(lattice.resolution)
    lower, shape = (triple(large * at // sizes) for at in (lattice.offset, lattice.shape))
    described = Lattice(sizes, lower, shape, (64, 64, 64)).describe("raw")
    return {**described, "key": "extent", "hidden": True}


def write_json(path: Path, content: Any) -> None:
    """Write JSON, creating the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write_gzip(path: Path, content: bytes) -> None:
    """Write ``path.gz``, which the sandbox serves for ``path``."""
    path.with_name(f"{path.name}.gz").write_bytes(pack(content))


def pack(content: bytes) -> bytes:
    """Compress bytes with gzip, without a time in the header."""
    return gzip.compress(content, compresslevel=_LEVEL, mtime=0)


def write_image(folder: Path, lattice: Lattice, image: NDArray[np.uint8]) -> None:
    """Write a scale of an image, shape (z, y, x), as raw chunks."""
    place = folder / lattice.key
    place.mkdir(parents=True)
    for name, low, high in lattice.chunks():
        part = image[low[2] : high[2], low[1] : high[1], low[0] : high[0]]
        write_gzip(place / name, np.ascontiguousarray(part).tobytes())


def write_segmentation(
    folder: Path,
    lattice: Lattice,
    voxels: Ints,
    labels: NDArray[np.uint8],
    segments: NDArray[np.uint64],
) -> None:
    """Write a scale of a segmentation in compressed_segmentation chunks.

    Each voxel (n, 3) that is not empty is given once, counted from the first voxel. Its label (n,)
    is an index into the segments' IDs, which begin with 0.
    """
    place = folder / lattice.key
    place.mkdir(parents=True)
    counts = -(-np.array(lattice.shape) // lattice.chunk)
    number = np.ravel_multi_index((voxels // lattice.chunk).T, counts, order="F")
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(counts.prod() + 1))
    empty: dict[Triple, bytes] = {}
    for index, (name, low, high) in enumerate(lattice.chunks()):
        rows = order[starts[index] : starts[index + 1]]
        shape = triple(np.subtract(high, low))
        packed = None if len(rows) else empty.get(shape)
        if packed is None:
            packed = pack(_encode(voxels[rows] - np.array(low), labels[rows], segments, shape))
        if not len(rows):
            empty[shape] = packed
        (place / f"{name}.gz").write_bytes(packed)


def _encode(
    voxels: Ints, labels: NDArray[np.uint8], segments: NDArray[np.uint64], shape: Triple
) -> bytes:
    """Encode a chunk in which only some voxels are not empty."""
    grid = -(-np.array(shape) // _BLOCK)
    number = np.ravel_multi_index((voxels // _BLOCK).T, grid, order="F")
    used, row = np.unique(number, return_inverse=True)
    content = np.zeros((len(used), _BLOCK**3), dtype=np.uint8)
    content[row, np.ravel_multi_index((voxels % _BLOCK).T, (_BLOCK,) * 3, order="F")] = labels
    headers = np.zeros((grid.prod(), 2), dtype=np.uint32)
    # The tables of the blocks: which segments they hold, without repetitions.
    present = np.zeros((len(used), len(segments)), dtype=bool)
    present[np.arange(len(used))[:, None], content] = True
    empty = np.zeros((1, len(segments)), dtype=bool)
    empty[0, 0] = True
    patterns, which = np.unique(np.concatenate([empty, present]), axis=0, return_inverse=True)
    which = which.ravel()
    sizes = patterns.sum(axis=1)
    tables = b"".join(segments[pattern].astype("<u8").tobytes() for pattern in patterns)
    starts = 2 * len(headers) + 2 * np.concatenate([[0], np.cumsum(sizes)[:-1]])
    headers[:, 0] = starts[which[0]]
    widths = np.select([sizes <= 1, sizes <= 2, sizes <= 4], [0, 1, 2], 4)[which[1:]]  # noqa: PLR2004
    ranks = (np.cumsum(patterns, axis=1) - 1)[which[1:]]
    codes = np.take_along_axis(ranks, content.astype(np.int64), axis=1).astype(np.uint8)
    headers[used, 0] = starts[which[1:]] | (widths << 24)
    at = 2 * len(headers) + len(tables) // 4
    encoded = []
    for width in (1, 2, 4):
        rows = np.flatnonzero(widths == width)
        bits = (codes[rows][:, :, None] >> np.arange(width, dtype=np.uint8)) & 1
        packed = np.packbits(bits.reshape(len(rows), _BLOCK**3 * width), axis=1, bitorder="little")
        words = packed.shape[1] // 4
        headers[used[rows], 1] = at + words * np.arange(len(rows))
        encoded.append(packed.tobytes())
        at += words * len(rows)
    # There is one channel, and its data begin right after this offset.
    return b"".join([np.uint32(1).tobytes(), headers.tobytes(), tables, *encoded])
