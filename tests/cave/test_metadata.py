"""What a server does not have is named, and what it did not say is not guessed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from synglancer.cave.metadata import fetch_datastack, fetch_materialization
from synglancer.errors import (
    BadAnswerError,
    LoginError,
    NotServedError,
    SynglancerError,
    UnreachableError,
)
from view.test_state import DATASTACK

SERVER = "https://cave.example.org"


def answering(**answers: Any) -> Any:
    """A client that gives these answers, or raises them, by the last part of the address."""

    def fetch(url: str) -> bytes:
        given = answers.get(url.partition("?")[0].rpartition("/")[2], NotServedError("No.", "No."))
        if isinstance(given, Exception):
            raise given
        return orjson.dumps(given)

    return SimpleNamespace(fetch=fetch)


@pytest.mark.parametrize(
    ("listed", "kind", "said"),
    [
        (["minnie65_public"], NotServedError, f"{SERVER} has no datastack 'other'."),
        (NotServedError("No.", "No."), BadAnswerError, "does not look like an answer from CAVE"),
        (LoginError("No token.", "Give one."), LoginError, "No token."),
        (UnreachableError("Silent.", "Wait."), UnreachableError, "Silent."),
    ],
)
def test_an_unknown_datastack_is_told_from_another_server(listed, kind, said):
    """Only a server without a list of datastacks is no CAVE server; one that refuses or is silent
    may be."""
    with pytest.raises(SynglancerError) as caught:
        fetch_datastack(answering(datastacks=listed), SERVER, "other")
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_a_datastack_without_versions_is_named():
    """If all versions have expired, there is no latest one."""
    with pytest.raises(NotServedError, match="minnie65_public has no available version") as caught:
        fetch_materialization(answering(metadata=[]), DATASTACK, "latest")
    assert caught.value.hint == "Choose another datastack with --datastack."
