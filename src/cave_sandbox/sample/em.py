"""Draw the tissue as an electron microscope would show it, in detail or from afar.

In detail: membranes, nuclei, mitochondria and synapses. From afar: cell bodies and vessels in
speckled neuropil. Lengths are in nm, images have shape (z, y, x).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cave_sandbox.sample.fields import (
    FAR,
    enlarge,
    lower_distance,
    pack_neuropil,
    smooth_noise,
)

if TYPE_CHECKING:
    from cave_sandbox.sample.fields import Field
    from cave_sandbox.sample.formats import Axes, Lattice
    from cave_sandbox.sample.geometry import Cell, Floats
    from cave_sandbox.sample.tissue import Tissue

Image = NDArray[np.uint8]

_STEPS = 5  # grey values are multiples of it, which is invisible and halves the size of files
_DENTS = 0.03  # how far nuclei and bodies deviate from spheres
_DENTED = 200  # voxel size in nm below which dents are visible
_DENDRITE = 600  # voxel size in nm below which dendrites are wider than a voxel


def draw_near(
    lattice: Lattice, cells: list[Cell], tissue: Tissue, clefts: Floats, coarser: int
) -> Image:
    """Draw a small block in detail, with the cells' exact outlines.

    ``clefts`` (n, 3) are the positions of synapses onto the cells. Outlines are measured on voxels
    that are ``coarser`` times larger.
    """
    rough = lattice.coarser(coarser)
    axes = lattice.axes
    wall, kind = pack_neuropil(rough.axes, 620.0, 3)
    kind = kind.repeat(coarser, axis=1).repeat(coarser, axis=2)
    wall = enlarge(wall, coarser)
    line = max(24.0, 0.4 * lattice.resolution[0])
    grain = smooth_noise(axes, 2.2 * lattice.resolution[0], 11)
    organelles = enlarge(smooth_noise(rough.axes, 330.0, 12), coarser)
    image = _draw_neurites(wall, kind, organelles, grain, line)
    measured = _measure_tissue(rough, cells, tissue)
    outline, nucleus, vessel = (enlarge(part, coarser) for part in measured)
    _draw_cytoplasm(image, axes, outline, grain, line)
    _draw_nuclei(image, axes, nucleus, grain, line)
    _draw_clefts(image, lattice, outline, clefts)
    _draw_vessels(image, vessel, line)
    return _quantise(image)


def draw_far(lattice: Lattice, cells: list[Cell], tissue: Tissue) -> Image:
    """Draw a large block from afar."""
    axes = lattice.axes
    size = float(lattice.resolution[0])
    # The larger a voxel, the more neurites it averages over.
    speckle = np.float32(10.0 * (256.0 / size) ** 0.2)
    image = np.float32(140.0) + speckle * smooth_noise(axes, 1.3 * size, 21)
    image += np.float32(3.0) * smooth_noise(axes, 9.0 * size, 22)
    outline, nucleus, vessel = _measure_tissue(lattice, cells, tissue)
    calm = np.float32(1.0) - np.float32(0.6) * _inside(outline, size)
    image = np.float32(140.0) + (image - np.float32(140.0)) * calm
    image += 17.0 * _inside(outline, size)
    image += 20.0 * _inside(nucleus, size)
    image -= 26.0 * np.exp(-((nucleus / np.float32(0.5 * size)) ** 2))
    image += (214.0 - image) * _inside(vessel, size)
    above = np.clip((tissue.pia - axes[1]) / size + 0.5, 0.0, 1.0)[None, :, None]
    image += (226.0 - image) * above
    return _quantise(image)


def _draw_neurites(wall: Field, kind: Field, organelles: Field, grain: Field, line: float) -> Field:
    """Draw neurites: grey by neurite, vesicles in some, mitochondria, dark membranes."""
    image: Field = 152.0 + 46.0 * (kind - np.float32(0.5)) + 7.0 * grain
    vesicles = (kind < 0.3) & (wall > 60.0)  # noqa: PLR2004
    image -= np.where(vesicles, 16.0 * np.clip(grain, 0.0, 2.0), 0.0).astype(np.float32)
    deep = np.minimum(organelles - np.float32(0.85), (wall - np.float32(50.0)) / np.float32(60.0))
    body = (deep > 0) & (kind > 0.22) & (kind < 0.85)  # noqa: PLR2004
    image = np.where(body, 104.0 + 9.0 * grain, image)
    image -= np.where(body, 30.0 * np.exp(-((deep / np.float32(0.12)) ** 2)), 0.0)
    image = _darken(image, wall, line, 96.0)
    # A coarser voxel shows an average, so membranes that are drawn too wide are paler.
    return np.float32(140.0) + (image - np.float32(140.0)) * np.float32(min(1.0, 26.0 / line))


def _draw_cytoplasm(image: Field, axes: Axes, outline: Field, grain: Field, line: float) -> None:
    """Draw the inside of the cells, with ER and mitochondria, and their membranes."""
    streaks = np.abs(_octaves(axes, 560.0, 31))
    blobs = _octaves(axes, 500.0, 33) - np.float32(1.15)
    body = 166.0 + 8.0 * grain
    body -= 44.0 * np.clip(np.float32(1.6) - streaks / np.float32(0.07), 0.0, 1.0)
    deep = outline < -200.0  # noqa: PLR2004
    body = np.where((blobs > 0.0) & deep, 106.0 + 10.0 * grain, body)
    body -= np.where(deep, 36.0 * np.clip(1.5 - np.abs(blobs) / np.float32(0.08), 0.0, 1.0), 0.0)
    np.copyto(image, body.astype(np.float32), where=outline < 0)
    image[:] = _darken(image, np.abs(outline), 1.25 * line, 104.0)


def _draw_nuclei(image: Field, axes: Axes, nucleus: Field, grain: Field, line: float) -> None:
    """Draw nuclei: pale, with chromatin at the edge, a nucleolus, and a dark envelope."""
    noise = _octaves(axes, 620.0, 41)
    body = 182.0 + 6.0 * grain + 4.0 * noise
    edge = np.exp(-np.abs(nucleus) / np.float32(240.0))
    body -= 46.0 * np.clip(0.75 * noise + 1.5 * edge - np.float32(0.75), 0.0, 1.0)
    # Nucleoli keep away from the envelope.
    heart = _octaves(axes, 2_300.0, 43) + np.float32(0.16) * noise - np.float32(0.95)
    heart -= 2.6 * np.exp(nucleus / np.float32(700.0))
    shade = np.clip(heart / np.float32(0.1), 0.0, 1.0)
    body += (108.0 + 15.0 * grain - body) * shade
    np.copyto(image, body.astype(np.float32), where=nucleus < 0)
    image[:] = _darken(image, np.abs(nucleus), 1.1 * line, 96.0)
    image[:] = _darken(image, np.abs(nucleus - np.float32(75.0)), line, 60.0)


def _draw_clefts(image: Field, lattice: Lattice, outline: Field, clefts: Floats) -> None:
    """Thicken the membrane at each synapse: its postsynaptic density."""
    for _, window, (x, y, z) in lattice.around(clefts, np.full(len(clefts), 420.0)):
        near = np.exp(-(x**2 + y**2 + z**2) / np.float32(190.0**2))
        thick = np.exp(-((outline[window] + np.float32(15.0)) ** 2) / np.float32(48.0**2))
        image[window] -= (image[window] - 42.0) * np.clip(1.3 * near * thick, 0.0, 1.0)


def _draw_vessels(image: Field, vessel: Field, line: float) -> None:
    """Draw vessels: an empty lumen inside a thin dark wall."""
    image[:] = np.where(vessel < 0, np.float32(222.0), image)
    image[:] = _darken(image, np.abs(vessel + np.float32(120.0)), 4.0 * line, 84.0)


def _measure_tissue(lattice: Lattice, cells: list[Cell], tissue: Tissue) -> Field:
    """Measure the distances to the outlines of cells and bodies, to nuclei, and to vessels."""
    measured: Field = np.full((3, *lattice.shape[::-1]), FAR, dtype=np.float32)
    outline, nucleus, vessel = measured
    size = lattice.resolution[0]
    somata = np.stack([cell.soma.centre for cell in cells])
    radii, nuclei = np.array([(cell.soma.radius, cell.soma.nucleus_radius) for cell in cells]).T
    if size < _DENDRITE:
        for cell in cells:
            lower_distance(lattice, cell, outline)
    else:
        _measure_balls(lattice, somata, radii, outline)
    dents = _DENTS if size < _DENTED else 0.0
    _measure_balls(lattice, somata, nuclei, nucleus, dents)
    _measure_balls(lattice, tissue.bodies, tissue.body_radii, outline, dents)
    _measure_balls(lattice, tissue.bodies, tissue.body_radii * 0.76, nucleus, dents)
    _measure_balls(lattice, tissue.vessels, tissue.vessel_radii, vessel)
    return measured


def _measure_balls(
    lattice: Lattice, centres: Floats, radii: Floats, field: Field, dents: float = 0.0
) -> None:
    """Lower a distance field to the distance from spheres, dented by a share of their radius."""
    reach = radii + 2.0 * max(lattice.resolution)
    for row, window, (x, y, z) in lattice.around(centres, reach):
        away = np.sqrt(x**2 + y**2 + z**2)
        radius = np.float32(radii[row])
        if dents:
            turn = np.float32(3.0) / np.maximum(away, 1.0)
            wave = np.sin(x * turn + row) + np.sin(y * turn - row) + np.sin(z * turn)
            away -= np.float32(dents) * radius * wave
        np.minimum(field[window], away - radius, out=field[window])


def _octaves(axes: Axes, period: float, number: int) -> Field:
    """Draw noise of two periods at half the resolution along x and y, which rounds its blobs."""
    half = (axes[0][::2], axes[1][::2], axes[2])
    field = smooth_noise(half, period, number)
    field += np.float32(0.5) * smooth_noise(half, 0.43 * period, number + 1)
    return enlarge(field * np.float32(0.9), 2)


def _inside(distance: Field, softness: float) -> Field:
    """Turn a distance into 1 inside and 0 outside, soft at the edge."""
    return np.clip(np.float32(0.5) - distance / np.float32(softness), 0.0, 1.0)


def _darken(image: Field, distance: Field, width: float, depth: float) -> Field:
    """Draw a dark line where a distance is below a width."""
    shade = np.clip(1.5 - distance / np.float32(width), 0.0, 1.0)
    return image - np.float32(depth) * shade


def _quantise(image: Field) -> Image:
    steps = np.rint(np.clip(image, 12.0, 245.0) / _STEPS)
    return (steps * _STEPS).astype(np.uint8)
