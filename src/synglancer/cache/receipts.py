"""Receipts: a line of JSON for every link that was made on this machine.

They are kept when the cache is cleared.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cache.files import data_folder
from synglancer.cache.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_MAX_WORDS = 40
"""Most words of a command that are kept, because a thousand cells need not be in every receipt."""

_PATIENCE = 5.0  # seconds to wait for another process that adds a line

_NEEDED = {"cell": str, "url": str, "when": str}


@dataclass(frozen=True)
class Receipt:
    """The receipt of a link made on this machine.

    Attributes
    ----------
    line
        Number of its line in the history, counted from 1.
    record
        What `Link.to_record` gave, with ``when`` (ISO 8601 UTC), ``command`` (the words that were
        typed, or None if it was made from Python) and ``options`` (the ones that differ from the
        defaults). 64-bit IDs are strings.
    """

    line: int
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Damaged:
    """A line of the history that is not a receipt.

    Attributes
    ----------
    path, line
        Its file and line, counted from 1.
    """

    path: Path
    line: int


def history_file() -> Path:
    """Return the file of receipts."""
    return data_folder() / "history.jsonl"


def build_receipt(
    record: Mapping[str, Any],
    options: Mapping[str, Any],
    command: Sequence[str] | None,
    token: str | None,
) -> dict[str, Any]:
    """Build a receipt.

    Parameters
    ----------
    record
        What `Link.to_record` gives.
    options
        The options that differ from the defaults, by name.
    command
        The words that were typed, or None.
    token
        The token in use, which is removed wherever it occurs.
    """
    words = None if command is None else [*command[:_MAX_WORDS]]
    if command is not None and words is not None and len(command) > _MAX_WORDS:
        words.append(f"… and {len(command) - _MAX_WORDS:,} more")
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    receipt = {**record, "when": when, "command": words, "options": dict(options)}
    return _mask(receipt, token) if token else receipt


def _mask(value: Any, token: str) -> Any:
    if isinstance(value, str):
        return value.replace(token, "(token)")
    if isinstance(value, dict):
        return {name: _mask(item, token) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(item, token) for item in value]
    return value


def add_receipt(receipt: Mapping[str, Any]) -> None:
    """Add a line to the history.

    Raises
    ------
    OSError
        When it cannot be written, as on a disk that is full or read-only.
    """
    line = orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS) + b"\n"
    path = history_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{path.name}.lock"), _PATIENCE) as alone:
        # One write to a file opened for appending: lines of several processes do not mix.
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            content = b"\n" + line if alone and _is_torn(handle) else line
            if os.write(handle, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(handle)


def _is_torn(handle: int) -> bool:
    """Whether the last line is incomplete, for instance after a full disk."""
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def read_receipts() -> Iterator[Receipt | Damaged]:
    """Read the history, oldest first; an invalid line is reported and skipped.

    Raises
    ------
    OSError
        When there is a history that cannot be read.
    """
    path = history_file()
    if not path.exists():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                record = _read(line)
                yield Damaged(path, number) if record is None else Receipt(number, record)


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    whole = all(isinstance(record.get(name), kind) for name, kind in _NEEDED.items())
    return record if whole else None
