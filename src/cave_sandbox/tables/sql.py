"""Translate a checked request body into SQL and its values.

It follows CAVE's rules for an answer's columns, their suffixes and units, row limits and warnings.
A name from a request enters the SQL only quoted, and only if a table has it. Values never enter it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cave_sandbox.tables.conditions import build_condition
from cave_sandbox.tables.database import quote, table_path
from cave_sandbox.tables.query_body import QueryError
from cave_sandbox.tables.schemas import AXES, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cave_sandbox.tables.dataset import Dataset, Table
    from cave_sandbox.tables.query_body import QueryBody

#: Default suffixes of columns that two tables share.
DEFAULT_SUFFIXES = ("x", "y", "z", "xx", "yy", "zz")

#: Columns that the header names but the rows lack, by kind of query.
DROPPED = {"simple": {"deleted"}, "join": {"deleted", "superceded_id"}, "live": set()}
#: Columns that a live query does not have at all.
NOT_LIVE = frozenset({"valid", "superceded_id"})

#: SQL type -> SQLAlchemy's name, which appears when a live query selects a single column.
MODEL_NAMES = {
    "BIGINT": "BigInteger",
    "INTEGER": "Integer",
    "DOUBLE": "Float",
    "BOOLEAN": "Boolean",
    "VARCHAR": "String",
    "TIMESTAMPTZ": "DateTime",
    "POINT": "Geometry",
}

#: A map from replaced root IDs to their replacements; its values are two lists.
REPLACED = "replaced AS (SELECT unnest(?::BIGINT[]) AS former, unnest(?::BIGINT[]) AS root)"

LIST_WARNING = (
    "Select_columns is deprecated for join queries, please use select_column_map a dictionary "
    "which is more explicit about what columns to select from what tables. This query result will "
    "attempt to select the first column it finds of this name in any table, but if there are more "
    "than one such column it will not select both. Upgrade caveclient to >=5.0.0 ."
)
SUFFIX_WARNING = (
    "Suffixes is deprecated for complex queries as it can be ambiguous what you desire, please "
    "pass suffix_map as a dictionary to explicitly set suffixes for individual tables. Upgrade "
    "caveclient to >=5.0.0 "
)


@dataclass(frozen=True)
class Output:
    """One column of the rows."""

    name: str
    sql_type: str
    scaled: bool = False  # whether it is a position converted to another unit


@dataclass(frozen=True)
class Query:
    """A query, ready to run."""

    sql: str  # values are ?
    parameters: tuple[Any, ...]
    outputs: tuple[Output, ...]  # the columns of the rows, in order
    names: Mapping[str, Mapping[str, str]]  # for the header column_names: table -> column -> name
    resolution: tuple[float, float, float]  # voxel size of positions, in nm
    limit: int  # the largest number of rows to return
    warnings: tuple[str, ...]  # warnings about the request


@dataclass(frozen=True)
class _Source:
    """A table of the query with its columns, and those of them that the request selects."""

    table: Table
    alias: str
    suffix: str  # of columns that another table selects, too
    fields: Mapping[str, Field]
    selected: Sequence[Field]

    def field(self, name: str) -> Field:
        """Return a column by its name, or raise the recorded service's error."""
        if name not in self.fields:
            raise QueryError(f"'{name}'")
        return self.fields[name]


