"""Options of the view and the synapses shown → how the view shows them.

Where an option needs the data (which partners are strongest, what a slider hides at first), it is
settled here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.columns import PARTNER_TYPE, POSITION_COLUMNS
from synglancer.settings import BETWEEN, UNLABELLED
from synglancer.synapses.partners import find_strongest_partners
from synglancer.synapses.predictions import count_predictions, name_directions
from synglancer.view.camera import find_middle
from synglancer.view.colors import choose_cell_colors
from synglancer.view.scene import ViewOptions
from synglancer.view.type_colors import choose_type_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.settings import Settings


def stage_view(settings: Settings, cells: Sequence[int], shown: pd.DataFrame) -> ViewOptions:
    """Settle how the synapses are shown.

    Parameters
    ----------
    settings
        What was asked.
    cells
        Root IDs of the cells, in their order.
    shown
        Their synapses in the state; see `synglancer.columns.DTYPES`.
    """
    partners = find_strongest_partners(shown, cells, int(settings.partners))
    options = choose_options(settings, cells, [root for root, _ in partners])
    if settings.color_by != "partner-type":
        return options
    return replace(options, type_colors=choose_type_colors(shown[PARTNER_TYPE].unique()))


def choose_options(
    settings: Settings, cells: Sequence[int], partners: Sequence[int]
) -> ViewOptions:
    """Choose how cells and their strongest partners, given by root ID, are shown."""
    coloured = cells if len(cells) > 1 else []  # one alone has the background's own
    colours = choose_cell_colors(len(coloured) + len(partners))
    others = colours[len(coloured) :]
    return ViewOptions(
        layout=settings.layout,
        background=settings.background,
        figure=settings.figure,
        palette=settings.palette,
        color_by=settings.color_by,
        min_confidence=settings.min_confidence if settings.soft_filter else 0.0,
        show_panel=settings.panel,
        filter_by_selection=settings.filter_by_selection,
        cells=dict(zip(coloured, colours, strict=False)),
        partners=dict(zip(partners, others, strict=True)),
    )


def describe_stage(settings: Settings, cells: Sequence[int], shown: pd.DataFrame) -> dict[str, Any]:
    """Describe, for the provenance record, what options of the view did to these synapses.

    Returns
    -------
    dict
        Only what was asked for: ``view``, the options that differ from the defaults;
        ``hidden``, how many synapses the sliders hide at first, per direction and tag; and
        ``partners``, the number of synapses shown by root ID (a string), the strongest first.
    """
    described: dict[str, Any] = {}
    if view := settings.describe_view():
        described["view"] = view
    if settings.soft_filter:
        hidden = _find_hidden(shown, settings.min_confidence)
        directions = name_directions(settings.directions, cells)
        described["hidden"] = count_predictions(hidden, directions)
    if settings.partners:
        strongest = find_strongest_partners(shown, cells, int(settings.partners))
        described["partners"] = [[str(root), count] for root, count in strongest]
    return described


def find_focus(shown: pd.DataFrame) -> tuple[float, float, float] | None:
    """Find the middle one of the synapses between cells, in nm: there, a section shows two cells.

    None where there is no such synapse.
    """
    return find_middle(shown.loc[shown["direction"] == BETWEEN, POSITION_COLUMNS].to_numpy())


def _find_hidden(shown: pd.DataFrame, min_confidence: float) -> pd.DataFrame:
    """Find the synapses below the sliders' start, compared as the shader does: in float32."""
    below = shown["confidence"] < np.float32(min_confidence)
    found: pd.DataFrame = shown[below & (shown["tag"] != UNLABELLED)]
    return found
