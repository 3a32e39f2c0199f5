"""synglancer doctor: each possible fault has its line, and nothing makes it crash."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import CELL, MISSING_TERMS, NO_PERMISSION, TOKEN
from synglancer.cave import http
from synglancer.cli.commands.doctor import _name_places, _print_line
from synglancer.doctor import outcome
from synglancer.errors import DOCTOR
from synglancer.render import browser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cave_sandbox.tables.loaded import LoadedFolder
    from cli.outcome import Outcome

ORDER = [
    "python", "packages", "settings", "token", "server", "login", "terms", "datastack", "version",
    "table", "states", "viewer", "browser", "cache",
]  # fmt: skip
BEHIND_LOGIN = ("terms", "datastack", "version", "table", "states", "viewer")
NOWHERE = "http://127.0.0.1:1"
EXPIRED = 661
FIND_BROWSER = browser.find_browser

FAULTS = {
    # fault: (the failing check, its message, the checks skipped because of it)
    "*=refused": ("server", "closed the connection", ("login", *BEHIND_LOGIN)),
    "GET /info/version=reset": ("server", "closed the connection", ("login", *BEHIND_LOGIN)),
    "GET /info/version=html": ("server", "not look like an answer from CAVE", ("login",)),
    "GET /info/version=503": ("server", "status 503", ("login",)),
    "GET /info/version=silence:30": ("server", "did not answer within 2 s", ("login",)),
    "GET */datastacks=401": ("login", "does not accept the token", BEHIND_LOGIN),
    "GET */datastacks=500": ("login", "status 500", BEHIND_LOGIN),
    "GET */version/1718=tos": ("terms", "terms of service", BEHIND_LOGIN[1:]),
    "GET */datastack/full/*=404": ("datastack", "has no datastack", ("version", "table", "viewer")),
    "GET */datastack/full/*=html": ("datastack", "not look like an answer", ("version", "table")),
    "GET */version/1718=hidden-404": ("version", "has no version 1718", ("table",)),
    "GET */version/1718=403": ("version", "has no permission", ("table",)),
    "GET */version/1718=empty": ("version", "broke off", ("table",)),
    "GET */table/*/metadata=404": ("table", "has no table", ()),
    "POST */query=403": ("table", "has no permission", ()),
    "POST */query=truncated-arrow": ("table", "broke off", ()),
    "POST */query=hidden-429": ("table", "received too many requests", ()),
    "GET */nglstate/api/v1/version=502": ("states", "status 502", ()),
    "POST */nglstate/api/v1/post=500": ("states", "status 500", ()),
    "GET */nglstate/api/v1/*=html*1@2": ("states", "returned a different state", ()),
}


@pytest.fixture(scope="module")
def shared(
    build_options: Callable[[Path], SandboxOptions],
    loaded_sample: LoadedFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Sandbox]:
    """One sandbox for all faults."""
    with Sandbox(build_options(tmp_path_factory.mktemp("states")), loaded_sample) as running:
        yield running


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(http, "_BACKOFF", 0.005)
    monkeypatch.setattr(browser, "find_browser", lambda: "/usr/bin/chromium")
    monkeypatch.chdir(tmp_path)
    yield
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


@pytest.fixture
def examine(synglancer):
    """Run doctor, and read its lines: the outcome, and the checks by name."""

    def call(*words: object) -> tuple[Outcome, dict[str, tuple[str, str]]]:
        done = synglancer("doctor", *words)
        assert "Traceback" not in done.err
        assert not [one for one in (TOKEN, MISSING_TERMS, NO_PERMISSION) if one in str(done)]
        found = {}
        for line in done.lines:
            status, name, text = line.split(maxsplit=2)
            assert text.endswith((".", ")", "?")), line
            found[name] = (status, text)
        assert list(found) == ORDER, done.err
        failed = [name for name, (status, _) in found.items() if status == "failed"]
        assert done.code == (4 if failed else 0)
        return done, found

    return call


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any browser."""
    monkeypatch.setattr(browser, "find_browser", FIND_BROWSER)
    monkeypatch.setattr(browser, "BROWSERS", ("no-such-browser",))


