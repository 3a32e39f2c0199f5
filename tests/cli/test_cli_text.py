"""What the commands print before any request, each run as a user runs it."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import pytest

from synglancer.cli import build_make_link, build_synglancer, run
from synglancer.cli.commands.link import Printing
from synglancer.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

CELL = "864691135276234469"
HEAVY = ["pandas", "caveclient", "nglui", "neuroglancer", "numpy", "pyarrow", "requests", "jinja2"]


@dataclass
class Said:
    code: int
    out: str
    err: str


def make_link(*arguments: str, build=build_make_link) -> Said:
    """Run the command in this process, like its console script."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(build, list(arguments))
    return Said(code, out.getvalue(), err.getvalue())


def two_sentences(said: Said) -> tuple[str, str]:
    """Return the error and the hint, after checking that nothing else is printed."""
    assert said.out == ""
    assert said.err.endswith("\n")
    message, hint = said.err.splitlines()
    for sentence in (message, hint):
        assert sentence.isprintable()
        assert sentence.endswith((".", "?"))
    return message, hint


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start in an empty folder without settings."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("script", ["make_link_main", "main"])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_loads_nothing_heavy(script, option):
    """--help in a new interpreter loads none of the heavy libraries."""
    code = (
        "import sys\n"
        "from synglancer import cli\n"
        f"sys.argv = ['command', {option!r}]\n"
        "try:\n"
        f"    cli.{script}()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        f"found = sorted(set(sys.modules) & set({HEAVY!r}))\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage:" in done.stdout


def test_help_names_every_option():
    """Each setting and each form of output is an option with a line of help."""
    said = make_link("--help")
    assert (said.code, said.err) == (0, "")
    for record in (Settings, Printing):
        for item in fields(record):
            assert f"--{item.name.replace('_', '-')} " in said.out
    assert "\x1b" not in said.out


WRONG = [
    ([], "No cell was given", "root ID"),
    ([""], "An argument is empty.", "a variable in your script"),
    (["abc"], "'abc' is not a root ID", "root ID"),
    (["0"], "above zero", "root ID"),
    (["-5"], "above zero", "root ID"),
    (["8.64691135276234e17"], "rounded number", "text or an integer"),
    (["123.0"], "rounded number", "text or an integer"),
    (["18446744073709551616"], "too large", "digit too many"),
    (["9" * 5000], "too large", "digit too many"),
    (["88954888800920543"], "supervoxel", "root ID of the cell"),
    (["\uff18\uff16"], "not a root ID", "root ID"),
    (["\x1b[2J"], "not a root ID", "root ID"),
    ([CELL, "abc"], "'abc' is not a root ID", "root ID"),
    ([CELL, "--bogus"], "--bogus", "--help"),
    ([CELL, "--\x1b[2J"], "Unknown option", "--help"),
    ([CELL, "--palete", "safe"], "Unknown option", "--palette"),
    ([CELL, "--togehter"], "Unknown option", "--together"),
    ([CELL, "--layout", "round"], '"xy-3d", "3d", "4panel", "xy"', "--help"),
    ([CELL, "--output", "pdf"], '"url", "json", "markdown", "html", "latex"', "--help"),
    ([CELL, "--tag"], "--tag requires an argument", "--help"),
    ([CELL, "--inputs=perhaps"], "--inputs", "--help"),
    ([CELL, "--min-confidence", "1.5"], "confidence of 1.5 is out of range", "between 0 and 1"),
    ([CELL, "--min-confidence", "-1"], "confidence of -1 is out of range", "between 0 and 1"),
    ([CELL, "--min-confidence", "nan"], "confidence of nan is out of range", "between 0 and 1"),
    ([CELL, "--min-confidence", "high"], "--min-confidence", "--help"),
    ([CELL, "--min-size", "-1"], "size of -1 is out of range", "--min-size"),
    ([CELL, "--timeout", "0"], "timeout of 0 s is out of range", "--timeout"),
    ([CELL, "--version", "newest"], "not a materialization version", "the version"),
    ([CELL, "--version", "9" * 5000], "not a materialization version", "the version"),
    ([CELL, "--datastack", "other"], "'other' has no table", "--table"),
    ([CELL, "--server", "ftp://x"], "'ftp://x' is not an address", "--server"),
    ([CELL, "--server", "https://user:pass@x"], "is not an address", "without a login"),
    ([CELL, "--site", "nowhere"], "'nowhere' is not an address", "spelunker, google"),
    ([CELL, "--site", "https://x/#!"], "is not an address", "'#'"),
    ([CELL, "--sandbox", "--server", "https://x"], "only one server", "one of them"),
    ([CELL, "--save-state", "missing/x.json"], "there is no folder missing.", "folder"),
    ([CELL, "--save-state", "."], "cannot be written: it is a folder.", "--save-state"),
    ([CELL, "5", "--save-state", "x.json"], "several cells", "{cell}"),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), WRONG)
