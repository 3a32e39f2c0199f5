"""The sandbox's own rules: who can reach it, with which token, and what requests cannot do."""

from __future__ import annotations

import json
import re
import shutil
import socket
from contextlib import suppress

import pandas as pd
import pytest
import requests

from cave_sandbox.errors import InputError
from cave_sandbox.server import Request, Sandbox, SandboxOptions
from cave_sandbox.tables.loaded import load_folder

POSITIONS = [f"{pt}_pt_position_{axis}" for pt in ("pre", "ctr", "post") for axis in "xyz"]
QUERY = "/materialize/api/v3/datastack/minnie65_public/version/1718/table/synapses/query"
ARGUMENTS = "?return_pyarrow=False&direct_sql_pandas=True"
TOKEN = {"Authorization": "Bearer right"}
EVIL = "x\" FROM read_csv('/etc/passwd')--"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    columns = ["id", *POSITIONS, "size", "pre_pt_root_id", "post_pt_root_id"]
    rows = [[place, *range(9), float(place), 10, 20] for place in (1, 2, 3)]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "synapses.csv", index=False)
    tags = pd.DataFrame({
        "id": [1, 2, 3], "target_id": [1, 2, 3], "value": [0.5, 0.9, 1.0],
        "tag": ["it's", 'say "hi"', "zwei\nZeilen"],
    })  # fmt: skip
    tags.to_parquet(folder / "tags.parquet")
    notice = "Two\nlines — and a dash"
    description = {"tables": {"tags": {"schema": "reference_tag_float", "notice_text": notice}}}
    (folder / "datastack.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="module")
def sandbox(folder):
    options = SandboxOptions(
        data=folder, states=folder / "states.db", token="right",
        allowed_hosts=frozenset({"global.daf-apis.com"}),
    )  # fmt: skip
    with Sandbox(options) as running:
        yield running


def query(sandbox, body, path=QUERY):
    answer = requests.post(
        sandbox.origin + path + ARGUMENTS, data=json.dumps(body), headers=TOKEN, timeout=30
    )
    return answer.status_code, answer.json()


def test_only_loopback_addresses_are_bound(folder):
    """An address that other machines can reach is refused before anything is bound."""
    for host in ("0.0.0.0", "192.168.1.2", "example.org", ""):
        with pytest.raises(InputError, match="other machines"):
            Sandbox(SandboxOptions(data=folder, states=folder / "s.db", token="t", host=host))


def test_a_taken_port_is_refused(sandbox, folder):
    """A port in use is named."""
    port = int(sandbox.origin.rsplit(":", 1)[1])
    with pytest.raises(InputError, match=str(port)):
        Sandbox(SandboxOptions(data=folder, states=folder / "s.db", token="t", port=port))


def test_a_row_limit_of_nothing_is_refused(folder):
    """A row limit that no row could meet is refused."""
    with pytest.raises(InputError, match="row limit"):
        Sandbox(SandboxOptions(data=folder, states=folder / "s.db", token="t", row_limit=0))


def test_options_do_not_show_tokens(folder):
    """Printed options do not show the token."""
    options = SandboxOptions(data=folder, states=folder / "s.db", token="hidden-word")
    assert "hidden-word" not in repr(options)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("[::1]:{port}", 200),
        ("global.daf-apis.com", 200),
        ("127.0.0.1", 403),
        ("127.0.0.1:1", 403),
        ("attacker.example:{port}", 403),
        ("127.0.0.1.attacker.example:{port}", 403),
    ],
)
def test_it_answers_only_under_its_own_names(sandbox, host, status):
    """A foreign host name that points here is refused, whatever the request."""
    port = sandbox.origin.rsplit(":", 1)[1]
    for path in ("/info/version", "/", "/nglstate/api/v1/version", "/nowhere"):
        answer = requests.get(
            sandbox.origin + path, headers={"Host": host.format(port=port)}, timeout=30
        )
        if status == 403:
            assert answer.status_code == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
        else:
            assert answer.status_code != 403


