"""Place other cell bodies, blood vessels and the pia around the sample's cells.

The module `em` draws them. Lengths are in nm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cave_sandbox.sample.geometry import Cell, Floats
    from cave_sandbox.sample.wiring import Flags

_SPACING = 21_000.0
_LAYER_1 = 90_000.0
_SHALLOWEST = 8_000.0


@dataclass(frozen=True)
class Tissue:
    """The surroundings of the cells: cell bodies, and balls that form blood vessels."""

    pia: float  # along y
    bodies: Floats  # centres of other cell bodies, (n, 3)
    body_radii: Floats  # (n,)
    vessels: Floats  # centres of balls, (m, 3)
    vessel_radii: Floats  # (m,)


def scatter_tissue(
    rng: np.random.Generator, lower: Floats, upper: Floats, cells: list[Cell], pia: float
) -> Tissue:
    """Fill a box around cells with other cell bodies and vessels that overlap no cell.

    The pia, along y, may lie outside the box.
    """
    dendrites = np.concatenate(
        [branch.points[::4] for cell in cells for branch in cell.branches if branch.kind != "axon"]
    )
    somata = np.stack([cell.soma.centre for cell in cells])
    bodies = _scatter_bodies(rng, lower, upper, pia)
    radii = rng.uniform(4_200.0, 6_800.0, size=len(bodies))
    free = _clear_of(bodies, somata, 15_500.0) & _clear_of(bodies, dendrites, 8_000.0)
    vessels, vessel_radii = _grow_vessels(rng, lower, upper, 40, somata)
    free &= _clear_of(bodies, vessels[::3], 11_000.0)
    below = vessels[:, 1] > pia
    return Tissue(pia, bodies[free], radii[free], vessels[below], vessel_radii[below])


def _scatter_bodies(rng: np.random.Generator, lower: Floats, upper: Floats, pia: float) -> Floats:
    """Place one body in most fields of a lattice, but in few fields of layer 1."""
    ranges = [np.arange(a, b, _SPACING) for a, b in zip(lower, upper, strict=True)]
    corners = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    bodies: Floats = corners + rng.uniform(0.18, 0.82, size=corners.shape) * _SPACING
    depth = bodies[:, 1] - pia
    chance = np.where(depth < _LAYER_1, 0.12, 0.8)
    return bodies[(depth > _SHALLOWEST) & (rng.uniform(size=len(bodies)) < chance)]


def _grow_vessels(
    rng: np.random.Generator, lower: Floats, upper: Floats, count: int, somata: Floats
) -> tuple[Floats, Floats]:
    """Grow vessels from the top to the bottom, without vessels that would cross a soma."""
    centres, radii = [], []
    step = 2_500.0
    for _ in range(count):
        start = rng.uniform(lower, upper)
        start[1] = lower[1]
        steps = int((upper[1] - lower[1]) * 1.3 / step)
        heading = np.cumsum(rng.normal(scale=0.09, size=(steps, 3)), axis=0)
        heading[:, 1] += 1.0
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        path = start + np.cumsum(heading * step, axis=0)
        if not _clear_of(path, somata, 17_000.0).all():
            continue
        centres.append(path)
        radii.append(np.full(steps, rng.uniform(2_300.0, 4_200.0)))
    return np.concatenate(centres), np.concatenate(radii)


def _clear_of(points: Floats, others: Floats, distance: float) -> Flags:
    """Return which points are further than a distance from all the others."""
    middle = others.mean(axis=0)
    here, there = (points - middle).astype(np.float32), (others - middle).astype(np.float32)
    clear = np.ones(len(here), dtype=bool)
    for first in range(0, len(here), 512):
        part = here[first : first + 512]
        # |a - b|^2, without holding all differences in memory.
        away = (part**2).sum(axis=1)[:, None] + (there**2).sum(axis=1) - 2.0 * part @ there.T
        clear[first : first + 512] = away.min(axis=1) > distance**2
    return clear
