"""Faults do what their names say, to the matching requests only."""

from __future__ import annotations

import gzip
import io
import logging
import sqlite3
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pyarrow as pa
import pytest
import requests
from urllib3.exceptions import HTTPError

from cave_sandbox.errors import InputError
from cave_sandbox.server import Sandbox, SandboxOptions
from cave_sandbox.tables.loaded import load_folder
from cave_sandbox.web.faults import AFTER, BEFORE, Rule, parse_faults

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "one-nucleus"
GOOD = {"Authorization": "Bearer good", "Accept-Encoding": "identity"}
QUERY = (
    "/materialize/api/v3/datastack/minnie65_public/version/1718/table/nucleus_detection_v0/query"
)
ARROW = "?return_pyarrow=True&arrow_format=True&split_positions=True&direct_sql_pandas=True"
JSON = "?return_pyarrow=False&arrow_format=False&split_positions=True&direct_sql_pandas=True"


@pytest.fixture(scope="module")
def loaded():
    """The tables in memory, for all sandboxes."""
    folder = load_folder(DATA)
    yield folder
    folder.tables.close()


@pytest.fixture
def serve(loaded, tmp_path):
    @contextmanager
    def start(fault=None, latency_ms=0):
        options = SandboxOptions(
            data=DATA,
            states=tmp_path / "states.sqlite",
            token="good",
            fault=fault,
            latency_ms=latency_ms,
        )
        with Sandbox(options, loaded) as sandbox:
            yield sandbox

    return start


def query(sandbox, form=ARROW, headers=GOOD, **options):
    return requests.post(
        f"{sandbox.origin}{QUERY}{form}", json={}, headers=headers, timeout=30, **options
    )


def version(sandbox, **options):
    return requests.get(f"{sandbox.origin}/info/version", timeout=30, **options)


def read(answer):
    return pa.ipc.open_stream(answer.content).read_all()


@pytest.mark.parametrize("fault", ["refused", "reset"])
def test_closed_before_an_answer(serve, fault):
    """The connection closes before any byte is sent."""
    with serve(f"/info/*={fault}") as sandbox:
        with pytest.raises(requests.ConnectionError) as caught:
            version(sandbox)
        assert not isinstance(caught.value, requests.exceptions.ChunkedEncodingError)


def test_reset_is_a_reset(serve):
    """`reset` is a TCP reset for the system, too; `refused` is an orderly close."""
    with serve("/info/*=reset") as sandbox, pytest.raises(requests.ConnectionError, match="reset"):
        version(sandbox)
    with (
        serve("/info/*=refused") as sandbox,
        pytest.raises(requests.ConnectionError, match="without response"),
    ):
        version(sandbox)


def test_closed_in_the_middle_of_the_body(serve):
    """Status, headers and half of the body are sent, then the connection closes."""
    with serve("*/query=reset-body") as sandbox:
        address = f"{sandbox.origin}{QUERY}{ARROW}"
        with requests.post(address, json={}, headers=GOOD, timeout=30, stream=True) as answer:
            assert answer.status_code == 200
            received = []
            with pytest.raises(requests.exceptions.ChunkedEncodingError):
                received += answer.iter_content(64)
            assert 0 < sum(map(len, received)) < int(answer.headers["Content-Length"])


def test_silence_ends_in_the_genuine_answer(serve):
    """After the silence, the real answer is sent."""
    with serve("/info/*=silence:0.2") as sandbox:
        assert version(sandbox).json() == "4.3.3"


def test_silence_outlasts_an_impatient_client(serve):
    """If a client gives up during the silence, its request is not served and its post is not
    stored."""
    with serve("POST */post=silence:60*1") as sandbox:
        address = f"{sandbox.origin}/nglstate/api/v1/post"
        with pytest.raises(requests.ReadTimeout):
            requests.post(address, data=b"{}", headers=GOOD, timeout=0.2)
        assert requests.post(address, data=b"{}", headers=GOOD, timeout=30).status_code == 200
        assert count_rows(sandbox.options.states) == 1


def test_latency_delays_each_request(serve):
    """Each request waits for the latency before it is answered."""
    with serve(latency_ms=60_000) as sandbox, pytest.raises(requests.ReadTimeout):
        requests.get(f"{sandbox.origin}/info/version", timeout=0.2)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503, 504])
