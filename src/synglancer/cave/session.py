"""A session with one CAVE server, datastack and version, which requests shared data once.

Records are kept on this machine. caveclient is imported by the first question that needs it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from synglancer.cache.answers import Store
from synglancer.cave.access import Access, Answers
from synglancer.cave.metadata import (
    TableKind,
    advise_version,
    fetch_datastack,
    fetch_materialization,
    fetch_prediction_table,
    fetch_served,
    fetch_view_columns,
)
from synglancer.cave.records import Datastack, Materialization, PredictionTable
from synglancer.errors import BadAnswerError, NotServedError, PermissionMissingError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from synglancer.cave.access import Answer
    from synglancer.cave.client import Cave
    from synglancer.cave.records import Soma
    from synglancer.settings import Service, Settings

_DAY = 24 * 3600.0
"""Seconds for which changeable records are cached: datastacks, and expiry times of versions."""

_MOST_IDS = 5_000
"""Number of root IDs in one query of the chunked graph."""


class Session(Access):
    """A CAVE server, one of its datastacks, and a version of that datastack.

    Parameters
    ----------
    service
        The server, datastack, token and timeout.
    store
        The local cache, or None to cache nothing.
    version
        A version's number, ``latest``, or a day in ISO 8601.
    token
        The token for that server, if known; otherwise it is looked up.
    """

    def __init__(
        self,
        service: Service,
        store: Store | None = None,
        version: int | str | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__(service, token)
        self._given = version or "latest"
        self._records = Answers()
        self.store = store or Store(enabled=False)

    @classmethod
    def begin(
        cls, settings: Settings, *, version: int | str | None = None, token: str | None = None
    ) -> Session:
        """Begin a session with the service, version and cache that the options of a link name."""
        store = Store(enabled=not settings.no_cache)
        return cls(settings.service, store, version or settings.version, token)

    @property
    def client(self) -> Cave:
        """The client for the services, which uses caveclient."""
        return self._records.get("client", lambda: self.build_client(self._service.datastack))

    @property
    def datastack_name(self) -> str:
        """The given name of the datastack."""
        return self._service.datastack

    @property
    def datastack(self) -> Datastack:
        """The datastack's record."""
        return self._records.get("datastack", self._load_datastack)

    def _load_datastack(self) -> Datastack:
        name = self._service.datastack
        kept = self.store.load("datastacks", [self.server, name], _DAY)
        if kept is None or not self.identity.expect(kept.pop("data_identity", None)):
            datastack = self.fetch_datastack(name)
            record = {**asdict(datastack), "data_identity": self.identity.value}
            self.store.save("datastacks", [self.server, name], record)
            return datastack
        resolution = tuple(kept.pop("viewer_resolution"))
        datastack = Datastack(**kept, viewer_resolution=resolution)
        self.credentials.trust(datastack.server)
        return datastack

    def fetch_datastack(self, name: str) -> Datastack:
        """Fetch the record of any datastack (1 request), and allow its server to get the token."""
        datastack = fetch_datastack(self.fetcher, self.server, name)
        self.credentials.trust(datastack.server)
        return datastack

    @property
    def version(self) -> int:
        """The version's number, which is fetched only if it was not given."""
        return self._given if isinstance(self._given, int) else self.materialization.version

    @property
    def materialization(self) -> Materialization:
        """The version's record."""
        return self._records.get("materialization", self._load_materialization)

    def _load_materialization(self) -> Materialization:
        if isinstance(self._given, int):
            kept = self.store.load("versions", self._build_key(self._given), _DAY)
            if kept is not None:
                record = _read_materialization(kept)
                if not _has_run_out(record):
                    return record
        record = fetch_materialization(self.fetcher, self.datastack, self._given)
        self.store.save("versions", self._build_key(record.version), asdict(record))
        return record

    def name_version(self) -> str:
        """Name the datastack and the version in words."""
        version = self.materialization
        return f"{self.datastack.name} at version {version.version} ({version.timestamp:%Y-%m-%d})"

    def build_key(self, *rest: str) -> list[Any]:
        """Return the key under which data of this version are cached."""
        return self._build_key(self.version, *rest)

    def _build_key(self, version: int, *rest: str) -> list[Any]:
        where = [self.datastack.server, self.datastack.name, version, *rest]
        identity = self.identity.value
        return where if identity is None else [*where, {"data": identity}]

    def confirm_data(self) -> None:
        """Make sure that cached answers belong to the server's present data.

        This takes 1 request if the server is on this machine and has not answered yet.

        Raises
        ------
        DataChangedError
            When they belong to other data.
        """
        if self.identity.needs_answer:
            self._records.get("confirmed", lambda: self.fetch_datastack(self._service.datastack))

    def renew(self) -> bool:
        """Clear cached answers about other data, if they caused a `DataChangedError`.

        Returns False if the data changed during the requests, so that no link can be made.
        """
        outdated = self.identity.pop_outdated()
        if outdated:
            self._records.clear()
        return outdated

    def ask_once(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to a question that the session asks only once, for all threads."""
        return self._records.get(question, ask)

    def load_table(self, name: str, kind: TableKind) -> PredictionTable:
        """Load or fetch the record of a table that refers to synapses.

        Raises
        ------
        NotServedError
            When the version has no such table, or it is not of that kind.
        """
        return self._records.get(("table", name, kind.schema), lambda: self._load_table(name, kind))

    def _load_table(self, name: str, kind: TableKind) -> PredictionTable:
        use = (kind.schema,) if kind.schema else ()
        kept = self.store.load("tables", self.build_key(name, *use))
        if kept is not None:
            return PredictionTable(**kept)
        where = (self.fetcher, self.datastack, self.version)
        try:
            table = fetch_prediction_table(*where, name, kind)
        except NotServedError:
            if not self.materialization.expired:
                raise
            table = self._fetch_table_elsewhere(name, kind)
        self.store.save("tables", self.build_key(name, *use), asdict(table))
        return table

    def _fetch_table_elsewhere(self, name: str, kind: TableKind) -> PredictionTable:
        """Fetch a table's record from the newest version that has it; it is the same there."""
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

    def load_view_columns(self, name: str) -> list[str]:
        """Load or fetch the names of a view's columns.

        Raises
        ------
        NotServedError
            When the version has no such view.
        """
        kept = self.store.load("tables", self.build_key(name, "view"))
        if kept is not None:
            return list(kept["columns"])
        columns = fetch_view_columns(self.fetcher, self.datastack, self.version, name)
        self.store.save("tables", self.build_key(name, "view"), {"columns": columns})
        return columns

    @contextmanager
    def explain_refused_live(self) -> Iterator[None]:
        """Suggest available versions if a service refuses live queries."""
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

    def fetch_validity(self, cells: Sequence[int]) -> dict[int, bool]:
        """Fetch which root IDs were valid at the version's timestamp (1 request for 5,000)."""
        valid: dict[int, bool] = {}
        distinct, at = list(dict.fromkeys(cells)), self.materialization.timestamp
        for first in range(0, len(distinct), _MOST_IDS):
            some = distinct[first : first + _MOST_IDS]
            valid |= self.client.fetch_validity(self.datastack, some, at)
        return valid

    def fetch_first_timestamps(self, cells: list[int]) -> list[datetime]:
        """Fetch when root IDs were created (1 request); the list is empty if none ever existed."""
        return self.client.fetch_timestamps(self.datastack, cells)

    def fetch_lifetime(self, cell: int) -> tuple[datetime, datetime] | None:
        """Fetch the first and the last timestamp at which a root ID was valid (2 requests).

        Returns None for one that never existed (1 request).
        """
        first = self.fetch_first_timestamps([cell])
        if not first:
            return None
        last = self.client.fetch_timestamps(self.datastack, [cell], latest=True)
        return (first[0], last[0]) if last else None

    def fetch_related(self, cell: int) -> list[int]:
        """Fetch the successors up to the version's timestamp, or predecessors, of a root ID.

        This takes 2 requests.
        """
        return self.client.fetch_related(self.datastack, cell, self.materialization.timestamp)

    def fetch_roots(self, supervoxels: list[int], at: datetime) -> list[int]:
        """Fetch the root ID that each supervoxel had at a timestamp, 0 for none (1 request)."""
        return self.client.fetch_roots(self.datastack, supervoxels, at)

    def fetch_nuclei(self, column: str, values: list[int]) -> tuple[str, list[Soma]]:
        """Fetch the name of the table of somata, and its rows with these values (1 request)."""
        name = self.datastack.soma_table
        if name is None:
            raise NotServedError(
                f"The datastack {self.datastack.name} has no table of somata.",
                "Give the cell's root ID.",
            )
        with self.explain_refused_live():
            at = self.materialization
            return name, self.client.fetch_nuclei(self.datastack, at, name, column, values)

    def upload_state(self, state: bytes) -> str:
        """Upload a state (1 request) and return its address."""
        return self.client.upload(state)

    def upload_properties(self, properties: bytes) -> str:
        """Upload segment properties (1 request) and return their address."""
        return self.client.upload(properties, "/property")


def _read_materialization(record: dict[str, Any]) -> Materialization:
    expires = record["expires_on"]
    return Materialization(
        version=record["version"],
        timestamp=datetime.fromisoformat(record["timestamp"]),
        expires_on=datetime.fromisoformat(expires) if expires else None,
        expired=record.get("expired", False),
    )


def _has_run_out(record: Materialization) -> bool:
    """Whether a version's expiry time has passed, so that its record must be fetched again."""
    expires = record.expires_on
    return expires is not None and expires < datetime.now(timezone.utc)
