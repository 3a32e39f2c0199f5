"""States are uploaded, read back, and named by a link only if they came back unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import unquote

import pytest

from links.shelf import Shelf
from synglancer.errors import ServiceError, TooLargeError
from synglancer.links.upload import (
    Placed,
    place_state,
    upload_properties,
    upload_state,
    upload_state_once,
)
from synglancer.settings import Settings
from synglancer.view.state import State
from view.test_state import DATASTACK

STATES = "https://cave.example.org/nglstate/api/v1"


def state_of(content: bytes) -> State:
    return State(content, hashlib.sha256(content).hexdigest())


STATE = state_of(b'{"a":1,"layers":[]}')
SPARE = state_of(b'{"a":2,"layers":[]}')


class Careless(Shelf):
    """A server that returns other white space, or another content."""

    def __init__(self, change) -> None:
        super().__init__()
        self.change = change

    def fetch_state(self, state_url: str) -> bytes:
        return self.change(super().fetch_state(state_url))


@pytest.mark.parametrize(
    ("site", "url", "blind"),
    [
        (None, "https://own.lab.org/#!middleauth+{}/5", None),
        ("spelunker", "https://spelunker.cave-explorer.org/#!middleauth+{}/5", None),
        ("https://ng.lab.org/x", "https://ng.lab.org/x#!middleauth+{}/5", None),
        (
            "https://neuroglancer-demo.appspot.com",
            "https://neuroglancer-demo.appspot.com/#!middleauth+{}/5",
            "neuroglancer-demo.appspot.com",
        ),
        ("google=https://ng.lab.org/", "https://ng.lab.org/#!middleauth+{}/5", "ng.lab.org"),
    ],
)
def test_a_short_link_opens_the_stored_state_in_the_viewer(site, url, blind) -> None:
    """The viewer is the datastack's own or the one that was asked for, which may ignore the
    timestamp."""
    session = Shelf(datastack=replace(DATASTACK, viewer_site="https://own.lab.org"))
    placed = place_state(session, Settings(site=site), STATE)
    assert placed.url == url.format(STATES)
    assert (placed.state_url, placed.state_id) == (f"{STATES}/5", "5")
    assert session.kept == {f"{STATES}/5": STATE.json}
    told = [f"The viewer at {blind} ignores the timestamp"] if blind else []
    assert [one.partition(" and shows")[0] for one in placed.warnings] == told


@pytest.mark.parametrize("options", [{}, {"source": "https://a.org/s", "upload": False}])
def test_an_inline_link_carries_the_state_and_asks_for_nothing(options) -> None:
    """A warning says how viewers can damage it, and how a short link is made instead."""
    session = Shelf()
    placed = place_state(session, Settings(inline=True, site="google", **options), STATE)
    assert unquote(placed.url) == f"https://neuroglancer-demo.appspot.com/#!{STATE.json.decode()}"
    assert (placed.state_url, placed.state_id, session.asked) == (None, None, [])
    damage, pin = placed.warnings
    assert damage.endswith("with --upload." if options else "without --inline.")
    assert "ignores the timestamp" in pin


def test_the_servers_own_viewer_does_not_damage_inline_links() -> None:
    """Only other viewers are warned about; and a segmentation that never changes needs no pin."""
    flat = replace(DATASTACK, segmentation_source="precomputed://https://a.org/flat")
    session = Shelf("https://spelunker.cave-explorer.org", datastack=flat)
    assert place_state(session, Settings(inline=True), STATE).warnings == []
    assert place_state(session, Settings(site="google"), STATE).warnings == []


def test_a_state_has_a_number_only_on_a_server() -> None:
    """The number is the last part of the address, even one that no JSON number could hold."""
    assert Placed("x", f"{STATES}/5931234567890123457", ()).state_id == "5931234567890123457"
    assert Placed("x", None, ()).state_id is None


@pytest.mark.parametrize(("size", "megabytes"), [(3_000_001, "3"), (1_234_499_999, "1,234")])
def test_a_state_that_is_too_large_is_not_sent(monkeypatch, size, megabytes) -> None:
    """The limit itself is allowed; above it, the error names both sizes."""

    class Large(bytes):
        def __len__(self) -> int:
            return size

    session = Shelf()
    monkeypatch.setattr("synglancer.links.upload.MAX_STATE", 3_000_000)
    with pytest.raises(TooLargeError, match=f"has {megabytes} MB, more than the 3 MB that"):
        upload_state(session, State(Large(STATE.json), STATE.sha256))
    assert session.asked == []
    size = 3_000_000
    assert upload_state(session, State(Large(STATE.json), STATE.sha256)) == f"{STATES}/5"


@pytest.mark.parametrize("upload", [upload_state, upload_state_once])
def test_a_state_that_comes_back_changed_has_no_link(upload) -> None:
    """White space may differ, as JSON databases do; a content may not, and is not remembered."""
    spaced = Careless(lambda content: content.replace(b":", b" : "))
    assert upload(spaced, STATE) == f"{STATES}/5"
    damaged = Careless(lambda content: content.replace(b"2", b"3"))
    for number in (5, 6):
        with pytest.raises(ServiceError, match="a different state"):
            upload(damaged, SPARE)
        assert damaged.asked[-2:] == ["put /state", f"get /nglstate/api/v1/{number}"]


def test_properties_that_come_back_changed_are_refused() -> None:
    """The sentence names the option that needs them."""
    damaged = Careless(lambda content: content + b" ]")
    with pytest.raises(ServiceError, match="different segment properties") as caught:
        upload_properties(damaged, b"{}")
    assert "--cell-types" in caught.value.hint
    with pytest.raises(ServiceError, match="different segment properties"):
        upload_properties(damaged, b"{}")
    assert damaged.asked.count("put /property") == 2


def test_the_same_properties_are_uploaded_once() -> None:
    """Later links name the same address after a look at it, so equal questions give equal states;
    other properties, and another server, get their own."""
    first, again, other = Shelf(), Shelf(), Shelf("https://other.example.org")
    url = upload_properties(first, b'{"a":1}')
    assert url == f"{STATES}/property/5"
    assert first.asked == ["put /property", "get /nglstate/api/v1/property/5/info"]
    again.kept = {**first.kept, "one more": b""}
    assert upload_properties(again, b'{"a":1}') == url
    assert again.asked == ["get /nglstate/api/v1/property/5/info"]
    assert upload_properties(again, b'{"a":2}') == f"{STATES}/property/7"
    assert upload_properties(other, b'{"a":1}').startswith("https://other.example.org/")
    assert upload_properties(first, b'{"a":1}') == url


@pytest.mark.parametrize("loss", ["gone", "changed"])
def test_what_was_uploaded_and_lost_is_uploaded_again(loss) -> None:
    """A link never names an address whose content is gone or of someone else."""
    session = Shelf()
    url = upload_properties(session, b'{"a":1}')
    old = session.kept.pop(f"{url}/info")
    session.kept["one more"] = b""
    if loss == "changed":
        session.kept[f"{url}/info"] = b'{"a":2}'
    new = upload_properties(session, b'{"a":1}')
    assert new != url
    assert session.kept[f"{new}/info"] == old
    session.asked.clear()
    assert upload_properties(session, b'{"a":1}') == new
    assert session.asked == [f"get {new.removeprefix(session.server)}/info"]


def test_a_state_and_properties_with_the_same_content_are_told_apart() -> None:
    """Each is remembered under its kind, and a state has no page of its own below its address."""
    session = Shelf()
    state, properties = upload_state_once(session, STATE), upload_properties(session, STATE.json)
    assert (state, properties) == (f"{STATES}/5", f"{STATES}/property/6")
    session.asked.clear()
    assert (upload_state_once(session, STATE), upload_properties(session, STATE.json)) == (
        state,
        properties,
    )
    assert session.asked == [
        "get /nglstate/api/v1/5",
        "get /nglstate/api/v1/property/6/info",
    ]
    assert upload_state(session, STATE) == f"{STATES}/7"  # each link to a cell has its own state
