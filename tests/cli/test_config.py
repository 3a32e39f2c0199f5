"""An untrusted synglancer.toml cannot redirect the token, or run or write anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from synglancer import Link
from synglancer.cli.config import GUARDED, is_trusted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cave_sandbox.server import Sandbox
    from cli.outcome import Outcome

CELL = "864691135276234469"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below one in which somebody may have put a file."""
    folder = tmp_path / "above" / "project"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("key", [*GUARDED, "token-file", "SERVER"])
def test_a_planted_file_is_refused(
    sandbox: Sandbox, make_link: Callable[..., Outcome], project: Path, key: str
) -> None:
    """Options that could do harm are refused, by name, from an untrusted file."""
    (project.parent / "synglancer.toml").write_text(f'{key} = "https://planted.example.org"\n')
    done = make_link(CELL)
    name = key.replace("-", "_").lower()
    done.refuses(2, f"sets {name}, but you have not trusted this file yet.", "synglancer trust")
    assert not sandbox.requests


def test_harmless_options_need_no_trust(
    sandbox: Sandbox, make_link: Callable[..., Outcome], project: Path
) -> None:
    """Filters and view options are accepted from any file."""
    (project / "synglancer.toml").write_text('tag = ["soma"]\nbackground = "white"\n')
    made = json.loads(make_link(CELL, "--output", "json").out)
    assert made["counts"]["outputs"] == {"soma": 9}


