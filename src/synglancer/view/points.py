"""Build annotation layers for a user's own points: properties, colours and shader."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.cells.points import default_layer_name, parse_points
from synglancer.states.layer_names import format_layer_name, spell_out, split_known_name
from synglancer.states.reader import OWN_POINTS
from synglancer.states.record_parts import PointSource
from synglancer.view.annotations import choose_label_type
from synglancer.view.kinds.source import PARTNERS
from synglancer.view.layer_sources import build_local_layer
from synglancer.view.scene import NO_POINTS, OwnPoints
from synglancer.view.shaders import MARKER_SIZE, choose_diameter
from synglancer.view.state import SEGMENTATION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pandas as pd

    from synglancer.cells.point_files import PointFile
    from synglancer.cells.points import PointLayer

COLORS = ("#ff3b30", "#2bff00", "#b58cff", "#c96f2e", "#a8f0ff", "#0a84ff", "#ffa6e0", "#fff6c8")
"""Colours of these layers in turn; they differ from the colours of tags."""

_LARGER = 3.0  # pixels more than a synapse
_INTEGER = re.compile(r"[+-]?\d+(?:\.0*)?", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_CODE = re.compile(r"[+-]?0\d", re.ASCII)  # a number would lose leading zeros
_INT32 = 2**31
_UINT32 = 2**32
_LARGEST_FLOAT = 3e38


def name_distinct(name: str, taken: Collection[str]) -> str:
    """Choose a name that no other layer has.

    Examples
    --------
    >>> name_distinct("● in: spine", ["inputs: spine"])
    '● in: spine (2)'
    """
    spelled, number, distinct = {spell_out(one) for one in taken}, 2, name
    while spell_out(distinct) in spelled:
        distinct = f"{name} ({number})"
        number += 1
    return distinct


def build_point_layer(layer: PointLayer, name: str, rank: int) -> tuple[dict[str, Any], list[str]]:
    """Build a layer of points.

    Parameters
    ----------
    layer
        The points.
    name
        The layer's name in the state.
    rank
        The layer's number among the layers of points, from 0 on; it decides the colour.

    Returns
    -------
    tuple
        The layer, as JSON values; and the columns that are shown as text because their numbers have
        gaps.
    """
    direction, tag = split_known_name(layer.name)
    directions = [one or direction for one in layer.directions]
    tags = [one or tag for one in layer.tags] if direction else layer.tags
    specs: list[dict[str, Any]] = []
    values: list[list[Any]] = []
    gaps: list[str] = []
    color = COLORS[rank % len(COLORS)]
    given = {"tag": tags, "direction": directions, **layer.columns}
    for column, texts in given.items():
        if any(texts):
            spec, numbers = _build_property(column, texts, [one["id"] for one in specs])
            gaps += [column] if spec.pop("gaps") else []
            specs.append(spec)
            values.append(numbers)
    if any(layer.colors):
        named = _name_property("color", [one["id"] for one in specs])
        specs.append({"id": named, "type": "rgb", "description": "color"})
        values.append([one or color for one in layer.colors])
    related = [name for name, ids in layer.segments.items() if any(ids)]
    built = build_local_layer(
        related,
        SEGMENTATION,
        name=name,
        annotationColor=color,
        annotationProperties=specs,
        annotations=_build_notes(layer, values, related),
        shader=_build_shader(len(layer.ids), specs),
        tab="annotations",
    )
    return built, gaps


def _build_notes(
    layer: PointLayer, values: Sequence[Sequence[Any]], related: Sequence[str]
) -> list[dict[str, Any]]:
    notes = []
    for row, point in enumerate(layer.positions):
        told = layer.descriptions[row]
        notes.append(
            {
                "type": "point",
                "id": layer.ids[row],
                "point": [int(value) if value == int(value) else value for value in point],
                "props": [column[row] for column in values],
                "segments": [layer.segments[name][row] for name in related],
                **({"description": told} if told else {}),
            }
        )
    return notes


def _build_property(
    column: str, texts: Sequence[str], taken: Collection[str]
) -> tuple[dict[str, Any], list[Any]]:
    """Choose the form of a column: integers, numbers, or names of numbers."""
    spec = {"id": _name_property(column, taken), "description": column, "gaps": False}
    numeric = column not in {"tag", "direction"}
    filled = [text for text in texts if text]
    if numeric and all(map(_is_number, filled)):
        if len(filled) == len(texts):
            return _build_numbers(spec, texts)
        spec["gaps"] = True
    labels = sorted(set(texts))
    places = {label: place for place, label in enumerate(labels)}
    kind = choose_label_type(len(labels))
    spec |= {"type": kind, "enum_values": [*range(len(labels))], "enum_labels": labels}
    return spec, [places[text] for text in texts]


def _is_number(text: str) -> bool:
    """Whether a text is a number that a viewer can hold: not a 64-bit ID, and not a code."""
    if _CODE.match(text) or not _FLOAT.fullmatch(text):
        return False
    if _INTEGER.fullmatch(text):
        return -_INT32 <= int(text.partition(".")[0]) < _UINT32
    return abs(float(text)) < _LARGEST_FLOAT


def _build_numbers(
    spec: dict[str, Any], texts: Sequence[str]
) -> tuple[dict[str, Any], list[int | float]]:
    if all(map(_INTEGER.fullmatch, texts)):
        whole = [int(text.partition(".")[0]) for text in texts]
        if min(whole) >= 0:
            return {**spec, "type": "uint32"}, [*whole]
        if max(whole) < _INT32:
            return {**spec, "type": "int32"}, [*whole]
    return {**spec, "type": "float32"}, [float(text) for text in texts]


def _name_property(column: str, taken: Collection[str]) -> str:
    """Convert a name to a valid name of a property in viewers and shaders.

    Examples
    --------
    >>> _name_property("Cluster ID", []), _name_property("5 mm", ["c_5_mm"])
    ('cluster_ID', 'c_5_mm_2')
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", column).strip("_")
    plain = plain[:1].lower() + plain[1:] if plain[:1].isalpha() else f"c_{plain}".rstrip("_")
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}_{number}", number + 1
    return name


