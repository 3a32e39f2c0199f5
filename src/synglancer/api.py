"""The functions that users call: one link, many links, and links in a table.

pandas, caveclient and nglui are imported when they are needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from synglancer.cells.parse import read_point
from synglancer.errors import UsageError
from synglancer.link import Link
from synglancer.links.link_record import Skipped
from synglancer.python.boundary import public, say_in_python, warn
from synglancer.python.clients import check_token_saved, settle
from synglancer.python.options import show_options
from synglancer.python.results import Links

if TYPE_CHECKING:
    import pandas as pd
    from caveclient.frameworkclient import CAVEclient, CAVEclientGlobal
    from typing_extensions import Unpack

    from synglancer.cave.records import Direction
    from synglancer.links.batch import Progress
    from synglancer.links.spread import Spread
    from synglancer.python.clients import Asked
    from synglancer.python.options import LinkOptions, Options
    from synglancer.settings import Settings

Given = int | str | tuple[float, float, float] | list[float]
"""A cell: its root ID, a text that names it, or a position in it in voxels."""


@show_options
@public
def make_link(
    cell: Given | Iterable[Given] | None = None,
    settings: Settings | None = None,
    *,
    client: CAVEclient | CAVEclientGlobal | None = None,
    inputs: bool | pd.DataFrame = False,
    outputs: bool | pd.DataFrame = False,
    resolution: float | Sequence[float] | None = None,
    **options: Unpack[LinkOptions],
) -> Link:
    """Make a link that shows a cell's synapses, or those of several cells together.

    The synapses are asked for; or, where a notebook has them in tables already, taken from those.

    Parameters
    ----------
    cell
        Root ID of the cell; or ``nucleus:ID``, a position (``x,y,z``, or a tuple, list or array of
        three numbers, in voxels of the viewer's resolution; or ``x,y,z@nm``), or a Neuroglancer
        link that selects it. ``synapse:ID`` shows one synapse between its two cells. A list of
        these is one link for all of them, in this order; for a link each see `make_links`. Beside
        tables, root IDs; or nothing, to take the cell from the tables.
    settings
        What is asked, as a record.
    client
        Your ``caveclient.CAVEclient``: its server, token, datastack and version are used, unless
        you give another version. The token goes to that server alone.
    inputs, outputs
        True for one direction alone; both are shown otherwise. Or the tables that your queries
        returned: predictions joined with their synapses, as ``query()`` of ``client.materialize``
        gives them. A column ``id`` or ``target_id`` has the synapse's ID; others are ``tag``,
        ``value``, ``size``, ``pre_pt_root_id``, ``post_pt_root_id`` and ``ctr_pt_position``, whole
        or in ``_x``, ``_y`` and ``_z``. They are not asked for again; version and table are those
        that caveclient notes in ``attrs``, else those of `client` or of options.
    resolution
        Size of a voxel of the tables' positions in nm, such as ``[4, 4, 40]``; 1 for positions in
        nm. By default as caveclient notes it in ``attrs``.
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
        When the question cannot be asked, or tables cannot be shown rightly: a synapse or an ID
        that occurs twice, is missing or was rounded, another cell, an unknown version or unit.
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
    >>> table = client.materialize.tables.synapse_target_predictions_ssa_v2  # doctest: +SKIP
    >>> df = table(post_pt_root_id=864691135276234469).query()  # doctest: +SKIP
    >>> make_link(inputs=df, client=client)  # doctest: +SKIP
    """
    from synglancer.links.makers import open_maker

    directions: dict[Direction, object] = {"inputs": inputs, "outputs": outputs}
    cells = _list_cells(cell)
    if any(hasattr(value, "columns") for value in directions.values()):
        from synglancer.python.tables import make_link_of_tables

        record = make_link_of_tables(cells, directions, resolution, settings, client, options)
    else:
        given = {**options, **_name_directions(directions, resolution)}
        asked = settle(settings, given, client)
        maker = open_maker(asked.settings, token=asked.token)
        if cell is None:
            raise UsageError("No cell was given.", "Give a root ID, nucleus:ID, x,y,z or a link.")
        alone = _is_one(cell)
        words = cells if alone else [one for given in cells for one in maker.expand(given)]
        record = maker.make(*words)
    link = Link.of(record)
    warn(link.warnings)
    return link


def _name_directions(
    directions: Mapping[Direction, object], resolution: object
) -> dict[str, object]:
    """Name the directions that were asked for without tables."""
    if resolution is not None:
        raise UsageError(
            "resolution= is that of the positions in tables, and no table was given.",
            "Give tables as inputs= and outputs=, or leave resolution= out.",
        )
    return {name: value for name, value in directions.items() if value is not False}


def _is_one(cell: Any) -> bool:
    return isinstance(cell, str | bytes) or not isinstance(cell, Iterable) or bool(read_point(cell))


def _list_cells(cell: Any) -> list[int | str]:
    """List the cells that were given, each as a root ID or a text."""
    if cell is None:
        return []
    return [_name_cell(cell)] if _is_one(cell) else [*map(_name_cell, cell)]


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
    client: CAVEclient | CAVEclientGlobal | None = None,
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
    client: CAVEclient | CAVEclientGlobal | None = None,
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
