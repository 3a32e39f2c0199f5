"""What a link is made from: kept on this machine, or else fetched from CAVE and kept.

`Sources` answers each question once, for all cells of a run. It must not know what the answers
are shown as. caveclient and pandas are imported when something has to be fetched.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from synglancer.credentials import Credentials
from synglancer.errors import NotServedError
from synglancer.metadata import (
    fetch_datastack,
    fetch_materialization,
    fetch_prediction_table,
)
from synglancer.settings import DEFAULT_SERVER
from synglancer.tokens import find_token
from synglancer.transport import Fetcher

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from synglancer.cave import Cave, Direction
    from synglancer.datastack import Datastack, Materialization, PredictionTable
    from synglancer.predictions import Checked
    from synglancer.settings import Settings
    from synglancer.store import Store

    Point = tuple[float, float, float]


class Sources:
    """What links are made from, for one datastack, version and table.

    Parameters
    ----------
    settings
        What is asked, beside the cell.
    store
        What is kept on this machine.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._unsaved: list[tuple[list[Any], pd.DataFrame]] = []

    @cached_property
    def _address(self) -> tuple[str, str | None]:
        if self._settings.sandbox:
            from synglancer.sandbox.daemon import ensure  # noqa: PLC0415  # only here

            running = ensure()
            return running.origin, running.token
        server = (self._settings.server or DEFAULT_SERVER).rstrip("/")
        return server, find_token(server, self._settings.token_file)

    @property
    def server(self) -> str:
        """Address of the CAVE server, without a trailing slash."""
        return self._address[0]

    @property
    def token(self) -> str | None:
        """The token in use: never to be printed or kept."""
        return self._address[1]

    @cached_property
    def _credentials(self) -> Credentials:
        server, token = self._address
        return Credentials(token, server)

    @cached_property
    def _fetcher(self) -> Fetcher:
        return Fetcher(self._credentials, self._settings.timeout)

    @cached_property
    def _cave(self) -> Cave:
        from synglancer.cave import Cave  # noqa: PLC0415  # a second of imports

        settings = self._settings
        return Cave(self.server, settings.datastack, self._credentials, settings.timeout)

    @cached_property
    def datastack(self) -> Datastack:
        """The datastack's record."""
        datastack = self._store.load_datastack(self.server, self._settings.datastack)
        if datastack is None:
            datastack = fetch_datastack(self._fetcher, self.server, self._settings.datastack)
            self._credentials.trust(datastack.server)
            self._store.save_datastack(self.server, datastack)
        else:
            self._credentials.trust(datastack.server)
        return datastack

    @property
    def version(self) -> int:
        """The version's number, asked for only where it is not given."""
        given = self._settings.version
        return given if isinstance(given, int) else self.materialization.version

    @cached_property
    def materialization(self) -> Materialization:
        """The version's record."""
        given = self._settings.version
        version = given if isinstance(given, int) else None
        record = version and self._store.load_materialization(self.datastack, version)
        if not record:
            record = fetch_materialization(self._fetcher, self.datastack, version)
            self._store.save_materialization(self.datastack, record)
        return record

    @cached_property
    def table(self) -> PredictionTable:
        """The prediction table's record."""
        name = str(self._settings.table)
        table = self._store.load_table(self.datastack, self.version, name)
        if table is None:
            table = fetch_prediction_table(self._fetcher, self.datastack, self.version, name)
            self._store.save_table(self.datastack, self.version, table)
        return table

    def load_cell(self, cell: int) -> tuple[list[Checked], list[Point] | None]:
        """Load or fetch a cell's synapses and somata, side by side.

        Returns
        -------
        list of Checked, list of (x, y, z) or None
            One or two tables for each direction (with and without a prediction); and the positions
            of the cell's somata in nm, or None where the version has no table of them.

        Raises
        ------
        ServiceError
            When something cannot be had whole.
        """
        from synglancer.view import load_libraries  # noqa: PLC0415  # imports numpy

        with ThreadPoolExecutor(max_workers=6) as pool:
            shared = pool.submit(self._load_shared, pool)
            _ = self._cave  # a second of imports, while those answers arrive
            shared.result()
            directions = [
                pool.submit(self._load_direction, cell, direction)
                for direction in self._settings.directions
            ]
            somata = pool.submit(self._load_somata, cell)
            load_libraries()  # likewise, while these arrive
            return [table for job in directions for table in job.result()], somata.result()

    def _load_shared(self, pool: ThreadPoolExecutor) -> None:
        """Load what all cells share, the version beside the table where its number is known."""
        _ = self.datastack
        if not isinstance(self._settings.version, int):
            _ = self.materialization
        table = pool.submit(lambda: self.table)
        _ = self.materialization  # first: a version that does not exist has no tables either
        table.result()

    def _key(self, *rest: str) -> list[Any]:
        return [self.datastack.server, self.datastack.name, self.version, *rest]

    def _load_direction(self, cell: int, direction: Direction) -> list[Checked]:
        """Load or fetch the predictions of one direction, and the synapses without one."""
        from synglancer.predictions import build_unlabelled  # noqa: PLC0415

        table = self.table
        where = (self.datastack, self.version)
        labelled = self._load_table(
            table.name,
            cell,
            direction,
            lambda: self._cave.fetch_predictions(*where, table, cell, direction),
        )
        if not self._settings.with_unlabelled:
            return [labelled]
        synapses = self._load_table(
            table.synapse_table,
            cell,
            direction,
            lambda: self._cave.fetch_synapses(*where, table.synapse_table, cell, direction),
        )
        return [labelled, build_unlabelled(synapses, labelled.frame)]

    def _load_table(
        self, name: str, cell: int, direction: Direction, fetch: Callable[[], pd.DataFrame]
    ) -> Checked:
        """Load a table that was kept; or fetch it, to be kept once it has been checked."""
        from synglancer.predictions import build_predictions  # noqa: PLC0415

        key = self._key(name, str(cell), direction)
        kept = self._store.load_predictions(key)
        if kept is not None:
            return build_predictions(kept, cell, direction)
        raw = fetch()
        checked = build_predictions(raw, cell, direction)
        self._unsaved.append((key, raw))
        return checked

    def keep_tables(self) -> None:
        """Keep the tables that were fetched: last, since nobody waits for it."""
        with suppress(IndexError):  # another thread may have kept the last of them
            while self._unsaved:
                self._store.save_predictions(*self._unsaved.pop())

    def _load_somata(self, cell: int) -> list[Point] | None:
        """Load or fetch the positions of the cell's somata, or None where they are not served."""
        name = self.datastack.soma_table
        if name is None:
            return []
        key = self._key(name, str(cell))
        somata = self._store.load_somata(key)
        if somata is None:
            try:
                somata = self._cave.fetch_somata(self.datastack, self.version, name, cell)
            except NotServedError:
                return None  # not kept: it may be served again
            self._store.save_somata(key, somata)
        return somata

    def fetch_validity(self, cell: int) -> bool:
        """Fetch whether a root ID was valid at the version's moment (1 request)."""
        return self._cave.fetch_validity(self.datastack, cell, self.materialization.timestamp)

    def upload_state(self, state: bytes) -> str:
        """Upload a state (1 request) and return its address."""
        return self._cave.upload_state(state)

    def fetch_state(self, state_url: str) -> bytes:
        """Fetch a state that was uploaded (1 request, without caveclient)."""
        return self._fetcher.fetch(state_url)
