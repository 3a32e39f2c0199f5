"""Several processes at once, with the same and with different cells, against one sandbox."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from cave_sandbox.sample import identity as who
from cli.outcome import CELL
from synglancer.cache.answers import Store
from synglancer.cache.locks import locked
from synglancer.cells.parse import RootId
from synglancer.links.make import LinkMaker
from synglancer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

OTHER = str(who.PARTNERS[0].root_id)
CODE = "import sys; from synglancer.cli import make_link_main; make_link_main()"


def run_at_once(cells: Sequence[str]) -> list[dict]:
    """Run a process for each cell, all at the same time; return their output."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", CODE, cell, "--output", "json", "--quiet"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for cell in cells
    ]  # fmt: skip
    records = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        records.append(json.loads(out))
    return records


def uploads(sandbox) -> int:
    return len([request for request in sandbox.requests if request.method == "POST"
                and "/nglstate/" in request.path])  # fmt: skip


def test_processes_at_once_upload_each_link_once(
    sandbox, make_link, synglancer, monkeypatch, tmp_path
) -> None:
    """Processes with the same cell print the same link, which was uploaded once; one with another
    cell prints that cell's link, with the same state as when run alone; and each leaves a complete
    receipt."""
    cells = [CELL, CELL, OTHER, CELL]
    records = run_at_once(cells)
    assert [record["cell"] for record in records] == cells
    assert len({record["url"] for record in records}) == 2
    assert len({record["state_sha256"] for record in records}) == 2
    assert uploads(sandbox) == 2
    for record in records:
        state = requests.get(record["state_url"], timeout=30).json()
        assert state["synglancer"]["cell"] == record["cell"]
    receipts = [json.loads(line) for line in synglancer("history", "--output", "json").lines]
    assert sorted(receipt["url"] for receipt in receipts) == sorted(
        record["url"] for record in records
    )
    locks = Path(os.environ["SYNGLANCER_CACHE_DIR"]) / "locks"
    assert list(locks.iterdir()) == []
    monkeypatch.setenv("SYNGLANCER_CACHE_DIR", str(tmp_path / "another-cache"))
    alone = make_link(OTHER, "--output", "json")
    assert json.loads(alone.out)["state_sha256"] == records[2]["state_sha256"]


def test_an_interrupted_command_waits_for_no_server(sandbox) -> None:
    """Ctrl-C ends a command while a server is silent: exit code 130, two sentences, no link, no
    file."""
    (rule,) = sandbox.set_faults("POST */query=silence:600")
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, CELL, "--timeout", "600"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not rule.matched:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (130, ""), err
    assert err.splitlines()[0] == "Interrupted."
    assert len(err.splitlines()) == 2
    folder = Path(os.environ["SYNGLANCER_CACHE_DIR"])
    assert not [path for path in folder.rglob("*") if path.name.startswith(".writing-")]


HOLDER = """
import sys, time
from pathlib import Path
from synglancer.cells.parse import RootId
from synglancer.cache.locks import locked
with locked(Path(sys.argv[1]), 0) as held:
    print(held, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds a lock until it is ended."""
    path = tmp_path / "locks" / "one"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    yield process, path
    process.kill()
    process.communicate()


def test_a_lock_is_held_by_one_process(holder) -> None:
    """While a process holds the lock, another one does not get it, but its block runs anyway."""
    _, path = holder
    with locked(path, 0.2) as held:
        assert not held


def test_a_killed_holder_frees_its_lock(holder) -> None:
    """The lock of a killed process is free, although its file is still there."""
    process, path = holder
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    with locked(path, 60) as held:
        assert held
    assert not path.exists()


def test_a_folder_that_allows_no_lock_costs_the_lock_only(tmp_path) -> None:
    """If no lock file can be created, the block runs without a lock."""
    (tmp_path / "file").write_text("in the way")
    with locked(tmp_path / "file" / "lock", 60) as held:
        assert not held


def test_a_holder_that_hangs_is_not_waited_for_longer_than_the_timeout(
    sandbox, make_link, monkeypatch
) -> None:
    """A process that is stopped while making a link does not keep others from making it."""
    waited = []
    real = Store.alone

    def alone(self, question, seconds):
        waited.append(seconds)
        return real(self, question, min(seconds, 0.2))

    monkeypatch.setattr(Store, "alone", alone)
    question = LinkMaker(Settings(server=sandbox.origin))._question((RootId(int(CELL)),))
    with real(Store(), question, 0) as held:
        assert held
        assert make_link(CELL, "--timeout", "7").code == 0
    assert waited == [7.0]
    assert uploads(sandbox) == 1
