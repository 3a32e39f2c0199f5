"""Read a published source by cell: its manifest, and the numbers and rows of a cell's synapses.

It has no heavy imports and does not need the extra `publish`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import NotServedError, UsageError
from synglancer.publish.encoding import RELATIONSHIPS, body_type
from synglancer.publish.manifest import MANIFEST, Manifest, TagSource, parse_manifest
from synglancer.publish.reading.access import MOST_BYTES, Folder, Server
from synglancer.publish.reading.chunks import ChunkReader, Wanted
from synglancer.publish.reading.info import parse_info
from synglancer.publish.sharding import Sharding
from synglancer.settings import DEFAULT_CONCURRENCY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys

    Layer = tuple[str, str]
    """Direction and tag."""

    Rows = NDArray[Any]
    """Rows of synapses, as returned by `Source.read_rows`."""

RELATIONSHIP_OF = {"inputs": "post", "outputs": "pre"}
"""The relationship that holds a cell's own root ID, for each direction."""

PARTNER_OF = {"inputs": "pre", "outputs": "post"}
"""The relationship that holds the root ID on the other side, for each direction."""

BY_ID = "by_id"

_HEAD = 1024  # number of bytes of a chunk, compressed or not, that always include its count
_COUNT = 8
_TIMEOUT = 30.0


