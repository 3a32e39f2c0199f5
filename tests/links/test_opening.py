"""The state of any link is found, and the link that a browser opens."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from links.shelf import A, B
from synglancer.errors import BadAnswerError, UsageError
from synglancer.links.opening import OpenedLink, name_for_files, open_link
from synglancer.states.record import Provenance
from synglancer.states.record_parts import NamedSynapse
from synglancer.states.urls import MAX_INLINE, format_inline_link, format_link, parse_link

SITE = "https://viewer.example.org/"
NAMED = (NamedSynapse(2**53 + 1, "spine", 0.5, 10, pre=A, post=B),)


def state_of(*layers: Any, **record: Any) -> dict[str, Any]:
    recorded = {"synglancer": Provenance(**record).to_json()} if record else {}
    return {"layers": [*layers], **recorded}


SELECTED = {"type": "segmentation", "name": "s", "source": "x", "segments": [str(B), str(A)]}


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (state_of(), "view"),
        (state_of(SELECTED), f"{B}-and-1-more"),
        (state_of(SELECTED, cell=A), f"{A}"),
        (state_of(SELECTED, cell=A, cells=(A, B), synapses=NAMED), f"synapse-{2**53 + 1}"),
        (state_of(SELECTED, cell=A, synapses=NAMED * 2), f"synapse-{2**53 + 1}-and-1-more"),
    ],
)
def test_files_are_named_after_what_the_link_shows(state, name) -> None:
    """Its synapses, its recorded cells, else the selected ones; a state of none is a view."""
    assert OpenedLink(SITE, SITE, state).name == name


def test_files_of_cells_and_synapses_have_different_names() -> None:
    """A synapse can have the number of a cell."""
    assert name_for_files([A, B]) == f"{A}-and-1-more"
    assert name_for_files([]) == "view"
    assert name_for_files([A], NAMED) == f"synapse-{2**53 + 1}"


def test_a_link_that_carries_its_state_is_opened_without_a_request() -> None:
    """Its viewer and its state are as they were written, with IDs as texts."""
    state = state_of(SELECTED)
    link = format_inline_link(SITE, orjson.dumps(state))
    assert open_link(f" {link}\n") == OpenedLink(link, SITE, state)
    assert open_link(link).for_browser().url == link
    with pytest.raises(UsageError, match="no Neuroglancer state"):
        open_link(f"{SITE}#!%7B%7D")


def test_a_stored_state_is_fetched_with_the_users_server_and_token(monkeypatch) -> None:
    """The token in the file is for that server, which may be another one than the link's."""
    asked = []

    def fetch(url: str, **given: Any) -> bytes:
        asked.append((url, given))
        return orjson.dumps(state_of(SELECTED))

    monkeypatch.setattr("synglancer.cave.access.fetch_link_state", fetch)
    link = format_link(SITE, "https://states.org/nglstate/api/v1/5")
    opened = open_link(link, server="https://cave.org", token_file="/token")
    assert opened.state == state_of(SELECTED)
    given = {"server": "https://cave.org", "token_file": "/token"}
    assert asked == [("https://states.org/nglstate/api/v1/5", given)]
    monkeypatch.setattr("synglancer.cave.access.fetch_link_state", lambda *_, **__: b"<html>")
    with pytest.raises(BadAnswerError, match=r"https://states.org/nglstate/api/v1/5 holds no"):
        open_link(link)


@pytest.mark.parametrize(
    ("server", "site"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/v/synglancer/"),
        ("http://localhost:9000", "http://localhost:9000/v/synglancer/"),
        ("https://cave.example.org", "https://spelunker.cave-explorer.org/"),
        ("", "https://spelunker.cave-explorer.org/"),
    ],
)
def test_a_file_is_opened_in_a_browser_as_an_inline_link(tmp_path, server, site) -> None:
    """The sandbox's own viewer reads the sandbox's images; all others open in Spelunker."""
    path = tmp_path / "state.json"
    path.write_bytes(orjson.dumps(state_of(SELECTED, cell=A, server=server)))
    opened = open_link(str(path))
    shown = opened.for_browser()
    assert (opened.url, shown.site) == (str(path), site)
    parsed = parse_link(shown.url)
    assert parsed.site == site
    assert orjson.loads(parsed.state or b"") == opened.state == shown.state
    assert opened.login_host is None


def test_a_file_that_is_too_large_for_a_link_is_refused_with_another_renderer(tmp_path) -> None:
    """Without a browser it can still be drawn."""
    path = tmp_path / "large.JSON"
    path.write_bytes(orjson.dumps({**state_of(SELECTED), "title": "x" * MAX_INLINE}))
    with pytest.raises(UsageError, match=r"large\.JSON is too large") as caught:
        open_link(str(path)).for_browser()
    assert "plot" in caught.value.hint
    assert type(caught.value) is UsageError


def test_the_host_of_a_login_is_found_in_the_link_or_in_the_state() -> None:
    """Readers without an account there see nothing."""
    private = {"type": "image", "source": "precomputed://middleauth+https://em.org/x"}
    stored = format_link(SITE, "https://states.org/nglstate/api/v1/5")
    for url, layers, host in [
        (stored, [private], "states.org"),
        (SITE, [private], "em.org"),
        (SITE, [SELECTED], None),
    ]:
        assert OpenedLink(url, SITE, state_of(*layers)).login_host == host
