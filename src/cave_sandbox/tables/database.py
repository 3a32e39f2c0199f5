"""Hold the rows of the served tables in an in-memory DuckDB.

Only this module calls DuckDB. It loads the files of a data folder and runs the queries that `sql`
builds.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from cave_sandbox.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cave_sandbox.tables.dataset import Dataset, Table
    from cave_sandbox.tables.schemas import Field

#: Default values of columns that a file may lack. Files must have all other columns.
FILLERS = {
    "created": "'{first}'::TIMESTAMPTZ",
    "deleted": "NULL::TIMESTAMPTZ",
    "superceded_id": "NULL::BIGINT",
    "valid": "true",
}

#: SQL type -> a readable description of its values.
WORDS = {
    "BIGINT": "whole number of 64 bits",
    "INTEGER": "whole number of 32 bits",
    "DOUBLE": "number",
    "BOOLEAN": "true or false",
    "VARCHAR": "text",
    "TIMESTAMPTZ": "time in ISO 8601",
}

#: SQL that selects no root ID, but gives both columns their names and types.
NO_ROOTS = "SELECT NULL::BIGINT AS key, NULL::BIGINT AS root"


class QueryFailedError(Exception):
    """The database refused a query."""


def quote(name: str) -> str:
    """Quote an identifier for SQL."""
    return '"' + name.replace('"', '""') + '"'


def table_path(datastack: str, table: str) -> str:
    """Return the quoted name of a table in the database."""
    return f"{quote(datastack)}.{quote(table)}"


class Tables:
    """The tables of all datastacks.

    A file that lacks a column, has values that its schema does not allow, or repeats an ID is
    refused.
    """

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        self._connection = duckdb.connect(":memory:")
        self._lock = threading.Lock()
        self._collected: set[str] = set()
        self._connection.execute("SET TimeZone='UTC'")
        for dataset in datasets.values():
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(dataset.name)}")
            first = min(version.time_stamp for version in dataset.versions).isoformat()
            stored = (dataset.tables, dataset.editions, dataset.views)
            for table in (one for tables in stored for one in tables.values()):
                self._load(dataset.name, table, first)
        # From here on, queries can read these tables but no files of this machine.
        self._connection.execute("SET enable_external_access=false")
        self._connection.execute("SET lock_configuration=true")

    def close(self) -> None:
        """Free the memory."""
        self._connection.close()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query with ``?`` for its values and return the rows; times are UTC microseconds."""
        with self._lock:
            cursor = self._connection.cursor()
        try:
            return cursor.sql(sql, params=list(parameters)).to_arrow_table()
        except duckdb.Error as error:
            raise QueryFailedError(str(error)) from error
        finally:
            cursor.close()

    def count(self, datastack: str, table: str) -> int:
        """Count the valid rows of a table."""
        # The names come from the data folder and are quoted.
        found = self.run(f"SELECT count(*) FROM {table_path(datastack, table)} WHERE valid")  # noqa: S608
        return int(found.column(0)[0].as_py())

    def distinct(self, datastack: str, table: str, column: str) -> list[str]:
        """List the values of a text column, most frequent first."""
        name = quote(column)
        sql = (
            f"SELECT {name} FROM {table_path(datastack, table)} "  # noqa: S608 - quoted names
            f"WHERE valid AND {name} IS NOT NULL GROUP BY {name} ORDER BY count(*) DESC, {name}"
        )
        return self.run(sql).column(0).to_pylist()

    def known_roots(self, dataset: Dataset, roots: Iterable[int]) -> set[int]:
        """Return the given root IDs that occur in any table of the datastack."""
        return set(self._roots_by(dataset, "_root_id", roots))

    def supervoxel_roots(self, dataset: Dataset, supervoxels: Iterable[int]) -> dict[int, set[int]]:
        """Return the root IDs in the tables by supervoxel, for supervoxels that occur there."""
        return self._roots_by(dataset, "_supervoxel_id", supervoxels)

    def _roots_by(
        self, dataset: Dataset, suffix: str, values: Iterable[int]
    ) -> dict[int, set[int]]:
        """Return the root IDs beside given values of the columns with a suffix, by value."""
        collected = quote(f"{dataset.name} roots by {suffix}")
        with self._lock:
            if collected not in self._collected:  # looking into all tables each time is slow
                pairs = " UNION ".join([NO_ROOTS, *_pair_roots(dataset, suffix)])
                self._connection.execute(f"CREATE TABLE {collected} AS {pairs}")
                self._collected.add(collected)
        sql = f"SELECT key, root FROM {collected} WHERE key IN (SELECT unnest(?::BIGINT[]))"  # noqa: S608 - quoted names
        found = self.run(sql, [[value for value in values if 0 < value < 2**63]])
        roots: dict[int, set[int]] = {}
        for value, held in zip(*(item.to_pylist() for item in found.columns), strict=True):
            roots.setdefault(value, set()).add(held)
        return roots

    def _load(self, datastack: str, table: Table, first: str) -> None:
        named = ((item, name) for item in table.fields for name in item.columns)
        columns = [_column(item, name, table, first) for item, name in named]
        target = table_path(datastack, table.rows)
        source = "read_parquet(?)"
        if table.path.suffix != ".parquet":
            source = "read_csv(?, header=true, all_varchar=true)"
        try:
            self._connection.execute(
                f"CREATE TABLE {target} AS SELECT {', '.join(columns)} FROM {source}",  # noqa: S608 - quoted names
                [str(table.path)],
            )
        except duckdb.Error as error:
            self._refuse_value(table, source)
            raise InputError(
                f"{table.path} cannot be read as table {table.name}.",
                "Give it the columns that the documentation's page on data folders lists.",
            ) from error
        self._refuse_value(table, source, rounded=True)
        if table.is_view:
            return  # a view may give several rows for one cell
        repeated = self.run(f"SELECT count(*) - count(DISTINCT id) FROM {target}")  # noqa: S608
        if repeated.column(0)[0].as_py():
            raise InputError(
                f"The column id of {table.path} repeats an ID or has an empty value.",
                "Give every row its own ID.",
            )

    def _refuse_value(self, table: Table, source: str, *, rounded: bool = False) -> None:
        """Raise an error that names the first value of a file that does not fit its column.

        The source is the SQL that reads the file. With ``rounded``, look for IDs that were stored
        as decimals: beyond 2**53 these are rounded.
        """
        for name, kind in _decimal_columns(table) if rounded else _stored_columns(table):
            column = quote(name)
            wrong = f"{column} IS NOT NULL AND TRY_CAST({column} AS {kind}) IS NULL"
            if rounded:
                wrong = (
                    f"regexp_matches(CAST({column} AS VARCHAR), '[.eE]') "
                    f"AND abs(TRY_CAST({column} AS DOUBLE)) > 9007199254740992"
                )
            found = self._connection.execute(
                f"SELECT place, CAST({column} AS VARCHAR) FROM (SELECT {column}, "  # noqa: S608 - quoted names
                f"row_number() OVER () AS place FROM {source}) WHERE {wrong} LIMIT 1",
                [str(table.path)],
            ).fetchone()
            if found is not None:
                what = "a rounded ID" if rounded else f"no {WORDS[kind]}"
                raise InputError(
                    f"{table.path}, column {name}, row {found[0]}: {found[1]!r} is {what}.",
                    "Write IDs as whole numbers, never as decimals."
                    if kind == "BIGINT"
                    else "Correct the value, or leave the row out; see the documentation's page on "
                    "data folders.",
                )


