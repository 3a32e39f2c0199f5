"""Make a link whose layers are on a published source, step by step.

CAVE is queried only if a cell is not given by its root ID, or has no rows in the source.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synglancer import __version__
from synglancer.cave.records import Materialization
from synglancer.cave.session import Session
from synglancer.cells.naming import enumerate_some
from synglancer.cells.parse import Synapse
from synglancer.cells.resolve import resolve_outdated
from synglancer.errors import CellError, ServiceError, UsageError
from synglancer.links.building import BUILDING, Asking, store_link
from synglancer.links.groups import read_root_ids
from synglancer.links.kinds.source_checks import (
    check_reach,
    list_shown_tags,
    open_asked_source,
    settle,
)
from synglancer.links.kinds.source_rows import CellRows
from synglancer.links.make import LinkMaker
from synglancer.links.record import build_filters
from synglancer.links.warnings import explain_autapses, explain_shared, explain_sliders
from synglancer.publish.reading.profile import find_profile, find_version
from synglancer.publish.source import RELATIONSHIP_OF
from synglancer.states.fields import read_timestamp
from synglancer.states.record import Provenance
from synglancer.states.record_parts import PublishedSource
from synglancer.states.urls import resolve_site
from synglancer.synapses.ahead import Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.cave.records import Datastack
    from synglancer.cells.resolve import Followed
    from synglancer.links.link_record import LinkRecord
    from synglancer.links.make import Cells
    from synglancer.publish.manifest import Manifest
    from synglancer.publish.source import Layer, Rows
    from synglancer.settings import Service, Settings
    from synglancer.view.scene import OwnPoints
    from synglancer.view.state import State

_ROW_BYTES = 200
"""Size of a row as CAVE sends it, in bytes; groups of cells are sized accordingly."""


class SourceMaker(LinkMaker):
    """Makes links on a published source for several cells with the same settings.

    Raises
    ------
    UsageError
        When the source does not support an option, or has another datastack, version or table.
    ServiceError
        When the source cannot be read.
    """

    def __init__(
        self,
        settings: Settings,
        command: Sequence[str] | None = None,
        token: str | None = None,
    ) -> None:
        self._source, self._address = open_asked_source(settings)
        self._manifest = self._source.manifest
        self._ahead: dict[int, Mapping[Layer, Rows]] = {}
        settings = settle(settings, self._manifest, self._address)
        super().__init__(settings, command, token)
        self._view = _ManifestSession(settings.service, self._manifest, self._session)
        self._tags = list_shown_tags(settings, self._manifest)
        unfiltered = list_shown_tags(replace(settings, tag=()), self._manifest)
        self._counted = {*self._tags, *unfiltered}  # those without a prediction only if asked for

    def _parse_cells(self, given: Sequence[int | str]) -> Cells:
        """Read the given cells; single synapses are refused, as sources cannot look them up."""
        typed = super()._parse_cells(given)
        if any(isinstance(cell, Synapse) for cell in typed):
            raise UsageError(
                "A single synapse was given, but links on a source show the synapses of cells.",
                "Give the cell, or make the link without --source.",
            )
        return typed

    def fetch_ahead(self, cells: Sequence[str]) -> Size:
        """Read the rows of a group of cells at once, for the links that are made next.

        Raises
        ------
        ServiceError
            When the source cannot be read, or is damaged.
        """
        found = self._source.read_cells(read_root_ids(cells))
        self._ahead.update(found)
        size = sum(rows.nbytes for own in found.values() for rows in own.values())
        return Size(rows=size // _ROW_BYTES)

    def forget(self, cell: str) -> None:
        """Forget the rows of a cell, because they have been used."""
        for root_id in read_root_ids([cell]):
            self._ahead.pop(root_id, None)

    def _question(self, cells: Cells) -> dict[str, Any]:
        told = {"source": self._address, "published": self._manifest.digest}
        return {**super()._question(cells), **told}

    def _save_link(self, cells: Cells, link: LinkRecord) -> None:
        if link.state_url is not None:  # an inline link is quickly made again
            super()._save_link(cells, link)

    def _make_anew(self, cells: list[int], given: str, started: float) -> LinkRecord:
        """Read the cells' rows from the source, and build the state on it."""
        site = resolve_site(self._settings.site, self._view.datastack.viewer_site)
        reach = check_reach(self._address, site)
        held, followed = self._read_cells(cells)
        partners = held.find_partners(int(self._settings.partners), self._source)
        points = self._place_points(held)
        record = self._build_record(held, followed, partners)
        record = replace(record, annotations=points.sources)
        with BUILDING:
            state = self._build_state(held, record, [root for root, _ in partners], points)
        asking = Asking(self._settings, self._view, given, started)
        warnings = [*self._explain(held, followed), *points.warnings, *reach]
        return store_link(asking, state, record, warnings)

    def _place_points(self, held: CellRows) -> OwnPoints:
        """Build the layers of the user's own points."""
        from synglancer.view.points import place_points

        groups = held.build_groups(self._manifest.properties)
        named = [(group.direction, group.tag) for group in groups]
        return place_points(self._points, self._view.datastack.viewer_resolution, named)

    def _read_cells(self, cells: Sequence[int]) -> tuple[CellRows, list[Followed]]:
        """Read the cells' rows; a cell without rows is followed, refused, or has no synapses."""
        rows = self._read_rows(cells)
        empty = [cell for cell, own in rows.items() if not any(map(len, own.values()))]
        followed = [found for found in map(self._follow, empty) if found is not None]
        rows |= self._read_rows([found.used for found in followed])
        used = {found.given: found.used for found in followed}
        kept = list(dict.fromkeys(used.get(cell, cell) for cell in cells))
        self._check_held(kept)
        shown = {
            cell: {layer: own for layer, own in rows[cell].items() if layer[1] in self._counted}
            for cell in kept
        }
        return CellRows(shown, self._settings.directions, self._tags), followed

    def _read_rows(self, cells: Sequence[int]) -> dict[int, Mapping[Layer, Rows]]:
        """Read the rows of cells, unless they were read ahead."""
        rows = {cell: self._ahead[cell] for cell in cells if cell in self._ahead}
        return rows | self._source.read_cells([cell for cell in cells if cell not in rows])

    def _check_held(self, cells: Sequence[int]) -> None:
        """Refuse cells that the source was not made for: it lacks most of their synapses."""
        held = self._manifest.cells
        for cell in cells:
            if held and cell not in held:
                raise CellError(
                    f"The source {self._address} holds only the synapses of "
                    f"{enumerate_some([str(one) for one in held], 3)}, not those of {cell}.",
                    "Give one of its cells, or another --source.",
                )

    def _follow(self, cell: int) -> Followed | None:
        try:
            return resolve_outdated(self._root_ids, cell, strict=self._settings.strict)
        except ServiceError as error:
            raise CellError(
                f"{cell} has no synapses in the source {self._address}, and CAVE could not be "
                f"asked whether it is the root ID of a cell: {error}",
                f"Check the root ID; or {error.hint[:1].lower()}{error.hint[1:]}",
            ) from error

    def _build_record(
        self, held: CellRows, followed: Sequence[Followed], partners: Sequence[tuple[int, int]]
    ) -> Provenance:
        settings, view = self._settings, self._view
        return Provenance(
            cell=held.cells[0],
            cells=tuple(held.cells),
            datastack=self._manifest.datastack,
            server=self._session.server,
            version=self._manifest.version,
            timestamp=view.materialization.timestamp,
            table=self._manifest.table or "",
            counts=held.count(),
            shown=held.shown,
            total=held.total,
            autapses=len(held.autapses),
            followed=tuple(one.to_replacement() for one in followed),
            filters=build_filters(settings),
            generator=f"synglancer {__version__}",
            notice=self._manifest.notice,
            with_unlabelled=settings.with_unlabelled,
            view=settings.describe_view(),
            hidden=held.count_below(settings.min_confidence) if settings.soft_filter else None,
            partners=tuple(partners) if settings.partners else None,
            source=PublishedSource(self._address, self._manifest.digest),
        )

    def _build_state(
        self, held: CellRows, record: Provenance, partners: Sequence[int], points: OwnPoints
    ) -> State:
        from synglancer.view.kinds.source import build_source_state
        from synglancer.view.points import gather_positions
        from synglancer.view.scene import Scene
        from synglancer.view.staging import choose_options

        scene = Scene(
            cells=held.cells,
            datastack=self._view.datastack,
            materialization=self._view.materialization,
            groups=held.build_groups(self._manifest.properties),
            positions=gather_positions(held.positions, points),
            record=record.to_json(),
            focus=held.find_focus(),
            further=points.layers,
        )
        addresses = {one.tag: f"{self._address}/{one.folder}" for one in self._manifest.tags}
        options = choose_options(self._settings, held.cells, partners)
        return build_source_state(scene, options, addresses, RELATIONSHIP_OF)

    def _explain(self, held: CellRows, followed: Sequence[Followed]) -> list[str]:
        warnings = [str(found) for found in followed]
        autapses, shared = len(held.autapses), len(held.shared)
        both = len(self._settings.directions) > 1
        if autapses and both:
            warnings.append(explain_autapses(autapses, len(held.cells)))
        if shared and both:
            warnings.append(explain_shared(shared))
        if self._settings.min_confidence > 0:
            warnings.append(explain_sliders())
        return warnings


