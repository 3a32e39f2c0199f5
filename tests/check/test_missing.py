"""A state is missing if its server fails for it again and serves another; if in doubt, we wait."""

from __future__ import annotations

import pytest

from synglancer.check import missing
from synglancer.errors import ServiceError

LOST, OTHER = "https://a.example.org/nglstate/1", "https://a.example.org/nglstate/2"
ELSEWHERE = "https://b.example.org/nglstate/3"


class Server:
    """Serves some states, and counts what is asked."""

    def __init__(self, *served: str) -> None:
        self.served, self.asked = served, []

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.served:
            raise ServiceError("It failed with status 500.", "Try again.")
        return b"{}"


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses that are made, none of them waited for."""
    made: list[float] = []
    monkeypatch.setattr(missing.time, "sleep", made.append)
    return made


def test_a_server_that_serves_another_state_is_not_waited_for(pauses):
    """One other state that is served shows at once that the server works."""
    server = Server(OTHER)
    missing.wait_for_servers([LOST], [OTHER], server.fetch)
    assert (pauses, server.asked) == ([], [OTHER])
    assert missing.find_missing([LOST], [OTHER], server.fetch) == {LOST}


@pytest.mark.parametrize("witnesses", [[], [ELSEWHERE], [OTHER]])
def test_a_server_that_may_fail_is_waited_for_and_not_blamed(pauses, witnesses):
    """Without another state that this very server serves, there is a pause, and no judgement."""
    server = Server(ELSEWHERE)
    missing.wait_for_servers([LOST], witnesses, server.fetch)
    assert pauses == [missing.PAUSE]
    assert missing.find_missing([LOST], witnesses, server.fetch) == set()


def test_two_servers_are_waited_for_once(pauses):
    """The pause is one for all of them."""
    missing.wait_for_servers([LOST, ELSEWHERE], [], Server().fetch)
    assert pauses == [missing.PAUSE]


def test_a_state_that_comes_back_is_not_missing():
    """What is served in the end is there, whatever failed before."""
    assert missing.find_missing([LOST], [OTHER], Server(LOST, OTHER).fetch) == set()
