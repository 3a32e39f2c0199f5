"""Compute fields over a lattice: voxels of cells, smooth noise, and neuropil of packed neurites.

On a small lattice, distances are measured for all voxels; on a large lattice, only the voxels that
a cell fills are listed. Textures are drawn from numbered noise, so that the same place looks the
same each time. Lengths are in nm; fields have shape (z, y, x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cave_sandbox.sample.formats import Axes, Lattice
    from cave_sandbox.sample.geometry import Cell, Floats, Ints, Soma

Field = NDArray[np.float32]

FAR = 3_000.0  # stands for "not near the cell"
_MARGIN = 700.0


def lower_distance(lattice: Lattice, cell: Cell, field: Field) -> None:
    """Lower a field to the distance of each voxel's centre from a cell's surface.

    Distances are in nm, negative inside the cell, and exact only near the surface.
    """
    _measure_soma(lattice, cell.soma, field)
    middles, lines, first, last, reach = _capsules(cell)
    for row, window, away in lattice.around(middles, reach):
        found = _capsule_distance(away, lines[row], float(first[row]), float(last[row]))
        np.minimum(field[window], found, out=field[window])


def list_voxels(lattice: Lattice, cell: Cell) -> Ints:
    """List the voxels (n, 3) that a cell fills, on a lattice too large to hold in memory.

    Voxels are counted from the lattice's first voxel; some may be listed twice. A neurite thinner
    than a voxel fills the voxels along its centre line.
    """
    size = np.array(lattice.resolution, dtype=np.float64)
    points, radii = _beads(cell, 0.6 * float(size.min()))
    home = np.floor(points / size).astype(np.int64)
    found = [home]
    # A ball much smaller than a voxel fills only the voxel that it is in.
    reach = np.maximum(np.ceil(radii / size.min() - 0.5), 0.0).astype(np.int64)
    for steps in range(1, int(reach.max()) + 1):
        rows = np.flatnonzero(reach == steps)
        span = np.arange(-steps, steps + 1)
        around = np.stack(np.meshgrid(span, span, span, indexing="ij"), axis=-1).reshape(-1, 3)
        near = home[rows][:, None] + around
        away = (((near + 0.5) * size - points[rows][:, None]) ** 2).sum(axis=2)
        found.append(near[away <= radii[rows][:, None] ** 2])
    found.append(_soma_voxels(size, cell.soma))
    voxels: Ints = np.concatenate(found) - np.array(lattice.offset)
    return voxels[np.all((voxels >= 0) & (voxels < np.array(lattice.shape)), axis=1)]


def _measure_soma(lattice: Lattice, soma: Soma, field: Field) -> None:
    """Measure on every fourth voxel along x and y and interpolate, as the surface is smooth."""
    rough = lattice.coarser(4)
    reach = np.array([1.9 * soma.radius + _MARGIN])
    for _, window, away in rough.around(soma.centre[None], reach):
        points = np.stack(np.broadcast_arrays(*away), axis=-1) + soma.centre
        distance = np.full(rough.shape[::-1], FAR, dtype=np.float32)
        distance[window] = soma.depth(points.reshape(-1, 3)).reshape(points.shape[:3])
        np.minimum(field, enlarge(distance, 4), out=field)


def _capsules(cell: Cell) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """List all n straight pieces of a cell except its soma.

    Returns the middles and the vectors from end to end (n, 3), the radii at both ends (n,), and
    the distance from its middle up to which each piece matters (n,).
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
    return (starts + ends) / 2.0, ends - starts, first, last, reach


def _capsule_distance(away: Axes, line: Floats, first: float, last: float) -> Field:
    """Measure the distance to a straight, tapering piece, in coordinates around its middle."""
    (x, y, z), (a, b, c) = away, line.tolist()
    length = max(a * a + b * b + c * c, 1e-6)
    along = np.clip((x * a + y * b + z * c) / length, -0.5, 0.5)
    distance = np.sqrt((x - along * a) ** 2 + (y - along * b) ** 2 + (z - along * c) ** 2)
    return distance - (0.5 * (first + last) + (last - first) * along)


def _beads(cell: Cell, step: float) -> tuple[Floats, Floats]:
    """Fill a cell except its soma with balls: centres (n, 3) and radii (n,)."""
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


