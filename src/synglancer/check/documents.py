"""Find Neuroglancer links in documents, despite the escapes of the format.

A document is decoded in layers (a notebook is JSON that holds HTML and Markdown), with a map from
each character back to its place in the file. Links are searched in the decoded text.
"""

from __future__ import annotations

import bisect
import html
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.cache.files import read_file
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_JSON_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[\"\\/bfnrt])")
_LATEX_ESCAPE = re.compile(r"\\[#%_&{}$]|\\textasciitilde(?:\{\}|(?![A-Za-z]))|\\~\{\}")


@dataclass(frozen=True)
class Layer:
    r"""The escapes of a format.

    Attributes
    ----------
    pattern, decode
        The form of an escape, and its meaning.
    escapes
        Characters that must be escaped in links, and their escapes.
    verbatim
        Whether links may be written without escapes, as in LaTeX's ``\url``.
    """

    pattern: re.Pattern[str]
    decode: Callable[[str], str]
    escapes: Mapping[str, str] = field(default_factory=dict)
    verbatim: bool = False

    def read(self, text: str) -> str:
        """Undo the escapes of a text."""
        return self.pattern.sub(lambda match: self.decode(match[0]), text)


_HTML = Layer(_ENTITY, html.unescape, {char: html.escape(char) for char in "&<>\"'"})
_JSON = Layer(
    _JSON_ESCAPE,
    lambda escape: str(json.loads(f'"{escape}"', strict=False)),
    {'"': '\\"', "\\": "\\\\"},
)
_MARKDOWN = Layer(re.compile(r"\\[!-/:-@\[-`{-~]"), lambda escape: escape[1])
_LATEX = Layer(
    _LATEX_ESCAPE,
    lambda escape: "~" if "~" in escape or "tilde" in escape else escape[1],
    {**{char: f"\\{char}" for char in "#%_&{}$"}, "~": "\\textasciitilde{}"},
    verbatim=True,
)
_CSV = Layer(re.compile('""'), lambda _: '"', {'"': '""'})

_LAYERS: dict[str, tuple[Layer, ...]] = {
    **dict.fromkeys((".html", ".htm", ".xhtml", ".xml", ".svg"), (_HTML,)),
    **dict.fromkeys((".md", ".markdown", ".qmd", ".rmd"), (_MARKDOWN, _HTML)),
    **dict.fromkeys((".tex", ".latex", ".ltx", ".bib", ".bbl"), (_LATEX,)),
    **dict.fromkeys((".json", ".jsonl", ".ndjson"), (_JSON,)),
    **dict.fromkeys((".csv", ".tsv"), (_CSV,)),
    ".ipynb": (_JSON, _HTML),
}
"""The escapes of each format, the outermost first; other files have none."""

TEXT_SUFFIXES = frozenset(
    {*_LAYERS, ".txt", ".text", ".rst", ".org", ".adoc", ".py", ".r", ".jl", ".m", ".yaml", ".yml"}
)
"""Kinds of files that are read in a folder."""

_MARK = re.compile(
    r"#!\+?(?=\{|%(?:25)*7[bB]|[a-z0-9]+(?:\+[a-z0-9]+)*(?:://|%3[aA]))"
    r"|[?&]json_url=(?=[a-z0-9+]+(?::|%3[aA]))"
)
"""The text between a viewer's address and a state or its address."""

_SITE = re.compile(r"https?://[^\s\"'<>`|\\^{}()\[\]#]*\Z")
_LONGEST_SITE = 2_000  # characters
_ADDRESS = re.compile(r"[A-Za-z0-9%$\-_.+!*~@&=:;?/]*")
_STATE_PIECE = re.compile(
    r"(?P<open>\{|%(?:25)*7[bB])|(?P<close>\}|%(?:25)*7[dD])|(?P<quote>\"|%(?:25)*22)"
    r"|(?P<escape>(?:\\|%(?:25)*5[cC])(?:%(?:25)*[0-9a-fA-F]{2}|.)?)"
    r"|(?P<space>[ \t])|(?P<end>[\s<>`])"
)
"""Characters that decide where a state ends: braces, quotes, and characters that links escape."""


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
        Its position in the file's text, escapes included.
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
        The same as text; bytes that are not UTF-8 (or marked UTF-16) are kept but not read.
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


def list_documents(folder: Path) -> list[Path]:
    """List the text files in a folder and in those below it, in the order of their names.

    Hidden files and folders, files of other kinds, pipes and devices are left out; symbolic links
    to folders are not followed.
    """
    found: list[Path] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(root) / name
            for name in sorted(names)
            if not name.startswith(".") and Path(name).suffix.lower() in TEXT_SUFFIXES
        ]
    return [path for path in found if path.is_file() or not path.exists()]


