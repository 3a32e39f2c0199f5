"""Collect every sentence that a user or a reader of the source may see, to be read by somebody.

`make sentences` prints one sentence per line, after the place where it stands. A sentence has one
of the kinds in `KINDS`; `--kind message` prints those of one kind, and `--riddles` those with a
turn of phrase that has to be decoded.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

ROOT = Path(__file__).parents[1]
FEWEST_WORDS = 3

KINDS = {
    "message": "strings of the source: errors, hints, notices, labels",
    "docstring": "docstrings of the source; the commands' options take their help from them",
    "comment": "comments of the source",
    "page": "templates of cards and reports, and the sandbox's pages with their scripts",
    "document": "the README, the site, the notebooks, the changelog and the package's metadata",
    "test": "docstrings of the tests",
}
"""The kinds of sentences, in words."""

RIDDLES = (
    r"must not know",
    r"served no more",
    r"not served any more",
    r"what is none",
    r"of which",
    r"so many of",
    r"those that",
    r"as they say",
    r"that of (it|them|which)\b",
    r"\b1 synapses\b",
    r"no such thing as",
)
"""Turns of phrase that a reader has to decode, as regular expressions."""


class Sentence(NamedTuple):
    """A sentence, where it stands, and its kind."""

    place: str
    text: str
    kind: str


def collect_sentences(kinds: Container[str] = KINDS) -> Iterator[Sentence]:
    """Yield the sentences of some kinds; to read the comments and the tests takes the longest."""
    yield from (one for one in _read_source(kinds) if one.kind in kinds)
    yield from (one for one in _read_documents() if one.kind in kinds)
    if "test" in kinds:
        yield from _read_tests()


def _read_source(kinds: Container[str]) -> Iterator[Sentence]:
    for path in sorted((ROOT / "src").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if "comment" in kinds:
            yield from _read_comments(path, source)
        if "message" in kinds or "docstring" in kinds:
            yield from _read_strings(path, ast.parse(source))


def _read_documents() -> Iterator[Sentence]:
    """Yield the sentences of pages, templates and documents."""
    for path in _find("src", "*.html"):
        yield from _read_text(path, _strip_page(path.read_text(encoding="utf-8")), "page")
    for path in _find("src", "*.js"):
        yield from _read_lines(path, "page")
    for path in _find("templates", "*.j2"):
        yield from _read_text(path, _strip_page(path.read_text(encoding="utf-8")), "page")
    for path in _find("docs", "*.ipynb"):
        yield from _read_notebook(path)
    for path in [*sorted(ROOT.glob("*.md")), *_find("docs", "*.md")]:
        text = _strip_markdown(path.read_text(encoding="utf-8"))
        yield from _read_text(path, text, "document")
    for name in ("pyproject.toml", "CITATION.cff", "Makefile"):
        yield from _read_lines(ROOT / name, "document")


def _read_tests() -> Iterator[Sentence]:
    """Yield the sentences of the tests, and of the scripts beside the source."""
    for path in [*_find("docs", "*.py"), *_find("bench", "*.py"), *_find("tests", "*.py")]:
        source = path.read_text(encoding="utf-8")
        yield from _read_comments(path, source, "test")
        yield from _read_docstrings(path, ast.parse(source), "test")


def _find(folder: str, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in (ROOT / folder).rglob(pattern))


def _read_strings(path: Path, tree: ast.Module) -> Iterator[Sentence]:
    """Yield the docstrings of a module, and its other strings as messages."""
    nodes = [*ast.walk(tree)]
    docstrings = {id(node) for node in _find_docstrings(nodes)}
    quoted = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if id(node) in quoted:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(_format_part(part) for part in node.values)
        else:
            continue
        kind = "docstring" if id(node) in docstrings else "message"
        yield from _split(path, node.lineno, text, kind)


def _read_docstrings(path: Path, tree: ast.Module, kind: str) -> Iterator[Sentence]:
    for node in _find_docstrings(ast.walk(tree)):
        yield from _split(path, node.lineno, str(node.value), kind)


def _find_docstrings(nodes: Iterable[ast.AST]) -> Iterator[ast.Constant]:
    """Yield the strings that stand alone as a statement."""
    for node in nodes:
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield node.value


def _read_comments(path: Path, source: str, kind: str = "comment") -> Iterator[Sentence]:
    """Yield the comments of a module; comments on adjacent lines are one text."""
    start, last, text = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or re.match(r"#:? *(noqa|fmt|type):", token.string):
            continue
        line = token.start[0]
        if line != last + 1:
            yield from _split(path, start, text, kind)
            start, text = line, ""
        last, text = line, f"{text} {token.string.lstrip('#: ')}"
    yield from _split(path, start, text, kind)


def _read_notebook(path: Path) -> Iterator[Sentence]:
    """Yield the Markdown and the comments of a notebook; the line is the number of the cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"], start=1):
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            text = "\n\n".join(re.findall(r"# (.*)", text))
        for _, block in _blocks(_strip_markdown(text)):
            yield from _split(path, number, block, "document")


