"""Wrong input and refusals have the right exit code, two sentences, and an empty stdout."""

from __future__ import annotations

import http.server
import os
import threading
from typing import TYPE_CHECKING

import pytest

from cave_sandbox.errors import ProcessError
from cave_sandbox.sample import identity as who
from cli.outcome import CELL, MISSING_TERMS, NO_PERMISSION, TOKEN
from synglancer.links.warnings import explain_size
from synglancer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


PASTED = "0123456789abcdef" * 2
"""What a CAVE token looks like."""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "No cell"),
        (["abc"], 2, "not a root ID"),
        (["0"], 2, "above zero"),
        (["-864691135276234469"], 2, "above zero"),
        (["8.64691135276234e17"], 2, "rounded number"),
        ([str(2**64)], 2, "64 bits"),
        (["90000000158110151"], 2, "supervoxel"),
        (["864691135999999001"], 3, "not the root ID of a cell"),
        ([CELL, "--datastack", "nope", "--table", "x"], 4, "no datastack 'nope'"),
        ([CELL, "--tag", f" {PASTED}"], 2, "--tag was given what looks like a token"),
        ([CELL, "--table", PASTED.upper()], 2, "--table was given what looks like a token"),
        ([CELL, "--tag", "\udcff"], 2, "tag='\\udcff' is not a valid value"),
        ([CELL, "--version", "9999"], 4, "no version 9999"),
        ([CELL, "--version", "2020-06-01"], 4, "no version before 2020-06-01"),
        ([CELL, "--version", "9999-12-31"], 2, "The day 9999-12-31 is in the future."),
        ([CELL, "--version", "2026-02-30"], 2, "not a materialization version"),
        ([CELL, "--version", "1718.5"], 2, "not a materialization version"),
        ([CELL, "--version", "0x6b6"], 2, "not a materialization version"),
        ([CELL, "--version", "1_718"], 2, "not a materialization version"),
        ([CELL, "--version", "-5"], 2, "not a materialization version"),
        ([CELL, "--partners", "2.7"], 2, "'2.7' is not a valid number of partners"),
        ([CELL, "--partners", "1_0"], 2, "'1_0' is not a valid number of partners"),
        ([CELL, "--partners", "101"], 2, "between 0 and 100"),
        ([CELL, "--tag", ""], 2, "empty tag"),
        ([CELL, "--tag", "spine", "--tag", " "], 2, "empty tag"),
        (["864,691,135,276,234,469"], 2, "thousands separators"),
        ([f"{CELL},{CELL}"], 2, "holds 2 root IDs"),
        (["nucleus:0"], 2, "does not name a nucleus"),
        (["nucleus:x"], 2, "does not name a nucleus"),
        (["nucleus:99999999999999999999"], 2, "is too large for the ID of a nucleus."),
        (["synapse:99999999999999999999"], 2, "is too large for the ID of a synapse."),
        ([f"nucleus:{'9' * 5000}"], 2, "is too large for the ID of a nucleus."),
        ([CELL, "--preview", "picture"], 2, "A picture needs a file name with an extension"),
        ([CELL, "--preview", "picture.svg"], 2, "An SVG picture needs --renderer plot."),
        ([CELL, "--qr", "code"], 2, "needs a file name with an extension"),
        (["nope.csv"], 2, "There is no file nope.csv."),
        (["1,2,3@um"], 2, "unknown unit"),
        (["no/such/file.txt"], 2, "no file"),
        (["https://spelunker.cave-explorer.org/#!nothing"], 2, "neither a state nor"),
        ([CELL, "--table", "nope"], 4, "no table 'nope'"),
        ([CELL, "--table", "synapses_pni_2"], 4, "does not refer to a table of synapses"),
        ([CELL, "--min-confidence", "1.5"], 2, "out of range"),
        ([CELL, "--min-confidence", "nan"], 2, "out of range"),
        ([CELL, "--save-state", "no/such/folder/state.json"], 2, "cannot be written"),
        ([CELL, CELL, "--save-state", "state.json"], 2, "several cells"),
        ([CELL, "--token-file", "no/such/file"], 2, "cannot be read"),
        ([CELL, "--layout", "5panel"], 2, "5panel"),
        ([CELL, "--workers", "2.9"], 2, "2.9 is not a whole number, as --workers needs."),
        ([CELL, "--concurrency", "1_0"], 2, "1_0 is not a whole number, as --concurrency needs."),
        ([CELL, "--concurrency", "9" * 30], 2, "is too large for --concurrency."),
        ([CELL, "--workers", "0"], 2, "--workers 0 is not a number of processes"),
        ([CELL, "--workers", "2", "--scheduler", "x"], 2, "were both given"),
        ([CELL, "--annotations", "none.csv"], 2, "There is no file of points at none.csv."),
        ([CELL, "--annotations", "."], 2, "is a folder, not a file of points."),
        ([CELL, "--bogus"], 2, "--bogus"),
    ],
)
def test_refused_with_two_sentences(sandbox, make_link, words, code, said) -> None:
    """Each kind of wrong input has its exit code, and an error and a hint."""
    make_link(*words).refuses(code, said)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("some-wrong-token", "does not accept the token"),
        ("", "no token was found"),
        (NO_PERMISSION, "has no permission to read minnie65_public"),
        (MISSING_TERMS, "terms of service"),
    ],
)
def test_login_refused(sandbox, make_link, monkeypatch, token, said) -> None:
    """Each kind of refusal has its own message, with exit code 4, and no browser is opened."""
    monkeypatch.setattr("webbrowser.open", lambda *_: pytest.fail("a browser was opened"))
    monkeypatch.setenv("CAVE_TOKEN", token)
    outcome = make_link(CELL)
    outcome.refuses(4, said)
    assert "some-wrong-token" not in outcome.err


