"""Spines with several inputs and partners' types, in the viewer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from proof import BASE_LAYERS, near, poll, prove, show, take_screenshot
from rows import PAPER, expect, read_rows
from selection import read_selection

from cave_sandbox.sample import identity as who
from synglancer import make_link
from synglancer.view.type_colors import choose_type_color

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID
LAYERS = {**PAPER, "multi-input": "#9113cc"}


@pytest.fixture(scope="module")
def rows(sample: Path) -> pd.DataFrame:
    """The cell's predicted synapses, with the tag ``multi-input`` if they share a spine."""
    folder = sample / who.MINNIE
    found = read_rows(folder, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, CELL)
    shared = pd.read_parquet(folder / "tables" / f"{who.MULTI_INPUT_TABLE}.parquet")["target_id"]
    return found.assign(tag=found["tag"].where(~found["id"].isin(shared), "multi-input"))


@pytest.fixture(autouse=True)
def _token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the sandbox's token known to the Python API."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)


def test_shared_spines_are_layers_of_the_papers_colour(
    page: Page, sandbox: Sandbox, rows: pd.DataFrame
) -> None:
    """--multi-input adds a layer per direction that holds exactly the synapses on spines with
    several inputs, in the paper's colour, and removes them from the layers of their tags."""
    link = make_link(CELL, server=sandbox.origin, multi_input=True)
    colours = {f"{side}: multi-input": "#9113cc" for side in ("● in", "○ out")}
    prove(page, link.url, replace(expect(rows, CELL, LAYERS), colours=colours))


def test_types_are_named_and_coloured(
    page: Page, sandbox: Sandbox, rows: pd.DataFrame, sample: Path
) -> None:
    """With --color-by partner-type, a selected synapse and the list of segments name the partner's
    type, the panel has a legend, and markers have the colours of the types instead of the tags."""
    options = {"multi_input": True, "color_by": "partner-type", "panel": True}
    link = make_link(CELL, server=sandbox.origin, layout="3d", **options)
    prove(page, link.url, replace(expect(rows, CELL, LAYERS), colours={}))
    view = pd.read_parquet(sample / who.MINNIE / "views" / f"{who.CELL_TYPE_VIEW}.parquet")
    single = view.groupby("pt_root_id")["cell_type"].agg(["first", "nunique"])
    types = single.loc[single["nunique"] == 1, "first"]
    legend = page.locator("label", has_text="type_")
    assert poll(page, lambda: legend.count() == len(types.unique()) + 1, 20)
    inputs = rows[(rows["direction"] == "inputs") & (rows["tag"] == "spine")]
    named = inputs["pre_pt_root_id"].map(types)
    for kind in ("23P", "5P-ET", None):
        row = inputs[named == kind if kind else named.isna()].iloc[0]
        selected = read_selection(page, "● in: spine", str(row["id"]))
        assert selected.properties["partner_type"].startswith(f"{kind or 'unknown'} (")
        partner = page.locator(
            f'.neuroglancer-segment-list-entry[data-id="{row["pre_pt_root_id"]}"]'
        )
        assert (f"#{kind}" in partner.first.text_content()) == (kind is not None)
    show(page, [*BASE_LAYERS[:1], "● in: spine"])
    seen: dict[str, int] = {}

    def has_colours() -> bool:
        picture = take_screenshot(page)
        named = {kind: choose_type_color(kind) for kind in ("23P", "5P-ET")}
        for kind, colour in {**named, "tag": PAPER["spine"]}.items():
            seen[kind] = int(near(picture, colour).sum())
        return min(seen["23P"], seen["5P-ET"]) > 50

    assert poll(page, has_colours, 20), seen
    assert seen["tag"] < 0.2 * min(seen["23P"], seen["5P-ET"]), seen
