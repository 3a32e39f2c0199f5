"""Tables of cells' synapses: kept on this machine cell by cell, and fetched together.

What was kept of some cells and what is fetched of the others is one table.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from synglancer.cache.answers import Store

Read = TypeVar("Read")


class CellTables:
    """Raw tables by cell and direction.

    Parameters
    ----------
    store
        What is kept on this machine.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unsaved: dict[tuple[Any, ...], pd.DataFrame] = {}

    def load(
        self,
        source: Sequence[Any],
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
        source
            What names the table: server, datastack, version and its own name.
        cells, direction
            Whose synapses, and on which side of them.
        fetch
            Asks for the raw rows of some of the cells.
        check
            Brings all rows into the common form, or refuses them.
        kept
            Whether to use and to keep what is kept.
        """
        from synglancer.synapses.predictions import CELL_COLUMN, join_raw  # imports pandas

        keys = {cell: (*source, str(cell), direction) for cell in cells}
        loaded = {cell: self._load_kept(key) for cell, key in keys.items()} if kept else {}
        parts = [raw for raw in loaded.values() if raw is not None]
        missing = [cell for cell in cells if loaded.get(cell) is None]
        fetched = fetch(missing) if missing else None
        checked = check(join_raw(parts if fetched is None else [*parts, fetched]))
        if fetched is not None and kept:
            of = fetched[CELL_COLUMN[direction]]
            for cell in missing:
                self._unsaved[keys[cell]] = fetched[of == cell] if len(missing) > 1 else fetched
        return checked

    def load_one(
        self,
        key: Sequence[Any],
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
        loaded = self._load_kept(tuple(key)) if kept else None
        if loaded is not None:
            return check(loaded)
        raw = fetch()
        checked = check(raw)
        if kept:
            self._unsaved[tuple(key)] = raw
        return checked

    def _load_kept(self, key: tuple[Any, ...]) -> pd.DataFrame | None:
        fetched = self._unsaved.get(key)
        return self._store.load_predictions([*key]) if fetched is None else fetched

    def keep(self) -> None:
        """Keep the tables that were fetched: last, since nobody waits for it."""
        with suppress(KeyError):  # another thread may have kept the last of them
            while self._unsaved:
                key, raw = self._unsaved.popitem()
                self._store.save_predictions([*key], raw)
