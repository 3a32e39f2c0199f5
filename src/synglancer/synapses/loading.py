"""What links show: cells' synapses, somata and context, kept on this machine or else fetched.

pandas is imported when something has to be read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from synglancer.cave.metadata import PREDICTIONS
from synglancer.errors import NotServedError
from synglancer.settings import BETWEEN
from synglancer.synapses.cell_tables import CellTables
from synglancer.synapses.context import Context, ContextLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.cave.records import Direction, PredictionTable
    from synglancer.cave.session import Session
    from synglancer.settings import Settings
    from synglancer.synapses.predictions import Checked

    Point = tuple[float, float, float]


@dataclass(frozen=True)
class CellData:
    """What there is to show of one cell, or of several together.

    Attributes
    ----------
    tables
        Their synapses: one or two tables for each direction (with and without a prediction).
    found
        The cells that have any.
    somata
        Positions of each cell's somata in nm; None where the version has no table of them.
    all_synapses
        How many synapses they have in each direction, with and without a prediction, those between
        several cells apart; None where that was not asked.
    context
        What else was asked for.
    """

    tables: list[Checked]
    found: set[int]
    somata: dict[int, list[Point]] | None = None
    all_synapses: dict[str, int] | None = None
    context: Context = field(default_factory=Context)


class CellLoader:
    """Loads what there is to show of cells, for one session and table.

    Parameters
    ----------
    settings
        What is asked, beside the cells.
    session
        Whom to ask.
    """

    def __init__(self, settings: Settings, session: Session) -> None:
        self._settings = settings
        self._session = session
        self._tables = CellTables(session)
        self._context = ContextLoader(settings, session, self._tables)

    @property
    def table(self) -> PredictionTable:
        """The prediction table's record."""
        return self._session.load_table(str(self._settings.table), PREDICTIONS)

    def load_cells(
        self, cells: Sequence[int], warm_up: Callable[[], None] | None = None
    ) -> CellData:
        """Load or fetch cells' synapses and somata, and what else is asked for.

        All are asked for side by side, and for all cells at once. Where the version is served no
        more, live queries at its timestamp are, after all root IDs were found to be valid then;
        otherwise only those that are come back, as if they alone had synapses.

        Parameters
        ----------
        cells
            Root IDs.
        warm_up
            Called while the answers arrive: what can be prepared meanwhile.

        Raises
        ------
        ServiceError
            When something cannot be had whole.
        """
        from synglancer.synapses.predictions import find_cells  # imports pandas

        session = self._session
        with ThreadPoolExecutor(max_workers=8) as pool:
            shared = pool.submit(self._load_shared, pool)
            _ = session.client  # a second of imports, while those answers arrive
            shared.result()
            if session.materialization.expired:
                valid = {cell for cell, good in session.fetch_validity(cells).items() if good}
                if len(valid) < len({*cells}):
                    return CellData([], valid)
            names = self._settings.directions
            directions = [pool.submit(self._load_direction, cells, name) for name in names]
            totals = pool.submit(self._fetch_totals, cells) if self._settings.with_total else None
            somata = pool.submit(self._load_somata, cells)
            context = self._context.ask(pool, cells)
            if warm_up is not None:
                warm_up()
            with session.explain_refused_live():
                tables = [table for job in directions for table in job.result()]
                counts = totals.result() if totals else None
                points, further = somata.result(), context()
        found = {cell for table in tables for cell in find_cells(table.frame)}
        return CellData(tables, found, points, counts, further)

    def _fetch_totals(self, cells: Sequence[int]) -> dict[str, int]:
        """Fetch how many synapses there are in each direction, and between several cells."""
        session = self._session
        where = (session.datastack, session.materialization, self.table.synapse_table, cells)
        names = self._settings.directions
        with ThreadPoolExecutor(max_workers=3) as pool:
            jobs = [pool.submit(session.client.fetch_synapse_count, *where, name) for name in names]
            counts: dict[str, int] = {}
            if len(cells) > 1:
                counts[BETWEEN] = session.client.fetch_count_between(*where)
            # Those between the cells are among the inputs, and among the outputs.
            shared = counts.get(BETWEEN, 0)
            each: dict[str, int] = {
                name: job.result() - shared for name, job in zip(names, jobs, strict=True)
            }
        return {**each, **counts}

    def _load_shared(self, pool: ThreadPoolExecutor) -> None:
        """Load what all cells share, the version beside the table where its number is known."""
        session = self._session
        _ = session.datastack
        if not isinstance(self._settings.version, int):
            _ = session.materialization
        table = pool.submit(lambda: self.table)
        context = pool.submit(self._context.load_shared)
        _ = session.materialization  # first: a version that does not exist has no tables either
        table.result()
        context.result()

    def _load_direction(self, cells: Sequence[int], direction: Direction) -> list[Checked]:
        """Load or fetch the predictions of one direction, and the synapses without one."""
        from synglancer.synapses.predictions import build_predictions, build_unlabelled

        session, table = self._session, self.table
        where = (session.datastack, session.materialization)
        # Live queries are not kept: their annotations can still change.
        kept = not session.materialization.expired
        labelled = self._tables.load(
            table.name,
            cells,
            direction,
            lambda missing: session.client.fetch_predictions(*where, table, missing, direction),
            lambda raw: build_predictions(raw, cells, direction),
            kept=kept,
        )
        if not self._settings.with_unlabelled:
            return [labelled]
        name = table.synapse_table
        unlabelled = self._tables.load(
            name,
            cells,
            direction,
            lambda missing: session.client.fetch_synapses(*where, name, missing, direction),
            lambda raw: build_unlabelled(raw, cells, direction, labelled),
            kept=kept,
        )
        return [labelled, unlabelled]

    def keep_tables(self) -> None:
        """Keep the tables that were fetched: last, since nobody waits for it."""
        self._tables.keep()

    def _load_somata(self, cells: Sequence[int]) -> dict[int, list[Point]] | None:
        """Load or fetch the positions of cells' somata, or None where they are not served."""
        session = self._session
        name = session.datastack.soma_table
        if name is None:
            return {cell: [] for cell in cells}
        somata: dict[int, list[Point]] = {}
        for cell in cells:
            kept = session.store.load("somata", session.build_key(name, str(cell)))
            if kept is not None:
                somata[cell] = [tuple(point) for point in kept["points"]]
        missing = [cell for cell in cells if cell not in somata]
        if missing:
            where = (session.datastack, session.materialization, name)
            try:
                fetched = session.client.fetch_somata(*where, missing)
            except NotServedError:
                return None  # not kept: it may be served again
            for cell, points in fetched.items():
                key = session.build_key(name, str(cell))
                session.store.save("somata", key, {"points": points})
            somata |= fetched
        return {cell: somata[cell] for cell in cells}
