"""Which voxels a cell fills: distances on a small dense lattice, a list on a large sparse one.

Lengths are in nm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cave_sandbox.sample.texture import enlarge

if TYPE_CHECKING:
    from cave_sandbox.sample.formats import Lattice
    from cave_sandbox.sample.geometry import Cell, Floats, Ints, Soma

Field = NDArray[np.float32]

FAR = 3_000.0
"""Distance that stands for "not near the cell"."""

_MARGIN = 700.0


def measure_distance(lattice: Lattice, cell: Cell) -> Field:
    """Measure how far each voxel's centre is from a cell's surface, negative inside.

    Parameters
    ----------
    lattice
        A small scale.
    cell
        The cell.

    Returns
    -------
    Field
        Shape (z, y, x), nm, at most `FAR`; exact near the surface only.
    """
    x, y, z = lattice.shape
    field: Field = np.full((z, y, x), FAR, dtype=np.float32)
    _measure_soma(lattice, cell.soma, field)
    axes = [lattice.axis(index).astype(np.float64) for index in range(3)]
    starts, ends, first, last, middles, reach = _capsules(cell)
    for row in lattice.near(middles, reach):
        window = lattice.window(middles[row], reach[row])
        if window is None:
            continue
        part = [axis[window[2 - index]] - starts[row, index] for index, axis in enumerate(axes)]
        found = _capsule_distance(part, ends[row] - starts[row], first[row], last[row])
        np.minimum(field[window], found, out=field[window])
    return field


def comes_near(lattice: Lattice, cell: Cell) -> bool:
    """Say whether any part of a cell may lie in a lattice."""
    *_, middles, reach = _capsules(cell)
    return lattice.window(cell.soma.centre, _soma_reach(cell.soma)) is not None or bool(
        len(lattice.near(middles, reach))
    )


def list_voxels(lattice: Lattice, cell: Cell) -> Ints:
    """List the voxels that a cell fills, on a lattice too large to hold in memory.

    Neurites thinner than a voxel fill those that their centre line passes.

    Returns
    -------
    Ints
        Voxels counted from the lattice's first, shape (n, 3); some may be listed twice.
    """
    size = np.array(lattice.resolution, dtype=np.float64)
    points, radii = _beads(cell, 0.6 * float(size.min()))
    home = np.floor(points / size).astype(np.int64)
    found = [home]
    # A ball much smaller than a voxel fills none but its own.
    reach = np.maximum(np.ceil(radii / size.min() - 0.5), 0.0).astype(np.int64)
    for steps in range(1, int(reach.max()) + 1):
        rows = np.flatnonzero(reach == steps)
        if len(rows) == 0:
            continue
        span = np.arange(-steps, steps + 1)
        around = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
        near = home[rows][:, None] + around
        away = (((near + 0.5) * size - points[rows][:, None]) ** 2).sum(axis=2)
        found.append(near[away <= radii[rows][:, None] ** 2])
    found.append(_soma_voxels(size, cell.soma))
    voxels: Ints = np.concatenate(found) - np.array(lattice.offset)
    kept: Ints = voxels[np.all((voxels >= 0) & (voxels < np.array(lattice.shape)), axis=1)]
    return kept


def _measure_soma(lattice: Lattice, soma: Soma, field: Field) -> None:
    """Measure on every fourth voxel along x and y, and interpolate: the surface is smooth."""
    rough = lattice.coarser(4)
    window = rough.window(soma.centre, _soma_reach(soma))
    if window is None:
        return
    axes = [rough.axis(index)[window[2 - index]].astype(np.float64) for index in range(3)]
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    points = np.stack([x, y, z], axis=-1)
    distance = np.full(rough.shape[::-1], FAR, dtype=np.float32)
    distance[window] = soma.depth(points.reshape(-1, 3)).reshape(x.shape)
    np.minimum(field, enlarge(distance, 4), out=field)


def _soma_reach(soma: Soma) -> float:
    """Return how far a soma's lobes may reach, with the margin."""
    return 1.9 * soma.radius + _MARGIN


def _capsules(cell: Cell) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """List all straight pieces of a cell.

    Returns
    -------
    tuple of Floats
        Starts and ends (n, 3), radii there (n,), middles (n, 3), and how far from its middle a
        piece matters (n,).
    """
    branches, spines, boutons = cell.branches, cell.spines, cell.boutons
    heads = spines.heads()
    still = (heads, boutons.centres)
    thick = (spines.neck_radius, spines.head_radius, boutons.radii)
    starts = np.concatenate([*(branch.points[:-1] for branch in branches), spines.base, *still])
    ends = np.concatenate([*(branch.points[1:] for branch in branches), heads, *still])
    first = np.concatenate([*(branch.radii[:-1] for branch in branches), *thick])
    last = np.concatenate([*(branch.radii[1:] for branch in branches), *thick])
    reach = np.linalg.norm(ends - starts, axis=1) / 2.0 + np.maximum(first, last) + _MARGIN
    return starts, ends, first, last, (starts + ends) / 2.0, reach


def _capsule_distance(offsets: list[Floats], axis: Floats, first: float, last: float) -> Field:
    """Measure the distance to a straight piece whose radius changes from end to end."""
    x, y, z = offsets[0][None, None, :], offsets[1][None, :, None], offsets[2][:, None, None]
    length = float(axis @ axis)
    along = (x * axis[0] + y * axis[1] + z * axis[2]) / length if length else 0.0 * (x + y + z)
    along = np.clip(along, 0.0, 1.0)
    away = np.sqrt(
        (x - along * axis[0]) ** 2 + (y - along * axis[1]) ** 2 + (z - along * axis[2]) ** 2
    )
    distance: Field = (away - (first + (last - first) * along)).astype(np.float32)
    return distance


def _beads(cell: Cell, step: float) -> tuple[Floats, Floats]:
    """Fill a cell, but for its soma, with balls: centres (n, 3) and radii (n,)."""
    centres, radii = [], []
    for branch in cell.branches:
        arc = branch.arc()
        places = np.linspace(0.0, arc[-1], max(2, int(arc[-1] / step)))
        centres.append(
            np.stack([np.interp(places, arc, branch.points[:, i]) for i in range(3)], axis=1)
        )
        radii.append(np.interp(places, arc, branch.radii))
    spines, heads = cell.spines, cell.spines.heads()
    for share in (0.4, 0.7):
        centres.append(spines.base + (heads - spines.base) * share)
        radii.append(spines.neck_radius)
    centres += [heads, cell.boutons.centres]
    radii += [spines.head_radius, cell.boutons.radii]
    return np.concatenate(centres), np.concatenate(radii)


def _soma_voxels(size: Floats, soma: Soma) -> Ints:
    reach = 1.9 * soma.radius
    low = np.floor((soma.centre - reach) / size).astype(np.int64)
    high = np.floor((soma.centre + reach) / size).astype(np.int64) + 1
    ranges = [np.arange(a, b) for a, b in zip(low, high, strict=True)]
    voxels: Ints = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    return voxels[soma.depth((voxels + 0.5) * size) <= 0.0]
