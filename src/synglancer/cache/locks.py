"""A lock file for one process at a time, which a dead process cannot hold.

The system frees the lock when its process ends for any reason, and waiting for a stopped process is
limited.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # pragma: no cover  # without POSIX, nothing is locked
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
        Longest time to wait for another process.

    Yields
    ------
    bool
        Whether the lock is held: not if the time ran out or the folder does not allow locks. The
        block runs anyway, because the lock only saves work.
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
    """Whether the locked file still has that name, because its holder removes it."""
    try:
        found = path.stat()
    except OSError:
        return False
    return os.path.samestat(os.fstat(handle), found)
