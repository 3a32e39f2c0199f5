"""Build a report from cells and their results."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from synglancer.links.kinds.cell_set import link_cells
from synglancer.links.link_record import Skipped
from synglancer.links.record import list_given_options
from synglancer.render.cards import describe_filters
from synglancer.report.baseline import find_known_baseline
from synglancer.report.summary import Report, Row
from synglancer.settings import SAME_SPINE, SYNAPSE
from synglancer.states.record import SYNTHETIC
from synglancer.text.printable import conceal
from synglancer.view.colors import PALETTES, choose_colors
from synglancer.view.segment_properties import CellNumbers
from synglancer.view.tag_order import sort_tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.cells.lists import CellList
    from synglancer.report.baseline import Baseline
    from synglancer.report.summary import CellSummary
    from synglancer.settings import Settings


def build_report(
    cells: CellList,
    results: Sequence[CellSummary | Skipped],
    settings: Settings,
    *,
    group_by: str | None,
    generator: str,
    made_on: str,
    baseline: Baseline | None = None,
    whole: bool = False,
) -> Report:
    """Collect the contents of a report.

    Parameters
    ----------
    cells, results
        The given cells, and the result of each.
    settings
        The options.
    group_by
        The column that names each cell's group.
    generator, made_on
        Program and version; and the date.
    baseline
        Proportions to compare with; by default those of the whole table, if known.
    whole
        Whether to keep the column of cells even if each cell is shown as given.
    """
    groups = cells.take(group_by) if group_by else [""] * len(cells.cells)
    pairs = zip(cells.cells, results, strict=True)
    as_given = all(isinstance(one, Skipped) or one.name == cell for cell, one in pairs)
    apart = as_given and not whole and group_by != cells.name
    listed = cells if apart else cells.join()
    rows = [
        Row(
            given=given,
            extras=values,
            group=group,
            summary=None if isinstance(result, Skipped) else result,
            skipped=_name_row(result, given, number) if isinstance(result, Skipped) else None,
            number=number,
        )
        for number, (given, values, group, result) in enumerate(
            zip(cells.cells, listed.values, groups, results, strict=True), start=1
        )
    ]
    made = [row.summary for row in rows if row.summary]
    found = {tag for cell in made for tags in cell.counts.values() for tag in tags}
    single = [name for name in (SYNAPSE, SAME_SPINE) if any(name in cell.counts for cell in made)]
    notice = next((cell.notice for cell in made if cell.notice), "")
    synthetic = notice.startswith(SYNTHETIC)
    tags = sort_tags(found)
    return Report(
        rows=rows,
        columns=listed.columns,
        group_by=group_by or "",
        directions=(*settings.directions, *single),
        tags=tags,
        colours=choose_colors(tags, PALETTES[settings.palette]),
        synthetic=synthetic,
        notice="" if synthetic else notice,
        generator=generator,
        made_on=made_on,
        filters=describe_filters(made[0].link["filters"]) if made else [],
        options=list_given_options(settings),
        baseline=baseline or find_known_baseline(settings, synthetic=synthetic),
    )


def link_all_cells(report: Report, settings: Settings) -> Report:
    """Add a link to all cells in one view, if there are several (up to 6 requests).

    Raises
    ------
    ServiceError
        When the state server refuses the state.
    """
    cells = report.whole_cells
    if len(cells) < 2 or settings.inline:  # noqa: PLR2004
        return report
    groups = {row.summary.link["cell"]: row.group for row in report.rows if row.summary}
    url = link_cells(
        [CellNumbers(int(one.link["cell"]), groups[one.link["cell"]], one.counts) for one in cells],
        [point for one in cells for point in one.measures.corners],
        settings,
        version=cells[0].link["version"],
        table=cells[0].link["table"],
        tags=report.tags,
        group_by=report.group_by,
    )
    return replace(report, cells_link=url)


def _name_row(skipped: Skipped, given: str, number: int) -> Skipped:
    """Name a skipped cell by its row if the row has no cell."""
    return replace(skipped, given=conceal(given.strip()) or f"row {number}")
