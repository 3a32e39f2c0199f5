"""What is kept on this machine, so that a repeated question is cheap.

JSON records and tables, found by their key: all of it can go at any time. Files are written beside
their place and renamed, so that a reader sees a whole file or none; a file that does not read back
counts as absent.
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
"""What is kept: each kind in a folder of its name."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_DIGEST_LENGTH = 32
_PART = 20  # of the bound, which may be written before all is measured again
_DEFAULT_BOUND = "2GB"
_OURS = re.compile(  # version 0.1 kept tables as .parquet, with their digest in the name
    rf"[0-9a-f]{{32}}\.(json|table)|[0-9a-f]{{32}}-[0-9a-f]{{32}}\.parquet|{re.escape(LEFTOVER)}.*"
)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}

_FORM = 1
"""Form of what is stored: part of every key, so that a new form never meets old files."""


@dataclass(frozen=True)
class Kept:
    """How much is kept of a kind.

    Attributes
    ----------
    kind
        The kind.
    files
        How many files.
    bytes
        How large they are together.
    """

    kind: Kind
    files: int
    bytes: int


def read_bound() -> int:
    """Read how many bytes may be kept (``SYNGLANCER_CACHE_MAX``, such as 500MB; else 2GB).

    Raises
    ------
    UsageError
        When it is no size.
    """
    given = os.environ.get("SYNGLANCER_CACHE_MAX", "").strip() or _DEFAULT_BOUND
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?) ?([KMGT]?)B?", given.upper())
    if not found:
        raise UsageError(
            f"SYNGLANCER_CACHE_MAX is {given[:40]!r}, which is no size.",
            "Give it as a number of bytes, or as one such as 500MB or 2GB.",
        )
    return int(float(found[1]) * _UNITS[found[2]])


class Store:
    """What is kept on this machine.

    Parameters
    ----------
    enabled
        Whether to read and write the cache.

    Raises
    ------
    UsageError
        When it is used, and ``SYNGLANCER_CACHE_MAX`` is no size.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._bound = read_bound() if enabled else 0
        self._room = -1  # bytes to write before all that is kept has to be measured again
        self.folder = cache_folder()

    def load(
        self, kind: Kind, key: Sequence[Any], max_age: float | None = None
    ) -> dict[str, Any] | None:
        """Load a record, or None if there is none that reads back.

        Parameters
        ----------
        kind, key
            What the record was saved under.
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
        record: dict[str, Any] = content["record"]
        return record

    def save(self, kind: Kind, key: Sequence[Any], record: Mapping[str, Any]) -> None:
        """Save a record; a disk that is full or read-only costs the cache only."""
        if not self._enabled:
            return
        content = {"saved": time.time(), "record": dict(record)}
        signed = orjson.dumps({**content, "sha256": _digest(_canonical(content))})
        with suppress(OSError), replacing(self._path(kind, key, ".json")) as temporary:
            temporary.write_bytes(signed)

    def load_table(self, key: Sequence[Any]) -> pd.DataFrame | None:
        """Load a table, or None if there is none that reads back."""
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
        import pyarrow as pa  # costs more than a repeated question may
        import pyarrow.parquet as pq

        _touch(path)
        reader = pa.BufferReader(pa.py_buffer(kept[_DIGEST_LENGTH:]))
        frame: pd.DataFrame = pq.read_table(reader).to_pandas()
        return frame

    def save_table(self, key: Sequence[Any], frame: pd.DataFrame) -> None:
        """Save a table, and remove what was used longest ago if all is above the bound."""
        if not self._enabled:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue().to_pybytes()
        # A digest stands before the table: Parquet's own checksums leave its metadata out.
        with (
            suppress(OSError),  # a full or read-only disk costs the cache, not the link
            replacing(self._path("predictions", key, ".table")) as temporary,
        ):
            temporary.write_bytes(_digest(content).encode() + content)
        self._room -= len(content)
        if self._room < 0:
            self._room = self._prune()

    def alone(self, question: Mapping[str, Any], seconds: float) -> AbstractContextManager[bool]:
        """Let one process at a time answer a question, so that it is answered once.

        Parameters
        ----------
        question
            What tells it from other questions.
        seconds
            How long to wait for another process; then the block runs all the same.
        """
        if not self._enabled:
            return nullcontext(enter_result=False)
        return locked(self.folder / "locks" / _digest(_canonical(dict(question))), seconds)

    def measure(self) -> list[Kept]:
        """Count what is kept, of every kind."""
        found = []
        for kind in KINDS:
            sizes = [size for _, size, _ in self._files(kind)]
            found.append(Kept(kind, len(sizes), sum(sizes)))
        return found

    @property
    def bound(self) -> int:
        """How many bytes may be kept."""
        return self._bound

    def clear(self, kinds: Sequence[Kind] = KINDS) -> list[Kept]:
        """Remove what is kept of these kinds, and nothing else; return what was removed.

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
                        "Check whose file it is; what was removed before it is gone.",
                    ) from error
                gone.append(size)
            removed.append(Kept(kind, len(gone), sum(gone)))
        return removed

    def _files(self, kind: Kind) -> Iterator[tuple[float, int, Path]]:
        """Find our own files of a kind: when each was last used, its size, its place."""
        for path in (self.folder / kind).glob("*"):
            if _OURS.fullmatch(path.name):
                with suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path

    def _path(self, kind: Kind, key: Sequence[Any], suffix: str) -> Path:
        return self.folder / kind / f"{_digest(_canonical([_FORM, *key]))}{suffix}"

    def _prune(self) -> int:
        """Remove what was used longest ago, while all is more than the bound; and leftovers.

        Returns how many bytes can be written before it is time to look again: measuring at each
        file would take the square of their number. Other processes write too, so it is a small
        part of the bound at most.
        """
        for kind in KINDS:
            remove_leftovers(self.folder / kind)
        remove_leftovers(self.folder / "locks", "*")
        files = sorted(item for kind in KINDS for item in self._files(kind))
        size = sum(item[1] for item in files)
        for _, bytes_, path in files:
            if size <= self._bound:
                break
            with suppress(OSError):
                path.unlink()
            size -= bytes_
        return min(self._bound - size, self._bound // _PART)


def _touch(path: Path) -> None:
    """Note that a file was used."""
    with suppress(OSError):
        os.utime(path)


def _canonical(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]
