"""A killed run leaves nothing that looks complete, and can be finished with the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pytest

from publish.killed import publish_killed
from publish.tables import make_rows, read_files, run, write_parquet
from synglancer.cache.locks import locked
from synglancer.errors import OutputError, ServiceError, UsageError
from synglancer.publish import publishing
from synglancer.publish.publication import Publication
from synglancer.publish.tag_reader import TagReader
from synglancer.publish.verify import Findings, _check_tag, verify
from synglancer.publish.writing.resuming import explained
from synglancer.publish.writing.runner import Processes
from synglancer.publish.writing.work import read_work


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    return write_parquet(folder / "rows.parquet", make_rows(3000), row_group_size=700)


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    run(folder, table, counts=True)
    return read_files(folder)


def start(destination, table, at, when):
    """Publish in a process that kills itself at a rename; return its exit code and renames."""
    asked = {
        "inputs": (table,), "destination": str(destination), "datastack": "minnie65_public",
        "version": 1718, "counts": True,
    }  # fmt: skip
    return publish_killed(asked, at, when)


@pytest.fixture(scope="module")
def killed(table, tmp_path_factory):
    """A run that was killed at its 30th rename: its destination, and a copy of that."""
    folder = tmp_path_factory.mktemp("killed")
    start(folder / "out", table, 30, "before")
    shutil.copytree(folder / "out", folder / "copy")
    return folder / "out", folder / "copy"


@pytest.fixture
def begin(killed):
    """A function that brings the destination back as the killed run left it, and returns it."""

    def put_back():
        folder, copy = killed
        shutil.rmtree(folder)
        return shutil.copytree(copy, folder)

    return put_back


@pytest.fixture(scope="module")
def renames(table, tmp_path_factory):
    """How many files a run renames."""
    return start(tmp_path_factory.mktemp("count") / "out", table, 0, "before")[1]


def assert_nothing_looks_whole(destination, whole):
    """Any source with an info file is complete; the manifest exists only if all sources are
    complete."""
    rows = {one["folder"]: one for one in json.loads(whole["synglancer.json"])["tags"]}
    infos = [path.parent.name for path in destination.glob("*/info")]
    for folder in infos:
        findings = Findings()
        reader = TagReader(str(destination / folder), ["confidence", "size"])
        _check_tag(reader, rows[folder], 0, None, findings)
        assert findings.problems == []
    if (destination / "synglancer.json").exists():
        assert sorted(infos) == sorted(rows)


@pytest.mark.parametrize(("when", "first"), [("before", 1), ("after", 6)])
def test_killed_at_any_rename_it_is_finished_with_the_same_bytes(
    table, whole, renames, tmp_path, when, first
):
    """Killed before or after a rename, from the first to the last ones, a run continues and ends
    with the same bytes."""
    assert renames > 30
    for at in [*range(first, renames, 10), renames]:
        destination = tmp_path / f"out-{at}"
        assert start(destination, table, at, when) == (-signal.SIGKILL, None)
        assert_nothing_looks_whole(destination, whole)
        exit_code, _ = start(destination, table, 0, when)
        assert exit_code == 0
        assert read_files(destination) == whole


def test_killed_again_and_again_it_still_ends(table, whole, tmp_path):
    """A run that never gets further than twelve renames at a time finishes in the end."""
    destination = tmp_path / "out"
    for _ in range(100):
        exit_code, _ = start(destination, table, 12, "before")
        if exit_code == 0:
            break
        assert_nothing_looks_whole(destination, whole)
    assert read_files(destination) == whole


def test_killed_while_it_removes_its_work_it_is_whole(table, whole, tmp_path):
    """Work that was half removed after the manifest was written is not continued."""
    folder = tmp_path / "out"
    start(folder, table, 20, "before")
    work = {path: path.read_bytes() for path in (folder / ".publishing").glob("*.json")}
    run(folder, table, resume=True, counts=True)
    for path, content in work.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    assert work
    run(folder, table, resume=True, counts=True)
    assert read_files(folder) == whole


def test_killed_with_its_workers_it_is_finished_with_the_same_bytes(tmp_path):
    """A command with two workers that is killed again and again ends with the bytes of a quiet
    run with one."""
    path = write_parquet(tmp_path / "rows.parquet", make_rows(60_000), row_group_size=9000)
    words = [sys.executable, "-c", "from synglancer.cli import main; main()"]
    words += ["publish", path, "--version", "1718", "--memory", "100MB"]
    calm = tmp_path / "calm"
    subprocess.run([*words, "--workers", "1", "-o", str(calm)], check=True, capture_output=True)
    destination = tmp_path / "out"
    words += ["--workers", "2", "-o", str(destination)]
    resume: list[str] = []
    for files in (5, 20, 40):
        running = subprocess.Popen(
            [*words, *resume],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        while running.poll() is None and len([*destination.rglob("*")]) < files:
            time.sleep(0.01)
        assert running.poll() is None, "It ended before it was killed."
        running.kill()
        running.wait()
        if (destination / ".publishing").exists():
            resume = ["--resume"]
    done = subprocess.run([*words, *resume], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_files(destination) == read_files(calm)


@pytest.fixture
def stopped(tmp_path, monkeypatch):
    """A run with a CSV file that stopped when it began to write: its destination and its input."""
    path = tmp_path / "rows.csv"
    rows = make_rows(40)
    lines = [",".join(map(str, values)) for values in zip(*rows.values(), strict=True)]
    path.write_text("\n".join([",".join(rows), *lines]))

    def stop(*_):
        raise ServiceError("The store is away.", "Try again.")

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "write_shard", stop)
        with pytest.raises(ServiceError, match="is away"):
            run(tmp_path / "out", str(path))
    return tmp_path / "out", str(path)


def test_a_csv_file_is_converted_once(stopped, monkeypatch):
    """A resumed run reads what it has converted, and may wait for answers longer than before."""
    out, path = stopped
    request = out / ".publishing/request.json"
    assert read_work(request, request.parent)["timeout"] == 60.0
    asked = Publication(
        inputs=(path,), destination=str(out), datastack="minnie65_public", version=1718, timeout=5.0
    )
    seen = []

    def look(*_):
        seen.append(read_work(request, request.parent)["timeout"])
        raise ServiceError("The store is away.", "Try again.")

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "write_shard", look)
        patched.setattr("synglancer.publish.staging._open", None)
        with pytest.raises(ServiceError, match="is away"):
            publishing.publish(asked, resume=True)
    assert seen == [5.0]
    assert publishing.publish(asked, resume=True)["rows"] == 40
    assert verify(str(out), [path]).problems == []


@pytest.mark.parametrize("change", [lambda path: os.truncate(path, 10), Path.unlink])
def test_rows_that_were_lost_from_the_work_are_missed(stopped, change):
    """Sorted rows that are gone, or cut off, are not left out, and the way out is told."""
    out, path = stopped
    lost = out / ".publishing/post-00000.spill"
    change(lost)
    with pytest.raises(UsageError) as caught:
        run(out, path, resume=True)
    assert str(caught.value) == (f"The earlier run cannot be continued, because {lost} is damaged.")
    assert caught.value.hint == (f"Remove {out}/.publishing, then publish again without --resume.")
    assert not [*out.rglob("info")]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/data/a.rows"),
         "/data/a.rows cannot be read or written: Permission denied."),
        (OSError("mmap failed."), "/work cannot be read or written: mmap failed."),
        (OSError(), "/work cannot be read or written: OSError."),
    ],
)  # fmt: skip
def test_work_that_cannot_be_written_is_named(error, said):
    """The system's reason is told with the file, if it names one, or else with the folder."""
    with pytest.raises(OutputError) as caught, explained(Path("/work")):
        raise error
    assert str(caught.value) == said
    assert "--resume" in caught.value.hint
    with pytest.raises(ZeroDivisionError), explained(Path("/work")):
        raise ZeroDivisionError