def test_server_down(sandbox, make_link) -> None:
    """An unreachable server is named, with exit code 4."""
    sandbox.stop()
    make_link(CELL).refuses(4, sandbox.origin.removeprefix("http://"), "could not be reached")


@pytest.fixture
def web_page() -> Iterator[str]:
    """A server that answers every request with the same HTML page."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html><title>A page</title></html>")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_not_a_cave_server(make_link, web_page) -> None:
    """A server that is not CAVE is recognised, with exit code 4."""
    make_link(CELL, "--server", web_page).refuses(4, "not look like an answer from CAVE")


def test_state_server_refuses(make_link, options, loaded_sample, monkeypatch) -> None:
    """If the state server refuses, no link is printed and no answer cached; exit code 4."""
    from dataclasses import replace

    from cave_sandbox.server import Sandbox

    broken = replace(options, fault="POST /nglstate/*=500")
    with Sandbox(broken, loaded_sample) as sandbox:
        monkeypatch.setenv("CAVE_TOKEN", options.token)
        make_link(CELL, "--server", sandbox.origin).refuses(4, "status 500")
        assert len([r for r in sandbox.requests if r.path.startswith("/nglstate")]) == 1
    links = os.path.join(os.environ["SYNGLANCER_CACHE_DIR"], "links")  # noqa: PTH118
    assert not os.path.exists(links) or not os.listdir(links)  # noqa: PTH110, PTH208


def test_truncated_answer_is_never_a_link(make_link, options, loaded_sample, monkeypatch) -> None:
    """An answer that is cut off even in the smallest parts is an error, not a smaller link."""
    from dataclasses import replace

    from cave_sandbox.server import Sandbox

    with Sandbox(replace(options, row_limit=1), loaded_sample) as sandbox:
        monkeypatch.setenv("CAVE_TOKEN", options.token)
        made = make_link(CELL, "--server", sandbox.origin)
        made.refuses(4, "after 1 rows, even for a single synapse", "higher row limit")
        assert not [r for r in sandbox.requests if r.path.startswith("/nglstate")]


def test_a_state_that_is_too_large_is_not_uploaded(sandbox, make_link, monkeypatch) -> None:
    """A state above the server's limit is refused before the upload, with its size and a hint."""
    monkeypatch.setattr("synglancer.links.upload.MAX_STATE", 200_000)
    make_link(CELL).refuses(2, "The state has 1 MB, more than", "Show fewer synapses")
    assert not [request for request in sandbox.requests if request.path.startswith("/nglstate")]
    several = make_link(CELL, who.PARTNERS[0].root_id, "--quiet")
    assert (several.code, len(several.lines)) == (5, 1)
    assert several.err.count("The state has 1 MB") == 1


def test_many_annotations_are_warned_of(sandbox, make_link, monkeypatch) -> None:
    """From 10,000 annotations on, a warning says how long viewers take."""
    assert explain_size(9_999, [1], Settings()) == []
    assert "10,000 annotations" in explain_size(10_000, [1], Settings())[0]
    assert "slow" not in make_link(CELL).err
    monkeypatch.setattr("synglancer.links.warnings.MANY_ANNOTATIONS", 3_392)
    assert "3,392 annotations, and viewers become slow: 50,000" in make_link(CELL, "--no-cache").err


def test_a_tag_that_no_synapse_has_is_named(sandbox, make_link) -> None:
    """A mistyped tag is named, with the existing tags."""
    made = make_link(CELL, "--tag", "spime", "--tag", "shaft")
    assert made.code == 0
    assert "tag 'spime'. Did you mean 'spine'? The tags are 'shaft', 'soma', 'spine'" in made.err


def test_a_token_file_of_a_windows_editor_is_read(sandbox, make_link, monkeypatch, tmp_path):
    """A token file may begin with a byte-order mark."""
    monkeypatch.delenv("CAVE_TOKEN")
    path = tmp_path / "token.txt"
    path.write_text(f"{TOKEN}\r\n", encoding="utf-8-sig")
    assert make_link(CELL, "--token-file", path).code == 0


def test_a_sandbox_that_is_not_running_is_said(synglancer, monkeypatch) -> None:
    """The status of a sandbox that is not running is an error with a hint, not a bug."""
    monkeypatch.setattr("cave_sandbox.process.daemon.status", lambda: None)
    synglancer("sandbox", "status").refuses(4, "sandbox is not running", "synglancer sandbox start")


@pytest.mark.parametrize("command", ["start", "status", "stop"])
def test_a_sandbox_that_does_not_answer_is_said(synglancer, monkeypatch, command) -> None:
    """What the process of the sandbox reports is an error of a service, with its own hint."""

    def fail(*_: object) -> None:
        raise ProcessError("The background sandbox does not answer.", "Stop it, then try again.")

    monkeypatch.setattr(f"cave_sandbox.process.daemon.{command}", fail)
    words = ("The background sandbox does not answer.", "Stop it, then try again.")
    synglancer("sandbox", command).refuses(4, *words)


@pytest.mark.parametrize("command", ["start", "serve"])
def test_what_a_sandbox_cannot_use_is_refused(synglancer, tmp_path, command) -> None:
    """A token file that is not there is refused as by every command, and nothing is started."""
    missing = tmp_path / "none.txt"
    words = ("sandbox", command, "--token-file", missing)
    synglancer(*words).refuses(2, f"{missing} cannot be read: No such file or directory.")
    synglancer("sandbox", "status").refuses(4, "is not running")
