"""Kinds of files by the endings of their names, and those that cannot be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection


def check_kind(what: str, suffix: str, endings: Collection[str], hint: str | None = None) -> None:
    """Check that something can be written as a kind of file.

    Parameters
    ----------
    what
        What is to be written, as a sentence begins with it, such as ``A table``.
    suffix
        The ending of the file's name.
    endings
        Those that it can have.
    hint
        What to do; by default, to choose among them.

    Raises
    ------
    UsageError
        When it cannot.
    """
    if suffix not in endings:
        raise UsageError(
            f"{what} cannot be written as {suffix or 'a file without an ending'!r}.",
            hint or f"Name the file with one of {', '.join(endings)}.",
        )
