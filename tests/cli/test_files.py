"""Files on the command line: none replaces another, and a file of the wrong kind is refused
once."""

from __future__ import annotations

import pytest

from cli.outcome import CELL

STATE = '{"layers": []}'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a table of cells, a text file of cells, a state and a template."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "gg.csv").write_text(f"cell,g\n{CELL},a\n")
    (folder / "s2.json").write_text(STATE)
    (folder / f"{CELL}.json").write_text(STATE)
    (folder / "page.html").write_text("<p>{{ report }}</p>")
    (folder / "page.png").write_text(CELL)
    (folder / "link.csv").symlink_to("gg.csv")
    return folder


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (
            ["report", "gg.csv", "-o", "gg.html", "--numbers", "gg.csv"],
            "--numbers",
        ),
        (["report", "gg.csv", "--column", "foo", "-o", "gg.csv"], "--output"),
        (["report", "gg.csv", "-o", "link.csv"], "--output"),
        (["report", "link.csv", "-o", "./gg.csv"], "--output"),
        (["report", CELL, "-o", "gg.csv", "--baseline", "gg.csv"], "--output"),
        (["report", CELL, "-o", "gg.csv", "--token-file", "gg.csv"], "--output"),
        (["report", CELL, "-o", "gg.csv", "--annotations", "gg.csv"], "--output"),
        (["report", CELL, "-o", "page.html", "--template", "page.html"], "--output"),
        (["link", CELL, "--annotations", "gg.csv", "--save-state", "gg.csv"], "--save-state"),
        (["link", "s2.json", "--save-state", "s2.json"], "--save-state"),
        (["link", f"{CELL}.json", "--save-state", "{cell}.json"], "--save-state"),
        (["link", CELL, "--token-file", "s2.json", "--save-state", "s2.json"], "--save-state"),
        (["link", "page.png", "--qr", "page.png"], "--qr"),
        (["link", "page.png", "--preview", "page.png"], "--preview"),
        (["verdicts", "gg.csv", "-o", "gg.csv"], "--out"),
        (["verdicts", "s2.json", "--token-file", "gg.csv", "--agreement", "gg.csv"], "--agreement"),
        (["table", "gg.csv", "-o", "gg.csv"], "--out"),
        (["table", "s2.json", "--token-file", "gg.csv", "-o", "gg.csv"], "--out"),
        (["compare", "page.html", "--report", "page.html"], "--report"),
    ],
)
def test_an_output_never_replaces_an_input(folder, synglancer, words, option) -> None:
    """The command is refused before any request (there is no service here), and every file is
    unchanged."""
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    synglancer(*words).refuses(2, "is both an input and an output.", f"with {option}.")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "words",
    [
        ["report", CELL, "-o", "x.csv", "--numbers", "x.csv"],
        ["report", CELL, "-o", "x.csv", "--numbers", "./x.csv"],
        ["link", CELL, "--save-state", "z.png", "--preview", "z.png", "--renderer", "plot"],
        ["link", CELL, "--qr", "z.png", "--preview", "z.png"],
        ["link", CELL, CELL, "--qr", "{cell}.png", "--preview", "{cell}.png"],
        ["verdicts", "s2.json", "-o", "x.csv", "--calibration", "x.csv"],
    ],
)
def test_two_options_never_name_the_same_file(folder, synglancer, words) -> None:
    """Two results for the same file are refused, because one would be lost."""
    synglancer(*words).refuses(2, "Two options name the same file.", "Give a different file")


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["link", CELL, "--publish-to", ""], "--publish-to"),
        (["link", CELL, "--source", ""], "--source"),
        (["link", CELL, "--save-state="], "--save-state"),
        (["link", CELL, "--template", "", "--output", "html"], "--template"),
        (["link", CELL, "--token-file", ""], "--token-file"),
        (["report", CELL, "-o", ""], "-o"),
        (["report", CELL, "-o", "x.html", "--numbers", ""], "--numbers"),
        (["publish", "gg.csv", "-o", "", "--version", "1718"], "-o"),
        (["publish", "gg.csv", "-o", "x", "--work", "", "--version", "1718"], "--work"),
        (["publish", "verify", "x", "--input", ""], "--input"),
        (["verdicts", "s2.json", "-o", ""], "-o"),
        (["table", "s2.json", "-o", ""], "-o"),
        (["preview", "s2.json", "--folder", ""], "--folder"),
        (["compare", CELL, "--report", ""], "--report"),
        (["templates", "copy", "card.html", "-o", ""], "-o"),
        (["check", "s2.json", "--token-file", ""], "--token-file"),
    ],
)
def test_an_empty_value_is_refused(folder, synglancer, words, option) -> None:
    """An empty value, such as an unset variable in a script, is not taken for the current
    folder."""
    synglancer(*words).refuses(2, f"{option} is empty.")


