"""Escape text from outside for Markdown, LaTeX, reStructuredText, JSON and Python.

Markup in a tag or in a server's text stays visible as text.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from pprint import pformat
from typing import Any

from synglancer.text.printable import printable

# Runs of characters that are neither ASCII nor replaced by LaTeX commands.
_BEYOND_LATIN = re.compile(r"([^\x00-\x7f·]+)")
# Pairs that LaTeX would join: two hyphens of an option into a dash, two quotes into a closing
# quote.
_LIGATURES = re.compile("-(?=-)|'(?=')|`(?=`)|[?!](?=`)")
_ACCENTS = "\u0300\u0301\u0302\u0303\u0308\u030a\u030c"
_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "·": r"\textperiodcentered{}",
}


class _Code(str):
    """A text that a template writes with its line breaks: as it is, but escaped in HTML."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return it as the text of a page, for the HTML of a user's own template."""
        return html.escape(self)


def format_json(text: str) -> str:
    """Write a text as JSON, with its quotes."""
    return _Code(json.dumps(str(text), ensure_ascii=False))


def format_python(value: Any) -> str:
    r"""Write a value as Python, on several lines where it is long.

    Examples
    --------
    >>> print(format_python({"tag": ["spine"], "note": "a\nb"}))
    {'tag': ['spine'], 'note': 'a\nb'}
    """
    return _Code(pformat(value, width=88, compact=True, sort_dicts=False))


def escape_markdown(text: str) -> str:
    r"""Escape a text for Markdown, also for tables and where HTML is allowed.

    Only characters that would be markup at their position are escaped; an underscore within a word
    is not.

    Examples
    --------
    >>> escape_markdown("synapse_target_predictions_ssa_v2 (6P-CT): 100%, *new*")
    'synapse_target_predictions_ssa_v2 (6P-CT): 100%, \\*new\\*'
    """
    escaped = re.sub(r"([\\`*{}\[\]|~$^<>&])", r"\\\1", _one_line(text))
    # Characters that emphasise at the edge of a word, begin a block, or turn plain words into a
    # link.
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)
    escaped = re.sub(r":(?=\S)|@|!(?=\\\[)|={2,}|\+{2,}|--+", _escape_each, escaped)
    escaped = re.sub(r"^([#+=-]|\d+(?=[.)]))", _escape_first, escaped)
    return escaped.replace(r"\&", "&amp;").replace(r"\<", "&lt;").replace(r"\>", "&gt;")


def _escape_first(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def _escape_each(found: re.Match[str]) -> str:
    return "".join(f"\\{character}" for character in found[0])


def escape_markdown_url(url: str) -> str:
    """Escape an address for the parentheses of a Markdown link."""
    escaped = re.sub(r"[()<>\s\\|`*]", lambda found: f"%{ord(found[0]):02X}", url)
    return escaped.replace("&", "&amp;")  # "&gt;" would be read as a character


def escape_latex(text: str) -> str:
    r"""Escape a text for LaTeX.

    Characters that pdfLaTeX cannot print are written twice: as themselves for other engines, and as
    their Unicode numbers for pdfLaTeX.
    """
    parts = re.split(_BEYOND_LATIN, _one_line(text))
    escaped = "".join(
        _escape_beyond_latin(part) if i % 2 else "".join(_TEX.get(c, c) for c in part)
        for i, part in enumerate(parts)
    )
    return _LIGATURES.sub(r"\g<0>{}", escaped)


def _escape_beyond_latin(part: str) -> str:
    if all(map(_is_latin, part)):
        return part
    codes = " ".join(f"U+{ord(c):04X}" for c in part)
    return rf"\ifdefined\Umathchar {part}\else [{codes}]\fi{{}}"


def _is_latin(character: str) -> bool:
    """Whether pdfLaTeX can print a letter directly: a Latin letter with at most a common accent."""
    if character in "ßæøåÆØÅłŁœŒ":
        return True
    base, *accents = list(unicodedata.normalize("NFD", character))
    return base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in _ACCENTS


def escape_rst(text: str) -> str:
    """Escape a text for reStructuredText, anywhere in a line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", _one_line(text))


def escape_rst_url(url: str) -> str:
    """Escape an address for the angle brackets of a link in reStructuredText."""
    encoded = re.sub(r"[<>\s`\\]", lambda found: f"%{ord(found[0]):02X}", url)
    return re.sub("_$", r"\\_", encoded)


def escape_latex_url(url: str) -> str:
    r"""Make an address fit into ``\href{}``, also within another macro's argument."""
    # hyperref undoes \# \% \& \_ only; the others mean the same when they are percent-encoded.
    encoded = re.sub(r"[{}~^\\$\s]", lambda found: f"%{ord(found[0]):02X}", url)
    return re.sub(r"([#%&_])", r"\\\1", encoded)


def format_latex_rgb(colour: str) -> str:
    """Write a colour in LaTeX's ``rgb`` model, for the packages color and xcolor.

    Examples
    --------
    >>> format_latex_rgb("#fb49b0")
    '0.984,0.286,0.690'
    """
    return ",".join(f"{part / 255:.3f}" for part in bytes.fromhex(colour.removeprefix("#")))


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
