"""Translate one filter of a request into one SQL condition and its values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cave_sandbox.tables.data_folder import read_time
from cave_sandbox.tables.database import quote
from cave_sandbox.tables.query_body import COMPARISONS, QueryError
from cave_sandbox.tables.schemas import AXES, Field

if TYPE_CHECKING:
    from collections.abc import Callable

    from cave_sandbox.tables.query_body import Filter

#: SQL types of whole numbers.
WHOLE = frozenset({"BIGINT", "INTEGER"})

#: Whole numbers are clipped to this: beyond any 64-bit column, and within DuckDB's widest type.
WIDEST = 2**100


def build_condition(item: Filter, field: Field, alias: str) -> tuple[str, list[Any]]:
    """Return the SQL of a filter on a column, with ``?`` for its values, and the values.

    A value that does not fit the column is refused as by the recorded service.
    """
    if item.kind == "spatial":
        return _spatial(item, field, alias)
    if field.is_point:
        raise QueryError(f"column {item.column} is a position: use filter_spatial_dict")
    column = f"{alias}.{quote(field.name)}"
    if item.kind in {"in", "notin"}:
        if not isinstance(item.value, list):
            raise QueryError(f"{item.column}: a list of values is needed")
        values = [_coerced(value, field) for value in item.value]
        kind = field.sql_type
        if kind in WHOLE:
            # A value too large for the column matches no row and is not an error.
            values, kind = [value for value in values if abs(value) < 2**63], "BIGINT"
        negation = "NOT " if item.kind == "notin" else ""
        return f"{column} {negation}IN (SELECT unnest(?::{kind}[]))", [values]
    if item.kind == "regex":
        if field.sql_type != "VARCHAR" or not isinstance(item.value, str):
            raise QueryError(f"operator does not exist: {item.column} ~ {item.value!r}")
        return f"regexp_matches({column}, ?)", [item.value]
    return f"{column} {COMPARISONS[item.kind]} ?", [_coerced(item.value, field)]


def _spatial(item: Filter, field: Field, alias: str) -> tuple[str, list[Any]]:
    """Return the condition for a position in a box, both corners included.

    The box is in voxels of the table, whatever the unit of the answer.
    """
    if not field.is_point:
        raise QueryError(f"column {item.column} is not a position")
    try:
        low, high = ([float(edge) for edge in corner] for corner in item.value)
        whole = len(low) == len(high) == len(AXES) and all(map(math.isfinite, (*low, *high)))
    except (TypeError, ValueError):
        whole = False
    if not whole:
        raise QueryError(f"bounding box of {item.column} must be two corners of three numbers")
    parts = []
    values: list[Any] = []
    for axis, first, last in zip(AXES, low, high, strict=True):
        parts.append(f"{alias}.{quote(f'{field.name}_{axis}')} BETWEEN ? AND ?")
        values += [first, last]
    return f"({' AND '.join(parts)})", values


def _whole(value: Any) -> int | float:
    if isinstance(value, float) and not value.is_integer():
        return value
    number = int(value)
    return max(-WIDEST, min(WIDEST, number))


BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}

#: SQL type -> its name in PostgreSQL's messages, and the function that reads its values.
TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "BIGINT": ("bigint", _whole),
    "INTEGER": ("integer", _whole),
    "DOUBLE": ("double precision", float),
    "BOOLEAN": ("boolean", lambda value: BOOLEANS[str(value).strip().lower()]),
    "TIMESTAMPTZ": ("timestamp", read_time),
}


def _coerced(value: Any, field: Field) -> Any:
    """Convert a value to the column's type, as PostgreSQL reads the same literal."""
    if field.sql_type == "VARCHAR":
        if isinstance(value, str):
            return value
        raise QueryError(
            "Execution failed on sql 'SELECT ...': operator does not exist for type character "
            f"varying and {value!r}"
        )
    name, read = TYPES[field.sql_type]
    try:
        return read(value)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise QueryError(
            "Execution failed on sql 'SELECT ...': "
            f'invalid input syntax for type {name}: "{value}"'
        ) from error
