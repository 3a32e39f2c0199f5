"""Print results on stdout, and summaries and errors on stderr."""

from __future__ import annotations

import re
import sys
from contextvars import ContextVar
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Literal

from synglancer.errors import OutputError, UsageError
from synglancer.settings import UNLABELLED
from synglancer.text.printable import REPLACEMENT, conceal_given, printable, quote
from synglancer.text.spelling import find_meant
from synglancer.view.tag_order import sort_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

    from synglancer.links.link_record import LinkRecord
    from synglancer.states.record_parts import PointSource

TYPED: ContextVar[tuple[str, ...] | None] = ContextVar("TYPED", default=None)
"""The words of the running command, its name first."""

GIVEN: ContextVar[tuple[str, ...]] = ContextVar("GIVEN", default=())
"""The values of its options, from wherever they come."""

OPTIONS: ContextVar[Callable[[], Iterable[str]]] = ContextVar("OPTIONS", default=tuple)
"""Lists the options of the running command, such as ``--server``."""

_WIDEST = 3_000_000  # columns, because an inline link may have two million characters

OutputFormat = Literal["url", "json", "markdown", "html", "latex", "rst"]


def format_result(
    made: LinkRecord,
    output: OutputFormat,
    template: Path | None = None,
    picture: Path | None = None,
    qr: Path | None = None,
) -> str:
    """Format a link for stdout; a card includes the picture and the QR code, if any."""
    if output == "url":
        return made.url
    if output == "json":
        import orjson

        return _escape_controls(orjson.dumps(made.to_record()).decode())
    from synglancer.render.cards import render_card

    card = render_card(made, output, template=template, picture=picture, qr=qr)
    if output == "html" and not {"<script", "<style"} & set(re.findall(r"<\w+", card.lower())):
        # Character references are shown correctly even without a charset, except in scripts and
        # styles.
        return card.encode("ascii", "xmlcharrefreplace").decode()
    return card


def _escape_controls(text: str) -> str:
    """Escape control characters in a line of JSON."""
    import json

    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)


def print_summary(made: LinkRecord) -> None:
    """Print the counts as a table, and the warnings."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    tags = sort_tags({tag for counts in made.counts_by_tag.values() for tag in counts})
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for name in ("", *tags, "all"):
        table.add_column(Text(for_terminal(name)), justify="right" if name else "left")
    for direction, counts in made.counts_by_tag.items():
        numbers = [*(counts.get(tag, 0) for tag in tags), sum(counts.values())]
        table.add_row(direction, *(f"{number:,}" for number in numbers))
    head = f"{made.subject}  {made.datastack} version {made.version} ({made.timestamp:%Y-%m-%d})"
    head += ", synthetic data" * made.provenance.synthetic
    console.print(Text(for_terminal(head)), soft_wrap=True)
    console.print(table)
    synapses = [str(one) for one in made.provenance.synapses]
    points = map(_describe_points, made.provenance.annotations)
    for line in filter(None, [*(synapses or [_format_totals(made)]), *points]):
        console.print(Text(for_terminal(line)), soft_wrap=True)
    if made.cell_types:
        whose = "cells" if synapses else "partners"
        console.print(_build_types(made.cell_types, whose), soft_wrap=True)
    print_warnings(made.warnings)


def _describe_points(source: PointSource) -> str:
    """Say how many of a user's own points are shown, and where."""
    layers = ", ".join(source.layers)
    points = f"{source.rows:,} point{'s' * (source.rows != 1)} of {source.name}"
    return f"{points}, in the layer{'s' * (len(source.layers) != 1)} {layers}."


def _build_types(described: Mapping[str, Any], whose: str) -> Table:
    """Build the table of the types of cells: a legend, where they are shown by colour."""
    from rich.table import Table
    from rich.text import Text

    partners, synapses = described["partners"], described["synapses"]
    colours = described.get("colours", {})
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for name in ("", whose, *synapses):
        table.add_column(Text(for_terminal(name)), justify="right" if name else "left")
    for name in dict.fromkeys(
        [*partners, *(one for by_type in synapses.values() for one in by_type)]
    ):
        label = Text("● ", style=colours[name]) if name in colours else Text()
        label.append(for_terminal(name), style="default")
        counts = [partners.get(name, 0), *(by_type.get(name, 0) for by_type in synapses.values())]
        table.add_row(label, *(f"{count:,}" for count in counts))
    return table


