"""How a viewer handles a state that it reads slowly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from proof import LOOK, poll, prove
from rows import expect, read_rows

from cave_sandbox.sample import identity as who
from synglancer import make_link

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, Route

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

#: As on a very slow machine, half a second passes between two calls of the clock.
SLOW = "{ let now = 1e12; Date.now = () => now += 500; }"


def answer_as_packaged(route: Route) -> None:
    """Serve the viewer's page as it is in the neuroglancer package."""
    page = route.fetch().text()
    packaged = re.sub(r"<script>.*?</script>", "", page, count=1, flags=re.DOTALL)
    assert len(packaged) < len(page)
    route.fulfill(body=packaged, content_type="text/html")


def test_no_layer_is_lost(
    page: Page, sandbox: Sandbox, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox's viewer shows all layers even if it reads them slowly; the packaged viewer drops
    some, as a hosted one would."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)
    url = make_link(who.SEED_ROOT_ID, server=sandbox.origin, tag="soma", inline=True).url
    rows = read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, who.SEED_ROOT_ID)
    expected = expect(rows[rows["tag"] == "soma"], who.SEED_ROOT_ID)
    page.context.add_init_script(SLOW)
    page.route("**/v/synglancer/", answer_as_packaged)
    page.goto(url)
    told = "Cannot read properties of undefined"
    assert poll(page, lambda: told in str((page.evaluate(LOOK) or {}).get("status")), 60)
    counts = {layer["name"]: layer.get("count") for layer in page.evaluate(LOOK)["layers"]}
    assert any(counts.get(name) != count for name, count in expected.counts.items())
    prove(page.context.new_page(), url, expected)
