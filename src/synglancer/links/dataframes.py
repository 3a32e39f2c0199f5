"""A table with cells → the same table with links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from synglancer.cells.lists import read_column
from synglancer.errors import UsageError
from synglancer.links.batch import map_links
from synglancer.links.link_record import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from synglancer.links.batch import Progress
    from synglancer.links.link_record import LinkRecord
    from synglancer.links.spread import Spread
    from synglancer.settings import Settings

PROBLEM = "link_problem"
"""The column that says why a row has no link."""

NOTE = "link_note"
"""The column that says what a reader of the link should know."""


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
    """Add columns of links, problems and notes to a table, as `synglancer.add_links` says.

    Parameters
    ----------
    df, column, link_column, settings
        As there.
    phrase
        Puts a sentence into the words of those who read the table.
    spread
        Who makes the links, if not this process.
    progress
        What shows how far it is.
    token
        The token for the server, where it is known.

    Raises
    ------
    UsageError
        When there is no such column, its IDs are rounded, or the table has a column of the user's
        with the name of a new one.
    ServiceError
        When the service is down or refuses all.
    """
    ours = (link_column, PROBLEM, NOTE)
    there = [name for name in ours if name in df.columns]
    if there and len(there) < len(ours):  # all of them are what we added before
        raise UsageError(
            f"The table has a column {there[0]!r} already.",
            "Drop or rename it; or name another one with link_column.",
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
