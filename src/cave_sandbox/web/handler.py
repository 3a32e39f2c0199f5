"""What all answers of the sandbox have in common: CORS, preflights, faults, error pages.

Every handler of a service derives from `Handler` and reads what it needs from `Handler.context`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from tornado.web import Finish, RequestHandler

if TYPE_CHECKING:
    from asyncio import Future

    from cave_sandbox.services.auth import Auth
    from cave_sandbox.web.faults import Faults

__all__ = ["Context", "Handler", "HostRefusal"]

#: What a preflight allows on every path, as flask-cors answers it.
PREFLIGHT_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"

ERROR_PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n"
    "<p>{text}</p>\n"
)
ERROR_TEXTS = {
    404: (
        "The requested URL was not found on the server. If you entered the URL manually please "
        "check your spelling and try again."
    ),
    405: "The method is not allowed for the requested URL.",
    500: (
        "The server encountered an internal error and was unable to complete your request. "
        "Either the server is overloaded or there is an error in the application."
    ),
}


@dataclass(frozen=True)
class Context:
    """What handlers share.

    Attributes
    ----------
    auth
        The token checks.
    faults
        The latency and the faults that each request meets.
    """

    auth: Auth
    faults: Faults


class Handler(RequestHandler):
    """Base of all handlers.

    Attributes
    ----------
    service
        Name of the service, for `Auth.check`.
    exposed_headers
        The response headers that a page of another origin may read.
    reflects_origin
        Whether the asking page's origin is named, or any is allowed with ``*``.
    """

    _logged = False
    service: ClassVar[str] = ""
    exposed_headers: ClassVar[str] = "WWW-Authenticate"
    reflects_origin: ClassVar[bool] = False

    @property
    def context(self) -> Context:
        """The sandbox's shared parts."""
        context: Context = self.application.settings["context"]
        return context

    @property
    def origin(self) -> str:
        """The sandbox's address as the client wrote it, e.g. ``http://127.0.0.1:8888``."""
        return f"{self.request.protocol}://{self.request.host}"

    def set_default_headers(self) -> None:
        """Allow pages of other origins to read the answer."""
        asking = self.request.headers.get("Origin")
        if asking is not None and self.reflects_origin:
            self.set_header("Access-Control-Allow-Origin", asking)
            self.add_header("Vary", "Origin")
        else:
            self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Access-Control-Expose-Headers", self.exposed_headers)

    async def prepare(self) -> None:
        """Add the latency and the fault that were asked for."""
        if await self.context.faults.before(self) and not self._finished:
            raise Finish

    async def head(self, *args: str, **kwargs: str) -> None:
        """Answer what GET would, without its body."""
        pending = self.get(*args, **kwargs)
        if pending is not None:
            await pending

    def options(self, *_args: str, **_kwargs: str) -> None:
        """Answer a preflight."""
        own = [name for name in ("GET", "HEAD", "POST") if self._supports(name)]
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Allow", ", ".join([*own, "OPTIONS"]))
        if "Access-Control-Request-Method" in self.request.headers:
            self.set_header("Access-Control-Allow-Methods", PREFLIGHT_METHODS)
            wanted = self.request.headers.get("Access-Control-Request-Headers")
            if wanted is not None:
                self.set_header("Access-Control-Allow-Headers", wanted)
        self.finish()

    def _supports(self, method: str) -> bool:
        name = "get" if method == "HEAD" else method.lower()
        return getattr(type(self), name) is not getattr(RequestHandler, name)

    @property
    def content_encoding(self) -> str | None:
        """The content encoding of the answer, as it has been set so far."""
        encoding: str | None = self._headers.get("Content-Encoding")
        return encoding

    def finish(self, chunk: Any = None) -> Future[None]:
        """Send the answer, damaged where a fault says so."""
        if chunk is not None:
            self.write(chunk)
        if not self._headers_written:
            body = b"".join(self._write_buffer)
            self._write_buffer = []
            altered = self.context.faults.after(self, body)
            self._write_buffer = [altered] if altered else []
        self._log()
        return super().finish()

    def _log(self) -> None:
        """Log the request once, before its answer goes out: who has the one finds the other."""
        if not self._logged:
            self._logged = True
            super()._log()

    def compute_etag(self) -> None:
        """Send no ETag: CAVE's services send none."""

    def send_json(self, value: Any, status: int = 200) -> None:
        """Finish the request with a JSON body."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value))

    def send_error_page(self, status: int) -> None:
        """Finish the request with the HTML page that Flask sends for an error."""
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        title = HTTPStatus(status).phrase
        text = ERROR_TEXTS.get(status, title)
        self.finish(ERROR_PAGE.format(status=status, title=title.title(), text=text))

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Answer what no handler answered, without a word about the inside."""
        self.send_error_page(status_code)


class NotFound(Handler):
    """Any address that no service has."""

    async def prepare(self) -> None:
        """Answer every method with the page for an unknown address."""
        await super().prepare()
        if not self._finished:
            self.send_error_page(404)


class HostRefusal(RequestHandler):
    """A request whose ``Host`` is none of the sandbox's names.

    A page elsewhere that lets its own name point to this machine (DNS rebinding) would otherwise
    count as the same origin, and read what the sandbox answers.
    """

    def prepare(self) -> None:
        """Refuse, and allow no page to read the refusal."""
        self.set_status(HTTPStatus.FORBIDDEN)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("This sandbox answers only under its own address.\n")
