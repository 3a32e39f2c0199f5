"""A published source, read by cell: its manifest, how many synapses a cell has, and which.

Free of heavy imports, and of whatever publishing needs.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import (
    BadAnswerError,
    NotServedError,
    ServiceError,
    UnreachableError,
    UsageError,
)
from synglancer.publish.encoding import body_type
from synglancer.publish.manifest import MANIFEST, Manifest, TagSource, parse_manifest
from synglancer.publish.sharding import INDEX_ENTRY, Sharding, decompress, read_minishard

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RELATIONSHIP_OF = {"inputs": "post", "outputs": "pre"}
"""The relationship in which a cell's own root ID stands, for each direction."""

_HEAD = 1024  # bytes of a compressed chunk that surely hold its count
_COUNT = 8
_MOST_INDEXES = 512
_TIMEOUT = 30.0
_TRIES = 3
_PARTIAL = 206
_NOT_FOUND = 404
_TOO_FAR = 416

_HOW_TO_SERVE = (
    "Serve it with ranges and CORS, as object stores and `synglancer serve` do; see the docs."
)


class Source:
    """A published source.

    Parameters
    ----------
    address
        Where it is.
    read
        Reads bytes of a file: name, first byte, number of bytes (None for all). None when the file
        is not there.

    Attributes
    ----------
    address, manifest
        Where it is, and what it says of itself.
    """

    def __init__(self, address: str, read: Callable[[str, int, int | None], bytes | None]) -> None:
        self.address = address
        self._read = read
        self.manifest = self._read_manifest()
        self._infos: dict[str, dict[str, Any]] = {}
        self._indexes: OrderedDict[tuple[str, int, int], Any] = OrderedDict()

    def address_of(self, tag: TagSource) -> str:
        """Return the address of a tag's source, as a layer names it behind ``precomputed://``."""
        return f"{self.address}/{tag.folder}"

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
        one = next((item for item in self.manifest.tags if item.tag == tag), None)
        if one is None:
            raise KeyError(tag)
        body = body_type(self.manifest.properties)
        kind = np.dtype([("id", "<u8"), *[(name, body[name]) for name in body.names or ()]])
        chunk = self._find(one, RELATIONSHIP_OF[direction], cell)
        if chunk is None:
            return np.zeros(0, kind)
        content = decompress(self._must_read(*chunk))
        count = int.from_bytes(content[:8], "little")
        if len(content) != 8 + count * (body.itemsize + 8):
            raise self._broken(chunk[0])
        rows = np.zeros(count, kind)
        rows["id"] = np.frombuffer(content, "<u8", count, 8 + count * body.itemsize)
        bodies = np.frombuffer(content, body, count, 8)
        for name in body.names or ():
            rows[name] = bodies[name]
        return rows[np.argsort(rows["id"])]

    def _read_manifest(self) -> Manifest:
        content = self._read(MANIFEST, 0, None)
        if content is None:
            raise NotServedError(
                f"{self.address} is no published source: {MANIFEST} is not there.",
                "Give the address that `synglancer publish` wrote to, where it was finished.",
            )
        return parse_manifest(content, self.address)

    def _info(self, tag: TagSource) -> dict[str, Any]:
        if tag.folder not in self._infos:
            content = self._read(f"{tag.folder}/info", 0, None)
            try:
                info = json.loads(content or b"")
                self._infos[tag.folder] = {
                    one["id"]: Sharding.from_json(one["sharding"]) for one in info["relationships"]
                }
            except (ValueError, KeyError, TypeError) as error:
                raise self._broken(f"{tag.folder}/info") from error
        return self._infos[tag.folder]

    def _find(self, tag: TagSource, relationship: str, cell: int) -> tuple[str, int, int] | None:
        """Find where a cell's synapses are: file, first byte, number of bytes."""
        sharding: Sharding = self._info(tag)[relationship]
        key = np.array([cell], np.uint64)
        shard = int(sharding.find_shards(key)[0])
        minishard = int(sharding.find_minishards(key)[0])
        name = f"{tag.folder}/{relationship}/{sharding.name_file(shard)}"
        place = (f"{tag.folder}/{relationship}", shard, minishard)
        if place not in self._indexes:
            if len(self._indexes) >= _MOST_INDEXES:
                self._indexes.popitem(last=False)
            self._indexes[place] = self._read_index(name, sharding, minishard)
        self._indexes.move_to_end(place)
        keys, starts, sizes = self._indexes[place]
        found = np.flatnonzero(keys == key[0])
        if not len(found):
            return None
        return name, int(starts[found[0]]), int(sizes[found[0]])

    def _read_index(self, name: str, sharding: Sharding, minishard: int) -> Any:
        entry = self._must_read(name, INDEX_ENTRY * minishard, INDEX_ENTRY)
        start, end = (int(one) for one in np.frombuffer(entry, "<u8"))
        if start == end:
            return np.zeros((3, 0), np.uint64)
        base = INDEX_ENTRY * sharding.minishards
        try:
            keys, starts, sizes = read_minishard(self._must_read(name, base + start, end - start))
        except ValueError as error:
            raise self._broken(name) from error
        return keys, starts + np.uint64(base), sizes

    def _count(self, tag: TagSource, relationship: str, cell: int) -> int:
        chunk = self._find(tag, relationship, cell)
        if chunk is None:
            return 0
        name, start, size = chunk
        head = decompress(self._must_read(name, start, min(size, _HEAD)), whole=False)
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
        server = _Server(address, timeout)
        source = Source(address, server.read)
        server.check(source.manifest)
        return source
    if "://" in address:
        raise UsageError(
            f"{address} cannot be read by viewers.", "Give its address with https, or a folder."
        )
    root = Path(address)
    if not root.is_dir():
        raise UsageError(f"{address} is not a folder.", "Give the folder that was published to.")

    def read(name: str, start: int, size: int | None) -> bytes | None:
        try:
            with (root / name).open("rb") as file:
                file.seek(start)
                return file.read() if size is None else file.read(size)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UsageError(
                f"{root / name} cannot be read: {error.strerror or error}.", "Check the folder."
            ) from error

    return Source(address, read)


