"""Read chunks of sharded indexes by key, with few reads for many keys.

Finding a chunk takes three steps: the index at the beginning of a shard file says where each
minishard's index is, and that says where its chunks are. All keys take each step together. Results
of the first two steps are kept.
"""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import BadAnswerError
from synglancer.publish.reading.access import MOST_BYTES
from synglancer.publish.sharding import INDEX_ENTRY, read_minishard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys, Sharding

    Read = Callable[[str, int, int | None], bytes | None]
    """Reads bytes of a file: name, first byte, number of bytes (None for all); None for no file."""

_NEAR = 64_000  # bytes between two pieces that cost less to read than another request
_MOST_RUN = 4_000_000  # bytes that are read at once, of several pieces
_MOST_KEPT = 2_000  # indexes of minishards: 50 MB at most


@dataclass(frozen=True)
class Wanted:
    """The requested chunks of one index.

    Attributes
    ----------
    folder
        Folder of the index in the source, such as ``spine/pre``.
    sharding
        How its keys are spread over files.
    keys : ndarray of uint64, shape (n,)
        The keys.
    most
        Number of bytes needed from each chunk, or None for all.
    found
        Key → its chunk as it is stored, for each key that has one; filled in as they are read.
    """

    folder: str
    sharding: Sharding
    keys: Keys
    most: int | None = None
    found: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class _Minishard:
    """A minishard of a file and the keys requested from it."""

    file: str
    number: int
    keys: Keys
    wanted: Wanted


@dataclass(frozen=True)
class _Piece:
    """A byte range of a file and its use: a minishard, or the chunk of a key."""

    file: str
    start: int
    end: int
    minishard: _Minishard
    index: int = 0  # where the minishard's index begins
    key: int = 0  # of a chunk


@dataclass(frozen=True)
class _Shard:
    """The index of a shard file: where each minishard's index begins and ends in the file."""

    spans: NDArray[np.uint64]
    ends: NDArray[np.uint64]
    """All ends, sorted; a minishard's content begins where the index of another one ends."""


