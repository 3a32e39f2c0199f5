"""Load the data of links from the cache or the server: synapses, somata and context."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

from synglancer.cave.metadata import PREDICTIONS
from synglancer.errors import BadAnswerError, NotServedError, ServiceError, TruncatedError
from synglancer.settings import BETWEEN
from synglancer.synapses.ahead import NOTHING, Ahead, Size
from synglancer.synapses.cell_tables import CellTables, ask_synapses
from synglancer.synapses.context import Context, ContextLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.cave.records import Direction, PredictionTable
    from synglancer.cave.session import Session
    from synglancer.settings import Settings
    from synglancer.synapses.cell_tables import Question
    from synglancer.synapses.predictions import Checked

    Point = tuple[float, float, float]

_MOST_SOMATA = 999
"""Number of further cells whose somata are queried together with one cell's."""

_ABOUT_ONE = (ServiceError, BadAnswerError, TruncatedError)
"""Errors that may be caused by a single cell of several."""


@dataclass(frozen=True)
class CellData:
    """The data of one cell, or of several together.

    Attributes
    ----------
    tables
        Their synapses: one or two tables for each direction (with and without a prediction).
    found
        The cells with synapses.
    somata
        Positions of each cell's somata in nm; None if the version has no table of somata.
    all_synapses
        Numbers of synapses in each direction, with and without a prediction; those between several
        cells are counted separately. None if not requested.
    context
        Other requested data.
    """

    tables: list[Checked]
    found: set[int]
    somata: dict[int, list[Point]] | None = None
    all_synapses: dict[str, int] | None = None
    context: Context = field(default_factory=Context)


