"""The sharded file format: find the shard and minishard of a key, and build shard files.

The format is Neuroglancer's ``neuroglancer_uint64_sharded_v1``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]

INDEX_ENTRY = 16
"""Bytes per minishard in the index at the beginning of a shard file."""

_GZIP = 31  # zlib's number for the gzip format
_FIXED = {"@type": "neuroglancer_uint64_sharded_v1", "minishard_index_encoding": "gzip"}
_CHOICES = {"hash": ("identity", "murmurhash3_x86_128"), "data_encoding": ("raw", "gzip")}
_MOST_BITS = {"minishard_bits": 20, "shard_bits": 16, "preshift_bits": 63}
_MOST_INDEX = 64_000_000  # largest size of a minishard's index in bytes
_C1, _C2, _C3 = 0x239B961B, 0xAB0E9789, 0x38B34AE5


def mix(ids: Keys) -> Keys:
    """Return splitmix64 of IDs, which is evenly spread and unique for each ID.

    Parameters
    ----------
    ids : ndarray of uint64, shape (n,)
    """
    value = ids + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def murmurhash3_x86_128(keys: Keys) -> Keys:
    """Return the lower 64 bits of MurmurHash3_x86_128 of keys as 8 little-endian bytes, seed 0.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n,)
    """
    low = keys.astype(np.uint32)
    high = (keys >> np.uint64(32)).astype(np.uint32)
    h1 = _rotate(low * np.uint32(_C1), 15) * np.uint32(_C2) ^ np.uint32(8)
    h2 = _rotate(high * np.uint32(_C2), 16) * np.uint32(_C3) ^ np.uint32(8)
    h1 += h2 + np.uint32(16)
    h2 += h1
    h3 = _finish(h1 + np.uint32(8))  # for short keys, the third and the fourth part are equal
    h1, h2 = _finish(h1), _finish(h2)
    h1 += h2 + h3 + h3
    h2 += h1
    return h1.astype(np.uint64) | h2.astype(np.uint64) << np.uint64(32)


def _rotate(value: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return value << np.uint32(bits) | value >> np.uint32(32 - bits)


def _finish(value: NDArray[np.uint32]) -> NDArray[np.uint32]:
    value = (value ^ value >> np.uint32(16)) * np.uint32(0x85EBCA6B)
    value = (value ^ value >> np.uint32(13)) * np.uint32(0xC2B2AE35)
    return value ^ value >> np.uint32(16)


@dataclass(frozen=True)
class Sharding:
    """How keys are spread over shard files.

    Attributes
    ----------
    hash
        ``identity`` or ``murmurhash3_x86_128``.
    minishard_bits, shard_bits
        Number of bits of the hash for the minishard, and above them for the shard.
    data_encoding
        ``raw`` or ``gzip``.
    preshift_bits
        Number of lower bits of a key that are dropped before hashing.
    """

    hash: str
    minishard_bits: int
    shard_bits: int
    data_encoding: str
    preshift_bits: int = 0

    @property
    def shards(self) -> int:
        """Number of shard files."""
        return 1 << self.shard_bits

    @property
    def minishards(self) -> int:
        """Number of minishards per shard file."""
        return 1 << self.minishard_bits

    def to_json(self) -> dict[str, Any]:
        """Return the field ``sharding`` of an info file."""
        return {
            "@type": _FIXED["@type"],
            "preshift_bits": self.preshift_bits,
            "hash": self.hash,
            "minishard_bits": self.minishard_bits,
            "shard_bits": self.shard_bits,
            "minishard_index_encoding": _FIXED["minishard_index_encoding"],
            "data_encoding": self.data_encoding,
        }

    @classmethod
    def from_json(cls, text: dict[str, Any]) -> Sharding:
        """Read the field ``sharding`` of an info file.

        Raises
        ------
        ValueError
            When a value is unknown or out of range.
        """
        for name, value in _FIXED.items():
            if text[name] != value:
                raise ValueError(name)
        found = cls(**{name: text[name] for name in (*_CHOICES, *_MOST_BITS)})
        for name, choices in _CHOICES.items():
            if getattr(found, name) not in choices:
                raise ValueError(name)
        for name, most in _MOST_BITS.items():
            bits = getattr(found, name)
            if type(bits) is not int or not 0 <= bits <= most:
                raise ValueError(name)
        return found

    def hash_keys(self, keys: Keys) -> Keys:
        """Hash keys."""
        shifted = keys >> np.uint64(self.preshift_bits) if self.preshift_bits else keys
        return shifted if self.hash == "identity" else murmurhash3_x86_128(shifted)

    def find_shards(self, keys: Keys) -> NDArray[np.int64]:
        """Return the shard of each key."""
        hashed = self.hash_keys(keys) >> np.uint64(self.minishard_bits)
        return (hashed & np.uint64(self.shards - 1)).astype(np.int64)

    def find_minishards(self, keys: Keys) -> NDArray[np.int64]:
        """Return the minishard of each key in its shard."""
        return (self.hash_keys(keys) & np.uint64(self.minishards - 1)).astype(np.int64)

    def unpack(self, chunk: bytes, most: int, *, whole: bool = True) -> bytes:
        """Unpack a stored chunk, or its first bytes; return nothing if it is damaged."""
        if self.data_encoding == "raw":
            return chunk if whole else chunk[:most]
        return decompress(chunk, most, whole=whole)

    def name_file(self, shard: int) -> str:
        """Return the name of a shard's file.

        Examples
        --------
        >>> Sharding("identity", 0, 5, "raw").name_file(17)
        '11.shard'
        """
        digits = max(1, -(-self.shard_bits // 4))
        return f"{shard:0{digits}x}.shard"


def sort_with_order(keys: Keys) -> tuple[Keys, NDArray[np.int64]]:
    """Sort keys stably.

    Returns
    -------
    keys : ndarray of uint64, shape (n,)
        The keys in ascending order.
    order : ndarray of int64, shape (n,)
        The earlier position of each key.
    """
    if not len(keys):
        return keys, np.zeros(0, np.int64)
    lowest = keys.min()
    bits = max(1, (len(keys) - 1).bit_length())
    if int(keys.max() - lowest).bit_length() + bits > 64:  # noqa: PLR2004  # bits of a word
        order = np.argsort(keys)  # twice as fast as the stable sort, and equal keys are rare
        found = keys[order]
        if (found[1:] == found[:-1]).any():
            order = np.argsort(keys, kind="stable")
        return found, order
    # Sorting numbers is five times as fast as argsort, so each number also holds its position.
    packed = (keys - lowest) << np.uint64(bits)
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed.sort()
    order = (packed & np.uint64((1 << bits) - 1)).astype(np.int64)
    packed >>= np.uint64(bits)
    packed += lowest
    return packed, order


def sort_small(numbers: NDArray[Any], end: int) -> NDArray[np.int64]:
    """Return the stable order of numbers below an end; the fewer bits they have, the faster."""
    kinds = (np.uint8, np.uint16, np.int64)
    kind = next(kind for kind in kinds if end <= int(np.iinfo(kind).max) + 1)
    return np.argsort(numbers.astype(kind), kind="stable")


def compress(data: Any) -> bytes:
    """Compress a larger piece of data as gzip."""
    from isal import igzip_lib

    return igzip_lib.compress(data, 1, igzip_lib.COMP_GZIP)


def decompress(content: bytes, most: int, *, whole: bool = True) -> bytes:
    """Decompress gzip up to a number of bytes; return nothing if it is damaged or incomplete."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        found = unpacker.decompress(content, most)
    except zlib.error:
        return b""
    return found if unpacker.eof or not whole else b""


