"""Bad links are made again, and replaced in their documents at their exact places."""

from __future__ import annotations

import html
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import requests

from cave_sandbox.sample import identity as who
from cli.outcome import CELL, TOKEN
from synglancer.cache.receipts import history_file

if TYPE_CHECKING:
    from cave_sandbox.server import Sandbox

SITE = "https://viewer.example/a_b/?x=1&y=2"
FOREIGN = "https://viewer.example/#!http://127.0.0.1:1/nglstate/api/v1/1234567890123456"


def lose(sandbox: Sandbox, link: str) -> str:
    """Make the state server lose the state of a link."""
    with sqlite3.connect(sandbox.options.states) as database:
        gone = database.execute("delete from states where id = ?", (link.rpartition("/")[2],))
        assert gone.rowcount == 1
    database.close()
    return link


def post(sandbox: Sandbox, link: str, **changes: Any) -> str:
    """Store a copy of a link's state with another provenance record, and return a link to it."""
    state = requests.get(link.partition("#!")[2], timeout=30).json()
    state["synglancer"] |= changes
    for layer in state["layers"]:
        if layer["type"] == "segmentation":
            layer["segments"] = [state["synglancer"]["cell"]]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    address = f"{sandbox.origin}/nglstate/api/v1/post"
    answer = requests.post(address, data=orjson.dumps(state), headers=headers, timeout=30)
    return f"{link.partition('#!')[0]}#!{answer.json()}"


def count_states(sandbox: Sandbox) -> int:
    with sqlite3.connect(sandbox.options.states) as database:
        (count,) = database.execute("select count(*) from states").fetchone()
    database.close()
    return int(count)


def write_as(form: str, link: str) -> bytes:
    """Write a document that holds a link in every notation of its format, among other text."""
    tex = link.translate({ord(char): f"\\{char}" for char in "#%_&"})
    texts = {
        "paper.md": f"é [a_b]({link}) \\_ & &lt;\r\n**{link.replace('_', chr(92) + '_')}**.\r\n",
        "page.html": f"<a href='{html.escape(link)}'>x</a> &#8212; {link.replace('&', '&#38;')}",
        "book.ipynb": json.dumps({"cells": [{"source": [f"é {link}\n", f"<{link}>"]}]}),
        "links.csv": f'id,link\n1,"{link}"\n2,{link}\n"a ""b""",x\n',
        "paper.tex": f"\\href{{{tex}}}{{x}} \\url{{{link}}} 50\\% % {link}\n",
        "notes": f"{link} \udce9\udcff {link}\n",
    }
    return texts[form].encode("utf-8", "surrogateescape")


FORMS = ["paper.md", "page.html", "book.ipynb", "links.csv", "paper.tex", "notes"]


def test_every_format_is_rewritten_at_the_exact_places(
    sandbox, make_link, synglancer, tmp_path
) -> None:
    """The new link replaces the old one, every other byte is unchanged, and there is one upload."""
    lost = lose(sandbox, make_link(CELL, "--tag", "soma", "--site", SITE).out.strip())
    good = make_link(CELL, "--tag", "shaft").out.strip()
    for form in FORMS:
        (tmp_path / form).write_bytes(write_as(form, lost))
    (tmp_path / "utf16.txt").write_text(f"{lost}\r\n{good} 🧠", "utf-16", newline="")
    (tmp_path / "good.md").write_text(good)
    before = count_states(sandbox)
    files = [*FORMS, "utf16.txt", "good.md"]
    told = synglancer("check", *(tmp_path / name for name in files), "--fix", "--dry-run")
    assert told.code == 5
    assert f"It would be made again: {CELL} in minnie65_public at version 1718." in told.out
    assert count_states(sandbox) == before
    fixed = synglancer("check", *(tmp_path / name for name in files), "--fix")
    assert fixed.code == 0, fixed
    assert count_states(sandbox) == before + 1
    new = fixed.out.split("Made again: ")[1].split("\n")[0]
    assert new.startswith(f"{SITE}#!{sandbox.origin}/nglstate/")
    for form in FORMS:
        assert (tmp_path / form).read_bytes() == write_as(form, new), form
        assert (tmp_path / f"{form}.bak").read_bytes() == write_as(form, lost)
    assert (tmp_path / "utf16.txt").read_bytes().decode("utf-16") == f"{new}\r\n{good} 🧠"
    assert not (tmp_path / "good.md.bak").exists()
    again = synglancer("check", *(tmp_path / name for name in files), "--fix", "--output", "json")
    assert again.code == 0
    assert {json.loads(line)["status"] for line in again.lines} == {"good"}
    assert count_states(sandbox) == before + 1
    receipts = history_file().read_text().splitlines()
    assert json.loads(receipts[-1])["command"][:2] == ["synglancer", "check"]
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".sqlite"]
    assert not [path for path in kept if TOKEN.encode() in path.read_bytes()]


