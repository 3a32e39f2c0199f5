"""Receipts and their list: options and results, without secrets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from cli.outcome import CELL, TOKEN
from synglancer import make_link as api_make_link
from synglancer.cache.receipts import build_receipt


def history_file() -> Path:
    return Path(os.environ["SYNGLANCER_DATA_DIR"]) / "history.jsonl"


@pytest.fixture
def other(sample) -> str:
    """Another cell of the sample."""
    tables = sample / "minnie65_public" / "tables"
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet")
    return str(synapses["post_pt_root_id"].value_counts().index.drop(int(CELL))[0])


def test_a_receipt_tells_how_a_link_was_made(sandbox, make_link, synglancer) -> None:
    """A receipt holds the typed words, the options that differ from the defaults, and the
    record."""
    words = [CELL, "--inputs", "--tag", "spine", "--min-confidence", "0.9", "--output", "json"]
    made = json.loads(make_link(*words).out)
    [line] = synglancer("history", "--output", "json").lines
    receipt = json.loads(line)
    assert receipt["command"] == ["make-link", *words]
    assert receipt["options"] == {
        "inputs": True, "tag": ["spine"], "min_confidence": 0.9, "server": sandbox.origin
    }  # fmt: skip
    assert receipt["when"].endswith("+00:00")
    assert {name: receipt[name] for name in made} == made
    assert receipt["cell"] == CELL


def test_a_link_from_python_has_a_receipt_without_words(sandbox, synglancer) -> None:
    """make_link leaves a receipt, too, without a command."""
    api_make_link(CELL, server=sandbox.origin)
    assert json.loads(synglancer("history", "--output", "json").out)["command"] is None


def test_a_receipt_names_the_token_file_and_never_the_token(
    sandbox, make_link, tmp_path, monkeypatch
) -> None:
    """The token file's path is kept; the token is removed wherever it was typed."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN)
    monkeypatch.delenv("CAVE_TOKEN")
    state = tmp_path / f"{TOKEN}.json"
    assert make_link(CELL, "--token-file", token_file, "--save-state", state).code == 0
    text = history_file().read_text()
    assert str(token_file) in text
    assert TOKEN not in text
    assert "(token).json" in text


def test_a_long_command_is_cut() -> None:
    """A receipt does not repeat the thousand cells of its command."""
    words = ["make-link", *(str(number) for number in range(1000))]
    kept = build_receipt({}, {}, words, None)["command"]
    assert kept == [*words[:40], "… and 961 more"]


def test_the_table_has_every_link_whole(sandbox, make_link, synglancer, other) -> None:
    """The table has one line per link, the newest last, each with its counts and its whole link."""
    links = [make_link(cell).out.strip() for cell in (CELL, other)]
    shown = synglancer("history")
    assert shown.code == 0
    assert [line.split()[-1] for line in shown.lines[1:]] == links
    assert shown.lines[1].split()[2:6] == [CELL, "1718", "3,076", "316"]


def test_an_inline_link_is_cut_in_the_table(sandbox, make_link, synglancer) -> None:
    """The table stays readable with an inline link, which JSON and --output url print
    completely."""
    url = make_link(CELL, "--inline", "--tag", "soma", "--quiet").out.strip()
    lines = synglancer("history").out.splitlines()
    assert max(map(len, lines)) < 400
    assert lines[-1].endswith(f"{url[:100]}{url[100:199]}…")
    assert synglancer("history", "--output", "url").out.strip() == url


def test_cells_and_limit_choose(sandbox, make_link, synglancer, other) -> None:
    """Given cells select their own links, and --limit the newest ones."""
    links = [make_link(*words).out for words in ((CELL,), (other,), (CELL, "--inputs"))]
    assert synglancer("history", CELL, "--output", "url").out == links[0] + links[2]
    assert synglancer("history", "--limit", "2", "--output", "url").out == links[1] + links[2]
    assert synglancer("history", CELL, "--limit", "1", "--output", "url").out == links[2]
    none = synglancer("history", "864691135999999001")
    assert (none.code, none.out) == (0, "")
    assert "No link of this cell" in none.err


def test_a_corrupt_line_is_named_and_left_out(sandbox, make_link, synglancer) -> None:
    """Incomplete and invalid lines are named by number, and the rest is shown."""
    make_link(CELL)
    whole = history_file().read_bytes()
    history_file().write_bytes(b'{"cell": "1"\n' + whole + b"[]\n\xff\n" + whole[:100])
    make_link(CELL)  # its own line, whatever was incomplete before
    shown = synglancer("history", "--output", "json")
    assert shown.code == 0
    assert [json.loads(line)["cell"] for line in shown.lines] == [CELL, CELL]
    named = [line.split(" of ")[0] for line in shown.err.splitlines()]
    assert named == ["Line 1", "Line 3", "Line 4", "Line 5"]


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--limit", "0"], "limit"), (["abc"], "not a root ID"), (["--output", "xml"], "xml")],
)
def test_what_cannot_be_asked_is_refused(synglancer, words, said) -> None:
    """Invalid words are refused with exit code 2, an error and a hint."""
    synglancer("history", *words).refuses(2, said)


def test_a_history_that_cannot_be_read_is_named(synglancer) -> None:
    """If the history is not a file, the error says so."""
    history_file().mkdir(parents=True)
    synglancer("history").refuses(2, "cannot be read")


def test_terminal_escapes_in_a_receipt_arrive_harmless(synglancer) -> None:
    """A server's text in a receipt is never executed by the terminal."""
    history_file().parent.mkdir(parents=True)
    record = {"cell": "5", "when": "\x1b[31m", "url": "http://x/\x1b]0;owned\x07", "counts": 5}
    history_file().write_text(json.dumps(record) + "\n")
    for output in ("table", "json", "url"):
        shown = synglancer("history", "--output", output)
        assert shown.code == 0
        assert "\x1b" not in shown.out
        assert "\x07" not in shown.out


def test_the_history_fits_a_terminal(sandbox, make_link, capfd, monkeypatch) -> None:
    """If a terminal is too narrow for a row with its link, the whole link is printed below it."""
    from synglancer.cli import build_synglancer, run

    url = make_link(CELL, "--quiet").out.strip()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(build_synglancer, ["history"]) == 0
    head, row, link = capfd.readouterr().out.splitlines()
    assert head.split() == ["when", "cell", "version", "inputs", "outputs"]
    assert CELL in row
    assert len(row) <= 80
    assert link == f"  {url}"
    monkeypatch.setenv("COLUMNS", "300")
    assert run(build_synglancer, ["history"]) == 0
    head, row = capfd.readouterr().out.splitlines()
    assert head.split()[-1] == "link"
    assert row.endswith(url)


@pytest.mark.parametrize("limit", [2**63, 99999999999999999999])
def test_a_limit_may_be_any_number(synglancer, limit) -> None:
    """A limit above any count shows all links."""
    done = synglancer("history", "--limit", limit)
    assert (done.code, done.out) == (0, "")
    assert "No link has been made" in done.err