@pytest.fixture
def own(shared, monkeypatch) -> Iterator[Sandbox]:
    """The sandbox as the user's server, without faults at first."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    monkeypatch.setenv("SYNGLANCER_SERVER", shared.origin)
    yield shared
    shared.set_faults(None)


def test_a_machine_on_which_all_is_well(own, examine) -> None:
    """Every check is ok, each line says what was found, and a state has been stored."""
    done, found = examine("--write")
    assert {status for status, _ in found.values()} == {"ok"}, done.out
    assert "Found in CAVE_TOKEN" in found["token"][1]
    assert "SYNGLANCER_SERVER" in found["settings"][1]
    assert f"{own.origin} answers" in found["server"][1]
    assert "1718 (2026-03-07) is available until 20" in found["version"][1]
    assert "synapse_target_predictions_ssa_v2" in found["table"][1]
    assert "/nglstate/api/v1/" in found["states"][1]
    assert f"{own.origin}/v/synglancer/, the datastack's viewer" in found["viewer"][1]
    assert "of at most 2.0 GB" in found["cache"][1]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_line(own, examine, fault) -> None:
    """One check fails and says why; the checks that depend on it are skipped, and say because of
    which."""
    name, words, skipped = FAULTS[fault]
    own.set_faults(fault)
    _, found = examine("--write", "--timeout", 2 if "silence" in fault else 60)
    assert [other for other in ORDER if found[other][0] == "failed"] == [name]
    assert words in found[name][1]
    for other in skipped:
        assert found[other] == ("skipped", f"Not checked, because the check '{name}' failed.")


@pytest.mark.parametrize(
    ("token", "name", "words"),
    [
        ("a-wrong-token", "login", "Get a new token"),
        (MISSING_TERMS, "terms", "Accept them once at"),
        (NO_PERMISSION, "datastack", "Ask the dataset's owners"),
        ("two words", "token", "CAVE_TOKEN does not hold a valid token"),
    ],
)
def test_each_token_that_is_refused(own, examine, monkeypatch, token, name, words) -> None:
    """A wrong token, or one without permission, fails the check that says what to do."""
    monkeypatch.setenv("CAVE_TOKEN", token)
    _, found = examine()
    assert [other for other in ORDER if found[other][0] == "failed"] == [name]
    assert words in found[name][1]


def test_a_token_that_is_missing(own, examine, monkeypatch) -> None:
    """If no token is found, the server is still checked, without a login."""
    monkeypatch.delenv("CAVE_TOKEN")
    before = len(own.requests)
    _, found = examine()
    assert found["token"][0] == "failed"
    assert f"{own.origin}/auth/api/v1/user/token" in found["token"][1]
    assert found["server"][0] == "ok"
    assert [request.path for request in own.requests[before:]] == ["/info/version"]


def test_the_place_of_a_token_file(own, examine, monkeypatch, tmp_path) -> None:
    """The file with the token is named; an unreadable one has its own line."""
    monkeypatch.delenv("CAVE_TOKEN")
    place = Path("~/.cloudvolume/secrets").expanduser()
    place.mkdir(parents=True)
    saved = place / f"{own.origin.removeprefix('http://')}-cave-secret.json"
    saved.write_text(json.dumps({"token": TOKEN}))
    assert examine()[1]["token"] == ("ok", f"Found in {saved}.")
    saved.unlink()
    _, found = examine("--token-file", tmp_path / "missing")
    assert found["token"][0] == "failed"
    assert "missing cannot be read" in found["token"][1]


@pytest.mark.parametrize(
    ("version", "status", "words"),
    [
        ("1718", "ok", "is available until"),
        ("1", "failed", "has no version 1"),
        ("2000-01-01", "failed", "no version before 2000-01-01"),
        ("latest", "ok", "Version"),
    ],
)
def test_versions(own, examine, version, status, words) -> None:
    """The requested version is looked up, and the line says until when it is available."""
    _, found = examine("--version", version)
    assert found["version"][0] == status
    assert words in found["version"][1]


def test_an_expired_version_is_a_warning(own, examine) -> None:
    """If a version has expired, live queries are tried, and a permanent version is named."""
    done, found = examine("--version", EXPIRED)
    assert found["version"][0] == "warning"
    assert f"Version {EXPIRED} (" in found["version"][1]
    assert "has expired" in found["version"][1]
    assert "Choose one of its versions" in found["version"][1]
    assert (found["table"][0], done.code) == ("ok", 0)


def test_what_is_typed_wins_over_the_environment(own, examine) -> None:
    """Options come from the same places as make-link's: the command line, then the environment."""
    _, found = examine("--server", NOWHERE, "--timeout", 5)
    assert found["server"][0] == "failed"
    assert "Connection refused" in found["server"][1]
    _, found = examine("--datastack", "no_such_datastack", "--table", "x")
    assert "has no datastack 'no_such_datastack'" in found["datastack"][1]
    assert "minnie65_public" in found["datastack"][1]
    _, found = examine("--table", "no_such_table", "--site", "google")
    assert "no_such_table" in found["table"][1]
    assert found["viewer"][0] == "ok"
    assert "google (https://neuroglancer-demo.appspot.com/)" in found["viewer"][1]


