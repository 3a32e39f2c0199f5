"""Every answer of a server is either complete with status 200, or one of our errors.

The server is a real one on loopback whose answers are scripted, byte by byte where they break.
"""

from __future__ import annotations

import gzip
import json
import logging
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import requests

from synglancer.cave import http
from synglancer.cave.auth import Credentials
from synglancer.cave.http import Fetcher, guard
from synglancer.errors import (
    BadAnswerError,
    LoginError,
    NotServedError,
    PermissionMissingError,
    RateLimitError,
    ServiceError,
    TermsOfServiceError,
    TruncatedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "d34db33f5ec7e7"
OK = (200, {"Content-Type": "application/json"}, b'{"fine": true}')


@dataclass
class Server:
    """A server that gives its scripted answers in order, and then repeats the last one."""

    url: str
    answers: list[Any] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def next_answer(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scripted: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        record = {"method": self.command, "path": self.path, "headers": self.headers, "body": body}
        self.scripted.requests.append(record)
        answer = self.scripted.next_answer()
        if callable(answer):
            self.close_connection = True
            answer(self)
            return
        status, headers, content = answer
        self.send_response(status)
        for name, value in headers if isinstance(headers, list) else headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815  # names given by http.server

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve(port: int = 0) -> Iterator[Server]:
    """Serve on loopback until the block ends."""
    handler = type("Handler", (_Handler,), {})
    httpd = ThreadingHTTPServer(("127.0.0.1", port), handler)
    httpd.daemon_threads = True
    httpd.handle_error = lambda *_: None  # connections break here on purpose
    handler.scripted = Server(f"http://127.0.0.1:{httpd.server_port}/nglstate/api/v1/5")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield handler.scripted
    finally:
        handler.scripted.closing.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as scripted:
        yield scripted


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses between attempts short."""
    monkeypatch.setattr(http, "_BACKOFF", 0.005)


@pytest.fixture(autouse=True)
def _no_browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No answer of a server ever opens a web browser."""
    opened: list[str] = []
    for name in ("open", "open_new", "open_new_tab"):
        monkeypatch.setattr(f"webbrowser.{name}", lambda url, *_, **__: opened.append(url))
    yield
    assert opened == []


def failure(server: Server, answer: Any, *, token: str | None = TOKEN) -> ServiceError:
    """Return the error for an answer, after checking what holds for all errors."""
    server.answers = [answer]
    with pytest.raises(ServiceError) as caught:
        Fetcher(Credentials(token, server.url), 5).fetch(server.url)
    error = caught.value
    for sentence in (str(error), error.hint):
        assert TOKEN not in sentence
        assert sentence.isprintable()
        assert sentence.endswith((".", "?"))
        assert len(sentence) < 400
    return error


def as_json(status: int, content: Any, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/json", **headers}, json.dumps(content).encode()


def as_html(status: int, title: str) -> tuple[int, dict[str, str], bytes]:
    page = f"<!doctype html>\n<html lang=en><title>{title}</title><h1>{title}</h1></html>"
    return status, {"Content-Type": "text/html"}, page.encode()


# -- valid answers ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["identity", "gzip", "chunked", "until-close"])
def test_a_whole_answer_is_returned(server, method):
    """A body arrives unchanged: plain, compressed, in chunks, or until the connection closes."""
    body = b'{"a": 1}' * 5000

    def chunked(handler: _Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    def until_close(handler: _Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)

    server.answers = [
        {
            "identity": (200, {}, body),
            "gzip": (200, {"Content-Encoding": "gzip"}, gzip.compress(body)),
            "chunked": chunked,
            "until-close": until_close,
        }[method]
    ]
    assert Fetcher(Credentials(TOKEN, server.url)).fetch(server.url) == body


def test_the_token_is_sent_as_a_bearer(server):
    """The token is sent in the Authorization header, and nowhere else."""
    server.answers = [OK]
    Fetcher(Credentials(TOKEN, server.url)).fetch(server.url)
    [request] = server.requests
    assert request["headers"]["Authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in request["path"]
    assert "Cookie" not in request["headers"]


@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_netrc_password_is_never_sent(server, token):
    """A .netrc entry for the host is ignored, with or without a token."""
    netrc = Path("~/.netrc").expanduser()
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword hidden\n")
    netrc.chmod(0o600)
    server.answers = [OK]
    Fetcher(Credentials(token, server.url)).fetch(server.url)
    expected = None if token is None else f"Bearer {token}"
    assert server.requests[0]["headers"]["Authorization"] == expected


# -- login, permission, terms of service -------------------------------------------------------


def test_a_token_that_is_not_accepted_is_said_to_be_so(server):
    """With a token, status 401 (JSON or plain text) asks for a new token."""
    for answer in (
        as_json(401, {"error": "invalid_token", "message": f"Token {TOKEN} is invalid"}),
        (401, {"Content-Type": "text/plain"}, b"Invalid/Expired Token"),
    ):
        error = failure(server, answer)
        assert isinstance(error, LoginError)
        assert "does not accept the token" in str(error)
    assert len(server.requests) == 2, "and nothing is tried again"


def test_a_missing_token_is_said_to_be_missing(server):
    """Without a token, status 401 asks for one."""
    error = failure(server, (401, {}, b"no token"), token=None)
    assert isinstance(error, LoginError)
    assert "no token was found" in str(error)
    assert "CAVE_TOKEN" in error.hint


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_redirects_are_never_followed(server, status, token):
    """A redirect is treated as a login request; the second host gets no request and no token."""
    with serve() as second:
        second.answers = [OK]
        error = failure(
            server, (status, {"Location": second.url}, b"<html>login</html>"), token=token
        )
        assert isinstance(error, LoginError)
        assert second.requests == []
    assert len(server.requests) == 1


def test_a_post_is_not_redirected_either(server):
    """An upload is not redirected to another host."""
    with serve() as second, requests.Session() as session:
        second.answers = [OK]
        server.answers = [(307, {"Location": second.url}, b"")]
        guard(session, Credentials(TOKEN, server.url), 5, repeatable=False)
        with pytest.raises(LoginError):
            session.post(server.url, data=b"{}")
        assert second.requests == []


MISSING_TOS = {
    "error": "missing_tos",
    "message": "Need to accept Terms of Service to access resource.",
    "data": {
        "tos_id": 2,
        "tos_name": "MICrONS Public",
        "tos_form_url": "https://global.daf-apis.com/sticky_auth/api/v1/tos/2/accept",
    },
}


def test_missing_terms_of_service_name_the_form(server):
    """For 403 missing_tos, the error names the terms and the address for accepting them."""
    error = failure(server, as_json(403, MISSING_TOS))
    assert isinstance(error, TermsOfServiceError)
    assert "MICrONS Public" in str(error)
    assert MISSING_TOS["data"]["tos_form_url"] in error.hint


def open_client(server: Server) -> tuple[Any, Any]:
    """Open a client that asks this server through caveclient, and describe its datastack."""
    from synglancer.cave.client import Cave  # a second of imports
    from synglancer.cave.records import Datastack

    origin = server.url.removesuffix("/nglstate/api/v1/5")
    datastack = Datastack(
        "d", origin, "", f"graphene://{origin}/table/t", None, (1,) * 3, *[None] * 3
    )
    guard_session = partial(guard, credentials=Credentials(TOKEN, origin), timeout=5)
    return Cave(origin, "d", guard_session), datastack


def test_missing_terms_of_service_open_no_browser_through_caveclient(server):
    """caveclient never sees a missing_tos answer, for which it would open a web browser."""
    server.answers = [as_json(403, MISSING_TOS)]
    cave, datastack = open_client(server)
    with pytest.raises(TermsOfServiceError):
        cave.fetch_validity(datastack, [864691135276234469], datetime.now(timezone.utc))
    assert not Path("~/.cloudvolume").expanduser().exists(), "and nothing is written at home"


@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_answer_about_another_number_of_ids_is_refused(server, number):
    """Whether root IDs are valid, and which roots supervoxels have, is one answer for each."""
    cave, datastack = open_client(server)
    at = datetime.now(timezone.utc)
    server.answers = [as_json(200, {"is_latest": [True] * number})]
    with pytest.raises(BadAnswerError):
        cave.fetch_validity(datastack, [5, 6], at)
    server.answers = [(200, {}, struct.pack("<Q", 2**64 - 1) * number)]
    with pytest.raises(BadAnswerError):
        cave.fetch_roots(datastack, [7, 8], at)


def test_answers_belong_to_the_ids_in_their_order(server):
    """Root IDs keep every bit."""
    cave, datastack = open_client(server)
    at = datetime.now(timezone.utc)
    server.answers = [as_json(200, {"is_latest": [True, False]})]
    assert cave.fetch_validity(datastack, (2**63 + 1, 2**63), at) == {2**63 + 1: True, 2**63: False}
    server.answers = [(200, {}, struct.pack("<QQ", 2**64 - 1, 2**53 + 1))]
    assert cave.fetch_roots(datastack, [7, 8], at) == [2**64 - 1, 2**53 + 1]


def test_a_missing_permission_names_the_dataset(server):
    """For 403 missing_permission, the error names the dataset."""
    refusal = {"error": "missing_permission", "data": {"auth_dataset": "minnie65_phase3"}}
    error = failure(server, as_json(403, refusal))
    assert isinstance(error, PermissionMissingError)
    assert "minnie65_phase3" in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        as_html(403, "403 Forbidden"),
        (403, {}, b""),
        as_json(403, ["no"]),
        as_json(403, {"error": "missing_permission", "data": None}),
        as_json(403, {"error": "missing_permission", "data": "x"}),
    ],
)
def test_any_other_403_is_a_missing_permission(server, answer):
    """Any other 403, even HTML, is a missing permission."""
    assert isinstance(failure(server, answer), PermissionMissingError)


# -- other messages of the services ------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        as_json(404, {"message": "Version 5 not found"}),
        as_html(404, "404 Not Found"),
        (404, {}, b""),
        as_json(500, {"code": 500, "message": "404 Not Found: table xyz does not exist"}),
    ],
)
def test_what_is_not_there_is_not_served(server, answer):
    """A 404, or a 500 that contains one, is not retried, and the error names the options to
    check."""
    error = failure(server, answer)
    assert isinstance(error, NotServedError)
    assert "--table" in error.hint
    assert len(server.requests) == 1


def test_rate_limits_are_waited_for(server):
    """After a 429, the request is sent again after Retry-After, and that answer counts."""
    server.answers = [
        as_json(429, {"message": "slow down"}, **{"Retry-After": "0"}),
        as_json(429, {"message": "slow down"}),
        as_json(500, {"code": 500, "message": "429 Too Many Requests: 5 per 1 minute"}),
        OK,
    ]
    assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == OK[2]
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("retry_after", "expected"),
    [("0", 0), ("999999", 999999), ("soon", None), ("-1", None), ("1e3", None), ("²", None)],
)
def test_retry_after_is_read_where_it_is_a_number(server, retry_after, expected):
    """Retry-After in seconds is kept in the error; any other form is ignored."""
    error = failure(server, (429, {"Retry-After": retry_after}, b"slow down"))
    assert isinstance(error, RateLimitError)
    assert error.retry_after == expected


