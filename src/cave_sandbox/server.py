"""The sandbox: an embedded CAVE on a loopback port.

`Sandbox` assembles the services, runs them on an event loop in a thread of its own, and logs the
requests.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.web import Application

from cave_sandbox.errors import InputError
from cave_sandbox.services import info, login, materialize, query, schema, segmentation, states
from cave_sandbox.tables.loaded import load_folder
from cave_sandbox.tables.state_store import StateStore
from cave_sandbox.web import viewer
from cave_sandbox.web.faults import Faults, parse_faults
from cave_sandbox.web.handler import Context, HostRefusal, NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from tornado.httputil import HTTPServerRequest
    from tornado.web import RequestHandler
    from typing_extensions import Self

    from cave_sandbox.tables.loaded import LoadedFolder
    from cave_sandbox.web.faults import Rule

#: CAVE's row limit for one query.
DEFAULT_ROW_LIMIT = 200_000

#: The largest number of rows that a query can request from DuckDB.
MOST_ROWS = 2**62

#: The only addresses to listen on, since the sandbox serves only this machine.
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

#: The names of this machine in a request's ``Host``.
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")

#: The modules with routes; a request goes to the first that matches.
SERVICES = (info, query, materialize, schema, segmentation, states, login, viewer)

#: How long starting and stopping wait for the thread, in seconds.
PATIENCE = 10.0


@dataclass(frozen=True)
class SandboxOptions:
    """How a sandbox is set up.

    Attributes
    ----------
    data
        The data folder (see docs/data-folder.md).
    states
        The SQLite file that keeps posted states.
    token
        The token with all permissions.
    host, port
        Where to listen: a loopback address, and a port or 0 for a free one.
    no_permission_token, missing_tos_token
        Tokens that are refused, as CAVE refuses them, or None.
    row_limit
        The largest number of rows that a query returns, or None for CAVE's own limit.
    latency_ms
        How long each request waits before it is answered, in ms.
    fault
        The faults of requests, as `faults` describes them, or None.
    open_states
        Whether states may be read without a token.
    stall_seconds
        How long a connection may take to send a request's headers, or its body, or may idle
        between two requests, before it is closed.
    published
        Folder of tables that clients published, or None to serve none.
    allowed_hosts
        Further values of ``Host`` to accept, for tests that redirect CAVE's own names here.
    """

    data: Path
    states: Path
    token: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    no_permission_token: str | None = field(default=None, repr=False)
    missing_tos_token: str | None = field(default=None, repr=False)
    row_limit: int | None = None
    latency_ms: int = 0
    fault: str | None = None
    open_states: bool = True
    stall_seconds: float = 60.0
    published: Path | None = None
    allowed_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Request:
    """A request that was answered."""

    method: str
    path: str  # without its query
    status: int  # of the answer


class _GuardedApplication(Application):
    """An application that answers only to known values of ``Host``."""

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Return the handler of a request, which refuses unknown values of ``Host``."""
        if request.host.lower() not in self.settings["hosts"]:
            return self.get_handler_delegate(request, HostRefusal)
        return super().find_handler(request, **kwargs)


class Sandbox:
    """An embedded CAVE server.

    Parameters
    ----------
    options
        Its settings.
    loaded
        The data folder as `load_folder` has loaded it, for several sandboxes of one process; it
        stays loaded when this one stops. By default the folder is loaded here.

    Attributes
    ----------
    origin
        Its address, e.g. ``http://127.0.0.1:43210``; known once it listens.
    requests
        The requests so far, in the order of the answers.

    Raises
    ------
    InputError
        When the address is not a loopback address or is taken, or the data cannot be served.

    Examples
    --------
    >>> with Sandbox(options) as sandbox:  # doctest: +SKIP
    ...     requests.get(f"{sandbox.origin}/info/version")
    """

    def __init__(self, options: SandboxOptions, loaded: LoadedFolder | None = None) -> None:
        if options.host not in LOOPBACK_HOSTS:
            raise InputError(
                f"The sandbox cannot listen at {options.host}, which other machines may reach.",
                "Use 127.0.0.1, localhost or ::1.",
            )
        limit = DEFAULT_ROW_LIMIT if options.row_limit is None else options.row_limit
        if limit < 1:
            raise InputError(f"A row limit of {limit} gives no rows.", "Give 1 or more.")
        self.options = options
        self.requests: list[Request] = []
        faults = Faults(parse_faults(options.fault), options.latency_ms)
        self._closes = loaded is None
        data = loaded or load_folder(options.data)
        store = StateStore(options.states)
        self._context = Context(options, faults, data, store, min(limit, MOST_ROWS))
        self._socket = _listen(options)
        port: int = self._socket.getsockname()[1]
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.origin = f"http://{host}:{port}"
        self._application = _GuardedApplication(
            [rule for service in SERVICES for rule in service.ROUTES],
            default_handler_class=NotFound,
            log_function=self._log,
            context=self._context,
            hosts={*options.allowed_hosts, *(f"{name}:{port}" for name in LOOPBACK_NAMES)},
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def open_pages(self) -> int:
        """The number of open pages of the viewer."""
        return self._context.open_pages

    def take_requests(self) -> list[Request]:
        """Return the requests that were answered so far, and clear the list."""
        taken = self.requests[:]
        del self.requests[: len(taken)]  # others may have been appended meanwhile
        return taken

    def set_faults(self, spec: str | None) -> list[Rule]:
        """Replace the faults of later requests, as `faults` describes them.

        Returns the new rules, which count the requests that they match.
        """
        self._context.faults.rules = parse_faults(spec)
        return self._context.faults.rules

    def start(self) -> None:
        """Serve in a separate thread, and return once requests are answered."""
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="sandbox", daemon=True
        )
        self._thread.start()
        if not self._ready.wait(PATIENCE):
            raise RuntimeError("the sandbox's thread did not start")

    def stop(self) -> None:
        """Stop serving and release the port; can be called more than once."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(PATIENCE)
            self._thread = None
        self._socket.close()
        if self._closes:
            self._context.data.tables.close()

    def _log(self, handler: RequestHandler) -> None:
        request = handler.request
        self.requests.append(Request(request.method or "", request.path, handler.get_status()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        server = HTTPServer(
            self._application,
            max_buffer_size=states.MAX_BODY + 2**20,
            idle_connection_timeout=self.options.stall_seconds,  # also limits the headers
            body_timeout=self.options.stall_seconds,
        )
        server.add_socket(self._socket)
        self._ready.set()
        try:
            await self._ended.wait()
        finally:
            server.stop()
            await server.close_all_connections()


def bind(host: str, port: int) -> socket.socket:
    """Listen at a port; ``localhost`` means its IPv4 address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=128)


def _listen(options: SandboxOptions) -> socket.socket:
    try:
        bound = bind(options.host, options.port)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"The sandbox cannot listen at {options.host}:{options.port}: "
            f"{str(error).rstrip('.')}.",
            "Choose another port, or 0 for a free one.",
        ) from error
    bound.setblocking(False)
    return bound