def test_what_is_wrong_is_made_anew_from_the_record(sandbox, make_link, synglancer) -> None:
    """Without a receipt, links with wrong counts, an outdated cell or an expired version are
    repaired."""
    old = str(who.PARTNERS[2].root_id)
    link = make_link(CELL, "--tag", "soma", "--min-confidence", 0.5, "--inputs").out.strip()
    live = make_link(old, "--version", "661").out.strip()
    fewer = post(sandbox, link, counts={"inputs": {"soma": 1}})
    outdated = post(sandbox, link, cell=str(who.OUTDATED_ONE_SUCCESSOR), counts={"inputs": {}})
    gone = post(sandbox, live, live=False)
    both = make_link(CELL, old, "--tag", "soma", "--together").out.strip()
    one = post(sandbox, both)  # shows the first of the two cells alone
    assert synglancer("check", live).code == 0, "it was made when its version was gone already"
    history_file().unlink()
    links = [fewer, outdated, gone, one]
    before = count_states(sandbox)
    fixed = synglancer("check", *links, "--fix", "--output", "json")
    assert fixed.code == 0, fixed
    records = {record["url"]: record for record in map(json.loads, fixed.lines)}
    assert [records[url]["status"] for url in links] == ["bad"] * 4
    assert records[fewer]["refreshed"]["url"] == link, "what is there already is not made again"
    assert records[one]["refreshed"]["url"] == both
    assert records[outdated]["refreshed"]["cell"] == CELL
    assert "is used instead" in records[outdated]["refreshing"][1]
    assert records[gone]["refreshed"]["url"] == live
    assert "has expired" in " ".join(records[gone]["refreshing"])
    assert count_states(sandbox) == before + 1


def test_what_cannot_be_mended_stays(sandbox, make_link, synglancer, tmp_path) -> None:
    """Links without a record, of another server, or with a changed record are reported and left
    unchanged; exit code 5."""
    link = make_link(CELL, "--tag", "soma").out.strip()
    history_file().unlink()
    lost = f"{link.rpartition('/')[0]}/1234567890123456"
    wrong = [
        {"filters": {"tag": 5}},
        {"filters": {"tag": ["soma", 5]}},
        {"view": {"partners": 1.5}},
        {"view": {"panel": []}},
    ]
    changed = [post(sandbox, link, counts={"inputs": {"soma": 1}}, **one) for one in wrong]
    other = post(sandbox, link, server="https://cave.example", counts={"inputs": {"soma": 1}})
    paper = tmp_path / "paper.md"
    paper.write_text("\n".join([lost, *changed, other, link]))
    content = paper.read_bytes()
    fixed = synglancer("check", paper, "--fix")
    assert fixed.code == 5
    assert "neither the history on this machine nor its state" in fixed.out
    assert fixed.out.count("record was changed") == len(wrong)
    assert "made with another CAVE server" in fixed.out
    assert paper.read_bytes() == content
    assert not paper.with_name("paper.md.bak").exists()
    synglancer("check", paper, "--dry-run").refuses(2, "needs --fix")


