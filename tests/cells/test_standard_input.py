"""Standard input is read whole, or the error says why not."""

from __future__ import annotations

import io
import sys

import pytest

from synglancer.cells.standard_input import read_standard_input
from synglancer.errors import UsageError


class Refused(io.RawIOBase):
    """A descriptor that is not open for reading, as after ``0>file``."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise self._error


def refusing(error: OSError) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedReader(Refused(error)))


@pytest.mark.parametrize(
    "stream", [io.StringIO("5\nµ"), io.TextIOWrapper(io.BytesIO(b"5\n\xc2\xb5"))]
)
def test_all_of_it_is_read(stream, monkeypatch):
    """Standard input of a terminal, or of a notebook, gives its bytes."""
    monkeypatch.setattr(sys, "stdin", stream)
    assert read_standard_input("Give a file.") == "5\nµ".encode()


def test_what_cannot_be_read_is_refused(monkeypatch):
    """A missing, a closed and an unreadable standard input are refused, each with its reason."""
    closed = io.StringIO()
    closed.close()
    for stream, reason in (
        (None, "is closed"),
        (closed, "is closed"),
        (refusing(OSError(9, "Bad file descriptor")), "cannot be read: Bad file descriptor"),
        (refusing(io.UnsupportedOperation("not readable")), "cannot be read: not readable"),
    ):
        monkeypatch.setattr(sys, "stdin", stream)
        with pytest.raises(UsageError, match=f"^Standard input {reason}.$") as refused:
            read_standard_input("Give a file.")
        assert refused.value.hint == "Give a file."