def test_a_killed_worker_is_explained(monkeypatch):
    """If the system kills a worker, the likely reason and a way out are told."""
    runner = Processes(2)

    def submit(*_):
        future = Future()
        future.set_exception(BrokenProcessPool("A process in the process pool was terminated."))
        return future

    monkeypatch.setattr(runner, "submit", submit)
    with pytest.raises(ServiceError) as caught:
        list(runner.run(print, [1, 2]))
    assert str(caught.value) == (
        "A worker process was killed, probably because the system ran out of memory."
    )
    assert caught.value.hint == (
        "Give less --memory or fewer --workers, and continue with --resume."
    )
    assert runner.explain(ValueError()) is None


def test_a_run_does_not_go_on_with_another_compressor(stopped, monkeypatch):
    """Files of one source are not written by two versions, which may write other bytes."""
    out, path = stopped
    before = read_files(out)
    used = publishing._name_compressor()
    monkeypatch.setattr(publishing, "_name_compressor", lambda: "isal 0.0.1")
    with pytest.raises(UsageError) as caught:
        run(out, path, resume=True)
    assert str(caught.value) == f"The earlier run used {used}, not isal 0.0.1."
    work = out / ".publishing"
    assert caught.value.hint == f"Install that version, or remove {work} to start again."
    assert read_files(out) == before