def test_status(serve, status):
    """A number is the status of the answer."""
    with serve(f"/info/*={status}") as sandbox:
        answer = version(sandbox)
        assert answer.status_code == status
        assert "Retry-After" not in answer.headers


def test_refused_tokens_are_worded_by_the_service(serve):
    """A refused token is JSON, and plain text from the state server, as recorded."""
    with serve("*=401") as sandbox:
        assert version(sandbox).json()["error"] == "invalid_token"
        state = requests.get(f"{sandbox.origin}/nglstate/api/v1/1", headers=GOOD, timeout=30)
        assert state.text == "Invalid/Expired Token"


def test_retry_after(serve):
    """Retry-After is given in seconds."""
    with serve("/info/*=429:retry-after=7") as sandbox:
        answer = version(sandbox)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")


def test_terms_of_service(serve):
    """Missing terms of service give a 403 that says where to accept them."""
    with serve("*/query=tos") as sandbox:
        answer = query(sandbox)
        assert (answer.status_code, answer.json()["error"]) == (403, "missing_tos")
        assert answer.json()["data"]["tos_form_url"].startswith(sandbox.origin)


@pytest.mark.parametrize(
    ("fault", "start"), [("hidden-429", "429 Too Many Requests: "), ("hidden-404", "404 Not Found")]
)
def test_hidden_statuses(serve, fault, start):
    """The status is 500, and the hidden status is in the message."""
    with serve(f"*/query={fault}") as sandbox:
        answer = query(sandbox)
        assert (answer.status_code, answer.json()["code"]) == (500, 500)
        assert answer.json()["message"].startswith(start)


def test_html(serve):
    """A page with status 200 is sent instead of the service's answer."""
    with serve("*/query=html") as sandbox:
        answer = query(sandbox)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.text.startswith("<!doctype html>")


def test_nested(serve):
    """The JSON is nested 100,000 levels deep."""
    with serve("*/query=nested") as sandbox:
        answer = query(sandbox)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.content == b"[" * 100_000 + b"]" * 100_000


def test_gzip_bomb(serve):
    """The answer is small on the wire, and unpacks to more than 100 MB of JSON."""
    with serve("*/query=gzip-bomb") as sandbox, closing(requests.Session()) as session:
        answer = session.post(f"{sandbox.origin}{QUERY}", headers=GOOD, json={}, stream=True)
        packed = answer.raw.read()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(packed) < 2**20
    size = 0
    with gzip.open(io.BytesIO(packed)) as unpacked:
        assert unpacked.read(13) == b'{"layers": []'
        while part := unpacked.read(2**20):
            size += len(part)
            assert part.rstrip(b" ") in {b"", b"}"}
    assert size > 100 * 10**6


def test_empty(serve):
    """The real headers are sent, without a body."""
    with serve("*/query=empty") as sandbox:
        answer = query(sandbox)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Type"] == "data.arrow"


def test_truncated_arrow(serve):
    """Half of the stream is sent as if it were complete, and cannot be read."""
    with serve("*/query=truncated-arrow*1") as sandbox:
        half, whole = query(sandbox), query(sandbox)
        assert len(half.content) == len(whole.content) // 2
        with pytest.raises((pa.ArrowInvalid, OSError)):
            read(half)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd", "lz4"])
def test_columns_of_arrow(serve, encoding):
    """Altered columns still form a complete Arrow stream, whatever compression was requested."""
    headers = {**GOOD, "Accept-Encoding": encoding}
    rules = ["wrong-columns", "wrong-dtypes", "extra-columns", "reordered-columns"]
    spec = ",".join(f"*/query={rule}*1@{place}" for place, rule in enumerate(rules, start=1))
    with serve(spec) as sandbox:
        renamed, retyped, extended, reordered, genuine = (
            read(query(sandbox, headers=headers)) for _ in range(5)
        )
    assert not set(renamed.column_names) & set(genuine.column_names)
    assert retyped.column_names == genuine.column_names
    assert not any(
        a.type == b.type and not pa.types.is_null(b.type)
        for a, b in zip(retyped.schema, genuine.schema, strict=True)
    )
    assert extended.column_names[:-2] == genuine.column_names
    assert reordered.column_names == genuine.column_names[::-1]
    assert reordered.select(genuine.column_names).to_pylist() == genuine.to_pylist()


