"""A link to one synapse in the viewer: both cells, and the synapse's panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from proof import DRAWING, Expected, poll, prove
from selection import READ

from cave_sandbox.sample import identity as who
from synglancer import make_link

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser


def test_the_panel_of_the_synapse_is_open(
    page: Page, sandbox: Sandbox, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On opening, the panel shows ID, tag, confidence, size and both cells, which are selected."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    tables = sample / who.MINNIE / "tables"
    tags = pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet").set_index("target_id")
    rows = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet").set_index("id")
    partner = who.PARTNERS[0].root_id
    between = rows[
        (rows["pre_pt_root_id"] == partner) & (rows["post_pt_root_id"] == who.SEED_ROOT_ID)
    ]
    synapse = next(int(one) for one in between.index if one in tags.index)
    row, tag = rows.loc[synapse], tags.loc[synapse]
    link = make_link(f"synapse:{synapse}", server=sandbox.origin, cell_types=True)
    layer = f"○ synapse: {tag['tag']}"
    colour = {"spine": "#fb49b0", "shaft": "#ddb310", "soma": "#00beff"}[tag["tag"]]
    expected = Expected((who.SEED_ROOT_ID, partner), {layer: 1}, {layer: colour})
    read = {}

    def is_shown() -> bool:
        read.update(page.evaluate(READ) or {})
        return bool(read.get("segments")) and all(read["segments"].values())

    prove(page, link.url, expected)
    assert poll(page, is_shown, DRAWING), read
    assert read["layer"].endswith(f"synapse: {tag['tag']}")
    assert read["properties"]["ID"] == str(synapse)
    assert float(read["properties"]["confidence"]) == pytest.approx(tag["value"], abs=1e-5)
    assert read["properties"]["size"] == str(row["size"])
    assert read["segments"] == {"pre": [str(partner)], "post": [str(who.SEED_ROOT_ID)]}
    assert [int(float(text)) for text in read["position"]] == [
        row[f"ctr_pt_position_{axis}"] for axis in "xyz"
    ]
    text = page.evaluate("() => document.querySelector('.neuroglancer-side-panel textarea').value")
    assert text.startswith(f"{tag['tag']} {tag['value']:.2f} · ")
    assert "→ 23P" in text
