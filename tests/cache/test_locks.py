"""A lock that cannot be had does not stop the work."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from synglancer.cache.locks import locked


def test_a_file_system_without_locks_stops_nothing(tmp_path, monkeypatch):
    """The block runs without the lock, and no file stays open."""
    opened = []

    def refuse(handle: int, _: int) -> None:
        opened.append(handle)
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path / "a.lock", 5) as alone:
        assert not alone
    (handle,) = opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(handle)