def test_a_long_retry_after_is_left_to_the_user(server):
    """If Retry-After is too long, there is one attempt, and then the error."""
    failure(server, (429, {"Retry-After": "3600"}, b"slow down"))
    assert len(server.requests) == 1


def test_a_persistent_rate_limit_ends(server):
    """A permanent 429, even without a message, is given up after four attempts."""
    error = failure(server, (429, {}, b""))
    assert isinstance(error, RateLimitError)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "answer",
    [
        as_json(500, {"code": 500, "message": "relation does not exist"}),
        as_html(500, "500 Internal Server Error"),
        (500, {}, b""),
        (500, {"Content-Type": "application/json"}, b"{broken"),
        (500, {}, b"\xff\xfe\x00"),
        (204, {}, b""),
        (304, {}, b""),
        (418, {}, b"teapot"),
    ],
)
def test_a_failure_is_not_repeated(server, answer):
    """Any other status is a failure of the server, named by its number, without a retry."""
    error = failure(server, answer)
    assert type(error) is ServiceError
    assert f"status {answer[0]}" in str(error)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateways_that_recover_are_asked_again(server, status):
    """502, 503 and 504 are retried; three of them only cost requests."""
    server.answers = [as_html(status, "gateway")] * 3 + [OK]
    assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == OK[2]
    assert len(server.requests) == 4


