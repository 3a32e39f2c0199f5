"""Locate files on this machine, read them whole, and write them completely or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

LEFTOVER = ".writing-"
"""Prefix of the names of unfinished files."""

_ABANDONED = 3600.0
"""Seconds after which such a file is abandoned, because writing takes only moments."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_STEP = 1000
_FULL = {errno.ENOSPC, errno.EDQUOT}
_SAID = re.compile(
    r"No space left|not enough space|[Qq]uota exceeded|\d+ requested and \d+ written", re.ASCII
)
"""What pyarrow, DuckDB and numpy say; numpy says only how many items it could write."""


LARGEST_INPUT = 10**9
"""Most bytes that are read of a file or pipe given by the user."""

_CHUNK = 2**20


def cache_folder() -> Path:
    """Return the folder of the cache (``SYNGLANCER_CACHE_DIR``)."""
    given = os.environ.get("SYNGLANCER_CACHE_DIR")
    return Path(given) if given else platformdirs.user_cache_path("synglancer")


def data_folder() -> Path:
    """Return the folder of receipts and sandbox states (``SYNGLANCER_DATA_DIR``)."""
    given = os.environ.get("SYNGLANCER_DATA_DIR")
    return Path(given) if given else platformdirs.user_data_path("synglancer")


def is_full(error: BaseException) -> bool:
    """Whether an error says that there was no space to write to."""
    return getattr(error, "errno", None) in _FULL or bool(_SAID.search(str(error)))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces `path` if no error occurs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=LEFTOVER)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, pattern: str = f"{LEFTOVER}*") -> None:
    """Remove unfinished files of killed processes from a folder, after an hour."""
    for path in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()


def read_file(path: Path) -> bytes:
    """Read a user's file or pipe, up to `LARGEST_INPUT`.

    Raises
    ------
    OSError
        When it cannot be read, is too large, or is a device or socket.
    """
    _refuse_device(path)
    if path.stat().st_size > LARGEST_INPUT:
        raise _build_size_error()
    with path.open("rb") as file:
        return read_bounded(file)


def _refuse_device(path: Path) -> None:
    """Refuse what may never end, such as ``/dev/zero``, but not the terminal of standard input.

    Raises
    ------
    OSError
        When it is a device or socket, or does not exist.
    """
    found = path.stat()
    if stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode) or stat.S_ISDIR(found.st_mode):
        return
    with suppress(OSError):  # standard input is closed
        if os.isatty(0) and os.path.samestat(os.fstat(0), found):
            return
    raise OSError(errno.EINVAL, "it is a device or a socket, not a file")


def read_bounded(file: BinaryIO) -> bytes:
    """Read the rest of an open file or pipe.

    Raises
    ------
    OSError
        When it holds more than `LARGEST_INPUT`, or cannot be read.
    """
    chunks, size = [], 0
    while chunk := file.read(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST_INPUT:
            raise _build_size_error()
    return b"".join(chunks)


def _build_size_error() -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {LARGEST_INPUT // 10**9} GB")


def write_file(path: Path, content: bytes) -> None:
    """Write a user's file completely or not at all; a pipe or device is written to, not replaced.

    Raises
    ------
    OSError
        When it cannot be written; the file that was there before is untouched.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # /dev/null and the like must not be replaced
        return
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
    with replacing(path.resolve()) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(mode)


def format_size(size: float) -> str:
    """Format a number of bytes for people.

    Examples
    --------
    >>> format_size(999), format_size(2e9)
    ('999 bytes', '2.0 GB')
    """
    unit = 0
    while round(size, 1) >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:,.0f} {_UNITS[unit]}" if unit == 0 else f"{size:,.1f} {_UNITS[unit]}"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
