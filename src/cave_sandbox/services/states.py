"""The state server: posted JSON is kept in an SQLite file and given out again by its ID.

The handlers answer as recorded from NeuroglancerJsonServer 0.7.2, including its oddities: every
post gets a new ID, an unknown ID leads to an HTML page with status 500, and NaN is accepted. One
difference is intended: with ``open_states``, states can be read without a token, because browsers
cannot log in to a server over plain http. A wrong token is still refused.
"""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

import orjson

from cave_sandbox.web.handler import ConstantHandler, Handler

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Version of the state server that was recorded.
VERSION = "0.7.2"

TABLE_INFO = "User: 42 - project synglancer - table sandbox_states"

#: Largest number of bytes in a post.
MAX_BODY = 100_000_000


class StateHandler(Handler):
    """Base of the state server's handlers: plain-text refusals, and its page for any failure."""

    reflects_origin: ClassVar[bool] = True

    def initialize(self, kind: str = "state", text: str = "") -> None:
        """Set the kind of document (``state`` or, for segment properties, ``property``) or text."""
        self.kind, self.text = kind, text

    def refuse(self, status: int, _body: Mapping[str, object], text: str) -> None:
        """Answer with a refusal, in plain text."""
        self.send_text(text, status)

    def fail(self) -> None:
        """Answer as the state server does for any failure: status 500, without CORS headers."""
        for name in ("Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Vary"):
            self.clear_header(name)
        self.send_error_page(500)


class VersionHandler(ConstantHandler):
    """``GET /nglstate/api/v1/version``, open to all."""

    reflects_origin: ClassVar[bool] = True


class TextHandler(StateHandler):
    """The server's description of itself: its name, and where it keeps states."""

    def get(self) -> None:
        """Answer requests with a token."""
        self.authorise()
        self.send_text(self.text)


class PostHandler(StateHandler):
    """``POST .../post``: store a state and answer with its address."""

    def get(self) -> None:
        """Refuse: the route exists, but a GET holds no JSON."""
        self.authorise()
        self.fail()

    async def post(self) -> None:
        """Store the body under a new ID and answer ``".../<id>"``."""
        self.authorise()
        body = self.request.body
        if len(body) > MAX_BODY:
            self.send_error_page(413)
        elif not await self.outside(is_json, body):
            self.fail()
        else:
            number = await self.outside(self.context.store.add, body, self.kind)
            base = self.request.path.rstrip("/").rsplit("/", 1)[0]
            self.send_json(f"{self.origin}{base}/{number}")


class PostWithIdHandler(StateHandler):
    """``POST .../post/<id>``, which only administrators of CAVE may use."""

    def post(self, _number: str) -> None:
        """Refuse."""
        self.authorise()
        self.send_text("Requires superadmin privilege.", 403)

    get = post


class GetHandler(StateHandler):
    """``GET .../<id>``: the posted bytes."""

    async def get(self, number: str) -> None:
        """Answer with the bytes, or fail if the ID is unknown; open states need no token."""
        cookie = self.get_cookie("middle_auth_token")
        given = self.request.headers.get("Authorization", cookie)
        if given is not None or not self.context.options.open_states:
            self.authorise()
        packed = await self.outside(self.find, number)
        if packed is None:
            self.fail()
        else:
            await self.send_packed(packed)

    async def send_packed(self, packed: bytes) -> None:
        """Answer with the state, deflated if the client accepts any compression."""
        self.set_header("Content-Type", "application/json")
        self.add_header("Vary", "Accept-Encoding")
        accepted = self.request.headers.get("Accept-Encoding", "").lower()
        if "deflate" in accepted or "gzip" in accepted:
            # As recorded, clients that accept only gzip get deflate, too.
            self.set_header("Content-Encoding", "deflate")
            self.finish(packed)
        else:
            self.finish(await self.outside(zlib.decompress, packed))

    def find(self, number: str) -> bytes | None:
        """Return the compressed bytes, or None; text that is not a number is an unknown ID."""
        if not (number.isascii() and number.isdigit()):
            return None
        return self.context.store.read_packed(int(number[:20]), self.kind)


class RawHandler(GetHandler):
    """``GET .../raw/<id>``: the stored bytes; as recorded, their content type is text."""

    async def send_packed(self, packed: bytes) -> None:
        """Answer the zlib-compressed bytes."""
        self.send_bytes(packed, "text/html; charset=utf-8")


def is_json(body: bytes) -> bool:
    """Whether Python can read the bytes as JSON: NaN is accepted, an empty body is not."""
    for read in (orjson.loads, json.loads):  # the faster one first, which accepts less
        with suppress(ValueError, RecursionError):
            read(body)
            return True
    return False


ROUTES = [
    rule
    for base in ("/nglstate/api/v1", "/nglstate")  # the second is the legacy address
    for rule in (
        (rf"{base}/(?:index)?", TextHandler, {"text": f"NeuroglancerJsonServer - v{VERSION}"}),
        (rf"{base}/version", VersionHandler, {"value": VERSION}),
        (rf"{base}/table_info", TextHandler, {"text": TABLE_INFO}),
        (rf"{base}/post", PostHandler),
        (rf"{base}/post/([^/]+)", PostWithIdHandler),
        (rf"{base}/raw/([^/]+)", RawHandler),
        (rf"{base}/property/post", PostHandler, {"kind": "property"}),
        (rf"{base}/property/post/([^/]+)", PostWithIdHandler),
        (rf"{base}/property/raw/([^/]+)", RawHandler, {"kind": "property"}),
        (rf"{base}/property/([^/]+)(?:/info)?", GetHandler, {"kind": "property"}),
        (rf"{base}/([^/]+)", GetHandler),
    )
]
