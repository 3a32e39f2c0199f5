"""The documentation site is readable on a phone and a desktop, in light and dark mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa"]}}


PHONE, DESKTOP = (390, 800), (1280, 900)
LOOKS = [(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")]


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        # The site's style, which all pages share, is seen in every look; each page in both
        # schemes and at both widths.
        ("index.html", LOOKS),
        ("get-started.html", LOOKS[::3]),
        ("reference/commands.html", LOOKS[1:3]),
    ],
)
def test_pages_can_be_read_by_all(page: Page, site: Path, name: str, looks: list[Any]) -> None:
    """On a phone and on a desktop, light and dark, axe finds no problem, and nothing overflows
    sideways."""
    page.goto((site / name).as_uri())
    for (width, height), scheme in looks:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options=WCAG)
        assert not found.response["violations"], found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_search_works_without_a_server(page: Page, site: Path) -> None:
    """Searching a site opened from a folder finds the page with the word."""
    page.goto((site / "search.html").as_uri() + "?q=unlabelled")
    page.wait_for_selector("#search-results li a")
    assert "commands" in " ".join(page.locator("#search-results li").all_inner_texts()).lower()
