"""Check the body of a query request and read it into a record.

There are three kinds, as in the materialization service: one table, a join, or a live query.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timezone
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from marshmallow import Schema

#: Kind of filter -> its SQL operator.
COMPARISONS = {
    "equal": "=",
    "greater": ">",
    "less": "<",
    "greater_equal": ">=",
    "less_equal": "<=",
}
#: The kinds of filters; a body has them as ``filter_in_dict``, and so on.
FILTER_KINDS = ("in", "notin", *COMPARISONS, "spatial", "regex")


class QueryError(Exception):
    """A request that the materialization service answers with status 500 and this message."""


@dataclass(frozen=True)
class Filter:
    """One condition on one column."""

    kind: str
    table: str
    column: str
    value: Any


@dataclass(frozen=True)
class Join:
    """A join of two tables on equal values in two columns."""

    left: str
    left_column: str
    right: str
    right_column: str


@dataclass(frozen=True)
class QueryBody:
    """The query of a request."""

    kind: str  # simple (one table), join or live
    tables: tuple[str, ...]  # in the order of the answer's columns
    joins: tuple[Join, ...] = ()
    filters: tuple[Filter, ...] = ()  # a row must meet all of them
    columns: Mapping[str, list[str]] | None = None  # selected columns by table; None for all
    any_columns: list[str] | None = None  # from the first table that has them (deprecated)
    #: suffixes of column names that two tables share, by table
    suffixes: Mapping[str, str] = field(default_factory=dict)
    suffix_list: list[str] | None = None  # the same by position (deprecated)
    limit: int | None = None  # None for the server's own limit
    offset: int = 0
    #: voxel of the answer's positions in nm, or the table's
    resolution: tuple[float, float, float] | None = None
    timestamp: datetime | None = None  # of a live query; UTC if it has no time zone


def parse_body(kind: str, raw: bytes, table: str = "") -> QueryBody:
    """Read the body of a query; the table of a simple query is in the request's address.

    Raises
    ------
    QueryError
        When it is not JSON.
    marshmallow.ValidationError
        When it is not a JSON object, or a key is unknown, missing or of the wrong type.
    """
    try:
        given = json.loads(raw)
    except ValueError as error:
        from werkzeug.exceptions import BadRequest  # whose words these are

        raise QueryError(str(BadRequest())) from error
    given = _schemas()[kind].load(given)
    selected = given.get("select_columns")
    joins: tuple[Join, ...] = ()
    if kind == "simple":
        names = [table]
        selected = None if selected is None else {table: selected}
    elif kind == "join":
        joins = tuple(Join(*left, *right) for left, right in pairwise(given["tables"]))
        # The recorded service returns the columns of the referenced table first.
        names = [name for name, _ in reversed(given["tables"])]
    else:
        joins = tuple(Join(*item) for item in given.get("join_tables") or ())
        names = [given["table"], *(name for pair in joins for name in (pair.left, pair.right))]
    joined = kind == "join"
    resolution = given.get("desired_resolution")
    return QueryBody(
        kind,
        tuple(dict.fromkeys(names)),
        joins,
        tuple(
            Filter(comparison, name, column, value)
            for comparison in FILTER_KINDS
            for name, conditions in (given.get(f"filter_{comparison}_dict") or {}).items()
            for column, value in (conditions or {}).items()
        ),
        columns=given.get("select_column_map") if joined else selected,
        any_columns=selected if joined else None,
        suffixes=given.get("suffix_map" if joined else "suffixes") or {},
        suffix_list=given.get("suffixes") if joined else None,
        limit=given.get("limit"),
        offset=given.get("offset") or 0,
        resolution=None if resolution is None else tuple(resolution),
        timestamp=given.get("timestamp"),
    )


@cache
def _schemas() -> dict[str, Schema]:
    """Return the marshmallow schema of each kind of body, as the recorded service uses."""
    # Imported with the first query, since starting the sandbox does not need it.
    from marshmallow import Schema, fields
    from marshmallow.validate import Length, Range

    def strings(**given: Any) -> Any:
        return fields.List(fields.String(), **given)

    def mapping(values: Any) -> Any:
        return fields.Dict(values=values, allow_none=True)

    size = fields.Float(validate=Range(min=0, min_inclusive=False))
    common: dict[str, Any] = {
        **{f"filter_{kind}_dict": mapping(fields.Dict(allow_none=True)) for kind in FILTER_KINDS},
        "offset": fields.Integer(strict=True, allow_none=True),
        "limit": fields.Integer(strict=True, allow_none=True),
        "desired_resolution": fields.List(size, validate=Length(equal=3), allow_none=True),
    }
    own: dict[str, dict[str, Any]] = {
        "simple": {"select_columns": strings(allow_none=True)},
        "join": {
            "tables": fields.List(
                strings(validate=Length(equal=2)), required=True, validate=Length(min=1)
            ),
            "select_columns": strings(allow_none=True),
            "select_column_map": mapping(strings()),
            "suffixes": strings(allow_none=True),
            "suffix_map": mapping(fields.String()),
        },
        "live": {
            "table": fields.String(required=True),
            "timestamp": fields.AwareDateTime(required=True, default_timezone=timezone.utc),
            "join_tables": fields.List(strings(validate=Length(equal=4)), allow_none=True),
            "select_columns": mapping(strings()),
            "suffixes": mapping(fields.String()),
        },
    }
    return {kind: Schema.from_dict(common | keys)() for kind, keys in own.items()}
