"""Plot the synapses of a state, without a browser and without the network.

The synapses are projected as the 3D view looks at them: inputs as discs, outputs as rings, those
between cells as targets, in the colours of their layers, with the somata, a legend and a scale bar
in µm. Synapses that the view hides, in a hidden layer or by a confidence slider, are left out.
Colours are those of the layers, so a view coloured by confidence is plotted by tag. A view coloured
by the partners' types is plotted by type.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.columns import PARTNER_TYPE, POSITION_COLUMNS
from synglancer.errors import PictureError
from synglancer.links.filling import fill_state
from synglancer.render.canvas import Canvas, make_canvas
from synglancer.settings import BETWEEN, UNKNOWN_TYPE
from synglancer.states.annotations import explain_unread, read_layer
from synglancer.states.coordinates import is_point
from synglancer.states.layer_names import spell_out, split_layer_name
from synglancer.states.predictions import parse_predictions
from synglancer.states.provenance import read_recorded
from synglancer.states.reader import is_own_points, is_shown, list_layers
from synglancer.states.record_copy import read_record
from synglancer.view.colors import BACKGROUNDS, PALETTES, choose_colors, is_color
from synglancer.view.shaders import MIN_CONFIDENCE, choose_diameter
from synglancer.view.tag_order import sort_tags
from synglancer.view.type_colors import choose_type_color

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    Array = np.ndarray[Any, Any]

_MARGIN = 24.0
_LINE = 18.0  # from one line of the legend to the next
_CHARACTER = 7.0  # width of one, in the legend
_DIGIT = 7.7  # width of a digit, because titles consist mostly of digits
_LARGER = {"outputs": 1.6, BETWEEN: 2.4}  # otherwise their holes close
_MIDDLE = 0.45  # of a target, as a share of its diameter
_SMALLEST_NM = 20_000.0  # the closest view shows a soma and its surroundings
_BAR_SHARE = 0.2  # of the width, at most
_SOMA_DIAMETER = 13.0
_TEXT = {"dark": "#e4e6ec", "white": "#25272d"}
_BRIGHT = 0.5
_REFERENCE_HEIGHT = 640.0
_NOTHING = np.empty((0, 3))


@dataclass(frozen=True)
class _Layer:
    """One layer of synapses: its name, how many it shows, and where, (n, 3) in nm."""

    name: str
    direction: str
    colour: str
    points: Array


def plot_state(
    state: Mapping[str, Any],
    *,
    suffix: str = ".png",
    size: tuple[int, int] = (960, 640),
    scale: float = 1.0,
    background: str | None = None,
) -> bytes:
    """Plot the synapses of a state.

    Parameters
    ----------
    state
        A Neuroglancer state. Synapses on a published source are read from it.
    suffix
        ``.svg`` or ``.png``.
    size
        Width and height in pixels.
    scale
        Pixels of the file for each of those.
    background
        ``dark`` or ``white``; by default that of the 3D view.

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    PictureError
        When there is nothing to plot, or nothing that has a known position.
    """
    state = fill_state(state, partners=False)
    background = background or _read_background(state)
    layers = _read_layers(state)
    somata = _read_somata(state)
    if not len(somata) and not any(len(layer.points) for layer in layers):
        _check_empty(state, layers)
    title = str(state.get("title") or "Synapses")
    canvas = make_canvas(suffix, size, scale, BACKGROUNDS[background].projection, title)
    rotation = _read_rotation(state)
    points = [*(layer.points for layer in layers), somata]
    seen = np.vstack([part @ rotation for part in points])[:, :2]
    head = split_title(title, size[0])
    project, nm_per_pixel = _fit_beside_legend(seen, size, layers, len(head))
    text = _TEXT[background]
    grow = math.sqrt(min(size) / _REFERENCE_HEIGHT)
    sizes = _choose_diameters(layers, grow)
    for layer in layers:
        places = project(layer.points @ rotation)
        _draw(canvas, layer, places, sizes[layer.direction], text)
    if len(somata):
        canvas.rings(project(somata @ rotation), _SOMA_DIAMETER * grow, text)
    _write_legend(canvas, head, layers, text, somata=len(somata))
    _draw_bar(canvas, size, nm_per_pixel, text)
    return canvas.finish()


def explain_unplotted(state: Mapping[str, Any]) -> list[str]:
    """List the visible annotations that a plot leaves out, one sentence each."""
    return explain_unread({**state, "layers": [*filter(is_shown, list_layers(state))]})


def _check_empty(state: Mapping[str, Any], layers: Sequence[_Layer]) -> None:
    """Refuse an empty plot, unless its layers are empty or the link is known to show nothing."""
    if unplotted := explain_unplotted(state):
        raise PictureError(
            f"There is nothing to plot: {unplotted[0]}",
            "Use --renderer browser to picture the link as a viewer draws it.",
        )
    if not layers and not read_record(state)[0]:
        raise PictureError(
            "This link shows no annotations, so there is nothing to plot.",
            "Give another link, or use --renderer browser to picture its other layers.",
        )


def _draw(canvas: Canvas, layer: _Layer, places: Array, diameter: float, middle: str) -> None:
    draw = canvas.rings if layer.direction == "outputs" else canvas.discs
    draw(places, diameter, layer.colour)
    if layer.direction == BETWEEN:
        canvas.discs(places, _MIDDLE * diameter, middle)


def _choose_diameters(layers: Sequence[_Layer], grow: float) -> dict[str, float]:
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer.direction] = counts.get(layer.direction, 0) + len(layer.points)
    return {
        direction: (choose_diameter(count) + 1) * grow * _LARGER.get(direction, 1)
        for direction, count in counts.items()
    }


def _read_layers(state: Mapping[str, Any]) -> list[_Layer]:
    """Read what each visible layer of synapses shows, in the order of the layers.

    If the view is coloured by the partners' types, the plot has one layer for each type.
    """
    read: list[_Layer] = []
    types = _read_type_colors(state)
    for layer in list_layers(state):
        if layer.get("type") != "annotation" or not is_shown(layer):
            continue
        frame = parse_predictions({**state, "layers": [layer]})
        least = _read_least_confidence(layer)
        if least > 0:
            frame = frame[~(frame["confidence"] < np.float32(least))]
        name = str(layer.get("name", ""))
        direction, tag = split_layer_name(name)
        name = spell_out(name)  # the marker itself is drawn beside it
        colour = layer.get("annotationColor")
        if is_own_points(layer):
            held = isinstance(layer.get("annotations"), list)
            points = read_layer(layer, state).positions if held else _NOTHING
            read.append(_Layer(name, "", str(colour), points))
            continue
        if not is_color(colour):
            colour = choose_colors([tag], PALETTES["paper"])[tag]
        if not direction and any(frame["direction"]):  # a review, whose layer has all of them
            read += _divide(frame)
        elif types and PARTNER_TYPE in frame:
            for kind, rows in frame.groupby(PARTNER_TYPE):
                named = f"{direction}: {kind}"
                colour = types.get(str(kind), types[UNKNOWN_TYPE])
                read.append(_Layer(named, direction, colour, _read_points(rows)))
        else:
            read.append(_Layer(name, direction, str(colour), _read_points(frame)))
    return _merge_layers(read) if types else read


def _read_least_confidence(layer: Mapping[str, Any]) -> float:
    """Read where the slider of a layer's confidence stands; 0 without one."""
    controls = layer.get("shaderControls")
    least = controls.get(MIN_CONFIDENCE) if isinstance(controls, dict) else None
    return min(least, 1.0) if isinstance(least, int | float) else 0.0