def test_a_server_that_failed_for_a_moment_lost_nothing(
    sandbox, make_link, synglancer, tmp_path
) -> None:
    """A state is requested again before it counts as missing; a failing server does not make it
    missing."""
    make_link(CELL, "--outputs")  # another state of the same server
    paper = tmp_path / "paper.md"
    paper.write_text(make_link(CELL, "--tag", "soma").out)
    content, before = paper.read_bytes(), count_states(sandbox)
    sandbox.set_faults("GET */nglstate/api/v1/*=500*1")
    assert synglancer("check", paper, "--fix").code == 0
    sandbox.set_faults("GET */nglstate/api/v1/*=bad-gzip")
    synglancer("check", paper, "--fix").refuses(4, "cannot be unpacked")
    assert (paper.read_bytes(), count_states(sandbox)) == (content, before)


@pytest.mark.parametrize("fault", ["500", "404", "html"])
def test_a_server_that_fails_for_all_lost_nothing(
    sandbox, make_link, synglancer, tmp_path, fault
) -> None:
    """A state counts as missing only if its server has another one; otherwise nothing changes."""
    make_link(CELL, "--outputs")
    paper = tmp_path / "paper.md"
    paper.write_text(make_link(CELL, "--tag", "soma").out)
    content, before = paper.read_bytes(), count_states(sandbox)
    sandbox.set_faults(f"GET */nglstate/api/v1/*={fault}")
    assert synglancer("check", paper, "--fix").code == 4
    assert (paper.read_bytes(), count_states(sandbox)) == (content, before)


def test_what_cannot_be_told_is_unknown(sandbox, make_link, synglancer, tmp_path) -> None:
    """Without another state on the server, a missing state cannot be told from a failing server."""
    lost = lose(sandbox, make_link(CELL, "--tag", "soma").out.strip())
    paper = tmp_path / "paper.md"
    paper.write_text(f"{lost} https://viewer.example.org/#!{{}}")
    done = synglancer("check", paper, "--fix")
    assert done.code == 5
    assert "no other state could be read" in done.out
    assert lost in paper.read_text()


def test_backups_are_kept_and_files_that_cannot_be_rewritten_are_named(
    sandbox, make_link, synglancer, tmp_path
) -> None:
    """Older backups are never overwritten; if there is no room for one, the file is unchanged; exit
    code 5."""
    make_link(CELL, "--outputs")  # the server works: it has another state
    lost = lose(sandbox, make_link(CELL, "--tag", "soma").out.strip())
    paper, long = tmp_path / "paper.md", tmp_path / ("a" * 252 + ".md")
    (tmp_path / "paper.md.bak").write_text("older")
    written = 1_700_000_000_123_456_000
    for path in (paper, long):
        path.write_text(lost)
        path.chmod(0o640)
        os.utime(path, ns=(written, written))
    link = tmp_path / "link.md"
    link.symlink_to(paper)
    fixed = synglancer("check", link, paper, long, "--fix")
    assert fixed.code == 5
    assert "cannot be rewritten" in fixed.err
    assert long.read_text() == lost
    assert "link.md: 1 link was replaced; the old file is kept as paper.md.bak.1." in fixed.err
    assert link.is_symlink()
    assert paper.read_text() != lost
    assert paper.stat().st_mode & 0o777 == 0o640
    backup = (tmp_path / "paper.md.bak.1").stat()
    assert (backup.st_mode & 0o777, backup.st_mtime_ns) == (0o640, written)
    assert (tmp_path / "paper.md.bak").read_text() == "older"
    assert (tmp_path / "paper.md.bak.1").read_text() == lost
    assert synglancer("check", long, "--fix").code == 5
    assert sorted(path.name for path in tmp_path.glob("*.bak*")) == [
        "paper.md.bak",
        "paper.md.bak.1",
    ]