def _build_shader(count: int, specs: Sequence[dict[str, Any]]) -> str:
    """Write the shader: discs with a dark rim, larger than synapses."""
    colors = [f"prop_{spec['id']}()" for spec in specs if spec["type"] == "rgb"]
    own = colors[0] if colors else "defaultColor()"
    size = choose_diameter(count) + _LARGER
    return (
        f"{OWN_POINTS}"
        f"#uicontrol float {MARKER_SIZE} slider(min=1, max=20, step=0.5, default={size:g})\n"
        "#uicontrol float opacity slider(min=0, max=1, step=0.05, default=1)\n"
        "void main() {\n"
        f"  setPointMarkerSize({MARKER_SIZE} + (PROJECTION_VIEW ? 0.0 : 4.0));\n"
        f"  setPointMarkerColor(vec4({own}, opacity));\n"
        "  setPointMarkerBorderWidth(1.0);\n"
        "  setPointMarkerBorderColor(vec4(0.1, 0.1, 0.1, opacity));\n"
        "}\n"
    )


def place_points(
    files: Sequence[PointFile], resolution: Sequence[float], groups: Iterable[tuple[str, str]]
) -> OwnPoints:
    """Build the layers of all files.

    Parameters
    ----------
    files
        The files.
    resolution : (x, y, z), nm
        Size of the viewer's voxel.
    groups
        Direction and tag of each layer of synapses, whose names stay unchanged.

    Raises
    ------
    UsageError
        When a file cannot be shown; the error names the row.
    """
    if not files:
        return NO_POINTS
    taken = ["imagery", SEGMENTATION, PARTNERS, *(format_layer_name(*pair) for pair in groups)]
    layers: list[dict[str, Any]] = []
    sources, warnings, positions = [], [], []
    for file in files:
        names = []
        for layer in parse_points(file, resolution):
            wanted = layer.name or default_layer_name(file)
            name = name_distinct(wanted, taken)
            if name != wanted:
                warnings.append(
                    f"The layer {wanted!r} of {file.name} is shown as {name!r}, because another "
                    "layer has the same name."
                )
            built, gaps = build_point_layer(layer, name, len(layers))
            warnings += [
                f"The column {column!r} of {file.name} has gaps in the layer {name!r}, so its "
                "numbers are shown as text."
                for column in gaps
            ]
            taken.append(name)
            names.append(name)
            layers.append(built)
            positions += layer.positions
        sources.append(PointSource(file.name, file.sha256, len(file.table.rows), tuple(names)))
    return OwnPoints(layers, positions, tuple(sources), warnings)


def gather_positions(shown: np.ndarray[Any, Any], points: OwnPoints) -> np.ndarray[Any, Any]:
    """Join the positions of synapses and of the user's own points, shape (n, 3), nm."""
    own = np.array(points.positions, dtype=float).reshape(-1, 3)
    return np.vstack([np.asarray(shown, dtype=float).reshape(-1, 3), own])


def list_groups(shown: pd.DataFrame) -> list[tuple[str, str]]:
    """List direction and tag of each layer that a table of synapses gives."""
    pairs = shown[["direction", "tag"]].drop_duplicates()
    return [*zip(pairs["direction"], pairs["tag"], strict=True)]
