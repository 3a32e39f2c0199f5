"""The functions that users call: one link, many links, and links in a table.

pandas, caveclient and nglui are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from synglancer.cells.parse import read_point
from synglancer.link import Link
from synglancer.links.link_record import Skipped
from synglancer.python.boundary import public, say_in_python, warn
from synglancer.python.clients import check_token_saved, settle
from synglancer.python.options import show_options
from synglancer.python.results import Links

if TYPE_CHECKING:
    import pandas as pd
    from caveclient.frameworkclient import CAVEclientFull
    from typing_extensions import Unpack

    from synglancer.links.batch import Progress
    from synglancer.links.spread import Spread
    from synglancer.python.clients import Asked
    from synglancer.python.options import Options
    from synglancer.settings import Settings

Given = int | str | tuple[float, float, float]
"""A cell: its root ID, a text that names it, or a position in it in voxels."""


@show_options
@public
def make_link(
    cell: Given | Iterable[Given],
    settings: Settings | None = None,
    *,
    client: CAVEclientFull | None = None,
    **options: Unpack[Options],
) -> Link:
    """Make a link that shows a cell's synapses, or those of several cells together.

    Parameters
    ----------
    cell
        Root ID of the cell; or ``nucleus:ID``, a position (``x,y,z`` or a tuple or array of three
        numbers, in voxels of the viewer's resolution; or ``x,y,z@nm``), or a Neuroglancer link that
        selects it. ``synapse:ID`` shows one synapse between its two cells. A list of these is one
        link for all of them, in this order; for a link each see `make_links`.
    settings
        What is asked, as a record.
    client
        Your ``caveclient.CAVEclient``: its server, token, datastack and version are used, unless
        you give another version. The token goes to that server alone.
    **options
        Or by keyword: any parameter of `synglancer.Settings`, such as ``sandbox=True``,
        ``tag="spine"``, ``min_confidence=0.9`` or ``version="latest"``.

    Returns
    -------
    Link
        With ``url``, ``state``, ``state_url``, ``counts`` and ``predictions`` (positions in nm).

    Warns
    -----
    SynglancerWarning
        Of what a reader should know: a cell that was followed to its successor, a tag that no
        synapse has. `Link.warnings` has the same sentences.

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
    >>> client = caveclient.CAVEclient("minnie65_public", version=1718)  # doctest: +SKIP
    >>> make_link(864691135276234469, client=client)  # doctest: +SKIP
    """
    from synglancer.links.makers import open_maker

    asked = settle(settings, options, client)
    maker = open_maker(asked.settings, token=asked.token)
    if isinstance(cell, str | bytes) or not isinstance(cell, Iterable) or read_point(cell):
        link = Link.of(maker.make(_name_cell(cell)))
    else:
        named = [_name_cell(given) for given in cell]
        link = Link.of(maker.make(*(one for given in named for one in maker.expand(given))))
    warn(link.warnings)
    return link


def _phrase(skipped: Skipped) -> Skipped:
    """Say in Python's words why a cell was skipped."""
    reason, hint = say_in_python(skipped.reason), say_in_python(skipped.hint)
    return replace(skipped, reason=reason, hint=hint)


def _name_cell(given: Any) -> int | str:
    """Return a position of coordinates as text, and any other cell as it is given."""
    point = read_point(given)
    named: int | str = given if point is None else str(point)
    return named


@show_options
@public
def make_links(
    cells: Iterable[Given],
    settings: Settings | None = None,
    *,
    client: CAVEclientFull | None = None,
    progress: bool = False,
    workers: int = 1,
    scheduler: str | None = None,
    **options: Unpack[Options],
) -> Links:
    """Make a link for each of many cells.

    Parameters
    ----------
    cells
        Root IDs, or what else `make_link` takes; one that is repeated is asked for once.
    settings
        What is asked, as a record.
    client
        Your ``caveclient.CAVEclient``, as for `make_link`.
    progress
        Whether to show a progress bar, where there is a terminal or a notebook.
    workers
        Processes of this machine that make them.
    scheduler
        Address of a Dask scheduler whose workers make them instead; see `Spread`.
    **options
        Or by keyword, as for `make_link`.

    Returns
    -------
    Links
        A list with a `Link` or a `Skipped` for each cell, in their order. A notebook shows it as a
        table; ``to_frame()`` returns that.

    Warns
    -----
    SynglancerWarning
        Of the number of cells that were skipped, and of links that have something to tell.

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

    asked = settle(settings, options, client)
    named = [_name_cell(cell) for cell in cells]
    who = _spread(workers, scheduler, asked)
    shown = _progress(progress)
    made = map_links(named, asked.settings, Link.of, spread=who, progress=shown, token=asked.token)
    links = Links(_phrase(one) if isinstance(one, Skipped) else one for one in made)
    warn(links.warnings)
    return links


@show_options
@public
def add_links(
    df: pd.DataFrame,
    column: str = "pt_root_id",
    *,
    link_column: str = "link",
    progress: bool = True,
    settings: Settings | None = None,
    client: CAVEclientFull | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    **options: Unpack[Options],
) -> pd.DataFrame:
    """Add to a table of cells a column of links.

    Parameters
    ----------
    df
        The table, which is not changed. Rows may repeat a cell; it is asked for once.
    column
        The column of root IDs: integers (also pandas' nullable ones) or text. A missing one (None,
        NaN, 0, or an empty text) is passed over. Floats are refused: they have lost digits.
    link_column
        What the new column is called.
    progress
        Whether to show a progress bar, where there is a terminal or a notebook.
    workers, scheduler
        Who makes them, as for `make_links`.
    settings, client, **options
        What is asked, and of whom, as for `make_link`.

    Returns
    -------
    pandas.DataFrame
        A copy with three more columns of str: the link, empty where there is none;
        ``link_problem``, which says why; and ``link_note``, what a reader of the link should know,
        such as that the cell was followed to its successor. Given its own result, the function
        makes these columns anew.

    Raises
    ------
    UsageError
        When there is no such column, its IDs are rounded, or the table has a column of the user's
        with the name of a new one.
    ServiceError
        When the service is down or refuses all.

    Examples
    --------
    >>> df = add_links(df, sandbox=True)  # doctest: +SKIP
    >>> df.style.format(html_link, subset="link")  # doctest: +SKIP
    """
    from synglancer.links.dataframes import add_link_columns

    asked = settle(settings, options, client)
    return add_link_columns(
        df,
        column,
        link_column,
        asked.settings,
        say_in_python,
        _spread(workers, scheduler, asked),
        _progress(progress),
        asked.token,
    )


def _spread(workers: int, scheduler: str | None, asked: Asked) -> Spread | None:
    if workers == 1 and scheduler is None:
        return None
    from synglancer.links.spread import Spread

    check_token_saved(asked)
    return Spread(workers if workers != 1 else None, scheduler)


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
