"""Make text from outside safe to print."""

from __future__ import annotations

REPLACEMENT = "\ufffd"
"""Replaces a control character in terminal output."""


def printable(text: str, instead: str = " ") -> str:
    r"""Replace control characters and characters that cannot be displayed.

    Parameters
    ----------
    text
        The text.
    instead
        The replacement for each such character.

    Examples
    --------
    >>> printable("a\x1b[2Jb"), printable("a\nb", instead="_")
    ('a [2Jb', 'a_b')
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead for character in text)
