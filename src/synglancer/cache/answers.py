"""The cache on this machine, which makes repeated questions cheap.

It holds JSON records and tables by key, and can be deleted at any time. Files are written under a
temporary name and renamed, so that a reader sees a complete file or none. A file that cannot be
read counts as absent.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import orjson

from synglancer.cache.files import LEFTOVER, cache_folder, remove_leftovers, replacing
from synglancer.cache.locks import locked
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

Kind = Literal["datastacks", "versions", "tables", "somata", "links", "predictions"]
"""The kinds of files, each in a folder of its name."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_DIGEST_LENGTH = 32
_PART = 20  # of the limit, which may be written before the size is measured again
_DEFAULT_BOUND = "2GB"
_OURS = re.compile(  # version 0.1 kept tables as .parquet, with their digest in the name
    rf"[0-9a-f]{{32}}\.(json|table)|[0-9a-f]{{32}}-[0-9a-f]{{32}}\.parquet|{re.escape(LEFTOVER)}.*"
)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

_FORM = 1
"""Version of the format. It is part of every key, so that a new format never reads old files."""


@dataclass(frozen=True)
class Kept:
    """The files of one kind.

    Attributes
    ----------
    kind
        The kind.
    files
        Number of files.
    bytes
        Their total size.
    """

    kind: Kind
    files: int
    bytes: int


def read_bound() -> int:
    """Read the size limit in bytes (``SYNGLANCER_CACHE_MAX``, such as 500MB; else 2GB).

    Raises
    ------
    UsageError
        When it is not a size.
    """
    given = os.environ.get("SYNGLANCER_CACHE_MAX", "").strip() or _DEFAULT_BOUND
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([KMGT]?)B?", given.upper())
    if not found:
        raise UsageError(
            f"SYNGLANCER_CACHE_MAX is {given[:40]!r}, which is not a size.",
            "Give a number of bytes, or a size such as 500MB or 2GB.",
        )
    return int(float(found[1]) * _UNITS[found[2]])


class Store:
    """The cache.

    Parameters
    ----------
    enabled
        Whether to read and write the cache.

    Attributes
    ----------
    folder
        The folder of its files.
    bound
        The size limit in bytes.

    Raises
    ------
    UsageError
        When it is used, and ``SYNGLANCER_CACHE_MAX`` is not a size.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self.bound = read_bound() if enabled else 0
        self._room = -1  # bytes to write before the size has to be measured again
        self.folder = cache_folder()

    def load(
        self, kind: Kind, key: Sequence[Any], max_age: float | None = None
    ) -> dict[str, Any] | None:
        """Load a record, or None if there is no readable one.

        Parameters
        ----------
        kind, key
            Kind and key of the record.
        max_age
            Seconds after which the record counts as absent.
        """
        if not self._enabled:
            return None
        path = self._path(kind, key, ".json")
        try:
            content = orjson.loads(path.read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(content, dict) or set(content) != {"saved", "record", "sha256"}:
            return None
        if content.pop("sha256") != _digest(_canonical(content)):
            return None
        if max_age is not None and not 0 <= time.time() - content["saved"] < max_age:
            return None
        _touch(path)
        return content["record"]

    def save(self, kind: Kind, key: Sequence[Any], record: Mapping[str, Any]) -> None:
        """Save a record; with a full or read-only disk, nothing is cached."""
        if not self._enabled:
            return
        content = {"saved": time.time(), "record": dict(record)}
        signed = orjson.dumps({**content, "sha256": _digest(_canonical(content))})
        with suppress(OSError), replacing(self._path(kind, key, ".json")) as temporary:
            temporary.write_bytes(signed)

    def load_table(self, key: Sequence[Any]) -> pd.DataFrame | None:
        """Load a table, or None if there is no readable one."""
        if not self._enabled:
            return None
        path = self._path("predictions", key, ".table")
        try:
            kept = memoryview(path.read_bytes())
        except OSError:
            return None
        if _digest(kept[_DIGEST_LENGTH:]).encode() != kept[:_DIGEST_LENGTH]:
            with suppress(OSError):
                path.unlink()
            return None
        import pyarrow as pa  # takes longer than a repeated question should
        import pyarrow.parquet as pq

        _touch(path)
        reader = pa.BufferReader(pa.py_buffer(kept[_DIGEST_LENGTH:]))
        return pq.read_table(reader).to_pandas()

    def save_table(self, key: Sequence[Any], frame: pd.DataFrame) -> None:
        """Save a table, and remove the least recently used files above the limit."""
        if not self._enabled:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue().to_pybytes()
        # A digest precedes the table, because Parquet's own checksums do not cover its metadata.
        # With a full or read-only disk, nothing is cached, but the link is made.
        with suppress(OSError), replacing(self._path("predictions", key, ".table")) as temporary:
            temporary.write_bytes(_digest(content).encode() + content)
        self._room -= len(content)
        if self._room < 0:
            self._room = self._prune()

    def alone(self, question: Mapping[str, Any], seconds: float) -> AbstractContextManager[bool]:
        """Let one process at a time answer a question, so that it is asked once.

        Parameters
        ----------
        question
            The question as a key.
        seconds
            Longest time to wait for another process; then the block runs anyway.
        """
        if not self._enabled:
            return nullcontext(enter_result=False)
        return locked(self.folder / "locks" / _digest(_canonical(dict(question))), seconds)

    def measure(self) -> list[Kept]:
        """Count the files of every kind."""
        found = []
        for kind in KINDS:
            sizes = [size for _, size, _ in self._files(kind)]
            found.append(Kept(kind, len(sizes), sum(sizes)))
        return found

    def clear(self, kinds: Sequence[Kind] = KINDS) -> list[Kept]:
        """Remove the files of these kinds, and nothing else; return what was removed.

        Raises
        ------
        UsageError
            When something cannot be removed.
        """
        removed = []
        for kind in kinds:
            gone = []
            for _, size, path in self._files(kind):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise UsageError(
                        f"{path} cannot be removed: {error.strerror}.",
                        "Check the file's permissions. Other files may already have been removed.",
                    ) from error
                gone.append(size)
            removed.append(Kept(kind, len(gone), sum(gone)))
        return removed

    def _files(self, kind: Kind) -> Iterator[tuple[float, int, Path]]:
        """List our files of a kind with their time of last use, size and path."""
        for path in (self.folder / kind).glob("*"):
            if _OURS.fullmatch(path.name):
                with suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path

    def _path(self, kind: Kind, key: Sequence[Any], suffix: str) -> Path:
        return self.folder / kind / f"{_digest(_canonical([_FORM, *key]))}{suffix}"

    def _prune(self) -> int:
        """Remove the least recently used files above the limit, and leftovers.

        Return how many bytes can be written before the next measurement, because measuring after
        each file would take quadratic time. Other processes write too, so it is at most a small
        part of the limit.
        """
        for kind in KINDS:
            remove_leftovers(self.folder / kind)
        remove_leftovers(self.folder / "locks", "*")
        files = sorted(item for kind in KINDS for item in self._files(kind))
        size = sum(item[1] for item in files)
        for _, bytes_, path in files:
            if size <= self.bound:
                break
            with suppress(OSError):
                path.unlink()
            size -= bytes_
        return min(self.bound - size, self.bound // _PART)


def _touch(path: Path) -> None:
    """Record that a file was used."""
    with suppress(OSError):
        os.utime(path)


def _canonical(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]
