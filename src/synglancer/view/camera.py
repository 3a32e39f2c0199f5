"""Choose position and zoom of the viewer, in voxels, from positions in nm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

# Neuroglancer's 3D view has a vertical field of view of 45 degrees, so the camera is this many
# view heights away from the position that it looks at.
_DISTANCE = 0.5 / np.tan(np.pi / 8)
_MARGIN = 1.12  # dendrites reach past their last synapse
_MANY = 200  # with fewer points, none is called a stray
_SMALLEST_NM = 20_000.0  # the closest view shows a soma and its surroundings
_SECTION_NM_PER_PIXEL = 32.0  # a soma and its surroundings fit a section of 640 pixels


@dataclass(frozen=True)
class CameraView:
    """Position and zoom of the viewer.

    Attributes
    ----------
    position
        Centre of both views, in voxels; None if it is unknown.
    cross_section_scale
        Side of a screen pixel in the sections, in the smallest side of a voxel.
    projection_scale
        Height of the 3D view at the position, in the smallest side of a voxel.
    """

    position: tuple[float, float, float] | None
    cross_section_scale: float
    projection_scale: float


def frame_cell(
    positions: np.ndarray[Any, Any],
    somata: Sequence[Any],
    resolution: Sequence[float],
    *,
    focus: Sequence[float] | None = None,
    centred: bool = False,
    aspect: float = 0.9,
) -> CameraView:
    """Centre the view on the soma, from far enough to see the whole cell, or all cells.

    The orientation is Neuroglancer's own: x to the right, y down, z away from the reader.

    Parameters
    ----------
    positions : array, shape (n, 3), nm
        Points that must be in the 3D view, except for strays.
    somata : array, shape (m, 3), nm
        Positions of the somata, the most important one first. Without somata, the view is centred
        on the position nearest to the median.
    resolution : (x, y, z), nm
        Size of the viewer's voxel.
    focus : (x, y, z), nm
        Centre the view here instead.
    centred
        Centre on the middle of the extent instead, for views without sections.
    aspect
        Width over height of the 3D view.

    Examples
    --------
    >>> frame_cell(np.array([[0, 0, 0], [0, 90_000, 0]]), [(0, 0, 0)], (4, 4, 40)).position
    (0.0, 0.0, 0.0)
    """
    points = _leave_out_strays(np.asarray(positions, dtype=np.float64).reshape(-1, 3))
    bodies = np.asarray(somata, dtype=np.float64).reshape(-1, 3)
    points = np.vstack([points, bodies])
    voxel = np.asarray(resolution, dtype=np.float64)
    smallest = float(voxel.min())
    section = _SECTION_NM_PER_PIXEL / smallest
    if not len(points):
        return CameraView(None, section, 10 * _SMALLEST_NM / smallest)
    if centred:
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
    elif focus is not None or len(bodies):
        centre = np.asarray(bodies[0] if focus is None else focus, dtype=np.float64)
    else:
        centre = np.asarray(find_middle(points))
    height = max(_SMALLEST_NM, _needed_height(points - centre, aspect))
    x, y, z = (round(float(value), 2) for value in centre / voxel)
    return CameraView((x, y, z), section, float(f"{height / smallest:.3g}"))  # more is not seen


def find_middle(points: np.ndarray[Any, Any]) -> tuple[float, float, float] | None:
    """Find the point in the middle of points, shape (n, 3); None if there are no points.

    The median itself may lie in empty space, where a section shows no synapse.
    """
    if not len(points):
        return None
    placed = points.astype(np.float64)
    away = np.linalg.norm(placed - np.median(placed, axis=0), axis=1)
    x, y, z = placed[int(np.argmin(away))].tolist()
    return x, y, z


def _leave_out_strays(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Leave out the few distant points that would make the cell look small.

    A stray lies more than twice as far out as 99 of 100 points. It belongs to a falsely merged
    piece; an axon would have more points.
    """
    if len(points) < _MANY:
        return points
    away = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return points[away <= max(2 * np.quantile(away, 0.99), _SMALLEST_NM)]


def _needed_height(offsets: np.ndarray[Any, Any], aspect: float) -> float:
    """Height in nm of a view in which all offsets (n, 3) from its centre are visible.

    An offset towards the reader (negative z) looks larger by perspective: at height h it is
    seen when ``|y| <= (h / 2) (1 + z / (distance h))``, and x likewise.
    """
    across, along, depth = np.abs(offsets[:, 0]) / aspect, np.abs(offsets[:, 1]), offsets[:, 2]
    half = np.maximum(across, along) * _MARGIN
    # Points straight towards the reader must stay in front of the camera, even after rounding.
    needed = np.maximum(2 * half - depth / _DISTANCE, -depth / _DISTANCE * _MARGIN)
    return float(np.max(needed))
