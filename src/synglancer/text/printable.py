"""Make text from outside safe to print."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 60
"""Most characters of a value that messages quote."""

_MOST_NAMES = 40
_SEEN = 4  # characters of what may be a token
_SECRET = re.compile(
    r"(?=(?:.*[A-Za-z]){3})(?=(?:.*[0-9]){3})[A-Za-z0-9_.+=~-]{20,}", re.ASCII | re.DOTALL
)
_NAME = re.compile(r"[A-Za-z]+[0-9]*(?:[_-](?:[A-Za-z]+[0-9]*|[0-9]{1,8}))+", re.ASCII)
"""A name of several words, such as a table's: ``aibs_metamodel_mtypes_v661_v2``."""
_BEGINNING = 20  # characters that a token has at least
_ENDING = re.compile(r"\.[A-Za-z]{1,8}$", re.ASCII)
"""The end of a file's name."""

REPLACEMENT = "\ufffd"
"""Replaces a control character in terminal output."""


def printable(text: str, instead: str = " ") -> str:
    r"""Replace each control character and each character that cannot be displayed.

    Examples
    --------
    >>> printable("a\x1b[2Jb"), printable("a\nb", instead="_")
    ('a [2Jb', 'a_b')
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else instead for character in text)


def is_unicode(text: str) -> bool:
    r"""Whether a text can be written as UTF-8; words of a command may hold other bytes.

    Examples
    --------
    >>> is_unicode("é"), is_unicode("\ud800")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shorten(text: str, most: int = LONGEST) -> str:
    """Cut a long text, and mark the cut.

    Examples
    --------
    >>> shorten("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def conceal(text: str) -> str:
    """Hide all but the beginning of a text that may be a token, pasted by mistake.

    A token is one long word of letters and digits. Names of files and numbers are kept.

    Examples
    --------
    >>> conceal("0123456789abcdef0123456789abcdef"), conceal("864691135276234469")
    ('0123…', '864691135276234469')
    """
    word = text.strip()
    secret = _SECRET.fullmatch(word) and not (_ENDING.search(word) or _NAME.fullmatch(word))
    return f"{word[:_SEEN]}…" if secret else text


def conceal_given(text: str, given: Iterable[str]) -> str:
    """Hide those given words that may be tokens wherever a message repeats them, whole or cut.

    Examples
    --------
    >>> token = "0123456789abcdef0123456789abcdef"
    >>> conceal_given(f"There is no file {token}.", [f"--token-file={token}"])
    'There is no file 0123….'
    """
    for one in given:
        option, _, value = one.partition("=")
        for word in (option.lstrip("-"), value) if one.startswith("-") else (one.strip(),):
            hidden = conceal(word)
            if hidden != word:
                beginning = re.escape(word.strip()[:_BEGINNING])
                text = re.sub(rf"{beginning}(?:\.?[A-Za-z0-9_+=~-])*…?", hidden, text)
    return text


def for_message(text: str, most: int = LONGEST) -> str:
    r"""Make a text fit for a message: printable, cut if it is long, and without a token.

    Examples
    --------
    >>> for_message("a\x1bb"), for_message("0123456789abcdef0123456789abcdef")
    ('a b', '0123…')
    """
    return shorten(printable(conceal(text)), most)


def list_names(names: Iterable[object]) -> str:
    """List the names of a table's columns: a wrong file may hold anything in their place."""
    shown = [for_message(str(name)) for name in names]
    more = f" and {len(shown) - _MOST_NAMES:,} more" if len(shown) > _MOST_NAMES else ""
    return ", ".join(shown[:_MOST_NAMES]) + more


def quote(value: object, most: int = LONGEST) -> str:
    r"""Quote a given value in a message: cut if it is long, and without control characters.

    What may be a token is hidden.

    Examples
    --------
    >>> quote("a\x1bb"), quote(5.0)
    ("'a\\x1bb'", '5.0')
    """
    if isinstance(value, str):
        return repr(shorten(conceal(value), most))
    try:
        return shorten(printable(" ".join(repr(value).split())), most)
    except ValueError:  # an integer with more digits than Python writes
        return "A number with thousands of digits"
    except Exception:  # noqa: BLE001  # whatever the repr of somebody's object raises
        return f"an object of the type {type(value).__name__}"
