"""The functions of the Python API: one link, many links, and links in a table.

pandas, caveclient and nglui are imported when they are needed.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from synglancer.errors import UsageError
from synglancer.link import Link
from synglancer.links.link_record import Skipped
from synglancer.option_values import read_value
from synglancer.python.boundary import public, say_in_python, warn
from synglancer.python.clients import check_token_saved, settle
from synglancer.python.given import is_one, list_cells, list_separate_cells, unwrap
from synglancer.python.options import show_options
from synglancer.python.results import Links

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
"""A cell: a root ID, a text such as ``nucleus:ID``, or a position in voxels."""


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
    """Make a link that shows the synapses of a cell, or of several cells together.

    The synapses are queried from CAVE, or read from tables that you have already queried.

    Parameters
    ----------
    cell
        Root ID of the cell, ``nucleus:ID``, a position (``x,y,z``, or a tuple or array of three
        numbers, in voxels of the viewer's resolution; or ``x,y,z@nm``), or a Neuroglancer link in
        which the cell is selected. ``synapse:ID`` shows one synapse between its two cells. A list
        makes one link that shows all of its cells in this order; for separate links, use
        `make_links`. With tables, give root IDs, or nothing to read the cell from the tables.
    settings
        Options as a record.
    client
        Your ``caveclient.CAVEclient``. Its server, token, datastack and version are used, unless
        you give another version. The token is sent only to that server.
    inputs, outputs
        True to show only this direction; by default, both are shown. Or the tables that your
        queries returned: predictions joined with their synapses, as from ``query()`` of
        ``client.materialize``. The synapse's ID is in the column ``id`` or ``target_id``. Other
        columns are ``tag``, ``value``, ``size``, ``pre_pt_root_id``, ``post_pt_root_id`` and
        ``ctr_pt_position`` (one column, or three with ``_x``, ``_y`` and ``_z``). The rows are not
        queried again. Version and table are read from ``attrs``, where caveclient stores them, or
        else from `client` or the options.
    resolution
        Voxel size of the positions in the tables, in nm, such as ``[4, 4, 40]``; 1 for positions in
        nm. By default, it is read from ``attrs``, where caveclient stores it.
    **options
        Options by keyword: any parameter of `synglancer.Settings`, such as ``sandbox=True``,
        ``tag="spine"``, ``min_confidence=0.9`` or ``version="latest"``.

    Returns
    -------
    Link
        With ``url``, ``state``, ``state_url``, ``counts`` and ``predictions`` (positions in nm).

    Warns
    -----
    SynglancerWarning
        About the link: for instance, that an outdated root ID was followed to its successor, or
        that no synapse has a tag. `Link.warnings` has the same sentences.

    Raises
    ------
    UsageError
        When an option is invalid, or tables cannot be used: a synapse or an ID occurs twice, is
        missing or was rounded, a row belongs to another cell, or the version or unit is unknown.
    CellError
        When a cell is unknown at that version.
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
    cells = list_cells(cell)
    if any(hasattr(value, "columns") for value in directions.values()):
        from synglancer.python.tables import make_link_of_tables

        record = make_link_of_tables(cells, directions, resolution, settings, client, options)
    else:
        given = {**options, **_name_directions(directions, resolution)}
        asked = settle(settings, given, client)
        maker = open_maker(asked.settings, token=asked.token)
        if cell is None:
            raise UsageError("No cell was given.", "Give a root ID, nucleus:ID, x,y,z or a link.")
        alone = is_one(unwrap(cell))
        words = cells if alone else [one for given in cells for one in maker.expand(given)]
        record = maker.make(*words)
    link = Link.of(record)
    warn(link.warnings)
    return link


def _name_directions(
    directions: Mapping[Direction, object], resolution: object
) -> dict[str, object]:
    """Return the directions as options, if no tables were given."""
    if resolution is not None:
        raise UsageError(
            "resolution= is for the positions in tables, but no table was given.",
            "Give tables as inputs= and outputs=, or leave out resolution=.",
        )
    return {name: value for name, value in directions.items() if value is not False}


def _phrase(skipped: Skipped) -> Skipped:
    """Explain in terms of Python why a cell was skipped."""
    reason, hint = say_in_python(skipped.reason), say_in_python(skipped.hint)
    return replace(skipped, reason=reason, hint=hint)


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
        Root IDs, or cells in any other form that `make_link` takes. A repeated cell is queried
        once.
    settings
        Options as a record.
    client
        Your ``caveclient.CAVEclient``, as for `make_link`.
    progress
        Whether to show a progress bar, where there is a terminal or a notebook.
    workers
        Number of processes on this machine.
    scheduler
        Address of a Dask scheduler whose workers make the links instead.
    **options
        Options by keyword, as for `make_link`.

    Returns
    -------
    Links
        A list with a `Link` or a `Skipped` for each cell, in their order. A notebook shows it as a
        table; ``to_frame()`` returns that.

    Warns
    -----
    SynglancerWarning
        About the number of cells that were skipped, and links with warnings.

    Raises
    ------
    UsageError
        When the options or cells cannot be used.
    ServiceError
        When the service is down or refuses all requests: login, permission, terms of service, or an
        unknown table.

    Examples
    --------
    >>> make_links([864691135276234469], sandbox=True)  # doctest: +SKIP
    """
    from synglancer.links.batch import map_links

    asked = settle(settings, options, client)
    named = list_separate_cells(cells)
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
    """Add a column of links to a table of cells.

    Parameters
    ----------
    df
        The table, which is not changed. A repeated cell is queried once.
    column
        The column of root IDs: integers (also pandas' nullable ones) or text. Rows with a missing
        ID (None, NaN, 0, or an empty text) get no link. Floats are refused, because they round root
        IDs.
    link_column
        Name of the new column.
    progress
        Whether to show a progress bar, where there is a terminal or a notebook.
    workers, scheduler
        As for `make_links`.
    settings, client, **options
        As for `make_link`.

    Returns
    -------
    pandas.DataFrame
        A copy with three more columns of str: the link (empty if there is none); ``link_problem``,
        which says why there is no link; and ``link_note``, with warnings, for instance that an
        outdated root ID was followed to its successor. If the table already has these columns from
        an earlier call, they are replaced.

    Raises
    ------
    UsageError
        When there is no such column, its IDs are rounded, or one of your own columns has the name
        of a new column.
    ServiceError
        When the service is down or refuses all requests.

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
    workers = read_value("workers", workers, int | None)
    scheduler = read_value("scheduler", scheduler, str | None)
    if workers == 1 and scheduler is None:
        return None
    from synglancer.links.spread import Spread

    check_token_saved(asked)
    return Spread(workers if workers != 1 else None, scheduler)


def _progress(wanted: bool) -> Progress | None:
    if not read_value("progress", wanted, bool):
        return None
    from synglancer.render.progress import show_progress

    return show_progress


def html_link(url: str, text: str = "open") -> str:
    """Format a link for ``df.style.format(html_link, subset="link")``; an empty link gives no text.

    Parameters
    ----------
    url
        The link.
    text
        Text of the link.
    """
    if not isinstance(url, str) or not url:  # also NaN, as tables have it
        return ""
    return f'<a href="{escape(url)}" target="_blank" rel="noopener">{escape(text)}</a>'