def test_columns_of_json(serve):
    """Records in JSON are altered in the same way."""
    with serve("*/query=wrong-columns*1,*/query=extra-columns*1@2") as sandbox:
        renamed, extended, genuine = (query(sandbox, JSON).json() for _ in range(3))
    assert not set(renamed[0]) & set(genuine[0])
    assert {**extended[0], **genuine[0]} == extended[0]
    assert len(extended[0]) == len(genuine[0]) + 2


def test_bad_gzip(serve):
    """The headers announce gzip, but the body is not gzip."""
    with (
        serve("*/query=bad-gzip") as sandbox,
        pytest.raises(requests.exceptions.ContentDecodingError),
    ):
        query(sandbox)


def test_altered_answers_have_been_served(serve):
    """A state whose answer was lost has been stored; a refused one has not."""
    with serve("POST */post=empty*1,POST */post=503*1@2") as sandbox:
        address = f"{sandbox.origin}/nglstate/api/v1/post"
        lost, refused = (requests.post(address, data=b"{}", headers=GOOD, timeout=30) for _ in "ab")
        assert (lost.status_code, lost.content, refused.status_code) == (200, b"", 503)
    with serve() as sandbox:
        store = sandbox.options.states
        assert count_rows(store) == 1


def count_rows(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT count(*) FROM states").fetchone()[0]


def test_faults_leave_no_traceback(serve, caplog):
    """No fault causes an error in the sandbox itself."""
    faults = sorted(BEFORE | AFTER)
    with caplog.at_level(logging.ERROR):
        for fault in faults:
            with serve(f"*={fault}") as sandbox:
                for ask in (query, version):
                    with (
                        suppress(requests.RequestException, HTTPError),
                        ask(sandbox, stream=True) as answer,
                    ):
                        answer.raw.read()  # as it is sent
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_pattern_chooses_requests(serve):
    """Only requests with a matching method and path are affected."""
    with serve("POST */query=503") as sandbox:
        assert version(sandbox).status_code == 200
        assert query(sandbox).status_code == 503


def test_times_and_nth(serve):
    """A rule applies from its nth match on, for the given number of times."""
    with serve("/info/version=503*2@2") as sandbox:
        assert [version(sandbox).status_code for _ in range(5)] == [200, 503, 503, 200, 200]


def test_first_rule_that_acts_wins(serve):
    """If several rules apply, the first one acts; each counts for itself."""
    with serve("/info/*=503*1,/info/*=502*2") as sandbox:
        assert [version(sandbox).status_code for _ in range(3)] == [503, 502, 200]


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ("POST */query=503", Rule("POST */query", "503")),
        ("/a/*=reset*2@3", Rule("* /a/*", "reset", times=2, nth=3)),
        ("*=silence:2.5@4", Rule("* *", "silence", seconds=2.5, nth=4)),
        ("*=429:retry-after=3*1", Rule("* *", "429", seconds=3, times=1)),
    ],
)
def test_rules_are_read(spec, rule):
    """A rule is split into its parts."""
    assert parse_faults(f" {spec} ,") == [rule]


@pytest.mark.parametrize("spec", [None, "", " , "])
def test_no_rules(spec):
    """Without a specification, there is no rule."""
    assert parse_faults(spec) == []


@pytest.mark.parametrize(
    "spec",
    [
        "nonsense",
        "*=",
        "=503",
        "*=unknown",
        "*=418",
        "*=503*x",
        "*=503:7",
        "*=429:soon",
        "*=429:7",
        "*=429:retry-after=-1",
        "*=reset:1",
        "*=reset@0",
        "*=silence",
        "*=silence:long",
        "*=silence:-1",
        "*=silence:inf",
        "*=silence:nan",
    ],
)
def test_bad_rules_are_named(spec):
    """An invalid rule is refused and quoted."""
    with pytest.raises(InputError) as caught:
        parse_faults(spec)
    assert repr(spec) in str(caught.value)


def test_negative_latency_is_refused(serve):
    """A negative latency is refused."""
    with pytest.raises(InputError, match="out of range"), serve(latency_ms=-1):
        pass


def test_every_fault_is_documented():
    """docs/faults.md lists every fault."""
    text = (ROOT / "docs" / "faults.md").read_text("utf-8")
    assert [fault for fault in sorted(BEFORE | AFTER) if f"`{fault}`" not in text] == []
