"""The options of the view in the viewer: pixels, keys and the mouse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from proof import DRAWING, PANELS, near, poll, prove, show, take_screenshot
from rows import expect, read_rows
from selection import READ

from cave_sandbox.sample import identity as who
from synglancer import make_link
from synglancer.view.colors import PALETTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd
    from playwright.sync_api import Browser, Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID
SOMA = "#00beff"
LAYER = "○ out: soma"

SLIDER = """([name, control]) => viewer.layerManager.getLayerByName(name).layer
  .annotationDisplayState.shaderControls.state.get(control).trackable.value"""

MOVE = """([name, control, value]) => { viewer.layerManager.getLayerByName(name).layer
  .annotationDisplayState.shaderControls.state.get(control).trackable.value = value; }"""

SIDE_PANELS = """() => [...document.querySelectorAll(".neuroglancer-side-panel")]
  .filter((panel) => panel.offsetParent !== null).map((panel) => panel.innerText)"""

SELECTED = """() => [...viewer.layerManager.getLayerByName("segmentation").layer
  .displayState.segmentationGroupState.value.visibleSegments].map(String)"""


@pytest.fixture(scope="module")
def every_row(sample: Path) -> pd.DataFrame:
    """All predicted synapses of the seed cell."""
    return read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, CELL)


@pytest.fixture(scope="module")
def rows(every_row: pd.DataFrame) -> pd.DataFrame:
    """Synapses on somata: 103 inputs and 9 outputs."""
    return every_row[every_row["tag"] == "soma"]


@pytest.fixture
def link(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Make a link of the seed cell's synapses, by default only those on somata."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    asked = {"server": sandbox.origin, "tag": "soma"}
    return lambda **options: make_link(CELL, **{**asked, **options}).url


def count_pixels(page: Page, layer: str, colour: str = SOMA) -> int:
    """Count the pixels of a colour with one layer shown alone."""
    show(page, [layer])
    return int(near(take_screenshot(page), colour).sum())


def middle_of_section(page: Page) -> tuple[float, float]:
    """Return the place on the page that shows the viewer's position, in the left panel."""
    box = page.evaluate(PANELS)
    return box["x"] + box["width"] / 4, box["y"] + box["height"] / 2


def test_sliders_and_panel(page: Page, link: Callable[..., str], rows: pd.DataFrame) -> None:
    """With --soft-filter, all synapses are in the viewer, but those below the slider appear only
    when it is moved; --panel shows the sliders."""
    kept = rows[rows["direction"] == "outputs"]
    assert 0.9 < kept["value"].min() <= kept["value"].max() < 1
    url = link(outputs=True, min_confidence=1.0, soft_filter=True, panel=True)
    prove(page, url, replace(expect(kept, CELL), colours={}))
    layer_panel, palette = page.evaluate(SIDE_PANELS)
    assert all(word in layer_panel for word in ("min_confidence", "marker_size", "opacity"))
    assert all(word in palette for word in ("min_confidence", "marker_size"))
    assert page.evaluate(SLIDER, [LAYER, "min_confidence"]) == 1
    assert count_pixels(page, LAYER) == 0
    page.evaluate(MOVE, [LAYER, "min_confidence", 0.9])
    assert poll(page, lambda: count_pixels(page, LAYER) > 0, DRAWING)
    few, size = count_pixels(page, LAYER), page.evaluate(SLIDER, [LAYER, "marker_size"])
    page.evaluate(MOVE, [LAYER, "marker_size", size + 4])
    assert poll(page, lambda: count_pixels(page, LAYER) > 1.5 * few, DRAWING)


def test_partners_and_click(page: Page, link: Callable[..., str], every_row: pd.DataFrame) -> None:
    """--partners selects and colours the strongest partners. In the panel of a synapse clicked with
    Ctrl, the eye beside a further partner selects that one too. No panel is open before."""
    inputs = every_row["direction"] == "inputs"
    partner_of = every_row["pre_pt_root_id"].where(inputs, every_row["post_pt_root_id"])
    ranked = partner_of[partner_of != CELL].value_counts()
    assert ranked.iloc[1] > ranked.iloc[2]
    strongest = sorted(map(int, ranked.index[:2]))
    expected = replace(expect(every_row, (CELL, *strongest)), colours={})
    prove(page, link(partners=2, tag=()), expected)
    assert page.evaluate(SIDE_PANELS) == []
    colours = page.evaluate("""() => Object.fromEntries([...viewer.layerManager
      .getLayerByName("segmentation").layer.displayState.segmentationColorGroupState.value
      .segmentStatedColors].map(([id, colour]) => [String(id), Number(colour)]))""")
    for partner in strongest:
        colour = f"#{colours[str(partner)].to_bytes(3, 'little').hex()}"  # red is the lowest byte
        assert poll(page, lambda c=colour: count_pixels(page, "segmentation", c) > 0, DRAWING)
    others = ~partner_of.isin([CELL, *strongest])
    further = every_row[inputs & others & (every_row["tag"] == "soma")].iloc[0]
    show(page, ["segmentation", "● in: soma"])
    position = [int(further[f"ctr_pt_position_{axis}"]) for axis in "xyz"]
    page.evaluate("(at) => { viewer.position.value = Float32Array.from(at); }", position)
    read: dict[str, Any] = {}

    def is_pinned() -> bool:
        page.mouse.move(*middle_of_section(page))
        page.keyboard.down("Control")
        page.mouse.click(*middle_of_section(page), button="right")
        page.keyboard.up("Control")
        page.wait_for_timeout(200)
        read.update(page.evaluate(READ) or {})
        return read.get("properties", {}).get("ID") == str(further["id"])

    assert poll(page, is_pinned, DRAWING), read
    partner = str(further["pre_pt_root_id"])
    assert read["segments"]["pre"] == [partner]
    assert partner not in page.evaluate(SELECTED)
    entry = f".neuroglancer-related-segment-list [data-id='{partner}']"
    page.click(f"{entry} .neuroglancer-segment-list-entry-visible-checkbox")
    assert set(page.evaluate(SELECTED)) == {str(CELL), *map(str, strongest), partner}


