"""A published source, read by cell: its manifest, how many synapses a cell has, and which.

Free of heavy imports, and of whatever publishing needs.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import BadAnswerError, NotServedError, UsageError
from synglancer.publish.encoding import RELATIONSHIPS, body_type
from synglancer.publish.manifest import MANIFEST, Manifest, TagSource, parse_manifest
from synglancer.publish.reading.access import CONNECTIONS, Folder, Server
from synglancer.publish.sharding import INDEX_ENTRY, Sharding, read_minishard

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RELATIONSHIP_OF = {"inputs": "post", "outputs": "pre"}
"""The relationship in which a cell's own root ID stands, for each direction."""

PARTNER_OF = {"inputs": "pre", "outputs": "post"}
"""The relationship in which the root ID on the other side stands."""

BY_ID = "by_id"

_HEAD = 1024  # bytes of a chunk, compressed or not, that surely hold its count
_COUNT = 8
_MOST_INDEXES = 2_000  # that are kept: 50 MB at most
_MOST_ENTRIES = 4_096  # of a shard that are read at once: 64 kB
_NEAR = 4_096  # bytes between two synapses of a file that are read with them
_TIMEOUT = 30.0


class Source:
    """A published source.

    Parameters
    ----------
    address
        Where it is.
    read
        Reads bytes of a file: name, first byte, number of bytes (None for all). None when the file
        is not there. It is called from several threads at a time.

    Attributes
    ----------
    address, manifest
        Where it is, and what it says of itself.
    """

    def __init__(self, address: str, read: Callable[[str, int, int | None], bytes | None]) -> None:
        self.address = address
        self._read = read
        self.manifest = self._read_manifest()
        self._lock = Lock()
        self._infos: dict[str, dict[str, Sharding]] = {}
        self._indexes: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def count_rows(self, cell: int) -> dict[str, dict[str, int]]:
        """Count the synapses of a cell, by direction and tag (two range requests for each, or 3).

        Parameters
        ----------
        cell
            Root ID.

        Returns
        -------
        dict of dict
            ``inputs`` and ``outputs``, each with all tags of the source.

        Raises
        ------
        ServiceError
            When it cannot be read.
        """
        return {
            direction: {tag.tag: self._count(tag, relationship, cell) for tag in self.manifest.tags}
            for direction, relationship in RELATIONSHIP_OF.items()
        }

    def read_rows(self, cell: int, direction: str, tag: str) -> NDArray[Any]:
        """Read the synapses of a cell in one direction with one tag.

        Parameters
        ----------
        cell
            Root ID.
        direction
            ``inputs`` or ``outputs``.
        tag
            One of the source's.

        Returns
        -------
        ndarray, shape (n,)
            Fields ``id`` (uint64), ``point`` (3 float32, nm), and those of ``confidence``
            (float32) and ``size`` (uint32) that the source has; sorted by ID.

        Raises
        ------
        KeyError
            When the source has no such tag.
        ServiceError
            When it cannot be read.
        """
        body = body_type(self.manifest.properties)
        kind = np.dtype([("id", "<u8"), *[(name, body[name]) for name in body.names or ()]])
        one, relationship = self.manifest.find(tag), RELATIONSHIP_OF[direction]
        chunk = self._find(one, relationship, cell)
        if chunk is None:
            return np.zeros(0, kind)
        content = self.find_shardings(one)[relationship].unpack(self._must_read(*chunk))
        count = int.from_bytes(content[:8], "little")
        if len(content) != 8 + count * (body.itemsize + 8):
            raise self._broken(chunk[0])
        rows = np.zeros(count, kind)
        rows["id"] = np.frombuffer(content, "<u8", count, 8 + count * body.itemsize)
        bodies = np.frombuffer(content, body, count, 8)
        for name in body.names or ():
            rows[name] = bodies[name]
        return rows[np.argsort(rows["id"])]

    def read_partners(self, ids: NDArray[np.uint64], direction: str, tag: str) -> NDArray[Any]:
        """Read the cell on the other side of synapses: two range requests for each, side by side.

        Those that lie near each other in a file are read at once.

        Parameters
        ----------
        ids : ndarray of uint64, shape (n,)
            Synapse IDs, of rows that `read_rows` gave.
        direction, tag
            Theirs.

        Returns
        -------
        ndarray of uint64, shape (n,)
            Root IDs; 0 where the segmentation has no cell.

        Raises
        ------
        KeyError
            When the source has no such tag.
        ServiceError
            When it cannot be read.
        """
        one = self.manifest.find(tag)
        sharding = self.find_shardings(one)[BY_ID]
        side = RELATIONSHIPS.index(PARTNER_OF[direction])
        shards, minishards = sharding.find_shards(ids), sharding.find_minishards(ids)
        order = np.lexsort((ids, minishards, shards))
        places = np.stack([shards[order], minishards[order]])
        groups = np.split(order, np.flatnonzero(np.diff(places, axis=1).any(axis=0)) + 1)
        partners = np.zeros(len(ids), np.uint64)

        def read(group: NDArray[np.int64]) -> None:
            name = f"{one.folder}/{BY_ID}/{sharding.name_file(int(shards[group[0]]))}"
            keys, starts, sizes = self._load_index(name, sharding, int(minishards[group[0]]))
            found = np.searchsorted(keys, ids[group])
            if not len(keys) or (keys[found % len(keys)] != ids[group]).any():
                raise self._broken(name)
            spans = np.stack([starts[found], starts[found] + sizes[found]], axis=1).astype(np.int64)
            partners[group] = self._read_related(name, spans, side)

        with ThreadPoolExecutor(max_workers=CONNECTIONS) as pool:
            list(pool.map(read, groups if len(ids) else []))
        return partners

    def _read_related(self, name: str, spans: NDArray[np.int64], side: int) -> list[int]:
        """Read one side of synapses that are stored by themselves, in the order of the file."""
        size = body_type(self.manifest.properties).itemsize
        far = np.flatnonzero(spans[1:, 0] - spans[:-1, 1] > _NEAR) + 1
        cells: list[int] = []
        for run in np.split(spans, far):
            first = int(run[0, 0])
            content = self._must_read(name, first, int(run[-1, 1]) - first)
            for start, end in (run - first).tolist():
                related = _decode_related(content[start:end], size)
                if related is None:
                    raise self._broken(name)
                cells.append(related[side][0] if related[side] else 0)
        return cells

    def _read_manifest(self) -> Manifest:
        content = self._read(MANIFEST, 0, None)
        if content is None:
            raise NotServedError(
                f"{self.address} is no published source: {MANIFEST} is not there.",
                "Give the address that `synglancer publish` wrote to, where it was finished.",
            )
        return parse_manifest(content, self.address)

    def find_shardings(self, tag: TagSource) -> dict[str, Sharding]:
        """Find how the rows of a tag are spread over files, by index (1 request, once)."""
        if tag.folder not in self._infos:
            content = self._read(f"{tag.folder}/info", 0, None)
            try:
                info = json.loads(content or b"")
                indexes = {one["id"]: one for one in info["relationships"]}
                self._infos[tag.folder] = {
                    name: Sharding.from_json(one["sharding"])
                    for name, one in {**indexes, BY_ID: info[BY_ID]}.items()
                }
            except (ValueError, KeyError, TypeError) as error:
                raise self._broken(f"{tag.folder}/info") from error
        return self._infos[tag.folder]

    def _find(self, tag: TagSource, index: str, number: int) -> tuple[str, int, int] | None:
        """Find where a cell's synapses are, or a synapse: file, first byte, number of bytes."""
        sharding = self.find_shardings(tag)[index]
        key = np.array([number], np.uint64)
        shard = int(sharding.find_shards(key)[0])
        minishard = int(sharding.find_minishards(key)[0])
        name = f"{tag.folder}/{index}/{sharding.name_file(shard)}"
        keys, starts, sizes = self._load_index(name, sharding, minishard)
        found = np.flatnonzero(keys == key[0])
        if not len(found):
            return None
        return name, int(starts[found[0]]), int(sizes[found[0]])

    def _load_index(self, name: str, sharding: Sharding, minishard: int) -> Any:
        return self._keep((name, minishard), lambda: self._read_index(name, sharding, minishard))

    def _keep(self, place: tuple[str, int], read: Callable[[], Any]) -> Any:
        """Return what was read of a place, or read it; what was asked for last is kept."""
        with self._lock:
            if place in self._indexes:
                self._indexes.move_to_end(place)
                return self._indexes[place]
        found = read()
        with self._lock:
            self._indexes[place] = found
            while len(self._indexes) > _MOST_INDEXES:
                self._indexes.popitem(last=False)
        return found

    def _read_index(self, name: str, sharding: Sharding, minishard: int) -> Any:
        start, end = self._read_bounds(name, sharding, minishard)
        if start == end:
            return np.zeros((3, 0), np.uint64)
        base = INDEX_ENTRY * sharding.minishards
        try:
            keys, starts, sizes = read_minishard(self._must_read(name, base + start, end - start))
        except ValueError as error:
            raise self._broken(name) from error
        return keys, starts + np.uint64(base), sizes

    def _read_bounds(self, name: str, sharding: Sharding, minishard: int) -> tuple[int, int]:
        """Read where the index of a minishard begins and ends: all of a small shard's at once."""
        if sharding.minishards > _MOST_ENTRIES:
            entry = self._must_read(name, INDEX_ENTRY * minishard, INDEX_ENTRY)
            start, end = np.frombuffer(entry, "<u8").tolist()
            return start, end
        size = INDEX_ENTRY * sharding.minishards
        entries = self._keep(
            (name, -1),
            lambda: np.frombuffer(self._must_read(name, 0, size), "<u8").reshape(-1, 2),
        )
        start, end = entries[minishard].tolist()
        return start, end

    def _count(self, tag: TagSource, relationship: str, cell: int) -> int:
        chunk = self._find(tag, relationship, cell)
        if chunk is None:
            return 0
        name, start, size = chunk
        stored = self._must_read(name, start, min(size, _HEAD))
        head = self.find_shardings(tag)[relationship].unpack(stored, whole=False)
        if len(head) < _COUNT:
            raise self._broken(name)
        return int.from_bytes(head[:8], "little")

    def _must_read(self, name: str, start: int, size: int) -> bytes:
        content = self._read(name, start, size)
        if content is None or len(content) != size:
            raise self._broken(name)
        return content

    def _broken(self, name: str) -> BadAnswerError:
        return BadAnswerError(
            f"{self.address}/{name} is missing or damaged.",
            "Check the source with `synglancer publish verify`.",
        )


