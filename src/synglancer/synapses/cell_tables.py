"""Tables of cells' synapses: kept on this machine cell by cell, and fetched together.

What was kept of some cells and what is fetched of the others is one table.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from synglancer.cave.session import Session

Read = TypeVar("Read")


class CellTables:
    """Raw tables by cell and direction.

    Parameters
    ----------
    session
        Whose tables they are, and where they are kept.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._unsaved: dict[bytes, pd.DataFrame] = {}

    def load(
        self,
        name: str,
        cells: Sequence[int],
        direction: str,
        fetch: Callable[[list[int]], pd.DataFrame],
        check: Callable[[pd.DataFrame], Read],
        *,
        kept: bool = True,
    ) -> Read:
        """Load what was kept; fetch the rest, to be kept once all has been checked.

        Parameters
        ----------
        name
            The table's name.
        cells, direction
            Whose synapses, and on which side of them.
        fetch
            Asks for the raw rows of some of the cells.
        check
            Brings all rows into the common form, or refuses them.
        kept
            Whether to use and to keep what is kept.
        """
        from synglancer.columns import CELL_COLUMN
        from synglancer.synapses.predictions import join_raw  # imports pandas

        loaded = (
            {cell: self._load_kept(name, str(cell), direction) for cell in cells} if kept else {}
        )
        parts = [raw for raw in loaded.values() if raw is not None]
        missing = [cell for cell in cells if loaded.get(cell) is None]
        fetched = fetch(missing) if missing else None
        checked = check(join_raw(parts if fetched is None else [*parts, fetched]))
        if fetched is not None and kept:
            of = fetched[CELL_COLUMN[direction]]
            for cell in missing:
                self._unsaved[self._build_key(name, str(cell), direction)] = (
                    fetched[of == cell] if len(missing) > 1 else fetched
                )
        return checked

    def load_one(
        self,
        key: Sequence[str],
        fetch: Callable[[], pd.DataFrame],
        check: Callable[[pd.DataFrame], Read],
        *,
        kept: bool = True,
    ) -> Read:
        """Load a table that is not of one cell; or fetch it, to be kept once it was checked.

        Parameters
        ----------
        key
            What names the table.
        fetch, check, kept
            As for `load`.
        """
        loaded = self._load_kept(*key) if kept else None
        if loaded is not None:
            return check(loaded)
        raw = fetch()
        checked = check(raw)
        if kept:
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
        """Keep the tables that were fetched: last, since nobody waits for it."""
        with suppress(KeyError):  # another thread may have kept the last of them
            while self._unsaved:
                key, raw = self._unsaved.popitem()
                self._session.store.save_table(orjson.loads(key), raw)
