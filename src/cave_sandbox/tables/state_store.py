"""Store posted states by ID in an SQLite file."""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from cave_sandbox.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: IDs have 16 digits, as in CAVE, and are below 2**53, so viewers read them without rounding.
FIRST_ID = 10**15
LAST_ID = 9 * 10**15 - 1

#: Longest time to wait for another process to finish writing, in seconds.
BUSY_TIMEOUT = 30.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS states (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
)
"""


INSERTION = "INSERT OR IGNORE INTO states (id, kind, body) VALUES (?, ?, ?)"


class StateStore:
    """Posted bytes by ID, in an SQLite file that several processes may use at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with self._connected() as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise InputError(
                f"The sandbox cannot keep states in {path}: {error}.",
                "Name another file, or move this one away.",
            ) from error

    def add(self, body: bytes, kind: str = "state") -> int:
        """Store the bytes, compressed, and return a new ID of 16 digits.

        The kind is ``state``, or ``property`` for segment properties; each kind has its own IDs.
        """
        packed = zlib.compress(body)
        added = 0
        while not added:  # until an ID is drawn that is free
            number = FIRST_ID + secrets.randbelow(LAST_ID - FIRST_ID + 1)
            row = (number, kind, packed)
            with self._connected() as connection:
                added = connection.execute(INSERTION, row).rowcount
        return number

    def read_packed(self, number: int, kind: str = "state") -> bytes | None:
        """Return the zlib-compressed bytes of an ID, or None if the ID is unknown."""
        if not FIRST_ID <= number <= LAST_ID:
            return None
        with self._connected() as connection:
            row = connection.execute(
                "SELECT body FROM states WHERE id = ? AND kind = ?", (number, kind)
            ).fetchone()
        return None if row is None else bytes(row[0])

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # A new connection for each call is safe across threads and processes.
        with closing(sqlite3.connect(self.path, timeout=BUSY_TIMEOUT)) as connection, connection:
            yield connection
