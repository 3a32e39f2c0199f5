"""Read the source of one tag with tensorstore, an independent reader, for verification."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import UsageError, needs_extra
from synglancer.publish.destinations import TIMEOUT, open_destination
from synglancer.publish.encoding import RELATIONSHIPS, body_type
from synglancer.publish.manifest import MANIFEST
from synglancer.publish.reading.access import Folder, Server
from synglancer.publish.reading.info import parse_info
from synglancer.publish.sharding import INDEX_ENTRY, Sharding, read_minishard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_AT_ONCE = 4096

_RETRIES = 3  # otherwise tensorstore asks a server that is gone for many minutes
_AZURE = ("az://", "abfs://", "abfss://", "adl://")
_STORES = ("http", "s3", "gcs")


def open_files(address: str) -> Any:
    """Open a folder, or an address that tensorstore knows, as a store of files by name."""
    url = address if "://" in address else f"file://{Path(address).absolute()}"
    return _open(f"{url}/")


def _open(spec: Any) -> Any:
    import tensorstore

    context = tensorstore.Context(
        {f"{store}_request_retries": {"max_retries": _RETRIES} for store in _STORES}
    )
    return tensorstore.KvStore.open(spec, context=context).result(TIMEOUT)


def _check_tensorstore() -> None:
    with needs_extra("publish", "Checking a source needs tensorstore."):
        import tensorstore  # noqa: F401


def read_manifest(address: str) -> bytes:
    """Read the manifest.

    Raises
    ------
    UsageError
        When there is none.
    ServiceError
        When the address does not answer.
    """
    _check_tensorstore()
    if address.startswith(_AZURE):
        raise UsageError(
            f"{address} cannot be checked, because tensorstore does not read this kind of address.",
            "Give the https address of the container, if it is public, or a copy in a folder.",
        )
    content = _read_small(address, MANIFEST)
    if content is None:
        raise UsageError(
            f"{address} has no {MANIFEST}: nothing was published there, or the run did not finish.",
            "Finish it with `synglancer publish … --resume`.",
        )
    return content


def _read_small(address: str, name: str) -> bytes | None:
    """Read a small file in the same way as links and publishing, which fails quickly; or None."""
    if address.startswith(("http://", "https://")):
        return Server(address, TIMEOUT, 1).read(name, 0, None)
    if "://" in address:
        return open_destination(address, TIMEOUT).read(name)
    return Folder(address).read(name, 0, None)


class TagReader:
    """Reads the source of one tag through tensorstore.

    Parameters
    ----------
    address
        The source: a folder, or an address that tensorstore supports (http, s3, gs).
    properties
        Names of the numbers that its annotations carry.
    """

    def __init__(self, address: str, properties: Sequence[str]) -> None:
        self._base = address
        self._body = body_type(properties)
        content = _read_small(address, "info")
        if content is None:
            raise UsageError(
                f"{address} has no info file.", "Publish it again, or finish the run with --resume."
            )
        self.info: dict[str, Any] = parse_info(content, address, properties)
        self.levels: list[dict[str, Any]] = self.info["spatial"]

    def open(self, index: dict[str, Any]) -> Any:
        """Open an index as a store of chunks by key."""
        spec = {
            "driver": "neuroglancer_uint64_sharded",
            "metadata": index["sharding"],
            "base": open_files(f"{self._base}/{index['key']}").spec().to_json(),
        }
        return _open(spec)

    def read_all(self, index: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
        """Read all chunks of an index.

        Raises
        ------
        ValueError
            When the index of a shard file is damaged.
        """
        store = self.open(index)
        for keys in self._list_keys(index):
            for first in range(0, len(keys), _AT_ONCE):
                some = keys[first : first + _AT_ONCE]
                answers = [store.read(key.to_bytes(8, "big")) for key in some]
                for key, answer in zip(some, answers, strict=True):
                    yield key, bytes(answer.result(TIMEOUT).value)

    def _list_keys(self, index: dict[str, Any]) -> Iterator[list[int]]:
        """List the keys of each shard file; tensorstore's own listing sometimes hangs."""
        sharding = Sharding.from_json(index["sharding"])
        base = open_files(f"{self._base}/{index['key']}")
        size = INDEX_ENTRY * sharding.minishards
        for shard in range(sharding.shards):
            name = sharding.name_file(shard)
            head = base.read(name, byte_range=slice(0, size)).result(TIMEOUT)
            if head.state != "value":
                continue
            spans = np.frombuffer(head.value, "<u8").reshape(-1, 2)
            spans = spans[spans[:, 0] != spans[:, 1]] + np.uint64(size)
            answers = [base.read(name, byte_range=slice(*span)) for span in spans.tolist()]
            found = [read_minishard(answer.result(TIMEOUT).value)[0] for answer in answers]
            yield np.concatenate(found).tolist() if found else []

    def read_group(self, index: dict[str, Any], key: int) -> NDArray[Any] | None:
        """Read the annotations of a cell of the volume, or of a neuron; None when there is none."""
        answer = self.open(index).read(key.to_bytes(8, "big")).result(TIMEOUT)
        return self.decode(bytes(answer.value)) if answer.state == "value" else None

    def decode(self, content: bytes) -> NDArray[Any]:
        """Decode annotations that are stored together: fields ``body`` and ``id``."""
        count = int.from_bytes(content[:8], "little")
        if len(content) != 8 + count * (self._body.itemsize + 8):
            raise ValueError(f"{len(content)} bytes for {count} annotations")
        rows = np.zeros(count, np.dtype([("body", self._body), ("id", "<u8")]))
        rows["body"] = np.frombuffer(content, self._body, count, 8)
        rows["id"] = np.frombuffer(content, "<u8", count, 8 + count * self._body.itemsize)
        return rows

    def read_single(self, id_: int) -> dict[str, Any] | None:
        """Read one annotation by its ID: ``body``, ``pre`` and ``post`` (lists of root IDs)."""
        answer = self.open(self.info["by_id"]).read(id_.to_bytes(8, "big")).result(TIMEOUT)
        return self.decode_single(bytes(answer.value)) if answer.state == "value" else None

    def decode_single(self, content: bytes) -> dict[str, Any]:
        """Decode an annotation that is stored by itself."""
        found: dict[str, Any] = {"body": np.frombuffer(content, self._body, 1)[0]}
        place = self._body.itemsize
        for name in RELATIONSHIPS:
            count = int.from_bytes(content[place : place + 4], "little")
            place += 4
            found[name] = np.frombuffer(content, "<u8", count, place).tolist()
            place += 8 * count
        if place != len(content):
            raise ValueError(f"{len(content)} bytes instead of {place}")
        return found