def build_query(
    body: QueryBody,
    dataset: Dataset,
    tables: Mapping[str, Table],
    row_limit: int,
    sample: int | None = None,
    replaced: Mapping[int, int] | None = None,
    *,
    counts: bool = False,
) -> Query:
    """Build the query for a request, or with ``counts`` the query that counts its rows.

    The query takes ``sample`` rows at random, and at most as many rows as the server's limit.
    ``replaced`` maps root IDs to the root IDs that replace them in every row, before any filter.
    A column that does not exist is refused.
    """
    order: Iterable[str] = body.tables
    if body.kind == "live" and body.columns is not None:  # a live query selects the order
        order = dict.fromkeys([*(name for name in body.columns if name in body.tables), *order])
    sources = _selected(body, [tables[name] for name in order])
    if body.kind == "live" and body.columns is not None:
        _check_live_columns(body, sources)
    by_name = {source.table.name: source for source in sources}
    names, columns, outputs = _columns(body, sources)
    if counts:
        body = replace(body, limit=2, offset=0)  # one row, and no warning that it was limited
        columns, outputs = ["count(*) AS count"], [Output("count", "COUNT")]
    where, values = _where(body, by_name)
    limit = row_limit if body.limit is None else min(body.limit, row_limit)
    for name, count in (("LIMIT", limit), ("OFFSET", body.offset)):
        if count < 0:
            raise QueryError(f"{name} must not be negative")
    rows = _from(body, dataset.name, by_name, replaced=bool(replaced))
    sql = f"SELECT {', '.join(columns)} FROM {rows} WHERE {where}"  # noqa: S608 - quoted names
    if sample is not None:
        sql = f"SELECT * FROM ({sql}) USING SAMPLE {int(sample)} ROWS"  # noqa: S608 - a number
    if replaced:
        sql = f"WITH {REPLACED} {sql}"
        values = [[*replaced], [*replaced.values()], *values]
    main = body.joins[-1].right if body.joins else body.tables[0]
    deprecated = ((LIST_WARNING, body.any_columns), (SUFFIX_WARNING, body.suffix_list))
    return Query(
        sql=f"{sql} LIMIT {limit} OFFSET {body.offset}",
        parameters=tuple(values),
        outputs=tuple(outputs),
        names=names,
        resolution=body.resolution or by_name[main].table.voxel_resolution,
        limit=limit,
        warnings=tuple(warning for warning, given in deprecated if given is not None),
    )


def _columns(
    body: QueryBody, sources: Sequence[_Source]
) -> tuple[dict[str, dict[str, str]], list[str], list[Output]]:
    """Return the names for the header, and the SQL and record of each column of the rows."""
    names: dict[str, dict[str, str]] = {}
    columns: list[str] = []
    outputs: list[Output] = []
    times = Counter(item.name for source in sources for item in source.selected)
    for source in sources:
        names[source.table.name] = {}
        for item in source.selected:
            suffix = source.suffix if times[item.name] > 1 else ""
            names[source.table.name][item.name] = item.name + suffix
            if item.name in DROPPED[body.kind]:
                continue
            for sql, output in _expressions(source, item, suffix, body.resolution):
                columns.append(f"{sql} AS {quote(output.name)}")
                outputs.append(output)
    if body.kind == "live" and body.joins and body.columns is not None:
        # The recorded service returns the ID of the first table in the request.
        first = names[body.tables[0]]["id"]
        place = next(place for place, item in enumerate(outputs) if item.name == first)
        columns.insert(0, columns.pop(place))
        outputs.insert(0, outputs.pop(place))
    return names, columns, outputs


def _check_live_columns(body: QueryBody, sources: Sequence[_Source]) -> None:
    """Refuse selections that make the live service fail, with the same messages."""
    selected = [item for source in sources for item in source.selected]
    if len(selected) == 1:
        raise QueryError(f"'{MODEL_NAMES[selected[0].sql_type]}' object has no attribute 'id'")
    own = next(source for source in sources if source.table.name == body.tables[0])
    if body.joins and all(item.name != "id" for item in own.selected):
        raise QueryError("'id'")


def _selected(body: QueryBody, tables: Sequence[Table]) -> list[_Source]:
    """Return the tables with the columns that the request selects from each."""
    sources = []
    wanted = list(dict.fromkeys(body.any_columns or ()))
    live = body.kind == "live"
    by_place = dict(enumerate(body.suffix_list or DEFAULT_SUFFIXES))
    for place, table in enumerate(tables):
        fields = {item.name: item for item in table.fields if not live or item.name not in NOT_LIVE}
        selected = list(fields.values())
        if body.any_columns is not None:
            selected = _in_order(fields, [name for name in wanted if name in fields])
            wanted = [name for name in wanted if name not in fields]
        elif body.columns is not None:
            listed = body.columns.get(table.name, [])
            for name in (name for name in listed if name not in fields):
                if body.kind == "simple":
                    raise QueryError(f"{name} not in model or models for {table.name}")
                raise QueryError(f"400 Bad Request: column {name} not found in {table.name}")
            selected = _in_order(fields, listed, alone=live)
        suffix = body.suffixes.get(table.name, "") if body.suffixes else by_place.get(place, "")
        sources.append(_Source(table, f"t{place}", suffix, fields, selected))
    if wanted:
        raise QueryError(f"400 Bad Request: column {wanted[0]} not found in any table referenced")
    if not any(source.selected for source in sources):
        raise QueryError("400 Bad Request: no columns selected")
    return sources


