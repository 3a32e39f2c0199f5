"""Where the viewer looks: positions in nm -> position and scales in voxels.

Plain geometry of Neuroglancer's cameras. It knows nothing of layers or of what the positions
are.
"""

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
_MANY = 200  # fewer points are too few to call some of them strays
_SMALLEST_NM = 20_000.0  # a view no closer than a soma and what is around it
_SECTION_NM_PER_PIXEL = 32.0  # a soma and what is around it fit a section of 640 pixels


@dataclass(frozen=True)
class CameraView:
    """Position and zoom of the viewer.

    Attributes
    ----------
    position
        Where both views are centred, in voxels; None when nothing says where.
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
    """Look at the soma, from far enough to see the whole cell, or all of several.

    The orientation is Neuroglancer's own: x to the right, y down, z away from the reader.

    Parameters
    ----------
    positions : array, shape (n, 3), nm
        What must be in the 3D view, but for strays.
    somata : array, shape (m, 3), nm
        Where somata are, the one to look at first; without any, the view is centred at the
        position nearest the median.
    resolution : (x, y, z), nm
        Size of the viewer's voxel.
    focus : (x, y, z), nm
        Look at this instead.
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
    return CameraView((x, y, z), section, _round(height / smallest))


def find_middle(points: np.ndarray[Any, Any]) -> tuple[float, float, float] | None:
    """Find the middle one of points, shape (n, 3); None where there is none.

    The median itself may lie in empty space; a section there would show no synapse.
    """
    if not len(points):
        return None
    placed = points.astype(np.float64)
    away = np.linalg.norm(placed - np.median(placed, axis=0), axis=1)
    x, y, z = placed[int(np.argmin(away))].tolist()
    return x, y, z


def _leave_out_strays(points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Leave out the few points that would make the cell small in its own picture.

    A stray lies more than twice as far out as 99 of 100 points: a falsely merged piece, not an
    axon, which has more points along it than that.
    """
    if len(points) < _MANY:
        return points
    away = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    kept: np.ndarray[Any, Any] = points[away <= max(2 * np.quantile(away, 0.99), _SMALLEST_NM)]
    return kept


def _needed_height(offsets: np.ndarray[Any, Any], aspect: float) -> float:
    """Height in nm of a view in which all offsets (n, 3) from its centre are visible.

    An offset towards the reader (negative z) looks larger by perspective: at height h it is
    seen when ``|y| <= (h / 2) (1 + z / (distance h))``, and x likewise.
    """
    across, along, depth = np.abs(offsets[:, 0]) / aspect, np.abs(offsets[:, 1]), offsets[:, 2]
    half = np.maximum(across, along) * _MARGIN
    # What lies straight towards the reader must stay in front of the camera, also once rounded.
    needed = np.maximum(2 * half - depth / _DISTANCE, -depth / _DISTANCE * _MARGIN)
    return float(np.max(needed))


def _round(value: float) -> float:
    """Three digits: the rest is noise of no use to the eye."""
    return float(f"{value:.3g}")
