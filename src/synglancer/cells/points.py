"""Read layers of points from a user's own table: positions, IDs, segments and columns."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.errors import UsageError
from synglancer.text.printable import list_names, quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.cells.point_files import PointFile

    Point = tuple[float, float, float]

AXES = ("x", "y", "z")
SEGMENT_COLUMNS = {
    "pre": "pre",
    "post": "post",
    "pre_pt_root_id": "pre",
    "post_pt_root_id": "post",
    "segment": "segments",
    "segments": "segments",
}
"""Columns of related segments, besides all that end with ``_segment``, and their names."""

_TEXTS = ("layer", "id", "shape", "direction", "tag", "description", "color", "colour")
_FARTHEST_NM = 1e9  # a metre: no volume is as large
_MAX_UINT64 = 2**64 - 1
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_ROUNDED = re.compile(r"[+-]?(?:\d+\.\d*|\.?\d+(?:\.\d*)?[eE][+-]?\d+)", re.ASCII)
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_COLUMNS = (
    "Name the columns x_nm, y_nm and z_nm for positions in nm, or x_voxel, y_voxel and z_voxel for "
    "positions in voxels of the viewer's resolution."
)
_TWO_UNITS = "Keep the columns of one unit: x_nm, y_nm and z_nm, or x_voxel, y_voxel and z_voxel."


@dataclass
class PointLayer:
    """The points of one layer, in the order of their rows.

    Attributes
    ----------
    name
        Name of the layer in the file; empty if the file has none.
    rows
        Which rows of the file they are.
    ids, directions, tags, descriptions, colors
        Texts, empty if there are none; colours as ``#rrggbb``.
    positions
        (x, y, z) in nm.
    segments
        Relationship → IDs of the segments of each point, as decimal texts.
    columns
        All other columns: name → texts.
    """

    name: str
    rows: list[int] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    directions: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    colors: list[str] = field(default_factory=list)
    positions: list[Point] = field(default_factory=list)
    segments: dict[str, list[list[str]]] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)


def parse_points(file: PointFile, resolution: Sequence[float]) -> list[PointLayer]:
    """Read the points of a table.

    Parameters
    ----------
    file
        The table, with the columns that `synglancer table` writes: positions are needed; IDs,
        layers, tags, descriptions, colours and related segments may be there, and any other column
        is a property.
    resolution : (x, y, z), nm
        Size of the viewer's voxel.

    Returns
    -------
    list of PointLayer
        In the order in which the layers first occur.

    Raises
    ------
    UsageError
        When positions are missing, in two units, not finite or far outside; when an ID is rounded,
        or occurs twice in a layer; when a row is not a point. The error names the row.
    """
    places = {name.lower(): at for at, name in enumerate(file.table.names)}
    _check_names(file, places)
    positions = _read_positions(file, places, resolution)
    texts = {name: _take(file, places, name) for name in _TEXTS}
    related = _find_related(file, places)
    taken = {*_TEXTS, *related, *(f"{axis}_{unit}" for axis in AXES for unit in ("nm", "voxel"))}
    others = {name: at for name, at in places.items() if name not in taken}
    layers: dict[str, PointLayer] = {}
    for row in range(len(file.table.rows)):
        _check_shape(file, row, texts["shape"][row])
        layer = layers.setdefault(texts["layer"][row], PointLayer(texts["layer"][row]))
        layer.rows.append(row)
        layer.ids.append(_check_id(file, row, texts["id"][row]))
        layer.directions.append(texts["direction"][row])
        layer.tags.append(texts["tag"][row])
        layer.descriptions.append(texts["description"][row])
        layer.colors.append(_read_color(file, row, texts["color"][row] or texts["colour"][row]))
        layer.positions.append(positions[row])
        for name, relationship in related.items():
            value = file.table.rows[row][places[name]]
            layer.segments.setdefault(relationship, []).append(_read_ids(file, row, value))
        for at in others.values():
            column = layer.columns.setdefault(file.table.names[at], [])
            column.append(file.table.rows[row][at].strip())
    for layer in layers.values():
        _check_distinct(file, layer)
    return [*layers.values()]


def _check_names(file: PointFile, places: Mapping[str, int]) -> None:
    names = file.table.names
    if len(places) < len(names):
        raise UsageError(
            f"{file.name} has two columns whose names differ only in upper and lower case.",
            "Give each column a name of its own.",
        )
    if {"color", "colour"} <= places.keys():
        raise UsageError(f"{file.name} has the columns color and colour.", "Keep one of them.")


def _take(file: PointFile, places: Mapping[str, int], name: str) -> list[str]:
    if name not in places:
        return [""] * len(file.table.rows)
    return [row[places[name]].strip() for row in file.table.rows]


def _read_positions(
    file: PointFile, places: Mapping[str, int], resolution: Sequence[float]
) -> list[Point]:
    """Read all positions in nm; positions in both units must agree."""
    found = {}
    for unit in ("nm", "voxel"):
        names = [f"{axis}_{unit}" for axis in AXES]
        there = [name for name in names if any(_take(file, places, name))]
        if there:
            found[unit] = there
    whole = [unit for unit, there in found.items() if len(there) == len(AXES)]
    if len(found) > 1 and len(whole) < len(found):
        listed = ", ".join(name for there in found.values() for name in there)
        raise UsageError(f"{file.name} has positions in two units: {listed}.", _TWO_UNITS)
    if not whole:
        listed = list_names(file.table.names)
        raise UsageError(f"{file.name} has no positions: its columns are {listed}.", _COLUMNS)
    sizes = {"nm": (1.0, 1.0, 1.0), "voxel": tuple(resolution)}
    read = {unit: _read_unit(file, places, unit, sizes[unit]) for unit in whole}
    if len(read) > 1:
        _check_same(file, read["nm"], read["voxel"], resolution)
    return read[whole[0]]


def _read_unit(
    file: PointFile, places: Mapping[str, int], unit: str, size: Sequence[float]
) -> list[Point]:
    """Read the positions in one unit, as nm."""
    axes = []
    for axis, edge in zip(AXES, size, strict=True):
        name = f"{axis}_{unit}"
        values = []
        for row, text in enumerate(_take(file, places, name)):
            value = float(text) * edge if _NUMBER.fullmatch(text) else math.nan
            if not math.isfinite(value):
                shown = quote(text) if text else "nothing"
                raise UsageError(
                    f"{file.name_row(row)}: {name} holds {shown}, which is not a coordinate.",
                    "Give each point three finite numbers, without thousands separators.",
                )
            if abs(value) > _FARTHEST_NM:
                raise UsageError(
                    f"{file.name_row(row)}: {name} is {text}, which is more than a metre away.",
                    "Check the unit and the order of the columns.",
                )
            values.append(value)
        axes.append(values)
    return [*zip(*axes, strict=True)]


def _check_same(
    file: PointFile, nm: Sequence[Point], voxel: Sequence[Point], resolution: Sequence[float]
) -> None:
    """Refuse positions in two units that differ by more than a voxel."""
    for row, (one, other) in enumerate(zip(nm, voxel, strict=True)):
        if any(abs(a - b) > edge + 1e-6 for a, b, edge in zip(one, other, resolution, strict=True)):
            edges = " x ".join(f"{edge:g}" for edge in resolution)
            raise UsageError(
                f"{file.name_row(row)}: the positions in nm and in voxels of {edges} nm differ.",
                _TWO_UNITS,
            )


def _find_related(file: PointFile, places: Mapping[str, int]) -> dict[str, str]:
    """Find the columns of related segments, and what each relationship is called."""
    related = {
        name: SEGMENT_COLUMNS.get(name) or file.table.names[at].strip()[: -len("_segment")]
        for name, at in places.items()
        if name in SEGMENT_COLUMNS or (name.endswith("_segment") and name != "_segment")
    }
    for relationship in related.values():
        columns = [name for name, other in related.items() if other == relationship]
        if len(columns) > 1:
            raise UsageError(
                f"{file.name} names the segments {relationship!r} in {len(columns)} columns: "
                f"{', '.join(columns)}.",
                "Keep one of them.",
            )
    return related


def _check_shape(file: PointFile, row: int, shape: str) -> None:
    if shape and shape.lower() != "point":
        raise UsageError(
            f"{file.name_row(row)}: its shape is {quote(shape)}, and only points can be shown.",
            "Leave out rows with other shapes, or leave out the column to show their midpoints.",
        )


def _check_id(file: PointFile, row: int, text: str) -> str:
    if _ROUNDED.fullmatch(text):
        raise _rounded(file, row, text)
    return text


def _rounded(file: PointFile, row: int, text: str) -> UsageError:
    return UsageError(
        f"{file.name_row(row)}: {quote(text)} is a rounded number, not an ID.",
        "A spreadsheet or a float cannot hold IDs: store them as text or as integers.",
    )


def _read_color(file: PointFile, row: int, text: str) -> str:
    if text and not _COLOR.fullmatch(text):
        raise UsageError(
            f"{file.name_row(row)}: {quote(text)} is not a colour.",
            "Give colours as #rrggbb.",
        )
    return text.lower()


def _read_ids(file: PointFile, row: int, text: str) -> list[str]:
    """Read the segments that a point is related to; 0 stands for none."""
    ids = [part for part in re.split(r"[\s,;\[\](){}'\"]+", text) if part]
    for part in ids:
        if _ROUNDED.fullmatch(part):
            raise _rounded(file, row, part)
        if not (part.isascii() and part.isdigit() and int(part[:21]) <= _MAX_UINT64):
            raise UsageError(
                f"{file.name_row(row)}: {quote(part)} is not the ID of a segment.",
                "Give whole numbers of 64 bits, several separated by spaces, 0 for none.",
            )
    return list(dict.fromkeys(str(int(part)) for part in ids if int(part)))


def _check_distinct(file: PointFile, layer: PointLayer) -> None:
    """Refuse IDs that occur twice in a layer, because viewers would merge the points."""
    first: dict[str, int] = {}
    for row, point in zip(layer.rows, layer.ids, strict=True):
        if point and point in first:
            raise UsageError(
                f"{file.name_row(row)}: the ID {point} was given to {file.name_row(first[point])} "
                f"already, in the same layer.",
                "Give each point of a layer an ID of its own, or leave the column id out.",
            )
        first[point] = row
    layer.ids = [
        point or f"row-{file.table.lines[row]}"
        for point, row in zip(layer.ids, layer.rows, strict=True)
    ]


def default_layer_name(file: PointFile) -> str:
    """Name a layer after its file, if the file has no layer names."""
    return "my points" if file.name == "DataFrame" else Path(file.name).stem or file.name
