"""Collect every sentence that a user may read, so that somebody can read them all.

`make sentences` prints one sentence per line, after the place where it stands: messages, help,
docstrings and comments from the source, the sandbox's pages, the templates of cards and reports,
the pages of the documentation, and the notebooks of its examples.
"""

from __future__ import annotations

import ast
import io
import json
import re
import sys
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FEWEST_WORDS = 3

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
    """A sentence, and where it stands."""

    place: str
    text: str


def collect_sentences() -> Iterator[Sentence]:
    """Yield the sentences of the source, the templates and the documents."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield from _read_source(path)
    for path in sorted((ROOT / "src").rglob("*.html")):
        yield from _read_text(path, _strip_template(path.read_text(encoding="utf-8")))
    for path in sorted((ROOT / "docs").rglob("*.ipynb")):
        yield from _read_notebook(path)
    for path in sorted((ROOT / "templates").glob("*.j2")):
        yield from _read_text(path, _strip_template(path.read_text(encoding="utf-8")))
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for path in documents:
        yield from _read_text(path, _strip_markdown(path.read_text(encoding="utf-8")))


def _read_source(path: Path) -> Iterator[Sentence]:
    """Yield the texts of a module: messages, docstrings and comments."""
    source = path.read_text(encoding="utf-8")
    yield from _read_comments(path, source)
    tree = ast.parse(source)
    quoted = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
              for part in node.values}  # fmt: skip
    for node in ast.walk(tree):
        if id(node) in quoted:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(_format_part(part) for part in node.values)
        else:
            continue
        yield from _split(path, node.lineno, text)


def _read_comments(path: Path, source: str) -> Iterator[Sentence]:
    """Yield the comments of a module; comments on adjacent lines are one text."""
    start, last, text = 0, 0, ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or re.match(r"#:? *(noqa|fmt|type):", token.string):
            continue
        line = token.start[0]
        if line != last + 1:
            yield from _split(path, start, text)
            start, text = line, ""
        last, text = line, f"{text} {token.string.lstrip('#: ')}"
    yield from _split(path, start, text)


def _read_notebook(path: Path) -> Iterator[Sentence]:
    """Yield the Markdown of a notebook; the line is the number of the cell."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"], start=1):
        if cell["cell_type"] == "markdown":
            for _, block in _blocks(_strip_markdown("".join(cell["source"]))):
                yield from _split(path, number, block)


def _format_part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return f"{{{ast.unparse(part.value)}}}" if isinstance(part, ast.FormattedValue) else ""


def _read_text(path: Path, text: str) -> Iterator[Sentence]:
    for number, block in _blocks(text):
        yield from _split(path, number, block)


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Yield paragraphs with the line that each begins in."""
    number = 1
    for block in re.split(r"(\n\s*\n)", text):
        if block.strip():
            yield number, block
        number += block.count("\n")


def _split(path: Path, line: int, text: str) -> Iterator[Sentence]:
    plain = " ".join(text.split())
    for sentence in re.split(r"(?<=[.!?:])\s+(?=[A-Z`{\"'])", plain):
        if len(sentence.split()) >= FEWEST_WORDS and re.search("[a-z]{2}", sentence):
            yield Sentence(f"{path.relative_to(ROOT)}:{line}", sentence)


def _strip_template(text: str) -> str:
    text = re.sub(r"\{#.*?#\}", _keep_lines, text, flags=re.DOTALL)
    text = re.sub(
        r"\{%.*?%\}|<style.*?</style>|<script.*?</script>", _keep_lines, text, flags=re.DOTALL
    )
    return re.sub(r"<[^>{]*>", " ", text)


def _strip_markdown(text: str) -> str:
    text = re.sub(r"^( *)```.*?^ *```", _keep_lines, text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)


def _keep_lines(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def find_riddles(text: str) -> list[str]:
    """List the turns of phrase in a sentence that have to be decoded."""
    return [riddle for riddle in RIDDLES if re.search(riddle, text, re.IGNORECASE)]


def main() -> int:
    """Print all sentences; with ``--riddles``, those that have to be decoded."""
    for place, text in collect_sentences():
        riddles = find_riddles(text)
        if "--riddles" not in sys.argv or riddles:
            print(f"{place}: {text}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
