"""Texts of others, made safe to print."""

from __future__ import annotations

REPLACEMENT = "\ufffd"
"""Shows in a terminal where a character was that it would obey."""


def printable(text: str, instead: str = " ") -> str:
    r"""Replace what a terminal would obey, and what has no picture.

    Parameters
    ----------
    text
        The text, from anywhere.
    instead
        What to put in the place of each such character.

    Examples
    --------
    >>> printable("a\x1b[2Jb"), printable("a\nb", instead="_")
    ('a [2Jb', 'a_b')
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead for character in text)