def parse_document(path: Path, content: bytes) -> Document:
    """Find the links in the content of a file.

    Raises
    ------
    UsageError
        When it is not text.
    """
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    if encoding == "utf-16":
        encoding += "-le" if content[:2] == b"\xff\xfe" else "-be"
    elif b"\0" in content:
        raise UsageError(
            f"{path} is not a text file.",
            "Export it as Markdown, HTML, LaTeX, CSV or plain text, and check the exported file.",
        )
    try:
        text = content.decode(encoding, _errors(encoding))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} begins like UTF-16 text, but cannot be read as such.",
            "Save it as UTF-8 and try again.",
        ) from error
    return Document(path, content, text, encoding, tuple(find_links(text, path.suffix)))


def read_document(path: Path) -> Document:
    """Read a file and find the links in it.

    Raises
    ------
    UsageError
        When it cannot be read or is not text.
    """
    try:
        content = read_file(path)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            "Give a Neuroglancer link in quotes, or a text file such as paper.md.",
        ) from error
    return parse_document(path, content)


def _errors(encoding: str) -> str:
    return "surrogateescape" if encoding == "utf-8" else "surrogatepass"


def encode_text(document: Document, text: str) -> bytes:
    """Write a text as the bytes that the document's text was read from."""
    return text.encode(document.encoding, _errors(document.encoding))


def find_layers(suffix: str) -> tuple[Layer, ...]:
    """Return the escapes of a format, the outermost first; empty for other formats."""
    return _LAYERS.get(suffix.lower(), ())


def find_links(text: str, suffix: str) -> list[Found]:
    """Find the links in a text.

    Parameters
    ----------
    text
        The content of the file.
    suffix
        Its format, by the end of the file's name, such as ``.md``.
    """
    maps: list[_Map] = []
    decoded = text
    for layer in find_layers(suffix):
        decoded, places = _decode(decoded, layer)
        maps.append(places)
    lines = [match.end() for match in re.finditer(r"\r\n|\n|\r", text)]
    found = []
    for first, last in _find_places(decoded):
        start, end = first, last
        for places in reversed(maps):
            start, end = places.find(start), places.find(end)
        line = bisect.bisect_right(lines, start) + 1
        found.append(Found(decoded[first:last], line, start, end))
    return found


def _find_places(text: str) -> Iterator[tuple[int, int]]:
    """Find where links begin and end, in linear time.

    Each piece of the text is read a bounded number of times: a link is found by the short text
    after its viewer's address, and a state without an end is not searched again.
    """
    position = unended = 0
    while mark := _MARK.search(text, position):
        before = text[max(position, mark.start() - _LONGEST_SITE) : mark.start()]
        site = _SITE.match(before, max(0, before.rfind("http://"), before.rfind("https://")))
        position = mark.end()
        if site is None:
            continue
        end = None
        if text[position] in "{%" and position >= unended:
            end, unended = _find_state_end(text, position)
        if end is None:
            address = _ADDRESS.match(text, position)
            end = position + len(address[0].rstrip(".;:!?*_~") if address else "")
        yield mark.start() - len(site[0]), end
        position = max(position, end)


def _find_state_end(text: str, start: int) -> tuple[int | None, int]:
    """Find the end of a state that a link carries, encoded or not, and how far was looked.

    None as the end where the braces do not close before the link must end.
    """
    depth, quoted, quotes = 0, False, ""
    for piece in _STATE_PIECE.finditer(text, start):
        kind, place = piece.lastgroup, piece.start()
        if kind == "quote":
            # The document's own quotes end the link: those of its state are all written alike.
            quotes = quotes or piece[0]
            if piece[0] != quotes:
                if piece[0] == '"':
                    break
                continue
            quoted = not quoted
        elif kind == "end" or (kind == "space" and not (quoted and quotes == '"')):
            break
        elif kind in {"open", "close"} and not quoted:
            depth += 1 if kind == "open" else -1
            if depth == 0:
                return piece.end(), piece.end()
    else:
        place = len(text)
    return None, place


class _Map:
    """A map from positions in decoded text back to the original text."""

    def __init__(self) -> None:
        self._decoded = [0]
        self._raw = [0]

    def add(self, decoded: int, raw: int) -> None:
        self._decoded.append(decoded)
        self._raw.append(raw)

    def find(self, place: int) -> int:
        nearest = bisect.bisect_right(self._decoded, place) - 1
        return self._raw[nearest] + place - self._decoded[nearest]


def _decode(text: str, layer: Layer) -> tuple[str, _Map]:
    """Decode a format's escapes, and remember the position of each."""
    parts, places = [], _Map()
    raw = decoded = 0
    for match in layer.pattern.finditer(text):
        meaning = layer.decode(match[0])
        parts += [text[raw : match.start()], meaning]
        decoded += match.start() - raw + len(meaning)
        raw = match.end()
        places.add(decoded, raw)
    parts.append(text[raw:])
    return "".join(parts), places