def test_a_trusted_file_is_taken_until_it_changes(
    sandbox: Sandbox,
    make_link: Callable[..., Outcome],
    synglancer: Callable[..., Outcome],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After `synglancer trust`, the file is used and named; after a change, it is refused again."""
    monkeypatch.delenv("SYNGLANCER_SERVER")
    file = project / "synglancer.toml"
    file.write_text(f'server = "{sandbox.origin}"\ntag = ["soma"]\n')
    assert synglancer("trust", file).code == 0
    done = make_link(CELL)
    assert done.code == 0, done.err
    assert f"Using server from {file}" in done.err
    file.write_text('server = "https://planted.example.org"\n')
    make_link(CELL).refuses(2, "synglancer trust")


def test_a_file_that_cannot_be_read_is_named(make_link, project: Path) -> None:
    """A byte-order mark does not matter; invalid TOML is named, and so is nesting that is too
    deep."""
    file = project / "synglancer.toml"
    for content, said in {
        b"\xff": "synglancer.toml is not a text file in UTF-8.",
        b"tag = [": "Invalid",
        b"tag = " + b"[" * 20_000: "its lists are nested too deep",
        "\ufeffmin_confidence = 2".encode(): "A confidence of 2 is out of range.",
    }.items():
        file.write_bytes(content)
        made = make_link(CELL)
        made.refuses(2, said)
        assert "confidence" in said or "synglancer.toml " in made.err
    file.write_text('partners = "x"\nconcurrency = "y"', encoding="utf-8")
    make_link(CELL).refuses(2, "y is not a whole number")
    file.unlink()
    file.mkdir()
    make_link(CELL).refuses(2, "synglancer.toml is a folder.")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("synglancer.toml", None, "could not be marked as trusted: No such file"),
        ("synglancer.toml", b"", "sets no option, so there is nothing to trust."),
        ("synglancer.toml", b"# version = 1718\n", "sets no option"),
        ("synglancer.toml", b"server = [", "is not TOML: "),
        ("synglancer.toml", b"a-good-token\n", "is not TOML: "),
        ("synglancer.toml", b"\xff", "is not a text file in UTF-8."),
        ("token.toml", b'server = "https://example.org"', "is not named synglancer.toml"),
        ("missing.toml", None, "is not named synglancer.toml"),
    ],
)
def test_what_cannot_be_trusted(
    synglancer: Callable[..., Outcome], project: Path, name: str, content: bytes | None, said: str
) -> None:
    """Only a file of options can be trusted, and nothing else is marked."""
    if content is not None:
        (project / name).write_bytes(content)
    synglancer("trust", name).refuses(2, f"The file {name} {said}", "Give a synglancer.toml")
    assert not is_trusted(project / name)


LAB = """
layout = "3d"
partners = 3
figure = true
palette = "safe"
quiet = true
renderer = "plot"
pictures = "none"
group-by = "cell_type"
from = "1718"
tag = ["soma"]
"""
"""Options of make-link, of report and of compare."""


def test_the_options_of_other_commands_are_ignored(
    sandbox: Sandbox,
    make_link: Callable[..., Outcome],
    synglancer: Callable[..., Outcome],
    project: Path,
) -> None:
    """A file may set options of several commands, and each takes its own."""
    (project / "synglancer.toml").write_text(LAB)
    made = json.loads(make_link(CELL, "--output", "json").out)
    assert made["counts"]["outputs"] == {"soma": 9}
    assert Link.from_url(made["url"]).settings.layout == "3d"
    compared = json.loads(synglancer("compare", CELL, "--to", 1718, "--output", "json").out)
    assert compared["before"]["version"] == 1718
    words = ("report", CELL, "-o", "report.csv")
    synglancer(*words).refuses(2, "no column 'cell_type' to group the cells by")
    (project / "synglancer.toml").write_text(LAB.replace("group-by", "# "))
    assert synglancer(*words).code == 0


@pytest.mark.parametrize("line", ["bogus = 1", "LAYOUT = '3d'", "[link]", "fix = true"])
def test_an_option_that_no_command_takes_from_a_file_is_refused(
    synglancer: Callable[..., Outcome], project: Path, line: str
) -> None:
    """Each command that reads the file refuses such a name, also beside correct ones."""
    (project / "synglancer.toml").write_text(f"{LAB}{line}\n")
    for words in (("compare", CELL), ("report", CELL, "-o", "report.csv"), ("link", CELL)):
        synglancer(*words).refuses(2, "which is not an option.")


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("bogus = 1", "sets 'bogus', which is not an option.", "Correct or remove it."),
        ("min_confidance = 0.9", "sets 'min_confidance'", "Did you mean min_confidence?"),
        ('Pallette = "safe"', "sets 'Pallette'", "Did you mean palette?"),
        ("threshold = 0.9", "sets 'threshold'", "Did you mean min_confidence?"),
        ("tags = ['spine']", "sets 'tags'", "Did you mean tag?"),
    ],
)
def test_a_misspelt_option_of_a_file_is_suggested(
    make_link: Callable[..., Outcome], project: Path, line: str, said: str, hint: str
) -> None:
    """An unknown option of a file is refused with the file's path and the option that was meant."""
    file = project.parent / "synglancer.toml"
    file.write_text(f"{line}\n")
    make_link(CELL).refuses(2, f"{file} {said}", hint)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("link", CELL, "--min-confidance", "1"), "Did you mean --min-confidence?"),
        (("check", "x", "--sandbx"), "Did you mean --sandbox?"),
        (("compare", CELL, "--form", "1"), "Did you mean --from?"),
        (("table", "x", "--sever=y"), "Did you mean --server?"),
        (("history", "--limt", "1"), "Did you mean --limit?"),
        (("publish", "x", "--dset", "y"), "Did you mean --dest?"),
        (("cache", "clear", "--onyl", "y"), "Did you mean --only?"),
        (("history", "--xyzzy"), "See --help for the options."),
        (("table", "--bogus", "x.json"), "See --help for the options."),
        (("table", "--sever", "x", "y"), "Did you mean --server?"),
    ],
)
def test_a_misspelt_option_of_any_command_is_suggested(
    synglancer: Callable[..., Outcome], words: tuple[str, ...], hint: str
) -> None:
    """Every command says which of its own options was meant."""
    synglancer(*words).refuses(2, "Unknown option: '--", hint)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cell-type-view", "x"), "--cell-types or --color-by partner-type"),
        (("--cell-type-column", "mtype", "--color-by", "tag"), "--cell-types or --color-by"),
        (("--multi-input-table", "x"), "--multi-input"),
        (("--renderer", "plot"), "--preview"),
        (("--upload",), "--source or --publish-to"),
    ],
)
def test_an_option_without_effect_is_refused(
    make_link: Callable[..., Outcome], words: tuple[str, ...], said: str
) -> None:
    """A typed option that belongs to another one is refused without it, and both are named."""
    make_link(CELL, *words).refuses(2, f"{words[0]} has no effect without {said}", "Add it, or")


def test_options_of_a_file_wait_for_their_occasion(
    sandbox: Sandbox, make_link: Callable[..., Outcome], project: Path, monkeypatch
) -> None:
    """A lab's view and column stay in its file or in variables for when cell types are asked."""
    (project / "synglancer.toml").write_text('cell_type_column = "mtype"\n')
    monkeypatch.setenv("SYNGLANCER_MULTI_INPUT_TABLE", "ours")
    assert make_link(CELL, "--tag", "soma").code == 0
    (project / "synglancer.toml").write_text("cell_types = true\n")
    made = make_link(CELL, "--tag", "soma", "--cell-type-column", "cell_type")
    assert made.code == 0, made.err


def test_a_plot_has_no_interface(synglancer: Callable[..., Outcome]) -> None:
    """The viewer's bars cannot be kept in a plot."""
    done = synglancer("preview", "x.json", "--renderer", "plot", "--interface")
    done.refuses(2, "--interface has no effect with --renderer plot.")