@pytest.mark.parametrize("empty", ["", " ", "\t"])
@pytest.mark.parametrize(
    "words",
    [
        ["check", "--sandbox", "--fix"],
        ["publish", "--dest", "x", "--version", "1718"],
        ["publish", "verify"],
        ["serve"],
        ["table"],
        ["trust"],
        ["history"],
        ["verdicts"],
        ["preview"],
        ["compare"],
        ["link"],
        ["report", "-o", "x.csv"],
        ["templates", "show"],
    ],
)
def test_an_empty_argument_is_refused(folder, synglancer, words, empty) -> None:
    """An empty argument is refused by every command, and no file of the current folder changes."""
    before = {path: path.stat() for path in folder.rglob("*")}
    synglancer(*words, empty).refuses(2, "An argument is empty.")
    assert {path: path.stat() for path in folder.rglob("*")} == before


def test_an_empty_variable_is_refused(folder, make_link, monkeypatch) -> None:
    """An empty variable in the environment is named."""
    monkeypatch.setenv("SYNGLANCER_PUBLISH_TO", "")
    make_link(CELL).refuses(2, "SYNGLANCER_PUBLISH_TO is empty.")


@pytest.mark.parametrize("cells", ["page.html", "tok.txt", "sek.csv", "abc"])
def test_a_report_without_any_cell_is_refused(folder, synglancer, cells) -> None:
    """A file of the wrong kind, or an invalid word, is refused once, and no empty report is
    written."""
    (folder / "tok.txt").write_text("sekret123token\nsecond\n")
    (folder / "sek.csv").write_text("cell\nsekret123token\n")
    done = synglancer("report", cells, "-o", "out.html")
    done.refuses(2, cells)
    assert "sekret" not in done.err
    assert not (folder / "out.html").exists()


@pytest.mark.parametrize("content", ["{}", "[1, 2]", "{"])
def test_a_report_of_json_that_is_no_state_is_refused(sandbox, folder, synglancer, content) -> None:
    """JSON that is not a state makes no empty report."""
    (folder / "x.json").write_text(content)
    synglancer("report", "x.json", "-o", "out.html").refuses(2, "x.json")
    assert not (folder / "out.html").exists()


def test_the_text_of_a_wrong_file_is_not_printed(folder, make_link, synglancer) -> None:
    """If the wrong file is given, such as one with a token, only its line number is named."""
    (folder / "tok.txt").write_text("sekret123token\n")
    for done in (make_link("tok.txt"), synglancer("compare", "tok.txt", "--to", "latest")):
        done.refuses(2, "tok.txt, line 1: this is not a cell.")
        assert "sekret" not in done.err


def test_a_folder_is_called_a_folder(folder, make_link, synglancer) -> None:
    """A folder is neither a cell nor a baseline; one named like a root ID is ignored."""
    (folder / "d").mkdir()
    make_link("d").refuses(2, "'d' is a folder.", "Give a file")
    synglancer("report", "d", "-o", "x.html").refuses(2, "'d' is a folder.")
    words = ("report", CELL, "-o", "x.html", "--baseline", "d")
    synglancer(*words).refuses(2, "'d', given with --baseline, is a folder.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("link", CELL, "--save-state", "synglancer.toml"), "is a settings file"),
        (("link", CELL, "--save-state", "../synglancer.toml"), "is a settings file"),
        (("link", CELL, "--save-state", "alias.json"), "synglancer.toml is both"),
        (("templates", "copy", "card.md", "-o", "new/synglancer.toml"), "is a settings file"),
        (("check", "synglancer.toml", "--fix"), "is a settings file"),
        (("check", "alias.json", "--fix"), "synglancer.toml is both"),
        (("link", CELL, "--save-state", "data/history.jsonl"), "history.jsonl is both"),
        (("link", CELL, "--save-state", "data/trusted.json"), "trusted.json is both"),
        (("link", CELL, "--save-state", "secrets/cave-secret.json"), "cave-secret.json is both"),
        (("preview", "s2.json", "-o", ".", "--token-file", "page.png"), "page.png is an input"),
    ],
)
def test_an_output_never_replaces_settings(folder, synglancer, monkeypatch, words, said) -> None:
    """No option writes to the files of settings, of the history, of what is trusted or of tokens,
    by any name; the command is refused, and every file is as it was."""
    for name in ("data", "secrets", "new"):
        (folder / name).mkdir()
    link = 'https://viewer.example.org/#!{"layers":[]}'
    (folder / "synglancer.toml").write_text(f"# {link}\n")
    (folder.parent / "synglancer.toml").write_text("")
    (folder / "alias.json").symlink_to("synglancer.toml")
    for name in ("data/history.jsonl", "data/trusted.json", "secrets/cave-secret.json"):
        (folder / name).write_text("{}\n")
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(folder / "data"))
    monkeypatch.setattr("synglancer.cave.tokens._SECRETS", folder / "secrets")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    synglancer(*words).refuses(2, said)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


