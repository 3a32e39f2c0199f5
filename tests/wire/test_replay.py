"""Recorded exchanges, replayed against the sandbox that holds the recorded rows.

For each: same status, same headers that matter, same JSON, same Arrow columns, types, pandas
metadata and compression, same rows in any order. What differs on purpose is in `DIFFERENCES`,
each with its reason; nothing else is let through.
"""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent.parent / "data" / "wire"
EXCHANGES: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "exchanges.jsonl").read_text("utf-8").splitlines()
]
RECORDED_ORIGIN = "http://127.0.0.1:9100"
LOGIN = re.compile(r"https://(?:global\.daf-apis\.com/sticky_auth|localhost:5000/auth)/api/v1")
SYNAPSES = "synapses_pni_2"
STATE_ID = re.compile(r"(/nglstate/(?:api/v1/)?(?:property/|raw/)?)(\d{16})")

#: Headers that are compared; no other header says anything about the answer.
COMPARED = frozenset(
    {
        "content-type", "content-encoding", "cache-control", "vary", "location", "allow",
        "www-authenticate", "warning", "dataframe_resolution", "column_names",
        "access-control-allow-origin", "access-control-expose-headers",
        "access-control-allow-headers", "access-control-allow-methods",
    }
)  # fmt: skip

#: Server settings of the suites that were recorded with other ones.
SETTINGS: dict[str, dict[str, Any]] = {
    "qlimit": {"row_limit": 100},
    "ratelimit": {"fault": "POST */query=hidden-429@3"},
    "live": {"live": True},
}


@dataclass(frozen=True)
class Answer:
    """Status, headers and body, from the recording or from the sandbox."""

    status: int
    headers: Counter[tuple[str, str]]
    body: Any
    raw: bytes | None = None


# --- intended differences ---------------------------------------------------------------


def _own_login(recorded: Answer, _actual: Answer, origin: str) -> Answer:
    headers = Counter()
    for (name, value), count in recorded.headers.items():
        headers[name, LOGIN.sub(f"{origin}/sticky_auth/api/v1", value)] += count
    text = json.dumps(recorded.body)
    body = json.loads(LOGIN.sub(f"{origin}/sticky_auth/api/v1", text))
    return Answer(recorded.status, headers, body, recorded.raw)


def _own_address(recorded: Answer, _actual: Answer, origin: str) -> Answer:
    quoted = origin.replace(":", "%3A", 1)
    recorded_quoted = RECORDED_ORIGIN.replace(":", "%3A", 1).replace(":9100", "%3A9100")
    quoted = quoted[:6] + quoted[6:].replace(":", "%3A")

    def own(text: str) -> str:
        return text.replace(RECORDED_ORIGIN, origin).replace(recorded_quoted, quoted)

    headers = Counter()
    for (name, value), count in recorded.headers.items():
        headers[name, own(value)] += count
    return Answer(
        recorded.status, headers, json.loads(own(json.dumps(recorded.body))), recorded.raw
    )


