"""Textures of electron micrographs: smooth noise, and neuropil as packed neurites.

Everything is drawn from numbered noise, so that the same place looks the same each time. Lengths
are in nm; fields have shape (z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cave_sandbox.sample.fields import Field

Axes = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Neuropil:
    """Packed neurites.

    Attributes
    ----------
    wall
        Distance from the nearest membrane in nm.
    kind
        A number between 0 and 1 that is the same all through a neurite.
    """

    wall: Field
    kind: Field


def smooth_noise(axes: Axes, period: float, number: int) -> Field:
    """Draw noise with a standard deviation of about 1 that changes over a period.

    Parameters
    ----------
    axes
        Positions along x, y and z in nm.
    period
        Distance over which the noise changes, in nm.
    number
        Which noise: the same number gives the same noise at the same place.
    """
    places = [axis / np.float32(period) for axis in axes]
    low = [int(np.floor(place[0])) for place in places]
    nodes = [
        np.arange(first, int(np.floor(place[-1])) + 2, dtype=np.int32)
        for place, first in zip(places, low, strict=True)
    ]
    z, y, x = np.meshgrid(nodes[2], nodes[1], nodes[0], indexing="ij")
    code = _hash(x, y, z, number)
    # The sum of four even draws is close enough to a normal one.
    draws = [((code >> np.uint32(8 * i)) & np.uint32(255)).astype(np.float32) for i in range(4)]
    field: Field = (sum(draws[1:], draws[0]) - np.float32(510.0)) / np.float32(92.0)
    # The longest axis comes last, as each turn makes the field larger.
    for along in range(3):
        index = 2 - along
        share = places[index] - low[index]
        node = np.floor(share).astype(np.int64)
        share = share - node
        share = share * share * (3.0 - 2.0 * share)
        shape = [1, 1, 1]
        shape[along] = len(share)
        weight = share.astype(np.float32).reshape(shape)
        first, second = np.take(field, node, axis=along), np.take(field, node + 1, axis=along)
        field = first + (second - first) * weight
    return field


def pack_neuropil(axes: Axes, spacing: float, number: int) -> Neuropil:
    """Pack a lattice's voxels with neurites: cells around scattered points, bent by noise.

    Parameters
    ----------
    axes
        Positions along x, y and z in nm.
    spacing
        Mean distance between neurites in nm.
    number
        Which noise.
    """
    bend = 0.55 * spacing
    shape = (len(axes[2]), len(axes[1]), len(axes[0]))
    places = []
    for index in range(3):
        stretched = axes[index].reshape([-1 if 2 - index == i else 1 for i in range(3)])
        warp = smooth_noise(axes, 2.2 * spacing, number + index) * np.float32(bend)
        # Neurites run on through the thick sections, so they are stretched along z.
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
    wall = (second - nearest) * np.float32(0.5 * spacing)
    return Neuropil(wall, kind)


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
    """Interpolate a field to a lattice that is finer along x and y.

    Parameters
    ----------
    field
        Shape (z, y, x), values at voxel centres.
    times
        Voxels of the finer lattice along a side of one voxel.
    """
    for along in (1, 2):
        count = field.shape[along]
        place = (np.arange(count * times) + 0.5) / times - 0.5
        node = np.clip(np.floor(place).astype(np.int64), 0, count - 2)
        shape = [1, 1, 1]
        shape[along] = count * times
        weight = (place - node).astype(np.float32).reshape(shape)
        first, second = np.take(field, node, axis=along), np.take(field, node + 1, axis=along)
        field = first + (second - first) * weight
    return field
