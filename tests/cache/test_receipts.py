"""The history keeps every whole line, whatever happens to the others."""

from __future__ import annotations

import errno
import os

import pytest

from synglancer.cache.receipts import Damaged, Receipt, add_receipt, history_file, read_receipts


def told(cell: str) -> dict[str, str]:
    return {"cell": cell, "url": "https://a.org/#!b", "when": "2026-03-07T08:10:01+00:00"}


def test_a_disk_that_fills_up_costs_one_line(monkeypatch):
    """A line that is written only in part is an error, and the next one begins a line of its
    own."""
    add_receipt(told("1"))
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, content: write(handle, content[:7]))
        with pytest.raises(OSError, match="No space left") as refused:
            add_receipt(told("2"))
    assert refused.value.errno == errno.ENOSPC
    add_receipt(told("3"))
    first, torn, last = read_receipts()
    assert isinstance(first, Receipt)
    assert isinstance(last, Receipt)
    assert torn == Damaged(history_file(), 2)
    assert (first.record, last.record) == (told("1"), told("3"))


def test_empty_lines_are_passed_over():
    """Lines without text are neither receipts nor damage, and lines keep their numbers."""
    add_receipt(told("1"))
    with history_file().open("ab") as file:
        file.write(b"\n  \n")
    add_receipt(told("2"))
    assert [one.line for one in read_receipts()] == [1, 4]
