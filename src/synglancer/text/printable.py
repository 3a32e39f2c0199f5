"""Make text from outside safe to print."""

from __future__ import annotations

LONGEST = 60
"""Characters of a value that messages quote."""

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


def shorten(text: str, most: int = LONGEST) -> str:
    """Cut a long text, and mark the cut.

    Examples
    --------
    >>> shorten("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def quote(value: object, most: int = LONGEST) -> str:
    r"""Quote a given value in a message: cut if it is long, and without control characters.

    Examples
    --------
    >>> quote("a\x1bb"), quote(5.0)
    ("'a\\x1bb'", '5.0')
    """
    if isinstance(value, str):
        return repr(shorten(value, most))
    try:
        return shorten(printable(" ".join(repr(value).split())), most)
    except ValueError:  # an integer with more digits than Python writes
        return "A number with thousands of digits"
    except Exception:  # noqa: BLE001  # whatever the repr of somebody's object raises
        return f"an object of the type {type(value).__name__}"
