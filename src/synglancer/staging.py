"""Options of the view and the synapses shown → how the view shows them.

Where an option needs the data (which partners are strongest, what a slider hides at first), it is
settled here. It must not know where the data come from, nor Neuroglancer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.palette import choose_cell_colours
from synglancer.partners import find_strongest_partners
from synglancer.predictions import UNLABELLED, count_predictions
from synglancer.scene import ViewOptions

if TYPE_CHECKING:
    import pandas as pd

    from synglancer.settings import Settings


def stage_view(settings: Settings, cell: int, shown: pd.DataFrame) -> ViewOptions:
    """Settle how the synapses are shown.

    Parameters
    ----------
    settings
        What was asked.
    cell
        Root ID of the cell.
    shown
        Its synapses in the state; see `synglancer.predictions.DTYPES`.
    """
    partners = find_strongest_partners(shown, [cell], settings.partners)
    colours = choose_cell_colours(len(partners))
    return ViewOptions(
        layout=settings.layout,
        background=settings.background,
        figure=settings.figure,
        palette=settings.palette,
        color_by=settings.color_by,
        min_confidence=settings.min_confidence if settings.soft_filter else 0.0,
        show_panel=settings.panel,
        filter_by_selection=settings.filter_by_selection,
        partners={root: colour for (root, _), colour in zip(partners, colours, strict=True)},
    )


def describe_stage(settings: Settings, cell: int, shown: pd.DataFrame) -> dict[str, Any]:
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
        described["hidden"] = count_predictions(hidden, settings.directions)
    if settings.partners:
        strongest = find_strongest_partners(shown, [cell], settings.partners)
        described["partners"] = [[str(root), count] for root, count in strongest]
    return described


def _find_hidden(shown: pd.DataFrame, min_confidence: float) -> pd.DataFrame:
    """Find the synapses below the sliders' start, compared as the shader does: in float32."""
    below = shown["confidence"] < np.float32(min_confidence)
    found: pd.DataFrame = shown[below & (shown["tag"] != UNLABELLED)]
    return found
