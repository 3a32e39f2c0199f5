"""One process at a time: a lock file that no dead process can hold.

The system frees a lock with the process that held it, whatever ended it; and a process that is
stopped is not waited for longer than is said.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # pragma: no cover  # where there is no POSIX, nothing is locked
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAUSE = 0.05  # seconds between looks at a lock


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[bool]:
    """Hold a lock file for as long as the block runs.

    Parameters
    ----------
    path
        The lock file; it is made when it is absent, and removed afterwards.
    seconds
        How long to wait for another process that holds it.

    Yields
    ------
    bool
        Whether it is held: not when the time was up, or when the folder allows no lock. The
        block runs all the same, since a lock saves work here and is no condition for it.
    """
    handle = _acquire(path, seconds)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with suppress(OSError):  # removed while it is held: see `_is_at`
                path.unlink()
            os.close(handle)


def _acquire(path: Path, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while fcntl is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(handle, path):
                return handle
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks
            os.close(handle)
            return None
        os.close(handle)
        if time.monotonic() >= deadline:
            return None
        time.sleep(_PAUSE)
    return None  # pragma: no cover


def _is_at(handle: int, path: Path) -> bool:
    """Whether the file that was locked is still the one of that name: its holder removes it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(handle), found)