def test_two_runs_do_not_publish_to_one_place(tmp_path, table, monkeypatch):
    """While one run works, another one is refused and changes nothing."""
    out = tmp_path / "out"
    monkeypatch.setattr(publishing, "_LOCK_PATIENCE", 0.0)
    with locked(out / ".publishing.lock", 0.0) as held:
        assert held
        with pytest.raises(UsageError) as caught:
            run(out, table)
    assert str(caught.value) == f"Another run is publishing to {out}."
    assert caught.value.hint == "Wait until it has finished."
    assert read_files(out) == {}


def test_an_unfinished_run_is_not_begun_again_unasked(table, begin):
    """Without --resume, an unfinished run is named and left unchanged."""
    out = begin()
    before = read_files(out)
    with pytest.raises(UsageError, match="was not finished") as caught:
        run(out, table)
    assert "--resume" in caught.value.hint
    assert read_files(out) == before


def test_a_run_does_not_go_on_with_other_inputs(table, begin, tmp_path):
    """A resumed run must have the same request: other rows or another version are refused."""
    out = begin()
    other = write_parquet(tmp_path / "other.parquet", make_rows(100))
    start(tmp_path / "early", table, 2, "before")
    assert run(tmp_path / "early", table, resume=True, counts=True)["rows"] == 3000
    for words in (
        {"inputs": (other,), "counts": True},
        {"inputs": (table,)},
        {"inputs": (table,), "counts": True, "resolution": (4.0, 4.0, 40.0)},
    ):
        inputs = words.pop("inputs")
        with pytest.raises(UsageError, match="other options or input"):
            run(out, *inputs, resume=True, **words)


@pytest.mark.parametrize("name", ["asked.json", "request.json", "plan.json"])
@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_damaged_work_is_named(table, begin, name, content):
    """Unreadable work is refused with its path and a hint."""
    out = begin()
    work = out / ".publishing"
    assert (work / name).exists()
    (work / name).write_bytes(content)
    with pytest.raises(UsageError, match=f"{name} is damaged") as caught:
        run(out, table, resume=True, counts=True)
    assert caught.value.hint.startswith(f"Remove {work}, then")


