"""Summarise each cell for a report, with a plot, a screenshot or no picture."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synglancer.errors import PictureError, UsageError
from synglancer.links.batch import map_links
from synglancer.render.picture_options import PreviewOptions
from synglancer.report.path_lengths import measure_paths, open_skeletons
from synglancer.report.summary import summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.links.batch import Progress
    from synglancer.links.link_record import LinkRecord, Skipped
    from synglancer.links.spread import Spread
    from synglancer.render.picture_options import Pictures
    from synglancer.render.screenshots import Painter
    from synglancer.report.measures import MeasurePaths
    from synglancer.report.summary import CellSummary
    from synglancer.settings import Settings

_SIZE = PreviewOptions(size="480x320", scale=1.5)


def summarise_cells(
    cells: Sequence[str],
    settings: Settings,
    pictures: Pictures,
    *,
    path_length: bool = False,
    spread: Spread | None = None,
    progress: Progress | None = None,
) -> list[CellSummary | Skipped]:
    """Make each cell's link, and summarise it.

    Parameters
    ----------
    cells
        Root IDs.
    settings
        The options.
    pictures
        Plot each cell's synapses, take a screenshot of its view, or neither.
    path_length
        Measure the path length from synapses to the soma along the skeleton (1 request per cell).
    spread
        Processes or a cluster that make the links; None for this process.
    progress
        Shows the progress, such as `synglancer.render.progress.show_progress`.

    Raises
    ------
    UsageError
        When screenshots are requested with workers or a cluster; or when path lengths are requested
        and the datastack has no skeletons.
    PictureError
        When screenshots are requested and there is no browser, before any request is made.
    ServiceError
        As `synglancer.make_links`.
    """
    if spread is not None and pictures == "browser":
        raise UsageError(
            "Screenshots are taken by this process, not by workers.",
            "Leave out --workers and --scheduler, or choose --pictures plot.",
        )
    paths = None
    if path_length:
        open_skeletons(settings)  # checked before any link is made
        paths = partial(measure_paths, settings)
    with ExitStack() as stack:
        use: Callable[[LinkRecord], CellSummary] = partial(summarise, measure_paths=paths)
        if pictures == "plot":
            use = partial(plot_cell, paths=paths)
        elif pictures == "browser":
            from synglancer.render.screenshots import Painter

            folder = Path(stack.enter_context(TemporaryDirectory()))
            painter = stack.enter_context(Painter(_SIZE))
            use = partial(screenshot_cell, painter=painter, folder=folder, paths=paths)
        return [*map_links(cells, settings, use, spread=spread, progress=progress)]


def plot_cell(link: LinkRecord, paths: MeasurePaths | None = None) -> CellSummary:
    """Summarise a link, with a plot of its synapses as SVG."""
    from synglancer.render.plot import plot_state

    # The page's own colours replace white.
    plotted = plot_state(link.state, suffix=".svg", size=_SIZE.pixels, background="white")
    return summarise(link, plotted.decode(), paths)


def screenshot_cell(
    link: LinkRecord, painter: Painter, folder: Path, paths: MeasurePaths | None = None
) -> CellSummary:
    """Summarise a link with a screenshot; or with a plot, and why it is a plot."""
    from synglancer.render.canvas import shrink_screenshot
    from synglancer.render.cards import format_data_uri

    # A separate folder, because another thread may capture the same cell given in another form.
    with TemporaryDirectory(dir=folder) as own:
        path = Path(own) / f"{link.cell}.png"
        try:
            painter.paint(link.opened(), path)
        except PictureError as error:
            return replace(plot_cell(link, paths), picture_problem=str(error))
        content = shrink_screenshot(path.read_bytes())
    return summarise(link, format_data_uri(content, ".webp"), paths)