TOKENS = [
    "0123456789abcdef0123456789abcdef",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize(
    ("name", "head", "end"),
    [("cells.txt", "", ""), ("cells.csv", "cell,n\n", ",1"), ("points.csv", "id,x_nm\n", ",1")],
)
def test_a_token_in_a_file_is_never_echoed(
    sandbox, folder, make_link, synglancer, token, name, head, end
) -> None:
    """Whatever reads a file of cells or points says where a bad line is, and shows no token."""
    good = f"{CELL}{end}\n"
    (folder / name).write_text(f"{head}{good}{token}{end}\n")
    options = ["--tag", "soma"]
    done = [
        make_link(name, *options),
        make_link(CELL, *options, "--annotations", name),
        synglancer("report", name, "-o", "r.html", *options, "--pictures", "none"),
        synglancer("report", name, "-o", "r.md", *options, "--column", token),
        synglancer("report", CELL, "-o", "r.md", "--baseline", name),
        synglancer("compare", name),
        synglancer("table", name),
        synglancer("verdicts", name),
        synglancer("check", name),
        make_link(token),
    ]
    for one in done:
        assert one.code
        assert token not in one.out + one.err
    if (folder / "r.html").exists():
        assert token not in (folder / "r.html").read_text()


def test_long_lines_and_control_characters_of_a_file_are_not_printed(
    sandbox, folder, synglancer
) -> None:
    """A bad line among good ones is said, cut and printable."""
    (folder / "cells.txt").write_text(f"{CELL}\n{'neuron ' * 500}\n\x1b[2Jx\n")
    done = synglancer("report", "cells.txt", "-o", "r.md", "--tag", "soma")
    assert done.code == 5
    assert "neuron neuron" in done.err
    assert max(map(len, done.err.splitlines())) < 400
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("report", CELL, "-o"), "report"),
        (("report", CELL, "-o"), "report.docx"),
        (("report", CELL, "-o", "r.html", "--numbers"), "numbers"),
        (("report", CELL, "-o", "r.html", "--numbers"), "numbers.txt"),
        (("compare", CELL, "--report"), "changes"),
        (("compare", CELL, "--report"), "changes.pdf"),
        (("link", CELL, "--preview"), "picture"),
        (("link", CELL, "--preview"), "picture.jpg"),
        (("link", CELL, "--qr"), "code"),
        (("link", CELL, "--qr"), "code.gif"),
        (("table", "s2.json", "-o"), "table"),
        (("table", "s2.json", "-o"), "table.txt"),
        (("verdicts", "s2.json", "-o"), "verdicts"),
        (("verdicts", "s2.json", "--agreement"), "agreement"),
        (("verdicts", "s2.json", "--calibration"), "bins.txt"),
        (("verdicts", "s2.json", "--plot"), "plot"),
        (("verdicts", "s2.json", "--plot"), "plot.pdf"),
    ],
)
def test_a_name_without_a_known_extension_is_said(folder, synglancer, words, name) -> None:
    """The file is named, with the extensions that there are; nothing is asked before."""
    synglancer(*words, name).refuses(2, f"'{name}'", "xtension")


@pytest.mark.parametrize("suffix", [".HTML", ".Md", ".CSV"])
def test_capitals_of_an_extension_do_not_matter(sandbox, folder, synglancer, suffix) -> None:
    """A report is written in the format that its extension means."""
    words = ("report", CELL, "--tag", "soma", "-o")
    assert synglancer(*words, f"a{suffix}", "--numbers", "n.CSV").code == 0
    assert synglancer(*words, f"b{suffix.lower()}").code == 0
    one, other = (folder / f"a{suffix}").read_text(), (folder / f"b{suffix.lower()}").read_text()
    assert one.splitlines()[0] == other.splitlines()[0]
    assert (folder / "n.CSV").read_text()