class _ManifestSession(Session):
    """A session that reads from a manifest what links need, and requests only missing data.

    Parameters
    ----------
    service
        As for `Session`.
    manifest
        The manifest. A server named in it never gets a request or a token.
    cave
        The session with CAVE, for data that the manifest lacks.
    """

    def __init__(self, service: Service, manifest: Manifest, cave: Session) -> None:
        super().__init__(service, version=manifest.version)
        self._manifest = manifest
        self._cave = cave

    @property
    def datastack(self) -> Datastack:
        """The datastack's record."""
        name = self._manifest.datastack
        return self._manifest.record or find_profile(self._cave, name) or self._cave.datastack

    @property
    def materialization(self) -> Materialization:
        """The version's record."""
        told, version = self._manifest.timestamp, self._manifest.version
        if told is None:
            known = find_version(self._cave, self._manifest.datastack, version)
            return known or self._cave.materialization
        return Materialization(version, read_timestamp(told), None)

    def upload_state(self, state: bytes) -> str:
        """Upload a state (1 request) and return its address."""
        return self._cave.upload_state(state)

    def fetch_state(self, state_url: str) -> bytes:
        """Fetch a state (1 request)."""
        return self._cave.fetch_state(state_url)

    def confirm_data(self) -> None:
        """Do nothing, because the manifest's digest identifies the data."""
