"""Build the surfaces and skeletons of the sample's cells.

Neurites are tubes, spines and boutons are swellings, and the soma is a ball that is drawn out
towards its neurites. Each tube begins inside its parent, so that the parts join. Positions are in
nm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cave_sandbox.sample.geometry import Floats, Ints, perpendicular, unit

if TYPE_CHECKING:
    from cave_sandbox.sample.geometry import Boutons, Branch, Cell, Soma, Spines

_DENDRITE_SIDES = 7
_AXON_SIDES = 4
_SPINE_SIDES = 5
_BOUTON_SIDES = 6
_SOMA_RINGS, _SOMA_SIDES = 48, 72
_GRAIN = 4.0  # vertices lie on multiples of it (nm), which halves the size of files

COMPARTMENTS = {"soma": 1.0, "axon": 2.0, "basal": 3.0, "apical": 4.0}


@dataclass(frozen=True)
class Mesh:
    """Triangles that face outwards: vertices (n, 3) in nm, and vertex indices (m, 3)."""

    vertices: Floats
    triangles: Ints


def encode_mesh(cell: Cell) -> bytes:
    """Build the surface of a cell, as a fragment of the single-resolution precomputed format."""
    parts = [_branch_mesh(cell.soma, branch) for branch in cell.branches]
    parts += [_soma_mesh(cell.soma)] if cell.whole else []
    parts += [_spine_mesh(cell.spines)] if len(cell.spines.length) else []
    mesh = _join([*parts, _bouton_mesh(cell.boutons)] if len(cell.boutons.radii) else parts)
    count = np.uint32(len(mesh.vertices)).tobytes()
    vertices = (np.rint(mesh.vertices / _GRAIN) * _GRAIN).astype("<f4").tobytes()
    return count + vertices + mesh.triangles.astype("<u4").tobytes()


def encode_skeleton(cell: Cell) -> bytes:
    """Build the skeleton of a cell, a tree rooted at the soma, in the precomputed format.

    Vertices (n, 3) have two attributes: the radius in nm and the compartment.
    """
    vertices, radii = [cell.soma.centre[None]], [np.array([cell.soma.radius])]
    compartments, edges = [np.array([COMPARTMENTS["soma"]])], []
    first_nodes: list[int] = []
    total = 1
    for branch in cell.branches:
        # The first point is the parent's own node, or the soma's centre.
        count = len(branch.points) - 1
        root = 0 if branch.parent < 0 else first_nodes[branch.parent] + branch.parent_node - 1
        chain = np.concatenate([[max(root, 0)], np.arange(total, total + count)])
        edges.append(np.stack([chain[:-1], chain[1:]], axis=1))
        vertices.append(branch.points[1:])
        radii.append(branch.radii[1:])
        compartments.append(np.full(count, COMPARTMENTS[branch.kind]))
        first_nodes.append(total)
        total += count
    columns = [(vertices, "<f4"), (edges, "<u4"), (radii, "<f4"), (compartments, "<f4")]
    head = np.array([total, total - 1], dtype="<u4").tobytes()
    return head + b"".join(np.concatenate(parts).astype(kind).tobytes() for parts, kind in columns)


def _join(parts: list[Mesh]) -> Mesh:
    counts = [len(part.vertices) for part in parts]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    triangles = [part.triangles + start for part, start in zip(parts, starts, strict=True)]
    return Mesh(np.concatenate([part.vertices for part in parts]), np.concatenate(triangles))


def _branch_mesh(soma: Soma, branch: Branch) -> Mesh:
    """Draw a tube around a branch, from inside the soma, with a rounded tip."""
    points, radii = branch.points, branch.radii
    if branch.parent < 0:
        points, radii = _refine_start(points, radii)
        kept = soma.depth(points) > -0.6 * soma.radius
        points, radii = points[kept], radii[kept]
        # A thin start stays below the soma's surface, which curves away beside the stem.
        radii[0] *= 0.55
    tangents = unit(np.gradient(points, axis=0))
    sides = _AXON_SIDES if branch.kind == "axon" else _DENDRITE_SIDES
    # The direction that the tangents share least is "up" along the whole branch, without a twist.
    up = np.linalg.eigh(tangents.T @ tangents)[1][:, 0]
    first = unit(up - (tangents @ up)[:, None] * tangents)
    second = np.cross(tangents, first)
    rings = _ring_points(points, first, second, radii, sides)
    tip = points[-1] + tangents[-1] * radii[-1]
    return _tube(rings[None], tip[None])


def _refine_start(points: Floats, radii: Floats) -> tuple[Floats, Floats]:
    """Add points to the first stretch of a branch, where it leaves the soma."""
    places = np.concatenate([np.arange(0.0, 9.0, 0.4), np.arange(9.0, len(radii))])
    nodes = np.arange(len(radii))
    refined = np.stack([np.interp(places, nodes, points[:, i]) for i in range(3)], axis=1)
    return refined, np.interp(places, nodes, radii)


def _spine_mesh(spines: Spines) -> Mesh:
    """Draw all spines: a neck, and a head of two rings and a tip."""
    head, neck, length = spines.head_radius, spines.neck_radius, spines.length
    heights = np.stack(
        [0.7 * spines.shaft, length - 0.9 * head, length - 0.3 * head, length + 0.5 * head]
    )
    widths = np.stack([2.0 * neck, neck, 0.97 * head, 0.85 * head])
    return _turned(spines.base, spines.direction, heights, widths, length + head, _SPINE_SIDES)


def _bouton_mesh(boutons: Boutons) -> Mesh:
    """Draw all boutons: ellipsoids along the axon."""
    radii = boutons.radii
    heights = np.stack([-1.35 * radii, -0.75 * radii, 0.0 * radii, 0.75 * radii])
    widths = np.stack([0.25 * radii, 0.83 * radii, radii, 0.83 * radii])
    return _turned(boutons.centres, boutons.axes, heights, widths, 1.4 * radii, _BOUTON_SIDES)


def _turned(
    base: Floats, axes: Floats, heights: Floats, widths: Floats, top: Floats, sides: int
) -> Mesh:
    """Rotate profiles around n axes, which start at ``base`` (n, 3).

    Each ring has a height and a width for each axis (rings, n), and the given number of sides. The
    tips (n,) are at ``top``.
    """
    first = perpendicular(np.random.default_rng(len(base)), axes)
    second = np.cross(axes, first)
    centres = base[None] + axes[None] * heights[:, :, None]
    rings = _ring_points(centres, first, second, widths, sides).swapaxes(0, 1)
    return _tube(rings, base + axes * top[:, None])


def _ring_points(
    centres: Floats, first: Floats, second: Floats, radii: Floats, sides: int
) -> Floats:
    """Place vertices around centres: shape (..., 3) and (...) in, (..., sides, 3) out."""
    angles = np.arange(sides) * 2.0 * np.pi / sides
    spokes = (
        first[..., None, :] * np.cos(angles)[:, None]
        + second[..., None, :] * np.sin(angles)[:, None]
    )
    return centres[..., None, :] + spokes * radii[..., None, None]


def _tube(rings: Floats, tips: Floats) -> Mesh:
    """Join rings (n, rings, sides, 3) into n tubes, each closed by a fan to its tip (n, 3)."""
    count, length, sides, _ = rings.shape
    ring = np.arange(length - 1)[:, None] * sides
    here = ring + np.arange(sides)
    beside = ring + (np.arange(sides) + 1) % sides
    walls = np.stack(
        [
            np.stack([here, beside, here + sides], axis=-1),
            np.stack([beside, beside + sides, here + sides], axis=-1),
        ]
    ).reshape(-1, 3)
    last = (length - 1) * sides + np.arange(sides)
    fan = np.stack([last, np.roll(last, -1), np.full(sides, length * sides)], axis=1)
    one = np.concatenate([walls, fan])
    stride = length * sides + 1
    triangles = (one[None] + np.arange(count)[:, None, None] * stride).reshape(-1, 3)
    vertices = np.concatenate([rings.reshape(count, -1, 3), tips[:, None]], axis=1)
    return Mesh(vertices.reshape(-1, 3), triangles)


def _soma_mesh(soma: Soma) -> Mesh:
    """Draw the soma: rings from pole to pole."""
    x, y, pole = np.eye(3)[:, None]
    turns = np.linspace(0.01, np.pi, _SOMA_RINGS, endpoint=False)
    directions = _ring_points(-np.cos(turns)[:, None] * pole, x, y, np.sin(turns), _SOMA_SIDES)
    surface = soma.surface(directions.reshape(-1, 3)).reshape(directions.shape[:2])
    rings = soma.centre + directions * surface[..., None]
    return _tube(rings[None], soma.centre + pole * soma.surface(pole))
