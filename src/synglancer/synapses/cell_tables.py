"""Load tables of cells' synapses, cached cell by cell and fetched together.

Cached rows, rows fetched ahead for a group, and newly fetched rows are joined into one table.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import orjson

from synglancer.columns import ASKED_COLUMN
from synglancer.errors import BadAnswerError
from synglancer.synapses.ahead import NOTHING, Ahead, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from synglancer.cave.records import Direction, PredictionTable
    from synglancer.cave.session import Session

Read = TypeVar("Read")


@dataclass(frozen=True)
class Question:
    """A query of a table for one cell, or for several at once.

    Attributes
    ----------
    name
        The table's name.
    direction
        The side of the synapses on which the cells are.
    fetch
        Fetches the raw rows of some cells.
    apart
        The column with the cell of a row, if it is not the usual column of the direction.
    """

    name: str
    direction: Direction
    fetch: Callable[[Sequence[int]], pd.DataFrame]
    apart: str = ""

    @property
    def column(self) -> str:
        """The column with the cell of a row."""
        return self.apart or ASKED_COLUMN[self.direction]


@dataclass(frozen=True)
class _Ready:
    """Raw rows of one cell, and whether they must still be cached."""

    raw: pd.DataFrame
    unsaved: bool


def ask_synapses(
    session: Session, table: PredictionTable, direction: Direction
) -> tuple[Question, Question]:
    """Return the queries in one direction: for predictions, and for all synapses."""
    where, client = (session.datastack, session.materialization), session.client
    every = table.synapse_table
    return (
        Question(
            table.name,
            direction,
            lambda cells: client.fetch_predictions(*where, table, cells, direction),
        ),
        Question(
            every, direction, lambda cells: client.fetch_synapses(*where, every, cells, direction)
        ),
    )


class CellTables:
    """Raw tables by cell and direction.

    Parameters
    ----------
    session
        The session with the server and the cache.
    ahead
        Holds the answers fetched for groups.
    """

    def __init__(self, session: Session, ahead: Ahead) -> None:
        self._session = session
        self._ahead = ahead
        self._unsaved: dict[bytes, pd.DataFrame] = {}

    def load(
        self,
        question: Question,
        cells: Sequence[int],
        check: Callable[[pd.DataFrame], Read],
    ) -> Read:
        """Load cached rows and fetch the rest, which is cached once everything has been checked.

        Parameters
        ----------
        question
            The query.
        cells
            Whose synapses.
        check
            Converts all rows to the common form, or refuses them.
        """
        from synglancer.synapses.predictions import join_raw  # imports pandas

        ready = self._find_ready(question, cells)
        parts = [found.raw for found in ready.values()]
        missing = [cell for cell in cells if cell not in ready]
        fetched = question.fetch(missing) if missing else None
        checked = check(join_raw(parts if fetched is None else [*parts, fetched]))
        if self._keeps:
            fresh = {cell: found.raw for cell, found in ready.items() if found.unsaved}
            if fetched is not None:
                fresh |= _divide(question, missing, fetched)
            for cell, raw in fresh.items():
                self._unsaved[self._build_key(question.name, str(cell), question.direction)] = raw
        return checked

    def fetch_ahead(self, question: Question, cells: Sequence[int]) -> Size:
        """Fetch the rows of a group of cells together, for the `load` of each cell.

        Parameters
        ----------
        question, cells
            As for `load`.

        Returns
        -------
        Size
            The size of the answer.

        Raises
        ------
        ServiceError
            When it fails, or cannot be divided by cell. Nothing is held then.
        """
        data = self._session.identity.value
        ready = self._find_ready(question, cells)
        missing = [cell for cell in cells if cell not in ready]
        size = Size()
        if missing:
            raw = question.fetch(missing)
            size = Size(len(raw), raw.attrs.pop("row_limit", None))
            _check_apart(question, missing, raw)
            parts = _divide(question, missing, raw)
            ready |= {cell: _Ready(part, unsaved=True) for cell, part in parts.items()}
        self._ahead.hold((question.name, question.direction), ready, data)
        return size

    @property
    def _keeps(self) -> bool:
        """Whether tables are cached; live queries are not, because annotations can still change."""
        return not self._session.materialization.expired

    def _find_ready(self, question: Question, cells: Sequence[int]) -> dict[int, _Ready]:
        """Find cells' rows among those fetched ahead, or in the cache."""
        ready: dict[int, _Ready] = {}
        keeps = self._keeps
        for cell in cells:
            held = self._ahead.find((question.name, question.direction), cell)
            if held is not NOTHING:
                ready[cell] = held
            elif keeps:
                raw = self._load_kept(question.name, str(cell), question.direction)
                if raw is not None:
                    ready[cell] = _Ready(raw, unsaved=False)
        return ready

    def load_one(
        self,
        key: Sequence[str],
        fetch: Callable[[], pd.DataFrame],
        check: Callable[[pd.DataFrame], Read],
    ) -> Read:
        """Load a table that is not of one cell from the cache, or fetch, check and cache it.

        Parameters
        ----------
        key
            The key of the table in the cache.
        fetch
            Fetches its raw rows.
        check
            As for `load`.
        """
        loaded = self._load_kept(*key) if self._keeps else None
        if loaded is not None:
            return check(loaded)
        raw = fetch()
        checked = check(raw)
        if self._keeps:
            self._unsaved[self._build_key(*key)] = raw
        return checked

    def _build_key(self, *key: str) -> bytes:
        return orjson.dumps(self._session.build_key(*key))

    def _load_kept(self, *key: str) -> pd.DataFrame | None:
        unsaved = self._unsaved.get(self._build_key(*key))
        if unsaved is not None:
            return unsaved
        return self._session.store.load_table(self._session.build_key(*key))

    def keep(self) -> None:
        """Cache the fetched tables. This is the last step, because no other step waits for it."""
        with suppress(KeyError):  # none is left; other threads take some, too
            while True:
                key, raw = self._unsaved.popitem()
                self._session.store.save_table(orjson.loads(key), raw)


def _divide(question: Question, cells: Sequence[int], raw: pd.DataFrame) -> dict[int, pd.DataFrame]:
    """Divide an answer by cell, in the order of its rows."""
    if len(cells) == 1:
        return {cells[0]: raw}
    groups = raw.groupby(question.column).indices
    empty = raw.iloc[:0]
    parts = {cell: raw.iloc[rows].reset_index(drop=True) for cell, rows in groups.items()}
    return {cell: parts.get(cell, empty) for cell in cells}


def _check_apart(question: Question, cells: Sequence[int], raw: pd.DataFrame) -> None:
    """Refuse an answer for a group if dividing it would not give each cell's own answer.

    A missing number in one cell's rows turns the IDs of all cells into floats, and rows of other
    cells would go unnoticed.
    """
    from pandas.api.types import is_integer_dtype

    integers = [name for name in raw.columns if name.endswith("id")]
    column = question.column
    apart = list(raw.columns).count(column) == 1 and len({*raw.columns}) == len(raw.columns)
    if apart and len(raw):
        apart = all(is_integer_dtype(raw[name].dtype) for name in integers)
        apart = apart and not raw[integers].isna().any(axis=None)
        apart = apart and bool(raw[column].isin([*cells]).all())
    if not apart:
        raise BadAnswerError(
            f"The server's answer for {len(cells):,} cells cannot be divided by cell.",
            "Each cell is queried separately.",
        )