def _divide(frame: pd.DataFrame) -> Iterator[_Layer]:
    """Yield a layer of the plot for each direction and tag of a layer that has several."""
    for direction in dict.fromkeys(frame["direction"]):
        rows = frame[frame["direction"] == direction]
        for tag in sort_tags(set(rows["tag"])):
            colour = choose_colors([tag], PALETTES["paper"])[tag]
            points = _read_points(rows[rows["tag"] == tag])
            yield _Layer(f"{direction}: {tag}", direction, colour, points)


def _read_points(frame: pd.DataFrame) -> Array:
    return frame[POSITION_COLUMNS].to_numpy(dtype=float)


def _read_type_colors(state: Mapping[str, Any]) -> dict[str, str]:
    """Read the colours of the partners' types, the colour of unknown types first."""
    types = read_recorded(state).cell_types
    if types is None or not types.colours:
        return {}
    return {UNKNOWN_TYPE: choose_type_color(UNKNOWN_TYPE), **types.colours}


def _merge_layers(layers: Sequence[_Layer]) -> list[_Layer]:
    """Put layers of the same name together; unknown types come first, under the others."""
    by_name: dict[str, list[_Layer]] = {}
    for layer in layers:
        by_name.setdefault(layer.name, []).append(layer)
    merged = [
        _Layer(
            name, parts[0].direction, parts[0].colour, np.vstack([part.points for part in parts])
        )
        for name, parts in by_name.items()
    ]
    directions = list(dict.fromkeys(layer.direction for layer in layers))

    def place(layer: _Layer) -> tuple[int, bool, str]:
        known = not layer.name.endswith(f": {UNKNOWN_TYPE}")
        return directions.index(layer.direction), known, layer.name

    return sorted(merged, key=place)


def _read_somata(state: Mapping[str, Any]) -> Array:
    """Read the positions of the somata, shape (m, 3) in nm; (0, 3) if the state has none."""
    return np.array([*read_recorded(state).somata.values()], dtype=float).reshape(-1, 3)


