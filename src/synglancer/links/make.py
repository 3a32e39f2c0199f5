"""Make a link from a cell, step by step.

Read `LinkMaker.make` and `LinkMaker._make_anew` to understand the program. pandas and nglui are
imported when they are first needed; a repeated question needs neither.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synglancer.cache.receipts import add_receipt, build_receipt
from synglancer.cave.session import Session
from synglancer.cells.parse import LinkCells, Nucleus, RootId, Synapse, parse_cell
from synglancer.cells.point_files import read_point_files
from synglancer.cells.resolve import (
    build_unknown_error,
    resolve_cell,
    resolve_link,
    resolve_outdated,
)
from synglancer.cells.root_ids import RootIds
from synglancer.cells.typed_positions import Position
from synglancer.errors import (
    CellError,
    DataChangedError,
    LoginError,
    RateLimitError,
    ServiceError,
    UnreachableError,
    UsageError,
)
from synglancer.links.building import Asking, build_link
from synglancer.links.groups import read_root_ids
from synglancer.links.link_record import LinkRecord
from synglancer.links.loaded import Loaded, combine
from synglancer.links.record import build_question, build_record, list_given_options
from synglancer.links.warnings import explain_lost_receipt
from synglancer.states.urls import has_hash
from synglancer.synapses.loading import CellData, CellLoader
from synglancer.view_settings import MAX_CELLS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.cells.resolve import Followed
    from synglancer.settings import Settings
    from synglancer.states.record import Provenance
    from synglancer.synapses.ahead import Size

Cells = tuple[RootId | Nucleus | Synapse | Position, ...]
"""The subject of one link: one cell, or several in the given order. Single synapses are refused
here; see `synglancer.links.kinds.synapse`.
"""


class LinkMaker:
    """Makes links for several cells with the same settings, and requests shared data once.

    Parameters
    ----------
    settings
        The options.
    command
        The typed command, for the receipts; None in Python.
    token
        The token for the server, if it is known.
    """

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str] | None = None,
        token: str | None = None,
    ) -> None:
        self._settings = settings
        self._command = command
        self._session = Session.begin(settings, token=token)
        self._loader = CellLoader(settings, self._session)
        self._root_ids = RootIds(self._session)
        self._points = read_point_files(settings.annotations)

    def expect(self, cells: Sequence[str]) -> None:
        """Announce the cells of a batch, so that they can be queried in groups."""
        root_ids = read_root_ids(cells)
        self._root_ids.expect(root_ids)
        self._loader.expect(root_ids)

    def lacks_rows(self, cell: str) -> bool:
        """Whether a cell's tables must be queried, as far as is known without a request."""
        return any(
            not self._root_ids.is_known_invalid(root_id)
            and self._load_known((RootId(root_id),)) is None
            for root_id in read_root_ids([cell])
        )

    def fetch_ahead(self, cells: Sequence[str]) -> Size:
        """Fetch the tables of a group of cells together, for the links that are made next.

        Raises
        ------
        SynglancerError
            When the query of the group fails; each cell is then queried with its link.
        """
        return self._loader.fetch_ahead(read_root_ids(cells))

    def forget(self, cell: str) -> None:
        """Forget the data that were fetched ahead for a cell."""
        for root_id in read_root_ids([cell]):
            self._loader.forget(root_id)

    def find_unknown(self, cell: str) -> CellError | None:
        """Return why a cell has no link, if earlier answers tell (no request)."""
        for root_id in read_root_ids([cell]):
            if self._root_ids.is_known_missing(root_id):
                return build_unknown_error(self._session, root_id)
        return None

    def make(self, *given: int | str) -> LinkRecord:
        """Make one link, for one cell or for several together, step by step.

        Raises
        ------
        SynglancerError
            One of its subclasses; nothing is left half-done.
        """
        try:
            return self._make(given)
        except DataChangedError:
            if not self._session.renew():
                raise
            self._root_ids.forget()
            return self._make(given)  # the cache holds other data, so fetch them again

    def load(self, given: int | str) -> tuple[Session, Provenance, pd.DataFrame, list[str]]:
        """Load the data of a cell's link without making the link, and return the session too.

        The rows are as `synglancer.columns.DTYPES`; the last item is the warnings.
        """
        session, loaded = self.load_together(given)
        record = build_record(self._settings, session, loaded)
        return session, record, loaded.shown, [*loaded.warnings]

    def load_together(self, *given: int | str) -> tuple[Session, Loaded]:
        """Load the data of a link to some cells, and return the session too."""
        typed = self._parse_cells(given)
        cells = dict.fromkeys(resolve_cell(self._session, cell) for cell in typed)
        loaded = self._load([*cells])
        self._loader.keep_tables()
        self._session.confirm_data()
        return self._session, loaded

    def _make(self, given: Sequence[int | str]) -> LinkRecord:
        started = time.monotonic()
        typed = self._parse_cells(given)
        words = " ".join(str(word) for word in given)
        link = self._find_known_link(typed, words, started)
        if link is None:
            # If several processes make the same link, the first one makes it, and the others find
            # it when they look again.
            with self._session.store.alone(self._question(typed), self._settings.timeout):
                link = self._find_known_link(typed, words, started)
                if link is None:
                    link = self._resolve_and_make(typed, words, started)
        return keep_receipt(link, self._settings, self._session, self._command)

    def _resolve_and_make(self, typed: Cells, given: str, started: float) -> LinkRecord:
        """Find the root IDs, find or make their link, and remember it."""
        roots = dict.fromkeys(RootId(resolve_cell(self._session, cell)) for cell in typed)
        cells: Cells = tuple(roots)
        link = self._find_known_link(cells, given, started) if cells != typed else None
        link = link or self._make_anew([cell.value for cell in roots], given, started)
        for asked in {typed, cells}:
            self._save_link(asked, link)
        return link

    def _make_anew(self, cells: list[int], given: str, started: float) -> LinkRecord:
        """Make a new link: load, check and filter, then build and upload."""
        asking = Asking(self._settings, self._session, given, started, self._points)
        return build_link(asking, self._load(cells), self._loader.keep_tables)

    def _question(self, cells: Cells) -> dict[str, Any]:
        question = build_question(self._settings, self._session, cells)
        points = [[file.name, file.sha256] for file in self._points]
        return {**question, "annotations": points} if points else question

    def _load_known(self, cells: Cells) -> dict[str, Any] | None:
        """Load the cached link for the same question."""
        if self._settings.no_cache or self._settings.inline:
            return None
        kept = self._session.store.load("links", [self._question(cells)])
        refused = kept and self._settings.strict and "followed" in kept["link"]
        return None if refused else kept

    def _find_known_link(self, cells: Cells, given: str, started: float) -> LinkRecord | None:
        """Find the link for the same question, if its state still exists (1 request)."""
        kept = self._load_known(cells)
        if kept is None:
            return None
        record = kept["link"]
        try:
            state = self._session.fetch_state(record["state_url"])
        except (LoginError, UnreachableError, RateLimitError):
            raise
        except ServiceError:
            return None  # the state is lost, so the link is made again
        other_data = kept["data_identity"] != self._session.identity.value
        if other_data or not has_hash(state, record["state_sha256"]):
            return None
        seconds = time.monotonic() - started
        try:
            return LinkRecord.from_record(record, state, given=given, elapsed_s=seconds)
        except (KeyError, ValueError):
            return None  # kept by another version, or damaged

    def _save_link(self, cells: Cells, link: LinkRecord) -> None:
        kept = {"link": link.to_record(), "data_identity": self._session.identity.value}
        self._session.store.save("links", [self._question(cells)], kept)

    def _parse_cells(self, given: Sequence[int | str]) -> Cells:
        """Read the given cells; for a link, its state is fetched first (1 request)."""
        check_number(given)
        cells = [parse_cell(one) for one in given]  # all first: a typing error costs no request
        read: list[RootId | Nucleus | Synapse | Position] = [
            RootId(resolve_cell(self._session, cell)) if isinstance(cell, LinkCells) else cell
            for cell in cells
        ]
        return tuple(dict.fromkeys(read))

    def expand(self, given: int | str) -> list[str]:
        """List the cells selected in a Neuroglancer link; any other form stands for itself."""
        cell = parse_cell(given)
        if not isinstance(cell, LinkCells):
            return [str(given)]
        return [str(item) for item in resolve_link(self._session, cell)]

    def _load(self, cells: list[int]) -> Loaded:
        """Load cells, check the answers, and apply the filters."""
        cells, data, followed = self._load_cells(cells)
        return combine(self._settings, self._session, self._loader.table, cells, data, followed)

    def _load_cells(self, cells: list[int]) -> tuple[list[int], CellData, list[Followed]]:
        """Load cells; a cell without rows is followed, refused, or has no synapses."""
        data = CellData([], set())
        if not all(self._root_ids.is_known_invalid(cell) for cell in cells):
            data = self._loader.load_cells(cells, warm_up)
        strict = self._settings.strict
        looked_up = {
            cell: resolve_outdated(self._root_ids, cell, strict=strict)
            for cell in cells
            if cell not in data.found
        }
        followed = [found for found in looked_up.values() if found is not None]
        if followed:
            used = {found.given: found.used for found in followed}
            cells = list(dict.fromkeys(used.get(cell, cell) for cell in cells))
            data = self._loader.load_cells(cells, warm_up)
        return cells, data, followed


def check_number(cells: Sequence[object]) -> None:
    """Refuse no cell, and more cells than one link shows.

    Raises
    ------
    UsageError
        Naming the limit.
    """
    if not 0 < len(cells) <= MAX_CELLS:
        raise UsageError(
            f"{len(cells):,} cells cannot be shown together.",
            f"Give at least one, and at most {MAX_CELLS}.",
        )


def warm_up() -> None:
    """Import the modules that build states while waiting for the services."""
    from synglancer.view.state import load_libraries

    load_libraries()


def keep_receipt(
    link: LinkRecord,
    settings: Settings,
    session: Session,
    command: Sequence[str] | None = None,
) -> LinkRecord:
    """Add a link to the history; if that fails, the returned link has a warning."""
    options = {**list_given_options(settings), "server": session.server}
    try:
        add_receipt(build_receipt(link.to_record(), options, command, session.token))
    except OSError as error:
        return replace(link, warnings=[*link.warnings, explain_lost_receipt(error)])
    return link