def _pair_roots(dataset: Dataset, suffix: str) -> Iterable[str]:
    """Yield the SQL for the root IDs of each column, and the keys beside them."""
    for table in (*dataset.tables.values(), *dataset.editions.values()):
        names = [item.name for item in table.fields]
        for root in (name for name in names if name.endswith("_root_id")):
            key = root.removesuffix("_root_id") + suffix
            if key in names:  # a view has no supervoxels
                yield (
                    f"SELECT {quote(key)}, {quote(root)} "  # noqa: S608 - quoted names
                    f"FROM {table_path(dataset.name, table.rows)}"
                )


def _stored_columns(table: Table) -> Iterable[tuple[str, str]]:
    """Yield the columns that a table takes from its file, with their SQL types."""
    for item in table.fields:
        kind = "INTEGER" if item.is_point else item.sql_type
        yield from ((name, kind) for name in item.columns if name in table.stored)


def _decimal_columns(table: Table) -> Iterable[tuple[str, str]]:
    """Yield the 64-bit integer columns that the file may hold as decimals."""
    wanted = [(name, kind) for name, kind in _stored_columns(table) if kind == "BIGINT"]
    if table.path.suffix != ".parquet":
        return wanted
    schema = pq.read_schema(table.path)
    return [item for item in wanted if not pa.types.is_integer(schema.field(item[0]).type)]


def _column(item: Field, name: str, table: Table, first: str) -> str:
    """Return the SQL for one column of a table that is being loaded."""
    sql_type = "INTEGER" if item.is_point else item.sql_type
    if name in table.stored:
        return f"CAST({quote(name)} AS {sql_type}) AS {quote(name)}"
    filling = filler(name)
    if filling is None and item.name in table.stored:
        raise whole_position(table.path, item.name)
    if filling is None:
        raise InputError(
            f"{table.path} has no column {name}, which schema {table.schema} needs.",
            "Add the column; the documentation's page on data folders lists those of each schema.",
        )
    return f"{filling.format(first=first)} AS {quote(name)}"


def filler(name: str) -> str | None:
    """Return the SQL that fills a column of a file without it, or None if the file must have it."""
    return "0::BIGINT" if name.endswith("_supervoxel_id") else FILLERS.get(name)


def whole_position(path: Path, name: str) -> InputError:
    """Return the error for a column with positions of three numbers each."""
    return InputError(
        f"{path}, column {name}: each row holds a whole position.",
        f"Split it into {name}_x, _y and _z, as caveclient does with split_positions=True.",
    )
