"""A table with cells → the same table with links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from synglancer.cells.lists import read_column
from synglancer.errors import UsageError
from synglancer.links.batch import map_links
from synglancer.links.link_record import Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.links.batch import Progress
    from synglancer.settings import Settings

PROBLEM = "link_problem"
"""The column that says why a row has no link."""


def add_link_columns(
    df: pd.DataFrame,
    column: str,
    link_column: str,
    settings: Settings,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Add columns of links and of problems to a table, as `synglancer.add_links` says.

    Raises
    ------
    UsageError
        When there is no such column, its IDs are rounded, or a new column is there already.
    ServiceError
        When the service is down or refuses all.
    """
    for name in (link_column, PROBLEM):
        if name in df.columns:
            raise UsageError(
                f"The table has a column {name!r} already.",
                "Drop or rename it; or name another one with link_column.",
            )
    cells = read_column(df, column)
    there = [cell for cell in cells if cell]
    made = iter(map_links(there, settings, lambda link: link.url, progress=progress))
    none = Skipped("", "This row names no cell.", "", UsageError.exit_code)
    results = [next(made) if cell else none for cell in cells]
    links = ["" if isinstance(result, Skipped) else result for result in results]
    problems = [result.reason if isinstance(result, Skipped) else "" for result in results]
    return df.assign(**{link_column: _texts(links, df), PROBLEM: _texts(problems, df)})


def _texts(values: Sequence[str], df: pd.DataFrame) -> pd.Series[str]:
    return pd.Series(values, index=df.index, dtype=object)
