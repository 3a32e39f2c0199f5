"""synglancer report: many cells as one page or table. What is printed is the file's name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path  # noqa: TC003  # cyclopts reads it
from typing import Annotated

from cyclopts import Parameter

from synglancer.cli.files import check_writable, write_beside
from synglancer.cli.options import CELLS, OUTPUT, LinkSettings, Workers, describe
from synglancer.cli.printing import (
    check_options,
    complain,
    print_lines,
    print_result,
    print_retries,
)
from synglancer.errors import SOME_SKIPPED, UsageError
from synglancer.render.picture_options import Pictures  # noqa: TC001  # cyclopts reads it

_DEFAULTS = LinkSettings()


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """What is read and written.

    Parameters
    ----------
    column
        Column of the file with root IDs (otherwise pt_root_id, root_id or cell).
    group_by
        Compare groups of cells by this column of the file.
    pictures
        Picture of each cell, in HTML reports: a plot, a screenshot or none.
    template
        Use your own Jinja2 template.
    verbose
        Print retries, and tracebacks of errors.
    """

    column: Annotated[str | None, describe(CELLS, "NAME")] = None
    group_by: Annotated[str | None, describe(OUTPUT, "COLUMN")] = None
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

    The name of the file is printed on stdout; everything else goes to stderr.

    Parameters
    ----------
    cells
        Root IDs, nucleus:ID or positions; text files with one of these a line (- for stdin); or one
        CSV, TSV, Parquet, Feather or Excel file with a column of them.
    output
        The file: its ending, .html, .md, .tex, .ipynb, .csv, .parquet or .xlsx, says what it is.
    """
    from datetime import datetime, timezone

    from synglancer import __version__
    from synglancer.cells.lists import read_cell_list
    from synglancer.render.progress import show_progress
    from synglancer.render.tables import SUFFIXES
    from synglancer.report.building import build_report
    from synglancer.report.pages import check_ending, render_report
    from synglancer.report.pictures import summarise_cells

    if reporting.verbose:
        print_retries()
    check_options(cells)
    check_ending(output, reporting.template)
    check_writable("--output", str(output), 1)
    given = read_cell_list(cells, reporting.column)
    if reporting.group_by and reporting.group_by not in given.join().columns:
        raise UsageError(
            f"There is no column {reporting.group_by!r} to group the cells by.",
            f"Choose with --group-by from: {', '.join(given.columns) or '(the cells have none)'}.",
        )
    settings = replace(settings, with_total=settings.source is None)  # of how many
    pictures = reporting.pictures if output.suffix == ".html" else "none"
    results = summarise_cells(
        given.cells, settings, pictures, spread=workers.spread(), progress=show_progress
    )
    made = build_report(
        given,
        results,
        settings,
        group_by=reporting.group_by,
        generator=f"synglancer {__version__}",
        made_on=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        whole=output.suffix in SUFFIXES,
    )
    write_beside("--output", output, render_report(made, output.suffix, reporting.template))
    print_result(str(output))
    for problem, count in made.picture_problems.items():
        complain(problem, f"{count:,} of the pictures are plots for that reason.")
    for one in made.skipped:
        complain(one.sentence, one.hint)
    print_lines(made.followed)
    return SOME_SKIPPED if made.skipped else 0
