"""Add links to a table of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from synglancer.cells.lists import read_column
from synglancer.errors import UsageError
from synglancer.links.batch import map_links
from synglancer.links.link_record import Skipped
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from synglancer.links.batch import Progress
    from synglancer.links.link_record import LinkRecord
    from synglancer.links.spread import Spread
    from synglancer.settings import Settings

PROBLEM = "link_problem"
"""The column that explains why a row has no link."""

NOTE = "link_note"
"""The column with the link's warnings."""


def add_link_columns(
    df: pd.DataFrame,
    column: str,
    link_column: str,
    settings: Settings,
    phrase: Callable[[str], str],
    spread: Spread | None = None,
    progress: Progress | None = None,
    token: str | None = None,
) -> pd.DataFrame:
    """Add columns of links, problems and notes to a table, as described in `synglancer.add_links`.

    Parameters
    ----------
    df, column, link_column, settings
        As in `synglancer.add_links`.
    phrase
        Rewrites a sentence for the readers of the table.
    spread
        Processes or a cluster that make the links; None for this process.
    progress
        Shows the progress.
    token
        The token for the server, if it is known.

    Raises
    ------
    UsageError
        When there is no such column, its IDs are rounded, or one of the user's own columns has the
        name of a new column.
    ServiceError
        When the service is down or refuses all requests.
    """
    if not isinstance(df, pd.DataFrame):
        raise UsageError(
            f"A pandas DataFrame was expected, not {type(df).__name__}.",
            "Give a table with a column of root IDs; for cells in a list, use make_links.",
        )
    if not isinstance(link_column, str):
        raise UsageError(f"link_column={quote(link_column)} is not a name.", "Give a text.")
    ours = (link_column, PROBLEM, NOTE)
    there = [name for name in ours if name in df.columns]
    if there and len(there) < len(ours):  # all three columns come from an earlier call
        raise UsageError(
            f"The table already has a column {there[0]!r}.",
            "Drop or rename that column, or choose another name with link_column.",
        )
    cells = read_column(df, column)
    given = [cell for cell in cells if cell]
    links = map_links(given, settings, _describe, spread=spread, progress=progress, token=token)
    made = iter([*links])
    none = ("", "This row names no cell.", "")
    rows = [_read_result(next(made)) if cell else none for cell in cells]
    added = pd.DataFrame(rows, columns=[*ours], index=df.index, dtype=object)
    added[[PROBLEM, NOTE]] = added[[PROBLEM, NOTE]].map(phrase)
    return df.assign(**{name: added[name] for name in ours})


def _describe(link: LinkRecord) -> tuple[str, str, str]:
    return link.url, "", " ".join(link.warnings)


def _read_result(result: tuple[str, str, str] | Skipped) -> tuple[str, str, str]:
    return ("", result.reason, "") if isinstance(result, Skipped) else result
