"""What a link is about to show: cells, their synapses before and after the filters, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synglancer.links.warnings import (
    explain_autapses,
    explain_live,
    explain_silence,
    explain_tags,
)
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

_NO_SOMA = "The soma's position is not served at this version: the synapses are centred instead."


@dataclass(frozen=True)
class Loaded:
    """What a link is about to show.

    Attributes
    ----------
    cells
        Root IDs of the cells that are shown, in their order.
    table
        Which table the predictions are from.
    frame, shown
        Their synapses before and after the filters; see `synglancer.columns.DTYPES`.
    data
        What else is known of the cells.
    followed
        Which of them are in the place of a root ID that was given.
    warnings
        What a reader should know, a sentence each.
    given
        Whether a user gave the rows as tables, and no query of ours asked for them.
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
        """The soma of each cell that has one, in nm: merged cells have several."""
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
    """Put the tables of cells together, apply the filters, and list what has to be said.

    Parameters
    ----------
    settings, session
        What is asked, and of whom.
    table, cells, data, followed, given
        As in `Loaded`.
    """
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
    if len(frame):  # else it is said of all of them
        ends = find_ends(frame)
        warnings += [explain_silence(cell) for cell in cells if cell not in ends]
    autapses = count_autapses(frame)
    if autapses and len(settings.directions) > 1 and not settings.review:
        warnings.append(explain_autapses(autapses, len(cells)))
    divided = {MULTI_INPUT} if data.context.multi_input is not None else set()
    warnings += explain_tags(settings.tag, sorted({*frame["tag"], *divided}))
    shown = select_shown(settings, frame, data)
    return Loaded(cells, table, frame, shown, data, followed, warnings, given)