def test_wrong_usage_is_two_sentences_and_exit_code_2(arguments, message, hint):
    """Each wrong input has exit code 2, two sentences on stderr and an empty stdout."""
    said = make_link(*arguments)
    what, advice = two_sentences(said)
    assert said.code == 2
    assert message in what
    assert hint in advice
    assert len(said.err) < 6000


def test_both_commands_say_the_same():
    """`synglancer link` is `make-link`."""
    for arguments in (["abc"], [CELL, "--min-size", "-1"], [CELL, "--version", "0"]):
        assert make_link("link", *arguments, build=build_synglancer) == make_link(*arguments)


@pytest.mark.parametrize("arguments", [["bogus"], ["sandbox", "bogus"], ["link"]])
def test_unknown_commands_are_wrong_usage(arguments):
    """An unknown command or a missing cell is reported in two sentences, with exit code 2."""
    said = make_link(*arguments, build=build_synglancer)
    two_sentences(said)
    assert said.code == 2


def test_the_version_is_printed():
    """`synglancer --version` shows the program's version; make-link's --version chooses the
    data's."""
    from synglancer import __version__

    said = make_link("--version", build=build_synglancer)
    assert (said.code, said.out.strip(), said.err) == (0, __version__, "")


def test_a_console_script_ends_with_the_same(tmp_path):
    """A real process has the same exit code and streams as the function."""
    code = "import sys; from synglancer.cli import make_link_main as main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "abc", "--verbose"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" in done.stderr, "--verbose says where it comes from"
    assert done.stderr.endswith("a position x,y,z or a link.\n")
    assert "Traceback" not in make_link("abc").err


def test_a_tag_takes_one_word_and_can_be_repeated():
    """A word after a tag is a cell again; each --tag adds one tag."""
    assert "'abc' is not a root ID" in make_link("--tag", "spine", "abc").err
    assert "'abc' is not a root ID" in make_link(CELL, "--tag", "spine", "--tag", "soma", "abc").err
    _, bound, _ = build_make_link().parse_args([CELL, "--tag", "spine", "--tag", "soma"])
    settings = bound.arguments["settings"]  # the command itself is not run
    assert settings.tag == ("spine", "soma")


def test_a_missing_folder_is_refused_before_anything_is_asked(monkeypatch):
    """A file that cannot be written is refused before any request to a server."""
    monkeypatch.setenv("SYNGLANCER_SERVER", "http://127.0.0.1:9")
    said = make_link(CELL, "--save-state", "missing/state.json")
    assert said.code == 2
    assert "could not be reached" not in said.err


# -- flags over environment over file ----------------------------------------------------------


def confidence_complained_of(*arguments: str) -> str:
    what, _ = two_sentences(make_link(CELL, *arguments))
    return what.removeprefix("A confidence of ").removesuffix(" is out of range.")


def test_flags_win_over_environment_over_file_over_defaults(tmp_path, monkeypatch):
    """Each source of options takes precedence over the ones below it, shown by the error that names
    it."""
    (tmp_path / "synglancer.toml").write_text("min_confidence = 3\nmin-size = -2\n")
    assert confidence_complained_of() == "3", "also from a folder above"
    (tmp_path / "work" / "synglancer.toml").write_text("min-confidence = 4\n")
    assert confidence_complained_of() == "4"
    monkeypatch.setenv("SYNGLANCER_MIN_CONFIDENCE", "5")
    assert confidence_complained_of() == "5"
    assert confidence_complained_of("--min-confidence", "6") == "6"
    monkeypatch.setenv("SYNGLANCER_MIN_SIZE", "-7")
    assert "-7" in make_link(CELL, "--min-confidence", "0.5").err


