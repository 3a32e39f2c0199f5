"""Write the sample's imagery, segmentation, meshes, skeletons and segment properties.

The finest scales cover only the surroundings of the first cell's soma; the coarsest scales cover
everything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cave_sandbox.sample.em import draw_far, draw_near
from cave_sandbox.sample.fields import list_voxels, lower_distance
from cave_sandbox.sample.formats import (
    Lattice,
    Triple,
    extent_record,
    triple,
    write_gzip,
    write_image,
    write_json,
    write_segmentation,
)
from cave_sandbox.sample.mesh import encode_mesh, encode_skeleton
from cave_sandbox.sample.tissue import scatter_tissue

if TYPE_CHECKING:
    from pathlib import Path

    from cave_sandbox.sample.geometry import Cell, Floats, Ints
    from cave_sandbox.sample.minnie import Sample

_MARGIN = 12_000.0


def write_volumes(folder: Path, sample: Sample) -> None:
    """Write ``em``, ``seg/<datastack>`` and ``skeleton`` below a folder."""
    thickness = int(sample.resolution[2])
    whole = _whole(sample.cells, (4096, 4096, 96 * thickness))
    _write_imagery(folder / "em", sample, whole)
    segmentation = folder / "seg" / sample.name
    _write_segmentation(segmentation, sample, whole)
    _write_meshes(segmentation / "mesh", sample)
    _write_skeletons(folder / "skeleton", [*sample.cells, *sample.later])
    _write_properties(segmentation / "properties", sample)


def _whole(cells: list[Cell], resolution: Triple) -> Lattice:
    """Return a lattice that holds all cells, with a margin."""
    points = np.concatenate([branch.points for cell in cells for branch in cell.branches])
    size = np.array(resolution)
    low = np.floor((points.min(axis=0) - _MARGIN) / size).astype(int)
    high = np.ceil((points.max(axis=0) + _MARGIN) / size).astype(int)
    return Lattice(resolution, triple(low), triple(high - low), (64, 64, 64))


def _block(resolution: Triple, centre: Floats, shape: Triple, chunk: Triple) -> Lattice:
    """Return a block around a position, on multiples of eight voxels for `Lattice.coarser`."""
    first = np.rint(centre / np.array(resolution) - np.array(shape) / 2.0).astype(int)
    first[:2] -= first[:2] % 8
    return Lattice(resolution, triple(first), shape, chunk)


def _finer(lattice: Lattice, times: int, chunk: Triple) -> Lattice:
    """Return a lattice of the same extent with smaller voxels."""
    resolution = triple(np.array(lattice.resolution) // times)
    offset, shape = (triple(np.array(one) * times) for one in (lattice.offset, lattice.shape))
    return Lattice(resolution, offset, shape, chunk)


def _write_imagery(folder: Path, sample: Sample, whole: Lattice) -> None:
    thickness = int(sample.resolution[2])
    soma = sample.cells[0].soma.centre
    lower = np.multiply(whole.offset, whole.resolution, dtype=float)
    upper = lower + np.multiply(whole.shape, whole.resolution)
    rng = np.random.default_rng(101)
    tissue = scatter_tissue(rng, lower, upper, sample.cells, sample.pia)
    side = sample.detail
    near = _block((20, 20, 8 * thickness), soma, (side, side, 3), (side // 4, side // 4, 3))
    side = side * 3 // 8
    wide = _block((96, 96, 16 * thickness), soma, (side, side, 8), (192, 192, 8))
    mid = _block((256, 256, 12 * thickness), soma, (side, side, 20), (192, 192, 20))
    fine = _finer(whole, 4, (256, 256, 8))
    middle = round(soma[2] / fine.resolution[2])
    slab = replace(fine, offset=(*fine.offset[:2], middle - 4), shape=(*fine.shape[:2], 8))
    scales = [near, wide, mid, slab, whole]
    contacts = sample.contacts
    clefts = contacts.ctr_pt[contacts.post == sample.cells[0].root_id]
    for scale, coarser in ((near, 2), (wide, 1)):
        write_image(folder, scale, draw_near(scale, sample.cells, tissue, clefts, coarser))
    for scale in (mid, slab, whole):
        write_image(folder, scale, draw_far(scale, sample.cells, tissue))
    _write_info(folder, sample, scales, ("image", "uint8", "raw"))


def _write_segmentation(folder: Path, sample: Sample, whole: Lattice) -> None:
    thickness = int(sample.resolution[2])
    soma = sample.cells[0].soma.centre
    segments = np.array([0, *(cell.root_id for cell in sample.cells)], dtype=np.uint64)
    side = sample.detail // 2
    near = _block((40, 40, 4 * thickness), soma, (side, side, 8), (side // 2, side // 2, 8))
    side = side * 3 // 4
    wide = _block((128, 128, 4 * thickness), soma, (side, side, 32), (side // 2, side // 2, 32))
    fine = _finer(whole, 8, (256, 256, 128))
    for scale in (near, wide):
        voxels, labels = _fill_dense(scale, sample.cells)
        write_segmentation(folder, scale, voxels, labels, segments)
    for scale in (fine, whole):
        voxels, labels = _fill_sparse(scale, sample)
        write_segmentation(folder, scale, voxels, labels, segments)
    kind = ("segmentation", "uint64", "compressed_segmentation")
    more = {"mesh": "mesh", "segment_properties": "properties"}
    _write_info(folder, sample, [near, wide, fine, whole], kind, **more)


def _fill_dense(lattice: Lattice, cells: list[Cell]) -> tuple[Ints, Any]:
    """Label each voxel of a small scale with the cell that it lies deepest in."""
    deepest = np.zeros(lattice.shape[::-1], dtype=np.float32)
    labels = np.zeros(lattice.shape[::-1], dtype=np.uint8)
    for number, cell in enumerate(cells, start=1):
        before = deepest.copy()
        lower_distance(lattice, cell, deepest)
        labels[deepest < before] = number
    found = np.nonzero(labels)
    return np.stack(found[::-1], axis=1), labels[found]


def _fill_sparse(lattice: Lattice, sample: Sample) -> tuple[Ints, Any]:
    """List the voxels of a large scale; where cells meet, they belong to the first cell."""
    contacts = sample.contacts
    codes, labels = [], []
    for number, cell in enumerate(sample.cells, start=1):
        # A synapse's own voxel belongs to its cell, however thin the cell is there.
        post = contacts.post_pt[contacts.post == cell.root_id]
        pre = contacts.pre_pt[contacts.pre == cell.root_id]
        size = np.array(sample.resolution)
        # The tables hold rounded positions, and users look there.
        ends = lattice.voxels(np.rint(np.concatenate([post, pre]) / size) * size)
        voxels = np.concatenate([list_voxels(lattice, cell), ends])
        code = np.unique(np.ravel_multi_index(voxels.T, lattice.shape, order="F"))
        codes.append(code)
        labels.append(np.full(len(code), number, dtype=np.uint8))
    unique, first = np.unique(np.concatenate(codes), return_index=True)
    xyz = np.unravel_index(unique, lattice.shape, order="F")
    return np.stack(xyz, axis=1), np.concatenate(labels)[first]


def _write_meshes(folder: Path, sample: Sample) -> None:
    write_json(folder / "info", {"@type": "neuroglancer_legacy_mesh"})
    for cell in [*sample.cells, *sample.later, *sample.pieces]:
        fragment = f"{cell.root_id}.surface"
        write_json(folder / f"{cell.root_id}:0", {"fragments": [fragment]})
        write_gzip(folder / fragment, encode_mesh(cell))


def _write_skeletons(folder: Path, cells: list[Cell]) -> None:
    attributes = [
        {"id": name, "data_type": "float32", "num_components": 1}
        for name in ("radius", "compartment")
    ]
    info = {
        "@type": "neuroglancer_skeletons",
        "transform": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0],
        "vertex_attributes": attributes,
    }
    write_json(folder / "info", info)
    for cell in cells:
        write_gzip(folder / str(cell.root_id), encode_skeleton(cell))


def _write_properties(folder: Path, sample: Sample) -> None:
    """Tag each cell with its type, and describe it as synthetic.

    Cells have no labels, as in the real segmentation: viewers would show a label after the cell's
    ID in their top bar whenever the mouse is over the cell.
    """
    cells = [*sample.cells, *sample.later]
    labels = [sample.labels[cell.root_id] for cell in cells]
    types = sorted({cell_type for _, cell_type in labels})
    inline = {
        "ids": [str(cell.root_id) for cell in cells],
        "properties": [
            {
                "id": "description",
                "type": "description",
                "values": [f"{label} (synthetic)" for label, _ in labels],
            },
            {
                "id": "tags",
                "type": "tags",
                "tags": types,
                "tag_descriptions": ["cell type" for _ in types],
                "values": [[types.index(cell_type)] for _, cell_type in labels],
            },
        ],
    }
    write_json(folder / "info", {"@type": "neuroglancer_segment_properties", "inline": inline})


def _write_info(
    folder: Path, sample: Sample, scales: list[Lattice], kind: tuple[str, str, str], **more: str
) -> None:
    """Write a volume's ``info``; the kind is its type, data type and encoding."""
    extent = extent_record(scales[-1], sample.resolution)
    info = {
        "@type": "neuroglancer_multiscale_volume",
        "type": kind[0],
        "data_type": kind[1],
        "num_channels": 1,
        "scales": [extent, *(scale.describe(kind[2]) for scale in scales)],
        **more,
    }
    write_json(folder / "info", info)
