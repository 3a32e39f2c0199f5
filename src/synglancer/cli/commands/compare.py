"""synglancer compare: how a cell's synapses changed between two versions or two links."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # cyclopts reads it
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from synglancer.cli.files import STDOUT, check_files, write_beside, write_table
from synglancer.cli.options import CELLS, OUTPUT, QuestionSettings, describe
from synglancer.cli.printing import (
    TYPED,
    check_options,
    complain,
    print_json,
    print_lines,
    print_result,
    print_table,
)
from synglancer.errors import SOME_SKIPPED, UsageError
from synglancer.states.urls import is_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.links.kinds.comparison import Comparison

_DEFAULTS = QuestionSettings()


def compare(
    *given: Annotated[str, describe(None, "CELL|LINK...", allow_leading_hyphen=True)],
    from_: Annotated[str | None, describe(CELLS, "VERSION", name="--from")] = None,
    to: Annotated[str | None, describe(CELLS, "VERSION")] = None,
    output: Annotated[
        Literal["table", "json", "markdown", "csv", "url"], describe(OUTPUT)
    ] = "table",
    report: Annotated[Path | None, describe(OUTPUT, "FILE")] = None,
    question: Annotated[QuestionSettings, Parameter(name="*")] = _DEFAULTS,
) -> int:
    """Compare the synapses of cells between two versions, and make links that show the changes.

    Cells are followed through edits. A link has layers for synapses that were gained, lost or given
    another tag, and a hidden layer for unchanged ones. The older cell is a fainter mesh. A link is
    compared with another version, and two links with each other.

    Parameters
    ----------
    given
        Cells, files of cells, one link from make-link, or two links.
    from_
        Older version: number, latest, or day (otherwise --version; links name their own).
    to
        Newer version: number, latest, or day (otherwise latest).
    output
        Print counts with links, a JSON object per cell, a Markdown table, CSV, or only the links.
    report
        Also write a page with all counts and links to this file: .html or .md.
    """
    from synglancer.links.kinds.comparison import Comparison
    from synglancer.links.link_record import Skipped
    from synglancer.render.progress import show_progress
    from synglancer.report.comparison_pages import check_page, render_comparisons
    from synglancer.report.comparisons import compare_all, list_compared

    check_options(given)
    _check_typed(given, from_)
    if report is not None:
        check_page(report)
        check_files({"--report": report}, (*given, question.token_file))
    asked = list_compared(given)
    results = compare_all(asked, question, from_, to, show_progress)
    found = [one for one in results if isinstance(one, Comparison)]
    skipped = [one for one in results if isinstance(one, Skipped)]
    print_lines(dict.fromkeys(line for one in found for line in one.warnings))
    if found:
        _print(found, output)
        if report is not None:
            page = render_comparisons(found, skipped, report.suffix.lower())
            write_beside("--report", report, page.encode())
    for one in skipped:
        complain(one.sentence, one.hint)
    if not found:
        return skipped[0].exit_code
    return SOME_SKIPPED if skipped else 0


def _check_typed(given: Sequence[str], from_: str | None) -> None:
    """Refuse typed options that would have no effect; in a file, they are only defaults."""
    typed = {word.partition("=")[0] for word in TYPED.get() or ()}
    if "--version" in typed and from_ is not None:
        raise UsageError(
            "Both --version and --from were given, and both are the older version.",
            "Give the older version with --from, and the newer one with --to.",
        )
    if not any(map(is_link, given)):
        return
    for name in ("version", "table", "datastack"):
        if f"--{name}" in typed:
            advice = f"Leave out --{name}."
            if name == "version":
                advice += " With one link, give the other version with --to."
            raise UsageError(f"Links have their own {name}, but --{name} was given too.", advice)


def _print(found: Sequence[Comparison], output: str) -> None:
    """Print the changes of each cell, or of all cells together."""
    if output == "json":
        for one in found:
            print_json(one.to_record())
    elif output == "url":
        for one in found:
            print_result(one.url)
    elif output == "csv":
        from synglancer.report.comparisons import tabulate

        write_table("--output", STDOUT, tabulate(found))
    elif output == "markdown":
        from synglancer.report.comparison_pages import render_comparisons

        print_result(render_comparisons(found, [], ".md").rstrip())
    else:
        _print_table(found)


def _print_table(found: Sequence[Comparison]) -> None:
    """Print the counts of all cells, and each cell with its link."""
    from synglancer.report.comparisons import sum_counts

    counts = sum_counts(found)
    old, new = found[0].before.provenance, found[0].after.provenance
    print_result(
        f"{new.cell if len(found) == 1 else f'{len(found):,} cells'}  {new.datastack}: version "
        f"{old.version} ({old.timestamp:%Y-%m-%d}) to {new.version} ({new.timestamp:%Y-%m-%d})"
    )
    names = [str(name).replace("_", " ") for name in counts.columns]
    rows = [
        [str(row[0]), str(row[1]), *(f"{number:,}" for number in row[2:])]
        for row in counts.itertuples(index=False)
    ]
    print_table([*names[:2], *(f">{name}" for name in names[2:])], rows)
    if len(found) == 1:
        print_result(found[0].url)
        return
    print_result("")
    each = [(one, one.counts.sum(numeric_only=True)) for one in found]
    print_table(
        ["cell", ">gained", ">lost", ">retagged", "link"],
        [
            [
                str(one.after.provenance.cell),
                *(f"{sums[name]:,}" for name in ("gained", "lost", "retagged_to")),
                one.url,
            ]
            for one, sums in each
        ],
    )