class ChunkReader:
    """Reads chunks of a source.

    Parameters
    ----------
    address
        The address of the source.
    read
        Reads bytes of its files. It is called from several threads at a time.
    at_once
        Number of reads at a time.
    """

    def __init__(self, address: str, read: Read, at_once: int) -> None:
        self._address = address
        self._read = read
        self._pool = ThreadPoolExecutor(at_once) if at_once > 1 else None
        self._lock = Lock()
        self._shards: dict[str, _Shard] = {}
        self._indexes: OrderedDict[tuple[str, int], tuple[Keys, Keys, Keys]] = OrderedDict()

    def fetch(self, *wanted: Wanted) -> None:
        """Fetch chunks.

        Raises
        ------
        ServiceError
            When the source cannot be read, or is damaged.
        """
        minishards = list(chain.from_iterable(map(_split, wanted)))
        files = {
            one.file: one.wanted.sharding for one in minishards if one.file not in self._shards
        }
        for name, shard in zip(files, self.map(self._read_shard, files.items()), strict=True):
            self._shards[name] = shard
        chunks: list[_Piece] = []
        unknown: list[_Piece] = []
        for one in minishards:
            index = self._recall(one)
            if index is None:
                unknown += self._place_minishard(one)
            else:
                chunks += _list_chunks(one, index)
        for left in self.map(self._read_minishards, _merge(unknown)):
            chunks += left
        list(self.map(self._read_chunks, _merge(chunks)))

    def map(self, do: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
        """Apply a function to each item, in several threads if that saves time."""
        return map(do, items) if self._pool is None else self._pool.map(do, items)

    def must_read(self, name: str, start: int, size: int) -> bytes:
        """Read bytes of a file that must exist."""
        content = self._read(name, start, size) if 0 < size <= MOST_BYTES else None
        if content is None or len(content) != size:
            raise self.broken(name)
        return content

    def broken(self, name: str) -> BadAnswerError:
        """Build the error for a file that is missing or damaged."""
        return BadAnswerError(
            f"{self._address}/{name} is missing or damaged.",
            "Check the source with `synglancer publish verify`.",
        )

    def _read_shard(self, item: tuple[str, Sharding]) -> _Shard:
        name, sharding = item
        size = INDEX_ENTRY * sharding.minishards
        spans = np.frombuffer(self.must_read(name, 0, size), "<u8").reshape(-1, 2)
        spans = spans + np.uint64(size) * (spans[:, :1] != spans[:, 1:])
        return _Shard(spans, np.sort(np.append(spans[:, 1], np.uint64(size))))

    def _recall(self, one: _Minishard) -> tuple[Keys, Keys, Keys] | None:
        """Return the index of a minishard if it is in memory; recently used ones are kept."""
        place = one.file, one.number
        with self._lock:
            if place in self._indexes:
                self._indexes.move_to_end(place)
            return self._indexes.get(place)

    def _place_minishard(self, one: _Minishard) -> list[_Piece]:
        """Find where a minishard's index is, with its chunks if they are small.

        Nothing for an empty minishard.
        """
        shard = self._shards[one.file]
        index, end = shard.spans[one.number].tolist()
        if index == end:
            return []
        before = int(np.searchsorted(shard.ends, np.uint64(index), "right"))
        first = int(shard.ends[before - 1]) if before else index
        start = first if index - first <= _NEAR else index
        return [_Piece(one.file, start, end, one, index)]

    def _read_minishards(self, run: Sequence[_Piece]) -> list[_Piece]:
        """Read neighbouring minishards; return the chunks that are still to be read."""
        content = self._read_run(run)
        left: list[_Piece] = []
        for piece in run:
            one = piece.minishard
            try:
                packed = content[piece.index - run[0].start : piece.end - run[0].start]
                keys, starts, sizes = read_minishard(packed)
            except ValueError as error:
                raise self.broken(one.file) from error
            base = np.uint64(INDEX_ENTRY * one.wanted.sharding.minishards)
            index = keys, starts + base, sizes
            with self._lock:
                self._indexes[one.file, one.number] = index
                while len(self._indexes) > _MOST_KEPT:
                    self._indexes.popitem(last=False)
            for chunk in _list_chunks(one, index):
                if piece.start <= chunk.start and chunk.end <= piece.index:
                    _keep(chunk, content, run[0].start)
                else:
                    left.append(chunk)
        return left

    def _read_chunks(self, run: Sequence[_Piece]) -> None:
        content = self._read_run(run)
        for chunk in run:
            _keep(chunk, content, run[0].start)

    def _read_run(self, run: Sequence[_Piece]) -> bytes:
        start = run[0].start
        return self.must_read(run[0].file, start, max(one.end for one in run) - start)


def _split(wanted: Wanted) -> Iterator[_Minishard]:
    """Group keys by minishard."""
    if not len(wanted.keys):
        return
    sharding = wanted.sharding
    shards, numbers = sharding.find_shards(wanted.keys), sharding.find_minishards(wanted.keys)
    order = np.lexsort((wanted.keys, numbers, shards))
    places = np.stack([shards[order], numbers[order]])
    cuts = np.flatnonzero(np.diff(places, axis=1).any(axis=0)) + 1
    firsts = [0, *cuts.tolist()]
    for first, keys in zip(firsts, np.split(wanted.keys[order], cuts), strict=True):
        shard, number = places[:, first].tolist()
        yield _Minishard(f"{wanted.folder}/{sharding.name_file(shard)}", number, keys, wanted)


def _list_chunks(one: _Minishard, index: tuple[Keys, Keys, Keys]) -> list[_Piece]:
    """List the positions of the requested chunks of a minishard."""
    keys, starts, sizes = index
    places = np.searchsorted(keys, one.keys).clip(max=len(keys) - 1)
    places = places[keys[places] == one.keys]
    most = one.wanted.most or MOST_BYTES
    return [
        _Piece(one.file, start, start + min(size, most), one, key=key)
        for key, start, size in zip(
            keys[places].tolist(), starts[places].tolist(), sizes[places].tolist(), strict=True
        )
    ]


def _merge(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Merge neighbouring pieces into single reads."""
    runs: list[list[_Piece]] = []
    end = 0
    for piece in sorted(pieces, key=lambda one: (one.file, one.start)):
        last = runs[-1][0] if runs else None
        near = last is not None and last.file == piece.file and piece.start - end <= _NEAR
        if near and last is not None and max(end, piece.end) - last.start <= _MOST_RUN:
            runs[-1].append(piece)
            end = max(end, piece.end)
        else:
            runs.append([piece])
            end = piece.end
    return runs


def _keep(chunk: _Piece, content: bytes, first: int) -> None:
    """Store the bytes of a chunk in the results."""
    chunk.minishard.wanted.found[chunk.key] = content[chunk.start - first : chunk.end - first]
