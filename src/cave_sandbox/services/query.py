"""The queries of the materialization service: one table, a join, or a live query.

It translates a request into SQL, runs it outside the event loop, and sends the rows in a format
that the request accepts.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from cave_sandbox.services.materialize import (
    AT_VERSION,
    ONE,
    MaterializeHandler,
    not_reflected,
    refuse_expired_view,
)
from cave_sandbox.tables.database import QueryFailedError
from cave_sandbox.tables.query_body import QueryError, parse_body
from cave_sandbox.tables.sql import build_query
from cave_sandbox.tables.wire import choose_compression, to_arrow, to_json, to_stream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import pyarrow as pa

    from cave_sandbox.tables.dataset import Dataset, Table, Version
    from cave_sandbox.tables.lineage import Lineage
    from cave_sandbox.tables.query_body import QueryBody
    from cave_sandbox.tables.sql import Query

PANDAS_WARNING = (
    "Using non-pandas query execution is deprecated as it can mangle types, please upgrade "
    "caveclient to >=8.0.0 to use pandas for improved type handling."
)
ARROW_WARNING = (
    "Response is in pyarrow IPC format. If you encounter a parsing error, please upgrade "
    "CAVEClient to >=5.9.0 with: pip install --upgrade caveclient. To suppress this warning, pass "
    "arrow_format=True in your query parameters."
)


class QueryHandler(MaterializeHandler):
    """The rows of one table or view, of joined tables, or of tables at a timestamp."""

    def initialize(self, kind: str, *, of_view: bool = False) -> None:
        """Set the kind of query: ``simple`` (one view or table), ``join`` or ``live``."""
        self.kind, self.of_view = kind, of_view
        self.arrow = self._allows("return_pyarrow", default=True)
        self.direct = self._allows("direct_sql_pandas")
        self.accepted = self.request.headers.get("Accept-Encoding", "")

    async def post(self, name: str, number: str | None = None, table_name: str = "") -> None:
        """Answer a query; the address has no version if live, and a table only if simple."""
        from marshmallow import ValidationError  # with the first query, as for the schemas

        dataset = self.admit(name)
        try:
            body = parse_body(self.kind, self.request.body, table_name)
            tables = _find_tables(dataset, body, number, of_view=self.of_view)
            lineage = self.context.data.lineages[dataset.name]
            if body.timestamp and not self._allows("allow_invalid_root_ids"):
                await self.outside(_check_roots, lineage, body, body.timestamp)
            replaced = lineage.replaced_at(body.timestamp) if body.timestamp else {}
            query = build_query(
                body,
                dataset,
                tables,
                self.context.row_limit,
                self._sample(),
                replaced,
                counts=self.kind == "simple" and self._allows("count"),
            )
            content, count = await self.outside(self._work, query)
        except ValidationError as error:
            self.send_json({"schema_errors": error.messages}, 500)
        except (QueryError, QueryFailedError) as error:
            self.send_failure(str(error))
        else:
            notices = [] if self.kind == "live" else _notices(tables)
            self._send(query, content, self._warnings(query, notices, count))

    def _work(self, query: Query) -> tuple[bytes, int]:
        """Run a query and encode its rows, in a separate thread."""
        rows: pa.Table = self.context.data.tables.run(query.sql, query.parameters)
        table = to_arrow(rows, query.outputs, direct=self.direct)
        compressed = self._allows("ipc_compress", default=True)
        compression = choose_compression(self.accepted) if compressed else None
        content = to_stream(table, compression) if self.arrow else to_json(table)
        return (gzip.compress(content, 6) if "gzip" in self.accepted else content), rows.num_rows

    def _sample(self) -> int | None:
        sample = self.get_query_argument("random_sample", "")
        if sample and not sample.isdecimal():
            raise QueryError(f"400 Bad Request: random_sample {sample} is not a number of rows")
        return int(sample) if sample else None

    def _allows(self, name: str, *, default: bool = False) -> bool:
        given = self.get_query_argument(name, str(default))
        return given.lower() in {"true", "1", "yes"}

    def _warnings(self, query: Query, notices: list[str], count: int) -> list[str]:
        """Return the ``Warning`` headers, in the recorded service's order."""
        if self.arrow and not self._allows("arrow_format"):
            return [ARROW_WARNING]  # the recorded service drops all others
        limited = [f'201 - "Limited query to {query.limit} rows'] if count == query.limit else []
        ordered = [*notices, *query.warnings, *limited]
        if self.kind == "simple":
            ordered = [*limited, *notices, *query.warnings]
        return list(dict.fromkeys(ordered if self.direct else [*ordered, PANDAS_WARNING]))

    def _send(self, query: Query, content: bytes, warnings: list[str]) -> None:
        self.set_header("Content-Type", "data.arrow" if self.arrow else "application/json")
        if self.arrow:
            self.set_header("Cache-Control", "no-cache")
        for warning in warnings:
            self.add_header("Warning", _header_safe(warning))
        for size in query.resolution:
            self.add_header("dataframe_resolution", str(size))
        self.set_header("column_names", _header_safe(str(query.names)))
        if "gzip" in self.accepted:
            self.set_header("Content-Encoding", "gzip")
            self.add_header("Vary", "Accept-Encoding")
        self.finish(content)


