"""A user's own points beside the synapses, opened in the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from proof import prove
from rows import expect, read_rows
from selection import read_selection

from cave_sandbox.sample import identity as who
from synglancer import make_link
from synglancer.view.points import COLORS

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID
GREEN = "#00ff00"


def test_points_are_drawn_and_described(
    page: Page, sandbox: Sandbox, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each layer draws its points in its own colour or in theirs, and the panel of a point shows
    all columns."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    found = read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, CELL)
    rows = found[(found["direction"] == "inputs") & (found["tag"] == "spine")].head(60)
    points = pd.DataFrame(
        {
            "layer": ["near", "far", "● in: soma"] * 20,
            "id": rows["id"].to_numpy(),
            **{f"{axis}_voxel": rows[f"ctr_pt_position_{axis}"].to_numpy() for axis in "xyz"},
            "tag": "spine",
            "pre_segment": rows["pre_pt_root_id"].to_numpy(),
            "Cluster name": ["a", "b", "c"] * 20,
            "score": rows["value"].to_numpy(),
            "depth": range(60),
            "offset": range(-60, 0),
            "color": ["", GREEN, ""] * 20,
            "description": ["one", "two", "three"] * 20,
        }
    )
    link = make_link(CELL, server=sandbox.origin, tag="soma", inputs=True, annotations=points)
    soma = found[(found["direction"] == "inputs") & (found["tag"] == "soma")]
    expected = expect(soma, CELL)
    expected.counts.update({"near": 20, "far": 20, "● in: soma (2)": 20})
    expected.colours.update({"near": COLORS[0], "far": GREEN})
    prove(page, link.url, expected)
    row = points.iloc[1]
    shown = read_selection(page, "far", str(row["id"]))
    assert [int(float(text)) for text in shown.position] == [row[f"{a}_voxel"] for a in "xyz"]
    properties = {name.split(" ")[0]: value for name, value in shown.properties.items()}
    assert properties["ID"] == str(row["id"])
    assert "spine" in properties["tag"]
    assert "b" in properties["cluster_name"]
    assert float(properties["score"]) == pytest.approx(row["score"], abs=1e-5)
    assert (properties["depth"], properties["offset"]) == ("1", "-59")
    assert properties["color"].lower() == GREEN
    assert shown.segments == {"pre": [str(row["pre_segment"])]}
