"""How a question to the materialization service is put: filters, form of the answer, live queries.

It must not know what is asked for, and takes caveclient's clients as they come.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pandas as pd

FORM: dict[str, Any] = {
    "split_positions": True,
    "desired_resolution": [1, 1, 1],  # nm
    "metadata": False,
    "log_warning": False,
}
"""How each answer comes: positions in nm, a column an axis, and nothing beside the rows."""


def one_or_several(cells: Sequence[int]) -> int | list[int]:
    """Return what a column must hold to be of these cells: a single one is asked for as such."""
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


def by_table(table: str, condition: dict[str, int] | None) -> dict[str, dict[str, int]] | None:
    """Return a condition as joins take it: by table."""
    return None if condition is None else {table: condition}


def query_live(client: Any, table: str, moment: datetime, **asked: Any) -> pd.DataFrame:
    """Fetch rows as they were at a moment, from a service that serves its version no more."""
    root = logging.getLogger()
    # caveclient calls this method a test to each who uses it; ours are told why we do.
    root.addFilter(_is_not_deprecation)
    try:
        frame: pd.DataFrame = client.live_live_query(table, moment, **asked, **FORM)
    finally:
        root.removeFilter(_is_not_deprecation)
    return frame


def _is_not_deprecation(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Deprecation: this method is to facilitate beta")
