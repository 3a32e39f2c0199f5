"""Build the provenance record of a state from the options and the data."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from synglancer import __version__
from synglancer.states.record import Provenance
from synglancer.states.record_parts import CellTypes, MultiInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from synglancer.cave.session import Session
    from synglancer.links.loaded import Loaded
    from synglancer.settings import Question, Settings

_UNTOLD = {"annotations", "token_file", "timeout", "concurrency", "no_cache"}


def build_record(settings: Settings, session: Session, loaded: Loaded) -> Provenance:
    """Build the provenance record.

    Merged cells have several somata, so none is recorded for them.
    """
    from synglancer.synapses.partners import find_strongest_partners
    from synglancer.synapses.predictions import count_autapses, count_predictions, name_directions
    from synglancer.view.staging import count_hidden

    cells, shown, data = loaded.cells, loaded.shown, loaded.data
    version = session.materialization
    directions = name_directions(settings.directions, cells)
    partners = find_strongest_partners(shown, cells, int(settings.partners))
    return Provenance(
        cell=cells[0],
        cells=tuple(cells),
        datastack=session.datastack.name,
        server=session.server,
        version=version.version,
        timestamp=version.timestamp,
        table=loaded.table.name,
        counts=count_predictions(shown, directions),
        shown=len(shown),
        # A review lists an autapse once, and others show it in both directions.
        total=loaded.frame["id"].nunique() if settings.review else len(loaded.frame),
        autapses=count_autapses(shown),
        followed=tuple(one.to_replacement() for one in loaded.followed),
        live=version.expired and not loaded.given,
        given_rows=loaded.given,
        all_synapses=data.all_synapses,
        filters=build_filters(settings),
        generator=f"synglancer {__version__}",
        notice=loaded.table.notice or "",
        with_unlabelled=settings.with_unlabelled,
        view=settings.describe_view(),
        hidden=count_hidden(settings, shown, directions),
        partners=tuple(partners) if settings.partners else None,
        multi_input=_describe_multi_input(settings, loaded),
        cell_types=_describe_cell_types(settings, loaded),
        somata=loaded.somata,
    )


def _describe_multi_input(settings: Settings, loaded: Loaded) -> MultiInput | None:
    """Describe spines with several inputs, if requested."""
    from synglancer.synapses.predictions import name_directions
    from synglancer.synapses.shared_spines import count_former_tags

    table = settings.multi_input_table
    if loaded.data.context.multi_input is None or table is None:
        return None
    directions = name_directions(settings.directions, loaded.cells)
    return MultiInput(table, count_former_tags(loaded.frame, loaded.shown, directions))


def _describe_cell_types(settings: Settings, loaded: Loaded) -> CellTypes | None:
    """Describe the types of partners, if requested."""
    from synglancer.synapses.cell_types import describe_partners
    from synglancer.synapses.predictions import name_directions
    from synglancer.view.type_colors import choose_type_colors

    known = loaded.data.context.cell_types
    if known is None:
        return None
    cells, shown = loaded.cells, loaded.shown
    directions = name_directions(settings.directions, cells)
    types = CellTypes(**describe_partners(shown, cells, known, directions))
    if settings.color_by != "partner-type":
        return types
    names = {name for counts in types.synapses.values() for name in counts}
    return replace(types, colours=choose_type_colors(sorted(names)))


def build_question(settings: Settings, session: Session, cells: Sequence[object]) -> dict[str, Any]:
    """Return everything that decides what a link shows, as the key of the cache.

    Cells may be root IDs, or in the form in which they were given.
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
    """Return the active filters, by option name."""
    filters: dict[str, Any] = {}
    if settings.tag:
        filters["tag"] = sorted(set(settings.tag))
    if settings.min_confidence > 0:
        filters["min_confidence"] = settings.min_confidence
        if settings.soft_filter:
            filters["soft_filter"] = True
    if settings.max_confidence < 1:
        filters["max_confidence"] = settings.max_confidence
    if settings.min_size > 0:
        filters["min_size"] = settings.min_size
    return filters


def list_given_options(settings: Settings) -> dict[str, Any]:
    """Return the options that differ from the defaults and affect the link, by name."""
    names = [field.name for field in fields(settings) if field.name not in _UNTOLD]
    return {name: getattr(settings, name) for name in list_changed(settings, names)}


def list_changed(options: Question, names: Iterable[str]) -> list[str]:
    """List those of some options that differ from their defaults."""
    default = type(options)()
    return [name for name in names if getattr(options, name) != getattr(default, name)]
