"""The functions that users call: one link, many links, and links in a table.

pandas, caveclient and nglui are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from synglancer.cells.parse import read_point
from synglancer.link import Link
from synglancer.settings import Settings, build_settings

if TYPE_CHECKING:
    import pandas as pd

    from synglancer.links.batch import Progress
    from synglancer.links.link_record import Skipped

Given = int | str | tuple[float, float, float]
"""A cell: its root ID, a text that names it, or a position in it in voxels."""


def make_link(
    cell: Given | Iterable[Given], settings: Settings | None = None, **options: Any
) -> Link:
    """Make a link that shows a cell's synapses, or those of several cells together.

    Parameters
    ----------
    cell
        Root ID of the cell; or ``nucleus:ID``, a position (``x,y,z`` or a tuple or array of three
        numbers, in voxels of the viewer's resolution; or ``x,y,z@nm``), or a Neuroglancer link that
        selects it. A list of these is one link for all of them, in this order; for a link each see
        `make_links`.
    settings
        What is asked, as a record.
    **options
        Or by keyword: any parameter of `synglancer.Settings`, such as ``sandbox=True``,
        ``tag="spine"``, ``min_confidence=0.9`` or ``version="latest"``.

    Returns
    -------
    Link
        With ``url``, ``state``, ``state_url``, ``counts`` and ``predictions`` (positions in nm).

    Raises
    ------
    UsageError
        When the question cannot be asked.
    CellError
        When a cell is not known at that version.
    ServiceError
        When a service refuses or fails.

    Examples
    --------
    >>> link = make_link(864691135276234469, sandbox=True)  # doctest: +SKIP
    >>> link.counts  # doctest: +SKIP
    """
    from synglancer.links.make import LinkMaker

    maker = LinkMaker(settings or build_settings(options))
    if isinstance(cell, str) or not isinstance(cell, Iterable) or read_point(cell):
        return Link.of(maker.make(_name_cell(cell)))
    named = [_name_cell(given) for given in cell]
    return Link.of(maker.make(*(one for given in named for one in maker.expand(given))))


def _name_cell(given: Any) -> int | str:
    """Return a position of coordinates as text, and any other cell as it is given."""
    point = read_point(given)
    named: int | str = given if point is None else str(point)
    return named


def make_links(
    cells: Iterable[Given],
    settings: Settings | None = None,
    *,
    progress: bool = False,
    **options: Any,
) -> list[Link | Skipped]:
    """Make a link for each of many cells.

    Parameters
    ----------
    cells
        Root IDs, or what else `make_link` takes; one that is repeated is asked for once.
    settings
        What is asked, as a record.
    progress
        Whether to show a progress bar, where there is a terminal or a notebook.
    **options
        Or by keyword, as for `make_link`.

    Returns
    -------
    list of Link or Skipped
        One for each cell, in their order.

    Raises
    ------
    UsageError
        When the question cannot be asked.
    ServiceError
        When the service is down or refuses all: login, permission, terms, an unknown table.

    Examples
    --------
    >>> make_links([864691135276234469], sandbox=True)  # doctest: +SKIP
    """
    from synglancer.links.batch import map_links

    asked = settings or build_settings(options)
    return map_links(
        [_name_cell(cell) for cell in cells], asked, Link.of, progress=_progress(progress)
    )


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
    from synglancer.links.dataframes import add_link_columns

    asked = settings or build_settings(options)
    return add_link_columns(df, column, link_column, asked, _progress(progress))


def _progress(wanted: bool) -> Progress | None:
    if not wanted:
        return None
    from synglancer.render.progress import show_progress

    return show_progress


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
