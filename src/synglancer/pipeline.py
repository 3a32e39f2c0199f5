"""From a cell to a link: the ordered steps.

Read `LinkMaker.make` and `LinkMaker._make_anew` to know the program. It must not know how a step
is done, only their order and what was done before. pandas and nglui are imported when they are
first needed: a repeated question needs neither.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from datetime import timezone
from threading import Lock
from typing import TYPE_CHECKING, Any

from synglancer import __version__
from synglancer.addresses import format_inline_link, format_link, hash_state, resolve_site
from synglancer.cells import LinkCells, RootId, parse_cell
from synglancer.errors import (
    LoginError,
    RateLimitError,
    ServiceError,
    UnreachableError,
)
from synglancer.history import add_receipt, build_receipt
from synglancer.links import Link
from synglancer.notices import (
    explain_autapses,
    explain_emptiness,
    explain_hidden,
    explain_live,
)
from synglancer.resolve import resolve_cell, resolve_link, resolve_outdated
from synglancer.settings import Settings, build_settings
from synglancer.sources import Sources
from synglancer.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from synglancer.cells import Nucleus, Position
    from synglancer.resolve import Followed
    from synglancer.sources import CellData
    from synglancer.view import State

_NO_SOMA = "The soma's position is not served at this version: the synapses are centred instead."


def make_link(cell: int | str, settings: Settings | None = None, **options: Any) -> Link:
    """Make a link that shows a cell's synapses.

    Parameters
    ----------
    cell
        Root ID of the cell; or ``nucleus:ID``, a position ``x,y,z`` (voxels of the viewer's
        resolution) or ``x,y,z@nm``, or a Neuroglancer link that selects it.
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
        When the cell is not known at that version.
    ServiceError
        When a service refuses or fails.

    Examples
    --------
    >>> link = make_link(864691135276234469, sandbox=True)  # doctest: +SKIP
    >>> link.counts  # doctest: +SKIP
    """
    return LinkMaker(settings or build_settings(options)).make(cell)


class LinkMaker:
    """Makes links for several cells with the same settings, asking what they share once.

    Parameters
    ----------
    settings
        What is asked, beside the cell.
    command
        The words that were typed, for the receipts; None where no command was.
    """

    def __init__(self, settings: Settings, command: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._command = command
        self._store = Store(enabled=not settings.no_cache)
        self._sources = Sources(settings, self._store)
        self._building = Lock()

    def make(self, given: int | str) -> Link:
        """Make the link for one cell: every step, in order.

        Raises
        ------
        SynglancerError
            One of its subclasses; nothing is left half-done.
        """
        started = time.monotonic()
        typed = self._read_cell(given)
        link = self._find_known_link(typed, str(given), started)
        if link is None:
            # Of several processes that ask the same, the first makes the link: looking again,
            # the others find it.
            with self._store.alone(self._question(typed), self._settings.timeout):
                link = self._find_known_link(typed, str(given), started)
                if link is None:
                    link = self._resolve_and_make(typed, str(given), started)
        self._add_receipt(link)
        return link

    def _resolve_and_make(
        self, typed: RootId | Nucleus | Position, given: str, started: float
    ) -> Link:
        """Find the root ID, and the link that is known for it, or make one; and remember it."""
        cell = RootId(resolve_cell(self._sources, typed))
        link = self._find_known_link(cell, given, started) if cell != typed else None
        link = link or self._make_anew(cell.value, given, started)
        for asked in {typed, cell}:
            self._store.save_link(self._question(asked), link.to_record())
        return link

    def _make_anew(self, cell: int, given: str, started: float) -> Link:
        """Make a link that is not known yet: load, check, filter, build, upload."""
        cell, data, followed = self._load_cell(cell)
        frame, warnings = self._check_tables(data, followed)
        shown = self._filter(frame)
        record = self._build_record(cell, frame, shown, data, followed)
        if data.somata and len(data.somata) == 1:
            record["soma"] = list(data.somata[0])  # in nm; merged cells have several: none is *it*
        with self._building:  # threads would gain nothing, and libraries load lazily
            state = self._build_state(cell, shown, data.somata, record)
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(self._sources.keep_tables)  # while the upload waits for its answer
            state_url = None if self._settings.inline else self._upload(state)
        return self._build_link(cell, given, state, state_url, record, warnings, started)

    def _add_receipt(self, link: Link) -> None:
        options = {**_given_options(self._settings), "server": self._sources.server}
        record = link.to_record()
        add_receipt(build_receipt(record, options, self._command, self._sources.token))

    def _question(self, cell: RootId | Nucleus | Position) -> dict[str, Any]:
        """Return all that decides what a link shows: equal questions have equal answers."""
        settings = self._settings
        return {
            "cell": str(cell),
            "server": self._sources.server,
            "datastack": settings.datastack,
            "version": self._sources.version,
            "table": settings.table,
            "directions": settings.directions,
            "filters": _build_filters(settings),
            "with_unlabelled": settings.with_unlabelled,
            "with_total": settings.with_total,
            "view": settings.describe_view(),
            "site": settings.site,
            "inline": settings.inline,
            "generator": __version__,
        }

    def _find_known_link(
        self, cell: RootId | Nucleus | Position, given: str, started: float
    ) -> Link | None:
        """Find the answer to the same question, if the state server still has it (1 request)."""
        if self._settings.no_cache or self._settings.inline:
            return None
        record = self._store.load_link(self._question(cell))
        if record is None or (self._settings.strict and "followed" in record):
            return None
        try:
            state = self._sources.fetch_state(record["state_url"])
        except (LoginError, UnreachableError, RateLimitError):
            raise
        except ServiceError:
            return None  # lost there: the link is made anew
        if hash_state(state) != record["state_sha256"]:
            return None
        seconds = time.monotonic() - started
        return Link.from_record(record, state, given=given, elapsed_s=seconds)

    def _read_cell(self, given: int | str) -> RootId | Nucleus | Position:
        """Read which cell is meant; what a link selects is asked for first (1 request)."""
        cell = parse_cell(given)
        return RootId(resolve_cell(self._sources, cell)) if isinstance(cell, LinkCells) else cell

    def expand(self, given: str) -> list[str]:
        """List the cells that are meant: those that a Neuroglancer link selects, or else itself."""
        cell = parse_cell(given)
        if not isinstance(cell, LinkCells):
            return [given]
        return [str(item) for item in resolve_link(self._sources, cell)]

    def _load_cell(self, cell: int) -> tuple[int, CellData, Followed | None]:
        """Load a cell; one without rows is followed, or refused, or has no synapses."""
        data = self._sources.load_cell(cell)
        if any(len(table.frame) or len(table.ids) for table in data.tables):
            return cell, data, None
        followed = resolve_outdated(self._sources, cell, strict=self._settings.strict)
        if followed is not None:
            cell, data = followed.used, self._sources.load_cell(followed.used)
        return cell, data, followed

    def _check_tables(
        self, data: CellData, followed: Followed | None
    ) -> tuple[pd.DataFrame, list[str]]:
        """Put the tables together, and list what has to be said about them."""
        from synglancer.predictions import count_autapses, join_predictions  # noqa: PLC0415

        frame = join_predictions([table.frame for table in data.tables])
        warnings = [] if followed is None else [str(followed)]
        if self._sources.materialization.expired:
            warnings.append(explain_live(self._sources.materialization))
        if data.somata is None:
            warnings.append(_NO_SOMA)
        warnings += [warning for table in data.tables for warning in table.warnings]
        autapses = count_autapses(frame)
        if autapses and len(self._settings.directions) > 1:
            warnings.append(explain_autapses(autapses))
        return frame, warnings

    def _filter(self, frame: pd.DataFrame) -> pd.DataFrame:
        from synglancer.predictions import filter_predictions  # noqa: PLC0415

        settings = self._settings
        return filter_predictions(
            frame,
            tags=settings.tag,
            min_confidence=0.0 if settings.soft_filter else settings.min_confidence,
            min_size=settings.min_size,
        )

    def _build_record(
        self,
        cell: int,
        frame: pd.DataFrame,
        shown: pd.DataFrame,
        data: CellData,
        followed: Followed | None,
    ) -> dict[str, Any]:
        """Build the provenance record, which travels in the state."""
        from synglancer.predictions import count_autapses, count_predictions  # noqa: PLC0415
        from synglancer.staging import describe_stage  # noqa: PLC0415

        version = self._sources.materialization
        return {
            "cell": str(cell),
            "datastack": self._sources.datastack.name,
            "server": self._sources.server,
            "version": version.version,
            "timestamp": version.timestamp.astimezone(timezone.utc).isoformat(
                timespec="microseconds"
            ),
            "table": self._sources.table.name,
            "counts": count_predictions(shown, self._settings.directions),
            "shown": len(shown),
            "total": len(frame),
            "autapses": count_autapses(shown),
            **({"followed": followed.to_record()} if followed else {}),
            **({"live": True} if version.expired else {}),
            **({"all_synapses": data.all_synapses} if data.all_synapses is not None else {}),
            "filters": _build_filters(self._settings),
            "generator": f"synglancer {__version__}",
            **({"with_unlabelled": True} if self._settings.with_unlabelled else {}),
            **describe_stage(self._settings, cell, shown),
        }

    def _build_state(
        self, cell: int, shown: pd.DataFrame, somata: Any, record: dict[str, Any]
    ) -> State:
        from synglancer.annotations import build_annotations  # noqa: PLC0415
        from synglancer.predictions import POSITION_COLUMNS  # noqa: PLC0415
        from synglancer.staging import stage_view  # noqa: PLC0415
        from synglancer.view import Scene, build_state  # noqa: PLC0415

        scene = Scene(
            cell=cell,
            datastack=self._sources.datastack,
            materialization=self._sources.materialization,
            table=self._sources.table.name,
            groups=build_annotations(shown),
            positions=shown[POSITION_COLUMNS].to_numpy(dtype=float),
            # Merged cells have several somata: none of them is *the* position.
            soma=somata[0] if somata and len(somata) == 1 else None,
            record=record,
        )
        return build_state(scene, stage_view(self._settings, cell, shown))

    def _upload(self, state: State) -> str:
        """Upload a state and read it back: a link is given only for what the server confirms."""
        state_url = self._sources.upload_state(state.json)
        stored = self._sources.fetch_state(state_url)
        if hash_state(stored) != state.sha256:
            raise ServiceError(
                "The state server gave back another state than it was sent.",
                "Try again; if it stays so, use --inline and tell the server's administrators.",
            )
        return state_url

    def _build_link(
        self,
        cell: int,
        given: str,
        state: State,
        state_url: str | None,
        record: Mapping[str, Any],
        warnings: Sequence[str],
        started: float,
    ) -> Link:
        site = resolve_site(self._settings.site, self._sources.datastack.viewer_site)
        if state_url is None:
            url = format_inline_link(site, state.json)
        else:
            url = format_link(site, state_url)
        warnings = list(warnings)
        if not record["shown"]:
            warnings.append(explain_emptiness(record["total"]))
        warnings += explain_hidden(record)
        return Link(
            cell=cell,
            given=given,
            url=url,
            state_url=state_url,
            state_id=state_url.rsplit("/", 1)[-1] if state_url else None,
            state_sha256=state.sha256,
            datastack=self._sources.datastack.name,
            version=self._sources.materialization.version,
            timestamp=self._sources.materialization.timestamp,
            table=self._sources.table.name,
            counts_by_tag=record["counts"],
            shown=record["shown"],
            total=record["total"],
            filters=record["filters"],
            warnings=warnings,
            elapsed_s=time.monotonic() - started,
            state_json=state.json,
            all_synapses=record.get("all_synapses"),
            followed=record.get("followed"),
            live=record.get("live", False),
        )


def _build_filters(settings: Settings) -> dict[str, Any]:
    """Return the filters that are in force, by option name."""
    filters: dict[str, Any] = {}
    if settings.tag:
        filters["tag"] = sorted(set(settings.tag))
    if settings.min_confidence > 0:
        filters["min_confidence"] = settings.min_confidence
        if settings.soft_filter:
            filters["soft_filter"] = True
    if settings.min_size > 0:
        filters["min_size"] = settings.min_size
    return filters


def _given_options(settings: Settings) -> dict[str, Any]:
    """Return what decides what a link shows and is not the default, by option name."""
    untold = {"token_file", "timeout", "no_cache"}
    default = Settings()
    return {
        field.name: given
        for field in fields(settings)
        if field.name not in untold
        and (given := getattr(settings, field.name)) != getattr(default, field.name)
    }