def test_gateways_that_do_not_recover_end(server):
    """A server that stays unavailable is given up after four attempts, and its title is quoted."""
    error = failure(server, as_html(503, "503 Service Unavailable"))
    assert "failed with status 503: Service Unavailable." in str(error), "503 only once"
    assert len(server.requests) == 4


# -- connections that break --------------------------------------------------------------------


def hang_up(handler: _Handler) -> None:
    """Close the connection before any answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)


def reset(handler: _Handler) -> None:
    """Reset the connection before any answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()
    handler.wfile.close()
    handler.connection.close()


def break_off(handler: _Handler) -> None:
    """Announce more bytes than are sent."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")


def break_off_chunks(handler: _Handler) -> None:
    """End between two chunks."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


BREAKS = [hang_up, reset, break_off, break_off_chunks]


@pytest.mark.parametrize("broken", BREAKS)
def test_a_question_is_repeated_when_the_connection_breaks(server, broken):
    """A request whose answer breaks off, or never begins, is sent again; no incomplete answer is
    used."""
    server.answers = [broken, broken, OK]
    assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == OK[2]
    assert len(server.requests) == 3


@pytest.mark.parametrize("broken", BREAKS)
def test_a_connection_that_keeps_breaking_ends(server, broken):
    """After four attempts, the error says that no complete answer arrived."""
    error = failure(server, broken)
    assert isinstance(error, UnreachableError)
    assert error.sent
    assert len(server.requests) == 4


