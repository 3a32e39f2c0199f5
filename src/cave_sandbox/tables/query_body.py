"""The body of a query request: checked, and read into one record.

It knows the three bodies that the materialize service takes (one table, a join, a live query) and
the messages of its validation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Filter", "Join", "QueryBody", "QueryError", "SchemaError", "parse_body"]

#: Body key -> the comparison it asks for.
FILTER_KINDS = {
    "filter_in_dict": "in",
    "filter_notin_dict": "notin",
    "filter_equal_dict": "equal",
    "filter_greater_dict": "greater",
    "filter_less_dict": "less",
    "filter_greater_equal_dict": "greater_equal",
    "filter_less_equal_dict": "less_equal",
    "filter_spatial_dict": "spatial",
    "filter_regex_dict": "regex",
}

BAD_REQUEST = (
    "400 Bad Request: The browser (or proxy) sent a request that this server could not understand."
)


class QueryError(Exception):
    """A request that the materialize service answers with status 500 and this message."""


class SchemaError(Exception):
    """A body that does not have the service's form.

    Parameters
    ----------
    errors
        What is wrong with each key.
    """

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass(frozen=True)
class Filter:
    """One condition on one column."""

    kind: str
    table: str
    column: str
    value: Any


@dataclass(frozen=True)
class Join:
    """Two tables whose rows belong together where two columns are equal."""

    left: str
    left_column: str
    right: str
    right_column: str


@dataclass(frozen=True)
class QueryBody:
    """What a request asks for.

    Attributes
    ----------
    kind
        ``simple`` (one table), ``join`` or ``live``.
    tables
        The tables in the order of the answer's columns.
    joins
        How they belong together.
    filters
        The conditions, all of which a row must meet.
    columns
        Selected columns of each table, in order; None for all.
    any_columns
        Columns to take from the first table that has them (deprecated), or None.
    suffixes
        What is put after a name that two tables have, by table.
    suffix_list
        The same by position (deprecated), or None.
    limit, offset
        How many rows, from which on; limit None for as many as the server gives.
    resolution
        Voxel size to give positions in, in nm, or None for the table's own.
    timestamp
        The timestamp of a live query, as given (ISO 8601), or None.
    """

    kind: str
    tables: tuple[str, ...]
    joins: tuple[Join, ...] = ()
    filters: tuple[Filter, ...] = ()
    columns: Mapping[str, list[str]] | None = None
    any_columns: list[str] | None = None
    suffixes: Mapping[str, str] = field(default_factory=dict)
    suffix_list: list[str] | None = None
    limit: int | None = None
    offset: int = 0
    resolution: tuple[float, float, float] | None = None
    timestamp: str | None = None


def parse_body(kind: str, raw: bytes, table: str = "") -> QueryBody:
    """Read the body of a query.

    Parameters
    ----------
    kind
        ``simple``, ``join`` or ``live``.
    raw
        The body as sent.
    table
        The table of a simple query, from its address.

    Raises
    ------
    QueryError
        When it is not a JSON object.
    SchemaError
        When a key is unknown, missing or of the wrong type.
    """
    try:
        given = json.loads(raw)
    except ValueError as error:
        raise QueryError(BAD_REQUEST) from error
    if not isinstance(given, dict):
        raise SchemaError({"_schema": ["Invalid input type."]})
    _validate(kind, given)
    common: dict[str, Any] = {
        "filters": tuple(_filters(given)),
        "limit": given.get("limit"),
        "offset": given.get("offset") or 0,
        "resolution": _resolution(given.get("desired_resolution")),
    }
    return _READERS[kind](given, common, table)


def _read_simple(given: dict[str, Any], common: dict[str, Any], table: str) -> QueryBody:
    selected = given.get("select_columns")
    columns = None if selected is None else {table: selected}
    return QueryBody("simple", (table,), columns=columns, **common)


def _read_join(given: dict[str, Any], common: dict[str, Any], _table: str) -> QueryBody:
    pairs = given["tables"]
    joins = tuple(
        Join(left, left_column, right, right_column)
        for (left, left_column), (right, right_column) in pairwise(pairs)
    )
    return QueryBody(
        "join",
        # The recorded service gives the columns of the referred table first.
        tuple(dict.fromkeys(name for name, _ in reversed(pairs))),
        joins,
        columns=given.get("select_column_map"),
        any_columns=given.get("select_columns"),
        suffixes=given.get("suffix_map") or {},
        suffix_list=given.get("suffixes"),
        **common,
    )


def _read_live(given: dict[str, Any], common: dict[str, Any], _table: str) -> QueryBody:
    joins = tuple(Join(*map(str, item)) for item in given.get("join_tables") or ())
    names = [given["table"], *(name for join in joins for name in (join.left, join.right))]
    return QueryBody(
        "live",
        tuple(dict.fromkeys(names)),
        joins,
        columns=given.get("select_columns"),
        suffixes=given.get("suffixes") or {},
        timestamp=given["timestamp"],
        **common,
    )


_READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], str], QueryBody]] = {
    "simple": _read_simple,
    "join": _read_join,
    "live": _read_live,
}


def _filters(given: dict[str, Any]) -> list[Filter]:
    return [
        Filter(kind, table, column, value)
        for key, kind in FILTER_KINDS.items()
        for table, conditions in (given.get(key) or {}).items()
        for column, value in (conditions or {}).items()
    ]


def _resolution(given: list[float] | None) -> tuple[float, float, float] | None:
    if given is None:
        return None
    x, y, z = (float(size) for size in given)
    return x, y, z


def _validate(kind: str, given: dict[str, Any]) -> None:
    checks = _CHECKS[kind]
    errors = {key: ["Unknown field."] for key in given if key not in checks}
    for key in ("tables",) if kind == "join" else ("table", "timestamp") if kind == "live" else ():
        if key not in given:
            errors[key] = ["Missing data for required field."]
    for key, check in checks.items():
        if given.get(key) is not None and (problem := check(given[key])):
            errors[key] = [problem]
    if errors:
        raise SchemaError(errors)


Check = Callable[[Any], "str | None"]
"""Returns what is wrong with a value, in the service's words, or None."""