def _decode_related(content: bytes, size: int) -> list[list[int]] | None:
    """Read the root IDs on both sides of a synapse, behind the bytes of its body."""
    cells: list[list[int]] = []
    for _ in RELATIONSHIPS:
        count = int.from_bytes(content[size : size + 4], "little")
        size += 4 + 8 * count
        if size > len(content):
            return None
        cells.append(np.frombuffer(content, "<u8", count, size - 8 * count).tolist())
    return cells if size == len(content) else None


def open_source(address: str, timeout: float = _TIMEOUT) -> Source:
    """Open a published source by its folder or address.

    Parameters
    ----------
    address
        A folder, or an address with http or https.
    timeout
        Seconds that a request may take.

    Raises
    ------
    UsageError
        When there is no such folder, or the address is of another kind.
    ServiceError
        When it cannot be reached, is no published source, or is served in a way that viewers cannot
        read: without ranges, or without letting other sites read it.
    """
    address = address.rstrip("/").removeprefix("precomputed://")
    if address.startswith(("http://", "https://")):
        server = Server(address, timeout)
        source = Source(address, server.read)
        server.check(source.manifest)
        return source
    if "://" in address:
        raise UsageError(
            f"{address} cannot be read by viewers.", "Give its address with https, or a folder."
        )
    return Source(address, Folder(address).read)
