"""Links in documents are found, and the problems of each are reported."""

from __future__ import annotations

import html
import io
import json

import pytest

from cli.outcome import CELL
from synglancer.check.documents import find_links

LINK = "https://s.org/#!middleauth+https://g.org/ngl_state/api/v1/123"


@pytest.mark.parametrize(
    ("suffix", "text", "times"),
    [
        (".txt", f"See ({LINK}). And <{LINK}>, '{LINK}'.", 3),
        (".md", f"[a]({LINK}), **{LINK}**\n{LINK.replace('_', chr(92) + '_')}", 3),
        (".html", f'<a href="{html.escape(LINK)}">x</a> &lt;a href=&quot;{LINK}&quot;', 2),
        (".tex", r"\href{" + LINK.replace("#", r"\#").replace("_", r"\_") + "}{x}", 1),
        (".csv", f'1,"{LINK}"\n2,{LINK}\n', 2),
        (".ipynb", json.dumps({"source": [f"x {LINK}\n"], "html": f'<a href="{LINK}">'}), 2),
        (".txt", "https://twitter.com/#!/user and https://s.org/#section", 0),
    ],
)
def test_links_are_found_in_each_format(suffix, text, times) -> None:
    """The escapes of each format are decoded, and links end before punctuation, brackets and
    quotes."""
    assert [found.url for found in find_links(text, suffix)] == [LINK] * times


def test_a_good_link_is_good(sandbox, make_link, synglancer, tmp_path) -> None:
    """A link of ours is reachable, complete and current; each of its places is named; exit code
    0. Without its receipt, the record in its state says what it must hold.
    """
    from synglancer.cache.receipts import history_file

    link = make_link(CELL).out.strip()
    paper = tmp_path / "paper.md"
    paper.write_text(f"See [it]({link}).\n\nAgain: {link}.\n")
    checked = synglancer("check", paper, "--output", "json")
    assert checked.code == 0, checked
    result = json.loads(checked.out)
    assert [place["line"] for place in result["places"]] == [1, 3]
    assert (result["url"], result["cells"], result["status"]) == (link, [CELL], "good")
    assert result["expected_from"] == "receipt"
    assert sum(result["expected"].values()) == 3392
    assert (result["valid_then"], result["served"]) == (True, True)
    history_file().unlink()
    again = json.loads(synglancer("check", link, "--output", "json").out)
    assert (again["expected"], again["expected_from"]) == (result["expected"], "record")


def test_a_lost_state_is_bad(sandbox, make_link, synglancer) -> None:
    """A state that its server does not have is reported, with exit code 5."""
    link = make_link(CELL).out.strip()
    lost = link.rsplit("/", 1)[0] + "/1234567890123456"
    checked = synglancer("check", link, lost)
    assert checked.code == 5
    assert "no longer exists" in checked.out
    foretold = synglancer("check", lost, "--fix", "--dry-run")
    assert foretold.code == 5
    assert "It cannot be made again, because neither the history" in " ".join(foretold.out.split())


def test_a_server_that_is_down_gives_exit_code_4(sandbox, make_link, synglancer) -> None:
    """If nothing could be checked, that is an error, not a result."""
    link = make_link(CELL).out.strip()
    sandbox.stop()
    synglancer("check", link).refuses(4, "could not be reached")


def test_what_cannot_be_read_is_refused(synglancer, tmp_path) -> None:
    """A missing file and a file that is not text are refused with an error and a hint, and so is
    nothing at all."""
    synglancer("check").refuses(2, "Nothing to check was given.", "Give a link in quotes")
    synglancer("check", tmp_path / "none.md").refuses(2, "cannot be read")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF\0")
    synglancer("check", tmp_path / "paper.pdf").refuses(2, "not a text file")


def test_the_token_goes_to_no_other_host(sandbox, synglancer, monkeypatch) -> None:
    """A state on another host than the CAVE server is requested without the token."""
    import http.server
    import threading

    seen: list[str | None] = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"layers":[{"name":"a","type":"image","source":"x"}]}')

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        link = f"https://s.org/#!http://127.0.0.1:{server.server_port}/state"
        checked = synglancer("check", link, "--output", "json")
        server.shutdown()
    assert checked.code == 0, checked
    assert seen == [None]
    assert json.loads(checked.out)["layers"] == {"a": None}


def test_a_state_that_is_not_the_one_of_the_receipt_is_bad(sandbox, make_link, synglancer) -> None:
    """If a state has fewer synapses than the receipt says, the shortfall of each layer is
    reported."""
    from synglancer.cache.receipts import history_file

    link = make_link(CELL).out.strip()
    other = make_link(CELL, "--tag", "spine").out.strip()
    lines = history_file().read_text().replace(other, "x").replace(link, other)
    history_file().write_text(lines)
    checked = synglancer("check", other)
    assert checked.code == 5
    assert "The layer 'inputs: soma' with its" in checked.out
    assert "differs from the one that was made here" in checked.out


