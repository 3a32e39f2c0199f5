"""Build the state of one synapse or a few, with both cells and the first synapse selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.settings import SYNAPSE
from synglancer.states.layer_names import format_layer_name, split_layer_name
from synglancer.states.record_copy import add_copy
from synglancer.view.colors import BACKGROUNDS, PARTNER, choose_cell_colors
from synglancer.view.layer_sources import pick_annotation
from synglancer.view.shaders import MARKER_SIZE
from synglancer.view.state import SEGMENTATION, State, build_state
from synglancer.view.tool_palette import build_palette

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.states.record_parts import NamedSynapse
    from synglancer.view.scene import Scene, ViewOptions

_SECTION_NM_PER_PIXEL = 6.0
_SMALLEST_HEIGHT_NM = 16_000.0  # of the 3D view: both branches and their surroundings
_DIAMETER = 14  # of a ring, in pixels: the synapse is seen through it
_OTHER_DIAMETER = 9  # of other synapses on the same spine
_BORDER = 2.5
_OTHER_BORDER = 1.5
_COLOURED = 2  # cells with the two colours


def choose_end_colors(cells: Sequence[int], background: str) -> dict[int, str]:
    """Choose the colours of the cells of a link of synapses.

    Parameters
    ----------
    cells
        Root IDs: the main cell, then its partners.
    background
        ``dark`` or ``white``.
    """
    own, partners = cells[:1], cells[1:]
    colours = [PARTNER] if len(cells) <= _COLOURED else choose_cell_colors(len(partners))
    return {
        **dict.fromkeys(own, BACKGROUNDS[background].cell),
        **dict(zip(partners, colours, strict=False)),
    }


def build_synapse_state(
    scene: Scene, options: ViewOptions, synapses: Sequence[NamedSynapse]
) -> State:
    """Build the state that shows the requested synapses, with the first one selected.

    The scene holds the cells, with the synapses as groups; its focus is the first one's position.
    """
    frame = build_state(scene, options).to_dict()
    picked = synapses[0]
    notes = {str(one.id): one for one in synapses}
    names = {format_layer_name(group.direction, group.tag) for group in scene.groups}
    rings = [layer for layer in frame["layers"] if layer["name"] in names]
    for layer in rings:
        _draw_rings(layer)
        for note in layer["annotations"]:
            if told := notes.get(note["id"]):
                note["description"] = _describe(told)
    add_copy(rings, dict(scene.record))
    mesh = next(layer for layer in frame["layers"] if layer["name"] == SEGMENTATION)
    mesh |= {"selectedAlpha": 0.3, "objectAlpha": 0.6}
    voxel = float(min(scene.datastack.viewer_resolution))
    frame["crossSectionScale"] = _SECTION_NM_PER_PIXEL / voxel
    frame["projectionScale"] = _choose_height(scene) / voxel
    frame["title"] = _format_title(scene, synapses)
    open_panel = options.show_panel and not options.figure
    palette = {layer["name"]: (MARKER_SIZE,) for layer in rings}
    frame["toolPalettes"] = build_palette(palette, shown=open_panel)
    if not options.figure:
        name = next(one["name"] for one in rings if _holds(one, str(picked.id)))
        frame["selectedLayer"] = {"layer": name, "visible": open_panel}
        frame["selection"] = pick_annotation(name, str(picked.id))
    return State.of(frame)


def _holds(layer: Mapping[str, Any], synapse: str) -> bool:
    return any(note["id"] == synapse for note in layer["annotations"])


def _draw_rings(layer: dict[str, Any]) -> None:
    """Draw a layer's synapses as rings, so that the synapse itself stays visible."""
    direction, _ = split_layer_name(layer["name"])
    diameter = _DIAMETER if direction == SYNAPSE else _OTHER_DIAMETER
    border = _BORDER if direction == SYNAPSE else _OTHER_BORDER
    layer["shader"] = (
        f"#uicontrol float {MARKER_SIZE} slider(min=4, max=40, step=1, default={diameter})\n"
        "void main() {\n"
        f"  setPointMarkerSize({MARKER_SIZE});\n"
        "  setPointMarkerColor(vec4(0.0, 0.0, 0.0, 0.0));\n"
        f"  setPointMarkerBorderWidth({border:.1f});\n"
        "  setPointMarkerBorderColor(vec4(defaultColor(), 1.0));\n"
        "}\n"
    )


def _describe(synapse: NamedSynapse) -> str:
    """Describe what the viewer's panel has no field for: tag, types, and synapses on the spine."""
    sure = "" if synapse.confidence is None else f" {synapse.confidence:.2f}"
    types = f" · {synapse.pre_type or '?'} → {synapse.post_type or '?'}"
    others = f" · with {', '.join(map(str, synapse.same_spine))} on its spine"
    return (
        f"{synapse.tag}{sure}"
        + types * bool(synapse.pre_type or synapse.post_type)
        + others * bool(synapse.same_spine)
    )


def _choose_height(scene: Scene) -> float:
    """Choose the height of the 3D view in nm, so that all synapses fit with room around them."""
    points = np.asarray(scene.positions, dtype=float).reshape(-1, 3)
    centre = points[0] if scene.focus is None else np.asarray(scene.focus, dtype=float)
    reach = float(np.abs(points - centre).max()) if len(points) else 0.0
    return max(_SMALLEST_HEIGHT_NM, float(f"{3 * reach:.3g}"))


def _format_title(scene: Scene, synapses: Sequence[NamedSynapse]) -> str:
    """Write the title of the page: the synapse, its tag and the version."""
    first = synapses[0]
    place = f"{scene.datastack.name} v{scene.materialization.version}"
    if len(synapses) > 1:
        return f"{len(synapses)} synapses · {place}"
    sure = "" if first.confidence is None else f" {first.confidence:.2f}"
    return f"synapse {first.id} · {place} · {first.tag}{sure}"