def print_warnings(warnings: Iterable[str]) -> None:
    """Print warnings, a line each."""
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for warning in warnings:
        console.print(Text(for_terminal(warning)), style="yellow")


def check_options(words: Iterable[str]) -> None:
    """Refuse unknown options of commands whose words may begin with a hyphen, such as positions.

    Raises
    ------
    UsageError
        When a word begins with two hyphens.
    """
    for word in words:
        if word.startswith("--"):
            option = word.partition("=")[0]
            raise UsageError(f"Unknown option: {quote(option)}.", suggest_option(option))


def find_unknown_option() -> str:
    """Find the first typed option that the running command does not have; empty if it has all.

    A command whose words may begin with a hyphen takes such an option for a word, and is then left
    with a word too many.
    """
    known = {*OPTIONS.get()(), "--"}
    typed = (word.partition("=")[0] for word in TYPED.get() or ())
    return next((word for word in typed if word.startswith("--") and word not in known), "")


def suggest_option(name: str) -> str:
    """Advise about an unknown option of the running command."""
    near = find_meant(name, OPTIONS.get()())
    return f"Did you mean {near}?" if near else "See --help for the options."


def print_retries() -> None:
    """Start printing retries with their reasons."""
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("synglancer").setLevel(logging.INFO)


def print_result(text: str) -> None:
    """Print a line of a command's result on stdout, without buffering.

    Raises
    ------
    OutputError
        When it cannot be written there; the link is in the history anyway.
    """
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"A result could not be written to standard output: {error.strerror}.",
            "Write the output elsewhere. `synglancer history` lists the links that were made.",
        ) from error


def print_lines(lines: Iterable[str]) -> None:
    """Print notices on stderr."""
    for line in lines:
        print(printable(line), file=sys.stderr)  # noqa: T201


def print_json(record: Mapping[str, Any]) -> None:
    """Print an object as one line."""
    import orjson

    print_result(orjson.dumps(record).decode())


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout; a name that begins with '>' heads a column of numbers.

    Links are never broken, so that they can be copied. If a terminal is too narrow for a last
    column of links, each link is printed below its row.
    """
    given = [[for_terminal(cell) for cell in row] for row in rows]
    lines, needed = _format_rows(names, given)
    if names[-1] == "link" and sys.stdout.isatty() and needed > get_terminal_size().columns:
        head, *short = _format_rows(names[:-1], [row[:-1] for row in given])[0]
        pairs = zip(short, (f"  {row[-1]}" for row in given), strict=True)
        lines = [head, *(line for pair in pairs for line in pair)]
    print(*lines, sep="\n")  # noqa: T201


def _format_rows(names: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[list[str], int]:
    """Format a table as lines, its head first; the number is the width that it needs."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for name in names:
        justify: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        table.add_column(name.removeprefix(">"), justify=justify, no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    # The height is needed, because without it rich assumes 80 columns for a "dumb" terminal.
    needed = max(Console(width=_WIDEST, height=1).measure(table).maximum, 1)
    console = Console(width=needed, height=1, highlight=False)
    with console.capture() as printed:
        console.print(table)
    return printed.get().splitlines(), needed


def _format_totals(made: LinkRecord) -> str:
    """Write the totals in a sentence: synapses with a prediction, unless others are shown too."""
    unlabelled = any(UNLABELLED in tags for tags in made.counts_by_tag.values())
    kind = "synapses, with or without a prediction" if unlabelled else "synapses with a prediction"
    hidden = made.total - made.shown
    sentences = []
    if made.shown:  # else a warning says why
        left = f"{hidden:,}" if hidden else "none"
        sentences.append(f"{made.shown:,} {kind}, shown; {left} filtered out.")
    if made.all_synapses is not None:
        counts = [f"{count:,} {name}" for name, count in made.all_synapses.items()]
        whose = "the cell" if len(made.cells) == 1 else "the cells"
        sentences.append(f"All synapses of {whose}: {', '.join(counts)}.")
    return " ".join(sentences)


def for_terminal(text: str) -> str:
    """Make a text safe to print, with a mark for each replaced character."""
    return printable(text, REPLACEMENT)


def complain(*lines: str) -> None:
    """Print an error, such as what happened and what to do, without a token given by mistake."""
    given = [*(TYPED.get() or ()), *GIVEN.get()]
    for line in lines:
        print(for_terminal(conceal_given(line, given)), file=sys.stderr)  # noqa: T201
