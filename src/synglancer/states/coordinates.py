"""Compute positions of a layer's annotations in nm from dimensions, units and transforms.

As in the viewer, points of local annotations are in the dimensions of their source
(``inputDimensions``, else ``outputDimensions``), or else in those of the state. The matrix of a
transform works on physical lengths; only its last column counts voxels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Array = np.ndarray[Any, Any]

AXES = ("x", "y", "z")

_NM = 1e9  # nm per m
_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0,
    "d": -1, "c": -2, "m": -3, "µ": -6, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21,
    "y": -24,
}  # fmt: skip
_LENGTHS = {f"{prefix}m": 10.0**power for prefix, power in _PREFIXES.items()}
_LEGACY_RANK = 3


class UnplacedError(Exception):
    """Positions of a layer's points in nm are not known; the text says why."""


@dataclass(frozen=True)
class Placement:
    """The conversion of a layer's points to positions in nm.

    Attributes
    ----------
    rank
        Number of coordinates of a point.
    matrix : array, shape (3, rank)
        From a point's coordinates to nm.
    offset : array, shape (3,), nm
        Added to that.
    """

    rank: int
    matrix: Array
    offset: Array

    def to_nm(self, points: Array) -> Array:
        """Convert points to positions.

        Parameters
        ----------
        points : array, shape (n, rank)
            As the state holds them.

        Returns
        -------
        array, shape (n, 3), nm
        """
        return points @ self.matrix.T + self.offset


@dataclass(frozen=True)
class _Space:
    """Dimensions of a state or source: names, and metres per voxel (NaN if it is not a length).

    `faults` say for each axis why it has no length; empty where it has one.
    """

    names: tuple[str, ...]
    scales: Array
    faults: tuple[str, ...] = ("",) * len(AXES)


def find_placement(layer: Mapping[str, Any], state: Mapping[str, Any]) -> Placement:
    """Find the conversion of a layer's points to positions in nm.

    Parameters
    ----------
    layer
        An annotation layer of the state.
    state
        A Neuroglancer state.

    Raises
    ------
    UnplacedError
        When neither the layer nor the state says where its points are.
    """
    transform = _read_transform(layer)
    if transform is not None:
        output = _read_space(transform.get("outputDimensions"), "its source's output dimensions")
        given = transform.get("inputDimensions")
        inputs = output if given is None else _read_space(given, "its source's input dimensions")
        if len(inputs.names) != len(output.names):
            raise UnplacedError("its source has different numbers of input and output dimensions")
        return _place(inputs, output, transform.get("matrix"))
    if layer.get("voxelSize") is not None or layer.get("transform") is not None:
        return _place_legacy(layer)
    space = _read_state_space(state)
    return _place(space, space, None)


