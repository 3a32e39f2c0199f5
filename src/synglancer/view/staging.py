"""Resolve the options of the view that depend on the data, such as the strongest partners."""

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
    """Resolve the options of the view for these synapses.

    Parameters
    ----------
    settings
        The options.
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
    """Choose the look of cells and their strongest partners, given by root ID."""
    coloured = cells if len(cells) > 1 else []  # a single cell has the background's colour
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
    """Describe the effects of the view's options on these synapses, for the provenance record.

    Returns
    -------
    dict
        ``view``, the options that differ from the defaults; and, if requested, ``hidden``, the
        synapses that sliders hide at first, by direction and tag, and ``partners``, the number of
        shown synapses by root ID (a string), the strongest first.
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
    """Find the middle synapse between cells, in nm, where a section shows two cells; or None."""
    return find_middle(shown.loc[shown["direction"] == BETWEEN, POSITION_COLUMNS].to_numpy())


def _find_hidden(shown: pd.DataFrame, min_confidence: float) -> pd.DataFrame:
    """Find the synapses below the sliders' start, compared as the shader does: in float32."""
    below = shown["confidence"] < np.float32(min_confidence)
    found: pd.DataFrame = shown[below & (shown["tag"] != UNLABELLED)]
    return found