def pack_chunks(
    sharding: Sharding, data: NDArray[np.uint8], sizes: NDArray[np.int64]
) -> tuple[Any, NDArray[np.int64]]:
    """Encode chunks for storage in shards.

    Parameters
    ----------
    sharding
        The sharding, which decides whether they are compressed.
    data : ndarray of uint8
        The chunks, one after the other.
    sizes : ndarray of int64, shape (n,)
        Size of each chunk in bytes.

    Returns
    -------
    data : bytes-like
        The stored chunks.
    sizes : ndarray of int64, shape (n,)
        Size of each stored chunk in bytes.
    """
    if sharding.data_encoding == "raw":
        return data.data, sizes
    ends = np.cumsum(sizes)
    spans = zip((ends - sizes).tolist(), ends.tolist(), strict=True)
    packed = [compress(data.data[start:end]) for start, end in spans]
    return memoryview(b"".join(packed)), np.fromiter(map(len, packed), np.int64, len(packed))


def build_shard(sharding: Sharding, keys: Keys, sizes: NDArray[np.int64], data: Any) -> list[Any]:
    """Lay out a shard file.

    Parameters
    ----------
    sharding
        The sharding.
    keys : ndarray of uint64, shape (n,)
        The unique keys of one shard, sorted by minishard and then by key.
    sizes : ndarray of int64, shape (n,)
        Size of each stored chunk in bytes.
    data
        The chunks in the same order, as one buffer.

    Returns
    -------
    list of bytes-like
        The pieces of the file: its index, then each minishard's chunks followed by their index.
    """
    bounds = np.searchsorted(sharding.find_minishards(keys), np.arange(sharding.minishards + 1))
    ends = np.concatenate(([0], np.cumsum(sizes)))
    steps = np.diff(keys, prepend=np.uint64(0))
    index = np.zeros((sharding.minishards, 2), "<u8")
    pieces: list[Any] = [index]
    position = 0
    for minishard in np.flatnonzero(np.diff(bounds)).tolist():
        first, end = bounds[minishard : minishard + 2].tolist()
        entries = np.zeros((3, end - first), "<u8")
        entries[0], entries[2] = steps[first:end], sizes[first:end]
        entries[0, 0], entries[1, 0] = keys[first], position
        chunks = data[int(ends[first]) : int(ends[end])]
        packed = compress(entries)
        position += len(chunks)
        index[minishard] = position, position + len(packed)
        position += len(packed)
        pieces += (chunks, packed)
    return pieces


def read_minishard(content: bytes) -> tuple[Keys, Keys, Keys]:
    """Read the stored index of a minishard.

    Parameters
    ----------
    content
        The bytes that the index at the beginning of the shard file points to.

    Returns
    -------
    keys, starts, sizes : ndarray of uint64, shape (n,)
        The keys, and the offset (from the end of the file's index) and size of their chunks.

    Raises
    ------
    ValueError
        When it is damaged.
    """
    unpacked = decompress(content, _MOST_INDEX)
    if not unpacked or len(unpacked) % 24:
        raise ValueError("The index of a minishard is damaged.")
    entries = np.frombuffer(unpacked, "<u8").reshape(3, -1)
    keys, sizes = np.cumsum(entries[0], dtype=np.uint64), entries[2]
    if (keys[1:] <= keys[:-1]).any():
        raise ValueError("The keys of a minishard are not in order.")
    ends = np.cumsum(entries[1] + sizes, dtype=np.uint64)
    return keys, ends - sizes, sizes
