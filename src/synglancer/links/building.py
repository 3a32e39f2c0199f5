"""Build a link from loaded data: record, state, upload and warnings."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from synglancer.links.link_record import LinkRecord
from synglancer.links.record import build_record
from synglancer.links.review import build_review_state, prepare_review
from synglancer.links.upload import place_state, upload_properties
from synglancer.links.warnings import (
    explain_context,
    explain_emptiness,
    explain_hidden,
    explain_size,
)
from synglancer.view.scene import NO_POINTS, Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.cave.session import Session
    from synglancer.cells.point_files import PointFile
    from synglancer.links.loaded import Loaded
    from synglancer.settings import Settings
    from synglancer.states.record import Provenance
    from synglancer.view.scene import OwnPoints
    from synglancer.view.state import State

BUILDING = Lock()
"""Held while a state is built, because threads gain nothing here and libraries load lazily."""


@dataclass(frozen=True)
class Asking:
    """The request for a link.

    Attributes
    ----------
    settings
        The options.
    session
        The session.
    given
        The cell as it was typed.
    started
        Start time, on the monotonic clock.
    points
        The user's own points, to be shown as well.
    """

    settings: Settings
    session: Session
    given: str
    started: float = field(default_factory=time.monotonic)
    points: Sequence[PointFile] = ()


def build_link(
    asking: Asking, loaded: Loaded, meanwhile: Callable[[], object] | None = None
) -> LinkRecord:
    """Build the state for loaded data, store it, and return its link.

    `meanwhile` is called while the upload waits for its answer.

    Raises
    ------
    SynglancerError
        One of its subclasses, when the state cannot be stored. There is no link then.
    """
    from synglancer.view.points import list_groups, place_points

    settings, session = asking.settings, asking.session
    if settings.review:
        loaded = prepare_review(settings, session, loaded)
    points = place_points(
        asking.points, session.datastack.viewer_resolution, list_groups(loaded.shown)
    )
    record = replace(build_record(settings, session, loaded), annotations=points.sources)
    properties = _upload_properties(settings, session, loaded)
    with BUILDING:
        state = build_cell_state(settings, session, loaded, record, properties, points)
    told = [*loaded.warnings, *points.warnings]
    return store_link(asking, state, record, told, meanwhile)


def store_link(
    asking: Asking,
    state: State,
    record: Provenance,
    warnings: Sequence[str],
    meanwhile: Callable[[], object] | None = None,
) -> LinkRecord:
    """Store a state of cells or synapses, and return its link with these and further warnings.

    `meanwhile` is called while the upload waits for its answer.

    Raises
    ------
    SynglancerError
        One of its subclasses, when the state cannot be stored. There is no link then.
    """
    settings, session = asking.settings, asking.session
    with ThreadPoolExecutor(max_workers=1) as pool:
        if meanwhile is not None:
            pool.submit(meanwhile)
        placed = place_state(session, settings, state)
    session.confirm_data()  # unless the upload's answer has done so
    told = [*warnings, *placed.warnings]
    if not record.shown:
        told.append(explain_emptiness(record.total, len(record.cells)))
    if record.source is None:  # viewers draw published sources quickly
        told += explain_size(record.shown, record.cells, settings)
    told += [*explain_hidden(record), *explain_context(record)]
    return LinkRecord(
        given=asking.given,
        url=placed.url,
        state_url=placed.state_url,
        state_id=placed.state_id,
        state_sha256=state.sha256,
        provenance=record,
        warnings=told,
        elapsed_s=time.monotonic() - asking.started,
        state_json=state.json,
    )


def _upload_properties(settings: Settings, session: Session, loaded: Loaded) -> str | None:
    """Upload the partners' segment properties; an inline link cannot hold them."""
    types = loaded.data.context.cell_types
    if types is None or settings.inline:
        return None
    from synglancer.synapses.predictions import name_directions
    from synglancer.view.segment_properties import build_segment_properties

    directions = name_directions(settings.directions, loaded.cells)
    content = build_segment_properties(loaded.shown, loaded.cells, types, directions)
    return upload_properties(session, content)


def build_cell_state(
    settings: Settings,
    session: Session,
    loaded: Loaded,
    record: Provenance,
    properties: str | None = None,
    points: OwnPoints = NO_POINTS,
) -> State:
    """Build the state of cells with their synapses, with a layer per direction and tag.

    `properties` is the address of the segments' properties. The layers of the user's own points
    follow the layers of synapses.
    """
    if settings.review:
        return build_review_state(settings, session, loaded, record, properties)
    from synglancer.columns import POSITION_COLUMNS
    from synglancer.view.annotations import build_annotations
    from synglancer.view.points import gather_positions
    from synglancer.view.staging import find_focus, stage_view
    from synglancer.view.state import build_state

    shown = loaded.shown
    scene = Scene(
        cells=loaded.cells,
        datastack=session.datastack,
        materialization=session.materialization,
        groups=build_annotations(shown),
        positions=gather_positions(shown[POSITION_COLUMNS].to_numpy(dtype=float), points),
        somata=[*loaded.somata.values()],
        record=record.to_json(),
        focus=find_focus(shown),
        properties_url=properties,
        further=points.layers,
    )
    return build_state(scene, stage_view(settings, loaded.cells, shown))
