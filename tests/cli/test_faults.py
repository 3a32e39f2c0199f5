"""Every endpoint that a link needs, with all that goes wrong: the right link or an honest end.

The sandbox answers wrongly on purpose (docs/faults.md). `ENDS` says what is expected of each fault,
and where an endpoint differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
import requests

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import TOKEN
from synglancer import make_link as api_make_link
from synglancer.cave import http
from synglancer.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cave_sandbox.tables.loaded import LoadedFolder
    from cli.outcome import Outcome
    from synglancer.errors import SynglancerError

CELL = str(who.PARTNERS[3].root_id)
"""A cell with some hundred synapses, because this file makes hundreds of links."""

UNKNOWN = "864691135999999001"
SHOWN = 80  # of them on somata
WORDS = ("--tag", "soma", "--output", "json", "--quiet", "--timeout", 30)

ENDPOINTS = {
    "info": "GET /info/api/v2/datastack/full/*",
    "version": "GET */version/1718",
    "table": "GET */table/*/metadata",
    "query": "POST */version/1718/query",
    "soma": "POST */table/*/query",
    "upload": "POST */nglstate/api/v1/post",
    "readback": "GET */nglstate/api/v1/*",
    "validity": "POST */is_latest_roots",
}
"""The requests of a first link; and, for a cell without rows, whether it exists."""

RIGHT = "the right answer"
NO_SOMA = "every synapse, and a view that is not centred on the soma"
NOT_CAVE = "not look like an answer from CAVE"
ANOTHER = "returned a different state"
NO_STATE = "holds no Neuroglancer state"
CLOSED, BROKE = "closed the connection", "broke off"
PATIENCE, MISSING = "received too many requests", "did not find what was requested"
NOT_THERE = {
    "info": "has no datastack 'minnie65_public'",
    "version": "has no version 1718",
    "table": "has no table",
    "soma": NO_SOMA,
}

End = tuple[int, str, dict[str, str]]

ENDS: dict[str, End] = {
    # fault: (number of requests, message, exceptions for some endpoints)
    "refused": (4, CLOSED, {}),
    "reset": (4, CLOSED, {}),
    "reset-body": (4, BROKE, {}),
    "401": (1, "does not accept the token", {}),
    "403": (1, "has no permission to read", {}),
    "tos": (1, "terms of service", {}),
    "404": (1, MISSING, NOT_THERE),
    "hidden-404": (1, MISSING, NOT_THERE),
    "429": (4, PATIENCE, {}),
    "429:retry-after=60": (1, PATIENCE, {}),
    "hidden-429": (4, PATIENCE, {}),
    "500": (1, "status 500", {}),
    "502": (4, "status 502", {}),
    "503": (4, "status 503", {}),
    "504": (4, "status 504", {}),
    "html": (1, NOT_CAVE, {"readback": ANOTHER}),
    "nested": (1, NOT_CAVE, {"readback": ANOTHER}),
    "gzip-bomb": (1, "sends more than 4 MB", {}),
    "empty": (4, BROKE, {}),
    "truncated-arrow": (4, BROKE, {}),
    "bad-gzip": (1, "cannot be unpacked", {}),
    "wrong-columns": (
        1,
        NOT_CAVE,
        {"query": "lacks the column", "upload": RIGHT, "readback": ANOTHER},
    ),
    "wrong-dtypes": (
        1,
        NOT_CAVE,
        {"query": "wrong type", "upload": RIGHT, "readback": ANOTHER, "validity": RIGHT},
    ),
    "extra-columns": (1, RIGHT, {"readback": ANOTHER}),
    "reordered-columns": (1, RIGHT, {}),
}  # fmt: skip

UPLOADED_ONCE = {"refused", "reset", "reset-body", "502", "503", "504", "empty", "truncated-arrow"}
"""An upload may have been stored then, and is not sent again. (A rate limit comes before that.)"""

READERS: dict[str, tuple[str, ...]] = {
    "link": ("{link}", "--quiet"),
    "compare": ("{link}", "{link}"),
    "table": ("{link}", "-o", "rows.csv"),
    "check": ("{link}",),
    "preview": ("{link}", "-o", "."),
}
"""Commands that read the state behind a link."""

LINK_ENDS = {
    # fault: (message, attempts for each request)
    "nested": (NO_STATE, 1),
    "gzip-bomb": ("sends more than 4 MB", 1),
    "html": (NO_STATE, 1),
    "reset": (CLOSED, 4),
    "401": ("does not accept the token", 1),
    "503": ("status 503", 4),
}
"""The message if the state's server has this fault."""

TRANSIENT = ["reset", "reset-body", "429:retry-after=0", "hidden-429", "503", "truncated-arrow"]
"""Requests that may be repeated: one of each kind."""


@pytest.fixture(scope="module")
def sandbox(
    build_options: Callable[[Path], SandboxOptions],
    loaded_sample: LoadedFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sandbox]:
    with Sandbox(build_options(tmp_path_factory.mktemp("states")), loaded_sample) as running:
        yield running


