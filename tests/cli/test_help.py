"""Help has groups and examples, lists every option once, and shows the program's own version."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import fields
from inspect import signature

import pytest
from cyclopts import App, Parameter

from cave_sandbox.process.options import StartOptions
from cli.golden import HELP, list_commands, name_help
from cli.golden import read_help as read_whole_help
from synglancer import __version__
from synglancer.cli import build_make_link, build_synglancer, run
from synglancer.cli.commands.sandbox import SandboxOptions
from synglancer.cli.examples import EXAMPLES
from synglancer.cli.options import LinkSettings
from synglancer.settings import Settings

GROUPS = ["Arguments", "Cells and data", "Which synapses", "View", "Output", "Connection"]


def read_help(capsys, *words: str, build=build_synglancer) -> str:
    assert run(build, [*words, "--help"]) == 0
    return capsys.readouterr().out


def test_options_are_in_groups(capsys) -> None:
    """The groups are in a sensible order, and hold each option once."""
    text = read_help(capsys, build=build_make_link)
    found = re.findall(r"╭─ (.+?) ─", text)
    assert [name for name in found if name in GROUPS] == GROUPS
    shown = re.findall(r"^│ (--[a-z-]+)", text, re.MULTILINE)
    assert len(shown) == len(set(shown))
    options = {f"--{item.name.replace('_', '-')}" for item in fields(Settings)}
    assert options <= set(shown)


def test_the_grouped_options_are_the_settings() -> None:
    """Each option has the name and the default of its setting."""
    assert {item.name: item.default for item in fields(LinkSettings)} == {
        item.name: item.default for item in fields(Settings)
    }
    assert {item.name: item.default for item in fields(SandboxOptions)} == {
        item.name: item.default for item in fields(StartOptions)
    }


@pytest.mark.parametrize("command", EXAMPLES)
def test_each_command_ends_with_three_examples(capsys, command) -> None:
    """Each command has its own examples, which a shell can parse."""
    words = [] if command == "make-link" else command.split()
    build = build_make_link if command == "make-link" else build_synglancer
    text = read_help(capsys, *words, build=build)
    assert len(EXAMPLES[command]) == 3
    for line in EXAMPLES[command]:
        assert shlex.split(line.replace("…", "x"))[0] in {"make-link", "synglancer"}
        assert " ".join(line.split()) in " ".join(text.split())


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_each_example_is_accepted(line) -> None:
    """Every command in an example has only options and words that the command accepts."""
    for part in line.replace("…", "x").split(" | "):
        name, *words = shlex.split(part)
        if name not in {"make-link", "synglancer"}:
            continue
        app = build_make_link() if name == "make-link" else build_synglancer()
        _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
        given = [word for word in bound.args if isinstance(word, str)]
        assert not [word for word in given if word.startswith("--")], "an unknown option"


@pytest.mark.parametrize("build", [build_make_link, build_synglancer])
def test_the_programs_own_version(capsys, build) -> None:
    """--about prints the program's version, because --version is the data's."""
    assert run(build, ["--about"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_made(shell) -> None:
    """The completion script of each shell names the options, and bash accepts its own."""
    script = build_make_link().generate_completion(shell=shell)
    assert "min-confidence" in script
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(
    "help_epilogue" not in signature(App).parameters
    or "metavar" not in signature(Parameter).parameters,
    reason="the release of cyclopts for Python 3.10 shows neither examples nor names of values",
)
def test_help_is_the_golden_one(subtests) -> None:
    """The help of each command equals the file in git; `make golden` renews it for a review."""
    for command, text in read_whole_help().items():
        with subtests.test(command=command):
            assert text == (HELP / name_help(command)).read_text(encoding="utf-8")


def test_each_golden_help_is_of_a_command() -> None:
    """There is exactly one help file for each command."""
    assert {path.name for path in HELP.iterdir()} == {*map(name_help, list_commands())}
