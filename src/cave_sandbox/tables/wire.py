"""Encode rows as CAVE does with pandas: as Arrow streams or JSON.

It reproduces pandas' dtypes, its metadata in the Arrow schema, and the compression that
``Accept-Encoding`` asks for, without importing pandas.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cave_sandbox.tables.sql import Output

NANOSECONDS = pa.timestamp("ns", tz="UTC")

#: An Arrow type with pandas' name and dtype.
Kind = tuple[Any, str, str]

DTYPES: dict[str, Kind] = {
    "BIGINT": (pa.int64(), "int64", "Int64"),
    "INTEGER": (pa.int32(), "int32", "Int32"),
    # Stored with 64 bits, as in CAVE's database, but sent with 32.
    "DOUBLE": (pa.float32(), "float32", "Float32"),
    "BOOLEAN": (pa.bool_(), "bool", "boolean"),
    "VARCHAR": (pa.string(), "unicode", "string"),
    "TIMESTAMPTZ": (NANOSECONDS, "datetimetz", "datetime64[ns]"),
    "COUNT": (pa.int64(), "int64", "int64"),
}
#: The type of a text column without any text.
EMPTY = (pa.null(), "empty", "object")
#: The types without ``direct_sql_pandas``, when pandas guesses them from text.
GUESSED: dict[str, Kind] = {
    **DTYPES,
    "BIGINT": (pa.int64(), "int64", "int64"),
    "INTEGER": (pa.int64(), "int64", "int64"),
    "DOUBLE": (pa.float64(), "float64", "float64"),
    "BOOLEAN": (pa.bool_(), "bool", "bool"),
    "VARCHAR": (pa.string(), "unicode", "object"),
}

#: Decimal places that pandas writes in JSON.
JSON_DIGITS = 10


def to_arrow(rows: pa.Table, outputs: Sequence[Output], *, direct: bool) -> pa.Table:
    """Give rows from the database the types and the pandas metadata of CAVE's answers.

    ``direct`` is whether the request set ``direct_sql_pandas``.
    """
    columns = [
        (output.name, *_typed(rows.column(place), output, direct=direct))
        for place, output in enumerate(outputs)
    ]
    described = [_describe(name, kind) for name, _, kind in columns]
    schema = pa.schema(
        [(name, kind[0]) for name, _, kind in columns],
        {"pandas": _metadata(described, rows.num_rows)},
    )
    return pa.Table.from_arrays([array for _, array, _ in columns], schema=schema)


def to_stream(table: pa.Table, compression: str | None) -> bytes:
    """Write a table as an Arrow IPC stream of one record batch."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    arrays = [column.combine_chunks() for column in table.columns]
    batch = pa.RecordBatch.from_arrays(arrays, schema=table.schema)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def to_json(table: pa.Table) -> bytes:
    """Write a table as a JSON list of records, with times in ms and ten decimal places."""
    for place, field in enumerate(table.schema):
        column = table.column(place)
        if pa.types.is_timestamp(field.type):
            column = column.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.int64())
        elif pa.types.is_floating(field.type):
            column = pa.array([_rounded(value) for value in column.to_pylist()], pa.float64())
        table = table.set_column(place, field.name, column)
    return orjson.dumps(table.to_pylist())


def choose_compression(accepted: str) -> str | None:
    """Return the compression of an Arrow stream for an ``Accept-Encoding``.

    Examples
    --------
    >>> choose_compression("gzip, zstd"), choose_compression("gzip")
    ('zstd', None)
    """
    if "lz4" in accepted:
        return "lz4"
    return "zstd" if "zstd" in accepted else None


def _typed(array: Any, output: Output, *, direct: bool) -> tuple[Any, Kind]:
    """Return a column with its type, or with the type that pandas guesses from text."""
    kind = (DTYPES if direct else GUESSED)[output.sql_type]
    if output.sql_type == "VARCHAR" and array.null_count == len(array):
        return pa.chunked_array([pa.nulls(len(array))]), EMPTY
    if not direct:
        values = array.to_pylist() if output.sql_type == "DOUBLE" else []
        if values and all(value is not None and value.is_integer() for value in values):
            kind = GUESSED["BIGINT"]
        if output.scaled or (pa.types.is_integer(kind[0]) and array.null_count):
            kind = GUESSED["DOUBLE"]
    return array.cast(kind[0]), kind


def _rounded(value: float | None) -> float | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN is null in pandas' JSON
        return None
    return round(value, JSON_DIGITS)


def _describe(name: str, kind: Kind) -> dict[str, Any]:
    zone = {"timezone": "UTC"} if kind[1] == "datetimetz" else None
    return {
        "name": name,
        "field_name": name,
        "pandas_type": kind[1],
        "numpy_type": kind[2],
        "metadata": zone,
    }


def _metadata(columns: list[dict[str, Any]], count: int) -> str:
    index = {"kind": "range", "name": None, "start": 0, "stop": count, "step": 1}
    names = {
        "name": None,
        "field_name": None,
        "pandas_type": "unicode",
        "numpy_type": "object",
        "metadata": {"encoding": "UTF-8"},
    }
    return json.dumps(
        {
            "index_columns": [index],
            "column_indexes": [names],
            "columns": columns,
            "creator": {"library": "pyarrow", "version": pa.__version__},
            "pandas_version": _find_pandas(),
        }
    )


@cache
def _find_pandas() -> str:
    """Return the version of pandas, which takes longer to read than small tables to encode."""
    return version("pandas")
