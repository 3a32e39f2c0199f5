"""Real synapses of minnie65, compared row by row and opened in the browser.

The synapses are real: IDs, positions, sizes and root IDs as the segmentation had them. Their tags
and confidences are synthetic, made here from the IDs, because the data come without any.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from blank import write_blank_datastack
from proof import prove
from rows import POSITION, SIDES, expect, read_rows

from cave_sandbox.server import Sandbox, SandboxOptions
from synglancer import make_link

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

REAL = Path(__file__).parents[3] / "shared" / "data" / "minnie65_ten_cells.csv.gz"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not REAL.is_file(), reason="the real synapses are not on this machine"),
]

TOKEN = "real-cells-token"
SYNAPSES = "synapses_pni_2"
PREDICTIONS = "synapse_target_predictions_ssa_v2"
VOXEL = np.array([4, 4, 40])

INPUTS = {
    864691135645673199: 5340,
    864691135568681196: 2108,
    864691135559552342: 19,
    864691134240471483: 1,
}
"""Cells in the data, with their numbers of inputs; the largest and the smallest are opened."""

COLUMNS = [
    "id",
    *(f"{side}_pt_position_{axis}" for side in ("pre", "ctr", "post") for axis in "xyz"),
    "size",
    "pre_pt_supervoxel_id",
    "pre_pt_root_id",
    "post_pt_supervoxel_id",
    "post_pt_root_id",
]


def read_real_synapses() -> pd.DataFrame:
    """Read the real synapses, positions in voxels."""
    return pd.read_csv(REAL, header=None, names=COLUMNS, dtype=dict.fromkeys(COLUMNS, "int64"))


def make_synthetic_predictions(synapses: pd.DataFrame) -> pd.DataFrame:
    """Make up a tag and a confidence for each synapse, always the same ones."""
    place = synapses["id"].to_numpy() % 20
    return pd.DataFrame(
        {
            "id": np.arange(len(synapses)) + 1,
            "target_id": synapses["id"],
            "tag": np.select([place < 12, place < 19], ["spine", "shaft"], "soma"),
            # Confident for most synapses and unsure for some, like classifiers; unsure ones are
            # drawn paler.
            "value": (1 - ((synapses["id"] % 1000) / 999) ** 8).astype("float32"),
        }
    )


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the real synapses, synthetic tags and empty volumes."""
    folder = tmp_path_factory.mktemp("real")
    synapses = read_real_synapses()
    tables = {SYNAPSES: synapses, PREDICTIONS: make_synthetic_predictions(synapses)}
    write_blank_datastack(folder, tables)
    return folder


@pytest.fixture(scope="module")
def served(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that serves them."""
    states = tmp_path_factory.mktemp("real-states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=real, states=states, token=TOKEN)) as sandbox:
        yield sandbox


@pytest.mark.parametrize("cell", INPUTS)
def test_real_cell(
    page: Page, served: Sandbox, real: Path, cell: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link of a real cell, large or small, holds each of its synapses as in the table, and
    opens."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    rows = read_rows(real, SYNAPSES, PREDICTIONS, cell)
    assert (rows["direction"] == "inputs").sum() == INPUTS[cell]
    link = make_link(cell, server=served.origin)
    held = link.predictions.sort_values(["direction", "id"], ignore_index=True)
    assert len(held) == len(rows) == link.shown == link.total
    for column in ["direction", "tag", "id", "size", *SIDES.values()]:
        np.testing.assert_array_equal(held[column], rows[column], err_msg=column)
    np.testing.assert_array_equal(held["confidence"], rows["value"])
    np.testing.assert_array_equal(held[POSITION], rows[POSITION] * VOXEL)
    if INPUTS[cell] in {min(INPUTS.values()), max(INPUTS.values())}:
        proof = prove(page, link.url, expect(rows, cell))
        assert str(cell) in proof.title
