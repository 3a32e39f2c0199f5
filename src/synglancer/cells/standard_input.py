"""Read standard input whole, for commands that take ``-``."""

from __future__ import annotations

import sys

from synglancer.cache.files import read_bounded
from synglancer.errors import UsageError


def read_standard_input(instead: str) -> bytes:
    """Read all of standard input.

    Parameters
    ----------
    instead
        The hint of the error: what to give instead.

    Raises
    ------
    UsageError
        When it is closed, cannot be read, or holds more than 1 GB.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("Standard input is closed.", instead)
    try:
        binary = getattr(sys.stdin, "buffer", None)
        return read_bounded(binary) if binary is not None else sys.stdin.read().encode()
    except OSError as error:
        reason = error.strerror or error  # Python's own refusals have no strerror
        raise UsageError(f"Standard input cannot be read: {reason}.", instead) from error
