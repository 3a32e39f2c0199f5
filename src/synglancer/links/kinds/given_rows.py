"""Make a link from a user's tables, without querying their rows again.

One request checks that the cells are valid at the version, so that rows of another version are
refused. Another one fetches the somata.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from synglancer.cave.records import PredictionTable
from synglancer.cave.session import Session
from synglancer.cells.naming import name_cells
from synglancer.cells.parse import RootId, parse_cell
from synglancer.cells.point_files import read_point_files
from synglancer.errors import CellError, UsageError
from synglancer.links.building import Asking, build_link
from synglancer.links.loaded import combine
from synglancer.links.make import check_number, keep_receipt
from synglancer.synapses.loading import CellLoader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.links.link_record import LinkRecord
    from synglancer.settings import Settings
    from synglancer.synapses.given import GivenRows, Pin

UNNAMED = "a table of the user's"
"""Replaces the table's name if it is unknown."""

_ROUNDING = timedelta(seconds=1)  # between two ways of writing the same timestamp
_MOST_NAMED = 5


def find_given_cells(given: Sequence[int | str], tables: Sequence[GivenRows]) -> list[int]:
    """Find the cells of the tables: the named cells, or the only cell in the tables.

    Parameters
    ----------
    given
        Root IDs; none to take the cell from the tables.
    tables
        The rows of one direction, or of both.

    Raises
    ------
    UsageError
        When the tables hold synapses of other cells, of several cells, or of none, or too many
        cells are named.
    """
    inside = sorted({cell for table in tables for cell in table.cells})
    named = [parse_cell(one) for one in given]
    if not all(isinstance(one, RootId) for one in named):
        raise UsageError(
            "With tables, a cell must be given by its root ID.",
            "Give the root ID, or leave out the cell to read it from the tables.",
        )
    cells = list(dict.fromkeys(int(str(one)) for one in named)) or inside
    if named:
        check_number(cells)
    elif len(cells) != 1:
        found = f"{len(inside):,} cells" if inside else "no cell"
        raise UsageError(
            f"The tables hold synapses of {found}.",
            "Name the cell, or give a list of cells: make_link(864691135276234469, inputs=df).",
        )
    for table in tables:
        others = [str(cell) for cell in table.cells if cell not in cells]
        if others:
            side = "post_pt_root_id" if table.direction == "inputs" else "pre_pt_root_id"
            several = ", …" if len(others) > _MOST_NAMED else ""
            raise UsageError(
                f"The table {table.direction}= also holds synapses of cells other than "
                f"{name_cells(cells)}: {', '.join(others[:_MOST_NAMED])}{several}.",
                f"In a table of {table.direction}, the cell must be in {side}. Swap the tables, "
                "or leave out the other rows.",
            )
    return cells


def make_given_link(
    settings: Settings,
    pin: Pin,
    given: Sequence[int | str],
    tables: Sequence[GivenRows],
    token: str | None = None,
) -> LinkRecord:
    """Make a link that shows the rows of tables.

    Parameters
    ----------
    settings
        The options; the directions are those of the tables.
    pin
        The source of the rows, according to the tables.
    given
        Root IDs of the cells; none to take the cell from the tables.
    tables
        The rows of one direction, or of both.
    token
        The token for the server, where it is known.

    Raises
    ------
    UsageError
        When the tables belong to other cells, or to another version than the settings.
    CellError
        When a cell is not valid at the version.
    ServiceError
        When a service refuses or fails.
    """
    from synglancer.synapses.predictions import build_predictions

    cells = find_given_cells(given, tables)
    session = Session.begin(settings, token=token)
    points = read_point_files(settings.annotations)
    asking = Asking(settings, session, name_cells(cells), points=points)
    _check_pin(session, pin)
    _check_valid(session, cells)
    checked = [build_predictions(one.raw, cells, one.direction) for one in tables]
    loader = CellLoader(settings, session)
    table = PredictionTable(str(settings.table), "", pin.notice)
    data = loader.load_around(cells, checked)
    loaded = combine(settings, session, table, cells, data, given=True)
    told = [*loaded.warnings, *(sentence for one in tables for sentence in one.warnings)]
    link = build_link(asking, replace(loaded, warnings=told), loader.keep_tables)
    return keep_receipt(link, settings, session)


def _check_pin(session: Session, pin: Pin) -> None:
    """Refuse rows whose version differs from the one that the link would be pinned to."""
    at = session.materialization
    other = pin.version is not None and pin.version != at.version
    if pin.timestamp is not None:
        other = abs(pin.timestamp - at.timestamp) > _ROUNDING
    if other:
        of = f"version {pin.version}" if pin.version else f"{pin.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        raise UsageError(
            f"The rows are of {of}, but the link would show version {at.version} "
            f"({at.timestamp:%Y-%m-%d %H:%M:%S} UTC).",
            "Leave out --version, or query the rows again with materialization_version="
            f"{at.version}.",
        )


def _check_valid(session: Session, cells: Sequence[int]) -> None:
    """Refuse cells that are not valid at the version."""
    valid = session.fetch_validity(cells)
    wrong = [str(cell) for cell in cells if not valid[cell]]
    if wrong:
        raise CellError(
            f"{', '.join(wrong)} is not the root ID of a cell in {session.name_version()}.",
            "If the tables are of another version, give it with --version.",
        )
