"""The state server returns what was posted, and refuses requests as recorded."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
import requests

from cave_sandbox.errors import InputError
from cave_sandbox.server import Sandbox, SandboxOptions
from cave_sandbox.services.states import MAX_BODY
from cave_sandbox.tables.state_store import StateStore

DATA = Path(__file__).parents[2] / "data" / "one-nucleus"
GOOD = {"Authorization": "Bearer good"}
WRONG = {"Authorization": "Bearer wrong"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    states = tmp_path_factory.mktemp("states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=DATA, states=states, token="good")) as running:
        yield running


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    states = tmp_path_factory.mktemp("closed") / "states.sqlite"
    options = SandboxOptions(data=DATA, states=states, token="good", open_states=False)
    with Sandbox(options) as running:
        yield running


def post(sandbox, body, path="/nglstate/api/v1/post", headers=GOOD):
    return requests.post(sandbox.origin + path, data=body, headers=headers, timeout=30)


def get(address, headers=None, **options):
    return requests.get(address, headers=headers, timeout=30, allow_redirects=False, **options)


def test_posted_state_returns_byte_for_byte(sandbox):
    """A state comes back with the posted bytes, including white space, order and NaN."""
    body = b'{"z" : 1,\n "a":[NaN, 18446744073709551615, "\xc3\xa9"]}'
    address = post(sandbox, body).json()
    assert get(address).content == body


def test_ids_are_new_16_digits_and_whole_as_doubles(sandbox):
    """Each post creates a new ID of 16 digits, which a viewer's numbers can hold."""
    ids = [int(post(sandbox, b"{}").json().rsplit("/", 1)[1]) for _ in range(20)]
    assert len(set(ids)) == 20
    assert all(len(str(number)) == 16 and number < 2**53 for number in ids)


def test_address_is_the_one_that_was_asked(sandbox):
    """The answer to a post names the server as the client wrote it."""
    other = sandbox.origin.replace("127.0.0.1", "localhost")
    answer = requests.post(f"{other}/nglstate/api/v1/post", data=b"{}", headers=GOOD, timeout=30)
    assert answer.json().startswith(f"{other}/nglstate/api/v1/")


def test_state_is_deflated_unless_refused(sandbox):
    """A state is sent deflated to clients that accept deflate or gzip, and plain to all others."""
    address = post(sandbox, b'{"a": 1}').json()
    encodings = {
        accepted: get(address, {"Accept-Encoding": accepted}).headers.get("Content-Encoding")
        for accepted in ("gzip, deflate", "gzip", "identity")
    }
    assert encodings == {"gzip, deflate": "deflate", "gzip": "deflate", "identity": None}


def test_raw_state_is_zlib(sandbox):
    """The raw address returns the compressed bytes."""
    address = post(sandbox, b'{"a": 1}').json()
    raw = get(address.replace("/api/v1/", "/api/v1/raw/"), GOOD)
    assert zlib.decompress(raw.content) == b'{"a": 1}'


def test_legacy_address(sandbox):
    """The address without a version stores and returns the same states."""
    address = post(sandbox, b'{"a": 1}', "/nglstate/post").json()
    assert address.startswith(f"{sandbox.origin}/nglstate/")
    assert "/api/" not in address
    assert get(address).json() == {"a": 1}


def test_properties_have_ids_of_their_own(sandbox):
    """Segment properties come back from their own address, not from that of a state."""
    body = json.dumps({"@type": "neuroglancer_segment_properties"}).encode()
    address = post(sandbox, body, "/nglstate/api/v1/property/post").json()
    assert "/property/" in address
    assert get(f"{address}/info").content == body
    assert get(address.replace("/property", "")).status_code == 500


@pytest.mark.parametrize("body", [b"", b"{not json", b"\xff\xfe", b"[" * 200_000])
def test_what_is_no_json_is_refused(sandbox, body):
    """A body that is not JSON gives a 500 page, without headers for other origins."""
    answer = post(sandbox, body)
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    "name", ["0", "999", "-1", "notanumber", "9" * 400, "1e15", "%D9%A1", "1234567890123456"]
)
def test_unknown_ids_are_a_500_page(sandbox, name):
    """An unknown ID gives a 500 page, whatever it looks like."""
    answer = get(f"{sandbox.origin}/nglstate/api/v1/{name}", GOOD)
    assert answer.status_code == 500
    assert "<title>500 Internal Server Error</title>" in answer.text


