"""Full disks, closed streams, other encodings and odd names are handled.

What a process does with its own streams is tested in real processes.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.outcome import CELL
from synglancer.cli import run as run_command
from synglancer.cli.printing import print_result
from synglancer.errors import UsageError

LINK = "import sys; from synglancer.cli import make_link_main; make_link_main()"
OTHER = "import sys; from synglancer.cli import main; main()"
FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache."""
    return lasting_sandbox


def run(*words: object, code: str = LINK, shell: str = "", **env: str) -> tuple[int, bytes, str]:
    """Run a command in a separate process, with redirections of the shell."""
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {shell}', "-", sys.executable, "-c", code, *map(str, words)],
        capture_output=True, check=False, timeout=300, env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    err = done.stderr.decode("utf-8", "backslashreplace")
    assert "Traceback" not in err
    assert "Exception ignored" not in err
    assert "bug in synglancer" not in err
    return done.returncode, done.stdout, err


@pytest.mark.parametrize(
    "words",
    [
        (LINK, CELL),
        (LINK, "--help"),
        (OTHER, "cache", "info"),
        (OTHER, "templates", "show", "card.md"),
    ],
)
def test_a_full_stdout_is_said(sandbox, words) -> None:
    """If stdout cannot be written, each command says so and exits with 4."""
    code, *rest = words
    returned, _, err = run(*rest, code=code, shell="> /dev/full", NO_COLOR="1")
    assert returned == 4, err
    assert "No space left on device" in err


def test_a_closed_stdout_is_refused_before_anything_is_asked(sandbox) -> None:
    """A closed stdout is named, with exit code 4, and no link is made that nobody would see."""
    returned, _, err = run(CELL, shell=">&-")
    assert returned == 4
    assert "Standard output is closed" in err
    assert not sandbox.requests


def test_closed_stderr_and_stdin_change_nothing(sandbox) -> None:
    """stdout holds only the link, whatever else is closed; reading stdin with ``-`` then gives an
    error."""
    returned, out, _ = run(CELL, shell="2>&- <&-")
    assert returned == 0
    assert out.count(b"\n") == 1
    assert out.startswith(b"http")
    returned, out, err = run("-", shell="<&-")
    assert (returned, out) == (2, b"")
    assert "Standard input is closed" in err or "names no cell" in err
    assert run("1", shell="2>&-")[0] == 3, "an unknown cell"


@pytest.mark.parametrize("shell", ["2> /dev/full", "2>&-", "2> >(true)"])
def test_what_stderr_cannot_take_changes_no_exit_code(sandbox, make_link, shell) -> None:
    """A link and an invalid word exit with 0 and 2, even if stderr cannot be written."""
    made = make_link(CELL)  # and is not made again
    returned, out, _ = run(CELL, shell=shell)
    assert (returned, out.decode()) == (0, made.out)
    assert run("abc", shell=shell)[0] == 2


def test_any_text_can_be_printed_in_ascii(sandbox, make_link) -> None:
    """On an ASCII terminal, a card has escapes for other characters."""
    plain = make_link(CELL, "--output", "markdown").out
    returned, out, err = run(CELL, "--output", "markdown", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert returned == 0, err
    assert "█" in plain
    assert out.decode("ascii").count("\\u2588") == plain.count("█")


def test_names_are_any_bytes(sandbox, make_link, tmp_path) -> None:
    """A file whose name is not UTF-8 is read, written and printed with the same bytes."""
    make_link(CELL)  # and is not made again
    name = b"caf\xe9"
    folder = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(folder)).mkdir()
    cells = os.fsdecode(folder + b"/cells.csv")
    Path(cells).write_text(f"cell\n{CELL}\n")
    page = os.fsdecode(folder + b"/report.csv")
    returned, out, err = run("report", cells, "-o", page, code=OTHER)
    assert returned == 0, err
    assert out == os.fsencode(page) + b"\n"
    assert CELL in Path(page).read_text()
    state = os.fsdecode(folder + b"/state.json")
    returned, out, err = run(cells, "--save-state", state, "--output", "json")
    assert returned == 0, err
    assert Path(state).exists()
    assert "the history" not in err
    returned, out, err = run(os.fsdecode(name))
    assert (returned, out) == (2, b"")
    returned, out, err = run(os.fsdecode(b"https://a.org/#!" + name))
    assert (returned, out) == (2, b"")


