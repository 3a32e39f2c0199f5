"""The GLSL shaders of the annotation layers.

Neuroglancer runs an annotation shader once per marker. ``defaultColor()`` is the layer's
colour, ``prop_<id>()`` a property of the annotation, and ``#uicontrol`` lines become sliders
and boxes in the layer's panel. See ``src/annotation/rendering.md`` in Neuroglancer.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

MIN_CONFIDENCE = "min_confidence"
MARKER_SIZE = "marker_size"
_SECTION_EXTRA = 5.0
_MOST_PICKERS = 40  # more colours than this make no legend

# Fades towards grey on black and on white; a quarter of the colour is left below 0.58.
_PALE = """\
  if (pale_if_unsure) {
    color = mix(vec3(0.5), color, clamp(1.8 * prop_confidence() - 0.8, 0.25, 1.0));
  }"""

# From blue through a dull pink to orange, distinguishable with any colour vision, on black and on
# white. Most confidences are high, so the ramp does not start at 0.
_RAMP = """\
#uicontrol float ramp_start slider(min=0, max=0.99, step=0.01, default=0.7)
vec3 confidenceColor(float confidence) {
  float t = clamp((confidence - ramp_start) / (1.0 - ramp_start), 0.0, 1.0);
  vec3 middle = vec3(0.79, 0.48, 0.61);
  return t < 0.5 ? mix(vec3(0.24, 0.42, 0.94), middle, 2.0 * t)
                 : mix(middle, vec3(1.0, 0.69, 0.0), 2.0 * t - 1.0);
}
"""


@dataclass(frozen=True)
class Marker:
    """The look of a layer's markers.

    Attributes
    ----------
    ring
        Colour of the ring, ``#rrggbb``, or None for a plain disc.
    labelled
        Whether annotations carry a confidence.
    typical_size
        Size of the synapse that gets the slider's diameter, in voxels of its detection.
    by_confidence
        Whether colour shows confidence rather than the layer's tag.
    diameter
        Start of the slider for marker size, in pixels.
    inverted
        Whether the ring's colour is in the middle, and the layer's around it.
    types
        Name and colour (``#rrggbb``) of each number that stands for the partner's type, from 0 on;
        where there are any, colour shows these.
    pure
        Whether colours start as they are in the legend, unsure predictions included.
    sized
        Whether annotations carry a size.
    """

    ring: str | None
    labelled: bool
    typical_size: float
    by_confidence: bool = False
    diameter: float = 1.5
    inverted: bool = False
    types: tuple[tuple[str, str], ...] = ()
    pure: bool = False
    sized: bool = True


def choose_diameter(count: int, panel: float = 1.0) -> float:
    """Choose a marker diameter in pixels that leaves the cell visible.

    Found by eye on whole cells: 1.5 pixels for 3,000 synapses, 2.5 for 300.

    Parameters
    ----------
    count
        Number of markers.
    panel
        Height of the 3D panel, as a share of the window's.

    Examples
    --------
    >>> [choose_diameter(count) for count in (1, 300, 3_000, 50_000)]
    [5.0, 2.5, 1.5, 1.0]
    """
    wanted = 1.6 * math.pow(3_000 / max(count, 1), 0.2) * math.sqrt(panel)
    return round(2 * min(max(wanted, 1.0), 5.0)) / 2  # the slider's steps


def list_sliders(marker: Marker) -> tuple[str, ...]:
    """Name the sliders of a layer that are used most."""
    return (MIN_CONFIDENCE, MARKER_SIZE) if marker.labelled else (MARKER_SIZE,)


def build_marker_shader(marker: Marker) -> str:
    """Write the shader of one layer.

    Examples
    --------
    >>> "discard" in build_marker_shader(Marker(None, labelled=True, typical_size=5000.0))
    True
    """
    ramp = marker.by_confidence and marker.labelled
    pales = marker.labelled and not ramp and not marker.types  # greys stand for unknown types
    lines = []
    if marker.labelled:
        lines += [f"#uicontrol float {MIN_CONFIDENCE} slider(min=0, max=1, step=0.01, default=0)"]
    diameter = f"slider(min=1, max=20, step=0.5, default={marker.diameter:g})"
    lines += [
        f"#uicontrol float {MARKER_SIZE} {diameter}",
        "#uicontrol float opacity slider(min=0, max=1, step=0.05, default=1)",
    ]
    if marker.sized:
        lines += ["#uicontrol bool scale_by_size checkbox(default=true)"]
    if ramp:
        lines += [_RAMP.rstrip()]
    elif pales:
        start = "false" if marker.pure else "true"
        lines += [f"#uicontrol bool pale_if_unsure checkbox(default={start})"]
    lines += _type_lines(marker.types)
    lines += ["void main() {"]
    if marker.labelled:
        lines += [f"  if (prop_confidence() < {MIN_CONFIDENCE}) discard;"]
    colour = "confidenceColor(prop_confidence())" if ramp else "defaultColor()"
    if marker.types:
        colour = "typeColor(prop_partner_type())"
    lines += [
        # Sections are seen from closer, with room for larger markers.
        f"  float diameter = {MARKER_SIZE} + (PROJECTION_VIEW ? 0.0 : {_SECTION_EXTRA});",
        *(_scale_lines(marker) if marker.sized else []),
        "  setPointMarkerSize(diameter);",
        f"  vec3 color = {colour};",
        *([_PALE] if pales else []),
        *_fill_lines(marker),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _scale_lines(marker: Marker) -> list[str]:
    return [
        "  if (scale_by_size) {",
        f"    diameter *= clamp(sqrt(float(prop_size()) / {marker.typical_size:.1f}), 0.6, 1.8);",
        "  }",
    ]


def _type_lines(types: tuple[tuple[str, str], ...]) -> list[str]:
    """Write the colours of types: a colour picker for each, and the choice by number."""
    if not types:
        return []
    pickers, chosen = [], []
    names = name_controls([name for name, _ in types])
    for number, (name, (_, colour)) in enumerate(zip(names, types, strict=True)):
        value = name
        if len(types) > _MOST_PICKERS:
            value = f"{format_color(colour)}.rgb"
        else:
            pickers += [f'#uicontrol vec3 {name} color(default="{colour}")']
        chosen += [f"  if (type == {number}u) return {value};"]
    last = "  return vec3(0.5);"  # no annotation has another number
    return [*pickers, "vec3 typeColor(uint type) {", *chosen, last, "}"]


def name_controls(names: list[str]) -> list[str]:
    """Convert the names of types to valid names of controls.

    Examples
    --------
    >>> name_controls(["5P-IT", "L2/3 IT", "5P IT", "__"])
    ['type_5P_IT', 'type_L2_3_IT', 'type_5P_IT_2', 'type_4']
    """
    given: list[str] = []
    for place, name in enumerate(names, start=1):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or str(place)
        control = f"type_{plain}"
        while control in given:
            control = f"type_{plain}_{place - 1}"
            plain += "x"
        given.append(control)
    return given


def _fill_lines(marker: Marker) -> list[str]:
    own = "vec4(color, opacity)"
    # A plain disc gets a border of the same colour, because without one its edge is jagged.
    ring, width = own, "0.25"
    if marker.ring is not None:
        ring, width = format_color(marker.ring), "max(0.7, 0.2 * diameter)"
    if marker.ring is not None and marker.types and not marker.inverted:
        # Among many colours, rings of a single colour would dominate, so a ring takes the colour of
        # its disc.
        ring, width = f"vec4(mix(color, {ring}.rgb, 0.55), opacity)", "max(0.6, 0.16 * diameter)"
    middle, around = (ring, own) if marker.inverted else (own, ring)
    width = "max(1.0, 0.5 * diameter)" if marker.inverted else width
    return [
        f"  setPointMarkerColor({middle});",
        f"  setPointMarkerBorderWidth({width});",
        f"  setPointMarkerBorderColor({around});",
    ]


def format_color(colour: str) -> str:
    """Write a colour of a ring in GLSL.

    Examples
    --------
    >>> format_color("#ffffff")
    'vec4(1.000, 1.000, 1.000, opacity)'
    """
    return f"vec4{format_rgb(colour)[4:-1]}, opacity)"


def format_rgb(colour: str) -> str:
    """Write a colour in GLSL.

    Examples
    --------
    >>> format_rgb("#ffffff")
    'vec3(1.000, 1.000, 1.000)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return f"vec3({red:.3f}, {green:.3f}, {blue:.3f})"