def _read_background(state: Mapping[str, Any]) -> str:
    colour = state.get("projectionBackgroundColor")
    if not is_color(colour):
        return "dark"  # as the viewer's own
    red, green, blue = (part / 255 for part in bytes.fromhex(colour[1:]))
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > _BRIGHT else "dark"


def _read_rotation(state: Mapping[str, Any]) -> Array:
    """Read the orientation of the 3D view: a matrix that takes rows of (x, y, z) to its axes."""
    turned = state.get("projectionOrientation")
    if not is_point(turned, len("xyzw")):
        return np.eye(3)
    quaternion = np.array(turned, dtype=float)
    length = math.hypot(*quaternion)  # numpy would warn of an overflow
    if not math.isfinite(length) or length == 0:
        return np.eye(3)
    x, y, z, w = quaternion / length
    # Columns are the view's axes in the data; rows times it are coordinates along them.
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def _fit_beside_legend(
    seen: Array, size: tuple[int, int], layers: Sequence[_Layer], head: int
) -> tuple[Any, float]:
    """Fit all points into the picture, and next to the legend if they would overlap it."""
    widest = max((len(layer.name) for layer in layers), default=0) + len("  10,000")
    legend = np.array(
        [_MARGIN + 16 + _CHARACTER * widest, _MARGIN + _LINE * (len(layers) + head + 0.5)]
    )
    project, nm_per_pixel = _fit(seen, size, 0.0)
    if len(seen) and (project(seen) < legend).all(axis=1).any() and 2 * legend[0] < size[0]:
        return _fit(seen, size, float(legend[0]))
    return project, nm_per_pixel


def _fit(seen: Array, size: tuple[int, int], left: float) -> tuple[Any, float]:
    """Fit points (n, 2) in nm into a picture but for its left: from rows of nm to pixels."""
    low = seen.min(axis=0) if len(seen) else np.zeros(2)
    high = seen.max(axis=0) if len(seen) else np.zeros(2)
    extent = np.maximum(high - low, _SMALLEST_NM)
    corner = np.array([left + _MARGIN, _MARGIN + _LINE])
    room = np.maximum(np.array(size, dtype=float) - _MARGIN - corner, 1.0)
    nm_per_pixel = float(np.max(extent / room))
    centre = (low + high) / 2

    def project(rows: Array) -> Array:
        return (rows[:, :2] - centre) / nm_per_pixel + corner + room / 2

    return project, nm_per_pixel


def choose_bar(nm: float) -> float:
    """Choose the longest round length up to this length, in nm.

    Examples
    --------
    >>> [choose_bar(nm) for nm in (99_000, 49_000, 1_500)]
    [50000.0, 20000.0, 1000.0]
    """
    power = 10.0 ** math.floor(math.log10(nm))
    return max(step * power for step in (1, 2, 5) if step * power <= nm)


def _draw_bar(canvas: Canvas, size: tuple[int, int], nm_per_pixel: float, colour: str) -> None:
    width, height = size
    nm = choose_bar(_BAR_SHARE * width * nm_per_pixel)
    pixels = nm / nm_per_pixel
    right, bottom = width - _MARGIN, height - _MARGIN
    canvas.line((right - pixels, bottom), (right, bottom), colour)
    label = f"{nm / 1000:g} µm"
    canvas.words((right - pixels / 2, bottom - 12), label, colour, anchor="middle")


def split_title(title: str, width: float) -> list[str]:
    """Split a title into lines that fit a picture of this width, in pixels, between its parts.

    Examples
    --------
    >>> split_title("864691135276234469 · minnie65_public v1718 · 3,076 inputs", 480)
    ['864691135276234469 · minnie65_public v1718', '3,076 inputs']
    """
    most = max(int((width - 2 * _MARGIN) / _DIGIT), 1)
    lines: list[str] = []
    for part in title.split(" · "):
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and len(joined) <= most:
            lines[-1] = joined
        else:
            lines += textwrap.wrap(part, most) or [part]
    return lines


def _write_legend(
    canvas: Canvas, head: Sequence[str], layers: Sequence[_Layer], colour: str, *, somata: int
) -> None:
    """Name the cells, and each layer with its marker and its number of synapses."""
    left, top = _MARGIN, _MARGIN + _LINE * (len(head) - 1)
    for number, line in enumerate(head):
        canvas.words((left, _MARGIN + _LINE * number), line, colour)
    for layer in layers:
        top += _LINE
        _draw(canvas, layer, np.array([[left + 5, top]]), 9.0, colour)
        canvas.words((left + 16, top), f"{layer.name}  {len(layer.points):,}", colour)
    if somata:
        top += _LINE
        canvas.rings(np.array([[left + 5, top]]), 10.0, colour)
        canvas.words((left + 16, top), "soma" if somata == 1 else "somata", colour)
