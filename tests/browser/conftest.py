"""A browser and a sandbox for all browser tests, and a new page for each."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

# The tests import their own tools, `proof` and others, from this folder.
sys.path.insert(0, str(Path(__file__).parent))

from pages import open_page

from cave_sandbox.server import Sandbox, SandboxOptions
from synglancer.render.browser import BROWSERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

FLAGS = (
    "--use-gl=angle",
    "--use-angle=gl-egl",
    "--ignore-gpu-blocklist",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    # Hosted pages read a sandbox on this machine; no window needs the pages of an address bar.
    "--disable-features=LocalNetworkAccessChecks,WebUIOmniboxPopup,WebUIOmniboxAimPopup",
)

TOKEN = "browser-test-token"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a screen."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("TESTS_REQUIRE_BROWSER"):
            pytest.fail("There is no Chromium, and TESTS_REQUIRE_BROWSER is set.")
        pytest.skip("There is no Chromium; install it, for instance: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that shares nothing with the others."""
    with open_page(browser) as page:
        yield page


@pytest.fixture(scope="session")
def sandbox(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the synthetic sample."""
    states = tmp_path_factory.mktemp("states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=sample, states=states, token=TOKEN)) as sandbox:
        yield sandbox
