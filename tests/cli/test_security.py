"""The token is sent only where it must be, and text from servers and tables is never executed."""

from __future__ import annotations

import ast
import html
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import requests
from markdown_it import MarkdownIt

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.latex import compile_latex
from cli.outcome import CELL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$(touch owned)`id`; rm -rf ~",
    "\x1b]0;owned\x07\x1b[2J\x9b31m",
    "\\input{/etc/passwd}\\write18{id}",
    "](javascript:alert(1)) | x | **y**",
    "\u202edekcart\u2066",
    "one\nline\r\nthen another",
    "{{ 7 * 7 }}{% raw %}",
    "*/ } void main() { discard; } /*",
]
NAME = "stack <b>$(id)`\x1b[2J\\x"
POSITIONS = [f"{point}_pt_position_{axis}" for point in ("pre", "ctr", "post") for axis in "xyz"]


@pytest.fixture
def sandbox(lasting_sandbox: Sandbox) -> Sandbox:
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture(scope="module")
def _hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("hostile") / "data"
    (folder / "tables").mkdir(parents=True)
    columns = ["id", *POSITIONS, "size", "pre_pt_root_id", "post_pt_root_id"]
    ids = range(1, len(HOSTILE) + 1)
    rows = [[i, *range(9), 100.0 + i, 864691135000000000 + i, int(CELL)] for i in ids]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "tables" / "synapses.parquet")
    tags = {"id": list(ids), "target_id": list(ids), "tag": HOSTILE, "value": [0.9] * len(ids)}
    pd.DataFrame(tags).to_parquet(folder / "tables" / "tags.parquet")
    description = {
        "name": NAME,
        "info": {"viewer_site": "javascript:alert(1)//\x1b[2J"},
        "tables": {
            "synapses": {"schema": "synapse", "notice_text": HOSTILE[3]},
            "tags": {"schema": "reference_tag_float", "notice_text": "".join(HOSTILE)},
        },
    }
    (folder / "datastack.json").write_text(json.dumps(description))
    states = folder.parent / "states.sqlite"
    with Sandbox(SandboxOptions(data=folder, states=states, token=TOKEN)) as running:
        yield running