@pytest.mark.parametrize(
    ("option", "name"), [("--save-state", "s.json"), ("--qr", "q.png"), ("--preview", "p.png")]
)
def test_a_link_is_printed_without_its_side_file(
    sandbox, make_link, tmp_path, option, name
) -> None:
    """If another file cannot be written, it is named, the exit code is 4, and the link is
    printed."""
    (tmp_path / name).symlink_to(FULL)
    plot = ("--renderer", "plot") if option == "--preview" else ()
    made = make_link(CELL, option, tmp_path / name, *plot, "--output", "html")
    assert made.code == 4
    assert 'href="http' in made.out
    assert name not in made.out, "a card shows no file that is not there"
    assert name in made.err
    assert "No space left on device" in made.err


def test_a_lost_receipt_is_said(sandbox, make_link, tmp_path, monkeypatch) -> None:
    """The link is printed with exit code 0, and a warning says that the history has no line for
    it."""
    (tmp_path / "history.jsonl").symlink_to(FULL)
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(tmp_path))
    made = make_link(CELL)
    assert made.code == 0, made.err
    assert made.out.startswith("http")
    assert "This link could not be added to the history" in made.err


def test_a_report_that_cannot_be_written_is_said(sandbox, synglancer, tmp_path) -> None:
    """A full disk leaves no report, and gives a message and exit code 4."""
    (tmp_path / "r.csv").symlink_to(FULL)
    synglancer("report", CELL, "-o", tmp_path / "r.csv").refuses(4, "No space left on device")


class Broken(io.StringIO):
    """A standard output that fails in one way, at each attempt to write or to flush."""

    def __init__(self, error: OSError, *, when: str) -> None:
        super().__init__()
        self._error, self._when = error, when

    def write(self, text: str) -> int:
        if self._when == "write":
            raise self._error
        return super().write(text)

    def flush(self) -> None:
        if self._when == "flush":
            raise self._error


FULL_DISK = OSError(28, "No space left on device")


def say() -> None:
    print_result("x")


def refuse() -> None:
    raise UsageError("It is wrong.", "Correct it.")


@pytest.mark.parametrize(
    ("stream", "act", "code"),
    [
        (Broken(BrokenPipeError(), when="write"), say, 0),
        (Broken(BrokenPipeError(), when="flush"), say, 0),
        (Broken(FULL_DISK, when="write"), say, 4),
        (Broken(FULL_DISK, when="flush"), refuse, 2),
    ],
)
def test_a_stdout_that_ends_early(monkeypatch, capfd, stream, act, code) -> None:
    """A reader that closes the pipe is no error, a full disk is one, and another error of the
    command keeps its own exit code. What cannot be flushed is dropped."""
    dropped = []
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr("synglancer.cli.drop_stdout", lambda: dropped.append(True))
    monkeypatch.setattr("synglancer.cli._run", lambda *_: act())
    assert run_command(lambda: None, []) == code
    assert bool(dropped) == (code != 4)
    assert ("No space left" in capfd.readouterr().err) == (code == 4)


def test_an_interruption_that_became_another_error_is_one(monkeypatch) -> None:
    """If Ctrl+C was pressed, the error that a library made of it is not reported."""
    monkeypatch.setattr("synglancer.cli._run", lambda *_: refuse())
    monkeypatch.setattr("synglancer.cli.INTERRUPTION.came", True)
    with pytest.raises(KeyboardInterrupt):
        run_command(lambda: None, [])