@np.errstate(over="ignore")
def read_state_resolution(state: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """Read the voxel size of a state in nm, (x, y, z); None if the state has none."""
    try:
        space = _read_state_space(state)
        x, y, z = (float(f"{space.scales[space.names.index(axis)] * _NM:.9g}") for axis in AXES)
    except (UnplacedError, ValueError):
        return None
    return (x, y, z) if all(map(math.isfinite, (x, y, z))) else None


def _read_transform(layer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the transform of a layer's own annotations."""
    source = layer.get("source")
    sources = source if isinstance(source, list) else [source]
    local = [item for item in sources if _is_local(item)] or sources
    transform = local[0].get("transform") if local and isinstance(local[0], dict) else None
    return transform if isinstance(transform, dict) else None


def _is_local(source: object) -> bool:
    url = source.get("url") if isinstance(source, dict) else source
    return isinstance(url, str) and url.startswith("local://")


def _read_state_space(state: Mapping[str, Any]) -> _Space:
    """Read the dimensions of a state: its own, or the voxel size of states before 2019."""
    if state.get("dimensions") is not None:
        return _read_space(state["dimensions"], "the state's dimensions")
    size = state
    for key in ("navigation", "pose", "position", "voxelSize"):
        size = size.get(key) if isinstance(size, dict) else None  # type: ignore[assignment]
    if size is None:
        raise UnplacedError("the state does not say how large a voxel is")
    return _Space(AXES, _read_voxel_size(size, "the state's voxel size"))


def _read_voxel_size(size: object, what: str) -> Array:
    """Read a voxel size of an old state and convert it to nm."""
    if not isinstance(size, list) or len(size) != _LEGACY_RANK or not all(map(_is_length, size)):
        raise UnplacedError(f"{what} is not three lengths in nm")
    return np.array(size, dtype=float) / _NM


def _place_legacy(layer: Mapping[str, Any]) -> Placement:
    """Find the conversion for a layer of an old state, with a voxel size or a transform to nm."""
    scales = np.full(_LEGACY_RANK, 1 / _NM)
    if layer.get("voxelSize") is not None:
        scales = _read_voxel_size(layer["voxelSize"], "its voxel size")
    inputs = _Space(AXES, scales)
    if layer.get("transform") is None:
        return _place(inputs, inputs, None)
    matrix = _read_legacy_matrix(layer["transform"])
    return _place(inputs, _Space(AXES, np.full(_LEGACY_RANK, 1 / _NM)), matrix)


def _read_legacy_matrix(given: object) -> list[list[float]]:
    """Read a transform of an old state, a 4 x 4 matrix to nm, as rows of three by four."""
    if isinstance(given, list):
        rows = given
        if len(given) == 16 and not any(isinstance(item, list) for item in given):  # noqa: PLR2004
            rows = [given[start : start + 4] for start in range(0, 16, 4)]
        if len(rows) == 4 and all(isinstance(row, list) and len(row) == 4 for row in rows):  # noqa: PLR2004
            return [list(row) for row in rows[:3]]
    if isinstance(given, dict) and given.get("rotation") in (None, [0, 0, 0, 1]):
        scale, shift = given.get("scale", [1, 1, 1]), given.get("translation", [0, 0, 0])
        if all(isinstance(part, list) and len(part) == _LEGACY_RANK for part in (scale, shift)):
            return [
                [*(scale[i] if i == j else 0 for j in range(_LEGACY_RANK)), shift[i]]
                for i in range(_LEGACY_RANK)
            ]
    raise UnplacedError("its transform has an unknown form")


def _read_space(given: object, what: str) -> _Space:
    if not isinstance(given, dict) or not given:
        raise UnplacedError(f"{what} are missing")
    faults = tuple(_find_fault(str(axis), pair) for axis, pair in given.items())
    scales = [
        math.nan if fault else pair[0] * _LENGTHS[pair[1]]
        for fault, pair in zip(faults, given.values(), strict=True)
    ]
    return _Space(tuple(map(str, given)), np.array(scales), faults)


def _find_fault(axis: str, pair: object) -> str:
    """Say why an axis has no length; empty if it has one."""
    if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004
        return f"the axis {axis} is not given as a scale and a unit"
    scale, unit = pair
    if not isinstance(unit, str) or unit not in _LENGTHS:
        return f"the unit of the axis {axis} is not a length"
    if not _is_length(scale) or not 0 < scale * _LENGTHS[unit] < math.inf:
        return f"the scale of the axis {axis} is not a number above 0"
    return ""


def _is_length(value: object) -> bool:
    return _is_finite(value) and float(value) > 0  # type: ignore[arg-type]


@np.errstate(over="ignore")  # lengths too large for a number are infinite and place no point
def _place(inputs: _Space, output: _Space, matrix: object) -> Placement:
    """Build the map from coordinates to nm, for the axes x, y and z of the output.

    Raises
    ------
    UnplacedError
        When an axis is missing, is not a length, or the matrix is malformed.
    """
    rank = len(inputs.names)
    affine = np.eye(rank, rank + 1) if matrix is None else _read_matrix(matrix, rank)
    rows, offsets = [], []
    for axis in AXES:
        if axis not in output.names:
            raise UnplacedError(f"there is no axis {axis} among {', '.join(output.names)}")
        i = output.names.index(axis)
        used = affine[i, :rank] != 0
        faults = [output.faults[i], *(inputs.faults[k] for k in np.flatnonzero(used))]
        if any(faults):
            raise UnplacedError(next(filter(None, faults)))
        row = np.where(used, affine[i, :rank] * np.nan_to_num(inputs.scales), 0.0)
        rows.append([float(f"{value * _NM:.12g}") for value in row])
        offsets.append(float(f"{affine[i, rank] * output.scales[i] * _NM:.12g}"))
    return Placement(rank, np.array(rows), np.array(offsets))


def _read_matrix(given: object, rank: int) -> Array:
    rows = given if isinstance(given, list) else []
    whole = len(rows) == rank and all(
        isinstance(row, list) and len(row) == rank + 1 and all(map(_is_finite, row)) for row in rows
    )
    if not whole:
        raise UnplacedError(f"its transform has no matrix of {rank} by {rank + 1} numbers")
    return np.array(rows, dtype=float)


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def is_point(values: object, rank: int) -> bool:
    """Whether a value is a list of this many finite coordinates."""
    return isinstance(values, list) and len(values) == rank and all(map(_is_finite, values))


def stack_points(points: Sequence[Sequence[float]], rank: int) -> Array:
    """Put points into an array, shape (n, rank), even if there are no points."""
    return np.array(points, dtype=float).reshape(-1, rank)
