"""The state server answers as the real one was recorded to answer.

Differences that are meant:

- Addresses name the sandbox, IDs are drawn anew: both are mapped before comparing.
- The login page is the sandbox's own, not the one at global.daf-apis.com.
- ``table_info`` names the sandbox's project and table: only the form is compared.
- ``X-Data-Identity`` comes with every answer: the real services have nothing of the kind.
- ``Allow`` names the same methods in another order: compared as a set.
- With ``open_states``, the default, a GET of a state without any token is answered, because a
  browser cannot log in to a server of plain http. The replay runs with ``open_states=False``, and
  a second test shows that this is the only difference that the option makes.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import pytest
import requests

from cave_sandbox.server import Sandbox, SandboxOptions
from cave_sandbox.tables.state_store import StateStore

DATA = Path(__file__).parents[1] / "data"
EXCHANGES = [
    json.loads(line)
    for line in (DATA / "wire-states" / "exchanges.jsonl").read_text("utf-8").splitlines()
]
TOKENS = {
    "GOOD_TOKEN": "good",
    "NO_PERMISSION_TOKEN": "without-permission",
    "MISSING_TOS_TOKEN": "without-terms",
}
TOKEN = re.compile("|".join(TOKENS))
#: Headers that belong to the HTTP server, not to the service.
SERVER_HEADERS = {"Content-Length", "Date", "Server", "Etag", "X-Data-Identity"}
ID = re.compile(r"\b\d{16}\b")
RECORDED_LOGIN = "https://global.daf-apis.com/sticky_auth"
RECORDED_ORIGIN = "http://127.0.0.1:9100"


class Replay:
    """Sends recorded requests, and converts the answers to the recording's terms."""

    def __init__(self, sandbox):
        self.origin = sandbox.origin
        self.store = StateStore(sandbox.options.states)
        self.ids = {}

    def send(self, exchange):
        """Send the request of an exchange."""
        headers = {
            name: TOKEN.sub(lambda match: TOKENS[match[0]], value)
            for name, value in exchange["request_headers"].items()
        }
        body = exchange.get("request_text", "").encode()
        if "request_json" in exchange:
            body = json.dumps(exchange["request_json"]).encode()
        self.prepare_id(exchange)
        # A prepared request is sent unchanged, except for the headers that requests adds to every
        # session.
        return requests.request(
            exchange["method"],
            self.origin + ID.sub(lambda match: self.ids.get(match[0], match[0]), exchange["path"]),
            data=body or None,
            headers={"User-Agent": None, "Accept": None, **headers},
            allow_redirects=False,
            timeout=30,
        )

    def prepare_id(self, exchange):
        """Store the state of an ID whose post was not recorded."""
        asked = ID.search(exchange["path"])
        if asked and asked[0] not in self.ids and "response_json" in exchange:
            body = json.dumps(exchange["response_json"]).encode()
            self.ids[asked[0]] = str(self.store.add(body))

    def note_id(self, exchange, answer):
        """Remember which ID stands for a recorded one."""
        recorded = exchange.get("response_json")
        if exchange["method"] == "POST" and isinstance(recorded, str):
            self.ids[ID.search(recorded)[0]] = ID.search(answer.json())[0]

    def to_recorded(self, text):
        """Replace the sandbox's address and IDs by the recorded ones."""
        for recorded, own in self.ids.items():
            text = text.replace(own, recorded)
        quoted = self.origin.replace("://", "%3A//").replace("127.0.0.1:", "127.0.0.1%3A")
        return (
            text.replace(f"{self.origin}/sticky_auth", RECORDED_LOGIN)
            .replace(quoted, "http%3A//127.0.0.1%3A9100")
            .replace(self.origin, RECORDED_ORIGIN)
        )

    def headers_of(self, answer):
        """Return the answer's headers as sorted pairs, with repeated ones separate."""
        return normal(
            (name, self.to_recorded(value))
            for name, value in answer.raw.headers.items()
            if name not in SERVER_HEADERS
        )


def normal(pairs):
    """Return headers in one order, with sets of names as sets."""
    listed = []
    for name, value in pairs:
        if name in {"Allow", "Vary"}:
            listed += [(name.lower(), part.strip()) for part in value.split(",")]
        else:
            listed.append((name.lower(), value))
    return sorted(listed)


def text_of(exchange):
    """Return the comparable parts of a recorded body."""
    if "response_json" in exchange:
        return json.dumps(exchange["response_json"])
    return exchange.get("response_text") or ""


@pytest.fixture(scope="module")
def replay(tmp_path_factory):
    options = SandboxOptions(
        data=DATA / "one-nucleus",
        states=tmp_path_factory.mktemp("wire") / "states.sqlite",
        token=TOKENS["GOOD_TOKEN"],
        no_permission_token=TOKENS["NO_PERMISSION_TOKEN"],
        missing_tos_token=TOKENS["MISSING_TOS_TOKEN"],
        open_states=False,
    )
    with Sandbox(options) as sandbox:
        yield Replay(sandbox)


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange["id"])
def test_answer_is_as_recorded(replay, exchange):
    """Status, headers and body of a recorded exchange are the same."""
    answer = replay.send(exchange)
    assert answer.status_code == exchange["status"]
    replay.note_id(exchange, answer)
    assert replay.headers_of(answer) == normal(exchange["response_headers"])
    if "/raw/" in exchange["path"]:
        assert json.loads(zlib.decompress(answer.content)) == {"layers": [{"name": "a"}]}
    elif exchange["path"].endswith("table_info"):
        assert re.fullmatch(r"User: \d+ - project \S+ - table \S+", answer.text)
    elif "response_json" in exchange:
        assert replay.to_recorded(json.dumps(answer.json())) == text_of(exchange)
    else:
        assert replay.to_recorded(answer.text) == text_of(exchange)


def test_open_states_change_nothing_else(tmp_path):
    """With open states, only reading a state without a token is answered differently."""
    options = SandboxOptions(
        data=DATA / "one-nucleus",
        states=tmp_path / "states.sqlite",
        token=TOKENS["GOOD_TOKEN"],
        no_permission_token=TOKENS["NO_PERMISSION_TOKEN"],
    )
    different = []
    with Sandbox(options) as sandbox:
        replay = Replay(sandbox)
        for exchange in EXCHANGES:
            answer = replay.send(exchange)
            if answer.status_code == exchange["status"]:
                replay.note_id(exchange, answer)
            else:
                different.append(exchange)
    assert different
    assert all(
        exchange["method"] == "GET" and "Authorization" not in exchange["request_headers"]
        for exchange in different
    )
