"""synglancer compare: what changed of a cell between two versions, or between two links."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from synglancer.cli.printing import check_options, print_json, print_lines, print_result
from synglancer.settings import Question

if TYPE_CHECKING:
    import pandas as pd

    from synglancer.links.kinds.comparison import Comparison

_DEFAULTS = Question()


def compare(
    *given: Annotated[str, Parameter(allow_leading_hyphen=True)],
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    to: str | None = None,
    output: Literal["table", "json", "markdown", "csv", "url"] = "table",
    question: Annotated[Question, Parameter(name="*")] = _DEFAULTS,
) -> None:
    """Compare a cell's synapses between two versions, and make a link that shows what changed.

    The cell is followed through its edits. The link has a layer for the synapses that were gained,
    lost or tagged anew, and one, hidden at first, for those that were kept; the older cell is a
    fainter mesh.

    Parameters
    ----------
    given
        A cell, as for make-link; a link of make-link, which is compared with a version; or two
        such links.
    from_
        The older version: a number, latest, or a day (else --version). A link says its own.
    to
        The newer version (else latest).
    output
        What is printed: a table of counts with the link below, one JSON object, a Markdown table,
        CSV, or the link alone.
    """
    from synglancer.links.kinds.comparison import compare as compare_cell

    check_options(given)
    found = compare_cell(*given, question=question, from_=from_, to=to)
    print_lines(found.warnings)
    if output == "json":
        print_json(found.to_record())
    elif output == "csv":
        from synglancer.render.tables import format_table

        sys.stdout.buffer.write(format_table(found.counts))
        sys.stdout.buffer.flush()
        print_lines([found.url])
    elif output == "url":
        print_result(found.url)
    else:
        _print(found, markdown=output == "markdown")


def _print(found: Comparison, *, markdown: bool) -> None:
    """Print the counts, and the link."""
    names = [str(name).replace("_", " ") for name in found.counts.columns]
    rows = _list_rows(found.counts)
    if markdown:
        from synglancer.render.escapes import escape_markdown

        cells = [[escape_markdown(cell) for cell in row] for row in rows]
        ruler = ["---", "---", *["---:"] * (len(names) - 2)]
        print_lines([])
        for line in (names, ruler, *cells):
            print_result(f"| {' | '.join(line)} |")
        print_result(f"\n[What changed]({found.url})")
        return
    from synglancer.cli.printing import print_table

    old, new = found.before.provenance, found.after.provenance
    print_result(
        f"{new.cell}  {new.datastack}: version {old.version} ({old.timestamp:%Y-%m-%d}) to "
        f"{new.version} ({new.timestamp:%Y-%m-%d})"
    )
    print_table([*names[:2], *(f">{name}" for name in names[2:])], rows)
    print_result(found.url)


def _list_rows(counts: pd.DataFrame) -> list[list[str]]:
    return [
        [str(row[0]), str(row[1]), *(f"{number:,}" for number in row[2:])]
        for row in counts.itertuples(index=False)
    ]
