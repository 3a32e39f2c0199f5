"""Pages that share nothing with others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

#: Small, because each pixel is drawn in software.
VIEWPORT = {"width": 600, "height": 400}


@contextmanager
def open_page(browser: Browser) -> Iterator[Page]:
    """Open a page of its own, and close it at the end."""
    context = browser.new_context(viewport=VIEWPORT)
    yield context.new_page()
    context.close()