def test_another_table_of_the_same_name_is_published_as_itself(tmp_path):
    """What a process keeps of one run is not used for the next one at the same place."""
    table, out = tmp_path / "rows.parquet", tmp_path / "out"
    for seed in (1, 2):
        rows = make_rows(600, seed=seed)
        rows["ctr_pt_position_x"] *= seed
        run(out, write_parquet(table, rows))
        published = read_files(out)
        assert verify(str(out), [str(table)]).problems == []
        shutil.rmtree(out)
        run(tmp_path / f"other-{seed}", str(table))
        assert read_files(tmp_path / f"other-{seed}") == published


def test_a_number_that_was_edited_in_the_work_is_found(table, begin):
    """A result that still is JSON, but not the one that was written, is not continued with."""
    out = begin()
    path = out / ".publishing/done/spill-0.json"
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))
    with pytest.raises(UsageError, match=r"spill-0\.json is damaged"):
        run(out, table, resume=True, counts=True)


def test_a_run_is_continued_however_its_input_is_written(table, whole, begin, monkeypatch):
    """The same file by another path is the same input."""
    folder = Path(table).parent
    monkeypatch.chdir(folder)
    for name in ("rows.parquet", "./rows.parquet", f"../{folder.name}/*.par*"):
        out = begin()
        run(out, name, resume=True, counts=True)
        assert read_files(out) == whole


def fail_as_pyarrow(path):
    with pa.OSFile(str(path), "wb") as file:
        file.write(b"1" * 10_000_000)


def fail_as_numpy(path):
    np.zeros(10_000_000).tofile(path)


def fail_as_zip(path):
    with path.open("wb") as file:
        np.savez(file, np.zeros(10_000_000))


def fail_as_duckdb(path):
    duckdb.sql(f"COPY (SELECT range FROM range(1000000)) TO '{path}' (FORMAT csv)")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("fail", [fail_as_pyarrow, fail_as_numpy, fail_as_zip, fail_as_duckdb])
def test_a_full_disk_is_named_whatever_library_finds_it(table, tmp_path, monkeypatch, fail):
    """Each library reports a full disk in its own words, users get one sentence, and the run can
    continue later."""

    def survey(*_):
        fail(FULL)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "survey", survey)
        with pytest.raises(OutputError, match=r"because the disk is full\.$"):
            run(tmp_path / "out", table)
    assert run(tmp_path / "out", table, resume=True)["rows"] == 3000


ORPHANS = """
import sys, time
from synglancer.publish.writing.runner import Processes
from synglancer.publish.writing.work import read_work
runner = Processes(2)
waits = [runner.submit(time.sleep, float(sys.argv[1])) for _ in range(2)]
if not float(sys.argv[1]):
    [wait.result() for wait in waits]
print("started", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("seconds", [0, 600], ids=["idle", "busy"])
def test_workers_end_with_a_command_that_is_killed(seconds):
    """No worker outlives its command, whether it is idle or busy."""
    running = subprocess.Popen(
        [sys.executable, "-c", ORPHANS, str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert running.stdout.readline() == "started\n"
    workers = psutil.Process(running.pid).children(recursive=True)
    assert len(workers) >= 2
    running.kill()
    running.communicate()
    _, alive = psutil.wait_procs(workers, timeout=120)
    assert alive == []


PEAKS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from publish.tables import run
for folder, table in (("few", sys.argv[2]), ("many", sys.argv[3])):
    run(Path(table).parent / folder, table, memory=170_000_000)
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    print(status["VmHWM"].split()[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_memory_is_bounded_by_what_is_asked(tmp_path):
    """Rows that fit into the memory only in six parts take half of what they would take at once."""
    few = write_parquet(tmp_path / "few.parquet", make_rows(1_000))
    many = write_parquet(tmp_path / "many.parquet", make_rows(300_000), row_group_size=50_000)
    words = [sys.executable, "-c", PEAKS, str(Path(__file__).parents[1]), few, many]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    before, after = (int(line) * 1024 for line in done.stdout.split())
    assert after - before < 95_000_000