@pytest.mark.parametrize(
    "content",
    [
        "server = [",
        'tagg = "spine"',
        'timeout = "soon"',
        'server = "https://example.org"',
        None,
    ],
)
def test_a_damaged_settings_file(own, examine, content) -> None:
    """A file that other commands refuse has its line, and everything else is checked without it."""
    file = Path("synglancer.toml")
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    _, found = examine()
    assert found["settings"][0] == "failed"
    assert "synglancer.toml" in found["settings"][1]
    assert found["table"][0] == "ok"


def test_a_settings_file_is_named_and_used(own, examine) -> None:
    """Settings of make-link that doctor does not have are no error; common ones are used."""
    Path("synglancer.toml").write_text('tag = ["spine"]\nversion = 1\n')
    _, found = examine()
    assert found["settings"][0] == "ok"
    assert f"SYNGLANCER_SERVER, {Path('synglancer.toml').resolve()}." in found["settings"][1]
    assert found["version"][0] == "failed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SYNGLANCER_TIMEOUT", "soon"),
        ("SYNGLANCER_SITE", "ftp://x"),
        ("SYNGLANCER_MIN_CONFIDENCE", "2"),
    ],
)
def test_a_bad_variable(own, examine, monkeypatch, name, value) -> None:
    """An invalid variable fails only the check of settings."""
    monkeypatch.setenv(name, value)
    _, found = examine("--server", own.origin)
    assert found["settings"][0] == "failed"
    assert [other for other in ORDER if found[other][0] == "failed"] == ["settings"]


def test_nothing_works(examine, monkeypatch, no_browser) -> None:
    """Without network, token, browser or home, and with a damaged file, every check has its
    line."""
    blocked = Path("in-the-way")
    blocked.write_text("")
    Path("synglancer.toml").write_bytes(b"\xff\xfe")
    monkeypatch.setenv("SYNGLANCER_CACHE_DIR", str(blocked / "cache"))
    monkeypatch.setenv("HOME", str(blocked))
    _, found = examine("--server", NOWHERE)
    assert {name for name, (status, _) in found.items() if status == "failed"} == {
        "settings", "token", "server",
    }  # fmt: skip
    assert found["cache"][0] == found["browser"][0] == "warning"
    assert "apt install chromium" in found["browser"][1]


def test_a_bound_of_the_cache_that_is_no_size(own, examine, monkeypatch) -> None:
    """It fails only the check of the cache, although other commands refuse it at once."""
    monkeypatch.setenv("SYNGLANCER_CACHE_MAX", "lots")
    _, found = examine()
    assert [name for name in ORDER if found[name][0] == "failed"] == ["cache"]


