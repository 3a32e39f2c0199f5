"""Build the state of a comparison: two meshes, and a layer for each kind of change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synglancer.columns import POSITION_COLUMNS
from synglancer.synapses.changes import GAINED, KEPT, LOST, RETAGGED
from synglancer.view.annotations import CONFIDENCE, SIZE
from synglancer.view.layer_sources import build_local_layer
from synglancer.view.shaders import Marker, build_marker_shader, choose_diameter
from synglancer.view.state import SEGMENTATION, State, build_state, format_timestamp
from synglancer.view.tag_order import sort_tags

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import pandas as pd

    from synglancer.view.scene import Scene

COMPARISON = "synglancer_comparison"
"""The key of the record in a state of a comparison."""

COLORS = {GAINED: "#35c46a", LOST: "#ff4b3e", RETAGGED: "#a05cff", KEPT: "#8c8c8c"}
"""Colour of each change."""

_SINGULAR = {"inputs": "input", "outputs": "output"}
_LARGER = {KEPT: 0.0, GAINED: 1.0, LOST: 1.5, RETAGGED: 1.0}  # in pixels; rings need to be larger
_WITHIN = "#202020"  # the middle of a ring, dark so that the ring stands out
_FAINT = {"objectAlpha": 0.25, "selectedAlpha": 0, "pick": False}


@dataclass(frozen=True)
class Former:
    """The cell as it was.

    Attributes
    ----------
    cell
        Its root ID then.
    timestamp
        Of the version (UTC).
    """

    cell: int
    timestamp: datetime


def build_comparison(
    scene: Scene, former: Former, changes: pd.DataFrame, record: Mapping[str, Any], title: str
) -> State:
    """Build the state that shows the changes.

    Parameters
    ----------
    scene
        The cell as it is now, without annotations.
    former
        The cell as it was.
    changes
        As `synglancer.synapses.changes.find_changes` returns them; positions in nm.
    record
        The record in the state; JSON values, with 64-bit IDs as strings.
    title
        Title of the page.
    """
    frame = build_state(scene).to_dict()
    before = f"before: {former.timestamp:%Y-%m-%d}"
    now = f"now: {scene.materialization.timestamp:%Y-%m-%d}"
    layers = [
        _build_layer(name, change, rows, before if change == LOST else now)
        for name, change, rows in _divide(changes)
    ]
    lost = [layer["name"] for layer in layers if layer["linkedSegmentationLayer"]["pre"] == before]
    others = [layer["name"] for layer in layers if layer["name"] not in lost]
    base = [layer for layer in frame["layers"] if layer["name"] != SEGMENTATION]
    mesh = next(layer for layer in frame["layers"] if layer["name"] == SEGMENTATION)
    colour = mesh["segmentColors"][str(scene.cells[0])]
    old = {
        **mesh,
        **_FAINT,
        "name": before,
        "segments": [str(former.cell)],
        "segmentColors": {str(former.cell): colour},
        "timestamp": format_timestamp(former.timestamp),
        **({"timestampOwner": lost} if lost else {}),
    }
    new = {**mesh, "name": now, **({"timestampOwner": others} if others else {})}
    frame |= {
        "layers": [*base, old, new, *layers],
        "selectedLayer": {"layer": layers[0]["name"] if layers else now, "visible": False},
        "title": title,
        COMPARISON: dict(record),
    }
    frame.pop("synglancer", None)
    return State.of(frame)


def _divide(changes: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield name, change and rows of each layer that has rows."""
    for change in (GAINED, LOST):
        rows = changes[changes["change"] == change]
        for tag in sort_tags(set(rows["tag"])):
            yield f"{change}: {tag}", change, rows[rows["tag"] == tag]
    for change in (RETAGGED, KEPT):
        rows = changes[changes["change"] == change]
        if len(rows):
            yield change, change, rows


def _build_layer(name: str, change: str, rows: pd.DataFrame, mesh: str) -> dict[str, Any]:
    labelled = bool(rows["confidence"].notna().all())
    marker = Marker(
        ring=_WITHIN if change == LOST else None,
        inverted=change == LOST,
        labelled=labelled,
        typical_size=max(1.0, float(rows["size"].median())),
        diameter=min(8.0, choose_diameter(len(rows)) + _LARGER[change]),
        pure=True,
    )
    properties = (CONFIDENCE, SIZE) if labelled else (SIZE,)
    return build_local_layer(
        ("pre", "post"),
        mesh,
        name=name,
        annotationColor=COLORS[change],
        annotationProperties=[one.describe() for one in properties],
        annotations=_build_notes(rows, labelled=labelled),
        shader=build_marker_shader(marker),
        tab="rendering",
        **({"visible": False} if change == KEPT else {}),
    )


def _build_notes(rows: pd.DataFrame, *, labelled: bool) -> list[dict[str, Any]]:
    """Build annotations, one for each synapse: a synapse of a cell onto itself has two rows."""
    sides: dict[int, list[str]] = {}
    for number, direction in zip(rows["id"], rows["direction"], strict=True):
        sides.setdefault(number, []).append(_SINGULAR.get(direction, direction))
    notes = []
    for row in rows.drop_duplicates("id").itertuples(index=False):
        size = round(float(row.size))
        sure = [float(str(row.confidence))] if labelled else []
        notes.append(
            {
                "type": "point",
                "id": str(row.id),
                "point": [int(getattr(row, name)) for name in POSITION_COLUMNS],
                "props": [*sure, size],
                "segments": [[str(row.pre_pt_root_id)], [str(row.post_pt_root_id)]],
                "description": f"{' and '.join(sides[row.id])} · {_describe(row)}",
            }
        )
    return notes


def _describe(row: Any) -> str:
    """Describe the current and former tag of a synapse, with their confidences."""
    now = _join(row.tag, row.confidence)
    then = _join(row.former_tag, row.former_confidence)
    if row.change == RETAGGED:
        return f"{row.former_tag} → {row.tag} ({then} → {now})"
    return f"{then} → {now}" if row.change == KEPT and then != now else now


def _join(tag: str, confidence: float) -> str:
    return tag if confidence != confidence else f"{tag} {confidence:.2f}"  # noqa: PLR0124  NaN
