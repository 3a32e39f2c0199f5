"""Every endpoint that a link needs, with all that goes wrong: the right link or an honest end.

The sandbox answers wrongly on purpose (docs/faults.md). `ENDS` says what is expected of each fault,
and where an endpoint differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest
import requests

from cli.outcome import CELL, MISSING_TERMS, NO_PERMISSION, TOKEN
from synglancer import make_link as api_make_link
from synglancer import transport
from synglancer.sandbox.server import Sandbox, SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.outcome import Outcome

UNKNOWN = "864691135999999001"
WORDS = ("--tag", "soma", "--output", "json", "--quiet", "--timeout", 2)

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
"""What a first link asks; and, where a cell has no rows, whether it exists."""

RIGHT = "the right answer"
NO_SOMA = "every synapse, and a view that is not centred on the soma"
NOT_CAVE = "not what a CAVE server answers"
ANOTHER = "gave back another state"
CLOSED, BROKE, SILENT = "closed the connection", "broke off", "did not answer within 2 s"
PATIENCE, MISSING = "asks for fewer requests", "does not have what was asked"
NOT_THERE = {
    "info": "'minnie65_public' is not known",
    "version": "has no version 1718",
    "table": "has no table",
    "soma": NO_SOMA,
}

End = tuple[int, str, dict[str, str]]

ENDS: dict[str, End] = {
    # fault: (how often it is asked, what is said, where it is something else)
    "refused": (4, CLOSED, {}),
    "reset": (4, CLOSED, {}),
    "reset-body": (4, BROKE, {}),
    "silence:30": (1, SILENT, {}),
    "401": (1, "does not accept the token", {}),
    "403": (1, "may not read", {}),
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
        {"query": "holds something else", "upload": RIGHT, "readback": ANOTHER, "validity": RIGHT},
    ),
    "extra-columns": (1, RIGHT, {"readback": ANOTHER}),
    "reordered-columns": (1, RIGHT, {}),
}  # fmt: skip

UPLOADED_ONCE = {"refused", "reset", "reset-body", "502", "503", "504", "empty", "truncated-arrow"}
"""An upload may have been stored then, and is not sent again. (A rate limit comes before that.)"""

TAKEN_FOR_ANSWERS = {
    *("404", "hidden-404", "html", "empty", "truncated-arrow", "bad-gzip"),
    *("reset-body", "wrong-columns", "wrong-dtypes", "extra-columns"),
}
"""What might be kept by mistake: the same is asked again after these."""

TRANSIENT = ["reset", "reset-body", "429:retry-after=0", "hidden-429", "503", "truncated-arrow"]
"""What may be asked again: one of each kind."""


@pytest.fixture(scope="module")
def sandbox(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    options = SandboxOptions(
        data=sample,
        states=tmp_path_factory.mktemp("states") / "states.sqlite",
        token=TOKEN,
        no_permission_token=NO_PERMISSION,
        missing_tos_token=MISSING_TERMS,
    )
    with Sandbox(options) as running:
        yield running


@pytest.fixture(scope="module")
def right(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Hash of the state that is shown when nothing goes wrong."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(TOKEN)
    link = api_make_link(
        CELL, server=sandbox.origin, token_file=str(token), tag="soma", no_cache=True
    )
    assert link.shown > 100
    return link.state_sha256


@pytest.fixture(autouse=True)
def _surroundings(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Pause shortly between tries; whatever happens, open no browser and leave no token."""
    monkeypatch.setattr(transport, "_BACKOFF", 0.005)
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
    """Whether it is the fault-free answer; a link is followed to what the server keeps."""
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
    """No answer is remembered, and no receipt is written, for a link that was not made."""
    assert not list(Path(os.environ["SYNGLANCER_CACHE_DIR"]).glob("links/*"))
    assert not Path(os.environ["SYNGLANCER_DATA_DIR"], "history.jsonl").exists()


@pytest.mark.parametrize("fault", ENDS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_lasting_fault(sandbox, make_link, right, endpoint, fault) -> None:
    """The right answer or the right refusal; and, once the fault has gone, the right answer."""
    asked, said, elsewhere = ENDS[fault]
    said = elsewhere.get(endpoint, said)
    cell = UNKNOWN if endpoint == "validity" else CELL
    before = count_states(sandbox)
    rules = sandbox.set_faults(f"{ENDPOINTS[endpoint]}={fault}")
    made = make_link(cell, *WORDS)
    tries = rules[0].matched
    sandbox.set_faults(None)
    if said == RIGHT:
        assert is_right(made, endpoint, right), (made.code, made.err)
    elif said == NO_SOMA:
        assert made.code == 0, made.err
        assert not is_right(made, endpoint, right)
        record = json.loads(made.out)
        assert record["shown"] == 112
        assert "soma's position is not served" in record["warnings"][0]
        return  # the same question gives the same answer, and says so again
    else:
        made.refuses(4, said)
        assert_nothing_is_kept()
        once = endpoint == "upload" and fault in UPLOADED_ONCE
        directions = 2 if endpoint == "query" else 1
        assert (1 if once else asked) <= tries <= (1 if once else asked) * directions
    assert count_states(sandbox) - before <= 1
    if endpoint not in {"upload", "readback"} and made.code:
        assert count_states(sandbox) == before
    if said != RIGHT and fault in TAKEN_FOR_ANSWERS:
        assert is_right(make_link(cell, *WORDS), endpoint, right), "and nothing wrong was kept"


@pytest.mark.parametrize("fault", TRANSIENT)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_passing_fault(sandbox, make_link, right, endpoint, fault) -> None:
    """What fails once and may be asked again gives the right answer, and one state at most."""
    before = count_states(sandbox)
    rules = sandbox.set_faults(f"{ENDPOINTS[endpoint]}={fault}*1")
    made = make_link(UNKNOWN if endpoint == "validity" else CELL, *WORDS)
    tries = rules[0].matched
    sandbox.set_faults(None)
    if endpoint == "upload" and fault in UPLOADED_ONCE:
        made.refuses(4)
        assert tries == 1
        assert_nothing_is_kept()
    else:
        assert is_right(made, endpoint, right), made.err
        assert tries == (3 if endpoint == "query" else 2)
    assert count_states(sandbox) - before <= 1