def test_figure_and_safe_palette(page: Page, link: Callable[..., str], rows: pd.DataFrame) -> None:
    """--figure shows only the 3D view on white without any panel, even with --panel; --palette safe
    draws in its own colours."""
    safe = expect(rows, CELL, {"soma": PALETTES["safe"].tags["soma"]})
    prove(page, link(figure=True, palette="safe", panel=True), safe)
    assert page.evaluate("() => viewer.layout.toJSON().type") == "3d"
    assert page.evaluate(SIDE_PANELS) == []
    assert np.mean((take_screenshot(page) == 255).all(axis=2)) > 0.8


def test_white_and_confidence(page: Page, link: Callable[..., str], rows: pd.DataFrame) -> None:
    """With --background white, the cell and the sections are on white; with --color-by confidence,
    confident synapses have the colour of one end of the ramp, unsure ones that of the other, and
    none the tag's colour."""
    kept = rows[rows["direction"] == "inputs"]
    assert kept["value"].between(0.8, 0.99).any()
    assert kept["value"].max() > 0.99
    url = link(inputs=True, background="white", color_by="confidence")
    prove(page, url, replace(expect(kept, CELL), colours={}))
    orange, blue = "#ffb000", "#3d6bf0"
    assert poll(page, lambda: count_pixels(page, "● in: soma", orange) > 0, DRAWING)
    assert count_pixels(page, "● in: soma", blue) == 0
    page.evaluate(MOVE, ["● in: soma", "ramp_start", 0.99])
    assert poll(page, lambda: count_pixels(page, "● in: soma", blue) > 0, DRAWING)
    assert count_pixels(page, "● in: soma", SOMA) == 0
    show(page, [])
    assert np.mean((take_screenshot(page) == 255).all(axis=2)) > 0.95


def test_filter_by_selection(page: Page, link: Callable[..., str], rows: pd.DataFrame) -> None:
    """With --filter-by-selection a cell that is deselected takes its synapses with it, and
    selecting a partner brings back the synapses that it shares with the cell; in 3D alone with
    --layout 3d."""
    prove(page, link(filter_by_selection=True, layout="3d"), expect(rows, CELL))
    assert page.evaluate("() => viewer.layout.toJSON()") == "3d"
    whole = count_pixels(page, "● in: soma")
    show(page, ["segmentation", "● in: soma"])
    page.mouse.move(*middle_of_section(page))
    page.keyboard.press("x")  # the viewer's key that deselects all
    assert page.evaluate(SELECTED) == []
    assert poll(page, lambda: count_pixels(page, "● in: soma") == 0, DRAWING)
    partner = rows[rows["direction"] == "inputs"]["pre_pt_root_id"].value_counts().index[0]
    page.evaluate(
        """(id) => viewer.layerManager.getLayerByName("segmentation").layer.displayState
          .segmentationGroupState.value.visibleSegments.add(BigInt(id))""",
        str(partner),
    )
    assert poll(page, lambda: 0 < count_pixels(page, "● in: soma") < whole, DRAWING)


BOXES = """() => [...document.querySelectorAll(".neuroglancer-rendered-data-panel")].map(
  (panel) => { const {x, y, width, height} = panel.getBoundingClientRect();
               return [x, y, width, height]; })"""

HOVERED = """() => viewer.mouseState.active && viewer.mouseState.pickedAnnotationId"""

BAR = ".neuroglancer-layer-panel"


def hover_a_synapse(page: Page, row: pd.Series) -> None:
    """Show a synapse in the middle of the section, and move the mouse there."""
    page.evaluate(
        "(at) => { viewer.position.value = Float32Array.from(at); }",
        [int(row[f"ctr_pt_position_{axis}"]) for axis in "xyz"],
    )

    def is_hovered() -> bool:
        x, y = middle_of_section(page)
        page.mouse.move(x + 1, y)
        page.mouse.move(x, y)
        return bool(page.evaluate(HOVERED))

    assert poll(page, is_hovered, DRAWING), "there is no synapse under the mouse"


def test_the_panels_stay_where_they_are_under_the_mouse(
    browser: Browser, link: Callable[..., str], every_row: pd.DataFrame
) -> None:
    """At 1,440 pixels, the top bar has one line and lists no keys, and nothing moves when the mouse
    is first over a synapse with values."""
    context = browser.new_context(viewport={"width": 1440, "height": 400})
    page = context.new_page()
    prove(page, link(tag=()), replace(expect(every_row, CELL), colours={}))
    before, height = page.evaluate(BOXES), page.locator(BAR).bounding_box()["height"]
    assert len(before) == 2
    hover_a_synapse(page, every_row[every_row["tag"] == "soma"].iloc[0])
    page.wait_for_timeout(500)
    bar = page.locator(BAR)
    assert "min_confidence" not in page.locator("body").inner_text()
    assert (page.evaluate(BOXES), bar.bounding_box()["height"]) == (before, height)
    context.close()
