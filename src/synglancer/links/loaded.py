"""The data for a link: cells, synapses before and after filtering, and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synglancer.links.warnings import explain_autapses, explain_live, explain_silence, explain_tags
from synglancer.settings import MULTI_INPUT
from synglancer.synapses.shown import select_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.cave.records import PredictionTable
    from synglancer.cave.session import Session
    from synglancer.cells.resolve import Followed
    from synglancer.settings import Settings
    from synglancer.synapses.loading import CellData

    Point = tuple[float, float, float]

_NO_SOMA = (
    "The soma's position is not available at this version. The view is centred on the synapses "
    "instead."
)


@dataclass(frozen=True)
class Loaded:
    """The data for a link.

    Attributes
    ----------
    cells
        Root IDs of the cells that are shown, in their order.
    table
        The table of predictions.
    frame, shown
        Synapses before and after filtering; see `synglancer.columns.DTYPES`.
    data
        Further data on the cells.
    followed
        The cells that replace an outdated root ID.
    warnings
        What readers should know, one sentence each.
    given
        Whether the user gave the rows as tables, instead of a query.
    """

    cells: Sequence[int]
    table: PredictionTable
    frame: pd.DataFrame
    shown: pd.DataFrame
    data: CellData
    followed: Sequence[Followed] = ()
    warnings: Sequence[str] = ()
    given: bool = False

    @property
    def somata(self) -> dict[int, Point]:
        """The soma of each cell with exactly one soma, in nm; merged cells have several."""
        somata = self.data.somata or {}
        return {cell: points[0] for cell, points in somata.items() if len(points) == 1}


def combine(
    settings: Settings,
    session: Session,
    table: PredictionTable,
    cells: Sequence[int],
    data: CellData,
    followed: Sequence[Followed] = (),
    *,
    given: bool = False,
) -> Loaded:
    """Combine the tables of cells, apply the filters, and collect the warnings."""
    from synglancer.synapses.predictions import (
        count_autapses,
        explain_left_out,
        find_ends,
        gather_between,
        join_predictions,
    )

    frame = gather_between(join_predictions([one.frame for one in data.tables]), cells)
    warnings = [str(found) for found in followed]
    if session.materialization.expired and not given:
        warnings.append(explain_live(session.materialization))
    if data.somata is None:
        warnings.append(_NO_SOMA)
    warnings += explain_left_out(data.tables, cells)
    if len(frame):  # otherwise one sentence covers all cells
        ends = find_ends(frame)
        warnings += [explain_silence(cell) for cell in cells if cell not in ends]
    shown = select_shown(settings, frame, data)
    autapses = count_autapses(shown)
    if autapses and len(settings.directions) > 1 and not settings.review:
        warnings.append(explain_autapses(autapses, len(cells)))
    divided = {MULTI_INPUT} if data.context.multi_input is not None else set()
    warnings += explain_tags(settings.tag, sorted({*frame["tag"], *divided}))
    return Loaded(cells, table, frame, shown, data, followed, warnings, given)