def test_another_server_is_not_asked_about_a_link_of_ours(
    sandbox, options, loaded_sample, make_link, synglancer, tmp_path
) -> None:
    """A receipt names the server of its link, and another server does not know its cell."""
    from dataclasses import replace

    from cave_sandbox.server import Sandbox

    link = make_link(CELL, "--tag", "soma").out.strip()
    with Sandbox(replace(options, states=tmp_path / "other.sqlite"), loaded_sample) as other:
        checked = synglancer("check", link, "--server", other.origin)
        assert not other.requests
    assert checked.code == 5
    assert f"It was made with the CAVE server {sandbox.origin}" in checked.out


def test_folders_stdin_and_unreadable_files(
    sandbox, make_link, synglancer, tmp_path, monkeypatch
) -> None:
    """Folders and standard input are read; an unreadable file is named, with exit code 5."""
    link = make_link(CELL, "--tag", "soma").out.strip()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "paper.md").write_text(link)
    (tmp_path / "docs" / "broken.md").write_bytes(b"\0")
    done = synglancer("check", tmp_path / "docs", "--output", "json")
    assert (done.code, json.loads(done.out)["status"]) == (5, "good")
    assert "broken.md is not a text file." in done.err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(link.encode())))
    done = synglancer("check", "-", "--output", "json")
    assert (done.code, json.loads(done.out)["places"]) == (0, [{"file": "-", "line": 1}])
    synglancer("check", "-", "--fix").refuses(2, "Standard input cannot be rewritten.")


def test_the_file_of_a_state_is_checked_itself(sandbox, make_link, synglancer, tmp_path) -> None:
    """A file from --save-state is a state; a JSON file with links is a document."""
    state, listed = tmp_path / "state.json", tmp_path / "links.json"
    link = make_link(CELL, "--tag", "soma", "--save-state", state).out.strip()
    listed.write_text(json.dumps([link]))
    done = synglancer("check", state, listed, "--output", "json")
    assert done.code == 0, done
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["url"] for record in records] == [str(state), link]


def test_a_layer_with_too_few_synapses_is_bad(sandbox, make_link, synglancer, tmp_path) -> None:
    """A state that lacks one synapse of a layer is bad, and both numbers are given."""
    file = tmp_path / "state.json"
    make_link(CELL, "--inline", "--outputs", "--tag", "soma", "--save-state", file)
    state = json.loads(file.read_text())
    layer = next(one for one in state["layers"] if one.get("annotations"))
    layer["annotations"].pop()
    file.write_text(json.dumps(state))
    done = synglancer("check", file, "--output", "json")
    record = json.loads(done.out)
    assert (done.code, record["status"]) == (5, "bad")
    assert "8 synapses instead of 9" in " ".join(record["problems"])


def test_a_state_that_two_links_name_is_downloaded_once(
    sandbox, make_link, synglancer, tmp_path
) -> None:
    """Links to the same state in several viewers cost one request."""
    link = make_link(CELL, "--tag", "soma").out.strip()
    paper = tmp_path / "paper.md"
    other = link.replace(link.partition("#!")[0], "https://viewer.example.org/")
    paper.write_text(f"{link} {other}")
    before = len(sandbox.requests)
    assert synglancer("check", paper).code == 0
    asked = [request.path for request in sandbox.requests[before:] if "nglstate" in request.path]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.json", "{}"),
        ("list.json", "[]"),
        ("nothing.md", ""),
        ("talk.ipynb", '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'),
        ("cells.csv", "pt_root_id\n864691135276234469\n"),
        ("page.html", "<a href='https://example.org/'>x</a>"),
    ],
)
def test_an_input_without_a_link_is_not_passed_as_checked(
    sandbox, make_link, synglancer, tmp_path, name, content
) -> None:
    """A file without a link is refused; beside others it is named, with exit code 5."""
    path = tmp_path / name
    path.write_text(content)
    synglancer("check", path).refuses(2, f"No Neuroglancer link was found in {path}.")
    synglancer("check", path, "--fix").refuses(2, f"was found in {path}.")
    good = make_link(CELL, "--tag", "soma").out.strip()
    done = synglancer("check", path, good, "--output", "json")
    assert (done.code, json.loads(done.out)["status"]) == (5, "good")
    assert f"No Neuroglancer link was found in {path}." in done.err


def test_folders_and_stdin_without_a_link_are_refused(synglancer, tmp_path, monkeypatch) -> None:
    """A folder needs a link in one of its files, not in each; an empty one has none."""
    synglancer("check", tmp_path).refuses(2, f"found in the folder {tmp_path}.", "Text files")
    (tmp_path / "picture.png").write_bytes(b"x")
    (tmp_path / "a.md").write_text("nothing")
    synglancer("check", tmp_path).refuses(2, f"found in the folder {tmp_path}.")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"nothing")))
    synglancer("check", "-").refuses(2, "found in standard input.")
    both = synglancer("check", tmp_path, tmp_path / "a.md")
    assert (both.code, both.out) == (5, "")
    assert both.err.count("No Neuroglancer link was found") == 2
