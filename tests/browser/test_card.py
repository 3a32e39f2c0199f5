"""An HTML card in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from commands import run_make_link

from cave_sandbox.sample import identity as who

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

WIDTHS = """() => [...document.querySelectorAll("td:last-child span")].map(
  (span) => span.getBoundingClientRect().width)"""


def test_a_card_opens_without_errors(page: Page, sandbox: Sandbox, tmp_path: Path) -> None:
    """The card's pictures are drawn, its bars are as long as its counts, and its link is there."""
    words = ("--preview", tmp_path / "c.png", "--renderer", "plot", "--qr", tmp_path / "q.svg")
    card = run_make_link(sandbox, who.SEED_ROOT_ID, *map(str, words), "--output", "html")
    (tmp_path / "card.html").write_text(f"<!doctype html><meta charset=utf-8>{card}", "utf-8")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((tmp_path / "card.html").as_uri())
    pictures = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
    assert len(pictures) == 2
    assert all(width > 0 for width in pictures)
    bars = page.evaluate(WIDTHS)
    assert bars[0] > bars[1] > bars[2]
    assert (page.get_attribute("a", "href") or "").startswith(sandbox.origin)
    assert said == []