def _find_tables(
    dataset: Dataset, body: QueryBody, number: str | None, *, of_view: bool
) -> dict[str, Table]:
    """Return the tables of a request, in the same order, or refuse it."""
    version = None if number is None else dataset.version(int(number))
    if number is not None and version is None:
        where = f"version {number} not found in {dataset.name}"
        if int(number) == 0:
            where = f"Analysis version 0 not found for datastack {dataset.name}"
        raise QueryError(f"404 Not Found: {where}")
    # A join names the referring table first, so if both are missing, the error is about that one.
    order = dict.fromkeys([*(join.left for join in body.joins), *body.tables])
    if of_view:
        return {name: _find_view(dataset, name, version) for name in order}
    found: dict[str, Table] = {}
    for name in order:
        moment = body.timestamp
        table = dataset.table_at(name, moment) if moment else dataset.table(name, version)
        if table is not None and table.details.get("read_permission") == "PRIVATE":
            raise QueryError(f"401 Unauthorized: Table {name} is private")
        if table is None:
            where = f"for version {number} in" if number is not None else "in"
            raise QueryError(
                f"404 Not Found: Analysis table '{name}' not found {where} datastack {dataset.name}"
            )
        found[name] = table
    return found


def _find_view(dataset: Dataset, name: str, version: Version | None) -> Table:
    if version is not None and not version.available:
        raise QueryError(refuse_expired_view(name, version))
    view = dataset.view(name, version)
    if view is None:
        raise QueryError(not_reflected(dataset, str(version.version if version else None), name))
    return view


def _check_roots(lineage: Lineage, body: QueryBody, timestamp: datetime) -> None:
    """Refuse a live query for root IDs that are invalid at its timestamp."""
    asked: set[int] = set()
    for item in body.filters:
        if item.kind in {"in", "equal"} and item.column.endswith("_root_id"):
            given = item.value if isinstance(item.value, list) else [item.value]
            asked.update(int(value) for value in given if str(value).isdecimal())
    roots = sorted(asked)
    latest = lineage.are_latest(roots, timestamp)
    invalid = [root for root, valid in zip(roots, latest, strict=True) if not valid]
    if invalid:
        raise QueryError(
            f"400 Bad Request: Some root_ids passed are not valid at the query timestamp: {invalid}"
        )


def _notices(tables: Mapping[str, Table]) -> list[str]:
    """Return the notices of the tables' owners."""
    return [
        f"Table Owner Notice on {name}: {notice}"
        for name, table in tables.items()
        if (notice := table.details.get("notice_text"))
    ]


def _header_safe(text: str) -> str:
    """Return a text from a data folder in a form that is allowed in a header."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return printable.encode("latin-1", "replace").decode("latin-1").strip()


ROUTES = [
    (rf"{AT_VERSION}/table/([^/]+)/query", QueryHandler, {"kind": "simple"}),
    (rf"{AT_VERSION}/views/([^/]+)/query", QueryHandler, {"kind": "simple", "of_view": True}),
    (rf"{AT_VERSION}/query", QueryHandler, {"kind": "join"}),
    (rf"{ONE}/query", QueryHandler, {"kind": "live"}),
]