@pytest.fixture
def hostile(_hostile: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox whose every text tries to be executed when printed."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    monkeypatch.setenv("SYNGLANCER_SERVER", _hostile.origin)
    return _hostile


def ask(make_link, *words):
    return make_link(
        CELL, "--datastack", NAME, "--table", "tags", "--version", 1718, "--no-cache", *words
    )


class Page(HTMLParser):
    """Parse a fragment as a browser would: elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.mark.parametrize("output", ["url", "json", "markdown", "html", "latex"])
def test_no_word_of_a_server_is_obeyed(hostile, make_link, output) -> None:
    """Markup, escapes and commands in tags and names are plain text in each format."""
    made = ask(make_link, "--output", output, "--verbose")
    assert made.code == 0, made.err
    assert all(letter.isprintable() or letter == "\n" for letter in made.out + made.err)
    if output == "url":
        assert made.out.startswith("https://spelunker.cave-explorer.org/#!http://127.0.0.1:")
        assert len(made.lines) == 1
    if output == "json":
        assert set(json.loads(made.out)["counts"]["inputs"]) == set(HOSTILE)
        assert len(made.lines) == 1
    if output == "html":
        elements = Page(made.out).elements
        assert not {"script", "img", "b"} & {name for name, _ in elements}
        for _, attributes in elements:
            assert not [name for name in attributes if name.startswith("on")]
            assert not (attributes.get("href") or "").startswith("javascript")
    if output == "markdown":
        assert not {"script", "img", "b"} & {name for name, _ in Page(made.out).elements}
        assert "](javascript:" not in made.out
    if output == "latex":
        assert "\\input" not in made.out
        assert "\\write18" not in made.out


@pytest.mark.parametrize("kind", ["html", "md", "tex", "ipynb"])
def test_no_word_of_a_server_is_obeyed_in_a_report(hostile, synglancer, tmp_path, kind) -> None:
    """Nor in any form of a report: words are text on pages, strings in a notebook's code, and what
    LaTeX prints."""
    page = tmp_path / f"report.{kind}"
    done = synglancer(
        "report", CELL, "--datastack", NAME, "--table", "tags", "--version", 1718, "-o", page
    )
    assert done.code == 0, done.err
    text = page.read_text("utf-8")
    if kind == "tex":
        assert not {"\\input", "\\write18"} & set(re.findall(r"\\[A-Za-z]+\d*", text))
        compile_latex(page)
        return
    if kind == "ipynb":
        cells = json.loads(text)["cells"]
        codes = [ast.parse(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        (colours,) = [
            node.value
            for code in codes
            for node in code.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COLOURS"
        ]
        assert set(ast.literal_eval(colours)) == set(HOSTILE)
        text = cells[0]["source"]
    if kind != "html":
        text = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    elements = Page(text).elements
    assert [name for name, _ in elements if name == "script"] == ["script"] * (kind == "html")
    assert not {"img", "b"} & {name for name, _ in elements}
    for _, attributes in elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert not (attributes.get("href") or "").startswith("javascript")
    assert html.unescape(text).count("<script>alert(1)</script>") >= 2


def test_tags_are_data_in_the_state(hostile, make_link) -> None:
    """Each tag is the name of its own layer, and is in no source and no shader code."""
    link = ask(make_link).out.strip()
    state = requests.get(link.split("#!")[1], timeout=30).json()
    layers = state["layers"][2:]
    assert len(layers) == len(HOSTILE)
    assert all(layer["name"].startswith("● in: ") for layer in layers)
    for layer in layers:
        # The first line may be a comment: the provenance record, in ASCII without a line break.
        layer["shader"] = re.sub(r"^// synglancer: \{[ -~]*\}\n", "", layer["shader"])
        beside = json.dumps({name: layer[name] for name in layer if name != "name"})
        for word in HOSTILE:
            assert json.dumps(word)[1:-1] not in beside


def test_an_error_is_printed_without_escapes(hostile, make_link) -> None:
    """A server's error message cannot move the cursor, even in a traceback."""
    made = make_link(CELL, "--datastack", "nope\x1b[2J", "--table", "t\x1b[2J", "--verbose")
    assert made.code == 4
    assert "Traceback" in made.err
    assert all(letter.isprintable() or letter == "\n" for letter in made.out + made.err)


@pytest.fixture
def listener() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Another server on this machine, and the headers that it received."""
    heard: list[dict[str, str]] = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(dict(self.headers))
            self.send_error(404)

        do_POST = do_GET  # noqa: N815  # a name given by http.server

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()


def test_a_viewer_hears_nothing(sandbox, make_link, listener) -> None:
    """Making a link sends no request to the viewer, with or without the token."""
    site, heard = listener
    made = make_link(CELL, "--site", site)
    assert made.out.startswith(f"{site}/#!{sandbox.origin}/")
    assert heard == []


def test_a_server_over_plain_http_is_not_asked(make_link, monkeypatch) -> None:
    """A token is not sent unencrypted beyond this machine; exit code 2."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    made = make_link(CELL, "--server", "http://cave.example.org")
    made.refuses(2, "unencrypted to http://cave.example.org", "https://")


def test_a_server_that_leads_to_plain_http_is_refused(make_link, monkeypatch) -> None:
    """If a server over https names a data server over http, nothing is sent; exit code 4."""
    from synglancer.cache.answers import Store
    from synglancer.cave.records import Datastack

    server = "https://cave.example.org"
    downgraded = Datastack(
        "minnie65_public", "http://data.example.org", "precomputed://x", "graphene://x/y", None,
        (4.0, 4.0, 40.0), None, None, None,
    )  # fmt: skip
    Store().save("datastacks", [server, downgraded.name], asdict(downgraded))
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    made = make_link(CELL, "--server", server)
    made.refuses(4, "http://data.example.org", "would not be safe", "Nothing was sent there")


def test_the_data_server_that_is_named_is_asked(make_link, listener, monkeypatch) -> None:
    """The datastack's own server gets the queries and the token, once CAVE names it."""
    address, heard = listener
    folder = Path(os.environ["HOME"]) / "data"
    folder.mkdir()
    (folder / "datastack.json").write_text(json.dumps({"info": {"local_server": address}}))
    columns = ["id", *POSITIONS, "size", "pre_pt_root_id", "post_pt_root_id"]
    pd.DataFrame([[1, *range(9), 1.0, 2, 3]], columns=columns).to_csv(
        folder / "synapses.csv", index=False
    )
    with Sandbox(SandboxOptions(data=folder, states=folder / "s.db", token=TOKEN)) as running:
        monkeypatch.setenv("CAVE_TOKEN", TOKEN)
        make_link(CELL, "--server", running.origin).refuses(4, "did not find what was requested")
    assert heard
    assert {headers.get("Authorization") for headers in heard} == {f"Bearer {TOKEN}"}


def test_what_is_tried_again_is_shown_and_the_token_is_not(own_sandbox) -> None:
    """--verbose shows each retry with its pause, and no log of the program contains the token."""
    own_sandbox.set_faults("POST */query=503*1,*/nglstate/api/v1/post=500")
    code = (
        "import logging, sys\n"
        "logging.getLogger('urllib3').setLevel(logging.DEBUG)\n"
        "from synglancer.cli import build_make_link, run\n"
        f"sys.exit(run(build_make_link, ['{CELL}', '--verbose']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "status 503" in done.stderr
    assert "Trying again in 0." in done.stderr
    assert "Traceback" in done.stderr
    assert "/nglstate/api/v1/post" in done.stderr, "the libraries' own lines are there too"
    assert TOKEN not in done.stdout + done.stderr


PASTED = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "words",
    [
        ("link", PASTED),
        ("link", CELL, "--token-file", PASTED),
        ("link", CELL, f"--token-file={PASTED}", "--verbose"),
        ("link", CELL, "--layout", PASTED),
        ("link", CELL, "--server", PASTED),
        ("link", CELL, "--site", PASTED),
        ("link", CELL, "--version", PASTED),
        ("link", CELL, "--partners", PASTED),
        ("link", CELL, "--timeout", PASTED),
        ("link", CELL, "--table", PASTED),
        ("link", CELL, "--datastack", PASTED, "--table", "x"),
        ("link", CELL, "--annotations", PASTED),
        ("link", CELL, "--preview", PASTED),
        ("link", CELL, "--source", PASTED),
        ("link", CELL, f"--{PASTED}"),
        ("report", CELL, "-o", PASTED),
        ("check", PASTED),
        ("check", "x.md", "--token-file", PASTED),
        ("compare", PASTED),
        ("table", PASTED),
        ("preview", PASTED),
        ("verdicts", PASTED),
        ("history", PASTED),
        ("history", "--limit", PASTED),
        ("trust", PASTED),
        ("publish", PASTED, "--dest", "x", "--version", "1718"),
        ("publish", "verify", PASTED),
        ("serve", PASTED),
        ("templates", "show", PASTED),
    ],
)
def test_a_pasted_token_is_not_repeated(sandbox, synglancer, tmp_path, monkeypatch, words) -> None:
    """A token in the wrong place is hidden in the error of every command and option."""
    monkeypatch.chdir(tmp_path)
    done = synglancer(*words)
    assert PASTED[:8] not in done.out + done.err
    assert done.err or words[:1] == ("history",)


@pytest.mark.parametrize("name", ["layout", "partners", "timeout", "version", PASTED])
def test_a_pasted_token_in_a_file_is_not_repeated(
    sandbox, make_link, tmp_path, monkeypatch, name
) -> None:
    """A token in place of an option's value or name in synglancer.toml is hidden."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "synglancer.toml").write_text(f"{name} = '{PASTED}'\n")
    done = make_link(CELL)
    assert done.err
    assert PASTED[:8] not in done.out + done.err
