"""Load further data for a link: spines with several inputs, and types of partners.

Only requested data are loaded, in parallel with the predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synglancer.cave.metadata import PREDICTIONS, SPINES
from synglancer.columns import SHARING_COLUMN
from synglancer.errors import NotServedError
from synglancer.synapses.cell_tables import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    import numpy as np
    import pandas as pd

    from synglancer.cave.records import Direction, PredictionTable
    from synglancer.cave.session import Session
    from synglancer.settings import Settings
    from synglancer.synapses.ahead import Size
    from synglancer.synapses.cell_tables import CellTables
    from synglancer.synapses.cell_types import CellTypes


@dataclass(frozen=True)
class Context:
    """The further data of one cell, or of several together.

    Attributes
    ----------
    multi_input : array, shape (k,), uint64, or None
        IDs of their synapses on spines with several inputs; None if not requested.
    cell_types
        Types of all cells; None if not requested.
    """

    multi_input: np.ndarray[Any, Any] | None = None
    cell_types: CellTypes | None = None


class ContextLoader:
    """Loads the context of cells, and requests shared data once.

    Parameters
    ----------
    settings
        The options, apart from the cells.
    session
        The session.
    tables
        The tables of cells, from the cache or the server.
    """

    def __init__(self, settings: Settings, session: Session, tables: CellTables) -> None:
        self._settings = settings
        self._session = session
        self._tables = tables

    def load_shared(self) -> None:
        """Load what all cells share: records of the tables (1 request each, the first time).

        Raises
        ------
        NotServedError
            When the version has no such table or view, or it lacks a column.
        """
        if self._settings.multi_input:
            self._load_spine_table()
        if self._settings.cell_types:
            self._check_view()

    def ask(self, pool: Executor, cells: Sequence[int]) -> Callable[[], Context]:
        """Start loading the context of cells; the returned function waits for it.

        Parameters
        ----------
        pool
            Runs the queries in parallel.
        cells
            Root IDs of the cells.
        """
        settings = self._settings
        names = settings.directions if settings.multi_input else ()
        spines = [pool.submit(self._find_multi_input, cells, name) for name in names]
        types = pool.submit(self.load_types) if settings.cell_types else None

        def wait() -> Context:
            multi_input = None
            if spines:
                import numpy as np

                multi_input = np.unique(np.concatenate([job.result() for job in spines]))
            return Context(multi_input, types.result() if types else None)

        return wait

    def list_questions(self) -> list[Question]:
        """List the queries for each cell that can be made for a group at once."""
        settings = self._settings
        return [*map(self._ask_spines, settings.directions)] if settings.multi_input else []

    def _ask_spines(self, direction: Direction) -> Question:
        session, table = self._session, self._load_spine_table()
        where = (session.datastack, session.materialization, table)
        return Question(
            table.name,
            direction,
            lambda cells: session.client.fetch_spines(*where, cells, direction),
        )

    def _load_spine_table(self) -> PredictionTable:
        return self._session.load_table(str(self._settings.multi_input_table), SPINES)

    def _find_multi_input(self, cells: Sequence[int], direction: Direction) -> np.ndarray[Any, Any]:
        """Find the cells' synapses on spines with several inputs, by ID.

        A cell receives its inputs on its own spines, so all of their synapses are among its inputs.
        For the spines of its targets, the other synapses on them are queried.
        """
        from synglancer.synapses.shared_spines import find_multi_input, keep_own

        own = self._load_spines(cells, direction)
        if direction == "inputs" or own.empty:
            return find_multi_input(own)
        return keep_own(find_multi_input(self._load_sharing(cells, own)), own)

    def _load_spines(self, asked: Sequence[int], direction: Direction) -> pd.DataFrame:
        """Load or fetch the spines of synapses, if both tables use the same synapses."""
        from synglancer.synapses.shared_spines import read_spines

        session, table = self._session, self._load_spine_table()
        predictions = session.load_table(str(self._settings.table), PREDICTIONS)
        expected = predictions.synapse_table
        if table.synapse_table != expected:
            raise NotServedError(
                f"The table {table.name!r} refers to synapses in {table.synapse_table!r}, but "
                f"the predictions refer to {expected!r}.",
                f"Choose a table that refers to {expected!r} with --multi-input-table.",
            )
        return self._tables.load(self._ask_spines(direction), asked, read_spines)

    def _load_sharing(self, asked: Sequence[int], own: pd.DataFrame) -> pd.DataFrame:
        """Load or fetch all synapses on the spines of cells; others may come along."""
        from synglancer.synapses.shared_spines import read_spines

        return self._tables.load_one(
            (self._load_spine_table().name, "shared", *map(str, sorted(asked))),
            lambda: self._fetch_sharing(own),
            read_spines,
        )

    def _fetch_sharing(self, own: pd.DataFrame) -> pd.DataFrame:
        session, table = self._session, self._load_spine_table()
        where = (session.datastack, session.materialization, table)
        posts, spines = (
            sorted(set(own[name].tolist())) for name in ("post_pt_root_id", "group_id")
        )
        return session.client.fetch_synapses_on(*where, posts, spines)

    def _ask_same_spine(self) -> Question:
        """Query the synapses on the same spine as each of some synapses."""
        from synglancer.synapses.shared_spines import join_sharing, read_spines

        def fetch(synapses: Sequence[int]) -> pd.DataFrame:
            own = self._load_spines(synapses, "synapse")
            return join_sharing(own, own if own.empty else read_spines(self._fetch_sharing(own)))

        name = f"{self._load_spine_table().name} on the same spine"
        return Question(name, "synapse", fetch, SHARING_COLUMN)

    def fetch_same_spine_ahead(self, synapses: Sequence[int]) -> list[Size]:
        """Fetch the data for `load_same_spine` of a group of synapses at once."""
        questions = (self._ask_spines("synapse"), self._ask_same_spine())
        return [self._tables.fetch_ahead(question, synapses) for question in questions]

    def load_same_spine(self, synapses: Sequence[int]) -> dict[int, list[int]]:
        """Load or fetch the other synapses on the spine of each synapse (2 requests).

        The list is empty for a synapse alone on its spine, or not on a spine.
        """
        from synglancer.synapses.shared_spines import read_spines

        rows = self._tables.load(
            self._ask_same_spine(), synapses, lambda raw: read_spines(raw, [SHARING_COLUMN])
        )
        others = rows[rows["id"] != rows[SHARING_COLUMN]]
        return {
            synapse: sorted(set(others.loc[others[SHARING_COLUMN] == synapse, "id"].tolist()))
            for synapse in synapses
        }

    def _check_view(self) -> None:
        """Refuse a view that does not exist or lacks a column."""
        settings = self._settings
        view, wanted = str(settings.cell_type_view), settings.cell_type_column
        # Checked first, because a service creates an empty database when it is asked for a view of
        # an expired version.
        self._check_version_served(view)
        columns = self._session.load_view_columns(view)
        missing = [name for name in ("id", "pt_root_id", wanted) if name not in columns]
        if missing:
            raise NotServedError(
                f"The view {view!r} has no column {missing[0]!r}.",
                f"Choose one of these with --cell-type-column: {', '.join(columns)}."
                if missing[0] == wanted
                else "Choose a view with a row for each cell with --cell-type-view.",
            )

    def _check_version_served(self, view: str) -> None:
        """Refuse an expired version, because views do not support live queries."""
        at = self._session.materialization
        if at.expired:
            raise NotServedError(
                f"Version {at.version} of {self._session.datastack.name} has expired, and the "
                f"view {view!r} of cell types does not support live queries.",
                "Choose a newer --version, or leave out --cell-types.",
            )

    def load_types(self) -> CellTypes:
        """Load or fetch the types of all cells, once for all links."""
        from synglancer.synapses.cell_types import build_cell_types

        view, column = str(self._settings.cell_type_view), self._settings.cell_type_column
        session = self._session
        where = (session.datastack, session.materialization)
        return session.ask_once(
            ("types", view, column),
            lambda: self._tables.load_one(
                (view, column, "types"),
                lambda: session.client.fetch_cell_types(*where, view, column),
                lambda raw: build_cell_types(raw, view, column),
            ),
        )
