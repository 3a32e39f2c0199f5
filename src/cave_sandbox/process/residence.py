"""Where a background sandbox keeps what outlives it: its record, its locks, its log, its states.

All lies in one folder that only its user may read. Whether a sandbox runs is told by a lock that it
holds for as long as it lives, never by a process ID: the system frees the lock with the process,
whatever ended it, while IDs and ports are given to others.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import platformdirs

from cave_sandbox.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Found = TypeVar("Found")

#: Bytes of log above which a new start begins a new one.
LOG_LIMIT = 1_000_000

#: Seconds between looks at a lock, and to wait for a connection over loopback.
PAUSE = 0.05
CONNECT_TIMEOUT = 2.0


@dataclass(frozen=True)
class Running:
    """A sandbox that runs in the background."""

    origin: str  # its address
    token: str = field(repr=False)  # that it accepts
    pid: int
    started: str  # ISO 8601, UTC
    log: Path  # what it has to say
    #: what it was started with, the token left out
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Residence:
    """The folder of the background sandbox; it is made when it is first needed."""

    folder: Path

    @classmethod
    def of_user(cls) -> Residence:
        """Return the user's: below ``SYNGLANCER_DATA_DIR``, else where the system keeps data."""
        given = os.environ.get("SYNGLANCER_DATA_DIR")
        base = Path(given) if given else platformdirs.user_data_path("synglancer")
        return cls(base.absolute() / "sandbox")

    @property
    def published(self) -> Path:
        """The folder of tables that clients publish, for the sandbox to serve."""
        return self.folder / "published"

    @property
    def log(self) -> Path:
        """The log."""
        return self.folder / "sandbox.log"

    @property
    def states(self) -> Path:
        """The states, which a link opens again after a restart."""
        return self.folder / "states.sqlite"

    @property
    def sample(self) -> Path:
        """The generated sample data."""
        return self.folder / "sample"

    @property
    def _record(self) -> Path:
        return self.folder / "sandbox.json"

    def prepare(self) -> None:
        """Make the folder, for its user's eyes only; `InputError` when that cannot be done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise InputError(
                f"The sandbox cannot keep its data in {self.folder}: {error.strerror}.",
                "Name another folder in SYNGLANCER_DATA_DIR.",
            ) from error

    def open_log(self) -> IO[bytes]:
        """Open the log to append to it; a long one begins anew."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if os.fstat(descriptor).st_size > LOG_LIMIT:
            os.ftruncate(descriptor, 0)
        return os.fdopen(descriptor, "ab")

    def read_record(self) -> dict[str, Any]:
        """Return what was last written, or an empty record."""
        try:
            record = json.loads(self._record.read_bytes())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace the record in one step, readable by its user alone.

        Only who holds the server's lock writes it, so that one draft is enough.
        """
        draft = self.folder / ".sandbox.json"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(record, indent=2), encoding="utf-8")
        draft.replace(self._record)

    def find_running(self) -> Running | None:
        """Return the sandbox that runs and takes connections, or None."""
        if not self.is_locked("server"):
            return None
        record = self.read_record()
        try:
            told = {name: record[name] for name in ("origin", "token", "pid", "started", "options")}
            address = (record["host"], record["port"])
            socket.create_connection(address, timeout=CONNECT_TIMEOUT).close()
        except (KeyError, TypeError, ValueError, OSError):  # it is starting or ending just now
            return None
        return Running(log=self.log, **told)

    def is_locked(self, name: str) -> bool:
        """Whether a process holds a lock."""
        try:
            descriptor = os.open(self._lock_path(name), os.O_RDONLY)
        except OSError:  # there is none, or no folder to have one
            return False
        try:
            # Shared: those who only look do not hinder each other.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    @contextmanager
    def locked(self, name: str, timeout: float) -> Iterator[None]:
        """Hold a lock for the time of a ``with`` block.

        ``start`` is for who starts or stops a sandbox, ``server`` for the sandbox itself.
        `TimeoutError` when another process kept it for so many seconds.
        """
        descriptor = os.open(self._lock_path(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not poll(lambda: _try_lock(descriptor), timeout):
                raise TimeoutError(f"{name} is locked")
            yield
        finally:
            os.close(descriptor)

    def _lock_path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def poll(look: Callable[[], Found], timeout: float) -> Found:
    """Look for something until it is there, for some seconds at most; return the last look's."""
    end = time.monotonic() + timeout
    while not (found := look()) and time.monotonic() < end:
        time.sleep(PAUSE)
    return found
