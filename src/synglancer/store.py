"""What is kept on this machine, so that a repeated question is cheap and a link can be traced.

Records of a datastack, predictions of a fixed version, and links by question are a cache: they
can go at any time. Receipts are a history: they stay. Files are written beside their place and
renamed, so that a reader sees a whole file or none; a file that does not read back is fetched
again. It must not know what the things that it keeps are for.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import platformdirs

from synglancer.datastack import Datastack, Materialization, PredictionTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

_DAY = 24 * 3600
_MAX_BYTES = 2 * 2**30
"""Size above which the predictions used longest ago are removed."""

_FORM = 1
"""Form of what is stored: part of every key, so that a new form never meets old files."""


def cache_folder() -> Path:
    """Return the folder of what can be fetched again (``SYNGLANCER_CACHE_DIR``)."""
    given = os.environ.get("SYNGLANCER_CACHE_DIR")
    return Path(given) if given else platformdirs.user_cache_path("synglancer")


def data_folder() -> Path:
    """Return the folder of what cannot: receipts, sandbox states (``SYNGLANCER_DATA_DIR``)."""
    given = os.environ.get("SYNGLANCER_DATA_DIR")
    return Path(given) if given else platformdirs.user_data_path("synglancer")


class Store:
    """What is kept on this machine.

    Parameters
    ----------
    enabled
        Whether to read and write the cache. Receipts are written all the same.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._folder = cache_folder()

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
        )

    def save_materialization(self, datastack: Datastack, record: Materialization) -> None:
        """Keep a version's record."""
        key = [datastack.server, datastack.name, record.version]
        self._save_record("versions", key, asdict(record))

    def load_table(self, datastack: Datastack, version: int, name: str) -> PredictionTable | None:
        """Load a table's record."""
        record = self._load_record("tables", [datastack.server, datastack.name, version, name])
        return None if record is None else PredictionTable(**record)

    def save_table(self, datastack: Datastack, version: int, table: PredictionTable) -> None:
        """Keep a table's record."""
        key = [datastack.server, datastack.name, version, table.name]
        self._save_record("tables", key, asdict(table))

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
            import pyarrow as pa  # noqa: PLC0415  # costs more than a repeated question may
            import pyarrow.parquet as pq  # noqa: PLC0415

            with suppress(OSError):
                os.utime(path)
            frame: pd.DataFrame = pq.read_table(pa.BufferReader(content)).to_pandas()
            return frame
        return None

    def save_predictions(self, key: list[Any], frame: pd.DataFrame) -> None:
        """Keep a raw table of predictions, and keep the whole within its bound."""
        if not self._enabled:
            return
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415

        table = pa.Table.from_pandas(frame, preserve_index=False)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="zstd")
        content = buffer.getvalue().to_pybytes()
        # The name holds the content's digest: Parquet's own checksums leave its metadata out.
        path = self._path("predictions", key, f"-{_digest(content)}.parquet")
        with _cache_write():
            with _replacing(path) as temporary:
                temporary.write_bytes(content)
            for other in self._find_predictions(key):
                if other != path:
                    other.unlink(missing_ok=True)
        self._prune()

    def _find_predictions(self, key: list[Any]) -> list[Path]:
        place = self._path("predictions", key, "-")
        return sorted(place.parent.glob(f"{place.name}*.parquet"))

    def add_receipt(self, receipt: Mapping[str, Any]) -> None:
        """Add a line to the history of links made on this machine."""
        line = orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS) + b"\n"
        folder = data_folder()
        with _cache_write():
            folder.mkdir(parents=True, exist_ok=True)
            # One write to a file opened for appending: lines of several processes do not mix.
            handle = os.open(
                folder / "history.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
            )
            try:
                os.write(handle, line)
            finally:
                os.close(handle)

    def _path(self, kind: str, key: list[Any], suffix: str) -> Path:
        return self._folder / kind / f"{_digest(_canonical([_FORM, *key]))}{suffix}"

    def _load_record(
        self, kind: str, key: list[Any], max_age: float | None = None
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
        record: dict[str, Any] = content["record"]
        return record

    def _save_record(self, kind: str, key: list[Any], record: dict[str, Any]) -> None:
        if not self._enabled:
            return
        content = {"saved": time.time(), "record": record}
        signed = orjson.dumps({**content, "sha256": _digest(_canonical(content))})
        with _cache_write(), _replacing(self._path(kind, key, ".json")) as temporary:
            temporary.write_bytes(signed)

    def _prune(self) -> None:
        """Remove the predictions used longest ago, while all of them are more than the bound."""
        files = []
        for path in (self._folder / "predictions").glob("*.parquet"):
            with suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        size = sum(item[1] for item in files)
        for _, bytes_, path in sorted(files):
            if size <= _MAX_BYTES:
                break
            with suppress(OSError):
                path.unlink()
            size -= bytes_


def _canonical(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


@contextmanager
def _cache_write() -> Iterator[None]:
    """Let a full or read-only disk cost the cache, not the link."""
    with suppress(OSError):
        yield


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a temporary file that takes the place of `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_file(path: Path, content: bytes) -> None:
    """Write a file of the user's, whole or not at all; what is no file, such as a pipe, is kept.

    Raises
    ------
    OSError
        When it cannot be written; the file that was there before is untouched.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # /dev/null and its kind: nothing may take their place
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    with _replacing(path.resolve()) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(mode)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
