"""Resolve the options of the view that depend on the data, such as the strongest partners."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from synglancer.columns import PARTNER_TYPE, POSITION_COLUMNS
from synglancer.settings import BETWEEN, UNLABELLED
from synglancer.synapses.partners import find_strongest_partners
from synglancer.synapses.predictions import count_predictions
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


def count_hidden(
    settings: Settings, shown: pd.DataFrame, directions: Sequence[str]
) -> dict[str, dict[str, int]] | None:
    """Count the synapses that sliders hide at first, by direction and tag; None without a slider.

    They are compared with the sliders' start as the shader does it: in float32.
    """
    if not settings.soft_filter:
        return None
    below = shown["confidence"] < np.float32(settings.min_confidence)
    return count_predictions(shown[below & (shown["tag"] != UNLABELLED)], directions)


def find_focus(shown: pd.DataFrame) -> tuple[float, float, float] | None:
    """Find the middle synapse between cells, in nm, where a section shows two cells; or None."""
    return find_middle(shown.loc[shown["direction"] == BETWEEN, POSITION_COLUMNS].to_numpy())
