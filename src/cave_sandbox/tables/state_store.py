"""Store posted states by ID in an SQLite file."""

from __future__ import annotations

import secrets
import sqlite3
import zlib
from contextlib import closing
from typing import TYPE_CHECKING

from cave_sandbox.errors import InputError

if TYPE_CHECKING:
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


class StateStore:
    """Posted bytes by ID, in an SQLite file that several processes may use at once.

    Raises
    ------
    InputError
        When the file is not an SQLite database or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as connection, connection:
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
        while True:
            number = FIRST_ID + secrets.randbelow(LAST_ID - FIRST_ID + 1)
            try:
                with closing(self._connect()) as connection, connection:
                    connection.execute(
                        "INSERT INTO states (id, kind, body) VALUES (?, ?, ?)",
                        (number, kind, packed),
                    )
            except sqlite3.IntegrityError:  # the ID is taken, so another is drawn
                continue
            return number

    def read_packed(self, number: int, kind: str = "state") -> bytes | None:
        """Return the zlib-compressed bytes of an ID, or None if the ID is unknown."""
        if not FIRST_ID <= number <= LAST_ID:
            return None
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT body FROM states WHERE id = ? AND kind = ?", (number, kind)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def _connect(self) -> sqlite3.Connection:
        # A new connection for each call is safe across threads and processes.
        return sqlite3.connect(self.path, timeout=BUSY_TIMEOUT)
