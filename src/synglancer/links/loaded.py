"""What a link is about to show: cells, their synapses before and after the filters, and notes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.cave.records import PredictionTable
    from synglancer.cells.resolve import Followed
    from synglancer.synapses.loading import CellData

    Point = tuple[float, float, float]


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
    """

    cells: Sequence[int]
    table: PredictionTable
    frame: pd.DataFrame
    shown: pd.DataFrame
    data: CellData
    followed: Sequence[Followed] = ()
    warnings: Sequence[str] = ()

    @property
    def somata(self) -> dict[int, Point]:
        """The soma of each cell that has one, in nm: merged cells have several."""
        somata = self.data.somata or {}
        return {cell: points[0] for cell, points in somata.items() if len(points) == 1}
