"""Build the canonical Neuroglancer state of a scene.

The layers and the state are built with nglui's and neuroglancer's own types, without annotations;
the annotations' bytes are then placed in them as they are. This is the only module that imports
nglui and neuroglancer, and imports them inside functions, because they are slow to import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cave.lazy_imports import NGLUI, import_lightly
from synglancer.columns import PARTNER_TYPE
from synglancer.settings import BETWEEN, MULTI_INPUT
from synglancer.states.fields import MAX_EXACT
from synglancer.states.layer_names import format_layer_name
from synglancer.states.record import RECORD
from synglancer.states.record_copy import add_copy
from synglancer.states.urls import format_properties_source
from synglancer.view.camera import CameraView, frame_cell
from synglancer.view.colors import BACKGROUNDS, PALETTES, choose_colors
from synglancer.view.layer_sources import KEEP_SELECTION, format_sources
from synglancer.view.scene import ViewOptions, count_by_direction, format_title
from synglancer.view.shaders import (
    MIN_CONFIDENCE,
    Marker,
    build_marker_shader,
    choose_diameter,
    list_sliders,
)
from synglancer.view.tool_palette import build_palette
from synglancer.view.type_colors import choose_type_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.cave.records import Datastack
    from synglancer.view.annotations import AnnotationGroup, AnnotationProperty
    from synglancer.view.scene import Scene

SEGMENTATION = "segmentation"
_IMAGERY = "imagery"
_RARE_EXTRA = 1.5  # extra pixels for synapses that were given by their IDs
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class State:
    """A Neuroglancer state.

    Attributes
    ----------
    json
        Its canonical JSON: keys sorted, no white space.
    sha256
        SHA-256 of the JSON, in hexadecimal.
    """

    json: bytes
    sha256: str

    @classmethod
    def of(cls, frame: Mapping[str, Any]) -> State:
        """Write a state as canonical JSON."""
        json = orjson.dumps(frame, option=orjson.OPT_SORT_KEYS)
        return cls(json, hashlib.sha256(json).hexdigest())

    def to_dict(self) -> dict[str, Any]:
        """Read the JSON."""
        return orjson.loads(self.json)


def build_state(scene: Scene, options: ViewOptions | None = None) -> State:
    """Build the state that shows a scene.

    Parameters
    ----------
    scene
        What to show.
    options
        The options of the view; by default as in `ViewOptions`.

    Raises
    ------
    ValueError
        If an integer in the state is beyond 2^53 - 1, because viewers would round it.
    """
    frame = build_frame(scene, options)
    layers = {layer["name"]: layer for layer in frame["layers"]}
    for group in scene.groups:
        layers[_name_layer(group)]["annotations"] = orjson.Fragment(group.json)
    return finish_state(frame)


def build_frame(scene: Scene, options: ViewOptions | None = None) -> dict[str, Any]:
    """Build the state that shows a scene, without its annotations, as JSON values.

    Parameters, errors: as for `build_state`.
    """
    frame: dict[str, Any] = make_plain(_build_frame(scene, options or ViewOptions()))
    frame["layers"] += scene.further
    return frame


def finish_state(frame: dict[str, Any]) -> State:
    """Add the copy of the record, and write the state as canonical JSON."""
    add_copy(frame["layers"], frame[RECORD])
    return State.of(frame)


def format_timestamp(timestamp: datetime) -> int:
    """Return whole milliseconds since the epoch, without converting to floats.

    Examples
    --------
    >>> format_timestamp(datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc))
    1772871001190
    """
    return (timestamp - _EPOCH) // timedelta(milliseconds=1)


def make_plain(value: object, path: str = "") -> Any:
    """Copy JSON-like values, with numpy scalars converted to Python's.

    Raises
    ------
    ValueError
        If an integer that is not text would be rounded by viewers.
    """
    if isinstance(value, Mapping):
        return {key: make_plain(item, f"{path}/{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [make_plain(item, f"{path}/{i}") for i, item in enumerate(value)]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, int) and abs(value) > MAX_EXACT:
        raise ValueError(f"{value} at {path} is beyond 2^53 - 1 and would be rounded")
    return value


def load_libraries() -> None:
    """Import nglui before `build_state` needs it, while waiting for a server."""
    import_lightly(NGLUI)


@dataclass(frozen=True)
class _LayerOutline:
    """A layer of synapses without its shader and annotations."""

    name: str
    colour: str
    properties: tuple[AnnotationProperty, ...]
    labelled: bool


_SHARED_OPTIONS = (
    "layout", "background", "figure", "min_confidence", "show_panel", "filter_by_selection",
)  # fmt: skip


def _build_frame(scene: Scene, options: ViewOptions) -> dict[str, Any]:
    """Build the state without annotations, as plain JSON values."""
    background = BACKGROUNDS["white" if options.figure else options.background]
    colours = choose_colors([group.tag for group in scene.groups], PALETTES[options.palette])
    markers = _choose_markers(scene, options, background.ring)
    outlines = tuple(
        _LayerOutline(_name_layer(group), colours[group.tag], group.properties, marker.labelled)
        for group, marker in zip(scene.groups, markers, strict=True)
    )
    shared = tuple(getattr(options, name) for name in _SHARED_OPTIONS)
    frame = orjson.loads(_build_outline(scene.datastack, shared, outlines))
    camera = _choose_camera(scene, options)
    if camera.position:
        frame["position"] = list(camera.position)
    frame["crossSectionScale"] = camera.cross_section_scale
    frame["projectionScale"] = camera.projection_scale
    frame["title"] = format_title(scene)
    frame[RECORD] = dict(scene.record)
    layers = {layer["name"]: layer for layer in frame["layers"]}
    layers[SEGMENTATION] |= _select_segments(scene, options, background.cell)
    for outline, marker in zip(outlines, markers, strict=True):
        layers[outline.name]["shader"] = build_marker_shader(marker)
    if scene.groups:
        sliders = {
            outline.name: list_sliders(marker)
            for outline, marker in zip(outlines, markers, strict=True)
        }
        shown = options.show_panel and not options.figure
        frame["toolPalettes"] = build_palette(sliders, shown=shown)
    return frame


@lru_cache(maxsize=16)
def _build_outline(
    datastack: Datastack, shared: tuple[Any, ...], layers: tuple[_LayerOutline, ...]
) -> bytes:
    """Build the common part of the states of many cells once, because nglui takes 10 ms for it.

    `_build_frame` sets the keys that differ from cell to cell.
    """
    load_libraries()
    from nglui.statebuilder import ImageLayer, ViewerState

    options = ViewOptions(**dict(zip(_SHARED_OPTIONS, shared, strict=True)))
    background = BACKGROUNDS["white" if options.figure else options.background]
    first = layers[0].name if layers else None
    viewer = ViewerState(
        # Without a named site and capabilities, nglui would query the site for its capabilities.
        capabilities="legacy",
        infer_coordinates=False,
        dimensions=list(datastack.viewer_resolution),
        layout=options.layout,
        show_axis_lines=False,  # they would be the most saturated colours in the picture
        show_default_annotations=False,
        projection_background_color=background.projection,
        cross_section_background_color=background.cross_section,
        selected_layer=first or SEGMENTATION,
        selected_layer_visible=options.show_panel and not options.figure,
        layers=[
            ImageLayer(name=_IMAGERY, source=datastack.image_source),
            _build_segmentation(datastack, first or _IMAGERY),
            *(_build_synapses(layer, options) for layer in layers),
        ],
    )
    frame: dict[str, Any] = make_plain(viewer.to_dict())
    if options.figure:
        # Orthographic: the scale bar holds for the whole picture.
        frame["layout"] = {"type": "3d", "orthographicProjection": True}
    return orjson.dumps(frame)


def _name_layer(group: AnnotationGroup) -> str:
    return format_layer_name(group.direction, group.tag)


def _choose_camera(scene: Scene, options: ViewOptions) -> CameraView:
    # Without sections, the view need not be centred on the soma, and shows more if it is not.
    only_3d = options.figure or options.layout == "3d"
    return frame_cell(
        scene.positions,
        scene.somata,
        scene.datastack.viewer_resolution,
        focus=scene.focus,
        centred=only_3d,
        aspect=1.5 if only_3d else 0.9,
    )


def _choose_markers(scene: Scene, options: ViewOptions, ring: str) -> list[Marker]:
    """Choose each group's markers: discs for inputs, rings for outputs, targets between cells."""
    groups = scene.groups
    typical = _choose_typical_size(groups)
    counts = count_by_direction(groups)
    panel = 0.5 if options.layout == "4panel" and not options.figure else 1.0
    # With several cells, readers must see which is which.
    room = {BETWEEN: 2.0 * panel} if len(scene.cells) > 1 else {}
    panel = 0.4 * panel if len(scene.cells) > 1 else panel
    return [
        Marker(
            ring=None if group.direction == "inputs" else ring,
            labelled=any(prop.id == "confidence" for prop in group.properties),
            typical_size=typical,
            by_confidence=options.color_by == "confidence",
            types=_choose_types(group, options),
            diameter=choose_diameter(counts[group.direction], room.get(group.direction, panel))
            + (_RARE_EXTRA if group.tag == MULTI_INPUT else 0.0),
            inverted=group.direction == BETWEEN,
            pure=options.figure,
            sized=any(prop.id == "size" for prop in group.properties),
        )
        for group in groups
    ]