class CellLoader:
    """Loads the data of cells, for one session and table.

    Parameters
    ----------
    settings
        The options, apart from the cells.
    session
        The session with CAVE.
    """

    def __init__(self, settings: Settings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._ahead = Ahead(session)
        self._tables = CellTables(session, self._ahead)
        self._expected: dict[int, None] = {}
        self._asking_somata = Lock()
        self._context = ContextLoader(settings, session, self._tables)

    @property
    def table(self) -> PredictionTable:
        """The prediction table's record."""
        return self._session.load_table(str(self._settings.table), PREDICTIONS)

    def load_cells(self, cells: Sequence[int], warm_up: Callable[[], None]) -> CellData:
        """Load or fetch cells' synapses and somata, and other requested data.

        All queries run in parallel, and for all cells at once. If the version has expired, live
        queries at its timestamp are used after checking that all root IDs were valid then.
        Otherwise only the data of valid cells are returned, as if only they had synapses.

        Parameters
        ----------
        cells
            Root IDs.
        warm_up
            Called while waiting for the answers, to prepare other things.

        Raises
        ------
        ServiceError
            When something cannot be fetched completely.
        """
        from synglancer.synapses.predictions import find_cells  # imports pandas

        session = self._session
        with ThreadPoolExecutor(max_workers=8) as pool:
            shared = pool.submit(self._load_shared, pool)
            _ = session.client  # a second of imports, while those answers arrive
            shared.result()
            if session.materialization.expired:
                valid = {cell for cell, good in self._are_valid(cells).items() if good}
                if len(valid) < len({*cells}):
                    return CellData([], valid)
            names = self._settings.directions
            directions = [pool.submit(self._load_direction, cells, name) for name in names]
            totals = pool.submit(self._fetch_totals, cells) if self._settings.with_total else None
            somata = pool.submit(self._load_somata, cells)
            context = self._context.ask(pool, cells)
            warm_up()
            with session.explain_refused_live():
                tables = [table for job in directions for table in job.result()]
                counts = totals.result() if totals else None
                points, further = somata.result(), context()
        found = {cell for table in tables for cell in find_cells(table.frame)}
        return CellData(tables, found, points, counts, further)

    def load_around(self, cells: Sequence[int], tables: list[Checked]) -> CellData:
        """Load the somata and other requested data for loaded synapses.

        Parameters
        ----------
        cells
            Root IDs.
        tables
            Their synapses.
        """
        from synglancer.synapses.predictions import find_cells  # imports pandas

        with ThreadPoolExecutor(max_workers=8) as pool:
            _ = self._session.materialization
            self._context.load_shared()
            somata = pool.submit(self._load_somata, cells)
            context = self._context.ask(pool, cells)
            with self._session.explain_refused_live():
                points, further = somata.result(), context()
        found = {cell for table in tables for cell in find_cells(table.frame)}
        return CellData(tables, found, points, None, further)

    def _fetch_totals(self, cells: Sequence[int]) -> dict[str, int]:
        """Fetch the numbers of synapses in each direction, and between several cells."""
        session = self._session
        where = (session.datastack, session.materialization, self.table.synapse_table, cells)
        names = self._settings.directions
        with ThreadPoolExecutor(max_workers=3) as pool:
            jobs = [pool.submit(session.client.fetch_synapse_count, *where, name) for name in names]
            counts: dict[str, int] = {}
            if len(cells) > 1:
                counts[BETWEEN] = session.client.fetch_count_between(*where)
            # Synapses between the cells are among both the inputs and the outputs.
            shared = counts.get(BETWEEN, 0)
            each: dict[str, int] = {
                name: job.result() - shared for name, job in zip(names, jobs, strict=True)
            }
        return {**each, **counts}

    def _load_shared(self, pool: ThreadPoolExecutor) -> None:
        """Load the shared data of all cells; version and table in parallel if possible."""
        session = self._session
        _ = session.datastack
        if not isinstance(self._settings.version, int):
            _ = session.materialization
        table = pool.submit(lambda: self.table)
        context = pool.submit(self._context.load_shared)
        _ = session.materialization  # first: a version that does not exist has no tables either
        table.result()
        context.result()

    def _list_questions(self, direction: Direction) -> tuple[Question, ...]:
        """List the queries for one direction: predictions, and all synapses if requested."""
        questions = ask_synapses(self._session, self.table, direction)
        return questions if self._settings.with_unlabelled else questions[:1]

    def _load_direction(self, cells: Sequence[int], direction: Direction) -> list[Checked]:
        """Load or fetch the predictions of one direction, and the synapses without one."""
        from synglancer.synapses.predictions import build_predictions, build_unlabelled

        first, *further = self._list_questions(direction)
        labelled = self._tables.load(
            first, cells, lambda raw: build_predictions(raw, cells, direction)
        )
        unlabelled = [
            self._tables.load(
                question, cells, lambda raw: build_unlabelled(raw, cells, direction, labelled)
            )
            for question in further
        ]
        return [labelled, *unlabelled]

    def expect(self, cells: Sequence[int]) -> None:
        """Announce cells that will be loaded one by one, to query their somata in groups."""
        with self._asking_somata:
            self._expected.update(dict.fromkeys(cells))

    def fetch_ahead(self, cells: Sequence[int]) -> Size:
        """Fetch the tables of a group of cells at once, for loading each cell.

        Returns
        -------
        Size
            The size of the largest answer.

        Raises
        ------
        ServiceError
            When a query for the group fails.
        """
        session = self._session
        with ThreadPoolExecutor(max_workers=8) as pool:
            self._load_shared(pool)
            if session.materialization.expired:
                data = session.identity.value
                valid = session.fetch_validity(cells)
                self._ahead.hold("validity", valid, data)
                cells = [cell for cell in cells if valid[cell]]
            if not cells:
                return Size()
            names = self._settings.directions
            questions = [item for name in names for item in self._list_questions(name)]
            jobs = [
                pool.submit(self._tables.fetch_ahead, question, cells)
                for question in [*questions, *self._context.list_questions()]
            ]
            sizes = [job.result() for job in jobs]
        return Size.of_largest(sizes)

    def forget(self, cell: int) -> None:
        """Forget a cell and the data fetched ahead for it."""
        self._ahead.forget(cell)
        with self._asking_somata:
            self._expected.pop(cell, None)

    def _are_valid(self, cells: Sequence[int]) -> dict[int, bool]:
        """Return which cells are valid, from an earlier answer or with 1 request."""
        known = {cell: self._ahead.find("validity", cell) for cell in cells}
        unknown = [cell for cell, answer in known.items() if answer is NOTHING]
        return known | (self._session.fetch_validity(unknown) if unknown else {})

    def keep_tables(self) -> None:
        """Cache the fetched tables. This is the last step, because no other step waits for it."""
        self._tables.keep()

    def _load_somata(self, cells: Sequence[int]) -> dict[int, list[Point]] | None:
        """Load or fetch the positions of cells' somata; None if they are not available."""
        name = self._session.datastack.soma_table
        if name is None:
            return {cell: [] for cell in cells}
        with self._asking_somata:  # another thread's answer may have these cells too
            known = {cell: self._find_soma(name, cell) for cell in cells}
            missing = [cell for cell, points in known.items() if points is NOTHING]
            known |= self._fetch_somata(name, missing) if missing else {}
        somata = {cell: points for cell, points in known.items() if points is not None}
        return somata if len(somata) == len(known) else None

    def _find_soma(self, name: str, cell: int) -> Any:
        held = self._ahead.find("somata", cell)
        if held is not NOTHING:
            return held
        kept = self._session.store.load("somata", self._session.build_key(name, str(cell)))
        return NOTHING if kept is None else [tuple(point) for point in kept["points"]]

    def _list_awaited(self) -> list[int]:
        """List expected cells whose somata can be queried; for live queries, only valid cells."""
        cells = [*islice(self._expected, _MOST_SOMATA)]
        if not self._session.materialization.expired:
            return cells
        return [cell for cell in cells if self._ahead.find("validity", cell) is True]

    def _fetch_somata(self, name: str, cells: list[int]) -> dict[int, list[Point] | None]:
        """Fetch the somata of cells and of expected cells (1 request)."""
        session = self._session
        data, where = session.identity.value, (session.datastack, session.materialization, name)
        for cell in cells:
            self._expected.pop(cell, None)
        more = self._list_awaited()
        fetched: dict[int, list[Point] | None]
        try:
            try:
                fetched = {**session.client.fetch_somata(*where, [*cells, *more])}
            except ServiceError as error:
                if not more or type(error) not in _ABOUT_ONE:
                    raise
                self._expected.clear()  # one cell's rows are invalid, so query each cell alone
                more = []
                fetched = {**session.client.fetch_somata(*where, cells)}
        except NotServedError:
            # Not cached, because the table may become available again.
            fetched = dict.fromkeys([*cells, *more])
        for cell in more:
            self._expected.pop(cell, None)
        self._ahead.hold("somata", {cell: fetched[cell] for cell in more}, data)
        for cell, points in fetched.items():
            if points is not None:
                key = session.build_key(name, str(cell))
                session.store.save("somata", key, {"points": points})
        return {cell: fetched[cell] for cell in cells}
