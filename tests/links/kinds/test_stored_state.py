"""A state that a user made is stored as it is, and its link says what its record says."""

from __future__ import annotations

from urllib.parse import unquote

import orjson
import pytest

from links.shelf import A, Shelf, stand_in
from synglancer.errors import ServiceError
from synglancer.links.kinds.stored_state import store_state
from synglancer.settings import Settings
from synglancer.states.provenance import parse_provenance
from synglancer.states.record import Provenance
from synglancer.states.urls import hash_state

LAYER = {"type": "segmentation", "name": "s", "source": "graphene://x", "segments": [str(A)]}
STATE = {
    "dimensions": {"z": [1e-9, "m"], "x": [4e-9, "m"], "y": [4e-9, "m"]},
    "layers": [LAYER],
    "synglancer": Provenance(cell=A, datastack="minnie65_public", version=1718).to_json(),
}


def test_a_state_is_stored_and_read_back(monkeypatch) -> None:
    """The order of its axes is kept, because viewers read it; the link names its cells."""
    session = Shelf()
    begun = stand_in(monkeypatch, session)
    settings = Settings(site="google")
    link = store_state(STATE, settings, "a-known-token")
    assert begun == [(settings, {"token": "a-known-token"})]
    assert link.state_url == f"{session.server}/nglstate/api/v1/5"
    assert link.state_id == "5"
    assert link.url == link.given
    assert link.url.endswith(f"#!middleauth+{link.state_url}")
    assert session.kept == {link.state_url: orjson.dumps(STATE)}
    assert [*link.state["dimensions"]] == ["z", "x", "y"]
    assert link.state_sha256 == hash_state(orjson.dumps(STATE))
    assert (link.cell, link.version) == (A, 1718)
    assert "ignores the timestamp" in link.warnings[-1]
    assert 0 <= link.elapsed_s < 1000


def test_a_link_can_carry_the_state(monkeypatch) -> None:
    """Nothing is uploaded then; what is wrong in the record is told before the viewer's damage."""
    session = Shelf()
    stand_in(monkeypatch, session)
    wrong = {**STATE, "synglancer": {"cell": "x", "version": 1718}}
    link = store_state(wrong, Settings(inline=True))
    assert unquote(link.url).endswith(f"#!{orjson.dumps(wrong).decode()}")
    assert (link.state_url, link.state_id, session.asked) == (None, None, [])
    assert "inline link" in link.warnings[-1]
    assert link.warnings[:-1] == [*parse_provenance(wrong)[1]] != []


def test_a_state_that_the_server_changes_has_no_link(monkeypatch) -> None:
    """As for any other link."""
    session = Shelf()
    stand_in(monkeypatch, session)
    session.fetch_state = lambda _: b'{"layers":[]}'
    with pytest.raises(ServiceError, match="a different state"):
        store_state(STATE, Settings())
