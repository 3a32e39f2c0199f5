"""Neuroglancer links in documents: found whatever the format's escapes.

A document is decoded in layers (a notebook is JSON that holds HTML and Markdown), with a map back
to where each character stands in the file; links are looked for in what a reader would see. It
must not know what a link opens, nor ask anyone.
"""

from __future__ import annotations

import bisect
import html
import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[\"\\/bfnrt])")
_MARKDOWN_ESCAPE = re.compile(r"\\[!-/:-@\[-`{-~]")
_LATEX_ESCAPE = re.compile(r"\\[#%_&{}$]|\\textasciitilde(?:\{\}|(?![A-Za-z]))|\\~\{\}")
_CSV_ESCAPE = re.compile('""')


def _read_latex(escape: str) -> str:
    return "~" if "~" in escape or "tilde" in escape else escape[1]


_Layer = tuple[re.Pattern[str], "Callable[[str], str]"]
_HTML: _Layer = (_ENTITY, html.unescape)
_JSON: _Layer = (_JSON_ESCAPE, lambda escape: str(json.loads(f'"{escape}"', strict=False)))
_MARKDOWN: _Layer = (_MARKDOWN_ESCAPE, lambda escape: escape[1])
_LATEX: _Layer = (_LATEX_ESCAPE, _read_latex)
_CSV: _Layer = (_CSV_ESCAPE, lambda _: '"')

_LAYERS: dict[str, tuple[_Layer, ...]] = {
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xml", ".svg"), (_HTML,)),
    **dict.fromkeys((".md", ".markdown", ".qmd", ".rmd"), (_MARKDOWN, _HTML)),
    **dict.fromkeys((".tex", ".latex", ".ltx", ".bib", ".bbl"), (_LATEX,)),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), (_JSON,)),
    **dict.fromkeys((".csv", ".tsv"), (_CSV,)),
    ".ipynb": (_JSON, _HTML),
}
"""How each format hides characters, the outermost first; a file of any other name hides none."""

_START = re.compile(
    r"https?://[^\s\"'<>`|\\^{}()\[\]#]*?"
    r"(?:#!(?=\{|%7[bB]|[a-z0-9]+(?:\+[a-z0-9]+)*://)|[?&]json_url=(?=[a-z0-9+]+(?::|%3[aA])))"
)
_ADDRESS = re.compile(r"[A-Za-z0-9%$\-_.+!*~@&=:;?/]*")
_ENCODED = re.compile(r"[A-Za-z0-9%$\-_.+!*'(),~@&=:;?/]*%7[dD]")
_BARE = re.compile(r"[A-Za-z0-9%$\-_.+!*'(),~@&=:;?/{}\[\]]*\}")


@dataclass(frozen=True)
class Found:
    """A Neuroglancer link in a document.

    Attributes
    ----------
    url
        The link, as a reader copies it.
    line
        The line of the file that it begins in, counted from 1.
    start, end
        Where it stands in the file's text, escapes included.
    """

    url: str
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class Document:
    """A text file, and the links in it.

    Attributes
    ----------
    path
        The file.
    content
        Its bytes.
    text
        The same as text; what is not UTF-8 (or marked UTF-16) is carried along unread.
    encoding
        How `text` becomes `content` again.
    found
        The links, in the order of the file.
    """

    path: Path
    content: bytes
    text: str
    encoding: str
    found: tuple[Found, ...]


def read_document(path: Path) -> Document:
    """Read a file and find the links in it.

    Raises
    ------
    UsageError
        When it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            "Give a Neuroglancer link in quotes, or a text file such as paper.md.",
        ) from error
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    if encoding == "utf-16":
        encoding += "-le" if content[:2] == b"\xff\xfe" else "-be"
    elif b"\0" in content:
        raise UsageError(
            f"{path} is not a text file.",
            "Export it as Markdown, HTML, LaTeX, CSV or plain text, and check that.",
        )
    text = content.decode(encoding, "surrogateescape" if encoding == "utf-8" else "surrogatepass")
    return Document(path, content, text, encoding, tuple(find_links(text, path.suffix)))


def find_links(text: str, suffix: str) -> list[Found]:
    """Find the links in a text.

    Parameters
    ----------
    text
        What the file holds.
    suffix
        Its format, by the end of the file's name, such as ``.md``.
    """
    layers = _LAYERS.get(suffix.lower(), ())
    maps: list[_Map] = []
    decoded = text
    for pattern, decode in layers:
        decoded, places = _decode(decoded, pattern, decode)
        maps.append(places)
    lines = [match.end() for match in re.finditer(r"\r\n|\n|\r", text)]
    found = []
    position = 0
    while match := _START.search(decoded, position):
        position = _find_end(decoded, match)
        start, end = match.start(), position
        for places in reversed(maps):
            start, end = places.find(start), places.find(end)
        line = bisect.bisect_right(lines, start) + 1
        found.append(Found(decoded[match.start() : position], line, start, end))
        position = max(position, match.end())
    return found


def _find_end(text: str, match: re.Match[str]) -> int:
    """Find where a link ends: before the punctuation of the sentence that it stands in."""
    start = match.end()
    if text.startswith('{"', start):  # a state as it is, with its quotes
        with suppress(ValueError):
            return json.JSONDecoder().raw_decode(text, start)[1]
    for pattern in (_ENCODED, _BARE):
        state = pattern.match(text, start) if text[start] in "%{" else None
        if state:
            return state.end()
    address = _ADDRESS.match(text, start)
    return start + len(address[0].rstrip(".;:!?*_~") if address else "")


class _Map:
    """From a place in decoded text back to the text before."""

    def __init__(self) -> None:
        self._decoded = [0]
        self._raw = [0]

    def add(self, decoded: int, raw: int) -> None:
        self._decoded.append(decoded)
        self._raw.append(raw)

    def find(self, place: int) -> int:
        nearest = bisect.bisect_right(self._decoded, place) - 1
        return self._raw[nearest] + place - self._decoded[nearest]


def _decode(text: str, pattern: re.Pattern[str], decode: Callable[[str], str]) -> tuple[str, _Map]:
    """Undo a format's escapes, and remember where each of them stood."""
    parts, places = [], _Map()
    raw = decoded = 0
    for match in pattern.finditer(text):
        meaning = decode(match[0])
        parts += [text[raw : match.start()], meaning]
        decoded += match.start() - raw + len(meaning)
        raw = match.end()
        places.add(decoded, raw)
    parts.append(text[raw:])
    return "".join(parts), places


def group_places(documents: Iterable[Document]) -> dict[str, Sequence[tuple[Path, int]]]:
    """Say where each link stands: file and line of every place, links in their first order."""
    places: dict[str, list[tuple[Path, int]]] = {}
    for document in documents:
        for found in document.found:
            places.setdefault(found.url, []).append((document.path, found.line))
    return dict(places)
