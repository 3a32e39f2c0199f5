"""Reviews in the viewer: selected on opening, marked, and read back from the address bar."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from commands import run_make_link
from PIL import Image
from proof import LOADING, LOOK, PYTHON_SERVER, Complaints, poll

from cave_sandbox.sample import identity as who
from synglancer import Link
from synglancer.report.verdicts import collect_verdicts
from synglancer.states.urls import format_inline_link

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID
WORDS = ("--review", "--tag", "spine", "--max-confidence", "0.6")
DESCRIPTION = "textarea.neuroglancer-annotation-details-description"
ENTRY = ".neuroglancer-annotation-list-entry"
PICKED = "() => viewer.selectionDetailsState.toJSON()?.layers?.review?.annotationId"


def open_review(page: Page, url: str) -> dict[str, Any]:
    """Open a review and wait until it has loaded completely; return the state of the page."""

    def is_settled() -> bool:
        look = page.evaluate(LOOK)
        if not look or not look["ready"] or len(look["layers"]) < 3:
            return False
        return None not in [source for one in look["layers"] for source in one["sources"]]

    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(url)
    assert poll(page, is_settled, LOADING)
    look: dict[str, Any] = page.evaluate(LOOK)
    assert not [text for text in (*look["status"], *look["modal"]) if PYTHON_SERVER not in text]
    assert [one["name"] for one in look["layers"]] == ["imagery", "segmentation", "review"]
    assert not any(source for one in look["layers"] for source in one["sources"])
    assert not look["layers"][2]["shader"]
    return look


def type_behind(page: Page, text: str) -> None:
    """Type after the description of the selected synapse."""
    page.click(DESCRIPTION)
    page.keyboard.press("Control+End")
    page.keyboard.type(text)
    page.mouse.click(300, 600)  # the viewer accepts the text after a click elsewhere


def test_marks_that_are_typed_are_read_from_the_address_bar(page: Page, sandbox: Sandbox) -> None:
    """A synapse is selected on opening, and marks typed for it and for the next one are read
    back."""
    complaints = Complaints()
    complaints.listen(page)
    url = run_make_link(sandbox, CELL, *WORDS)
    notes = Link.from_url(url, token=sandbox.options.token).state["layers"][2]["annotations"]
    look = open_review(page, url)
    complaints.has_moved = True
    assert look["layers"][2]["count"] == len(notes)
    assert str(CELL) in look["layers"][1]["segments"]
    assert page.evaluate(PICKED) == notes[0]["id"]
    assert page.input_value(DESCRIPTION) == notes[0]["description"]
    type_behind(page, "=shaft it is thick")
    page.locator(ENTRY).filter(has_text=notes[1]["description"]).click()
    assert poll(page, lambda: page.evaluate(PICKED) == notes[1]["id"], LOADING)
    type_behind(page, " =ri")
    assert poll(page, lambda: "right" in [*collect_verdicts([page.url]).table["verdict"]], LOADING)
    read = collect_verdicts([page.url])
    assert read.table["id"].tolist() == [note["id"] for note in notes]
    assert read.table["verdict"].tolist()[:3] == ["is_shaft", "right", "unmarked"]
    assert read.table["comment"].tolist()[:2] == ["it is thick", ""]
    assert read.notes == [
        f"2 of {len(notes)} synapses are marked: {len(notes) - 2} unmarked, 1 is_shaft, 1 right."
    ]
    assert complaints.said == []


@pytest.mark.parametrize("site", ["spelunker", "google"])
def test_marks_are_drawn_in_their_colours(page: Page, sandbox: Sandbox, site: str) -> None:
    """A marked synapse is a disc in the colour of its mark; an unmarked one is a ring."""
    state = dict(
        Link.from_url(run_make_link(sandbox, CELL, *WORDS, "--site", site, "--inline")).state
    )
    layer = state["layers"][2]
    layer.pop("toolBindings")  # this viewer does not have the tools
    layer["shader"] = layer["shader"].replace("default=14", "default=30")
    names = [spec["id"] for spec in layer["annotationProperties"]]
    state["layers"] = [{**one, "visible": one is layer} for one in state["layers"]]
    state |= {"showAxisLines": False, "layout": "xy"}

    def count(value: int, colour: tuple[int, int, int]) -> int:
        place = names.index("right" if site == "spelunker" else "verdict")
        layer["annotations"][0]["props"][place] = value
        page.goto("about:blank")
        open_review(
            page, format_inline_link(f"{sandbox.origin}/v/synglancer/", orjson.dumps(state))
        )
        page.wait_for_timeout(500)
        picture = np.array(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), int)
        middle = picture[60:, : picture.shape[1] // 2]
        return int((np.abs(middle - colour).max(axis=2) < 8).sum())

    pink, green = (251, 73, 176), (143, 227, 136)
    ring = count(0, pink)
    disc = count(1, green)
    assert 0 < ring < disc / 2
