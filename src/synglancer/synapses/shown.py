"""Choose the shown synapses, by the filters and the context."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from synglancer.settings import Settings
    from synglancer.synapses.loading import CellData


def select_shown(settings: Settings, frame: pd.DataFrame, data: CellData) -> pd.DataFrame:
    """Keep the synapses to show, and add requested data to them."""
    from synglancer.synapses.cell_types import label_partners  # imports pandas
    from synglancer.synapses.predictions import filter_predictions
    from synglancer.synapses.shared_spines import divide_tags

    context, tags = data.context, settings.tag
    if context.multi_input is not None:
        frame, tags = divide_tags(frame, context.multi_input, tags), ()
    shown = filter_predictions(
        frame,
        tags=tags,
        min_confidence=0.0 if settings.soft_filter else settings.min_confidence,
        max_confidence=settings.max_confidence,
        min_size=settings.min_size,
    )
    return label_partners(shown, context.cell_types) if context.cell_types else shown
