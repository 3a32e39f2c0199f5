"""A table with cells → the same table with links."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from synglancer.cells.lists import read_column
from synglancer.errors import UsageError
from synglancer.links.batch import map_links
from synglancer.links.link import Skipped
from synglancer.settings import Settings, build_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBLEM = "link_problem"
"""The column that says why a row has no link."""


def add_links(
    df: pd.DataFrame,
    column: str = "pt_root_id",
    *,
    link_column: str = "link",
    progress: bool = True,
    settings: Settings | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Add to a table of cells a column of links.

    Parameters
    ----------
    df
        The table, which is not changed. Rows may repeat a cell; it is asked for once.
    column
        The column of root IDs: integers (also pandas' nullable ones) or text. Floats are refused:
        they have lost digits.
    link_column
        What the new column is called.
    progress
        Whether to show a progress bar, where there is a terminal or a notebook.
    settings, **options
        What is asked, as for `make_link`.

    Returns
    -------
    pandas.DataFrame
        A copy with two more columns of str: the link, empty where there is none, and
        ``link_problem``, which says why, and is empty elsewhere.

    Raises
    ------
    UsageError
        When there is no such column, its IDs are rounded, or a new column is there already.
    ServiceError
        When the service is down or refuses all.

    Examples
    --------
    >>> df = add_links(df, sandbox=True)  # doctest: +SKIP
    >>> df.style.format(html_link, subset="link")  # doctest: +SKIP
    """
    for name in (link_column, PROBLEM):
        if name in df.columns:
            raise UsageError(
                f"The table has a column {name!r} already.",
                "Drop or rename it; or name another one with link_column.",
            )
    cells = read_column(df, column)
    there = [cell for cell in cells if cell]
    asked = settings or build_settings(options)
    made = iter(map_links(there, asked, lambda link: link.url, progress=progress))
    none = Skipped("", "This row names no cell.", "", UsageError.exit_code)
    results = [next(made) if cell else none for cell in cells]
    links = ["" if isinstance(result, Skipped) else result for result in results]
    problems = [result.reason if isinstance(result, Skipped) else "" for result in results]
    return df.assign(**{link_column: _texts(links, df), PROBLEM: _texts(problems, df)})


def _texts(values: Sequence[str], df: pd.DataFrame) -> pd.Series[str]:
    return pd.Series(values, index=df.index, dtype=object)


def html_link(url: str, text: str = "open") -> str:
    """Format a link for ``df.style.format(html_link, subset="link")``; nothing for an empty one.

    Parameters
    ----------
    url
        The link.
    text
        What is clicked.
    """
    if not url:
        return ""
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(text)}</a>'
