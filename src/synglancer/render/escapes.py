"""Texts of others → what they are in Markdown, LaTeX, reStructuredText, JSON and Python: text.

Markup in a tag or a server's words arrives as itself, in each format by its own rules.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pprint import pformat
from typing import Any

from synglancer.printable import printable

# Runs of what is neither ASCII nor among LaTeX's own substitutes.
_BEYOND_LATIN = re.compile(r"([^\x00-\x7f·]+)")
# What LaTeX would make one character of: an option's two hyphens a dash, two quotes a closing one.
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
    """A text that a template writes as it is, line breaks included."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return itself: it holds no markup of others that is not quoted."""
        return self


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
    r"""Make a text mean itself in Markdown, also in a table and where HTML is allowed.

    Only what would be markup where it stands is escaped: an underscore within a word is none.

    Examples
    --------
    >>> escape_markdown("synapse_target_predictions_ssa_v2 (6P-CT): 100%, *new*")
    'synapse_target_predictions_ssa_v2 (6P-CT): 100%, \\*new\\*'
    """
    escaped = re.sub(r"([\\`*{}\[\]|~$^<>&])", r"\\\1", _one_line(text))
    # What emphasises at the edge of a word, begins a block, or makes a link of bare words.
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)
    escaped = re.sub(r":(?=\S)|@|!(?=\\\[)|={2,}|\+{2,}|--+", _escape_each, escaped)
    escaped = re.sub(r"^([#+=-]|\d+(?=[.)]))", _escape_first, escaped)
    return escaped.replace(r"\&", "&amp;").replace(r"\<", "&lt;").replace(r"\>", "&gt;")


def _escape_first(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def _escape_each(found: re.Match[str]) -> str:
    return "".join(f"\\{character}" for character in found[0])


def escape_markdown_url(url: str) -> str:
    """Make an address fit between the parentheses of a Markdown link."""
    escaped = re.sub(r"[()<>\s\\|`*]", lambda found: f"%{ord(found[0]):02X}", url)
    return escaped.replace("&", "&amp;")  # "&gt;" would be read as a character


def escape_latex(text: str) -> str:
    r"""Make a text mean itself in LaTeX.

    Characters that pdfLaTeX has no letters for are written twice: for engines that do have fonts
    for them, and as their Unicode numbers for those that would stop at them.
    """
    parts = re.split(_BEYOND_LATIN, _one_line(text))
    escaped = "".join(
        _escape_beyond_latin(part) if i % 2 else "".join(_TEX.get(c, c) for c in part)
        for i, part in enumerate(parts)
    )
    return _LIGATURES.sub(r"\g<0>{}", escaped)


def _escape_beyond_latin(part: str) -> str:
    known = [c.isascii() or _is_latin(c) for c in part]
    if all(known):
        return part
    codes = " ".join(f"U+{ord(c):04X}" for c in part)
    return rf"\ifdefined\Umathchar {part}\else [{codes}]\fi{{}}"


def _is_latin(character: str) -> bool:
    """Whether pdfLaTeX knows a letter as it comes: a Latin one, with a common accent or none."""
    if character in "ßæøåÆØÅłŁœŒ":
        return True
    base, *accents = list(unicodedata.normalize("NFD", character))
    return base.isascii() and base.isalpha() and len(accents) == 1 and accents[0] in _ACCENTS


def escape_rst(text: str) -> str:
    """Make a text mean itself in reStructuredText, anywhere in a line."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", _one_line(text))


def escape_rst_url(url: str) -> str:
    """Make an address fit between the angle brackets of a link in reStructuredText."""
    encoded = re.sub(r"[<>\s`\\]", lambda found: f"%{ord(found[0]):02X}", url)
    return re.sub("_$", r"\\_", encoded)


def escape_latex_url(url: str) -> str:
    r"""Make an address fit into ``\href{}``, also within another macro's argument."""
    # hyperref undoes \# \% \& \_ only; the others mean the same when they are percent-encoded.
    encoded = re.sub(r"[{}~^\\$\s]", lambda found: f"%{ord(found[0]):02X}", url)
    return re.sub(r"([#%&_])", r"\\\1", encoded)


def format_latex_rgb(colour: str) -> str:
    """Write a colour as LaTeX's ``rgb`` model has it, which the packages color and xcolor share.

    Examples
    --------
    >>> format_latex_rgb("#fb49b0")
    '0.984,0.286,0.690'
    """
    return ",".join(f"{part / 255:.3f}" for part in bytes.fromhex(colour.removeprefix("#")))


def _one_line(text: str) -> str:
    return " ".join(printable(text).split())
