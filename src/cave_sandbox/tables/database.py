"""The rows of the served tables, in an in-memory DuckDB.

The only module that calls DuckDB. It loads the files of a data folder and runs queries whose text
`sql` has built.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import duckdb

from cave_sandbox.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from cave_sandbox.tables.dataset import Dataset, Table
    from cave_sandbox.tables.schemas import Field

__all__ = ["QueryFailedError", "Tables", "quote", "table_path"]

#: What a column holds that a schema has and a file lacks. Others must be there.
FILLERS = {
    "created": "?::TIMESTAMPTZ",
    "deleted": "NULL::TIMESTAMPTZ",
    "superceded_id": "NULL::BIGINT",
    "valid": "true",
}


class QueryFailedError(Exception):
    """The database refused a query."""


def quote(name: str) -> str:
    """Quote an identifier for SQL.

    Examples
    --------
    >>> quote('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def table_path(datastack: str, table: str) -> str:
    """Return the quoted name of a table in the database."""
    return f"{quote(datastack)}.{quote(table)}"


class Tables:
    """The tables of all datastacks.

    Parameters
    ----------
    datasets
        The datastacks by name.

    Raises
    ------
    InputError
        When a file lacks a column, holds other values than its schema says, or repeats an ID.
    """

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        self._connection = duckdb.connect(":memory:")
        self._lock = threading.Lock()
        self._connection.execute("SET TimeZone='UTC'")
        for dataset in datasets.values():
            self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(dataset.name)}")
            first = min(version.time_stamp for version in dataset.versions)
            for table in (*dataset.tables.values(), *dataset.views.values()):
                self._load(dataset.name, table, first)
        # From here on a query can reach these tables and nothing else of this machine.
        self._connection.execute("SET enable_external_access=false")
        self._connection.execute("SET lock_configuration=true")

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query.

        Parameters
        ----------
        sql
            Its text; values are ``?``.
        parameters
            The values.

        Returns
        -------
        pyarrow.Table
            The rows. Times are microseconds, UTC.

        Raises
        ------
        QueryFailedError
            When the database refuses it.
        """
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
        values: list[str] = self.run(sql).column(0).to_pylist()
        return values

    def known_roots(self, dataset: Dataset, roots: Iterable[int]) -> set[int]:
        """Return those of the root IDs that any table of the datastack holds."""
        wanted = [root for root in roots if 0 < root < 2**63]
        known: set[int] = set()
        for name, column in _root_columns(dataset):
            sql = (
                f"SELECT DISTINCT {quote(column)} FROM {table_path(dataset.name, name)} "  # noqa: S608 - quoted names
                f"WHERE {quote(column)} IN (SELECT unnest(?::BIGINT[]))"
            )
            known.update(self.run(sql, [wanted]).column(0).to_pylist())
        return known

    def supervoxel_roots(self, dataset: Dataset, supervoxels: Iterable[int]) -> dict[int, int]:
        """Return the root IDs that the tables give for those of the supervoxels that they hold."""
        wanted = [supervoxel for supervoxel in supervoxels if 0 < supervoxel < 2**63]
        roots: dict[int, int] = {}
        for name, column in _root_columns(dataset):
            supervoxel = quote(column.removesuffix("_root_id") + "_supervoxel_id")
            sql = (
                f"SELECT {supervoxel}, any_value({quote(column)}) "  # noqa: S608 - quoted names
                f"FROM {table_path(dataset.name, name)} "
                f"WHERE {supervoxel} IN (SELECT unnest(?::BIGINT[])) GROUP BY ALL"
            )
            found = self.run(sql, [wanted])
            roots.update(zip(*(found.column(place).to_pylist() for place in (0, 1)), strict=True))
        return roots

    def _load(self, datastack: str, table: Table, first: datetime) -> None:
        fields = table.fields
        columns = [_column(item, name, table) for item in fields for name in item.columns]
        target = table_path(datastack, table.name)
        source = "read_parquet(?)"
        if table.path.suffix != ".parquet":
            source = "read_csv(?, header=true, all_varchar=true)"
        has_timestamp = "created" in table.stored or table.is_view
        parameters = [] if has_timestamp else [first]
        try:
            self._connection.execute(
                f"CREATE TABLE {target} AS SELECT {', '.join(columns)} FROM {source}",  # noqa: S608 - quoted names
                [*parameters, str(table.path)],
            )
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{table.path} cannot be loaded as table {table.name}: {reason}.",
                "Make its columns what docs/data-folder.md says.",
            ) from error
        if table.is_view:
            return  # a view may give several rows for one cell
        repeated = self.run(f"SELECT count(*) - count(DISTINCT id) FROM {target}")  # noqa: S608
        if repeated.column(0)[0].as_py():
            raise InputError(
                f"Column id of {table.path} repeats an ID, or lacks one.",
                "Give every row an ID of its own.",
            )


def _column(item: Field, name: str, table: Table) -> str:
    """Return the SQL for one column of a table that is being loaded."""
    sql_type = "INTEGER" if item.is_point else item.sql_type
    if name in table.stored:
        return f"CAST({quote(name)} AS {sql_type}) AS {quote(name)}"
    filler = "0::BIGINT" if name.endswith("_supervoxel_id") else FILLERS.get(name)
    if filler is None:
        raise InputError(
            f"{table.path} has no column {name}, which schema {table.schema} needs.",
            "Add the column; docs/data-folder.md lists those of each schema.",
        )
    return f"{filler} AS {quote(name)}"


def _root_columns(dataset: Dataset) -> Iterable[tuple[str, str]]:
    for table in dataset.tables.values():
        for item in table.fields:
            if item.name.endswith("_root_id"):
                yield table.name, item.name
