"""synglancer report: many cells as one page or table, whose file name is printed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from synglancer.cli.files import check_files, write_beside
from synglancer.cli.options import CELLS, OUTPUT, LinkSettings, Workers, describe
from synglancer.cli.printing import (
    check_options,
    complain,
    print_lines,
    print_result,
    print_retries,
)
from synglancer.errors import SOME_SKIPPED, ServiceError, UsageError
from synglancer.render.picture_options import Pictures  # noqa: TC001  # cyclopts reads it
from synglancer.text.printable import list_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.cells.lists import CellList
    from synglancer.links.link_record import Skipped
    from synglancer.report.baseline import Baseline
    from synglancer.report.summary import CellSummary, Report

_DEFAULTS = LinkSettings()


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """What is read and written.

    Parameters
    ----------
    column
        Column of the file with root IDs (otherwise pt_root_id, root_id or cell).
    group_by
        Compare groups of cells, named in this column of the file.
    baseline
        Compare proportions with a table of counts per tag, a manifest, or a group.
    path_length
        Measure path lengths from the soma to synapses along the skeleton.
    numbers
        Also write all numbers to this file: CSV, Parquet or Excel.
    pictures
        Pictures of cells in HTML reports: plots, screenshots or none.
    template
        Use your own Jinja2 template for the report.
    verbose
        Also print retries, and tracebacks of errors.
    """

    column: Annotated[str | None, describe(CELLS, "NAME")] = None
    group_by: Annotated[str | None, describe(OUTPUT, "COLUMN")] = None
    baseline: Annotated[str | None, describe(OUTPUT, "FILE|GROUP")] = None
    path_length: Annotated[bool, describe(OUTPUT)] = False
    numbers: Annotated[Path | None, describe(OUTPUT, "FILE")] = None
    pictures: Annotated[Pictures, describe(OUTPUT)] = "plot"
    template: Annotated[Path | None, describe(OUTPUT, "FILE")] = None
    verbose: Annotated[bool, describe(OUTPUT)] = False


_REPORTING = Reporting()
_WORKERS = Workers()


def report(
    *cells: Annotated[str, describe(None, "CELL...", allow_leading_hyphen=True)],
    output: Annotated[Path, describe(OUTPUT, "FILE", name=["--output", "-o"])],
    reporting: Annotated[Reporting, Parameter(name="*")] = _REPORTING,
    settings: Annotated[LinkSettings, Parameter(name="*")] = _DEFAULTS,
    workers: Annotated[Workers, Parameter(name="*")] = _WORKERS,
) -> int:
    """Write a report on many cells: links, pictures, counts, groups and a methods paragraph.

    Cells can be in a text file, one per line, or in a column of a CSV, TSV, Parquet, Feather or
    Excel file. The name of the report is printed on stdout; everything else goes to stderr.

    Parameters
    ----------
    cells
        Root IDs, nucleus:ID, positions, text files (- for stdin), or one table file.
    output
        File for the report: .html, .md, .tex, .ipynb, .csv, .parquet or .xlsx.
    """
    from synglancer import __version__
    from synglancer.links.warnings import explain_missing
    from synglancer.render.progress import show_progress
    from synglancer.render.tables import SUFFIXES
    from synglancer.report.building import build_report
    from synglancer.report.pictures import summarise_cells

    if reporting.verbose:
        print_retries()
    check_options(cells)
    _check_files(output, reporting, (*cells, *settings.annotations, settings.token_file))
    _check_review(settings)
    given = _read_cells(cells, reporting)
    baseline = _read_baseline(reporting, given)
    settings = replace(settings, with_total=settings.source is None)  # of how many
    pictures = reporting.pictures if output.suffix.lower() == ".html" else "none"
    results = summarise_cells(
        given.cells,
        settings,
        pictures,
        path_length=reporting.path_length,
        spread=workers.spread(),
        progress=show_progress,
    )
    _check_results(results)
    made = build_report(
        given,
        results,
        settings,
        group_by=reporting.group_by,
        generator=f"synglancer {__version__}",
        made_on=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        baseline=baseline,
        whole=output.suffix.lower() in SUFFIXES,
    )
    if len(made.skipped) == len(made.rows):  # a page without any cell would only mislead
        return _explain_skipped(made.skipped)
    _write(made, output, reporting, settings)
    _explain_skipped(made.skipped)
    noted = [row.notes for row in made.rows if row.summary]
    print_lines([*made.followed, *explain_missing(noted)])
    return SOME_SKIPPED if made.skipped else 0


def _explain_skipped(skipped: Sequence[Skipped]) -> int:
    """Explain why each cell is missing; return the exit code of the first one's error."""
    for one in skipped:
        complain(one.sentence, one.hint)
    return skipped[0].exit_code if skipped else 0


