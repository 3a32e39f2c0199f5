"""Query the materialization service: tables, joins, views and live queries.

Each query is one request, for the rows in a range of ``id``.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from synglancer.cave.pagination import Span
    from synglancer.cave.records import Materialization, PredictionTable

_FORM: dict[str, Any] = {
    "split_positions": True,
    "desired_resolution": [1, 1, 1],  # nm
    "metadata": False,
}
"""Options of each query: positions in nm, one column per axis, and only the rows."""


def one_or_several(cells: Sequence[int]) -> int | list[int]:
    """Return the filter's value for these cells: a single root ID, or a list of several."""
    return [*cells] if len(cells) > 1 else cells[0]


def name_filter(wanted: dict[str, Any]) -> str:
    """Name caveclient's filter for columns that hold one value, or one of several.

    Examples
    --------
    >>> name_filter({"id": 1}), name_filter({"id": [1, 2]})
    ('filter_equal_dict', 'filter_in_dict')
    """
    several = isinstance(next(iter(wanted.values())), list)
    return "filter_in_dict" if several else "filter_equal_dict"


def ask_table(
    client: Any,
    at: Materialization,
    table: str,
    wanted: dict[str, Any],
    columns: list[str],
    span: Span,
) -> pd.DataFrame:
    """Ask for the rows in which each of these columns holds one value, or one of several.

    Parameters
    ----------
    client
        A `MaterializationClient`.
    at
        The version; if it has expired, a live query at its timestamp is made.
    table
        Its name.
    wanted
        The values, or lists of values, to look for in each column.
    columns
        The columns to return.
    span
        The range of ``id``.
    """
    asked = {
        name_filter(wanted): wanted,
        "filter_greater_equal_dict": span.at_least,
        "filter_less_dict": span.below,
        "select_columns": columns,
    }
    if at.expired:
        conditions = {name: {table: value} for name, value in asked.items() if value}
        return _ask_live(client, table, at, **conditions)
    return client.query_table(
        table,
        materialization_version=at.version,
        merge_reference=False,
        **asked,
        **_FORM,
        log_warning=False,
    )


def ask_join(
    client: Any,
    at: Materialization,
    table: PredictionTable,
    wanted: dict[str, dict[str, Any]],
    columns: dict[str, list[str]],
    span: Span,
) -> pd.DataFrame:
    """Ask for rows of a table that refers to synapses, each with its synapse.

    Parameters
    ----------
    client, at
        As for `ask_table`.
    table
        The table that refers to the synapses.
    wanted
        The values to look for in each column, by table: all single values, or all lists; empty for
        all rows.
    columns
        The columns to return, by table; if both tables have a column, it is the synapse's.
    span
        The range of the synapse's ``id``.
    """
    synapses = table.synapse_table
    asked: dict[str, Any] = {
        **({name_filter(next(iter(wanted.values()))): wanted} if wanted else {}),
        "filter_greater_equal_dict": _by_table(synapses, span.at_least),
        "filter_less_dict": _by_table(synapses, span.below),
        "select_columns": columns,
        "suffixes": {table.name: "_ref", synapses: ""},
    }
    if at.expired:
        join = [table.name, "target_id", synapses, "id"]
        # The live service looks for the ID of each table among its selected columns.
        asked["select_columns"] = {**columns, table.name: ["id", *columns[table.name]]}
        return _ask_live(client, table.name, at, joins=[join], **asked).drop(columns="id_ref")
    return client.join_query(
        tables=[[table.name, "target_id"], [synapses, "id"]],
        materialization_version=at.version,
        **asked,
        **_FORM,
        log_warning=False,
    )


def ask_view(
    client: Any, at: Materialization, view: str, columns: list[str], span: Span
) -> pd.DataFrame:
    """Ask for the rows of a view, which is not possible for expired versions.

    Parameters
    ----------
    client, at, columns, span
        As for `ask_table`.
    view
        Its name.
    """
    # For tables, logging of the owner's notice can be turned off; for views it cannot.
    with _unsaid("caveclient.base", "Table Owner Notice"):
        return client.query_view(
            view,
            materialization_version=at.version,
            filter_greater_equal_dict=span.at_least,
            filter_less_dict=span.below,
            select_columns=columns,
            **_FORM,
        )


def _by_table(table: str, condition: dict[str, int] | None) -> dict[str, dict[str, int]] | None:
    """Return a condition as joins take it: by table."""
    return None if condition is None else {table: condition}


def _ask_live(client: Any, table: str, at: Materialization, **asked: Any) -> pd.DataFrame:
    """Query rows as they were at the timestamp of an expired version."""
    # caveclient warns every caller that this method is in beta; our users get our own explanation.
    with _unsaid("", "Deprecation: this method is to facilitate beta"):
        return client.live_live_query(table, at.timestamp, **asked, **_FORM, log_warning=False)


@contextmanager
def _unsaid(logger: str, beginning: str) -> Iterator[None]:
    """Suppress log messages that begin like this."""

    def is_other(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(beginning)

    speaker = logging.getLogger(logger)
    speaker.addFilter(is_other)
    try:
        yield
    finally:
        speaker.removeFilter(is_other)
