"""A position in a segmentation like CAVE's: a chunked graph over a volume of supervoxels."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [  # warnings of cloud-volume's packages about themselves and about old Pythons
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

PARTNER = who.PARTNERS[0]
ORIGIN = (23250, 16750, 20900)
"""Start of the volume, in its voxels of 32, 32, 40 nm: at the soma of the seed cell."""


def write_supervoxels(folder: Path, labels: list[int]) -> None:
    """Write a volume of six voxels in a row, in blocks of two; the last block is missing."""
    scale = {
        "key": "32_32_40", "size": [6, 1, 1], "voxel_offset": ORIGIN, "resolution": [32, 32, 40],
        "chunk_sizes": [[2, 1, 1]], "encoding": "raw",
    }  # fmt: skip
    info = {
        "type": "segmentation", "data_type": "uint64", "num_channels": 1, "scales": [scale],
    }  # fmt: skip
    (folder / scale["key"]).mkdir(parents=True)
    (folder / "info").write_text(json.dumps(info))
    x, y, z = ORIGIN
    for at in (0, 2):
        block = f"{x + at}-{x + at + 2}_{y}-{y + 1}_{z}-{z + 1}"
        content = np.array(labels[at : at + 2], dtype="<u8").tobytes()
        (folder / scale["key"] / block).write_bytes(content)


@pytest.fixture(scope="module")
def graph(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with the chunked graph as its segmentation source."""
    folder = tmp_path_factory.mktemp("graph") / who.MINNIE
    shutil.copytree(sample / who.MINNIE, folder)
    described = json.loads((folder / "datastack.json").read_text("utf-8"))
    source = f"graphene://{{origin}}/segmentation/table/{who.MINNIE}"
    described["info"]["segmentation_source"] = source
    (folder / "datastack.json").write_text(json.dumps(described))
    nuclei = pd.read_parquet(folder / "tables" / f"{who.NUCLEUS_TABLE}.parquet").set_index("id")
    labels = [
        int(nuclei["pt_supervoxel_id"][who.SEED_NUCLEUS_ID]),
        int(nuclei["pt_supervoxel_id"][PARTNER.nucleus_id]),
        0,
        0x01_23_45_67_89_AB_CD_EF,  # a supervoxel unknown to the graph
    ]
    write_supervoxels(folder / "precomputed" / "supervoxels", labels)
    return folder


@pytest.fixture
def sandbox(options: Any, graph: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    with Sandbox(replace(options, data=graph)) as running:
        monkeypatch.setenv("CAVE_TOKEN", TOKEN)
        monkeypatch.setenv("SYNGLANCER_SERVER", running.origin)
        yield running


def at(voxel: int) -> str:
    """Return the centre of a voxel of the volume, in nm."""
    x, y, z = ORIGIN
    return f"{(x + voxel) * 32 + 16},{y * 32 + 16},{z * 40 + 20}@nm"


def test_a_position_is_a_supervoxel_and_then_the_cell_that_has_it(sandbox, make_link) -> None:
    """The label is read from the volume, and the graph returns its root ID at the timestamp."""
    made = make_link(at(0), at(1), f"{ORIGIN[0] * 8},{ORIGIN[1] * 8},20900", "--output", "json")
    cells = [json.loads(line)["cell"] for line in made.lines]
    assert cells == [CELL, str(PARTNER.root_id), CELL], made.err
    assert {request.path for request in sandbox.requests} >= {
        f"/segmentation/table/{who.MINNIE}/info",
        f"/segmentation/api/v1/table/{who.MINNIE}/roots_binary",
    }
    read = [item.path for item in sandbox.requests if "/supervoxels/" in item.path]
    assert read
    earlier = make_link(at(0), "--version", "661", "--output", "json")
    assert json.loads(earlier.out)["cell"] == str(who.OUTDATED_SPLIT), "whose it was then"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (at(2), "no cell at"),
        (at(3), "no cell at"),
        (at(5), "a block of the segmentation that does not exist"),
        (at(6), "outside the segmentation"),
        (f"{ORIGIN[0]},{ORIGIN[1]},{ORIGIN[2]}", "outside the segmentation"),
        ("-1,-1,-1", "outside the segmentation"),
    ],
)
def test_a_position_without_a_cell_is_refused(sandbox, make_link, given, said) -> None:
    """Background, unknown supervoxels, missing blocks and positions outside give no neighbouring
    cell."""
    make_link(given).refuses(3, said)


@pytest.mark.parametrize("fault", ["401", "html", "500", "hidden-404", "empty"])
def test_a_graph_that_does_not_answer_is_named(sandbox, make_link, monkeypatch, fault) -> None:
    """If the graph's record cannot be read, there is no link, but an error with exit code 4."""
    monkeypatch.setattr("synglancer.cave.http._BACKOFF", 0.005)
    sandbox.set_faults(f"GET /segmentation/table/*/info={fault}")
    make_link(at(0)).refuses(4)
    assert not [item for item in sandbox.requests if item.path.endswith("/post")]


def test_a_volume_that_cannot_be_read_is_named(sandbox, make_link) -> None:
    """If reading the volume is refused or fails, no cell is invented, and none is said to be
    absent."""
    sandbox.set_faults("GET /precomputed/*=403")
    make_link(at(0)).refuses(3, "cannot be read")
    sandbox.set_faults("GET /precomputed/*=html")
    make_link(at(0), "--timeout", 5).refuses(4, "could not be read")
    sandbox.set_faults("GET /precomputed/*=silence:30")
    make_link(at(0), "--timeout", 1).refuses(4, "within 1 s")
