"""The sample's files for the viewer are complete, readable and in the right place."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.sample.minnie import GRID, SOMA
from cave_sandbox.sample.second import build_second
from cave_sandbox.sample.volume import write_volumes

if TYPE_CHECKING:
    from pathlib import Path

SEED = who.SEED_ROOT_ID
DATASTACKS = [who.MINNIE, who.SECOND]


@pytest.fixture(scope="session")
def folder(sample: Path) -> Path:
    return sample


def read_info(folder: Path, datastack: str, path: str) -> dict[str, Any]:
    text = (folder / datastack / "precomputed" / path / "info").read_text("utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def hash_tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.mark.parametrize("datastack", DATASTACKS)
def test_whatever_is_read_says_that_it_is_synthetic(folder: Path, datastack: str) -> None:
    """Descriptions, the notice of the predictions and the segments' descriptions say synthetic."""
    described = json.loads((folder / datastack / "datastack.json").read_text("utf-8"))
    texts = [described["info"]["description"], described["info"]["aligned_volume"]["description"]]
    texts += [table["description"] for table in described["tables"].values()]
    texts += [
        table["notice_text"] for table in described["tables"].values() if table["reference_table"]
    ]
    properties = read_info(folder, datastack, f"seg/{datastack}/properties")["inline"]
    texts += properties["properties"][0]["values"]
    assert all("synthetic" in text.lower() for text in texts)


@pytest.mark.parametrize("datastack", DATASTACKS)
def test_sources_point_to_what_was_written(folder: Path, datastack: str) -> None:
    """The sources in the info record are folders of the sample; the segmentation's ends with the
    right name."""
    info = json.loads((folder / datastack / "datastack.json").read_text("utf-8"))["info"]
    base = f"precomputed://{{origin}}/precomputed/{datastack}/"
    sources = [
        info["aligned_volume"]["image_source"],
        info["segmentation_source"],
        info["skeleton_source"],
    ]
    for source in sources:
        assert source.startswith(base)
        path = source.removeprefix(base).rstrip("/")
        assert read_info(folder, datastack, path)
    # caveclient uses the last part of the address as the name of the segmentation's table.
    assert info["segmentation_source"].endswith(f"/{datastack}")


@pytest.mark.parametrize("datastack", DATASTACKS)
def test_every_chunk_that_the_viewer_may_ask_for_exists(folder: Path, datastack: str) -> None:
    """No chunk of a visible scale is missing, so the viewer's console stays clean."""
    for path in ("em", f"seg/{datastack}"):
        info = read_info(folder, datastack, path)
        hidden, *scales = info["scales"]
        assert hidden["hidden"]
        for scale in scales:
            place = folder / datastack / "precomputed" / path / scale["key"]
            assert {file.name for file in place.iterdir()} == chunk_names(scale)
            # All scales lie within the extent, the last one fills it.
            low = np.array(scale["voxel_offset"]) * scale["resolution"]
            size = np.array(scale["size"]) * scale["resolution"]
            outer = np.array(hidden["voxel_offset"]) * hidden["resolution"]
            outer_size = np.array(hidden["size"]) * hidden["resolution"]
            assert (low >= outer).all()
            assert (low + size <= outer + outer_size).all()
        assert (size == outer_size).all()


def chunk_names(scale: dict[str, Any]) -> set[str]:
    """Derive the names of a scale's chunks from its record, as a viewer does."""
    ranges = []
    for offset, size, chunk in zip(
        scale["voxel_offset"], scale["size"], scale["chunk_sizes"][0], strict=True
    ):
        starts = range(offset, offset + size, chunk)
        ranges.append([f"{at}-{min(at + chunk, offset + size)}" for at in starts])
    return {f"{x}_{y}_{z}.gz" for x in ranges[0] for y in ranges[1] for z in ranges[2]}


@pytest.mark.parametrize("datastack", DATASTACKS)
def test_meshes_parse(folder: Path, datastack: str) -> None:
    """Each labelled segment has a manifest and a fragment with triangles within the volume."""
    base = folder / datastack / "precomputed" / "seg" / datastack
    extent = read_info(folder, datastack, f"seg/{datastack}")["scales"][0]
    low = np.array(extent["voxel_offset"]) * extent["resolution"]
    high = low + np.array(extent["size"]) * extent["resolution"]
    ids = read_info(folder, datastack, f"seg/{datastack}/properties")["inline"]["ids"]
    for segment in ids:
        manifest = json.loads((base / "mesh" / f"{segment}:0").read_text("utf-8"))
        (fragment,) = manifest["fragments"]
        data = gzip.decompress((base / "mesh" / f"{fragment}.gz").read_bytes())
        count = int(np.frombuffer(data, "<u4", 1)[0])
        vertices = np.frombuffer(data, "<f4", 3 * count, 4).reshape(-1, 3)
        triangles = np.frombuffer(data, "<u4", offset=4 + 12 * count).reshape(-1, 3)
        assert triangles.max() == count - 1
        assert 5_000 < len(triangles) < 165_000
        assert (vertices > low).all()
        assert (vertices < high).all()