@pytest.mark.parametrize("broken", [*BREAKS, as_html(502, "gateway"), as_html(504, "gateway")])
def test_an_upload_is_not_repeated_once_it_was_sent(server, broken):
    """An upload that may have been stored is not sent twice, whatever fails afterwards."""
    server.answers = [broken, OK]
    with requests.Session() as session:
        guard(session, Credentials(TOKEN, server.url), 5, repeatable=False)
        with pytest.raises(ServiceError):
            session.post(server.url, data=b"{}")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "turned_away",
    [
        (429, {"Retry-After": "0"}, b"slow down"),
        as_json(500, {"code": 500, "message": "429 Too Many Requests: 5 per 1 minute"}),
    ],
)
def test_an_upload_that_was_turned_away_is_sent_again(server, turned_away):
    """A rate limit refuses an upload before anything is stored, so it is sent again."""
    server.answers = [turned_away, OK]
    with requests.Session() as session:
        guard(session, Credentials(TOKEN, server.url), 5, repeatable=False)
        assert session.post(server.url, data=b"{}").content == OK[2]
    assert len(server.requests) == 2


def test_a_proxy_hears_nothing_of_this_machine(server, monkeypatch):
    """Requests to a loopback server do not go through a proxy."""
    with serve() as proxy:
        proxy.answers = [OK]
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/nglstate/api/v1/5"))
        server.answers = [(200, {}, b"direct")]
        assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == b"direct"
        assert proxy.requests == []


def test_another_server_is_asked_without_the_token(server):
    """An untrusted host never gets the token, even on the same machine."""
    with serve() as other:
        server.answers = other.answers = [OK]
        fetcher = Fetcher(Credentials(TOKEN, server.url), 5)
        fetcher.fetch(other.url)
        fetcher.fetch(server.url)
        assert other.requests[0]["headers"]["Authorization"] is None
        assert server.requests[0]["headers"]["Authorization"] == f"Bearer {TOKEN}"