@pytest.fixture(scope="module")
def right(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Hash of the state without faults."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(TOKEN)
    link = api_make_link(
        CELL, server=sandbox.origin, token_file=str(token), tag="soma", no_cache=True
    )
    assert link.shown == SHOWN
    return link.state_sha256


@pytest.fixture(autouse=True)
def _surroundings(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Make pauses short and the longest answer small; open no browser and leave no token."""
    monkeypatch.setattr(http, "_BACKOFF", 0.005)
    monkeypatch.setattr(http, "MAX_STATE", 4_000_000)
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    monkeypatch.setenv("SYNGLANCER_SERVER", sandbox.origin)
    opened: list[str] = []
    for name in ("open", "open_new", "open_new_tab"):
        monkeypatch.setattr(f"webbrowser.{name}", lambda url, *_, **__: opened.append(url))
    yield
    sandbox.set_faults(None)
    assert opened == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if path.name.startswith(".writing-")]
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def count_states(sandbox: Sandbox) -> int:
    with sqlite3.connect(sandbox.options.states) as database:
        (count,) = database.execute("select count(*) from states").fetchone()
    database.close()
    return int(count)


def is_right(made: Outcome, endpoint: str, right: str) -> bool:
    """Whether this is the answer without faults; a link is followed to the stored state."""
    assert TOKEN not in made.out + made.err
    if endpoint == "validity":
        return made.code == 3 and f"{UNKNOWN} is not the root ID of a cell" in made.err
    if made.code != 0:
        return False
    record = json.loads(made.out)
    stored = orjson.loads(requests.get(record["state_url"], timeout=30).content)
    canonical = orjson.dumps(stored, option=orjson.OPT_SORT_KEYS)
    assert hashlib.sha256(canonical).hexdigest() == record["state_sha256"]
    return record["state_sha256"] == right


def assert_nothing_is_kept() -> None:
    """No answer is cached and no receipt written for a link that was not made."""
    assert not list(Path(os.environ["SYNGLANCER_CACHE_DIR"]).glob("links/*"))
    assert not Path(os.environ["SYNGLANCER_DATA_DIR"], "history.jsonl").exists()


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_lasting_faults(sandbox, make_link, right, endpoint, subtests) -> None:
    """Each fault gives the right answer or the right refusal; afterwards, nothing wrong is
    cached."""
    cell = UNKNOWN if endpoint == "validity" else CELL
    for fault, (asked, usual, elsewhere) in ENDS.items():
        said = elsewhere.get(endpoint, usual)
        # The request is repeated with the cache: a wrong answer in it would be used here.
        words = [*WORDS, "--no-cache"] if said in {RIGHT, NO_SOMA} else WORDS
        before = count_states(sandbox)
        rules = sandbox.set_faults(f"{ENDPOINTS[endpoint]}={fault}")
        made = make_link(cell, *words)
        tries = rules[0].matched
        sandbox.set_faults(None)
        with subtests.test(endpoint=endpoint, fault=fault):
            assert tries > 0, "the endpoint was asked"
            assert count_states(sandbox) - before <= 1
            if said == RIGHT:
                assert is_right(made, endpoint, right), (made.code, made.err)
            elif said == NO_SOMA:
                assert made.code == 0, made.err
                assert not is_right(made, endpoint, right)
                record = json.loads(made.out)
                assert record["shown"] == SHOWN
                assert "soma's position is not available" in record["warnings"][0]
            else:
                made.refuses(4, said)
                assert_nothing_is_kept()
                once = endpoint == "upload" and fault in UPLOADED_ONCE
                directions = 2 if endpoint == "query" else 1
                assert (1 if once else asked) <= tries <= (1 if once else asked) * directions
                if endpoint not in {"upload", "readback"}:
                    assert count_states(sandbox) == before
        forget_receipts()
    assert is_right(make_link(cell, *WORDS), endpoint, right)


def forget_receipts() -> None:
    Path(os.environ["SYNGLANCER_DATA_DIR"], "history.jsonl").unlink(missing_ok=True)


@pytest.mark.parametrize("fault", TRANSIENT)
def test_a_passing_fault(sandbox, make_link, right, fault) -> None:
    """One failure at every endpoint that may be repeated still gives the right answer."""
    once = fault in UPLOADED_ONCE
    asked = [name for name in ENDPOINTS if name != "validity" and not (once and name == "upload")]
    before = count_states(sandbox)
    rules = sandbox.set_faults(",".join(f"{ENDPOINTS[name]}={fault}*1" for name in asked))
    made = make_link(CELL, *WORDS)
    tries = {name: rule.matched for name, rule in zip(asked, rules, strict=True)}
    assert is_right(made, "every", right), made.err
    assert tries == {name: 3 if name == "query" else 2 for name in asked}
    assert count_states(sandbox) - before == 1
    (rule,) = sandbox.set_faults(f"{ENDPOINTS['validity']}={fault}*1")
    assert is_right(make_link(UNKNOWN, *WORDS), "validity", right)
    assert rule.matched == 2


@pytest.mark.parametrize("fault", [fault for fault in TRANSIENT if fault in UPLOADED_ONCE])
def test_an_upload_that_may_have_been_stored_is_not_repeated(sandbox, make_link, fault) -> None:
    """The request is refused although a second attempt would succeed; at most one state is left."""
    before = count_states(sandbox)
    (rule,) = sandbox.set_faults(f"{ENDPOINTS['upload']}={fault}*1")
    make_link(CELL, *WORDS).refuses(4)
    assert rule.matched == 1
    assert_nothing_is_kept()
    assert count_states(sandbox) - before <= 1


def test_silence(sample: Path, loaded_sample: LoadedFolder, tmp_path: Path) -> None:
    """A silent server is asked once, and given up when the time is up."""

    def ask(endpoint: str) -> tuple[int, SynglancerError]:
        options = SandboxOptions(data=sample, states=tmp_path / f"{endpoint}.sqlite", token=TOKEN)
        cell = UNKNOWN if endpoint == "validity" else CELL
        with Sandbox(options, loaded_sample) as silent:
            (rule,) = silent.set_faults(f"{ENDPOINTS[endpoint]}=silence:30")
            with pytest.raises(UnreachableError) as caught:
                api_make_link(cell, server=silent.origin, tag="soma", timeout=3)
        return rule.matched, caught.value

    with ThreadPoolExecutor(
        len(ENDPOINTS)
    ) as pool:  # in parallel, because most of the time is waiting
        for endpoint, (tries, error) in zip(ENDPOINTS, pool.map(ask, ENDPOINTS), strict=True):
            assert error.exit_code == 4
            assert "did not answer within 3 s" in str(error)
            assert TOKEN not in f"{error} {error.hint}"
            assert 1 <= tries <= (2 if endpoint == "query" else 1)
    assert_nothing_is_kept()


@pytest.fixture
def run(make_link, synglancer, tmp_path, monkeypatch) -> Callable[..., Outcome]:
    """Run a command in an empty folder; a refusal must leave nothing there."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def call(command: str, *words: str) -> Outcome:
        made = make_link(*words) if command == "link" else synglancer(command, *words)
        assert [*folder.iterdir()] == []
        return made

    return call


@pytest.mark.parametrize("command", READERS)
def test_a_link_whose_state_cannot_be_read(sandbox, run, command, subtests) -> None:
    """Each command that reads a link refuses a missing state completely."""
    link = f"https://viewer.example.org/#!{sandbox.origin}/nglstate/api/v1/5"
    words = [word.format(link=link) for word in READERS[command]]
    for fault, (said, tries) in LINK_ENDS.items():
        (rule,) = sandbox.set_faults(f"GET */nglstate/api/v1/5={fault}")
        with subtests.test(fault=fault):
            run(command, *words).refuses(4, said)
            assert rule.matched == tries


def test_a_root_id_that_never_existed(sandbox, run) -> None:
    """CAVE returns an empty list of timestamps for it: the cell is unknown, and no service has
    failed."""
    url = f"{sandbox.origin}/segmentation/api/v1/table/minnie65_public/root_timestamps"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = {"node_ids": [UNKNOWN]}
    assert requests.post(url, json=body, headers=headers, timeout=30).json() == {"timestamp": []}
    for command, words in {"link": (), "compare": ("--from", "1718", "--to", "1822")}.items():
        run(command, UNKNOWN, *words).refuses(3, f"{UNKNOWN} is not the root ID of a cell")


def test_a_proxy_that_needs_another_package_is_named(make_link, monkeypatch) -> None:
    """If a proxy uses SOCKS, the error names the package that it needs."""
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    made = make_link(CELL, "--server", "https://cave.example.org")
    made.refuses(4, "The proxy 127.0.0.1:9 uses SOCKS", "pip install PySocks")


@pytest.mark.parametrize("command", [*READERS, "cell", "versions"])
def test_a_dead_proxy_is_named(run, monkeypatch, command, subtests) -> None:
    """If a proxy does not answer, the error names it, without its password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("HTTPS_PROXY", f"http://reader:pass-word@{proxy}")
    monkeypatch.setenv("SYNGLANCER_SERVER", "https://cave.example.org")
    link = "https://viewer.example.org/#!https://cave.example.org/nglstate/api/v1/5"
    asked = {
        "cell": ("link", CELL),
        "versions": ("compare", CELL, "--from", "1718", "--to", "1822"),
    }
    command, *words = asked.get(command) or (command, *READERS[command])
    made = run(command, *(word.format(link=link) for word in words))
    made.refuses(4, f"The proxy {proxy} did not connect to cave.example.org.")
    assert "pass-word" not in made.err
    assert "HTTPS_PROXY" in made.err or command == "check"
