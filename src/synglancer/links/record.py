"""What was asked and what is shown → the provenance record, which travels in the state.

`provenance` reads it back. pandas is imported when there are synapses to count: a repeated question
has none.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import timezone
from typing import TYPE_CHECKING, Any

from synglancer import __version__
from synglancer.settings import Settings
from synglancer.states.provenance import write_followed

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
) -> dict[str, Any]:
    """Build the provenance record; 64-bit IDs are strings.

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
    dict
        ``cell`` and, for a cell alone, ``followed`` and ``soma`` (nm) are single values. Several
        cells have ``cells``, a list of ``followed``, and ``somata`` by root ID; ``cell`` is the
        first of them. Cells that were merged have several somata, and none that is *theirs*.
    """
    from synglancer.synapses.predictions import (
        count_autapses,
        count_predictions,
        name_directions,
    )
    from synglancer.view.staging import describe_stage

    version = session.materialization
    timestamp = version.timestamp.astimezone(timezone.utc).isoformat(timespec="microseconds")
    several = len(cells) > 1
    somata = {str(cell): [*point] for cell, point in find_somata(data).items()}
    return {
        "cell": str(cells[0]),
        **({"cells": [str(cell) for cell in cells]} if several else {}),
        "datastack": session.datastack.name,
        "server": session.server,
        "version": version.version,
        "timestamp": timestamp,
        "table": table.name,
        "counts": count_predictions(shown, name_directions(settings.directions, cells)),
        "shown": len(shown),
        "total": len(frame),
        "autapses": count_autapses(shown),
        **write_followed([one.to_record() for one in followed], len(cells)),
        **({"live": True} if version.expired else {}),
        **({"all_synapses": data.all_synapses} if data.all_synapses is not None else {}),
        "filters": build_filters(settings),
        "generator": f"synglancer {__version__}",
        **({"notice": table.notice} if table.notice else {}),
        **({"with_unlabelled": True} if settings.with_unlabelled else {}),
        **describe_stage(settings, cells, shown),
        **_describe_context(settings, cells, frame, shown, data),
        **_describe_somata(somata, several=several),
    }


def _describe_somata(somata: dict[str, list[float]], *, several: bool) -> dict[str, Any]:
    if not somata:
        return {}
    return {"somata": somata} if several else {"soma": next(iter(somata.values()))}


def _describe_context(
    settings: Settings,
    cells: Sequence[int],
    frame: pd.DataFrame,
    shown: pd.DataFrame,
    data: CellData,
) -> dict[str, Any]:
    """Describe spines with several inputs and types of partners, where they were asked for."""
    from synglancer.synapses.cell_types import describe_partners
    from synglancer.synapses.predictions import name_directions
    from synglancer.synapses.shared_spines import count_former_tags
    from synglancer.view.type_colors import choose_type_colours

    described: dict[str, Any] = {}
    directions = name_directions(settings.directions, cells)
    if data.context.multi_input is not None:
        former = count_former_tags(frame, shown, directions)
        described["multi_input"] = {"table": settings.multi_input_table, "former_tags": former}
    if data.context.cell_types is not None:
        types = describe_partners(shown, cells, data.context.cell_types, directions)
        if settings.color_by == "partner-type":
            names = {name for counts in types["synapses"].values() for name in counts}
            types["colours"] = choose_type_colours(sorted(names))
        described["cell_types"] = types
    return described


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