def _in_order(
    fields: Mapping[str, Field], names: Sequence[str], *, alone: bool = False
) -> list[Field]:
    """Return the named columns; a root ID adds its supervoxel ID unless it is requested alone."""
    wanted: dict[str, Field] = {}
    for name in names:
        supervoxel = name.removesuffix("_root_id") + "_supervoxel_id"
        if name.endswith("_root_id") and supervoxel in fields and not alone:
            wanted.setdefault(supervoxel, fields[supervoxel])
        wanted[name] = fields[name]
    return list(wanted.values())


def _expressions(
    source: _Source, item: Field, suffix: str, resolution: tuple[float, float, float] | None
) -> Iterator[tuple[str, Output]]:
    """Yield the SQL and record of each column that a selected column becomes."""
    if not item.is_point:
        yield f"{source.alias}.{quote(item.name)}", Output(item.name + suffix, item.sql_type)
        return
    for place, axis in enumerate(AXES):
        sql = f"{source.alias}.{quote(f'{item.name}_{axis}')}"
        size = source.table.voxel_resolution[place]
        if resolution is not None and resolution[place] != size:
            # Rounded towards zero, as recorded. The check of the body ensures numeric sizes.
            factor = f"{float(size)!r}::DOUBLE / {float(resolution[place])!r}::DOUBLE"
            sql = f"CAST(trunc({sql} * ({factor})) AS INTEGER)"
        name = f"{item.name}{suffix}_{axis}"
        yield sql, Output(name, "INTEGER", scaled=resolution is not None)


def _from(
    body: QueryBody, datastack: str, sources: Mapping[str, _Source], *, replaced: bool = False
) -> str:
    def rows(source: _Source) -> str:
        path = table_path(datastack, source.table.rows)
        roots = [quote(name) for name in source.fields if name.endswith("_root_id")]
        if replaced and roots:
            put = ", ".join(
                f"coalesce((SELECT root FROM replaced WHERE former = {name}), {name}) AS {name}"  # noqa: S608 - quoted names
                for name in roots
            )
            path = f"(SELECT * REPLACE ({put}) FROM {path})"  # noqa: S608 - quoted names
        return f"{path} AS {source.alias}"

    first = sources[body.joins[0].left if body.joins else body.tables[0]]
    text = rows(first)
    joined = {first.table.name}
    for join in body.joins:
        left, right = sources[join.left], sources[join.right]
        left.field(join.left_column)
        right.field(join.right_column)
        on = f"{left.alias}.{quote(join.left_column)} = {right.alias}.{quote(join.right_column)}"
        if join.right in joined:
            raise QueryError(f"400 Bad Request: table {join.right} is joined twice")
        joined.add(join.right)
        text += f" JOIN {rows(right)} ON {on}"
    return text


def _where(body: QueryBody, sources: Mapping[str, _Source]) -> tuple[str, list[Any]]:
    """Return the condition on rows, which always excludes invalid rows."""
    parts = [
        "true" if source.table.is_view else f"{source.alias}.valid" for source in sources.values()
    ]
    values: list[Any] = []
    for item in body.filters:
        if item.table not in sources:
            raise QueryError(f"'{item.table}'")
        source = sources[item.table]
        field = source.field(item.column)
        # The recorded service ignores ``filter_notin_dict`` in joins and returns all rows.
        if (body.kind, item.kind) != ("join", "notin"):
            text, own = build_condition(item, field, source.alias)
            parts.append(text)
            values.extend(own)
    return " AND ".join(parts), values
