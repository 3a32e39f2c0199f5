"""The base of all handlers: tokens, CORS, faults and error pages.

Every handler of a service derives from `Handler` and gets data and settings from
`Handler.context`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from types import new_class
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from tornado.ioloop import IOLoop
from tornado.web import Finish, RequestHandler

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Mapping

    from cave_sandbox.server import SandboxOptions
    from cave_sandbox.tables.dataset import Dataset
    from cave_sandbox.tables.loaded import LoadedFolder
    from cave_sandbox.tables.state_store import StateStore
    from cave_sandbox.web.faults import Faults, Rule

    Answer = Callable[..., Any]

#: Header with the identity of the served data, which differs once they have been edited.
IDENTITY_HEADER = "X-Data-Identity"

#: Path of CAVE's login page, which the sandbox uses, too.
LOGIN_PATH = "/sticky_auth/api/v1"

#: Methods that a preflight allows on every path, as with flask-cors.
PREFLIGHT_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@dataclass
class Context:
    """The data and settings that handlers share."""

    options: SandboxOptions
    faults: Faults  # the latency and the faults of requests
    data: LoadedFolder
    store: StateStore  # posted states
    row_limit: int  # the largest number of rows that a query returns
    open_pages: int = 0  # number of pages with an open event stream


class Handler(RequestHandler):
    """Base of all handlers."""

    fault: Rule | None = None  # the fault that alters the answer
    _logged = False
    exposed_headers: ClassVar[str] = "WWW-Authenticate"  # readable for pages of another origin
    #: whether CORS headers name the page's origin or allow any origin
    reflects_origin: ClassVar[bool] = False

    @property
    def context(self) -> Context:
        """The sandbox's shared parts."""
        return self.application.settings["context"]

    @property
    def origin(self) -> str:
        """The sandbox's address as the client wrote it, e.g. ``http://127.0.0.1:8888``."""
        return f"{self.request.protocol}://{self.request.host}"

    def set_default_headers(self) -> None:
        """Add the identity of the served data, and let pages of other origins read the answer."""
        self.set_header(IDENTITY_HEADER, self.context.data.identity)
        asking = self.request.headers.get("Origin")
        if asking is not None and self.reflects_origin:
            self.set_header("Access-Control-Allow-Origin", asking)
            self.add_header("Vary", "Origin")
        else:
            self.set_header("Access-Control-Allow-Origin", "*")
        self.set_header("Access-Control-Expose-Headers", self.exposed_headers)

    async def prepare(self) -> None:
        """Apply the latency and any fault."""
        if await self.context.faults.before(self) and not self._finished:
            raise Finish

    async def head(self, *args: str, **kwargs: str) -> None:
        """Answer as GET would, without the body."""
        pending = self.get(*args, **kwargs)
        if pending is not None:
            await pending

    def options(self, *_args: str, **_kwargs: str) -> None:
        """Answer a preflight."""
        own = ["GET", "HEAD"] if type(self).get is not RequestHandler.get else []
        own += ["POST"] if type(self).post is not RequestHandler.post else []
        self.set_header("Allow", ", ".join([*own, "OPTIONS"]))
        if "Access-Control-Request-Method" in self.request.headers:
            self.set_header("Access-Control-Allow-Methods", PREFLIGHT_METHODS)
            wanted = self.request.headers.get("Access-Control-Request-Headers")
            if wanted is not None:
                self.set_header("Access-Control-Allow-Headers", wanted)
        self.send_text("")

    @property
    def stream(self) -> Any:
        """The connection to the client."""
        connection: Any = self.request.connection
        return connection.stream

    def unpacked(self, body: bytes) -> bytes:
        """Undo the content encoding that has been set for the answer."""
        encoding = self._headers.get("Content-Encoding")
        return zlib.decompress(body, wbits=47) if encoding else body  # of gzip or zlib

    def finish(self, chunk: Any = None) -> Future[None]:
        """Send the answer, damaged if a fault applies."""
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
        """Log the request once, before sending its answer, so clients with an answer find it."""
        if not self._logged:
            self._logged = True
            super()._log()

    def compute_etag(self) -> str | None:
        """Send no ETag, as CAVE's services do not."""
        return None

    async def outside(self, work: Callable[..., Any], *given: Any) -> Any:
        """Run slow work outside the event loop."""
        return await IOLoop.current().run_in_executor(None, work, *given)

    def send_json(self, value: Any, status: int = 200) -> None:
        """Finish the request with a JSON body."""
        self.set_status(status)
        self.send_bytes(json.dumps(value), "application/json")

    def send_failure(self, message: str) -> None:
        """Finish the request as the materialization service does for any failure."""
        self.send_json(failure(message), 500)

    def send_text(self, text: str, status: int = 200) -> None:
        """Finish the request with text, under Flask's default content type."""
        self.set_status(status)
        self.send_bytes(text, "text/html; charset=utf-8")

    def send_bytes(self, content: bytes | str, kind: str) -> None:
        """Finish the request with content of a type."""
        self.set_header("Content-Type", kind)
        self.finish(content)

    def send_error_page(self, status: int) -> None:
        """Finish the request with the HTML page that Flask sends for an error."""
        from werkzeug.exceptions import default_exceptions  # with the first error

        self.send_text(default_exceptions[status]().get_body(), status)

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Answer an unhandled error without revealing internals."""
        self.send_error_page(status_code)

    def authorise(self, dataset: str | None = None) -> None:
        """Check that a request may read a datastack; if not, refuse as CAVE and raise `Finish`.

        Without a datastack, any valid token is enough. A token in the address is ignored, because
        addresses end up in logs and histories.
        """
        header = self.request.headers.get("Authorization")
        given = self.get_cookie("middle_auth_token")
        if header is not None:
            given = header.removeprefix("Bearer").strip()
        options = self.context.options
        barred, unsigned = options.no_permission_token, options.missing_tos_token
        good = [options.token] if dataset else [options.token, barred, unsigned]
        if header is not None and not header.startswith("Bearer"):
            message = "Authorization header must begin with 'Bearer'"
            reason = ("invalid_request", "Header must begin with 'Bearer'")
            self._refuse(400, "bad_auth_header", message, "Invalid Request", reason)
        elif given is None:
            self._refuse_missing()
        elif any(_same(given, token) for token in good):
            return
        elif dataset and _same(given, barred):
            self.refuse_permission(dataset)
        elif _same(given, unsigned):
            self.refuse_terms()
        else:
            self.refuse_token()
        raise Finish

    def admit(self, name: str) -> Dataset:
        """Return a datastack if the request may read it; if not, refuse and raise `Finish`."""
        dataset = self.context.data.datasets.get(name)
        self.authorise(name if dataset else None)
        if dataset is None:
            self.refuse_unknown(name)
            raise Finish
        return dataset

    def refuse_unknown(self, _name: str) -> None:
        """Answer as the service does for a datastack that does not exist."""
        self.send_error_page(404)

    def refuse_token(self) -> None:
        """Answer as for an unknown or expired token."""
        message, text = "Unauthorized - Token is Invalid or Expired", "Invalid/Expired Token"
        self._refuse(401, "invalid_token", message, text, ("invalid_token", text))

    def refuse_permission(self, dataset: str) -> None:
        """Answer as for a token whose owner may not see a datastack."""
        body = {
            "data": {"auth_dataset": dataset, "required_permission": "view"},
            "error": "missing_permission",
            "message": f"Missing permission: view for dataset {dataset}",
        }
        self.refuse(403, body, "Missing permission: view")

    def refuse_terms(self) -> None:
        """Answer as for a token whose owner has not accepted the terms of service."""
        terms = {
            "tos_form_url": f"{self.origin}{LOGIN_PATH}/tos/3/accept",
            "tos_id": 3,
            "tos_name": "MICrONS Public Synapse/Tables",
        }
        message = "Need to accept Terms of Service to access resource."
        self.send_json({"data": terms, "error": "missing_tos", "message": message}, 403)

    def _refuse_missing(self) -> None:
        if "X-Requested-With" in self.request.headers or "Origin" in self.request.headers:
            self._refuse(401, "no_token", "Unauthorized - No Token Provided", "Unauthorized")
            return
        asked = quote(self.origin + (self.request.uri or "/"))
        login = f"{self.origin}{LOGIN_PATH}/authorize?redirect={asked}"
        self.set_header("Location", login)
        from werkzeug.utils import redirect  # with the first request that lacks a token

        self.send_text(redirect(login).get_data(as_text=True), 302)

    def _refuse(
        self,
        status: int,
        error: str,
        message: str,
        text: str,
        reason: tuple[str, str] | None = None,
    ) -> None:
        """Refuse a token, and say in a header how to authenticate."""
        parts = [f'Bearer realm="{self.origin}{LOGIN_PATH}/authorize"']
        if reason is not None:
            parts += [f'error="{reason[0]}"', f'error_description="{reason[1]}"']
        self.set_header("WWW-Authenticate", ", ".join(parts))
        self.refuse(status, {"error": error, "message": message}, text)

    def refuse(self, status: int, body: Mapping[str, object], _text: str) -> None:
        """Answer with a refusal in JSON; the state server overrides this with plain text."""
        self.send_json(body, status)


def failure(message: str) -> dict[str, Any]:
    """Return the body of the materialization service's answer to any failure."""
    return {"code": 500, "message": message, "traceback": []}