class _Server:
    """A source over HTTP."""

    def __init__(self, address: str, timeout: float) -> None:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        self._address = address
        self._timeout = timeout
        self._session = requests.Session()
        # Nothing that lies in ~/.netrc may reach a host that the user has only named.
        self._session.auth = lambda request: request
        retries = Retry(_TRIES, status_forcelist=(502, 503, 504), backoff_factor=0.3)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retries))

    def read(self, name: str, start: int, size: int | None) -> bytes | None:
        """Read bytes of a file."""
        answer = self._get(name, start, size)
        if answer.status_code in {_NOT_FOUND, _TOO_FAR}:
            return None
        if not answer.ok:
            raise ServiceError(
                f"{self._address} answered with status {answer.status_code}.",
                "Check the address and who may read it.",
            )
        content: bytes = answer.content
        if size is not None and answer.status_code != _PARTIAL:
            raise self._unfit("it ignores ranges")
        return content

    def check(self, manifest: Manifest) -> None:
        """Check that viewers can read it, which say nothing when they cannot."""
        if not manifest.tags:
            return
        answer = self._get(f"{manifest.tags[0].folder}/info", 0, 2)
        if answer.status_code != _PARTIAL or len(answer.content) != 2:  # noqa: PLR2004
            raise self._unfit("it ignores ranges")
        allowed = answer.headers.get("Access-Control-Allow-Origin", "")
        if allowed != "*":
            raise self._unfit("it does not let pages of other sites read it (CORS)")

    def _get(self, name: str, start: int, size: int | None) -> Any:
        import requests

        headers = {"Accept-Encoding": "identity", "Origin": "https://neuroglancer.example"}
        if size is not None:
            headers["Range"] = f"bytes={start}-{start + size - 1}"
        try:
            return self._session.get(
                f"{self._address}/{name}", headers=headers, timeout=self._timeout
            )
        except requests.RequestException as error:
            raise UnreachableError(
                f"{self._address} does not answer.", "Check the address and the connection."
            ) from error

    def _unfit(self, why: str) -> ServiceError:
        return ServiceError(f"Viewers cannot read {self._address}: {why}.", _HOW_TO_SERVE)
