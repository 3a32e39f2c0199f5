"""Cached answers come back complete or not at all, and never prevent a link."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synglancer.cache.answers import Kind, Store
from synglancer.cache.files import cache_folder, data_folder, write_file
from synglancer.cache.receipts import add_receipt
from synglancer.errors import UsageError

SERVER = "https://cave.example.org"
RECORD = {"name": "labels", "notice": 'Read "this".\n', "point": [1.5, 2.0], "none": None}
LINK = {"url": "https://x", "counts": {"inputs": {"spine": 2}}}
KEY: list[Any] = [SERVER, "minnie65_public", 1718, "labels", "864691135276234469", "inputs"]
RECORD_KINDS: tuple[Kind, ...] = ("datastacks", "versions", "tables", "somata")
QUESTION = {"cell": "864691135276234469", "version": 1718, "filters": {"tag": ["spine"]}}


def raw_table(rows: int = 40) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": pd.array(range(rows), dtype="Int64"),
            "value": pd.array([row / 64 for row in range(rows)], dtype="Float32"),
            "pre_pt_root_id": pd.array([864691135988251651] * rows, dtype="Int64"),
            "tag": pd.array([f"épine {row % 3}" for row in range(rows)], dtype=object),
        }
    )


def files(kind: str) -> list[Path]:
    return sorted((cache_folder() / kind).iterdir())


def fill(store: Store) -> None:
    for kind in RECORD_KINDS:
        store.save(kind, KEY, RECORD)
    store.save("links", [QUESTION], LINK)
    store.save_table(KEY, raw_table())


def load(store: Store) -> list[Any]:
    records = [store.load(kind, KEY) for kind in RECORD_KINDS]
    return [*records, store.load("links", [QUESTION]), store.load_table(KEY)]


def test_all_that_is_kept_comes_back():
    """Records, links and tables come back with the same values and types."""
    fill(Store())
    *records, table = load(Store())
    assert records == [RECORD] * 4 + [LINK]
    pd.testing.assert_frame_equal(table, raw_table())


def test_an_empty_table_is_kept_too():
    """A cell without rows is cached, too."""
    Store().save_table(KEY, raw_table(0))
    loaded = Store().load_table(KEY)
    assert loaded is not None
    pd.testing.assert_frame_equal(loaded, raw_table(0))


def test_nothing_is_found_where_nothing_was_kept():
    """An empty folder has no answer to any question."""
    assert load(Store()) == [None] * 6


def test_another_question_does_not_get_this_answer():
    """Server, datastack, version, table, cell and direction are all part of the key."""
    store = Store()
    fill(store)
    for part in range(len(KEY)):
        other = [*KEY]
        other[part] = 5 if other[part] == 1718 else f"{other[part]}x"
        assert store.load_table(other) is None
        assert store.load("somata", other) is None
    assert store.load("links", [{**QUESTION, "filters": {}}]) is None
    reordered = dict(reversed(QUESTION.items()))
    assert store.load("links", [reordered]) is not None, "order does not matter"


def test_a_store_that_is_off_reads_and_writes_nothing():
    """--no-cache neither reads nor writes the cache."""
    off = Store(enabled=False)
    fill(off)
    assert not cache_folder().exists()
    fill(Store())
    assert load(off) == [None] * 6


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"null", b"[]", b"{}", b'{"saved":1,"record":{}}', b"\xff\x00", b"PAR1PAR1"],
)
def test_what_does_not_read_back_is_fetched_again(damage):
    """A file with any other content counts as absent, and can be overwritten."""
    fill(Store())
    for kind in ("datastacks", "versions", "tables", "somata", "links", "predictions"):
        [path] = files(kind)
        path.write_bytes(damage)
    assert load(Store()) == [None] * 6
    fill(Store())
    assert all(found is not None for found in load(Store()))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@pytest.mark.parametrize(
    ("kind", "load"),
    [
        ("datastacks", lambda store: store.load("datastacks", KEY)),
        ("links", lambda store: store.load("links", [QUESTION])),
        ("predictions", lambda store: store.load_table(KEY)),
    ],
)
def test_a_flipped_bit_is_found(kind, load, place, bit):
    """One flipped bit anywhere in a file causes no wrong answer and no error. In the last digit of
    a number it may mean the same number; then the answer is the right one.
    """
    store = Store()
    if not cache_folder().exists():
        fill(store)
    right = load(store)
    assert right is not None
    [path] = files(kind)
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 1 << bit
    path.write_bytes(damaged)
    found = load(store)
    assert found is None or (kind != "predictions" and found == right)
    path.write_bytes(content)


def test_a_torn_table_is_found():
    """A truncated table counts as absent."""
    store = Store()
    store.save_table(KEY, raw_table())
    [path] = files("predictions")
    path.write_bytes(path.read_bytes()[:-100])
    assert store.load_table(KEY) is None


def test_a_new_table_takes_the_place_of_the_old_one():
    """Each question has one table, the latest one."""
    store = Store()
    store.save_table(KEY, raw_table(3))
    store.save_table(KEY, raw_table(7))
    assert len(files("predictions")) == 1
    loaded = store.load_table(KEY)
    assert loaded is not None
    assert len(loaded) == 7


@pytest.mark.parametrize("age", [-3600, 24 * 3600 + 1, 400 * 24 * 3600])
def test_what_can_change_is_kept_for_a_day(monkeypatch, age):
    """A changeable record counts as absent after its time, or if the clock was set back."""
    fill(Store())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + age)
    assert Store().load("versions", KEY, max_age=24 * 3600) is None
    assert Store().load("tables", KEY) == RECORD, "a table of a version never changes"


def test_a_failure_while_writing_leaves_nothing_behind(monkeypatch):
    """A full disk, or any exception, leaves neither an incomplete nor a temporary file."""
    store = Store()
    store.save_table(KEY, raw_table(3))

    def fail(_self: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    store.save_table(KEY, raw_table(7))
    store.save("links", [QUESTION], {"url": "x"})
    monkeypatch.undo()
    loaded = store.load_table(KEY)
    assert loaded is not None
    assert len(loaded) == 3, "the table that was there stays"
    assert store.load("links", [QUESTION]) is None
    assert [path.name for path in cache_folder().rglob(".writing-*")] == []


def test_an_interruption_while_writing_leaves_nothing_behind(monkeypatch):
    """Ctrl-C while writing is passed on, and leaves no file."""

    def interrupt(_self: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Store().save("links", [QUESTION], {"url": "x"})
    assert files("links") == []


def test_a_folder_that_cannot_be_written_costs_the_cache_only(monkeypatch, tmp_path):
    """If the folders cannot be created, nothing is cached; only a lost receipt is an error."""
    blocked = tmp_path / "a file"
    blocked.write_text("in the way")
    monkeypatch.setenv("SYNGLANCER_CACHE_DIR", str(blocked / "cache"))
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(blocked / "data"))
    store = Store()
    fill(store)
    assert load(store) == [None] * 6
    with pytest.raises(OSError, match="Not a directory"):
        add_receipt({"url": "x"})


def test_the_tables_used_longest_ago_go_first(monkeypatch):
    """Above the size limit, the least recently used tables are removed first."""
    store = Store()
    keys = [[*KEY, str(number)] for number in range(4)]
    for age, key in enumerate(keys):
        store.save_table(key, raw_table())
        path = store._path("predictions", key, ".table")
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    size = max(path.stat().st_size for path in files("predictions"))
    assert store.load_table(keys[0]) is not None  # used just now
    monkeypatch.setenv("SYNGLANCER_CACHE_MAX", str(3 * size + 10))
    store = Store()
    store.save_table([*KEY, "new"], raw_table())
    kept = [store.load_table(key) is not None for key in [*keys, [*KEY, "new"]]]
    assert kept == [True, False, False, True, True]


def test_folders_are_those_of_the_environment_or_the_platform(monkeypatch, tmp_path):
    """SYNGLANCER_CACHE_DIR and SYNGLANCER_DATA_DIR are used if set; otherwise the user's own
    folders."""
    assert cache_folder() == Path(os.environ["SYNGLANCER_CACHE_DIR"])
    monkeypatch.delenv("SYNGLANCER_CACHE_DIR")
    monkeypatch.delenv("SYNGLANCER_DATA_DIR")
    assert cache_folder().is_relative_to(tmp_path)
    assert data_folder().is_relative_to(tmp_path)
    assert cache_folder() != data_folder()


WRITERS = """
import sys
from multiprocessing import get_context
from synglancer.cache.receipts import add_receipt
from synglancer.cache.answers import Store
import pandas as pd
key = ["server", "datastack", 1, "table", "cell", "inputs"]
table = pd.DataFrame({"id": pd.array(range(500), dtype="Int64")})
def write(number):
    store = Store()
    for line in range(40):
        add_receipt({"process": number, "line": line, "filling": "x" * 6000})
        store.save("links", [number % 2], {"url": "y" * 1000})
        assert store.load("links", [number % 2]) == {"url": "y" * 1000}
        if line % 10 == 0:
            store.save_table(key, table)
            assert store.load_table(key) is not None