def test_every_option_can_be_set_by_environment_and_file(tmp_path, monkeypatch):
    """An invalid value of any option is reported, from the environment and from the file."""
    wrong = {"layout": "round", "output": "pdf", "timeout": "never", "inputs": "perhaps"}
    for name, value in wrong.items():
        with monkeypatch.context() as environment:
            environment.setenv(f"SYNGLANCER_{name.upper()}", value)
            assert name.upper() in make_link(CELL).err
        (tmp_path / "synglancer.toml").write_text(f'{name} = "{value}"\n')
        what, _ = two_sentences(make_link(CELL))
        assert name in what
        assert "synglancer.toml" in what
        (tmp_path / "synglancer.toml").unlink()


def test_variables_that_are_no_options_are_overlooked(monkeypatch):
    """SYNGLANCER_CACHE_DIR and similar variables are not options."""
    monkeypatch.setenv("SYNGLANCER_SOMETHING_ELSE", "x")
    assert "'abc' is not a root ID" in make_link("abc").err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"min_confidense = 1", "min_confidense"),
        (b"min_confidence = ", "synglancer.toml cannot be read"),
        (b"\xff\xfe", "synglancer.toml is not a text file"),
        (b"[table]\nx = 1", "table"),
    ],
)
def test_a_file_of_settings_that_cannot_be_read_is_two_sentences(tmp_path, content, message):
    """A misspelt option or invalid TOML is a usage error that names the file."""
    (tmp_path / "synglancer.toml").write_bytes(content)
    said = make_link(CELL)
    what, _ = two_sentences(said)
    assert said.code == 2
    assert message in what
    assert "synglancer.toml" in what


def test_a_server_that_is_not_there_is_exit_code_4():
    """The first request without an answer ends the command with 4, and stdout stays empty."""
    said = make_link(CELL, "--server", "http://127.0.0.1:9", "--timeout", "5")
    what, _ = two_sentences(said)
    assert said.code == 4
    assert "127.0.0.1:9 could not be reached" in what


def test_a_token_file_that_is_not_there_is_wrong_usage(tmp_path):
    """An unreadable token file is named before any request."""
    missing = str(tmp_path / "missing")
    said = make_link(CELL, "--server", "http://127.0.0.1:9", "--token-file", missing)
    what, _ = two_sentences(said)
    assert said.code == 2
    assert missing in what


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["table"], "LINK is missing."),
        (["publish", "rows.parquet", "--version", "1"], "--dest is missing."),
        (["publish", "rows.parquet", "--dest", "out"], "--version is missing."),
        (["serve", "a", "b", "c"], "The command does not accept these words: b c."),
        (["compare", "1", "--from"], "--from requires an argument."),
    ],
)
def test_words_that_lack_or_are_too_many_are_named(words, message):
    """An incomplete command line is reported in two sentences, with exit code 2."""
    said = make_link(*words, build=build_synglancer)
    what, hint = two_sentences(said)
    assert (said.code, hint) == (2, "See --help for the options.")
    assert what.endswith(message)


@pytest.mark.parametrize("command", ["preview", "table"])
def test_a_bug_asks_for_a_report_that_every_command_can_give(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug's hint names a variable, with which a command without --verbose prints a traceback."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("synglancer.links.opening.parse_link", fail)
    words = (command, "https://viewer.org/#!{}")
    message, hint = two_sentences(make_link(*words, build=build_synglancer))
    assert message == "This is a bug in synglancer: ZeroDivisionError."
    assert "SYNGLANCER_DEBUG=1" in hint
    assert "--verbose" not in hint
    monkeypatch.setenv("SYNGLANCER_DEBUG", "1")
    assert "Traceback" in make_link(*words, build=build_synglancer).err