def _choose_types(group: AnnotationGroup, options: ViewOptions) -> tuple[tuple[str, str], ...]:
    """List name and colour of each numbered type; empty if the view is not coloured by type."""
    if not options.type_colors:
        return ()
    labels = next(prop.labels for prop in group.properties if prop.id == PARTNER_TYPE)
    return tuple((label, choose_type_color(label)) for label in labels)


def _choose_typical_size(groups: Sequence[AnnotationGroup]) -> float:
    """Choose the size of the middle marker: the groups' weighted median size, two digits."""
    count = sum(group.count for group in groups)
    if not count:
        return 1.0
    mean = sum(group.median_size * group.count for group in groups) / count
    return max(1.0, float(f"{mean:.2g}"))


def _build_segmentation(datastack: Datastack, owner: str) -> Any:
    from nglui.statebuilder import SegmentationLayer

    return SegmentationLayer(
        name=SEGMENTATION,
        source=[datastack.segmentation_source],
        selected_alpha=0.35,
        not_selected_alpha=0.0,
        alpha_3d=0.6,
        extra={
            # One click on Spelunker's clock would remove the pin, unless another layer owns it.
            "timestampOwner": [owner],
            **KEEP_SELECTION,
        },
    )


def _select_segments(scene: Scene, options: ViewOptions, colour: str) -> dict[str, Any]:
    """Set the cells and the timestamp of the segmentation."""
    datastack = scene.datastack
    sources = [datastack.segmentation_source]
    if datastack.skeleton_source:
        sources.append(datastack.skeleton_source)
    urls = format_sources(sources, datastack.server)
    if scene.properties_url:
        # First in the list, because viewers show the tags that come first if a segmentation has its
        # own.
        urls.insert(0, format_properties_source(scene.properties_url))
    own = {cell: options.cells.get(cell, colour) for cell in scene.cells}
    selected = {**own, **options.partners}
    return {
        # nglui assumes a login for any graphene source, even on plain http.
        "source": [{"url": url} for url in urls],
        # All IDs are strings, because viewers read JSON numbers as doubles.
        "segments": [str(int(segment)) for segment in selected],
        "segmentColors": {str(int(segment)): value for segment, value in selected.items()},
        "timestamp": format_timestamp(scene.materialization.timestamp),
    }


def _build_synapses(layer: _LayerOutline, options: ViewOptions) -> Any:
    from nglui.statebuilder import AnnotationLayer

    relationships = ["pre", "post"]
    return AnnotationLayer(
        name=layer.name,
        resolution=[1, 1, 1],  # nm, like the annotations' points
        color=layer.colour,
        linked_segmentation=dict.fromkeys(relationships, SEGMENTATION),
        filter_by_segmentation=relationships if options.filter_by_selection else None,
        shader_controls=(
            {MIN_CONFIDENCE: options.min_confidence}
            if layer.labelled and options.min_confidence
            else None
        ),
        set_position=False,
        extra={
            "annotationProperties": [prop.describe() for prop in layer.properties],
            "annotationRelationships": relationships,
            # Without a selection, the viewer would draw all of them.
            **({"ignoreNullSegmentFilter": False} if options.filter_by_selection else {}),
            # The side panel opens with the sliders, not with the code or the source.
            "tab": "rendering",
            "codeVisible": False,
            **KEEP_SELECTION,  # nglui's default is the opposite
        },
    )
