"""A report in the browser works offline, can be sorted and filtered, and is accessible."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image

from synglancer import make_link
from synglancer.cells.lists import CellList
from synglancer.links.link_record import Skipped
from synglancer.render.picture_options import PreviewOptions
from synglancer.render.screenshots import Painter
from synglancer.report.building import build_report
from synglancer.report.pages import render_report
from synglancer.report.pictures import plot_cell, screenshot_cell, summarise_cells
from synglancer.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

CELLS = ["864691135937424949", "864691135276234469", "864691135617152361", "864691135000000001"]
NOTES = ["שלום 🧠", "<b>bold</b>", '"50%" \\ _x_', "unknown"]
WHEN = {"generator": "synglancer", "made_on": "2026-11-22"}


@pytest.fixture(scope="module")
def address(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of three cells and one skipped cell, in two groups."""
    settings = Settings(server=sandbox.origin, with_total=True)
    given = CellList(CELLS, ["type", "note"], [[t, n] for t, n in zip("abba", NOTES, strict=True)])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CAVE_TOKEN", sandbox.options.token)
        results = summarise_cells(CELLS, settings, "plot")
    made = build_report(given, results, settings, group_by="type", **WHEN)
    page = tmp_path_factory.mktemp("report") / "report.html"
    page.write_bytes(render_report(made, ".html"))
    return page.as_uri()


@pytest.fixture
def errors(page: Page) -> list[str]:
    """Errors and warnings in a page's console."""
    found: list[str] = []
    page.on("console", lambda said: found.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", lambda asked: asked.url.startswith("http") and found.append(asked.url))
    return found


def first_cells(page: Page) -> list[str]:
    return page.locator("#cells tbody tr:visible th").all_inner_texts()


def test_report_sorts_and_filters(page: Page, address: str, errors: list[str]) -> None:
    """All cells, links and pictures are there; sorting and filtering work with the keyboard; the
    whole table fits on an A4 page."""
    page.goto(address)
    assert first_cells(page) == CELLS[:3]
    assert page.locator("#cells tbody a[href^='http']").count() == 3
    assert page.locator(".pictures figure > svg").count() == 3
    assert page.locator("#skipped").inner_text().count(CELLS[3]) == 1
    page.get_by_role("button", name="inputs shown").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending]").count() == 1
    assert first_cells(page)[0] == CELLS[1]
    page.get_by_role("button", name="outputs: soma").click()
    column = page.locator("#cells tbody tr td:nth-last-child(2)").all_inner_texts()
    somata = [int(text.split()[0]) for text in column]
    assert somata == sorted(somata)
    assert len(set(somata)) > 1
    page.get_by_role("button", name="note").click()
    assert first_cells(page) == [CELLS[2], CELLS[1], CELLS[0]]
    assert page.locator("#groups tbody tr").count() == 2
    assert page.locator("figure svg .mean").count() == 12  # directions, tags and groups
    page.set_viewport_size({"width": 1032, "height": 700})
    page.emulate_media(media="print")
    assert page.locator("#cells").bounding_box()["width"] <= 1032
    page.emulate_media(media="screen")
    page.get_by_label("Filter").fill("שלום")
    assert first_cells(page) == [CELLS[0]]
    assert page.get_by_role("status").inner_text() == "1 of 3 cells"
    assert page.locator("#cells tbody b").count() == 0
    assert not errors


def test_screenshots_or_else_plots(
    page: Page, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view is captured in a browser; a view behind a login is plotted, and the page says why."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    settings = Settings(server=sandbox.origin, tag=("soma",), with_total=True)
    (taken,) = summarise_cells(CELLS[:1], settings, "browser")
    screenshot = Image.open(io.BytesIO(base64.b64decode(taken.picture.partition(",")[2])))
    apart = np.abs(np.asarray(screenshot, dtype=int) - (0x00, 0xBE, 0xFF)).max(axis=2)
    assert (apart < 40).sum() > 20  # somata are blue
    link = make_link(CELLS[1], settings)
    state = link.state_json.replace(b'"precomputed://http', b'"precomputed://middleauth+https')
    plotted = screenshot_cell(replace(link, state_json=state), Painter(PreviewOptions()), tmp_path)
    given = CellList(CELLS[:2], [], [[], []])
    made = build_report(given, [taken, plotted], settings, group_by=None, **WHEN)
    (tmp_path / "report.html").write_bytes(render_report(made, ".html"))
    page.goto((tmp_path / "report.html").as_uri())
    page.locator(".pictures figure img").scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.pictures img').naturalWidth === 720")
    assert page.locator(".pictures figure > svg").count() == 1
    assert page.get_by_text("1 picture is a plot instead of a screenshot: The view").count() == 1
    assert not list(tmp_path.glob("*.png"))


def test_report_can_be_read_by_all(page: Page, address: str, subtests: pytest.Subtests) -> None:
    """axe-core finds no barrier, in dark and light mode, on a desktop and on a phone, where the
    page fits."""
    page.goto(address)
    for width, scheme in product((1200, 390), ("light", "dark")):
        with subtests.test(width=width, scheme=scheme):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_hundred_large_cells_are_below_ten_megabytes(sandbox: Sandbox, monkeypatch) -> None:
    """A report of a hundred cells with 3,392 synapses each stays under 10 MB, including
    pictures."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    link = make_link(CELLS[1], server=sandbox.origin, with_total=True)
    one = plot_cell(link)
    cells = [str(link.cell + i) for i in range(100)]
    many = [replace(one, link={**one.link, "cell": cell}) for cell in cells]
    given = CellList(cells, [], [[] for _ in cells])
    made = build_report(given, many, Settings(), group_by=None, **WHEN)
    size = len(render_report(made, ".html"))
    assert 100 * len(one.picture) < size < 10_000_000


def test_report_of_no_cell_bears_sorting(page: Page, tmp_path: Path, errors: list[str]) -> None:
    """If every cell was skipped, sorting the empty table causes no error."""
    skipped = Skipped(CELLS[3], "It is not known.", "Look it up.", 3)
    given = CellList([CELLS[3]], [], [[]])
    made = build_report(given, [skipped], Settings(with_total=True), group_by=None, **WHEN)
    file = tmp_path / "report.html"
    file.write_bytes(render_report(made, ".html"))
    page.goto(file.as_uri())
    assert f"{CELLS[3]}: It is not known." in page.locator("#skipped").inner_text()
    page.get_by_role("button", name="Cell").click()
    assert page.locator("th[aria-sort=ascending]").count() == 1
    assert errors == []