@pytest.mark.parametrize("datastack", DATASTACKS)
def test_skeletons_are_trees(folder: Path, datastack: str) -> None:
    """Each segment's skeleton can be parsed, is one tree, and has its attributes for each
    vertex."""
    ids = read_info(folder, datastack, f"seg/{datastack}/properties")["inline"]["ids"]
    attributes = read_info(folder, datastack, "skeleton")["vertex_attributes"]
    assert [attribute["id"] for attribute in attributes] == ["radius", "compartment"]
    for segment in ids:
        path = folder / datastack / "precomputed" / "skeleton" / f"{segment}.gz"
        data = gzip.decompress(path.read_bytes())
        vertices, edges = (int(count) for count in np.frombuffer(data, "<u4", 2))
        assert edges == vertices - 1
        assert len(data) == 8 + 12 * vertices + 8 * edges + 4 * 2 * vertices
        pairs = np.frombuffer(data, "<u4", 2 * edges, 8 + 12 * vertices).reshape(-1, 2)
        # Each vertex but the root is reached by one edge from a vertex before it.
        assert sorted(pairs[:, 1]) == list(range(1, vertices))
        assert (pairs[:, 0] < pairs[:, 1]).all()
        radii = np.frombuffer(data, "<f4", vertices, 8 + 12 * vertices + 8 * edges)
        assert (radii > 50).all()


def test_synapses_lie_in_the_segments_of_their_cells(folder: Path) -> None:
    """The segmentation holds the seed cell's ID at its soma and at each of its synapses."""
    info = read_info(folder, who.MINNIE, f"seg/{who.MINNIE}")
    for scale in info["scales"][1:3]:
        assert look_up(folder, scale, SOMA[None]).tolist() == [SEED]
    scale = next(scale for scale in info["scales"] if scale["key"] == "512_512_480")
    path = folder / who.MINNIE / "tables" / f"{who.SYNAPSE_TABLE}.parquet"
    synapses = pd.read_parquet(path)
    for side in ("pre", "post"):
        rows = synapses[synapses[f"{side}_pt_root_id"] == SEED]
        columns = [f"{side}_pt_position_{axis}" for axis in "xyz"]
        found = look_up(folder, scale, rows[columns].to_numpy(dtype=float) * GRID.resolution)
        assert (found == SEED).all()


def look_up(
    folder: Path, scale: dict[str, Any], places: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """Read the segment at positions (n, 3) in nm from a scale's chunks."""
    base = folder / who.MINNIE / "precomputed" / "seg" / who.MINNIE / scale["key"]
    offset, size = np.array(scale["voxel_offset"]), np.array(scale["size"])
    chunk = np.array(scale["chunk_sizes"][0])
    voxels = np.floor(places / scale["resolution"]).astype(int) - offset
    found = np.zeros(len(places), dtype=np.uint64)
    for corner in np.unique(voxels // chunk, axis=0):
        low, high = corner * chunk, np.minimum((corner + 1) * chunk, size)
        names = [f"{a}-{b}" for a, b in zip(low + offset, high + offset, strict=True)]
        data = gzip.decompress((base / f"{'_'.join(names)}.gz").read_bytes())
        rows = np.flatnonzero((voxels // chunk == corner).all(axis=1))
        for row in rows:
            found[row] = decode(data, voxels[row] - low, high - low)
    return found


def decode(data: bytes, voxel: np.ndarray[Any, Any], shape: np.ndarray[Any, Any]) -> int:
    """Decode one voxel of a compressed_segmentation chunk, following the format's description."""
    words = np.frombuffer(data, "<u4")[1:]
    grid = -(-shape // 8)
    block, inside = voxel // 8, voxel % 8
    number = int(block[0] + grid[0] * (block[1] + grid[1] * block[2]))
    table, bits = int(words[2 * number]) & 0xFFFFFF, int(words[2 * number]) >> 24
    index = 0
    if bits:
        place = int(inside[0] + 8 * (inside[1] + 8 * inside[2])) * bits
        word = int(words[int(words[2 * number + 1]) + place // 32])
        index = (word >> (place % 32)) & ((1 << bits) - 1)
    return int(words[table + 2 * index]) | int(words[table + 2 * index + 1]) << 32


def test_the_soma_has_a_pale_nucleus(folder: Path) -> None:
    """In the finest section, the nucleus is paler than the neuropil beside the soma."""
    scale = read_info(folder, who.MINNIE, "em")["scales"][1]
    first = np.floor(SOMA / scale["resolution"]).astype(int) - scale["voxel_offset"]
    image = np.zeros(scale["size"][::-1], dtype=np.uint8)
    base = folder / who.MINNIE / "precomputed" / "em" / scale["key"]
    for path in base.iterdir():
        spans = [tuple(int(n) for n in span.split("-")) for span in path.name[:-3].split("_")]
        x, y, z = (
            slice(a - o, b - o) for (a, b), o in zip(spans, scale["voxel_offset"], strict=True)
        )
        data = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
        image[z, y, x] = data.reshape(image[z, y, x].shape)
    section = image[first[2]]
    nucleus = section[first[1] - 60 : first[1] + 60, first[0] - 60 : first[0] + 60]
    corner = section[:80, :80]
    assert nucleus.mean() > corner.mean() + 20
    assert corner.std() > 20


def test_two_generations_are_equal(folder: Path, tmp_path: Path) -> None:
    """Imagery, meshes, skeletons and segments always have the same bytes."""
    write_volumes(tmp_path, build_second())
    again = hash_tree(tmp_path)
    assert again == hash_tree(folder / who.SECOND / "precomputed")
    assert len(again) > 50
