"""The link that goes around: Spelunker's address, and a state behind a login on CAVE's server.

Both hosts are led to a sandbox. The viewer is the one that the neuroglancer package brings. It
differs from the hosted one in where it gets tokens: the hosted one opens CAVE's login page, this
one asks its own server (``POST /credentials/<name>``) for what a login would give. From there on
both send the token with each request, and the state server answers as the real one does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from commands import run_make_link_json
from proof import Expected, NotProvedError, prove
from rows import expect, read_rows

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox, SandboxOptions
from synglancer.states.urls import format_link
from synglancer.view_settings import SITES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID
CAVE = "https://global.daf-apis.com"
SPELUNKER = "https://spelunker.cave-explorer.org"
VIEWER = "/v/synglancer/"

#: The package's viewer must be below /v/, so the answered page moves there by itself.
BELOW_VIEWER = f'<script>history.replaceState(null, "", "{VIEWER}" + location.hash)</script>'


@pytest.fixture(scope="module")
def strict(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose states need a login, and which also answers under CAVE's host name."""
    options = SandboxOptions(
        data=sample,
        states=tmp_path_factory.mktemp("strict") / "states.sqlite",
        token="production-form-token",
        open_states=False,
        allowed_hosts=frozenset({urlsplit(CAVE).netloc}),
    )
    with Sandbox(options) as sandbox:
        yield sandbox


@dataclass
class Hosts:
    """CAVE's and Spelunker's hosts, redirected to a sandbox; all other hosts are blocked.

    Attributes
    ----------
    sandbox
        The sandbox.
    token
        The token that a login gives.
    logins
        What the viewer asked a token for.
    """

    sandbox: Sandbox
    token: str
    logins: list[dict[str, Any]] = field(default_factory=list)

    def lead(self, page: Page) -> None:
        """Redirect a page's requests."""
        page.route("**/*", self._refuse_elsewhere)
        page.route(f"{CAVE}/**", self._answer_as_cave)
        page.route(f"{SPELUNKER}/**", self._answer_as_spelunker)

    def _refuse_elsewhere(self, route: Route) -> None:
        if route.request.url.startswith(f"{self.sandbox.origin}/"):
            route.continue_()
        else:
            route.abort("addressunreachable")

    def _answer_as_cave(self, route: Route) -> None:
        path = route.request.url.removeprefix(CAVE)
        headers = {**route.request.all_headers(), "host": urlsplit(CAVE).netloc}
        route.fulfill(response=route.fetch(url=self.sandbox.origin + path, headers=headers))

    def _answer_as_spelunker(self, route: Route) -> None:
        path = urlsplit(route.request.url).path
        if path == "/":
            page = route.fetch(url=self.sandbox.origin + VIEWER)
            route.fulfill(body=BELOW_VIEWER + page.text(), content_type="text/html")
        elif path.startswith("/credentials/"):
            self.logins.append(route.request.post_data_json)
            token = {"tokenType": "Bearer", "accessToken": self.token}
            answer = {"credentials": token, "generation": len(self.logins)}
            route.fulfill(body=json.dumps(answer), content_type="application/json")
        elif path.startswith("/events/"):
            # A stream cannot be forwarded, so it ends, and the viewer reports that.
            route.fulfill(body=":\n\n", content_type="text/event-stream")
        else:
            # The first files are requested before the page has moved.
            name = path.rpartition("/")[2]
            route.fulfill(response=route.fetch(url=self.sandbox.origin + VIEWER + name))


def make_production_link(sandbox: Sandbox) -> str:
    """Make a link in its production form for a state in the sandbox."""
    record = run_make_link_json(sandbox, CELL, "--site", "spelunker", "--tag", "soma")
    path = urlsplit(record["state_url"]).path
    assert path == f"/nglstate/api/v1/{record['state_id']}"
    return format_link(SITES["spelunker"], CAVE + path)


def test_production_form_opens(page: Page, strict: Sandbox, sample: Path) -> None:
    """A link in exactly the production form opens after a login, and shows everything it must."""
    url = make_production_link(strict)
    number = url.rpartition("/")[2]
    assert url == f"{SPELUNKER}/#!middleauth+{CAVE}/nglstate/api/v1/{number}"
    hosts = Hosts(strict, strict.options.token)
    hosts.lead(page)
    rows = read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, CELL)
    prove(page, url, expect(rows[rows["tag"] == "soma"], CELL))
    assert page.url.startswith(f"{SPELUNKER}/")
    # The viewer says for which app and which server it wants a token, as with the real CAVE.
    assert hosts.logins
    assert {(login["key"], login["parameters"]) for login in hosts.logins} == {
        ("middleauthapp", CAVE)
    }


def test_state_needs_the_login(page: Page, strict: Sandbox) -> None:
    """Without a valid token, the state server refuses, and the link is not proved."""
    url = make_production_link(strict)
    path = urlsplit(url.partition("#!middleauth+")[2]).path
    nameless = requests.get(strict.origin + path, headers={"Origin": SPELUNKER}, timeout=30)
    assert (nameless.status_code, nameless.text) == (401, "Unauthorized")
    hosts = Hosts(strict, "expired")
    hosts.lead(page)
    with pytest.raises(NotProvedError, match=r"Error loading state:.* 401"):
        prove(page, url, Expected((CELL,), counts={}, colours={}))
    # A refused token is returned, and the viewer requests another one each time.
    assert [login.get("invalid") for login in hosts.logins] == [None, 1, 2]