def test_a_token_may_come_as_header_or_cookie_but_not_in_the_address(sandbox):
    """The header takes precedence over the cookie, and a token in the address is ignored."""
    address = f"{sandbox.origin}/info/api/v2/datastacks"

    def status(path="", **given):
        return requests.get(address + path, allow_redirects=False, timeout=30, **given).status_code

    assert status(headers=TOKEN) == 200
    assert status(cookies={"middle_auth_token": "right"}) == 200
    assert status(headers={"Authorization": "Bearer wrong"}) == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert status(headers=wrong, cookies={"middle_auth_token": "right"}) == 401
    assert status("?middle_auth_token=right") == 302
    assert status(headers={"Authorization": "Bearer "}) == 401
    assert status(headers={"Authorization": "Bearer \u00e4".encode()}) == 401


def test_every_reading_service_wants_a_token(sandbox):
    """Without a token, no address with data answers with data."""
    one = "/materialize/api/v3/datastack/minnie65_public"
    paths = [
        "/info/api/v2/datastacks", "/info/api/v2/datastack/full/minnie65_public",
        "/info/api/v2/datastack/minnie65_public/image_sources", "/info/api/v2/aligned_volume",
        f"{one}/versions", f"{one}/metadata", f"{one}/version/1718", f"{one}/version/1718/tables",
        f"{one}/version/1718/tables/metadata", f"{one}/version/1718/table/tags/metadata",
        f"{one}/version/1718/table/tags/count", f"{one}/table/tags/unique_string_values",
        "/segmentation/table/minnie65_public/info",
        "/segmentation/api/v1/table/minnie65_public/node/10/leaves",
        "/segmentation/api/v1/table/minnie65_public/oldest_timestamp",
    ]  # fmt: skip
    for path in paths:
        answer = requests.get(sandbox.origin + path, allow_redirects=False, timeout=30)
        assert answer.status_code == 302, path
        assert requests.get(sandbox.origin + path, headers=TOKEN, timeout=30).ok, path


def test_the_login_page_says_what_to_do(sandbox):
    """A login redirect leads to a page of the sandbox that says which token to use."""
    answer = requests.get(f"{sandbox.origin}/info/api/v2/datastacks", timeout=30)
    assert answer.url.startswith(f"{sandbox.origin}/sticky_auth/api/v1/authorize")
    assert "Authorization: Bearer TOKEN" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {"select_columns": [EVIL]},
        {"filter_equal_dict": {"synapses": {EVIL: 1}}},
        {"filter_equal_dict": {EVIL: {"id": 1}}},
        {"filter_equal_dict": {"synapses": {"id": EVIL}}},
        {"filter_in_dict": {"synapses": {"id": [EVIL]}}},
        {"filter_spatial_dict": {"synapses": {"ctr_pt_position": EVIL}}},
        {"limit": EVIL},
        {"offset": EVIL},
        {"desired_resolution": [1, 1, EVIL]},
    ],
)
def test_nothing_from_a_request_reaches_the_sql(sandbox, body):
    """SQL anywhere in a request is an invalid value, and reads no file."""
    status, answer = query(sandbox, body)
    assert status == 500
    assert "root:" not in json.dumps(answer)


def test_sql_in_the_address_is_an_unknown_table(sandbox):
    """A table's name in the address is looked up, never executed."""
    path = QUERY.replace("synapses", requests.utils.quote(EVIL, safe=""))
    status, answer = query(sandbox, {}, path)
    assert status == 500
    assert answer["message"].startswith("404 Not Found: Analysis table")


