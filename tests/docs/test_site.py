"""The documentation site builds without a warning, has valid links, and loads nothing external."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from pathlib import Path


class Page(HTMLParser):
    """The anchors of a page, and its links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, _: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors |= {str(values[name]) for name in ("id", "name") if values.get(name)}
        self.targets += [str(values[name]) for name in ("href", "src") if values.get(name)]


def test_all_links_within_the_site_work(site: Path) -> None:
    """Each link between pages leads to a file, and to an existing anchor if it names one."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    assert len(pages) > 15
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchored = parts.fragment and there in pages
            if not there.exists() or (anchored and parts.fragment not in pages[there].anchors):
                broken.append((path.name, target))
    assert not broken


def test_the_site_needs_nothing_from_elsewhere(site: Path) -> None:
    """Scripts, styles, fonts and pictures are part of the site, so that it works offline."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|link)[^>]*(?:src|href)=\"(https?:[^\"]+)\"", text)
        assert not loaded, path


def test_every_command_and_every_option_is_documented(site: Path) -> None:
    """The page of commands holds the real help: each option of make-link is on it."""
    text = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for option in ("--together", "--min-confidence", "--group-by", "--dry-run", "--renderer"):
        assert option in text
