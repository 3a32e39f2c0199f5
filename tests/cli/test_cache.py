"""The local cache is described, limited, cleared, and cleaned up after killed processes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from cli.outcome import CELL
from synglancer.cache.answers import KINDS


def cache() -> Path:
    return Path(os.environ["SYNGLANCER_CACHE_DIR"])


def measure() -> dict[str, tuple[int, int]]:
    """Count the files of each kind without our own code."""
    found = {}
    for kind in KINDS:
        sizes = [path.stat().st_size for path in (cache() / kind).glob("*")]
        found[kind] = (len(sizes), sum(sizes))
    return found


def test_info_says_what_is_kept_and_where(sandbox, make_link, synglancer) -> None:
    """The table and the JSON show the files, bytes and folder on the disk."""
    make_link(CELL)
    told = json.loads(synglancer("cache", "info", "--output", "json").out)
    kinds = {kind: (entry["files"], entry["bytes"]) for kind, entry in told["kinds"].items()}
    assert kinds == measure()
    assert kinds["predictions"][0] == 2
    assert kinds["links"][0] == 1
    assert told["bytes"] == sum(size for _, size in kinds.values())
    assert (told["folder"], told["bound"]) == (str(cache()), 2 * 10**9)
    table = synglancer("cache", "info")
    assert table.code == 0
    assert str(cache()) in table.out
    assert "2.0 GB" in table.out
    row = next(line.split() for line in table.lines if line.startswith("predictions"))
    assert row[1] == "2"


def test_info_of_an_empty_cache(synglancer) -> None:
    """With an empty cache, nothing is counted and no folder is created."""
    told = json.loads(synglancer("cache", "info", "--output", "json").out)
    assert told["bytes"] == 0
    assert not cache().exists()


def test_clear_removes_all_of_it_and_says_so(sandbox, make_link, synglancer) -> None:
    """`clear` removes exactly what `info` counts: other files and the history stay."""
    first = make_link(CELL).out
    strange = cache() / "predictions" / "notes.txt"
    strange.write_text("mine")
    files = sum(count for count, _ in measure().values()) - 1
    cleared = synglancer("cache", "clear")
    assert cleared.code == 0
    assert f"Removed {files} files" in cleared.out
    assert [path for path in cache().rglob("*") if path.is_file()] == [strange]
    assert len(synglancer("history", "--output", "url").lines) == 1
    before = len(sandbox.requests)
    assert make_link(CELL).out != first, "the link was forgotten with the rest"
    assert len(sandbox.requests) - before == 8


def test_clear_of_one_kind_leaves_the_others(sandbox, make_link, synglancer) -> None:
    """--only links removes the links and keeps the tables, so no query is sent again."""
    make_link(CELL)
    kept = measure()
    assert synglancer("cache", "clear", "--only", "links").code == 0
    assert measure() == {**kept, "links": (0, 0)}
    before = len(sandbox.requests)
    assert make_link(CELL).code == 0
    sent = [request.path for request in sandbox.requests[before:]]
    assert not [path for path in sent if path.endswith("/query")]


def test_a_kind_that_does_not_exist_is_refused(synglancer) -> None:
    """An unknown kind is refused with the known kinds, and nothing is removed."""
    synglancer("cache", "clear", "--only", "everything").refuses(2, "everything", "predictions")


@pytest.mark.parametrize("size", ["much", "-5", "2 PB", "1e9", "\x1b[31m"])
def test_a_bound_that_is_no_size_is_refused(synglancer, monkeypatch, size) -> None:
    """An invalid SYNGLANCER_CACHE_MAX is named, and the hint gives a valid one."""
    monkeypatch.setenv("SYNGLANCER_CACHE_MAX", size)
    outcome = synglancer("cache", "info")
    outcome.refuses(2, "SYNGLANCER_CACHE_MAX", "500MB")
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize(
    ("size", "expected"),
    [("0", 0), ("1500", 1500), ("1.5 kB", 1500), ("500MB", 500_000_000), ("3g", 3_000_000_000)],
)
def test_the_bound_can_be_set(synglancer, monkeypatch, size, expected) -> None:
    """SYNGLANCER_CACHE_MAX is a number of bytes, with or without a unit."""
    monkeypatch.setenv("SYNGLANCER_CACHE_MAX", size)
    assert json.loads(synglancer("cache", "info", "--output", "json").out)["bound"] == expected


def test_the_bound_holds_and_costs_no_link(sandbox, make_link, synglancer, monkeypatch) -> None:
    """Even with almost no room, links are made, and the limit holds."""
    monkeypatch.setenv("SYNGLANCER_CACHE_MAX", "1500")
    made = make_link(CELL)
    assert made.code == 0
    kinds = json.loads(synglancer("cache", "info", "--output", "json").out)["kinds"]
    assert kinds["predictions"]["files"] == 0
    assert make_link(CELL).code == 0


def test_files_of_killed_processes_are_swept(sandbox, make_link) -> None:
    """Incomplete files and locks of killed processes are removed after an hour; recent ones
    stay."""
    folder = cache() / "predictions"
    folder.mkdir(parents=True)
    (cache() / "locks").mkdir()
    old, fresh = folder / ".writing-old", folder / ".writing-fresh"
    lock = cache() / "locks" / "0123"
    for path in (old, fresh, lock):
        path.write_bytes(b"half")
    for path in (old, lock):
        os.utime(path, (time.time() - 3700, time.time() - 3700))
    make_link(CELL)
    assert not old.exists()
    assert not lock.exists()
    assert fresh.exists()