@pytest.mark.parametrize("tag", ["it's", 'say "hi"', "zwei\nZeilen", "'; DROP TABLE tags"])
def test_texts_are_compared_as_they_are(sandbox, tag):
    """Quotes and line breaks in a value are treated as plain characters."""
    path = QUERY.replace("synapses", "tags")
    for body in (
        {"filter_equal_dict": {"tags": {"tag": tag}}},
        {"filter_in_dict": {"tags": {"tag": [tag]}}},
    ):
        status, rows = query(sandbox, body, path)
        assert status == 200
        assert [row["tag"] for row in rows] == ([] if "DROP" in tag else [tag])


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({"filter_notin_dict": {"synapses": {"id": [1]}}}, 2),
        ({"filter_notin_dict": {"synapses": {"id": []}}}, 3),
        ({"filter_in_dict": {"synapses": {"id": []}}}, 0),
        ({"filter_in_dict": {"synapses": {"id": [1, 2**64, -(2**70)]}}}, 1),
        ({"filter_equal_dict": {"synapses": {"id": 10**60}}}, 0),
        ({"filter_less_dict": {"synapses": {"id": 10**60}}}, 3),
        ({"filter_greater_dict": {"synapses": {"id": -(10**60)}}}, 3),
        ({"filter_greater_dict": {"synapses": {"id": 1.5}}}, 2),
        ({"filter_equal_dict": {"synapses": {"id": 2.0}}}, 1),
        ({"filter_equal_dict": {"synapses": {"valid": True}}}, 3),
        ({"filter_greater_dict": {"synapses": {"created": "2020-01-01T00:00:00Z"}}}, 3),
        ({"filter_less_dict": {"synapses": {"created": "2020-01-01T00:00:00Z"}}}, 0),
        ({"filter_in_dict": {"synapses": None}}, 3),
        ({"limit": 0}, 0),
        ({"offset": 2}, 1),
        ({"filter_spatial_dict": {"synapses": {"pre_pt_position": [[0, 1, 2], [0, 1, 2]]}}}, 3),
    ],
)
def test_values_are_compared_as_the_column_is_meant(sandbox, body, count):
    """Numbers of any size, whole floats, times and empty lists are handled correctly."""
    status, rows = query(sandbox, body)
    assert status == 200, rows
    assert len(rows) == count


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"limit": "3"}, "limit"),
        ({"limit": True}, "limit"),
        ({"select_columns": "id"}, "select_columns"),
        ({"select_columns": [1]}, "select_columns"),
        ({"filter_in_dict": []}, "filter_in_dict"),
        ({"filter_in_dict": {"synapses": [1]}}, "filter_in_dict"),
        ({"desired_resolution": 4}, "desired_resolution"),
        ({"desired_resolution": [4, 4, 0]}, "desired_resolution"),
        ({"desired_resolution": []}, "desired_resolution"),
        ({"tables": []}, "tables"),
        ({"tables": None}, "tables"),
    ],
)
def test_a_wrong_body_is_refused_by_its_key(sandbox, body, key):
    """Each key of the wrong type is named in the service's own form."""
    status, answer = query(sandbox, body)
    assert status == 500
    assert set(answer["schema_errors"]) == {key}


@pytest.mark.parametrize("limit", [{"limit": -1}, {"offset": -1}])
def test_negative_limits_are_refused(sandbox, limit):
    """A negative limit or offset is refused in the database's words."""
    status, answer = query(sandbox, limit)
    assert (status, answer["code"]) == (500, 500)
    assert "must not be negative" in answer["message"]


def test_a_notice_of_several_lines_does_not_break_the_answer(sandbox):
    """Texts about a table in a data folder reach the header as one line of safe characters."""
    path = QUERY.replace("synapses", "tags")
    answer = requests.post(sandbox.origin + path + ARGUMENTS, data="{}", headers=TOKEN, timeout=30)
    assert answer.headers["Warning"] == "Table Owner Notice on tags: Two lines ? and a dash"


def test_it_logs_what_it_answered_and_stops_more_than_once(folder):
    """Each request is logged with its status, and a stopped sandbox releases its port."""
    options = SandboxOptions(data=folder, states=folder / "states.db", token="right")
    with Sandbox(options) as sandbox:
        requests.get(f"{sandbox.origin}/info/version?x=1", timeout=30)
        requests.get(f"{sandbox.origin}/nowhere", timeout=30)
        assert sandbox.requests == [
            Request("GET", "/info/version", 200),
            Request("GET", "/nowhere", 404),
        ]
    sandbox.stop()
    port = int(sandbox.origin.rsplit(":", 1)[1])
    with Sandbox(
        SandboxOptions(data=folder, states=folder / "states.db", token="right", port=port)
    ) as again:
        assert again.origin == sandbox.origin


def test_sandboxes_may_share_what_is_loaded(folder, tmp_path):
    """Two sandboxes on one loaded folder answer alike, and one continues when the other stops."""
    loaded = load_folder(folder)
    options = [
        SandboxOptions(data=folder, states=tmp_path / f"{name}.db", token="right")
        for name in ("one", "other")
    ]
    asked = {"filter_in_dict": {"synapses": {"id": [1, 3]}}}
    with Sandbox(options[0], loaded) as one:
        with Sandbox(options[1], loaded) as other:
            expected = query(other, asked)
            assert query(one, asked) == expected
        assert query(one, asked) == expected
        assert len(one.requests) == 2
    assert (expected[0], [row["id"] for row in expected[1]]) == (200, [1, 3])
    loaded.tables.close()


