"""Build the state of a review, in which a reviewer steps through synapses and marks each.

Reviewers mark synapses differently in each viewer: Spelunker has keys for tags, Google's viewer has
keys for the labels of one property, and in other viewers marks are typed. An unknown tool makes
some viewers drop the layer, so a state is made for only one of these kinds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from synglancer.columns import CELL_COLUMN, POSITION_COLUMNS
from synglancer.states.reviews.marks import REVIEW, RIGHT, UNMARKED, UNSURE, VERDICT, list_marks
from synglancer.states.reviews.rows import SIDES, format_rows
from synglancer.view.annotations import CONFIDENCE, SIZE, AnnotationProperty, choose_label_type
from synglancer.view.colors import PALETTES, PARTNER, choose_colors
from synglancer.view.layer_sources import build_local_layer, pick_annotation
from synglancer.view.shaders import format_rgb
from synglancer.view.state import SEGMENTATION, State, build_frame, finish_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from synglancer.states.reviews.marks import Mark
    from synglancer.states.reviews.rows import Listing
    from synglancer.view.scene import Scene, ViewOptions

Marking = Literal["tags", "labels", "text"]
"""How reviewers mark a synapse: with a key for each tag, with digits for the labels of one
property, or by typing.
"""

KEYS = "QWASDFGHJKLZXCVBNMERTYUIOP"
"""Keys of the marks in Spelunker, used with Shift, in order; further marks have no key."""

_COLOURS = {RIGHT: "#8fe388", UNSURE: "#c8c8c8"}
_SECTION_NM_PER_PIXEL = 7.0
_HEIGHT_NM = 20_000.0  # of the 3D view
_MOST_DRAWN = 10  # marks with a property each: WebGL has 16 inputs for a shader, and some are taken
_MOST_SHOWN = 25  # partners whose meshes are loaded if stepping does not swap them


@dataclass(frozen=True)
class Review:
    """The synapses to review.

    Attributes
    ----------
    listing
        The synapses, in the order of the review.
    table : DataFrame, shape (n,)
        The same synapses in the same order: ``size`` (voxels), ``pre_pt_root_id``,
        ``post_pt_root_id``, ``direction`` and ``ctr_pt_position_x/y/z`` (nm).
    marking
        How reviewers mark a synapse.
    """

    listing: Listing
    table: pd.DataFrame
    marking: Marking

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks that can be made."""
        return list_marks(self.listing.tags)


def build_review(scene: Scene, options: ViewOptions, review: Review) -> State:
    """Build the state of a review; the scene holds the cells, without annotations."""
    frame = build_frame(scene, options)
    layers = frame["layers"]
    place = next(i for i, one in enumerate(layers) if one["name"] == SEGMENTATION)
    mesh = {**layers[place], **_select(scene, review, layers[place])}
    layers[place : place + 1] = [mesh, _build_layer(options, review)]
    smallest = min(scene.datastack.viewer_resolution)
    frame |= {
        "selectedLayer": {"layer": REVIEW, "visible": True},
        "showAxisLines": True,
        "crossSectionScale": _SECTION_NM_PER_PIXEL / smallest,
        "projectionScale": _HEIGHT_NM / smallest,
        "title": _format_title(frame["title"], review),
    }
    if review.listing.rows:
        first = review.table.iloc[0]
        voxels = zip(POSITION_COLUMNS, scene.datastack.viewer_resolution, strict=True)
        frame |= {
            "position": [round(float(first[name]) / size, 2) for name, size in voxels],
            "selection": pick_annotation(REVIEW, str(review.listing.rows[0].id)),
        }
    return finish_state(frame)


def _format_title(title: str, review: Review) -> str:
    """Write the title: the cells, and how to type marks if they are typed."""
    place = title.rpartition(" · ")[0]
    told = f"{place} · {len(review.listing.rows):,} to review"
    if review.marking != "text":
        return told
    words = ", ".join(f"={mark.name.removeprefix('is_')}" for mark in review.marks)
    return f"{told} · type after a description: {words}"


def _select(scene: Scene, review: Review, mesh: Mapping[str, Any]) -> dict[str, Any]:
    """Select the cells, and the partners of the first synapse or synapses.

    Spelunker swaps partners at each step. In other viewers, the partners of further synapses are
    listed as hidden.
    """
    cells = [str(cell) for cell in scene.cells]
    partners = [one for one in _list_partners(review.table) if one not in cells]
    most = 1 if review.marking == "tags" else _MOST_SHOWN
    hidden = [] if review.marking == "tags" else [f"!{one}" for one in partners[most:]]
    colours = {**dict.fromkeys(partners, PARTNER), **mesh.get("segmentColors", {})}
    return {
        "segments": [*cells, *partners[:most], *hidden],
        "segmentColors": colours,
        "timestampOwner": [REVIEW],
    }


def _list_partners(table: pd.DataFrame) -> list[str]:
    """List the cells on the other sides of the synapses, each once, in order."""
    found: dict[str, None] = {}
    sides = zip(table["direction"], table["pre_pt_root_id"], table["post_pt_root_id"], strict=True)
    for direction, pre, post in sides:
        other = pre if CELL_COLUMN.get(direction) == "post_pt_root_id" else post
        found[str(other)] = None
    found.pop("0", None)
    return list(found)