def _own_state_id(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    told = " ".join([*(value for _, value in actual.headers), json.dumps(actual.body)])
    given = STATE_ID.search(told)
    if given is None:
        return recorded

    def own(text: str) -> str:
        return STATE_ID.sub(lambda found: found[1] + given[2], text)

    headers = Counter((name, own(value)) for name, value in recorded.headers.elements())
    return Answer(recorded.status, headers, json.loads(own(json.dumps(recorded.body))))


def _own_names(recorded: Answer, _actual: Answer, _origin: str) -> Answer:
    body = "User: 42 - project synglancer - table sandbox_states"
    assert recorded.body.startswith("User: 42 - project ")
    return Answer(recorded.status, recorded.headers, body)


def _served_only(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    body: Any = recorded.body
    if isinstance(body, dict):
        body = {key: value for key, value in body.items() if key in actual.body}
    elif isinstance(body[0], dict):
        served = {item["table_name"] for item in actual.body}
        body = sorted(
            (item for item in body if item["table_name"] in served),
            key=lambda item: [other["table_name"] for other in actual.body].index(
                item["table_name"]
            ),
        )
    else:
        body = [name for name in actual.body if name in body]
    assert body, "nothing that was recorded is served"
    return Answer(recorded.status, recorded.headers, body)


def _no_traceback(recorded: Answer, _actual: Answer, _origin: str) -> Answer:
    return Answer(recorded.status, recorded.headers, {**recorded.body, "traceback": []})


def _short_sql(recorded: Answer, _actual: Answer, _origin: str) -> Answer:
    cause = re.search(r"invalid input syntax[^\n]*", recorded.body["message"])
    assert cause is not None
    message = f"Execution failed on sql 'SELECT ...': {cause[0]}"
    return Answer(recorded.status, recorded.headers, {**recorded.body, "message": message})


def _login_instead(_recorded: Answer, actual: Answer, origin: str) -> Answer:
    login = f"{origin}/sticky_auth/api/v1/authorize?redirect="
    assert actual.status == 302
    assert all(value.startswith(login) for name, value in actual.headers if name == "location")
    assert "set-cookie" not in {name for name, _ in actual.headers}
    return actual


def _any_order(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    assert sorted(recorded.body["tag"]) == sorted(actual.body["tag"])
    return Answer(recorded.status, recorded.headers, actual.body)


def _any_allow_order(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    def methods(answer: Answer) -> set[str]:
        (value,) = [value for name, value in answer.headers if name == "allow"]
        return set(value.split(", "))

    assert methods(recorded) == methods(actual)
    kept = [(name, value) for name, value in recorded.headers.elements() if name != "allow"]
    allow = [(name, value) for name, value in actual.headers if name == "allow"]
    return Answer(recorded.status, Counter(kept + allow), recorded.body)


def _stand_in(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    assert _shape(recorded.body) == _shape(actual.body)
    return Answer(recorded.status, actual.headers, actual.body, actual.raw)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value[:1]]
    return int if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)


def _own_table_id(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    return Answer(recorded.status, recorded.headers, {**recorded.body, "id": actual.body["id"]})


def _more_columns(recorded: Answer, actual: Answer, _origin: str) -> Answer:
    def names(answer: Answer) -> dict[str, dict[str, str]]:
        (value,) = [value for name, value in answer.headers if name == "column_names"]
        return ast.literal_eval(value)

    assert set(names(actual)[SYNAPSES]) - set(names(recorded)[SYNAPSES]) == {
        "created", "deleted", "superceded_id"
    }  # fmt: skip
    kept = [item for item in recorded.headers.elements() if item[0] != "column_names"]
    told = [item for item in actual.headers if item[0] == "column_names"]
    return Answer(recorded.status, Counter(kept + told), recorded.body, recorded.raw)


#: (what it is about, how the recorded answer is adapted, which exchanges, why).
DIFFERENCES: list[tuple[str, Callable[[Answer, Answer, str], Answer], str, str]] = [
    (
        "the server's address",
        _own_address,
        r".*",
        "the sandbox listens elsewhere than the recorded server",
    ),
    (
        "the login page and the page of the terms",
        _own_login,
        r".*",
        "a sandbox must not send anybody to the real login; its own pages say what to do",
    ),
    (
        "IDs of states",
        _own_state_id,
        r"(?!err/016[67]).* /nglstate/.*",
        "each server gives its own IDs",
    ),
    (
        "the state server's name for its storage",
        _own_names,
        r".*/table_info",
        "it is another storage",
    ),
    (
        "tables, schemas and datastacks that the data folder does not have",
        _served_only,
        r".*/tables(/metadata)?|.*/types_all|.*/type|.*/datastacks",
        "the sandbox serves what is in the data folder; those that both have are compared whole",
    ),
    (
        "the number of a table at another version",
        _own_table_id,
        r"live/0005.*",
        "the real service numbers the tables of each version anew; the sandbox has one number",
    ),
    (
        "the columns that every table has",
        _more_columns,
        r"live/008[24].*",
        "the rows of suite live were kept in tables without them; CAVE's own have them (suite alt)",
    ),
    (
        "tracebacks",
        _no_traceback,
        r"500 .*",
        "they were cut from the recording, and the sandbox's own are nobody's business",
    ),
    (
        "the SQL in the message about a value of the wrong type",
        _short_sql,
        r"err/0128.*",
        "the sandbox's SQL is another; the cause at the message's end is the same",
    ),
    (
        "a token in the address",
        _login_instead,
        r"wire/0244.*",
        "the real server makes a cookie of it; the sandbox does not take tokens from addresses",
    ),
    (
        "the order of unique values",
        _any_order,
        r".*/unique_string_values",
        "the real server gives them in the order of its sets",
    ),
    (
        "the order of allowed methods",
        _any_allow_order,
        r".* OPTIONS .*",
        "the real server gives them in the order of its sets",
    ),
    (
        "the chunked graph's answers",
        _stand_in,
        r".* /segmentation/.*",
        "a stand-in answered them in the recording: only the shape of the JSON is evidence",
    ),
]


def adapt(exchange: dict[str, Any], recorded: Answer, actual: Answer, origin: str) -> Answer:
    """Return the recorded answer with the intended differences applied."""
    path = exchange["path"].split("?")[0]
    line = f"{exchange['id']} {exchange['method']} {path}"
    for _, change, pattern, _ in DIFFERENCES:
        if change is _no_traceback:
            if isinstance(recorded.body, dict) and "traceback" in recorded.body:
                recorded = change(recorded, actual, origin)
        elif re.fullmatch(pattern, line):
            recorded = change(recorded, actual, origin)
    return recorded


# --- requests and answers ---------------------------------------------------------------------


def ask(exchange: dict[str, Any], origin: str, path: str) -> requests.Response:
    """Send a recorded request to the sandbox."""
    body = None
    if "request_json" in exchange:
        body = json.dumps(exchange["request_json"]).encode()
    elif "request_text" in exchange:
        # Binary bodies were recorded as text, one character a byte.
        text = exchange["request_text"]
        binary = exchange["path"].split("?")[0].endswith("_binary")
        body = text.encode("latin-1" if binary else "utf-8")
    with requests.Session() as session:
        session.trust_env = False
        request = requests.Request(exchange["method"], origin + path, data=body)
        prepared = session.prepare_request(request)
        for name in ("User-Agent", "Accept-Encoding", "Accept"):
            prepared.headers.pop(name, None)
        prepared.headers.update(exchange["request_headers"])
        return session.send(prepared, allow_redirects=False, timeout=30)


def read_recorded(exchange: dict[str, Any]) -> Answer:
    """Return the recorded answer."""
    raw = None
    if "response_file" in exchange:
        raw = (DATA / exchange["response_file"]).read_bytes()
        body = json.loads(raw) if exchange["response_file"].endswith(".json") else None
    else:
        body = exchange.get("response_json", exchange.get("response_text", ""))
    return Answer(exchange["status"], _told(exchange["response_headers"]), body, raw)


def read_actual(response: requests.Response, exchange: dict[str, Any]) -> Answer:
    """Return the sandbox's answer in the same form."""
    kind = response.headers["Content-Type"]
    if kind == "application/json":
        body = response.json()
    elif kind in {"data.arrow", "application/octet-stream"}:
        body = None
    else:
        response.encoding = "utf-8"
        body = response.text
    if "/raw/" in exchange["path"]:
        body = response.content.decode("utf-8", "replace")
    headers = _told(response.raw.headers.items())
    return Answer(response.status_code, headers, body, response.content)


def _told(pairs: Any) -> Counter[tuple[str, str]]:
    # Blanks around a value are not part of it (RFC 9110); the recording kept some.
    return Counter(
        (name.lower(), value.strip()) for name, value in pairs if name.lower() in COMPARED
    )


def own_path(exchange: dict[str, Any], origin: str) -> str:
    """Return the path to request; a recorded state is first posted, to get an ID from the
    sandbox."""
    found = STATE_ID.search(exchange["path"])
    if found is None:
        return str(exchange["path"])
    stored = exchange.get("response_json")
    if not isinstance(stored, dict):
        stored = {"layers": [{"name": "a"}]}
    token = {"Authorization": "Bearer GOOD_TOKEN"}
    content = json.dumps(stored, ensure_ascii=False, separators=(", ", ": ")).encode()
    answer = requests.post(
        f"{origin}/nglstate/api/v1/post", data=content, headers=token, timeout=30
    )
    own = answer.json().rsplit("/", 1)[-1]
    return STATE_ID.sub(lambda match: match[1] + own, str(exchange["path"]))


# --- comparing ------------------------------------------------------------------------------


def unlimited_rows(exchange: dict[str, Any], serve: Any) -> pa.Table | None:
    """Return all rows of a limited query, because it is undefined which of them are returned."""
    body = exchange.get("request_json")
    suite = exchange["id"].split("/")[0]
    limited = isinstance(body, dict) and ("limit" in body or suite == "qlimit")
    if not limited:
        return None
    whole = {key: value for key, value in body.items() if key not in {"limit", "offset"}}
    origin = serve(open_states=False).origin
    asked = {**exchange, "request_json": whole}
    path = exchange["path"].replace("return_pyarrow=False", "return_pyarrow=True")
    content = ask(asked, origin, path).content
    return pa.ipc.open_stream(content).read_all()


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[item["id"] for item in EXCHANGES])
def test_the_sandbox_answers_as_cave_was_recorded_to(exchange, serve, compare_streams):
    """The sandbox gives each recorded request the recorded answer, apart from intended
    differences."""
    suite = exchange["id"].split("/")[0]
    origin = serve(open_states=False, **SETTINGS.get(suite, {})).origin
    response = ask(exchange, origin, own_path(exchange, origin))
    recorded, actual = read_recorded(exchange), read_actual(response, exchange)
    expected = adapt(exchange, recorded, actual, origin)
    assert actual.status == expected.status
    assert actual.headers == expected.headers
    if actual.body is not None:
        all_rows = unlimited_rows(exchange, serve) if isinstance(actual.body, list) else None
        if all_rows is not None and "/query" in exchange["path"]:
            compare_records(expected.body, actual.body, all_rows)
        else:
            assert actual.body == expected.body
    elif response.headers["Content-Type"] == "data.arrow":
        all_rows = unlimited_rows(exchange, serve)
        compare_streams(expected.raw or b"", actual.raw or b"", all_rows=all_rows)
    else:
        assert actual.raw == expected.raw


def compare_records(expected: list[Any], actual: list[Any], all_rows: pa.Table) -> None:
    """Compare JSON rows of a limited query: same keys and types, and each row is one of all
    rows."""
    assert len(actual) == len(expected)
    assert [list(row) for row in actual] == [list(row) for row in expected]
    known = {row["id"]: row for row in expected}
    ids = set(all_rows["id"].to_pylist())
    for row, other in zip(actual, expected, strict=True):
        assert {key: type(value) for key, value in row.items()} == {
            key: type(value) for key, value in other.items()
        }
        assert row["id"] in ids
        assert row == known.get(row["id"], row)


def test_each_meant_difference_is_met_by_an_exchange():
    """Each listed difference occurs in a recorded exchange."""
    lines = [f"{item['id']} {item['method']} {item['path'].split('?')[0]}" for item in EXCHANGES]
    for name, change, pattern, reason in DIFFERENCES:
        assert reason
        if change is not _no_traceback:
            assert any(re.fullmatch(pattern, line) for line in lines), name
