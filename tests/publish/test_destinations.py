"""Files are written to folders and object stores completely, or the reason is told."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import fsspec
import pytest

from synglancer.errors import BadAnswerError, NotServedError, OutputError, ServiceError, UsageError
from synglancer.publish import destinations
from synglancer.publish.destinations import open_destination


@pytest.fixture
def folder(tmp_path):
    return open_destination(str(tmp_path / "out"))


def test_a_file_that_cannot_be_written_is_named(folder, tmp_path):
    """What stands in the way of a file is told, and no unfinished file is left."""
    (tmp_path / "out/spine/info").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        folder.write("spine/info", [b"{}"])
    assert str(caught.value) == f"{tmp_path}/out/spine/info cannot be written: Is a directory."
    assert caught.value.hint == (
        "Check the permissions of the folder, or choose another destination."
    )
    assert [path.name for path in (tmp_path / "out/spine").iterdir()] == ["info"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_the_unfinished_file_is_removed(
    folder, tmp_path, monkeypatch, number
):
    """A file on a full disk, or beyond a quota, is not left under its temporary name."""

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError) as caught:
        folder.write("info", [b"{}"])
    assert str(caught.value) == f"{tmp_path}/out/info cannot be written, because the disk is full."
    assert "--resume" in caught.value.hint
    assert [*(tmp_path / "out").iterdir()] == []


def test_a_file_that_cannot_be_read_is_named(folder, tmp_path):
    """A folder in the place of a file is no missing file."""
    (tmp_path / "out/info").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        folder.read("info")
    assert str(caught.value) == f"{tmp_path}/out/info cannot be read: Is a directory."
    assert caught.value.hint == "Check the folder and its permissions."


def test_only_unfinished_files_of_ours_are_removed(folder, tmp_path):
    """Somebody's own .tmp file stays."""
    for name in ("notes.tmp", "info.1234.tmp"):
        folder.write(name, [])
    folder.remove_leftovers()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.tmp"]


@pytest.fixture
def memory(monkeypatch):
    """An empty store of fsspec in memory: the class, and a place in it."""
    monkeypatch.setattr(destinations, "_PATIENCE", 0.0)
    kind = fsspec.get_filesystem_class("memory")
    monkeypatch.setattr(kind, "store", {})
    monkeypatch.setattr(kind, "pseudo_dirs", [""])
    return kind, open_destination("memory://bucket/out")


def test_an_object_is_written_and_read_back(memory):
    """A store also works if fsspec has no asynchronous version of it."""
    _, store = memory
    assert store.is_empty()
    assert store.read("info") is None
    assert store.write("info", [b"{", b"}"]) == 2
    assert (store.read("info"), store.is_empty()) == (b"{}", False)


@pytest.mark.parametrize(
    ("kept", "arrived"), [(slice(0), None), (slice(3), "only 3"), (slice(9, None), "only 0")]
)
def test_an_object_that_did_not_arrive_is_sent_again(memory, monkeypatch, kept, arrived):
    """The store's word is not enough: what it lost, or cut off, is written until it is there."""
    kind, store = memory
    put, seen = kind.pipe_file, []

    def lose(self, path, content):
        seen.append(path)
        if arrived is None and len(seen) < 5:
            return
        put(self, path, content if arrived is None else content[kept])

    monkeypatch.setattr(kind, "pipe_file", lose)
    if arrived is None:
        assert store.write("info", [b"123456789"]) == 9
    else:
        with pytest.raises(ServiceError) as caught:
            store.write("info", [b"123456789"])
        assert str(caught.value) == (
            f"{store.address}/info could not be written: {arrived} of 9 bytes arrived."
        )
        assert "--resume" in caught.value.hint
    assert len(seen) == 5


def test_an_object_that_is_too_large_is_not_read(memory, monkeypatch):
    """An address that is not of a source does not fill the memory."""
    _, store = memory
    store.write("info", [b"12345"])
    monkeypatch.setattr(destinations, "MOST_BYTES", 4)
    with pytest.raises(BadAnswerError) as caught:
        store.read("info")
    assert str(caught.value) == f"{store.address}/info is too large."
    assert caught.value.hint == "Check the address of the source."


@pytest.mark.parametrize("act", [lambda store: store.read("info"), lambda store: store.is_empty()])
def test_a_bucket_that_is_not_there_is_no_empty_one(memory, monkeypatch, act):
    """Some stores report a missing bucket as a missing file."""
    kind, store = memory

    def fail(*_):
        raise FileNotFoundError("The specified bucket does not exist")

    for name in ("info", "ls"):
        monkeypatch.setattr(kind, name, fail)
    with pytest.raises(NotServedError) as caught:
        act(store)
    assert str(caught.value) == f"There is no bucket for {store.address}."
    assert caught.value.hint == "Check the address, or create it."