def test_a_query_by_post_is_repeated(server):
    """A query that is sent as POST is repeated, because it changes nothing."""
    server.answers = [hang_up, OK]
    with requests.Session() as session:
        guard(session, Credentials(TOKEN, server.url), 5)
        assert session.post(server.url, data=b"{}").content == OK[2]
    assert [request["body"] for request in server.requests] == [b"{}", b"{}"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def test_a_server_that_is_not_there_cannot_be_reached(caplog):
    """A port without a server is reported at once, without a retry, because nothing was sent."""
    port = free_port()
    caplog.set_level(logging.INFO)
    with requests.Session() as session:
        guard(session, Credentials(TOKEN, f"http://127.0.0.1:{port}"), 5, repeatable=False)
        with pytest.raises(UnreachableError, match=f":{port} could not be reached") as caught:
            session.post(f"http://127.0.0.1:{port}/resolve", data=b"{}")
    assert not caught.value.sent
    assert "address" in caught.value.hint
    assert "Trying again" not in caplog.text


def stay_silent(handler: _Handler) -> None:
    """Stay silent until the test is over."""
    handler.scripted.closing.wait(20)


def stop_in_the_middle(handler: _Handler) -> None:
    """Begin an answer, then stay silent."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    handler.scripted.closing.wait(20)


def send_slowly(handler: _Handler, pieces: list[bytes]) -> None:
    """Send pieces one at a time, until the client or the test has ended."""
    for piece in pieces:
        if handler.scripted.closing.wait(0.05):
            return
        try:
            handler.wfile.write(piece)
        except OSError:
            return


def trickle(handler: _Handler) -> None:
    """Send one byte at a time, each within a socket's timeout."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    send_slowly(handler, [b" "] * 100)


def trickle_until_close(handler: _Handler) -> None:
    """Do the same with a body of unknown length."""
    handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
    send_slowly(handler, [b" "] * 100)


def trickle_headers(handler: _Handler) -> None:
    """Send one header line at a time, each within a socket's timeout."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    send_slowly(handler, [b"X-Line-%d: more\r\n" % line for line in range(90)])


SILENCES = [stay_silent, stop_in_the_middle, trickle, trickle_until_close, trickle_headers]


@pytest.mark.parametrize("silence", SILENCES)
def test_silence_ends_with_the_timeout(server, silence):
    """A server that takes too long, at any point of its answer, is given up after one attempt."""
    server.answers = [silence]
    with pytest.raises(UnreachableError, match="did not answer within") as caught:
        Fetcher(Credentials(TOKEN, server.url), 0.3).fetch(server.url)
    assert "--timeout" in caught.value.hint
    assert caught.value.sent
    assert len(server.requests) == 1
    assert not server.closing.is_set()


def test_silence_after_a_retry_is_told_with_the_whole_timeout(server):
    """The error names the time that was set, not what the first attempt has left of it."""
    server.answers = [as_html(503, "503 Service Unavailable"), stay_silent]
    with pytest.raises(UnreachableError, match=r"did not answer within 0\.3 s\.$"):
        Fetcher(Credentials(TOKEN, server.url), 0.3).fetch(server.url)
    assert len(server.requests) == 2


# -- answers that do not match their headers
# --------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"this is not gzip", gzip.compress(b"x" * 100, mtime=0)[:-8] + b"!" * 8]
)
def test_a_body_that_cannot_be_unpacked_is_a_bad_answer(server, content):
    """Invalid or damaged gzip is reported and never used as data."""
    error = failure(server, (200, {"Content-Encoding": "gzip"}, content))
    assert isinstance(error, BadAnswerError)
    assert "unpacked" in str(error)


@pytest.mark.parametrize("kind", ["json", "gzip", "empty"])
def test_json_that_ends_too_early_is_asked_for_again(server, kind):
    """Truncated JSON is never used, even if its gzip stream ends without an error."""
    body = json.dumps({"rows": list(range(5000))}).encode()
    json_headers = {"Content-Type": "application/json"}
    packed = {**json_headers, "Content-Encoding": "gzip"}
    cut = {
        "json": (200, json_headers, body[: len(body) // 2]),
        "gzip": (200, packed, gzip.compress(body)[:-3000]),
        "empty": (200, json_headers, b""),
    }[kind]
    server.answers = [cut, (200, packed, gzip.compress(body))]
    assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == body
    assert len(server.requests) == 2
    error = failure(server, cut)
    assert isinstance(error, UnreachableError)
    assert "broke off" in str(error)


def test_nan_in_json_is_no_sign_of_an_end(server):
    """NaN, which the state server stores, does not make JSON count as truncated."""
    server.answers = [(200, {"Content-Type": "application/json"}, b'{"a": NaN}')]
    assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == b'{"a": NaN}'


def write_arrow(batches: int) -> bytes:
    table = pa.table({"id": list(range(100))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for batch in table.to_batches(100 // batches):
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def test_arrow_that_ends_between_two_batches_is_not_whole(server):
    """Rows that break off at a point where Arrow's reader would not notice are requested again."""
    arrow = {"Content-Type": "data.arrow"}
    whole = write_arrow(4)
    cuts = [end for end in range(len(whole)) if readable_rows(whole[:end])]
    assert cuts, "the reader itself takes some of the cut streams for whole"
    server.answers = [(200, arrow, whole[: cuts[0]]), (200, arrow, whole)]
    assert Fetcher(Credentials(TOKEN, server.url), 5).fetch(server.url) == whole
    assert len(server.requests) == 2
    error = failure(server, (200, arrow, whole[: cuts[-1]]))
    assert isinstance(error, UnreachableError)
    assert "broke off" in str(error)
    assert isinstance(failure(server, (200, arrow, b"")), UnreachableError)


def readable_rows(content: bytes) -> int:
    try:
        return len(pa.ipc.open_stream(content).read_all())
    except (OSError, ValueError):
        return 0


@pytest.mark.parametrize(
    "headers",
    [
        [("Warning", '201 - "Limited query to 200000 rows')],
        [("Warning", '299 - "deprecated"'), ("Warning", '201 - "Limited query to 200000 rows')],
        [("Warning", '201 - "Limited query to 200000 rows'), ("Warning", '299 - "deprecated"')],
        [("warning", '201 - "Limited query to 200000 rows"')],
    ],
)
def test_a_truncated_answer_is_an_error(server, headers):
    """A truncated answer is refused, wherever its warning is among other warnings."""
    error = failure(server, (200, headers, b"rows"))
    assert isinstance(error, TruncatedError)
    assert "200,000 rows" in str(error)


def test_other_warnings_do_not_matter(server):
    """A warning that does not mention rows does not make an answer invalid."""
    server.answers = [(200, {"Warning": '299 - "deprecated"'}, b"rows")]
    assert Fetcher(Credentials(TOKEN, server.url)).fetch(server.url) == b"rows"


# -- messages of a server -------------------------------------------------------------------------

EVIL = "\x1b]0;owned\x07\x1b[2J\r\n\u202eforged line: all is well\x00" + "A" * 5000


@pytest.mark.parametrize(
    "answer",
    [
        as_json(500, {"message": EVIL}),
        as_json(500, {"message": {"deep": [EVIL]}}),
        as_json(404, {"error": EVIL}),
        as_json(429, EVIL),
        as_html(500, EVIL),
        (500, {}, EVIL.encode()),
        as_json(403, {"error": "missing_tos", "data": {"tos_name": EVIL, "tos_form_url": EVIL}}),
        as_json(403, {"error": "missing_permission", "data": {"auth_dataset": EVIL}}),
    ],
)
def test_words_of_a_server_are_one_printable_line(server, answer):
    """Escapes, line breaks and very long messages become one short line of printable text."""
    error = failure(server, answer)  # checks the sentences
    assert "\n" not in str(error) + error.hint


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_a_token_that_a_server_repeats_is_left_out(server, status, caplog):
    """If a server echoes the request's headers, the token is not shown on the screen."""
    caplog.set_level(logging.DEBUG)
    words = f"You sent Authorization: Bearer {TOKEN}"
    data = {"tos_form_url": f"https://x/?token={TOKEN}", "auth_dataset": TOKEN, "tos_name": TOKEN}
    for content in ({"message": words}, {"error": "missing_tos", "data": data}, words):
        failure(server, as_json(status, content))  # checks the sentences
    failure(server, as_html(status, words))
    assert TOKEN not in caplog.text


def test_the_token_is_in_no_log_and_no_chain_of_errors(server, caplog):
    """Neither the log of any library nor the causes of our errors contain the token."""
    caplog.set_level(logging.DEBUG)
    for broken in BREAKS:
        error: BaseException | None = failure(server, broken)
        while error is not None:
            assert TOKEN not in repr(error)
            error = error.__cause__ or error.__context__
    assert "Trying again" in caplog.text
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("address", ["http://*/1", "ftp://a.org/1", "http:///1"])
def test_an_address_that_cannot_be_requested_is_named(address):
    """An address that requests itself refuses is quoted, and no file is blamed for it."""
    fetcher = Fetcher(Credentials(None, "https://a.org"))
    with pytest.raises(UnreachableError) as caught:
        fetcher.fetch(address)
    assert str(caught.value) == f"{address!r} is not an address that can be requested."
    assert not caught.value.sent
    assert not caught.value.transient


def test_any_other_failure_of_requests_is_named_by_its_kind(server, monkeypatch):
    """A failure that has no sentence of its own is told with its name."""

    def refuse(*_: object, **__: object) -> None:
        raise requests.exceptions.InvalidHeader

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", refuse)
    with pytest.raises(UnreachableError, match="failed: InvalidHeader") as caught:
        Fetcher(Credentials(None, server.url)).fetch(server.url)
    assert "--server" in caught.value.hint


def test_a_state_server_that_does_not_say_where_is_named(server, monkeypatch):
    """An upload whose answer holds no number gives no link."""
    server.answers = [(200, {"Content-Type": "application/json"}, b'"stored"')]
    cave, _ = open_client(server)
    with pytest.raises(BadAnswerError, match="stored the state, but did not say where"):
        cave.upload(b"{}")
