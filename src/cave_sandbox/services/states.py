"""The state server: posted JSON is kept in an SQLite file and given out again by its ID.

`StateStore` keeps the bytes, the handlers answer as NeuroglancerJsonServer 0.7.2 was recorded to
answer, its oddities included: every post makes a new ID, an unknown ID is an HTML page with status
500, NaN is accepted. One difference is meant: with ``open_states`` a state can be read without a
token, because a browser cannot log in to a server of plain http. A token that is wrong is refused
all the same.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from tornado.ioloop import IOLoop

from cave_sandbox.errors import InputError
from cave_sandbox.web.handler import Handler

if TYPE_CHECKING:
    from pathlib import Path

    from cave_sandbox.services.auth import Auth

__all__ = ["MAX_BODY", "StateStore", "routes"]

#: Version of the state server that was recorded.
VERSION = "0.7.2"

#: Most bytes that a post may have.
MAX_BODY = 100_000_000

#: IDs have 16 digits, as CAVE's have, and stay below 2**53, so a viewer reads them whole.
FIRST_ID = 10**15
LAST_ID = 9 * 10**15 - 1

#: How long to wait for another process that is writing, in seconds.
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

    Parameters
    ----------
    path
        The file; it and its folder are made when they are absent.

    Raises
    ------
    InputError
        When the file is no SQLite database, or cannot be opened.
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
        """Keep the bytes and return their new ID.

        Parameters
        ----------
        body
            What was posted; it is kept byte for byte, compressed.
        kind
            ``state``, or ``property`` for segment properties: each has its own IDs.

        Returns
        -------
        int
            A new ID of 16 digits.
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
            except sqlite3.IntegrityError:  # the ID is taken: draw another
                continue
            return number

    def read_packed(self, number: int, kind: str = "state") -> bytes | None:
        """Return the zlib-compressed bytes of an ID, or None when there is no such ID."""
        if not FIRST_ID <= number <= LAST_ID:
            return None
        with closing(self._connect()) as connection:
            row = connection.execute(
                "SELECT body FROM states WHERE id = ? AND kind = ?", (number, kind)
            ).fetchone()
        return None if row is None else bytes(row[0])

    def read(self, number: int, kind: str = "state") -> bytes | None:
        """Return the bytes that were posted, or None when there is no such ID."""
        packed = self.read_packed(number, kind)
        return None if packed is None else zlib.decompress(packed)

    def _connect(self) -> sqlite3.Connection:
        # A connection of its own for each call is safe in every thread and process.
        return sqlite3.connect(self.path, timeout=BUSY_TIMEOUT)


class StateHandler(Handler):
    """Base of the state server's handlers: plain-text refusals, and its page for any failure."""

    service: ClassVar[str] = "nglstate"
    reflects_origin: ClassVar[bool] = True

    def initialize(
        self, store: StateStore, auth: Auth, *, open_states: bool, kind: str = "state"
    ) -> None:
        """Take what all handlers of the state server share."""
        self.store = store
        self.auth = auth
        self.open_states = open_states
        self.kind = kind

    def allows_reading(self) -> bool:
        """Let a reader pass: one without any token too, where states are open."""
        nameless = (
            "Authorization" not in self.request.headers
            and self.get_cookie("middle_auth_token") is None
        )
        return (self.open_states and nameless) or self.auth.check(self, self.service)

    def send_text(self, text: str, status: int = 200) -> None:
        """Finish the request with text, under Flask's default content type."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(text)

    def fail(self) -> None:
        """Answer as the state server does whatever goes wrong: 500, and no CORS headers."""
        for name in ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary"):
            self.clear_header(name)
        self.send_error_page(500)

    async def in_thread(self, function: Any, *args: Any) -> Any:
        """Run what touches the file or takes long beside the server's loop."""
        return await IOLoop.current().run_in_executor(None, function, *args)


class VersionHandler(StateHandler):
    """``GET /nglstate/api/v1/version``."""

    async def get(self) -> None:
        """Answer the version, to everybody."""
        self.send_json(VERSION)


class IndexHandler(StateHandler):
    """``GET /nglstate/api/v1/``."""

    async def get(self) -> None:
        """Say which server this is."""
        if self.auth.check(self, self.service):
            self.send_text(f"NeuroglancerJsonServer - v{VERSION}")


