"""A token and an identity are those of one server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from synglancer.cave.access import IDENTITY_HEADER, Access, DataIdentity
from synglancer.errors import DataChangedError, LoginError
from synglancer.settings import Service

STATE = "https://states.example.org/nglstate/api/v1/1"
REFUSED = LoginError("states.example.org does not accept the token.", "Get a new one.")


@pytest.mark.parametrize("saved", [None, "a-saved-token"])
def test_a_foreign_host_that_refuses_is_explained(monkeypatch, saved):
    """If a token was saved for the host of a link, its own refusal is told; otherwise the error
    says for which server the token is."""

    def refuse(_: str) -> bytes:
        raise REFUSED

    monkeypatch.setattr("synglancer.cave.access.find_saved_token", lambda _: saved)
    monkeypatch.setattr(Access, "_open", lambda *_: SimpleNamespace(fetch=refuse))
    with pytest.raises(LoginError) as caught:
        Access(Service(server="https://cave.example.org"), "a-token").fetch_state(STATE)
    own = "the token is only for https://cave.example.org."
    assert (caught.value is REFUSED) == (saved is not None)
    assert str(caught.value).endswith("not accept the token." if saved else own)


def answer(identity: str | None, status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code, response.url = status, "http://127.0.0.1:5/info"
    if identity:
        response.headers[IDENTITY_HEADER] = identity
    return response


def test_a_refusal_without_an_identity_says_nothing_about_the_data():
    """A proxy's refusal in front of a sandbox does not mean that its data have changed; an answer
    without an identity, or with another one, does."""
    identity = DataIdentity("http://127.0.0.1:5")
    identity.observe(answer("a"))
    identity.observe(answer(None, 502))
    assert identity.value == "a"
    changed: Any
    for changed in (None, "b"):
        with pytest.raises(DataChangedError, match="have changed"):
            identity.observe(answer(changed))