def _build_layer(options: ViewOptions, review: Review) -> dict[str, Any]:
    properties = [*_describe_own(review.listing), *_describe_marks(review)]
    colours = choose_colors(list(review.listing.tags), PALETTES[options.palette])
    return build_local_layer(
        ("pre", "post"),
        SEGMENTATION,
        name=REVIEW,
        annotationColor="#ffffff",
        annotationProperties=properties,
        annotations=_build_notes(review, len(properties)),
        shader=format_rows(review.listing) + _build_shader(review, colours),
        swapVisbleSegmentsOnMove=review.marking == "tags",
        tab="annotations",
        **_bind(review),
    )


def _describe_own(listing: Listing) -> list[dict[str, Any]]:
    """Describe the properties that every review has, the predicted tag and the side as labels."""
    return [
        *(one.describe() for one in (CONFIDENCE, SIZE)),
        _describe_labels(
            "direction", "Whether the synapse is an input or an output of the cells", SIDES
        ),
        _describe_labels("predicted", "Tag that the classifier predicts", listing.tags),
    ]


def _describe_labels(name: str, description: str, labels: Iterable[str]) -> dict[str, Any]:
    listed = tuple(labels)
    kind = choose_label_type(len(listed))
    return AnnotationProperty(name, kind, description, listed).describe()


def _describe_marks(review: Review) -> list[dict[str, Any]]:
    """Describe the properties that hold the marks, in the form of the viewer."""
    if review.marking == "tags":
        return [{"id": one.name, "type": "uint8", "tag": one.label} for one in review.marks]
    if review.marking == "labels":
        labels = [UNMARKED, *(one.label for one in review.marks)]
        return [_describe_labels(VERDICT, "The reviewer's verdict", labels)]
    return []


def _build_notes(review: Review, properties: int) -> list[dict[str, Any]]:
    listing, sides = review.listing, list(SIDES)
    notes = []
    rows = zip(listing.rows, review.table.itertuples(index=False), strict=True)
    for place, (row, given) in enumerate(rows):
        size = round(float(str(given.size)))
        own = [row.confidence, size, sides.index(row.direction), listing.tags.index(row.tag)]
        notes.append(
            {
                "type": "point",
                "id": str(row.id),
                "point": [int(getattr(given, name)) for name in POSITION_COLUMNS],
                "props": [*own, *[0] * (properties - len(own))],
                "segments": [[str(given.pre_pt_root_id)], [str(given.post_pt_root_id)]],
                "description": listing.describe(place),
            }
        )
    return notes


def _bind(review: Review) -> dict[str, Any]:
    """Bind only keys for which the viewer has tools; an unknown tool would drop the layer."""
    if review.marking == "tags":
        keys = zip(KEYS, review.marks, strict=False)
        return {"toolBindings": {key: f"tagTool_{mark.name}" for key, mark in keys}}
    if review.marking == "labels":
        marks = {"type": "annotateEnumProperty", "property": VERDICT}
        steps = {"A": "selectPreviousAnnotation", "S": "selectNextAnnotation"}
        return {"toolBindings": {"V": marks, **steps}}
    return {}


def _build_shader(review: Review, colours: Mapping[str, str]) -> str:
    """Draw rings in the colour of the predicted tag, and discs in that of a mark."""
    marked = _write_marks(review, colours)
    boxes = ["#uicontrol bool hide_marked checkbox(default=false)"] if marked else []
    predicted = [
        f"  if (prop_predicted() == {number}u) color = {format_rgb(colours[tag])};"
        for number, tag in enumerate(review.listing.tags)
    ]
    lines = [
        "#uicontrol float marker_size slider(min=4, max=40, step=1, default=14)",
        *boxes,
        "void main() {",
        "  vec3 color = vec3(1.0);",
        *predicted,
        "  float filled = 0.0;",
        *marked,
        *(["  if (hide_marked && filled > 0.0) discard;"] if marked else []),
        "  setPointMarkerSize(marker_size);",
        "  setPointMarkerColor(vec4(color, filled));",
        "  setPointMarkerBorderWidth(2.5);",
        "  setPointMarkerBorderColor(vec4(color, 1.0));",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _write_marks(review: Review, colours: Mapping[str, str]) -> list[str]:
    """Write the code that draws marks; empty if no property holds marks."""
    if review.marking == "text":
        return []
    lines = []
    drawn = review.marks[:_MOST_DRAWN] if review.marking == "tags" else review.marks
    for place, mark in enumerate(drawn, start=1):
        colour = _COLOURS.get(mark.name) or colours[mark.tag]
        is_set = f"prop_{mark.name}() > 0u"
        if review.marking == "labels":
            is_set = f"prop_{VERDICT}() == {place}u"
        lines.append(f"  if ({is_set}) {{ color = {format_rgb(colour)}; filled = 1.0; }}")
    return lines
