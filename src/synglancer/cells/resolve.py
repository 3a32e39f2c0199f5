"""Find the root ID of a cell that is valid at the version.

A given root ID is used as it is, without a request. Only if it has no rows is the chunked graph
queried for its successors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from synglancer.cells.naming import enumerate_some
from synglancer.cells.parse import Cell, LinkCells, Nucleus, Synapse
from synglancer.cells.positions import fetch_segment
from synglancer.cells.typed_positions import Position
from synglancer.errors import CellError, NotServedError, ServiceError, UsageError
from synglancer.states.reader import list_segmentation_layers, list_source_urls, parse_link_state
from synglancer.states.record_parts import Replacement
from synglancer.states.selection import count_wrong_segments, read_segments, read_selected_cells
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.cave.records import Soma
    from synglancer.cave.session import Session
    from synglancer.cells.root_ids import RootIds

_MANY = 12
_JUST_NOW = timedelta(minutes=5)  # clocks differ


@dataclass(frozen=True)
class Followed:
    """An outdated root ID, and the one used instead.

    Attributes
    ----------
    given, used
        The two root IDs.
    valid_from, valid_until
        When the given root ID was valid (UTC); the end is None if it is still valid.
    why
        ``only`` when no other root ID has parts of it, ``nucleus`` when others have, and this one
        holds its nucleus.
    version
        The version, for the sentence.
    earlier
        Whether the one that is used came before the given one.
    """

    given: int
    used: int
    valid_from: datetime
    valid_until: datetime | None
    why: str
    version: int
    earlier: bool

    def __str__(self) -> str:
        """Name the given root ID, until when it was valid, and the one used instead."""
        why = ", which holds its nucleus," if self.why == "nucleus" else ""
        return (
            f"{self.given} is not valid at version {self.version}: {self._lifetime()}; its "
            f"{'predecessor' if self.earlier else 'successor'} {self.used}{why} is used instead."
        )

    def _lifetime(self) -> str:
        if self.earlier or self.valid_until is None:
            return f"it was created on {self.valid_from:%Y-%m-%d}"
        return f"it was valid until {self.valid_until:%Y-%m-%d}"

    def to_replacement(self) -> Replacement:
        """Return the entry for the provenance record."""
        since, until = (
            "" if time is None else time.isoformat(timespec="milliseconds")
            for time in (self.valid_from, self.valid_until)
        )
        return Replacement(self.given, self.used, since, until, self.why)


def resolve_cell(session: Session, cell: Cell) -> int:
    """Find the root ID of a cell; a given root ID costs no request.

    Raises
    ------
    UsageError
        When a synapse is given.
    CellError
        When no cell is found, or more than one.
    ServiceError
        When a service refuses or fails.
    """
    if isinstance(cell, Synapse):
        raise UsageError(
            f"{cell} is a synapse, but a cell is needed here.",
            "Give the root ID of one of its two cells, nucleus:ID, or a position in the cell.",
        )
    if isinstance(cell, Nucleus):
        return _resolve_nucleus(session, cell)
    if isinstance(cell, Position):
        return _resolve_position(session, cell)
    if isinstance(cell, LinkCells):
        cells = resolve_link(session, cell)
        if len(cells) > 1:
            raise CellError(
                f"The link selects {len(cells)} cells: {enumerate_some(cells, _MANY)}.",
                "Give one of them, or give the link to make-link for separate links, or with "
                "--together for one link.",
            )
        return cells[0]
    return cell.value


def resolve_link(session: Session, cell: LinkCells) -> list[int]:
    """Find the cells that are selected in a Neuroglancer link (no request, or 1).

    Raises
    ------
    UsageError
        When it is not such a link.
    CellError
        When it selects no cells, or a segment that is not a 64-bit ID.
    ServiceError
        When its state cannot be fetched.
    """
    link = parse_link(cell.url)
    fetched = None if link.state_url is None else _fetch_state(session, link.state_url)
    state = parse_link_state(link, fetched)
    source = session.datastack.segmentation_source
    own = read_selected_cells(state, source)
    if wrong := count_wrong_segments(state, source if own else None):
        raise CellError(
            f"The link selects {wrong:,} segment{'' if wrong == 1 else 's'} whose ID is not a "
            "64-bit ID.",
            "Remove what is not a root ID from its segments, or give the root IDs.",
        )
    cells = own or _check_other_segmentation(session, state)
    if not cells:
        raise CellError(
            "No cell is selected in the link.",
            "Select one in the viewer and copy its link again, or give its root ID.",
        )
    return [*cells]


def _check_other_segmentation(session: Session, state: Mapping[str, Any]) -> tuple[int, ...]:
    """Accept cells of another segmentation only if some are known to the datastack.

    Copies of a segmentation have the same root IDs. Root IDs of another dataset mean nothing here,
    and are refused together instead of looked up one by one (1 request).

    Raises
    ------
    CellError
        When they belong to another dataset.
    """
    cells = read_selected_cells(state)
    if not cells or session.fetch_first_timestamps([*cells[:_MANY]]):
        return cells
    layers = [layer for layer in list_segmentation_layers(state) if read_segments(layer)]
    source = next((url for layer in layers for url in list_source_urls(layer)), "no source")
    number = "a cell" if len(cells) == 1 else f"{len(cells):,} cells"
    raise CellError(
        f"The link selects {number} of another segmentation ({source}), not of "
        f"{session.name_version()}.",
        "Name the link's datastack with --datastack, or give a root ID.",
    )


def _fetch_state(session: Session, state_url: str) -> bytes:
    try:
        return session.fetch_state(state_url)
    except ServiceError as error:
        if type(error) not in {ServiceError, NotServedError}:
            raise
        # State servers answer in this way for a missing state.
        raise ServiceError(
            f"The link's state cannot be read: {error}",
            "Check that the link is complete and its state still exists, or give the root ID.",
        ) from error


def _resolve_nucleus(session: Session, cell: Nucleus) -> int:
    where = session.name_version()
    table, nuclei = session.fetch_nuclei("id", [cell.value])
    if len(nuclei) != 1:
        problem = "no row for" if not nuclei else f"{len(nuclei)} rows for"
        raise CellError(
            f"The table {table} has {problem} nucleus {cell.value} in {where}.",
            "Check the nucleus ID, or give the cell's root ID.",
        )
    if nuclei[0].root_id <= 0:
        raise CellError(
            f"Nucleus {cell.value} is not in any cell of the segmentation in {where}.",
            "Give another nucleus, or the cell's root ID.",
        )
    return nuclei[0].root_id


def _resolve_position(session: Session, cell: Position) -> int:
    size = session.datastack.viewer_resolution if cell.unit == "voxel" else (1.0, 1.0, 1.0)
    x, y, z = (value * edge for value, edge in zip(cell.point, size, strict=True))
    root_id = _fetch_root_at(session, (x, y, z))
    if not root_id:
        raise CellError(
            f"There is no cell at {cell} in {session.name_version()}.",
            "Give a position within a cell, in voxels of the viewer's resolution "
            f"({', '.join(f'{edge:g}' for edge in session.datastack.viewer_resolution)} nm), or in "
            f"nm with @nm after it.",
        )
    return root_id


def _fetch_root_at(session: Session, point: tuple[float, float, float]) -> int:
    """Fetch the root ID at a position in nm at the version's timestamp, 0 for none."""
    source = session.datastack.segmentation_source
    segment = fetch_segment(session.fetcher, source, point, session.timeout)
    if not segment.number or not segment.is_supervoxel:
        return segment.number
    return session.fetch_roots([segment.number], session.materialization.timestamp)[0]