@pytest.mark.parametrize("words", [["--timeout", "soon"], ["extra"], ["--server", "ftp://x"]])
def test_what_cannot_be_typed(synglancer, words) -> None:
    """An error on the command line itself is a usage error, as for every command."""
    synglancer("doctor", *words).refuses(2)


class Terminal(io.StringIO):
    """A terminal with typed input."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "status"), [("y\n", "ok"), ("n\n", "skipped"), ("", "skipped")])
def test_a_state_is_stored_only_after_a_yes(own, examine, monkeypatch, answer, status) -> None:
    """On a terminal, it asks before anything is written; anything but yes is no."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    before = len(own.requests)
    done, found = examine()
    assert f"Store a small state at {own.origin}" in done.err
    assert found["states"][0] == status
    posts = [one for one in own.requests[before:] if one.path.endswith("/post")]
    assert len(posts) == (status == "ok")


def test_nobody_is_asked_where_nobody_can_answer(own, examine, monkeypatch) -> None:
    """Without a terminal, nothing is written unless --write is given."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    done, found = examine()
    assert done.err == ""
    assert found["states"][0] == "skipped"
    assert "--write" in found["states"][1]


def test_json(own, synglancer, monkeypatch) -> None:
    """One object holds all checks in order, and whether everything is fine."""
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    done = synglancer("doctor", "--output", "json")
    (line,) = done.lines
    found = json.loads(line)
    assert (done.code, done.err, found["healthy"]) == (0, "", True)
    assert [check["name"] for check in found["checks"]] == ORDER
    assert {tuple(check) for check in found["checks"]} == {("name", "status", "message", "hint")}
    own.set_faults("GET */datastacks=401")
    done = synglancer("doctor", "--output", "json")
    assert (done.code, json.loads(done.out)["healthy"]) == (4, False)
    assert TOKEN not in done.out


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("GET /info/*=401", 4), ("GET /info/*=tos", 4), ("GET /info/*=403", 4),
        ("*=refused", 4), ("GET /info/*=html", 4),
    ],
)  # fmt: skip
def test_other_commands_name_it(own, make_link, fault, code) -> None:
    """A refusal that doctor can explain names it at the end of the hint."""
    own.set_faults(fault)
    done = make_link(CELL)
    done.refuses(code)
    assert done.err.strip().endswith(DOCTOR)
    own.set_faults(None)
    make_link(CELL, "--version", "1").refuses(4)


def test_other_refusals_do_not(own, make_link) -> None:
    """A refusal that explains itself does not name doctor."""
    assert "doctor" not in make_link(CELL, "--version", "1").err


def test_the_history_and_the_cache_are_left_alone(own, examine) -> None:
    """Checks never use cached answers."""
    examine("--write")
    assert not list(Path(os.environ["SYNGLANCER_CACHE_DIR"]).rglob("*.json"))
    assert not Path(os.environ["SYNGLANCER_DATA_DIR"], "history.jsonl").exists()


def test_default_settings_are_said(monkeypatch) -> None:
    """If neither a variable nor a file sets an option, the line says so."""
    for name in ("SYNGLANCER_CACHE_DIR", "SYNGLANCER_DATA_DIR"):
        monkeypatch.delenv(name)
    assert _name_places() == "Only default settings are used."
    monkeypatch.setenv("SYNGLANCER_SITE", "spelunker")
    assert "SYNGLANCER_SITE" in _name_places()


def test_lines_on_a_terminal_are_wrapped_under_their_text(monkeypatch) -> None:
    """On a narrow terminal, a check's text is wrapped below itself, and no word is lost."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "60")
    told, hint = "The server https://cave.example.org answers slowly.", "Try again tomorrow."
    _print_line(outcome.Outcome("server", "warning", told, hint))
    seen = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    first, *rest = seen.splitlines()
    head = "warning  server     "
    assert first.startswith(head)
    assert rest
    assert all(line.startswith(" " * len(head)) and len(line) <= 60 for line in rest)
    assert seen.split() == ["warning", "server", *told.split(), *hint.split()]