def _format_part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else ""


def _read_text(path: Path, text: str, kind: str) -> Iterator[Sentence]:
    for number, block in _blocks(text):
        yield from _split(path, number, block, kind)


def _read_lines(path: Path, kind: str) -> Iterator[Sentence]:
    """Yield the comments and the quoted texts of each line."""
    text = _keep_texts(path.read_text(encoding="utf-8"))
    for number, line in enumerate(text.split("\n"), start=1):
        yield from _split(path, number, line, kind)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs, list items and table rows with the line that each begins in."""
    number = 1
    for block in re.split(r"(\n\s*\n|\n(?= *(?:[-*] |\d+\. |\|)))", text):
        if block.strip():
            yield number, block
        number += block.count("\n")


def _split(path: Path, line: int, text: str, kind: str) -> Iterator[Sentence]:
    plain = " ".join(text.split())
    for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z`{\"'])", plain):
        if len(sentence.split()) >= FEWEST_WORDS and re.search("[a-z]{2}", sentence):
            yield Sentence(f"{path.relative_to(ROOT)}:{line}", sentence, kind)


def _strip_page(text: str) -> str:
    """Drop code and styles from a page; keep the texts of tags' attributes and of scripts."""
    text = re.sub(r"\{#.*?#\}", _keep_lines, text, flags=re.DOTALL)
    text = re.sub(r"\{%.*?%\}|<style.*?</style>", _keep_lines, text, flags=re.DOTALL)
    text = re.sub(r"<script.*?</script>", _keep_texts, text, flags=re.DOTALL)
    return re.sub(r"<[^>{]*>", _keep_texts, text)


def _keep_texts(found: re.Match[str] | str) -> str:
    """Keep comments and quoted texts of several words, in their lines."""
    text = found if isinstance(found, str) else found[0]
    lines = []
    for line in text.split("\n"):
        texts = re.findall(r"(?:#|//|/\*) (.+)|\"([^\"]* [^\"]*)\"|`([^`]* [^`]*)`", line)
        lines.append(" ".join(part for parts in texts for part in parts if part))
    return "\n".join(lines)


def _strip_markdown(text: str) -> str:
    text = re.sub(r"^( *)```.*?^ *```", _keep_lines, text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)


def _keep_lines(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def find_riddles(text: str) -> list[str]:
    """List the turns of phrase in a sentence that have to be decoded."""
    return [riddle for riddle in RIDDLES if re.search(riddle, text, re.IGNORECASE)]


def main() -> int:
    """Print the sentences that the options ask for."""
    parser = argparse.ArgumentParser(description="Print every sentence that a user may read.")
    kinds = "; ".join(f"{kind}: {text}" for kind, text in KINDS.items())
    parser.add_argument("--kind", choices=KINDS, help=kinds)
    parser.add_argument("--riddles", action="store_true", help="only suspicious sentences")
    asked = parser.parse_args()
    for place, text, _ in collect_sentences([asked.kind] if asked.kind else KINDS):
        if find_riddles(text) or not asked.riddles:
            print(f"{place}: {text}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
