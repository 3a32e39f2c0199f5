"""synglancer report: many cells as one page or table. What is printed is the file's name."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from synglancer.cli.files import refuse_unwritable, write_beside
from synglancer.cli.printing import complain
from synglancer.errors import PictureError, UsageError
from synglancer.settings import Settings

if TYPE_CHECKING:
    from synglancer.links import Link, Skipped
    from synglancer.summary import CellSummary

Pictures = Literal["plot", "browser", "none"]

_SOME_SKIPPED = 5
_DEFAULTS = Settings()
_SIZE = "480x320"


@dataclass(frozen=True, kw_only=True)
class Reporting:
    """What is read and written.

    Parameters
    ----------
    column
        The file's column of root IDs (else pt_root_id, root_id or cell).
    group_by
        Compare the cells by this column of the file.
    pictures
        Plot each cell's synapses, take pictures in a browser, or none; for HTML only.
    template
        A Jinja2 file of your own, in place of ours.
    """

    column: str | None = None
    group_by: str | None = None
    pictures: Pictures = "plot"
    template: Path | None = None


_REPORTING = Reporting()


def report(
    *cells: str,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    reporting: Annotated[Reporting, Parameter(name="*")] = _REPORTING,
    settings: Annotated[Settings, Parameter(name="*")] = _DEFAULTS,
) -> int:
    """Make a report of many cells: links, pictures, counts by tag, plots and methods.

    The file's name goes to stdout; all else goes to stderr.

    Parameters
    ----------
    cells
        Root IDs; or one CSV, TSV, Parquet or Excel file with a column of them; or - for stdin.
    output
        The file: its ending, .html, .md, .tex, .csv or .parquet, says what it is.
    """
    from datetime import datetime, timezone  # noqa: PLC0415

    from synglancer import __version__  # noqa: PLC0415
    from synglancer.celllist import read_cell_list  # noqa: PLC0415
    from synglancer.pages import refuse_ending, render_report  # noqa: PLC0415
    from synglancer.summary import build_report  # noqa: PLC0415

    refuse_ending(output, reporting.template)
    refuse_unwritable("--output", str(output), 1)
    given = read_cell_list(cells, sys.stdin, reporting.column)
    if reporting.group_by and reporting.group_by not in given.columns:
        raise UsageError(
            f"There is no column {reporting.group_by!r} to group the cells by.",
            f"Choose with --group-by from: {', '.join(given.columns) or '(the cells have none)'}.",
        )
    settings = replace(settings, with_total=True)  # a reader of counts asks: of how many
    pictures = reporting.pictures if output.suffix == ".html" else "none"
    results = _summarise(given.cells, settings, pictures)
    made = build_report(
        given,
        results,
        settings,
        group_by=reporting.group_by,
        generator=f"synglancer {__version__}",
        made_on=f"{datetime.now(timezone.utc):%Y-%m-%d}",
    )
    write_beside("--output", output, render_report(made, output.suffix, reporting.template))
    print(output)  # noqa: T201
    for one in made.skipped:
        named = one.given in one.reason
        complain(one.reason if named else f"{one.given}: {one.reason}", one.hint)
    return _SOME_SKIPPED if made.skipped else 0


def _summarise(
    cells: list[str], settings: Settings, pictures: Pictures
) -> list[CellSummary | Skipped]:
    """Make each cell's link, and take from it what the report needs."""
    from contextlib import ExitStack  # noqa: PLC0415
    from tempfile import TemporaryDirectory  # noqa: PLC0415

    from synglancer.batch import map_links  # noqa: PLC0415
    from synglancer.summary import summarise  # noqa: PLC0415

    with ExitStack() as stack:
        if pictures == "none":
            return [*map_links(cells, settings, summarise, progress=True)]
        if pictures == "plot":
            return [*map_links(cells, settings, _plot, progress=True)]
        from synglancer.opening import open_link  # noqa: PLC0415
        from synglancer.painting import PreviewOptions  # noqa: PLC0415
        from synglancer.preview import Painter  # noqa: PLC0415
        from synglancer.report import format_data_uri  # noqa: PLC0415

        folder = Path(stack.enter_context(TemporaryDirectory()))
        painter = stack.enter_context(Painter(PreviewOptions(size=_SIZE)))

        def photograph(link: Link) -> CellSummary:
            try:
                taken = painter.paint(open_link(link), folder / f"{link.cell}.png")
            except PictureError as error:  # the cell has its link all the same
                return summarise(replace(link, warnings=[*link.warnings, str(error)]))
            return summarise(link, format_data_uri(taken.path.read_bytes(), ".png"))

        return [*map_links(cells, settings, photograph, progress=True)]


def _plot(link: Link) -> CellSummary:
    from synglancer.plot import plot_state  # noqa: PLC0415
    from synglancer.summary import summarise  # noqa: PLC0415

    width, _, height = _SIZE.partition("x")
    size = (int(width), int(height))
    # White is what the page's own colours take the place of.
    plotted = plot_state(link.state, suffix=".svg", size=size, background="white")
    return summarise(link, plotted.decode())