@pytest.mark.parametrize(
    ("method", "path", "data"),
    [
        ("POST", "is_latest_roots", "{}"),
        ("POST", "is_latest_roots", "no"),
        ("POST", "root_timestamps?timestamp=soon", '{"node_ids": [1]}'),
        ("POST", "roots_binary", "123"),
        ("GET", "past_id_mapping", '{"root_ids": ["x"]}'),
    ],
)
def test_bad_questions_about_root_ids_are_refused(sandbox, method, path, data):
    """A body or time without meaning is a bad request, not a crash."""
    address = f"{sandbox.origin}/segmentation/api/v1/table/minnie65_public/{path}"
    answer = requests.request(method, address, data=data, headers=TOKEN, timeout=30)
    assert answer.status_code == 400


def test_several_schemas_can_be_asked_for_at_once(sandbox):
    """Named schemas are returned as one object, and unknown names are left out."""
    answer = requests.post(
        f"{sandbox.origin}/schema/api/v2/types",
        params={"schema_names": "synapse,bound_tag,nothing"}, timeout=30,
    )  # fmt: skip
    assert set(answer.json()) == {"synapse", "bound_tag"}


def test_requests_that_were_taken_are_forgotten(sandbox):
    """A sandbox that serves for weeks does not keep a log of counted requests."""
    sandbox.take_requests()
    for _ in range(3):
        requests.get(sandbox.origin + "/info/version", timeout=30)
    assert [request.path for request in sandbox.take_requests()] == ["/info/version"] * 3
    assert (sandbox.requests, sandbox.take_requests()) == ([], [])


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /info/version HTTP/1.1\r\nHost: 127.0.0.1",
        b"POST /nglstate/api/v1/post HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half of the headers", "half of the body"],
)
def test_a_stalled_connection_is_closed(folder, begun):
    """A client that connects and sends no complete request is disconnected; others are served
    meanwhile."""
    options = SandboxOptions(data=folder, states=folder / "t.db", token="t", stall_seconds=0.2)
    with Sandbox(options) as sandbox, connect(sandbox) as connection:
        connection.sendall(begun)
        assert requests.get(f"{sandbox.origin}/info/version", timeout=30).status_code == 200
        assert receive_all(connection) == b""


def test_an_idle_connection_is_closed(folder):
    """An idle connection that was kept alive is closed."""
    options = SandboxOptions(data=folder, states=folder / "t.db", token="t", stall_seconds=0.2)
    with Sandbox(options) as sandbox, connect(sandbox) as connection:
        host = sandbox.origin.removeprefix("http://")
        connection.sendall(f"GET /info/version HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert receive_all(connection).startswith(b"HTTP/1.1 200")


def connect(sandbox):
    host, port = sandbox.origin.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def receive_all(connection):
    """Return the bytes until the other side closes; a silent server ends in an error."""
    received = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(4096):
            received += part
    return received


def test_every_answer_says_which_data_are_served(folder, tmp_path):
    """All answers of all services, good or refused, have the identity of the data folder."""
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    told = []
    for limit in (None, 5):
        options = SandboxOptions(data=data, states=tmp_path / "s.db", token="t", row_limit=limit)
        with Sandbox(options) as sandbox:
            for path in ("/info/version", "/info/api/v2/datastacks", QUERY, "/nglstate/api/v1/1"):
                answer = requests.get(sandbox.origin + path, allow_redirects=False, timeout=30)
                told.append(answer.headers["X-Data-Identity"])
    assert len(set(told)) == 1
    assert re.fullmatch(r"[!-~]{1,64}", told[0])
    with (data / "synapses.csv").open("a") as file:
        file.write("4,0,1,2,3,4,5,6,7,8,4.0,10,20\n")
    with Sandbox(options) as sandbox:
        answer = requests.get(f"{sandbox.origin}/info/version", timeout=30)
    assert answer.headers["X-Data-Identity"] != told[0]