def resolve_outdated(root_ids: RootIds, root_id: int, *, strict: bool) -> Followed | None:
    """Find the successor of a root ID without rows, if it is outdated (1 to 8 requests).

    Parameters
    ----------
    root_ids
        Answers about root IDs, and the session.
    root_id
        The root ID.
    strict
        Refuse one that is not valid.

    Returns
    -------
    Followed or None
        The replacement; None for a valid root ID without rows.

    Raises
    ------
    CellError
        When it is not the root ID of a cell, or its successor is not certain.
    """
    session = root_ids.session
    if root_ids.is_valid(root_id):
        return None
    if root_ids.never_existed(root_id):
        raise build_unknown_error(session, root_id)
    at = session.materialization
    try:
        lifetime = session.fetch_lifetime(root_id)
        if lifetime is None:
            root_ids.note_never_existed(root_id)
            raise build_unknown_error(session, root_id)
        first, last = lifetime
        related = [item for item in session.fetch_related(root_id) if item != root_id]
    except ServiceError as error:
        if type(error) not in {ServiceError, NotServedError}:
            raise
        # The chunked graph fails for the history of a number that was never a root ID.
        raise build_unknown_error(session, root_id) from error
    candidates = [item for item, good in session.fetch_validity(related).items() if good]
    if not candidates:
        raise build_unknown_error(session, root_id)
    why, nuclei = "only", []
    chosen = candidates
    if len(candidates) > 1:
        nuclei = _fetch_own_nuclei(session, root_id, last, candidates)
        why, chosen = "nucleus", sorted({nucleus.root_id for nucleus in nuclei})
    if len(chosen) != 1:
        raise _ambiguous(session, root_id, candidates, nuclei)
    # For a root ID that is still valid, the graph returns the present time, which is not its end.
    until = None if last > datetime.now(timezone.utc) - _JUST_NOW else last
    followed = Followed(root_id, chosen[0], first, until, why, at.version, first > at.timestamp)
    if strict:
        sentence = str(followed).replace(" is used instead.", " would be used instead.")
        raise CellError(sentence, f"Give {followed.used}, or leave out --strict.")
    return followed


def _fetch_own_nuclei(
    session: Session, root_id: int, timestamp: datetime, candidates: list[int]
) -> list[Soma]:
    """Fetch the nuclei of the candidates that lay in the root ID while it was valid (2 requests).

    A candidate may have its nucleus from another cell that it was merged with.
    """
    try:
        _, nuclei = session.fetch_nuclei("pt_root_id", candidates)
    except NotServedError:
        return []  # without a table of somata nothing is certain
    placed = [nucleus for nucleus in nuclei if nucleus.supervoxel > 0]
    if not placed:
        return []
    then = session.fetch_roots([nucleus.supervoxel for nucleus in placed], timestamp)
    return [nucleus for nucleus, root in zip(placed, then, strict=True) if root == root_id]


def build_unknown_error(session: Session, root_id: int) -> CellError:
    """Make the error for a number that is not the root ID of a cell."""
    return CellError(
        f"{root_id} is not the root ID of a cell in {session.name_version()}.",
        "Check the ID for typing errors, or give the version that it comes from with --version.",
    )


def _ambiguous(
    session: Session, root_id: int, candidates: list[int], nuclei: list[Soma]
) -> CellError:
    held = {nucleus.root_id: nucleus.nucleus for nucleus in nuclei}
    named = [
        f"{item} (nucleus {held[item]})" if item in held else str(item)
        for item in sorted(candidates, key=lambda item: (item not in held, item))
    ]
    return CellError(
        f"{root_id} is not valid in {session.name_version()}, and its parts now belong to several "
        f"cells: {enumerate_some(named, _MANY)}.",
        "Look at them in the viewer and give the one that you mean, or give the cell's nucleus "
        "(nucleus:ID) or a position in the cell (x,y,z).",
    )
