"""A user's file is read whole, and what may never end is refused."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from synglancer.cache import files
from synglancer.cache.files import read_file
from synglancer.cells.lists import list_given_cells, read_cell_list
from synglancer.cells.point_files import read_point_files
from synglancer.check.documents import read_document
from synglancer.cli.config import CONFIG_FILE, trust_file
from synglancer.errors import UsageError

DEVICE = "it is a device or a socket, not a file"


def test_a_file_and_a_pipe_are_read_whole(tmp_path):
    """A pipe of the shell, such as <(command), is as good as a file."""
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    content = os.urandom(3 * 2**20 + 5)
    file.write_bytes(content)
    assert read_file(file) == content
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    assert read_file(pipe) == content
    writer.join()


def test_more_than_the_limit_is_refused(tmp_path, monkeypatch):
    """A large file is not read at all, and a pipe not beyond the limit."""
    monkeypatch.setattr(files, "LARGEST_INPUT", 10**9)
    sparse = tmp_path / "large.csv"
    with sparse.open("wb") as file:
        file.truncate(10**9 + 1)
    for read in (read_file, read_document, lambda path: read_cell_list([str(path)])):
        with pytest.raises((OSError, UsageError), match="it is larger than 1 GB"):
            read(sparse)
    monkeypatch.setattr(files, "LARGEST_INPUT", 10)
    with sparse.open("rb") as file, pytest.raises(OSError, match="it is larger than"):
        files.read_bounded(file)


@pytest.mark.parametrize(
    "read",
    [
        lambda name: list_given_cells([name]),
        lambda name: read_cell_list([name]),
        lambda name: read_document(Path(name)),
        lambda name: read_point_files([name]),
    ],
)
def test_a_device_is_refused_before_it_is_read(read):
    """Each reader of files refuses a device at once, as it may have no end."""
    with pytest.raises(UsageError, match=DEVICE):
        read("/dev/null")


def test_a_socket_and_a_link_to_a_device_are_refused(tmp_path, monkeypatch):
    """Even by the name of a table or of the file of options."""
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    for name in ("cells.csv", "cells.parquet", CONFIG_FILE):
        Path(name).symlink_to("/dev/null")
    for name in ("cells.csv", "cells.parquet"):
        with pytest.raises(UsageError, match=DEVICE):
            read_cell_list([name])
    with pytest.raises(UsageError, match=DEVICE):
        trust_file(Path(CONFIG_FILE))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(OSError, match=DEVICE):
            read_file(Path("socket"))