class TableInfoHandler(StateHandler):
    """``GET /nglstate/api/v1/table_info``."""

    async def get(self) -> None:
        """Say where states are kept."""
        if self.auth.check(self, self.service):
            self.send_text("User: 42 - project synglancer - table sandbox_states")


class PostHandler(StateHandler):
    """``POST .../post``: keep a state, answer its address."""

    async def get(self) -> None:
        """Refuse: the route exists, and there is no JSON in a GET."""
        if self.auth.check(self, self.service):
            self.fail()

    async def post(self) -> None:
        """Keep the body under a new ID and answer ``".../<id>"``."""
        if not self.auth.check(self, self.service):
            return
        body = self.request.body
        if len(body) > MAX_BODY:
            self.send_error_page(413)
        elif not await self.in_thread(is_json, body):
            self.fail()
        else:
            number = await self.in_thread(self.store.add, body, self.kind)
            base = self.request.path.rstrip("/").rsplit("/", 1)[0]
            self.send_json(f"{self.origin}{base}/{number}")


class PostWithIdHandler(StateHandler):
    """``POST .../post/<id>``: what only administrators of CAVE may do."""

    async def get(self, _number: str) -> None:
        """Refuse."""
        await self.post(_number)

    async def post(self, _number: str) -> None:
        """Refuse."""
        if self.auth.check(self, self.service):
            self.send_text("Requires superadmin privilege.", 403)


class GetHandler(StateHandler):
    """``GET .../<id>``: the posted bytes."""

    async def get(self, number: str) -> None:
        """Answer the state, deflated for whoever accepts any compression."""
        if not self.allows_reading():
            return
        packed = await self.in_thread(self.find, number)
        if packed is None:
            self.fail()
            return
        self.set_header("Content-Type", "application/json")
        self.add_header("Vary", "Accept-Encoding")
        if self.accepts_compression():
            # Recorded: deflate is sent also to clients that accept gzip alone.
            self.set_header("Content-Encoding", "deflate")
            self.finish(packed)
        else:
            self.finish(await self.in_thread(zlib.decompress, packed))

    def find(self, number: str) -> bytes | None:
        """Return the compressed bytes; text that is no number is an unknown ID."""
        if not (number.isascii() and number.isdigit()):
            return None
        return self.store.read_packed(int(number[:20]), self.kind)

    def accepts_compression(self) -> bool:
        """Whether the client accepts deflate or gzip."""
        accepted = self.request.headers.get("Accept-Encoding", "").lower()
        return "deflate" in accepted or "gzip" in accepted


class RawHandler(GetHandler):
    """``GET .../raw/<id>``: the bytes as they lie in the store, called text as recorded."""

    async def get(self, number: str) -> None:
        """Answer the zlib-compressed bytes."""
        if not self.allows_reading():
            return
        packed = await self.in_thread(self.find, number)
        if packed is None:
            self.fail()
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(packed)


def is_json(body: bytes) -> bool:
    """Whether the bytes are JSON, as Python's reader sees it: NaN is, an empty body is not."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def routes(store: StateStore, auth: Auth, *, open_states: bool = True) -> list[Any]:
    """Return the state server's routes, those of its legacy address included.

    Parameters
    ----------
    store
        Where states are kept.
    auth
        The token checks.
    open_states
        Whether a state may be read without a token.

    Returns
    -------
    list
        Rules for `tornado.web.Application`.
    """
    shared = {"store": store, "auth": auth, "open_states": open_states}
    own = {**shared, "kind": "property"}
    rules: list[Any] = []
    for base in ("/nglstate/api/v1", "/nglstate"):
        rules += [
            (rf"{base}/(?:index)?", IndexHandler, shared),
            (rf"{base}/version", VersionHandler, shared),
            (rf"{base}/table_info", TableInfoHandler, shared),
            (rf"{base}/post", PostHandler, shared),
            (rf"{base}/post/([^/]+)", PostWithIdHandler, shared),
            (rf"{base}/raw/([^/]+)", RawHandler, shared),
            (rf"{base}/property/post", PostHandler, own),
            (rf"{base}/property/post/([^/]+)", PostWithIdHandler, own),
            (rf"{base}/property/raw/([^/]+)", RawHandler, own),
            (rf"{base}/property/([^/]+)(?:/info)?", GetHandler, own),
            (rf"{base}/([^/]+)", GetHandler, shared),
        ]
    return rules