class Source:
    """A published source.

    Parameters
    ----------
    address
        Its folder or address.
    read
        Reads bytes of a file, given its name, the first byte and the number of bytes (None for
        all). Returns None if the file does not exist. It is called from several threads at a time.
    at_once
        Number of reads at a time.

    Attributes
    ----------
    address, manifest
        Its folder or address, and its manifest.
    layers
        Each direction and tag with rows.
    """

    def __init__(
        self,
        address: str,
        read: Callable[[str, int, int | None], bytes | None],
        at_once: int = 1,
    ) -> None:
        self.address = address
        self._read = read
        self._chunks = ChunkReader(address, read, at_once)
        self.manifest = self._read_manifest()
        self.layers: list[Layer] = [
            (direction, one.tag) for direction in RELATIONSHIP_OF for one in self.manifest.tags
        ]
        self._infos: dict[str, dict[str, Sharding]] = {}

    def count_rows(self, cell: int) -> dict[str, dict[str, int]]:
        """Count the synapses of a cell, by direction and tag (at most 3 requests for each).

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
        wanted = self._fetch_cells([cell], self.layers, _HEAD)
        counts: dict[str, dict[str, int]] = {direction: {} for direction in RELATIONSHIP_OF}
        for (direction, tag), one in wanted.items():
            counts[direction][tag] = self._read_count(one, one.found.get(cell))
        return counts

    def read_cells(self, cells: Sequence[int]) -> dict[int, dict[Layer, Rows]]:
        """Read the synapses of some cells, with few requests if they lie near each other.

        Parameters
        ----------
        cells
            Root IDs.

        Returns
        -------
        dict of dict
            Root ID → direction and tag → rows as `read_rows` returns them, for all layers.

        Raises
        ------
        ServiceError
            When it cannot be read.
        """
        wanted = self._fetch_cells(cells, self.layers)
        return {
            cell: {layer: self._decode_rows(one, cell) for layer, one in wanted.items()}
            for cell in cells
        }

    def read_rows(self, cell: int, direction: str, tag: str) -> Rows:
        """Read the synapses of a cell in one direction with one tag.

        Parameters
        ----------
        cell
            Root ID.
        direction
            ``inputs`` or ``outputs``.
        tag
            A tag of the source.

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
        (wanted,) = self._fetch_cells([cell], [(direction, tag)]).values()
        return self._decode_rows(wanted, cell)

    def read_partners(self, ids: Keys, direction: str, tag: str) -> Keys:
        """Read the cells on the other side of synapses; near IDs are read together.

        Parameters
        ----------
        ids : ndarray of uint64, shape (n,)
            Synapse IDs, of rows that `read_rows` gave.
        direction, tag
            Their direction and tag.

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
        sharding = self._find_shardings(one)[BY_ID]
        wanted = Wanted(f"{one.folder}/{BY_ID}", sharding, ids)
        self._chunks.fetch(wanted)
        side = RELATIONSHIPS.index(PARTNER_OF[direction])
        size = body_type(self.manifest.properties).itemsize
        partners = np.zeros(len(ids), np.uint64)
        for place, id_ in enumerate(ids.tolist()):
            related = _decode_related(sharding.unpack(wanted.found.get(id_, b""), MOST_BYTES), size)
            if related is None:
                raise self._chunks.broken(wanted.folder)
            partners[place] = related[side][0] if related[side] else 0
        return partners

    def _read_manifest(self) -> Manifest:
        content = self._read(MANIFEST, 0, None)
        if content is None:
            raise NotServedError(
                f"{self.address} is not a published source, because it has no {MANIFEST}.",
                "Give the address of a finished `synglancer publish`.",
            )
        return parse_manifest(content, self.address)

    def _find_shardings(self, tag: TagSource) -> dict[str, Sharding]:
        """Find how the rows of a tag are spread over files, by index (1 request, once)."""
        if tag.folder not in self._infos:
            content = self._read(f"{tag.folder}/info", 0, None)
            if content is None:
                raise self._chunks.broken(f"{tag.folder}/info")
            address = f"{self.address}/{tag.folder}"
            info = parse_info(content, address, self.manifest.properties)
            self._infos[tag.folder] = {
                one["key"]: Sharding.from_json(one["sharding"])
                for one in (*info["relationships"], info[BY_ID])
            }
        return self._infos[tag.folder]

    def _fetch_cells(
        self, cells: Sequence[int], layers: Sequence[Layer], most: int | None = None
    ) -> Mapping[Layer, Wanted]:
        """Fetch the chunks of cells in some layers, or the beginning of each."""
        keys = np.array(cells, np.uint64)
        tags = {tag: self.manifest.find(tag) for _, tag in layers}
        shardings = dict(
            zip(tags, self._chunks.map(self._find_shardings, tags.values()), strict=True)
        )
        wanted = {}
        for direction, tag in layers:
            side = RELATIONSHIP_OF[direction]
            folder = f"{tags[tag].folder}/{side}"
            wanted[direction, tag] = Wanted(folder, shardings[tag][side], keys, most)
        self._chunks.fetch(*wanted.values())
        return wanted

    def _decode_rows(self, wanted: Wanted, cell: int) -> Rows:
        """Decode the rows of a cell; a cell without a chunk has no rows."""
        body = body_type(self.manifest.properties)
        kind = np.dtype([("id", "<u8"), *[(name, body[name]) for name in body.names or ()]])
        chunk = wanted.found.get(cell)
        count = self._read_count(wanted, chunk)
        content = b"" if chunk is None else wanted.sharding.unpack(chunk, MOST_BYTES)
        if chunk is not None and len(content) != _COUNT + count * (body.itemsize + 8):
            raise self._chunks.broken(wanted.folder)
        rows = np.zeros(count, kind)
        if count:
            rows["id"] = np.frombuffer(content, "<u8", count, _COUNT + count * body.itemsize)
            bodies = np.frombuffer(content, body, count, _COUNT)
            for name in body.names or ():
                rows[name] = bodies[name]
        return rows[np.argsort(rows["id"])]

    def _read_count(self, wanted: Wanted, chunk: bytes | None) -> int:
        """Read how many rows a chunk has, from its beginning."""
        if chunk is None:
            return 0
        head = wanted.sharding.unpack(chunk, _COUNT, whole=False)
        if len(head) < _COUNT:
            raise self._chunks.broken(wanted.folder)
        return int.from_bytes(head, "little")


def _decode_related(content: bytes, size: int) -> list[list[int]] | None:
    """Read the root IDs on both sides of a synapse, which follow the bytes of its body."""
    cells: list[list[int]] = []
    for _ in RELATIONSHIPS:
        count = int.from_bytes(content[size : size + 4], "little")
        size += 4 + 8 * count
        if size > len(content):
            return None
        cells.append(np.frombuffer(content, "<u8", count, size - 8 * count).tolist())
    return cells if size == len(content) else None


def open_source(
    address: str, timeout: float = _TIMEOUT, at_once: int = DEFAULT_CONCURRENCY
) -> Source:
    """Open a published source by its folder or address.

    Parameters
    ----------
    address
        A folder, or an http or https address.
    timeout
        Longest time for a request in seconds, retries included.
    at_once
        Number of requests to its server at a time.

    Raises
    ------
    UsageError
        When the folder does not exist, or the address is not http or https.
    ServiceError
        When it cannot be reached, is not a published source, or is served in a way that viewers
        cannot read: without range requests, or without letting other sites read it (CORS).
    """
    address = address.rstrip("/").removeprefix("precomputed://")
    if address.startswith(("http://", "https://")):
        server = Server(address, timeout, at_once)
        source = Source(address, server.read, at_once)
        server.check(source.manifest)
        return source
    if "://" in address:
        raise UsageError(
            f"Viewers cannot read {address}.",
            "Give an address that begins with https://, or a folder.",
        )
    return Source(address, Folder(address).read)
