"""Make one link to many cells, whose list of segments sorts and filters them by their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from synglancer.cave.session import Session
from synglancer.errors import ServiceError, UsageError
from synglancer.links.upload import upload_properties, upload_state_once
from synglancer.states.urls import format_link, resolve_site
from synglancer.synapses.ahead import Ahead
from synglancer.synapses.cell_tables import CellTables
from synglancer.synapses.context import ContextLoader
from synglancer.view_settings import MAX_CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.settings import Settings
    from synglancer.synapses.cell_types import CellTypes
    from synglancer.view.segment_properties import CellNumbers

    Point = tuple[float, float, float]


def link_cells(
    cells: Sequence[CellNumbers],
    points: Sequence[Point],
    settings: Settings,
    *,
    version: int,
    table: str,
    tags: Sequence[str],
    group_by: str,
) -> str:
    """Make a link that shows cells, and lists the type and the numbers of each.

    Parameters
    ----------
    cells
        The cells, each once. The first ones are selected, as many as a viewer draws quickly; the
        others are only listed.
    points
        Points that must be in view, in nm.
    settings
        The options.
    version, table
        The source of the numbers.
    tags
        The tags whose shares are listed, in this order.
    group_by
        Name of the column with the cells' groups, or empty.

    Raises
    ------
    ServiceError
        When the state server refuses the state or the cells' properties.
    """
    from synglancer.view.kinds.cell_set import build_cell_set
    from synglancer.view.segment_properties import build_cell_properties

    session = Session.begin(settings, version=version)
    types = _load_types(session, settings)
    content = build_cell_properties(cells, settings.directions, tags, group_by, types)
    state = build_cell_set(
        [one.cell for one in cells[:MAX_CELLS]],
        points,
        session.datastack,
        session.materialization,
        upload_properties(session, content),
        {
            "cells": len(cells),
            "datastack": session.datastack.name,
            "version": session.materialization.version,
            "table": table,
        },
    )
    site = resolve_site(settings.site, session.datastack.viewer_site)
    return format_link(site, upload_state_once(session, state))


def _load_types(session: Session, settings: Settings) -> CellTypes | None:
    """Load the types of all cells (2 requests the first time); None if they are not available."""
    try:
        typed = replace(settings, cell_types=True, multi_input=False)
        tables = CellTables(session, Ahead(session))
        context = ContextLoader(typed, session, tables)
        context.load_shared()
        types = context.load_types()
    except (UsageError, ServiceError):  # the datastack or the version has no view of types
        return None
    tables.keep()
    return types