def test_open_states_are_read_without_a_token(sandbox):
    """A browser, which cannot log in here, can read a state but not post one."""
    origin = {"Origin": "https://spelunker.cave-explorer.org"}
    address = post(sandbox, b"{}").json()
    answer = get(address, origin)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    assert post(sandbox, b"{}", headers=origin).status_code == 401


def test_wrong_token_is_refused_on_open_states(sandbox):
    """A wrong token is refused in plain text, even where no token is needed."""
    answer = get(post(sandbox, b"{}").json(), WRONG)
    assert (answer.status_code, answer.text) == (401, "Invalid/Expired Token")


def test_closed_states_need_a_token(closed):
    """Like CAVE, a closed server refuses a page without a token, and sends a person to the
    login."""
    address = post(closed, b"{}").json()
    page = get(address, {"Origin": "https://spelunker.cave-explorer.org"})
    assert (page.status_code, page.text) == (401, "Unauthorized")
    assert get(address).status_code == 302
    assert get(address, GOOD).status_code == 200


def test_own_id_needs_an_administrator(sandbox):
    """Posting under a chosen ID is refused, and nothing is stored."""
    answer = post(sandbox, b"{}", "/nglstate/api/v1/post/1234567890123456")
    assert (answer.status_code, answer.text) == (403, "Requires superadmin privilege.")
    assert get(f"{sandbox.origin}/nglstate/api/v1/1234567890123456").status_code == 500


def test_head_has_no_body(sandbox):
    """HEAD returns what GET would, without a body."""
    answer = requests.head(post(sandbox, b"{}").json(), timeout=30)
    assert (answer.status_code, answer.content) == (200, b"")


def test_large_state(sandbox):
    """A state of 20 MB is stored completely."""
    body = json.dumps({"rows": ["x" * 1000] * 20_000}).encode()
    assert get(post(sandbox, body).json()).content == body


def test_body_above_the_cap_is_refused(sandbox):
    """A body of more than 100 MB is refused."""
    answer = post(sandbox, b" " * (MAX_BODY + 1))
    assert answer.status_code == 413


def test_states_outlive_the_server(tmp_path):
    """Another server with the same file can open a state."""
    options = SandboxOptions(data=DATA, states=tmp_path / "s" / "states.sqlite", token="good")
    with Sandbox(options) as first:
        path = post(first, b'{"a": 1}').json().removeprefix(first.origin)
    with Sandbox(options) as second:
        assert get(second.origin + path).json() == {"a": 1}


WRITER = """
import sys
from pathlib import Path
from cave_sandbox.tables.state_store import StateStore

path, name = Path(sys.argv[1]), sys.argv[2]
store = StateStore(path)
for number in range(25):
    print(store.add(f"[{name!r}, {number}]".encode()))
"""


def test_several_processes_share_one_file(tmp_path):
    """Four processes that create the file and write at once lose and mix nothing."""
    path = tmp_path / "states.sqlite"
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, path, name], stdout=subprocess.PIPE, text=True
        )
        for name in "abcd"
    }
    said = {name: writer.communicate(timeout=60)[0] for name, writer in writers.items()}
    store = StateStore(path)
    for name, ids in said.items():
        bodies = [zlib.decompress(store.read_packed(int(number))) for number in ids.split()]
        assert bodies == [f"[{name!r}, {number}]".encode() for number in range(25)]


def test_a_file_that_is_no_store_is_named(tmp_path):
    """A file that is not a database is refused by name, and left unchanged."""
    path = tmp_path / "states.sqlite"
    path.write_text("notes " * 1000)
    with pytest.raises(InputError, match=r"states\.sqlite"):
        StateStore(path)
    assert path.read_text().startswith("notes")
