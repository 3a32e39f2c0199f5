"""What a link says beyond its predictions: spines with several inputs, and types of partners.

Only what was asked for is loaded, or fetched and kept, side by side with the predictions. pandas is
imported when something has to be read.
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
    """What was asked for beyond the predictions of one cell, or of several together.

    Attributes
    ----------
    multi_input : array, shape (k,), uint64, or None
        Their synapses on spines with several inputs, by ID; None where that was not asked.
    cell_types
        Types of all cells; None where that was not asked.
    """

    multi_input: np.ndarray[Any, Any] | None = None
    cell_types: CellTypes | None = None


class ContextLoader:
    """Loads the context of cells, asking what they share once.

    Parameters
    ----------
    settings
        What is asked, beside the cells.
    session
        Whom to ask.
    tables
        Tables of cells, kept or fetched.
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
            When the version has no such table or view, or not with the columns that are needed.
        """
        if self._settings.multi_input:
            self._load_spine_table()
        if self._settings.cell_types:
            self._check_view()

    def ask(self, pool: Executor, cells: Sequence[int]) -> Callable[[], Context]:
        """Begin to load the context of cells; the function that comes back waits for it.

        Parameters
        ----------
        pool
            What runs the questions side by side.
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
        """List what is asked of tables for each cell, and can be asked for a group at once."""
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

        The spines that a cell receives its inputs on are its own: all of their synapses are among
        its inputs. Those that it makes synapses onto are asked for by what else is on them.
        """
        from synglancer.synapses.shared_spines import find_multi_input, keep_own

        own = self._load_spines(cells, direction)
        if direction == "inputs" or own.empty:
            return find_multi_input(own)
        return keep_own(find_multi_input(self._load_sharing(cells, own)), own)

    def _load_spines(self, asked: Sequence[int], direction: Direction) -> pd.DataFrame:
        """Load or fetch which spines synapses are on, after a check that these are the same."""
        from synglancer.synapses.shared_spines import read_spines

        session, table = self._session, self._load_spine_table()
        predictions = session.load_table(str(self._settings.table), PREDICTIONS)
        expected = predictions.synapse_table
        if table.synapse_table != expected:
            raise NotServedError(
                f"The table {table.name!r} refers to synapses of {table.synapse_table!r}, and the "
                f"predictions to those of {expected!r}.",
                f"Choose with --multi-input-table one that refers to {expected!r}.",
            )
        return self._tables.load(self._ask_spines(direction), asked, read_spines, kept=self._keeps)

    @property
    def _keeps(self) -> bool:
        """Whether tables are kept: live queries are not, since annotations can still change."""
        return not self._session.materialization.expired

    def _load_sharing(self, asked: Sequence[int], own: pd.DataFrame) -> pd.DataFrame:
        """Load or fetch all synapses on the spines of cells; others may come along."""
        from synglancer.synapses.shared_spines import read_spines

        return self._tables.load_one(
            (self._load_spine_table().name, "shared", *map(str, sorted(asked))),
            lambda: self._fetch_sharing(own),
            read_spines,
            kept=self._keeps,
        )

    def _fetch_sharing(self, own: pd.DataFrame) -> pd.DataFrame:
        session, table = self._session, self._load_spine_table()
        where = (session.datastack, session.materialization, table)
        posts, spines = (
            sorted(set(own[name].tolist())) for name in ("post_pt_root_id", "group_id")
        )
        return session.client.fetch_synapses_on(*where, posts, spines)

    def _ask_same_spine(self) -> Question:
        """Ask which synapses are on the spine of each of some synapses."""
        from synglancer.synapses.shared_spines import join_sharing, read_spines

        def fetch(synapses: Sequence[int]) -> pd.DataFrame:
            own = self._load_spines(synapses, "synapse")
            return join_sharing(own, own if own.empty else read_spines(self._fetch_sharing(own)))

        name = f"{self._load_spine_table().name} on the same spine"
        return Question(name, "synapse", fetch, SHARING_COLUMN)

    def fetch_same_spine_ahead(self, synapses: Sequence[int]) -> list[Size]:
        """Fetch at once, for a group of synapses, what `load_same_spine` asks for each of them."""
        questions = (self._ask_spines("synapse"), self._ask_same_spine())
        return [
            self._tables.fetch_ahead(question, synapses, kept=self._keeps) for question in questions
        ]

    def load_same_spine(self, synapses: Sequence[int]) -> dict[int, list[int]]:
        """Load or fetch which other synapses share the spine of each synapse (2 requests).

        Those that are alone on their spine, or on none, have an empty list.
        """
        from synglancer.synapses.shared_spines import read_spines

        rows = self._tables.load(
            self._ask_same_spine(),
            synapses,
            lambda raw: read_spines(raw, [SHARING_COLUMN]),
            kept=self._keeps,
        )
        others = rows[rows["id"] != rows[SHARING_COLUMN]]
        return {
            synapse: sorted(set(others.loc[others[SHARING_COLUMN] == synapse, "id"].tolist()))
            for synapse in synapses
        }

    def _check_view(self) -> None:
        """Refuse a view that is not there, or not with the columns that are needed."""
        settings = self._settings
        view, wanted = str(settings.cell_type_view), settings.cell_type_column
        # First: a service that is asked for a view of an expired version makes an empty database.
        self._check_version_served(view)
        columns = self._session.load_view_columns(view)
        missing = [name for name in ("id", "pt_root_id", wanted) if name not in columns]
        if missing:
            raise NotServedError(
                f"The view {view!r} has no column {missing[0]!r}.",
                f"Choose with --cell-type-column one of: {', '.join(columns)}."
                if missing[0] == wanted
                else "Choose with --cell-type-view one that has a row for each cell.",
            )

    def _check_version_served(self, view: str) -> None:
        """Refuse a version that has expired: views answer no live queries."""
        at = self._session.materialization
        if at.expired:
            raise NotServedError(
                f"Version {at.version} of {self._session.datastack.name} has expired, "
                f"and the view {view!r} of cell types answers no live queries.",
                "Choose a newer --version, or leave --cell-types out.",
            )

    def load_types(self) -> CellTypes:
        """Load or fetch the types of all cells, once for all that are asked about."""
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
