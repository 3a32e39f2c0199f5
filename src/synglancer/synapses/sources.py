"""What a link is made from: kept on this machine, or else fetched from CAVE and kept.

`Sources` answers each question once, for all cells of a run. caveclient and pandas are imported
when something has to be fetched.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from synglancer.cave.auth import Credentials
from synglancer.cave.http import Fetcher
from synglancer.cave.metadata import (
    PREDICTIONS,
    TableKind,
    advise_version,
    fetch_datastack,
    fetch_materialization,
    fetch_prediction_table,
    fetch_served,
)
from synglancer.cave.tokens import find_token
from synglancer.errors import (
    BadAnswerError,
    NotServedError,
    PermissionMissingError,
    ServiceError,
)
from synglancer.settings import BETWEEN, DEFAULT_SERVER
from synglancer.synapses.cell_tables import CellTables
from synglancer.synapses.context import Context, ContextSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from synglancer.cache.answers import Store
    from synglancer.cave.client import Cave, Direction
    from synglancer.cave.records import Datastack, Materialization, PredictionTable, Soma
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
        self.tables = CellTables(store)
        self._context = ContextSource(settings, store, self)

    @cached_property
    def _address(self) -> tuple[str, str | None]:
        if self._settings.sandbox:
            from synglancer.cave.sandbox import start_sandbox  # only here

            running = start_sandbox()
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
    def fetcher(self) -> Fetcher:
        """Who asks what needs no caveclient."""
        return Fetcher(self._credentials, self._settings.timeout)

    @cached_property
    def cave(self) -> Cave:
        """The services, asked through caveclient."""
        from synglancer.cave.client import Cave  # a second of imports

        settings = self._settings
        return Cave(self.server, settings.datastack, self._credentials, settings.timeout)

    @cached_property
    def datastack(self) -> Datastack:
        """The datastack's record."""
        datastack = self._store.load_datastack(self.server, self._settings.datastack)
        if datastack is None:
            datastack = fetch_datastack(self.fetcher, self.server, self._settings.datastack)
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
        given = self._settings.version or "latest"
        known = isinstance(given, int)
        record = self._store.load_materialization(self.datastack, int(given)) if known else None
        if record is None or _has_run_out(record):
            record = fetch_materialization(self.fetcher, self.datastack, given)
            self._store.save_materialization(self.datastack, record)
        return record

    def name_version(self) -> str:
        """Say which datastack and version is asked."""
        version = self.materialization
        return f"{self.datastack.name} at version {version.version} ({version.timestamp:%Y-%m-%d})"

    @cached_property
    def table(self) -> PredictionTable:
        """The prediction table's record."""
        return self.load_table(str(self._settings.table), PREDICTIONS)

    def load_table(self, name: str, kind: TableKind) -> PredictionTable:
        """Load or fetch the record of a table that refers to synapses.

        Raises
        ------
        NotServedError
            When the version has no such table, or it is not of that kind.
        """
        use = (kind.schema,) if kind.schema else ()
        table = self._store.load_table(self.datastack, self.version, name, *use)
        if table is None:
            where = (self.fetcher, self.datastack, self.version)
            try:
                table = fetch_prediction_table(*where, name, kind)
            except NotServedError:
                if not self.materialization.expired:
                    raise
                table = self._fetch_table_of_others(name, kind)
            self._store.save_table(self.datastack, self.version, table, *use)
        return table

    def _fetch_table_of_others(self, name: str, kind: TableKind) -> PredictionTable:
        """Fetch a table's record from the newest version that has it: it refers to the same."""
        served = fetch_served(self.fetcher, self.datastack)
        for other in reversed(served):
            where = (self.fetcher, self.datastack, other.version)
            with suppress(NotServedError):
                return fetch_prediction_table(*where, name, kind)
        at = self.materialization
        raise NotServedError(
            f"Version {at.version} of {self.datastack.name} has expired, and no other "
            f"version has the table {name!r}.",
            advise_version(served, timestamp=at.timestamp),
        )

    def load_cells(self, cells: Sequence[int]) -> CellData:
        """Load or fetch cells' synapses and somata, and what else is asked for.

        All are asked for side by side, and for all cells at once. Where the version is served no
        more, live queries at its timestamp are, after all root IDs were found to be valid then;
        otherwise only those that are come back, as if they alone had synapses.

        Raises
        ------
        ServiceError
            When something cannot be had whole.
        """
        from synglancer.synapses.predictions import find_cells  # imports pandas
        from synglancer.view.state import load_libraries  # imports numpy

        with ThreadPoolExecutor(max_workers=8) as pool:
            shared = pool.submit(self._load_shared, pool)
            _ = self.cave  # a second of imports, while those answers arrive
            shared.result()
            if self.materialization.expired:
                validity = self.fetch_validity([*cells])
                valid = {cell for cell, good in zip(cells, validity, strict=True) if good}
                if len(valid) < len(cells):
                    return CellData([], valid)
            names = self._settings.directions
            directions = [pool.submit(self._load_direction, cells, name) for name in names]
            totals = pool.submit(self._fetch_totals, cells) if self._settings.with_total else None
            somata = pool.submit(self._load_somata, cells)
            context = self._context.ask(pool, cells)
            load_libraries()  # likewise, while these arrive
            with self._explain_refused_live():
                tables = [table for job in directions for table in job.result()]
                counts = totals.result() if totals else None
                points, further = somata.result(), context()
        found = {cell for table in tables for cell in find_cells(table.frame)}
        return CellData(tables, found, points, counts, further)

    def _fetch_totals(self, cells: Sequence[int]) -> dict[str, int]:
        """Fetch how many synapses there are in each direction, and between several cells."""
        where = (self.datastack, self.materialization, self.table.synapse_table, cells)
        names = self._settings.directions
        with ThreadPoolExecutor(max_workers=3) as pool:
            jobs = [pool.submit(self.cave.fetch_synapse_count, *where, name) for name in names]
            counts: dict[str, int] = {}
            if len(cells) > 1:
                counts[BETWEEN] = self.cave.fetch_count_between(*where)
            # Those between the cells are among the inputs, and among the outputs.
            shared = counts.get(BETWEEN, 0)
            each: dict[str, int] = {
                name: job.result() - shared for name, job in zip(names, jobs, strict=True)
            }
        return {**each, **counts}

    @contextmanager
    def _explain_refused_live(self) -> Iterator[None]:
        """Say what can be asked instead, where a service answers no live queries."""
        try:
            yield
        except ServiceError as error:
            refused = {ServiceError, NotServedError, BadAnswerError, PermissionMissingError}
            if not self.materialization.expired or type(error) not in refused:
                raise
            at = self.materialization
            served = fetch_served(self.fetcher, self.datastack)
            raise NotServedError(
                f"Version {at.version} of {self.datastack.name} ({at.timestamp:%Y-%m-%d}) has "
                f"expired, and a live query at its timestamp was refused: {error}",
                advise_version(served, timestamp=at.timestamp),
            ) from error

    def _load_shared(self, pool: ThreadPoolExecutor) -> None:
        """Load what all cells share, the version beside the table where its number is known."""
        _ = self.datastack
        if not isinstance(self._settings.version, int):
            _ = self.materialization
        table = pool.submit(lambda: self.table)
        context = pool.submit(self._context.load_shared)
        _ = self.materialization  # first: a version that does not exist has no tables either
        table.result()
        context.result()

    def key(self, *rest: str) -> list[Any]:
        """Return the key under which something of this version is kept."""
        return [self.datastack.server, self.datastack.name, self.version, *rest]

    def _load_direction(self, cells: Sequence[int], direction: Direction) -> list[Checked]:
        """Load or fetch the predictions of one direction, and the synapses without one."""
        from synglancer.synapses.predictions import build_predictions, build_unlabelled

        table = self.table
        where = (self.datastack, self.materialization)
        # Live queries are not kept: their annotations can still change.
        kept = not self.materialization.expired
        labelled = self.tables.load(
            self.key(table.name),
            cells,
            direction,
            lambda missing: self.cave.fetch_predictions(*where, table, missing, direction),
            lambda raw: build_predictions(raw, cells, direction),
            kept=kept,
        )
        if not self._settings.with_unlabelled:
            return [labelled]
        name = table.synapse_table
        unlabelled = self.tables.load(
            self.key(name),
            cells,
            direction,
            lambda missing: self.cave.fetch_synapses(*where, name, missing, direction),
            lambda raw: build_unlabelled(raw, cells, direction, labelled),
            kept=kept,
        )
        return [labelled, unlabelled]

    def keep_tables(self) -> None:
        """Keep the tables that were fetched: last, since nobody waits for it."""
        self.tables.keep()

    def _load_somata(self, cells: Sequence[int]) -> dict[int, list[Point]] | None:
        """Load or fetch the positions of cells' somata, or None where they are not served."""
        name = self.datastack.soma_table
        if name is None:
            return {cell: [] for cell in cells}
        keys = {cell: self.key(name, str(cell)) for cell in cells}
        kept = {cell: self._store.load_somata(key) for cell, key in keys.items()}
        somata = {cell: points for cell, points in kept.items() if points is not None}
        missing = [cell for cell in cells if cell not in somata]
        if missing:
            where = (self.datastack, self.materialization, name)
            try:
                fetched = self.cave.fetch_somata(*where, missing)
            except NotServedError:
                return None  # not kept: it may be served again
            for cell, points in fetched.items():
                self._store.save_somata(keys[cell], points)
            somata |= fetched
        return {cell: somata[cell] for cell in cells}

    def fetch_validity(self, cells: list[int]) -> list[bool]:
        """Fetch which root IDs were valid at the version's timestamp (1 request)."""
        return self.cave.fetch_validity(self.datastack, cells, self.materialization.timestamp)

    def fetch_lifetime(self, cell: int) -> tuple[datetime, datetime]:
        """Fetch the first and the last timestamp at which a root ID was valid (2 requests)."""
        return self.cave.fetch_lifetime(self.datastack, cell)

    def fetch_related(self, cell: int) -> list[int]:
        """Fetch what a root ID became until the version's timestamp, or came from (2 requests)."""
        return self.cave.fetch_related(self.datastack, cell, self.materialization.timestamp)

    def fetch_roots(self, supervoxels: list[int], at: datetime) -> list[int]:
        """Fetch the root ID that each supervoxel had at a timestamp, 0 for none (1 request)."""
        return self.cave.fetch_roots(self.datastack, supervoxels, at)

    def fetch_nuclei(self, column: str, values: list[int]) -> tuple[str, list[Soma]]:
        """Fetch the name of the table of somata, and its rows with these values (1 request)."""
        name = self.datastack.soma_table
        if name is None:
            raise NotServedError(
                f"The datastack {self.datastack.name} names no table of somata.",
                "Give the cell's root ID.",
            )
        with self._explain_refused_live():
            at = self.materialization
            return name, self.cave.fetch_nuclei(self.datastack, at, name, column, values)

    def fetch_root_at(self, point: Point) -> int:
        """Fetch the root ID at a position in nm at the version's timestamp, 0 for none."""
        from synglancer.cells.positions import fetch_segment

        source, timeout = self.datastack.segmentation_source, self._settings.timeout
        segment = fetch_segment(self.fetcher, source, point, timeout)
        if not segment.number or not segment.is_supervoxel:
            return segment.number
        return self.fetch_roots([segment.number], self.materialization.timestamp)[0]

    def upload_state(self, state: bytes) -> str:
        """Upload a state (1 request) and return its address."""
        return self.cave.upload_state(state)

    def upload_properties(self, properties: bytes) -> str:
        """Upload segment properties (1 request) and return their address."""
        return self.cave.upload_properties(properties)

    def fetch_state(self, state_url: str) -> bytes:
        """Fetch a state, ours or of a link that somebody gave (1 request, without caveclient)."""
        return self.fetcher.fetch(state_url)


def _has_run_out(record: Materialization) -> bool:
    """Whether a version's time is over, so that it has to be asked again whether it is served."""
    expires = record.expires_on
    return expires is not None and expires < datetime.now(timezone.utc)