def _check_string(value: Any) -> str | None:
    return None if isinstance(value, str) else "Not a valid string."


def _check_integer(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return None if whole else "Not a valid integer."


def _check_size(value: Any) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if number else "Not a valid number."


def _check_conditions(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict) else "Not a valid mapping type."


def _list_of(check: Check, length: int | None = None) -> Check:
    """Return the check of a list whose items all pass a check."""

    def check_list(value: Any) -> str | None:
        if not isinstance(value, list):
            return "Not a valid list."
        problem = next((found for item in value if (found := check(item))), None)
        if problem is None and length is not None and len(value) != length:
            return f"Length must be {length}."
        return problem

    return check_list


def _map_of(check: Check) -> Check:
    """Return the check of a mapping whose values all pass a check."""

    def check_map(value: Any) -> str | None:
        if not isinstance(value, dict):
            return "Not a valid mapping type."
        return next((found for item in value.values() if (found := check(item))), None)

    return check_map


def _check_resolution(value: Any) -> str | None:
    problem = _list_of(_check_size, 3)(value)
    if problem is not None:
        return problem
    return None if all(size > 0 for size in value) else "Must be greater than 0."


def _check_tables(value: Any) -> str | None:
    return _list_of(_list_of(_check_string, 2))(value) if value else "Not a valid list."


_strings = _list_of(_check_string)
_COMMON_CHECKS: dict[str, Check] = {
    **dict.fromkeys(FILTER_KINDS, _map_of(_check_conditions)),
    "offset": _check_integer,
    "limit": _check_integer,
    "desired_resolution": _check_resolution,
}
_CHECKS: dict[str, dict[str, Check]] = {
    "simple": {**_COMMON_CHECKS, "select_columns": _strings},
    "join": {
        **_COMMON_CHECKS,
        "tables": _check_tables,
        "select_columns": _strings,
        "select_column_map": _map_of(_strings),
        "suffixes": _strings,
        "suffix_map": _map_of(_check_string),
    },
    "live": {
        **_COMMON_CHECKS,
        "table": _check_string,
        "timestamp": _check_string,
        "join_tables": _list_of(_list_of(_check_string, 4)),
        "select_columns": _map_of(_strings),
        "suffixes": _map_of(_check_string),
    },
}
