"""Handle standard streams that are closed, full, or in another encoding."""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress

from synglancer.errors import OutputError

_HANDLER = "synglancer-bytes"


def prepare_streams() -> None:
    r"""Make sure that any text can be printed, and that no file takes the place of a closed stream.

    File names that are not UTF-8 are printed as their bytes. Characters that the encoding of
    standard output lacks are printed as escapes such as ``\u2588``.
    """
    for descriptor in (0, 1, 2):
        if not _is_open(descriptor):
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  # for good
    elif type(sys.stderr) is io.TextIOWrapper:
        encoding = sys.stderr.encoding
        talk = _Talk(sys.stderr.detach(), encoding, line_buffering=True)
        sys.stderr = sys.__stderr__ = talk  # type: ignore[misc]
    codecs.register_error(_HANDLER, _write_anyhow)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_HANDLER)


class _Talk(io.TextIOWrapper):
    """Standard error; text that cannot be written is dropped, and exit codes stay the same."""

    def write(self, text: str, /) -> int:
        """Write a text; drop it if that fails."""
        try:
            return super().write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Flush the text; drop it if that fails."""
        try:
            super().flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """Drop the rest, including the content of the buffer."""
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _write_anyhow(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write what an encoding lacks: bytes of file names unchanged, other characters escaped."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = b"".join(
        bytes([ord(character) - 0xDC00])
        if "\udc80" <= character <= "\udcff"
        else character.encode("ascii", "backslashreplace")
        for character in error.object[error.start : error.end]
    )
    return written, error.end


def check_stdout() -> None:
    """Refuse to begin if a result could not be printed.

    Raises
    ------
    OutputError
        When standard output is closed.
    """
    if sys.stdout is None:
        raise OutputError(
            "Standard output is closed, so no result can be printed.",
            "Leave it open, or redirect it to a file.",
        )


def flush_stdout() -> None:
    """Flush the output while an error can still be reported."""
    if sys.stdout is not None:
        sys.stdout.flush()


def drop_stdout() -> None:
    """Drop what could not be written, or the interpreter would try again at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