def _same(given: str, known: str | None) -> bool:
    """Compare two tokens in constant time, which reveals nothing about them."""
    return known is not None and compare_digest(given.encode(), known.encode())


class ConstantHandler(Handler):
    """An address with the same answer for everybody, such as a service's version."""

    def initialize(self, value: Any) -> None:
        """Set the answer."""
        self.value = value

    def get(self) -> None:
        """Send the answer."""
        self.send_json(self.value)


def answers(
    base: type[Handler], method: str = "get", *, of_datastack: bool = True
) -> Callable[[Answer], type[Handler]]:
    """Turn a function that returns JSON, JSON and a status, or bytes into a handler.

    The function is called outside the event loop, with the service's handler, the datastack, which
    comes first in the address (unless ``of_datastack`` is False), and the address's other
    parameters.
    """

    def decorate(work: Answer) -> type[Handler]:
        async def respond(self: Handler, *names: str) -> None:
            if of_datastack:
                given = await self.outside(work, self, self.admit(names[0]), *names[1:])
            else:
                self.authorise()
                given = await self.outside(work, self, *names)
            value, status = given if isinstance(given, tuple) else (given, 200)
            if isinstance(value, bytes):
                self.send_bytes(value, "application/octet-stream")
            else:
                self.send_json(value, status)

        return new_class(
            work.__name__, (base,), exec_body=lambda made: made.update({method: respond})
        )

    return decorate


class NotFound(Handler):
    """Any address that belongs to no service."""

    async def prepare(self) -> None:
        """Answer every method with the error page for an unknown address."""
        await super().prepare()
        if not self._finished:
            self.send_error_page(404)


class HostRefusal(RequestHandler):
    """Refuses requests whose ``Host`` is not a name of the sandbox.

    Otherwise a website that lets its own name point to this machine (DNS rebinding) would count as
    the same origin, and could read the sandbox's answers.
    """

    def prepare(self) -> None:
        """Refuse the request, without letting other sites read the refusal."""
        self.set_status(HTTPStatus.FORBIDDEN)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("This sandbox answers only under its own address.\n")
