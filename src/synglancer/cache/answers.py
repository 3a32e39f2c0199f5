"""What is kept on this machine, so that a repeated question is cheap.

Records of a datastack, predictions of a fixed version, and links by question: all of it can go at
any time. Files are written beside their place and renamed, so that a reader sees a whole file or
none; a file that does not read back is fetched again.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

import orjson

from synglancer.cache.files import LEFTOVER, cache_folder, remove_leftovers, replacing
from synglancer.cache.locks import locked
from synglancer.cave.records import Datastack, Materialization, PredictionTable
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

Kind = Literal["datastacks", "versions", "tables", "somata", "links", "predictions"]
"""What is kept: each kind in a folder of its name."""

KINDS: tuple[Kind, ...] = get_args(Kind)

_PART = 20  # of the bound, which may be written before all is measured again
_DAY = 24 * 3600
_DEFAULT_BOUND = "2GB"
_OURS = re.compile(rf"[0-9a-f]{{32}}(-[0-9a-f]{{32}})?\.(json|parquet)|{re.escape(LEFTOVER)}.*")
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
        When ``SYNGLANCER_CACHE_MAX`` is no size.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._bound = read_bound()
        self._room = -1  # bytes to write before all that is kept has to be measured again
        self.folder = cache_folder()

    def load_datastack(self, server: str, name: str) -> Datastack | None:
        """Load a datastack's record, unless it is more than a day old."""
        record = self._load_record("datastacks", [server, name], max_age=_DAY)
        if record is None:
            return None
        resolution = tuple(record.pop("viewer_resolution"))
        return Datastack(**record, viewer_resolution=resolution)

    def save_datastack(self, server: str, datastack: Datastack) -> None:
        """Keep a datastack's record."""
        self._save_record("datastacks", [server, datastack.name], asdict(datastack))

    def load_materialization(self, datastack: Datastack, version: int) -> Materialization | None:
        """Load a version's record, unless it is more than a day old: it may have expired since."""
        record = self._load_record(
            "versions", [datastack.server, datastack.name, version], max_age=_DAY
        )
        if record is None:
            return None
        expires = record["expires_on"]
        return Materialization(
            version=record["version"],
            timestamp=datetime.fromisoformat(record["timestamp"]),
            expires_on=datetime.fromisoformat(expires) if expires else None,
            expired=record.get("expired", False),
        )

    def save_materialization(self, datastack: Datastack, record: Materialization) -> None:
        """Keep a version's record."""
        key = [datastack.server, datastack.name, record.version]
        self._save_record("versions", key, asdict(record))

    def load_table(
        self, datastack: Datastack, version: int, name: str, *use: str
    ) -> PredictionTable | None:
        """Load a table's record; ``use`` sets apart what else a table was checked for."""
        key = [datastack.server, datastack.name, version, name, *use]
        record = self._load_record("tables", key)
        return None if record is None else PredictionTable(**record)

    def save_table(
        self, datastack: Datastack, version: int, table: PredictionTable, *use: str
    ) -> None:
        """Keep a table's record."""
        key = [datastack.server, datastack.name, version, table.name, *use]
        self._save_record("tables", key, asdict(table))

    def load_view(self, datastack: Datastack, version: int, name: str) -> list[str] | None:
        """Load the names of a view's columns."""
        key = [datastack.server, datastack.name, version, name, "view"]
        record = self._load_record("tables", key)
        return None if record is None else list(record["columns"])

    def save_view(self, datastack: Datastack, version: int, name: str, columns: list[str]) -> None:
        """Keep the names of a view's columns."""
        key = [datastack.server, datastack.name, version, name, "view"]
        self._save_record("tables", key, {"columns": columns})

    def load_properties(self, server: str, digest: str) -> str | None:
        """Load where segment properties with this digest were uploaded."""
        record = self._load_record("links", [server, "properties", digest])
        return None if record is None else str(record["url"])

    def save_properties(self, server: str, digest: str, url: str) -> None:
        """Keep where segment properties were uploaded."""
        self._save_record("links", [server, "properties", digest], {"url": url})

    def load_somata(self, key: list[Any]) -> list[tuple[float, float, float]] | None:
        """Load the positions of a cell's somata, in nm."""
        record = self._load_record("somata", key)
        return None if record is None else [tuple(point) for point in record["points"]]

    def save_somata(self, key: list[Any], points: list[tuple[float, float, float]]) -> None:
        """Keep the positions of a cell's somata, in nm."""
        self._save_record("somata", key, {"points": points})

    def load_link(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """Load what was answered to the same question before."""
        return self._load_record("links", [dict(question)])

    def save_link(self, question: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Keep the answer to a question."""
        self._save_record("links", [dict(question)], dict(record))

    def load_predictions(self, key: list[Any]) -> pd.DataFrame | None:
        """Load a raw table of predictions; None when there is none, or it does not read back."""
        if not self._enabled:
            return None
        for path in self._find_predictions(key):
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if _digest(content) != path.stem.rpartition("-")[2]:
                with suppress(OSError):
                    path.unlink()
                continue
            import pyarrow as pa  # costs more than a repeated question may
            import pyarrow.parquet as pq

            _touch(path)
            frame: pd.DataFrame = pq.read_table(pa.BufferReader(content)).to_pandas()
            return frame
        return None

    def save_predictions(self, key: list[Any], frame: pd.DataFrame) -> None:
        """Keep a raw table of predictions, and keep the whole within its bound."""
        if not self._enabled:
            return
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue().to_pybytes()
        # The name holds the content's digest: Parquet's own checksums leave its metadata out.
        path = self._path("predictions", key, f"-{_digest(content)}.parquet")
        with suppress(OSError):  # a full or read-only disk costs the cache, not the link
            with replacing(path) as temporary:
                temporary.write_bytes(content)
            for other in self._find_predictions(key):
                if other != path:
                    other.unlink(missing_ok=True)
        self._room -= len(content)
        if self._room < 0:
            self._room = self._prune()

    def _find_predictions(self, key: list[Any]) -> list[Path]:
        place = self._path("predictions", key, "-")
        return sorted(place.parent.glob(f"{place.name}*.parquet"))

    def alone(self, question: Mapping[str, Any], seconds: float) -> AbstractContextManager[bool]:
        """Let one process at a time answer a question, so that it is answered once.

        Parameters
        ----------
        question
            As for `load_link`.
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

    def _path(self, kind: Kind, key: list[Any], suffix: str) -> Path:
        return self.folder / kind / f"{_digest(_canonical([_FORM, *key]))}{suffix}"

    def _load_record(
        self, kind: Kind, key: list[Any], max_age: float | None = None
    ) -> dict[str, Any] | None:
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

    def _save_record(self, kind: Kind, key: list[Any], record: dict[str, Any]) -> None:
        if not self._enabled:
            return
        content = {"saved": time.time(), "record": record}
        signed = orjson.dumps({**content, "sha256": _digest(_canonical(content))})
        with suppress(OSError), replacing(self._path(kind, key, ".json")) as temporary:
            temporary.write_bytes(signed)

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


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
