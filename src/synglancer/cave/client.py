"""Query CAVE through caveclient; the only module that imports it.

Each method makes one request unless it says otherwise.

The service clients are made one by one with their API version given, since `CAVEclient(...)` costs
six requests before the first query, writes a map of servers into the user's home folder, and would
need a timeout from outside (see `http`).
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from synglancer.cave.lazy_imports import CAVECLIENT, import_lightly
from synglancer.cave.pagination import EVERYTHING, Span, fetch_whole
from synglancer.cave.queries import ask_join, ask_table, ask_view, name_filter, one_or_several
from synglancer.cave.records import Soma
from synglancer.columns import ASKED_COLUMN, CELL_COLUMN
from synglancer.errors import BadAnswerError, SynglancerError, build_not_cave_error

import_lightly(CAVECLIENT)
from caveclient.auth import AuthClient  # noqa: E402
from caveclient.base import Version  # noqa: E402
from caveclient.jsonservice import JSONService  # noqa: E402
from caveclient.materializationengine import MaterializationClient  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import pandas as pd
    from caveclient.chunkedgraph import ChunkedGraphClient

    from synglancer.cave.records import Datastack, Direction, Materialization, PredictionTable

_SYNAPSE_COLUMNS = ["id", "size", "pre_pt_root_id", "post_pt_root_id", "ctr_pt_position"]
_SPINE_COLUMNS = ["id", "pre_pt_root_id", "post_pt_root_id"]
_NEW_ENOUGH = Version("999")
# For the chunked graph, caveclient distinguishes major versions up to 3.
_NEWEST = {"ChunkedGraphClient": Version("3.999")}


class Cave:
    """The services of one datastack on one CAVE server.

    Parameters
    ----------
    server
        Address of the global server: information and states.
    datastack
        The datastack's name.
    guard_session
        Makes a session send the token and wait no longer than it may, as
        `synglancer.cave.http.guard` does.
    """

    def __init__(self, server: str, datastack: str, guard_session: Callable[..., None]) -> None:
        self._server = server
        self._name = datastack
        self._guard_session = guard_session
        # It never holds the token, which is added to each request when it is sent.
        self._auth = AuthClient(token="", server_address=server)

    def _client(self, kind: type, *args: Any, repeatable: bool = True, **kwargs: Any) -> Any:
        """Make a service client whose session is guarded from its first request on."""
        guard_session = self._guard_session

        class Guarded(kind):  # type: ignore[misc]  # caveclient is untyped
            def _get_version(self) -> Version:
                # Called once for each new session, to fetch the service's version, because
                # caveclient refuses old services. We check the answers instead.
                self.session.cookies.clear()
                self.session.headers.pop("Authorization", None)
                guard_session(self.session, repeatable=repeatable)
                return _NEWEST.get(kind.__name__, _NEW_ENOUGH)

        return Guarded(*args, auth_client=self._auth, **kwargs)

    def _materialize(self, server: str) -> MaterializationClient:
        return self._client(MaterializationClient, server, datastack_name=self._name, api_version=3)

    def fetch_predictions(
        self,
        datastack: Datastack,
        at: Materialization,
        table: PredictionTable,
        cells: Sequence[int],
        direction: Direction,
    ) -> pd.DataFrame:
        """Fetch the predictions of cells' synapses in one direction, or of synapses by their IDs.

        This takes 1 request, or more if the server cuts its answer off.

        Returns
        -------
        pandas.DataFrame
            Columns ``id`` (of the synapse), ``size``, ``pre_pt_root_id``, ``post_pt_root_id``,
            ``ctr_pt_position_x``, ``_y``, ``_z`` (nm), ``tag``, ``value``; in any order.

        Raises
        ------
        TruncatedError
            When the server leaves out rows in every part of the answer.
        ServiceError
            When the query fails.
        """
        wanted = {table.synapse_table: {ASKED_COLUMN[direction]: one_or_several(cells)}}
        return self._query_join(datastack, at, table, wanted, _SYNAPSE_COLUMNS, ["tag", "value"])

    def fetch_range(
        self, datastack: Datastack, at: Materialization, table: PredictionTable, span: Span
    ) -> pd.DataFrame:
        """Fetch the predictions of synapses in a range of IDs (1 request, or more)."""
        return self._query_join(datastack, at, table, {}, _SYNAPSE_COLUMNS, ["tag", "value"], span)

    def fetch_spines(
        self,
        datastack: Datastack,
        at: Materialization,
        table: PredictionTable,
        cells: Sequence[int],
        direction: Direction,
    ) -> pd.DataFrame:
        """Fetch the spines that cells' synapses in one direction are on (1 request, or more).

        Columns are ``id`` (of the synapse), ``pre_pt_root_id``, ``post_pt_root_id`` and
        ``group_id`` (of the spine); synapses that are on no spine have no row.
        """
        wanted = {table.synapse_table: {ASKED_COLUMN[direction]: one_or_several(cells)}}
        return self._query_join(datastack, at, table, wanted, _SPINE_COLUMNS, ["group_id"])

    def fetch_synapses_on(
        self,
        datastack: Datastack,
        at: Materialization,
        table: PredictionTable,
        cells: list[int],
        spines: list[int],
    ) -> pd.DataFrame:
        """Fetch all synapses on some spines of some cells, as `fetch_spines` does.

        There may be rows of further spines, if spines of two cells have the same number.
        """
        own = {table.name: {"group_id": spines}, table.synapse_table: {"post_pt_root_id": cells}}
        return self._query_join(datastack, at, table, own, _SPINE_COLUMNS, ["group_id"])

    def fetch_cell_types(
        self, datastack: Datastack, at: Materialization, view: str, column: str
    ) -> pd.DataFrame:
        """Fetch the types of all cells that a view has (1 request, or more).

        Columns are ``id`` (of the nucleus), ``pt_root_id`` and the requested column, as text.
        """
        client = self._materialize(datastack.server)
        columns = ["id", "pt_root_id", column]
        with _caveclient_errors(datastack.server):
            return fetch_whole(lambda span: ask_view(client, at, view, columns, span))

    def fetch_synapses(
        self,
        datastack: Datastack,
        at: Materialization,
        table: str,
        cells: Sequence[int],
        direction: Direction,
    ) -> pd.DataFrame:
        """Fetch cells' synapses in one direction, predicted or not (1 request, or more).

        Returns
        -------
        pandas.DataFrame
            As `fetch_predictions`, without ``tag`` and ``value``.
        """
        wanted = {ASKED_COLUMN[direction]: one_or_several(cells)}
        return self._query_table(datastack, at, table, wanted, _SYNAPSE_COLUMNS)

    def fetch_synapse_count(
        self,
        datastack: Datastack,
        at: Materialization,
        table: str,
        cells: Sequence[int],
        direction: Direction,
    ) -> int:
        """Fetch how many synapses cells have in one direction, predicted or not (1 request).

        Raises
        ------
        TruncatedError
            When live rows had to be counted, and the server left some out.
        ServiceError
            When the query fails.
        """
        wanted = {ASKED_COLUMN[direction]: one_or_several(cells)}
        if at.expired:  # live queries do not count, and refuse to give a single column
            return len(self._query_table(datastack, at, table, wanted, ["id", *wanted]))
        client = self._materialize(datastack.server)
        with _caveclient_errors(datastack.server):
            frame = client.query_table(
                table,
                materialization_version=at.version,
                merge_reference=False,
                get_counts=True,
                metadata=False,
                log_warning=False,
                split_positions=True,
                **{name_filter(wanted): wanted},
            )
            return int(frame["count"].iloc[0])

    def fetch_count_between(
        self, datastack: Datastack, at: Materialization, table: str, cells: Sequence[int]
    ) -> int:
        """Fetch how many synapses go from one of several cells onto another (1 request, or more).

        The rows are fetched, since a service cannot count without the cells' autapses.
        """
        ends = [*CELL_COLUMN.values()]
        wanted = {end: [*cells] for end in ends}
        frame = self._query_table(datastack, at, table, wanted, ["id", *ends])
        with _caveclient_errors(datastack.server):
            return int((frame[ends[0]] != frame[ends[1]]).sum())

    def fetch_somata(
        self, datastack: Datastack, at: Materialization, table: str, cells: Sequence[int]
    ) -> dict[int, list[tuple[float, float, float]]]:
        """Fetch the positions of cells' somata (1 request).

        Returns
        -------
        dict of list of (x, y, z)
            Positions of each cell in nm: one for a whole neuron, none for a fragment, several for
            merged cells.

        Raises
        ------
        ServiceError
            When the query fails.
        """
        wanted = {"pt_root_id": one_or_several(cells)}
        columns = ["id", "pt_root_id", "pt_position"]
        frame = self._query_table(datastack, at, table, wanted, columns)
        found: dict[int, list[tuple[float, float, float]]] = {cell: [] for cell in cells}
        with _caveclient_errors(datastack.server):
            points = [frame[f"pt_position_{axis}"].astype(float) for axis in "xyz"]
            for cell, *point in zip(frame["pt_root_id"].astype("int64"), *points, strict=True):
                found[int(cell)].append((point[0], point[1], point[2]))
        return found

    def fetch_nuclei(
        self, datastack: Datastack, at: Materialization, table: str, column: str, values: list[int]
    ) -> list[Soma]:
        """Fetch the nuclei with one of these IDs, or in one of these cells (1 request).

        Parameters
        ----------
        datastack, at, table
            The datastack, version and table to query.
        column
            ``id`` or ``pt_root_id``.
        values
            The values to look for.

        Raises
        ------
        ServiceError
            When the query fails.
        """
        names = ["id", "pt_root_id", "pt_supervoxel_id"]
        frame = self._query_table(datastack, at, table, {column: values}, names)
        with _caveclient_errors(datastack.server):
            columns = [frame[name].astype("int64").tolist() for name in names]
            return [Soma(*numbers) for numbers in zip(*columns, strict=True)]

    def _query_table(
        self,
        datastack: Datastack,
        at: Materialization,
        table: str,
        wanted: dict[str, Any],
        columns: list[str],
    ) -> pd.DataFrame:
        """Fetch the rows in which each of these columns holds one value, or one of several.

        This takes 1 request, or more if the answer is cut off.
        """
        client = self._materialize(datastack.server)
        with _caveclient_errors(datastack.server):
            return fetch_whole(lambda span: ask_table(client, at, table, wanted, columns, span))

    def _query_join(
        self,
        datastack: Datastack,
        at: Materialization,
        table: PredictionTable,
        wanted: dict[str, dict[str, Any]],
        of_synapses: list[str],
        of_table: list[str],
        span: Span = EVERYTHING,
    ) -> pd.DataFrame:
        """Fetch rows of a table with the synapses that they refer to (1 request, or more)."""
        columns = {table.synapse_table: of_synapses, table.name: of_table}
        with _caveclient_errors(datastack.server):
            ask = partial(ask_join, self._materialize(datastack.server), at, table, wanted, columns)
            return fetch_whole(lambda part: ask(part.within(span)))

    def _graph(self, datastack: Datastack) -> ChunkedGraphClient:
        from caveclient.chunkedgraph import ChunkedGraphClient  # imports networkx

        table = datastack.segmentation_source.rstrip("/").rsplit("/", 1)[-1]
        return self._client(ChunkedGraphClient, datastack.server, table, api_version=1)

    def fetch_validity(
        self, datastack: Datastack, cells: Sequence[int], at: datetime
    ) -> dict[int, bool]:
        """Fetch which root IDs were valid at a timestamp (1 request)."""
        with _caveclient_errors(datastack.server):
            valid = self._graph(datastack).is_latest_roots([*cells], timestamp=at)
            return {cell: bool(item) for cell, item in zip(cells, valid, strict=True)}

    def fetch_timestamps(
        self, datastack: Datastack, cells: list[int], *, latest: bool = False
    ) -> list[datetime]:
        """Fetch the first or the last timestamp at which root IDs were valid (1 request).

        The list is empty if none of them ever existed.
        """
        with _caveclient_errors(datastack.server):
            return [*self._graph(datastack).get_root_timestamps(cells, latest=latest)]

    def fetch_related(self, datastack: Datastack, cell: int, at: datetime) -> list[int]:
        """Fetch the root IDs that a root ID became until a timestamp, or came from (2 requests).

        Not all of them need be valid then; `fetch_validity` checks that.
        """
        with _caveclient_errors(datastack.server):
            related = self._graph(datastack).get_latest_roots(cell, timestamp=at)
            return sorted({int(item) for item in related})

    def fetch_roots(self, datastack: Datastack, supervoxels: list[int], at: datetime) -> list[int]:
        """Fetch the root ID that each supervoxel had at a timestamp, 0 for none (1 request)."""
        with _caveclient_errors(datastack.server):
            roots = self._graph(datastack).get_roots(supervoxels, timestamp=at)
            return [int(root) for _, root in zip(supervoxels, roots, strict=True)]

    def upload(self, content: bytes, kind: str = "") -> str:
        """Upload a state, or segment properties (1 request), and return the address.

        The bytes are posted unchanged: caveclient's own `upload_state_json` would encode them
        again, so the stored bytes would differ from the hashed ones.

        Parameters
        ----------
        content
            The JSON.
        kind
            The part of the address that stands for the kind: ``/property``; empty for a state.

        Raises
        ------
        ServiceError
            When the server refuses it, or its answer holds no address.
        """
        client = self._client(JSONService, self._server, api_version=1, repeatable=False)
        base = client.state_service_endpoint.removesuffix("/post") + kind
        response = client.session.post(f"{base}/post", data=content)
        with _caveclient_errors(self._server):
            found = re.search(r"/(\d+)$", str(response.json()))
        if not found:
            raise BadAnswerError(
                f"The state server at {self._server} stored the state, but did not say where.",
                "Try again; if it happens again, tell the server's administrators.",
            )
        return f"{base}/{found[1]}"


@contextmanager
def _caveclient_errors(server: str) -> Iterator[None]:
    """Convert errors of caveclient, pandas or Arrow on strange answers into our own errors."""
    try:
        yield
    except SynglancerError:
        raise
    except Exception as error:
        raise build_not_cave_error(server) from error