def smooth_noise(axes: Axes, period: float, number: int) -> Field:
    """Draw noise that varies over a period (nm), with a standard deviation of about 1.

    The same number gives the same noise at the same place.
    """
    places = [axis / np.float32(period) for axis in axes]
    low = [int(np.floor(place[0])) for place in places]
    nodes = [
        np.arange(first, int(np.floor(place[-1])) + 2, dtype=np.int32)
        for place, first in zip(places, low, strict=True)
    ]
    z, y, x = np.meshgrid(nodes[2], nodes[1], nodes[0], indexing="ij")
    code = _hash(x, y, z, number)
    # The sum of four uniform draws is close enough to a normal distribution.
    draws = [((code >> np.uint32(8 * i)) & np.uint32(255)).astype(np.float32) for i in range(4)]
    field: Field = (sum(draws[1:], draws[0]) - np.float32(510.0)) / np.float32(92.0)
    # The longest axis comes last, because each step makes the field larger.
    for along in range(3):
        index = 2 - along
        share = places[index] - low[index]
        node = np.floor(share).astype(np.int64)
        share = share - node
        field = _between(field, node, share * share * (3.0 - 2.0 * share), along)
    return field


def _between(field: Field, node: Ints, share: Floats, along: int) -> Field:
    """Interpolate along an axis, at a share of the way from each node to the next."""
    shape = [1, 1, 1]
    shape[along] = len(share)
    weight = share.astype(np.float32).reshape(shape)
    first, second = np.take(field, node, axis=along), np.take(field, node + 1, axis=along)
    return first + (second - first) * weight


def pack_neuropil(axes: Axes, spacing: float, number: int) -> tuple[Field, Field]:
    """Pack a lattice's voxels with neurites: cells around scattered points, bent by noise.

    Returns the distance from the nearest membrane in nm, and a number between 0 and 1 that is
    constant within each neurite. The mean distance between neurites is ``spacing``.
    """
    bend = 0.55 * spacing
    shape = (len(axes[2]), len(axes[1]), len(axes[0]))
    places = []
    for index in range(3):
        stretched = axes[index].reshape([-1 if 2 - index == i else 1 for i in range(3)])
        warp = smooth_noise(axes, 2.2 * spacing, number + index) * np.float32(bend)
        # Sections are thick, so neurites are stretched along z to continue from one to the next.
        stretch = 1.0 if index < 2 else 0.6  # noqa: PLR2004
        places.append((np.broadcast_to(stretched, shape) + warp) * np.float32(stretch / spacing))
    nearest = np.full(shape, 9.0, dtype=np.float32)
    second = np.full(shape, 9.0, dtype=np.float32)
    kind = np.zeros(shape, dtype=np.float32)
    corner = [np.floor(place - np.float32(0.5)).astype(np.int32) for place in places]
    for step in np.ndindex(2, 2, 2):
        cell = [base + np.int32(move) for base, move in zip(corner, step, strict=True)]
        code = _hash(cell[0], cell[1], cell[2], number)
        away = np.zeros(shape, dtype=np.float32)
        for index in range(3):
            jitter = ((code >> np.uint32(8 * index)) & np.uint32(255)).astype(np.float32)
            away += (places[index] - cell[index] - (0.1 + 0.8 / 255.0 * jitter)) ** 2
        away = np.sqrt(away)
        closer = away < nearest
        second = np.where(closer, nearest, np.minimum(second, away))
        kind = np.where(closer, (code >> np.uint32(24)).astype(np.float32) / 255.0, kind)
        nearest = np.where(closer, away, nearest)
    return (second - nearest) * np.float32(0.5 * spacing), kind


def _hash(
    x: NDArray[np.int32], y: NDArray[np.int32], z: NDArray[np.int32], number: int
) -> NDArray[np.uint32]:
    """Mix three integers and a number to 32 bits."""
    mixed = (
        x.astype(np.uint32) * np.uint32(0x8DA6B343)
        ^ y.astype(np.uint32) * np.uint32(0xD8163841)
        ^ z.astype(np.uint32) * np.uint32(0xCB1AB31F)
        ^ np.uint32((number * 0x9E3779B1) & 0xFFFFFFFF)
    )
    mixed ^= mixed >> np.uint32(15)
    mixed *= np.uint32(0x2C1B3C6D)
    mixed ^= mixed >> np.uint32(12)
    mixed *= np.uint32(0x297A2D39)
    mixed ^= mixed >> np.uint32(15)
    return mixed


def enlarge(field: Field, times: int) -> Field:
    """Interpolate a field to the voxel centres of a lattice ``times`` finer along x and y."""
    for along in (1, 2):
        count = field.shape[along]
        place = (np.arange(count * times) + 0.5) / times - 0.5
        node = np.clip(np.floor(place).astype(np.int64), 0, count - 2)
        field = _between(field, node, place - node, along)
    return field
