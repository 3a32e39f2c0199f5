"""The folder of a background sandbox: its record, locks, log, states and sample data.

Only its user may read the folder. A sandbox holds a lock for as long as it runs. The lock, and not
a process ID, shows whether a sandbox runs: the system frees it however the process ends, while
process IDs and ports are reused.
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

#: Size of the log in bytes above which a start begins a new log.
LOG_LIMIT = 1_000_000

#: Seconds between checks of a lock, and to wait for a connection over loopback.
PAUSE = 0.05
CONNECT_TIMEOUT = 2.0


@dataclass(frozen=True)
class Running:
    """A sandbox that runs in the background."""

    origin: str  # its address
    token: str = field(repr=False)  # the token that it accepts
    pid: int
    started: str  # ISO 8601, UTC
    log: Path  # file with its log
    #: its start options without the token
    options: dict[str, Any] = field(default_factory=dict)


class Residence:
    """The folder of the background sandbox, which is created when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "sandbox.log"
        self.states = folder / "states.sqlite"  # links can still open them after a restart
        self.sample = folder / "sample"  # the generated data
        self.published = folder / "published"  # tables that clients publish, to be served
        self._record = folder / "sandbox.json"

    @classmethod
    def of_user(cls) -> Residence:
        """Return the user's folder: in ``SYNGLANCER_DATA_DIR`` or the system's place for data."""
        given = os.environ.get("SYNGLANCER_DATA_DIR")
        base = Path(given) if given else platformdirs.user_data_path("synglancer")
        return cls(base.absolute() / "sandbox")

    def prepare(self) -> None:
        """Create the folder, readable only by its user; raise `InputError` if that fails."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise InputError(
                f"The sandbox cannot keep its data in {self.folder}: {error.strerror}.",
                "Name another folder in SYNGLANCER_DATA_DIR.",
            ) from error

    def open_log(self) -> IO[bytes]:
        """Open the log for appending; a log that is too long is started again."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if os.fstat(descriptor).st_size > LOG_LIMIT:
            os.ftruncate(descriptor, 0)
        return os.fdopen(descriptor, "ab")

    def read_record(self) -> dict[str, Any]:
        """Return the last record, or an empty record."""
        try:
            record = json.loads(self._record.read_bytes())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def write_record(self, record: dict[str, Any]) -> None:
        """Replace the record in one step; only its user can read it.

        Only the process with the server's lock writes it, so one temporary file is enough.
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
        except (KeyError, TypeError, ValueError, OSError):  # it is just starting or ending
            return None
        return Running(log=self.log, **told)

    def is_locked(self, name: str) -> bool:
        """Whether a process holds a lock."""
        try:
            descriptor = os.open(self._lock_path(name), os.O_RDONLY)
        except OSError:  # the lock file or its folder does not exist
            return False
        try:
            # Shared, so that processes that only check the lock do not block each other.
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self, name: str, timeout: float) -> Iterator[None]:
        """Hold a lock during a ``with`` block.

        The lock ``start`` is for starting or stopping a sandbox, ``server`` is for the sandbox
        itself. Raises `TimeoutError` if another process keeps it for longer than the timeout.
        """
        descriptor = os.open(self._lock_path(name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not poll(lambda: _try_lock(descriptor, fcntl.LOCK_EX), timeout):
                raise TimeoutError(f"{name} is locked")
            yield
        finally:
            os.close(descriptor)

    def _lock_path(self, name: str) -> Path:
        return self.folder / f"{name}.lock"


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def poll(look: Callable[[], Found], timeout: float) -> Found:
    """Call a function until its result is true or the time (s) is up; return the last result."""
    end = time.monotonic() + timeout
    while not (found := look()) and time.monotonic() < end:
        time.sleep(PAUSE)
    return found
