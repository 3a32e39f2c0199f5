"""What was asked and what is shown → the provenance record, which travels in the state.

pandas is imported when there are synapses to count: a repeated question
has none.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from synglancer import __version__
from synglancer.settings import Settings
from synglancer.states.record import Provenance
from synglancer.states.record_parts import CellTypes, MultiInput, Replacement

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.cave.records import PredictionTable
    from synglancer.cave.session import Session
    from synglancer.cells.resolve import Followed
    from synglancer.synapses.loading import CellData

_UNTOLD = {"token_file", "timeout", "no_cache"}


def build_record(
    settings: Settings,
    session: Session,
    table: PredictionTable,
    cells: Sequence[int],
    frame: pd.DataFrame,
    shown: pd.DataFrame,
    data: CellData,
    followed: Sequence[Followed],
) -> Provenance:
    """Build the provenance record.

    Parameters
    ----------
    settings, session, table
        What was asked, of whom, and of which table.
    cells
        Root IDs of the cells that are shown, in their order.
    frame, shown
        Their synapses before and after the filters.
    data
        What else is known of them.
    followed
        Which of them are in the place of a root ID that was given.

    Returns
    -------
    Provenance
        Cells that were merged have several somata, and none that is *theirs*.
    """
    from synglancer.synapses.predictions import (
        count_autapses,
        count_predictions,
        name_directions,
    )
    from synglancer.view.staging import describe_stage

    version = session.materialization
    stage = describe_stage(settings, cells, shown)
    partners = stage.get("partners")
    return Provenance(
        cell=cells[0],
        cells=tuple(cells),
        datastack=session.datastack.name,
        server=session.server,
        version=version.version,
        timestamp=version.timestamp,
        table=table.name,
        counts=count_predictions(shown, name_directions(settings.directions, cells)),
        shown=len(shown),
        total=len(frame),
        autapses=count_autapses(shown),
        followed=tuple(Replacement.from_json(one.to_record()) for one in followed),
        live=version.expired,
        all_synapses=data.all_synapses,
        filters=build_filters(settings),
        generator=f"synglancer {__version__}",
        notice=table.notice or "",
        with_unlabelled=settings.with_unlabelled,
        view=stage.get("view", {}),
        hidden=stage.get("hidden"),
        partners=None if partners is None else tuple((int(root), n) for root, n in partners),
        multi_input=_describe_multi_input(settings, cells, frame, shown, data),
        cell_types=_describe_cell_types(settings, cells, shown, data),
        somata=find_somata(data),
    )


def _describe_multi_input(
    settings: Settings,
    cells: Sequence[int],
    frame: pd.DataFrame,
    shown: pd.DataFrame,
    data: CellData,
) -> MultiInput | None:
    """Describe spines with several inputs, where they were asked for."""
    from synglancer.synapses.predictions import name_directions
    from synglancer.synapses.shared_spines import count_former_tags

    table = settings.multi_input_table
    if data.context.multi_input is None or table is None:
        return None
    directions = name_directions(settings.directions, cells)
    return MultiInput(table, count_former_tags(frame, shown, directions))


def _describe_cell_types(
    settings: Settings, cells: Sequence[int], shown: pd.DataFrame, data: CellData
) -> CellTypes | None:
    """Describe the types of partners, where they were asked for."""
    from synglancer.synapses.cell_types import describe_partners
    from synglancer.synapses.predictions import name_directions
    from synglancer.view.type_colors import choose_type_colours

    if data.context.cell_types is None:
        return None
    directions = name_directions(settings.directions, cells)
    types = CellTypes(**describe_partners(shown, cells, data.context.cell_types, directions))
    if settings.color_by != "partner-type":
        return types
    names = {name for counts in types.synapses.values() for name in counts}
    return replace(types, colours=choose_type_colours(sorted(names)))


def find_somata(data: CellData) -> dict[int, tuple[float, float, float]]:
    """Find the soma of each cell that has one, in nm: merged cells have several."""
    somata = data.somata or {}
    return {cell: points[0] for cell, points in somata.items() if len(points) == 1}


def build_question(settings: Settings, session: Session, cells: Sequence[object]) -> dict[str, Any]:
    """Return all that decides what a link shows: equal questions have equal answers.

    Parameters
    ----------
    settings, session
        What is asked, beside the cells, and of whom.
    cells
        The cells, as they were given or as root IDs.
    """
    types = [settings.cell_type_view, settings.cell_type_column]
    return {
        "cells": [str(cell) for cell in cells],
        "server": session.server,
        "datastack": settings.datastack,
        "version": session.version,
        "table": settings.table,
        "directions": settings.directions,
        "filters": build_filters(settings),
        "with_unlabelled": settings.with_unlabelled,
        "with_total": settings.with_total,
        "multi_input": settings.multi_input_table,
        "cell_types": types if settings.cell_types else None,
        "view": settings.describe_view(),
        "site": settings.site,
        "inline": settings.inline,
        "generator": __version__,
    }


def build_filters(settings: Settings) -> dict[str, Any]:
    """Return the filters that are in force, by option name."""
    filters: dict[str, Any] = {}
    if settings.tag:
        filters["tag"] = sorted(set(settings.tag))
    if settings.min_confidence > 0:
        filters["min_confidence"] = settings.min_confidence
        if settings.soft_filter:
            filters["soft_filter"] = True
    if settings.min_size > 0:
        filters["min_size"] = settings.min_size
    return filters


def list_given_options(settings: Settings) -> dict[str, Any]:
    """Return what decides what a link shows and is not the default, by option name."""
    default = Settings()
    return {
        field.name: given
        for field in fields(settings)
        if field.name not in _UNTOLD
        and (given := getattr(settings, field.name)) != getattr(default, field.name)
    }