forking = get_context("fork")  # so that pandas is imported once
writers = [forking.Process(target=write, args=(number,)) for number in range(4)]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
sys.exit(any(writer.exitcode for writer in writers))
"""


def test_four_processes_at_once_do_not_disturb_each_other():
    """Lines of the history never mix, and a line written by one process is read complete by
    another."""
    done = subprocess.run(
        [sys.executable, "-c", WRITERS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = (data_folder() / "history.jsonl").read_bytes().splitlines()
    seen = [(line["process"], line["line"]) for line in map(orjson.loads, lines)]
    assert sorted(seen) == [(process, line) for process in range(4) for line in range(40)]
    assert [path.name for path in cache_folder().rglob(".writing-*")] == []


def test_receipts_are_the_users_own():
    """Only its owner can read the history, and each line is one JSON object."""
    add_receipt({"warnings": ["line\nbreak"], "cell": "5"})
    add_receipt({"cell": "6"})
    path = data_folder() / "history.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [orjson.loads(line)["cell"] for line in path.read_bytes().splitlines()] == ["5", "6"]


# -- files of the user's -----------------------------------------------------------------------


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path):
    """A new file follows the umask; an existing file keeps its mode."""
    mask = os.umask(0o027)
    try:
        write_file(tmp_path / "new.json", b"1")
    finally:
        os.umask(mask)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o640
    old = tmp_path / "old.json"
    old.write_bytes(b"before")
    old.chmod(0o604)
    write_file(old, b"after")
    assert old.read_bytes() == b"after"
    assert old.stat().st_mode & 0o777 == 0o604


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    """If writing fails, the previous file is unchanged, and there is no other file beside it."""
    path = tmp_path / "state.json"
    path.write_bytes(b"before")

    def fail(_self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"after")
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.glob(".writing-*")] == []


def test_a_link_to_a_file_stays_a_link(tmp_path):
    """Writing through a symbolic link changes the target file."""
    target = tmp_path / "target.json"
    target.write_bytes(b"before")
    link = tmp_path / "link.json"
    link.symlink_to(target)
    write_file(link, b"after")
    assert link.is_symlink()
    assert target.read_bytes() == b"after"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    """A named pipe, like /dev/null, is still one after writing to it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    write_file(pipe, b"through")
    content, _ = reader.communicate(timeout=20)
    assert content == b"through"
    assert pipe.is_fifo()


def test_what_cannot_be_removed_is_named(monkeypatch):
    """If the system refuses to remove a file of the cache, it is named with the reason."""
    store = Store()
    store.save("tables", {"a": 1}, {"b": 2})
    (kept,) = (path for path in cache_folder().rglob("*") if path.is_file())

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UsageError) as refused:
        store.clear()
    assert str(refused.value) == f"{kept} cannot be removed: Permission denied."
    assert kept.exists()