def _check_files(output: Path, reporting: Reporting, read: Sequence[str | Path | None]) -> None:
    """Refuse files that cannot be written, before any request."""
    from synglancer.render.tables import check_table_suffix
    from synglancer.report.pages import check_ending

    check_ending(output, reporting.template)
    if reporting.numbers:
        check_table_suffix(reporting.numbers)
    check_files(
        {"--output": output, "--numbers": reporting.numbers},
        (*read, reporting.baseline, reporting.template),
    )


def _check_review(settings: LinkSettings) -> None:
    if settings.review:
        raise UsageError(
            "A review has only the least confident synapses of a cell, but a report counts all "
            "of them.",
            "Leave out --review, or make review links with make-link.",
        )


def _check_results(results: Sequence[CellSummary | Skipped]) -> None:
    """Refuse cells that are all typing errors, such as a JSON file that holds no state."""
    from synglancer.links.link_record import Skipped

    faults = [
        one for one in results if isinstance(one, Skipped) and one.exit_code == UsageError.exit_code
    ]
    if results and len(faults) == len(results):
        raise UsageError(faults[0].sentence, faults[0].hint)


def _read_cells(cells: Sequence[str], reporting: Reporting) -> CellList:
    from synglancer.cells.lists import read_cell_list

    given = read_cell_list(cells, reporting.column)
    if reporting.group_by and reporting.group_by not in given.join().columns:
        raise UsageError(
            f"There is no column {reporting.group_by!r} to group the cells by.",
            f"Choose one of these with --group-by: {list_names(given.columns)}."
            if given.columns
            else "--group-by needs a table of cells with a column to group by.",
        )
    return given


def _write(report: Report, output: Path, reporting: Reporting, settings: LinkSettings) -> None:
    """Write the report and its numbers, print the report's name, and explain missing pictures."""
    from synglancer.render.tables import format_table
    from synglancer.report.numbers import build_numbers
    from synglancer.report.pages import PAGES, render_report

    whole = _add_cells_link(report, settings) if output.suffix.lower() in PAGES else report
    write_beside(
        "--output", output, render_report(whole, output.suffix.lower(), reporting.template)
    )
    if reporting.numbers:
        numbers = format_table(build_numbers(report), reporting.numbers.suffix.lower())
        write_beside("--numbers", reporting.numbers, numbers)
    print_result(str(output))
    for problem, count in report.picture_problems.items():
        complain(problem, f"For this reason, {count:,} of the pictures are plots.")


def _read_baseline(reporting: Reporting, given: CellList) -> Baseline | None:
    """Read the baseline for proportions: a named group of the cells, or a file."""
    if reporting.baseline is None:
        return None
    from synglancer.publish.manifest import MANIFEST
    from synglancer.report.baseline import Baseline, read_baseline

    if reporting.group_by and reporting.baseline in given.take(reporting.group_by):
        return Baseline(reporting.baseline, group=reporting.baseline)
    path = Path(reporting.baseline)
    if path.is_file():
        return read_baseline(path)
    if path.is_dir():
        raise UsageError(
            f"{reporting.baseline!r}, given with --baseline, is a folder.",
            f"Give a file, such as its {MANIFEST} if it is a published source.",
        )
    known = "There is no such file" + (" or group" if reporting.group_by else "")
    raise UsageError(
        f"{known}: {reporting.baseline!r}, given with --baseline.",
        "Give a table of tags and counts, or, with --group-by, one of its groups.",
    )


def _add_cells_link(report: Report, settings: LinkSettings) -> Report:
    """Add a link to all cells; if that fails, the report is still good and says why."""
    from synglancer.report.building import link_all_cells

    try:
        return link_all_cells(report, settings)
    except ServiceError as error:
        complain(f"The report has no link to all cells together: {error}", error.hint)
        return report
