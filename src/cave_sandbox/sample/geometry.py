"""Shapes of a synthetic neuron: soma, branches, spines, boutons, and points on their surfaces.

All lengths are in nm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def unit(vectors: Floats) -> Floats:
    """Scale non-zero vectors (..., 3) to length 1."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def perpendicular(rng: np.random.Generator, axes: Floats) -> Floats:
    """Draw a unit vector at a right angle to each of n unit vectors, shape (n, 3)."""
    raw = rng.normal(size=axes.shape)
    return unit(raw - np.sum(raw * axes, axis=1, keepdims=True) * axes)


class Rows:
    """Base of records whose fields are arrays of n rows each."""

    def take(self, rows: Ints) -> Self:
        """Return these rows."""
        return type(self)(*(column[rows] for column in vars(self).values()))

    @classmethod
    def join(cls, parts: Iterable[Rows]) -> Self:
        """Put the rows of several records below each other."""
        columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))


@dataclass(frozen=True)
class Branch:
    """An unbranched neurite, from where it leaves its parent to its tip."""

    kind: str  # apical, basal or axon
    points: Floats  # centre line in nm, (n, 3), n >= 2
    radii: Floats  # in nm, (n,)
    parent: int = -1  # index of the branch that it leaves; -1 if it leaves the soma
    parent_node: int = -1  # index of the parent's point where it leaves

    def tangents(self) -> Floats:
        """Return the unit direction at each point, shape (n, 3)."""
        return unit(np.gradient(self.points, axis=0))

    def arc(self) -> Floats:
        """Measure the length along the centre line at each point in nm, shape (n,)."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])


@dataclass(frozen=True)
class Soma:
    """A star-shaped soma: a ball drawn out towards the neurites that leave it, k lobes in all."""

    centre: Floats  # in nm, (3,)
    radius: float  # of the ball, in nm
    nucleus_radius: float  # in nm
    lobes: Floats  # unit directions of the neurites, (k, 3)
    heights: Floats  # height of each lobe, relative to the radius, (k,)
    sharpness: Floats  # how narrow each lobe is, (k,)

    def surface(self, directions: Floats) -> Floats:
        """Measure in nm from the centre to the surface along unit directions: (n, 3) to (n,)."""
        bulge = np.exp(self.sharpness * (directions @ self.lobes.T - 1.0)) @ self.heights
        ripple = np.sin(directions @ np.array([5.0, 3.0, 4.0])) * 0.02
        return self.radius * (1.0 + bulge + ripple)

    def depth(self, points: Floats) -> Floats:
        """Measure how far outside the surface points are, along rays from the centre (nm).

        Negative inside. Shape (n, 3) in, (n,) out.
        """
        rays = points - self.centre
        lengths = np.maximum(np.linalg.norm(rays, axis=1), 1e-6)
        return lengths - self.surface(rays / lengths[:, None])


@dataclass(frozen=True)
class Spines(Rows):
    """Dendritic spines, one a row; lengths in nm."""

    base: Floats  # where the neck leaves the dendrite's centre line, (n, 3)
    direction: Floats  # unit vector from base to head, (n, 3)
    length: Floats  # from base to the centre of the head, (n,)
    shaft: Floats  # radius of the dendrite at the base, (n,)
    neck_radius: Floats  # (n,)
    head_radius: Floats  # (n,)

    def heads(self) -> Floats:
        """Return the centres of the heads in nm, shape (n, 3)."""
        return self.base + self.direction * self.length[:, None]


@dataclass(frozen=True)
class Boutons(Rows):
    """Swellings of an axon, one a row: centres (n, 3), radii (n,) and axes (n, 3), in nm."""

    centres: Floats
    radii: Floats
    axes: Floats


@dataclass(frozen=True)
class Cell:
    """A neuron, or a piece of one without the soma: its root ID and its shape."""

    root_id: int
    soma: Soma
    branches: tuple[Branch, ...]
    spines: Spines
    boutons: Boutons
    whole: bool = True


@dataclass(frozen=True)
class Sites(Rows):
    """Points on a cell's surface, one a row."""

    points: Floats  # in nm, (n, 3)
    normals: Floats  # unit vectors out of the cell, (n, 3)
    thickness: Floats  # thickness of the cell below each point, nm, (n,)
    spine: Ints  # the spine that each point is on, -1 for none, (n,)


def sample_axes(
    rng: np.random.Generator, branches: list[Branch], count: int, keep_off: Soma, clearance: float
) -> tuple[Floats, Floats, Floats]:
    """Spread points evenly, with jitter, along the joined centre lines of branches.

    Only places at least ``clearance`` nm outside the soma ``keep_off`` are used. Returns points and
    tangents (n, 3), and radii (n,).
    """
    nodes = [np.column_stack([branch.points, branch.radii]) for branch in branches]
    first = np.concatenate([node[:-1] for node in nodes])
    steps = np.concatenate([np.diff(node, axis=0) for node in nodes])
    tangents = np.concatenate([branch.tangents()[:-1] for branch in branches])
    free = np.all([keep_off.depth(at[:, :3]) > clearance for at in (first, first + steps)], axis=0)
    first, steps, tangents = first[free], steps[free], tangents[free]
    ends_at = np.cumsum(np.linalg.norm(steps[:, :3], axis=1))
    wanted = (np.arange(count) + rng.uniform(size=count)) / count * ends_at[-1]
    segment = np.minimum(np.searchsorted(ends_at, wanted), len(ends_at) - 1)
    begins_at = np.concatenate([[0.0], ends_at[:-1]])
    share = (wanted - begins_at[segment]) / (ends_at - begins_at)[segment]
    drawn = first[segment] + steps[segment] * share[:, None]
    return drawn[:, :3], tangents[segment], drawn[:, 3]


def side_sites(rng: np.random.Generator, centres: Floats, axes: Floats, radii: Floats) -> Sites:
    """Draw a point on the surface of neurites or boutons, at the side of each centre."""
    normals = perpendicular(rng, axes)
    points = centres + normals * radii[:, None]
    return Sites(points, normals, 2.0 * radii, np.full(len(points), -1))


def soma_sites(rng: np.random.Generator, soma: Soma, count: int) -> Sites:
    """Draw points on a soma's surface, away from its neurites."""
    directions = unit(rng.normal(size=(40 * count + 400, 3)))
    nearness = np.max(directions @ soma.lobes.T, axis=1)
    directions = directions[nearness < np.cos(np.deg2rad(24.0))][:count]
    points = soma.centre + directions * soma.surface(directions)[:, None]
    return Sites(points, directions, np.full(count, soma.radius), np.full(count, -1))


def spine_sites(rng: np.random.Generator, spines: Spines, rows: Ints) -> Sites:
    """Draw a point on the outer half of the heads of some spines."""
    spines = spines.take(rows)
    tilt = rng.normal(scale=0.45, size=spines.direction.shape)
    normals = unit(spines.direction + tilt)
    points = spines.heads() + normals * spines.head_radius[:, None]
    return Sites(points, normals, 2.0 * spines.head_radius, rows)
