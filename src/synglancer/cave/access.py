"""Access to a CAVE server: address, token, connections, and the identity of its data."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from synglancer.cave.auth import Credentials, is_loopback, read_origin
from synglancer.cave.http import Fetcher, guard
from synglancer.cave.tokens import check_token, find_saved_token, find_token
from synglancer.errors import DataChangedError, LoginError
from synglancer.settings import DEFAULT_SERVER, Service

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import requests

    from cave_sandbox.process.residence import Running
    from synglancer.cave.client import Cave

    Answer = TypeVar("Answer")

IDENTITY_HEADER = "X-Data-Identity"
"""The header in which a server says the identity of its data; CAVE's own servers send none."""

_LONGEST = 64


class Answers:
    """Answers of this process, so that each question is asked only once by all threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._locks: dict[Hashable, Lock] = {}
        self._known: dict[Hashable, Any] = {}

    def get(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to a question; after an error, it is asked again."""
        with self._lock:
            alone = self._locks.setdefault(question, Lock())
        with alone:
            if question not in self._known:
                self._known[question] = ask()
            return self._known[question]

    def list(self) -> list[Any]:
        """List all answers."""
        return [*self._known.values()]

    def clear(self) -> None:
        """Forget all answers."""
        self._known.clear()


class Access:
    """Access to a CAVE server.

    Parameters
    ----------
    service
        The server, the token and the timeout.
    token
        The token for that server, if it is known.
    """

    def __init__(self, service: Service, token: str | None = None) -> None:
        self._service = service
        self._token = token
        self._connections = Answers()
        self.timeout = service.timeout
        self._slots = BoundedSemaphore(service.concurrency)

    @property
    def server(self) -> str:
        """Address of the CAVE server, without a trailing slash."""
        if self._service.sandbox:
            return self._sandbox.origin
        return (self._service.server or DEFAULT_SERVER).rstrip("/")

    @property
    def token(self) -> str | None:
        """The token in use, which must never be printed or stored."""
        return self._connections.get("token", self._find_token)

    def _find_token(self) -> str | None:
        if self._service.sandbox:
            return self._sandbox.token
        return self._token or find_token(self.server, self._service.token_file)

    @property
    def _sandbox(self) -> Running:
        from synglancer.cave.sandbox import start_sandbox  # only if it is needed

        return self._connections.get("sandbox", start_sandbox)

    @property
    def is_named(self) -> bool:
        """Whether the user chose the server."""
        return self._service.sandbox or self._service.server is not None

    @property
    def credentials(self) -> Credentials:
        """The token, and the servers that may see it."""
        return self._connections.get("credentials", lambda: Credentials(self.token, self.server))

    @property
    def identity(self) -> DataIdentity:
        """The identity of the server's data."""
        return self._connections.get("identity", lambda: DataIdentity(self.server))

    @property
    def fetcher(self) -> Fetcher:
        """HTTP client for requests that do not need caveclient."""
        return self._open(self.server, self.credentials)

    def _open(self, host: str, credentials: Credentials) -> Fetcher:
        return self._connections.get(
            ("fetcher", host),
            lambda: Fetcher(credentials, self.timeout, self.identity.observe, self._slots),
        )

    def build_client(self, datastack: str) -> Cave:
        """Build a client of a datastack's services, which asks through caveclient."""
        from synglancer.cave.client import Cave  # a second of imports

        guard_session = partial(
            guard,
            credentials=self.credentials,
            timeout=self.timeout,
            observe=self.identity.observe,
            slots=self._slots,
        )
        return Cave(self.server, datastack, guard_session)

    def fetch_state(self, state_url: str) -> bytes:
        """Fetch a state, ours or of any link (1 request, without caveclient).

        The token is sent only to its own server. Another host, chosen by the author of the link,
        gets a token only if one was saved for that host.

        Raises
        ------
        LoginError
            When the host asks for a login; the hint says how to give it a token.
        ServiceError
            When the state cannot be fetched.
        """
        if self.credentials.are_for(state_url):
            return self.fetcher.fetch(state_url)
        address = urlsplit(state_url)
        host = f"{address.scheme}://{address.netloc}"
        saved = find_saved_token(address.netloc) if address.scheme == "https" else None
        try:
            return self._open(host, Credentials(saved, host)).fetch(state_url)
        except LoginError as error:
            if saved is not None:
                raise
            raise LoginError(
                f"{address.netloc} asks for a login, but the token is only for {self.server}.",
                f"If you trust {address.netloc}, use it as your CAVE server "
                f"(SYNGLANCER_SERVER={host}), or save a token for it once with caveclient "
                "(CAVEclient.auth.save_token). Otherwise open the link in the viewer.",
            ) from error

    def close(self) -> None:
        """Close the open connections."""
        for item in self._connections.list():
            if isinstance(item, Fetcher):
                item.close()


class DataIdentity:
    """The identity of a server's data, according to its answers.

    A materialization version of CAVE never changes, so that server, datastack and version tell
    answers apart. A sandbox can be started again on the same port with edited files.

    Parameters
    ----------
    server
        Address of the server. Only one on this machine is looked at.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._local = is_loopback(urlsplit(server).hostname)
        self._lock = Lock()
        self._expects = False
        self._seen = False
        self._outdated = False
        self.value: str | None = None

    @property
    def needs_answer(self) -> bool:
        """Whether a request is needed to know that cached answers belong to the server's data."""
        return self._local and not self._seen

    def expect(self, value: str | None) -> bool:
        """Assume the identity of cached answers until the first answer.

        Return False if an answer has a different one.
        """
        with self._lock:
            if self._local and not self._seen:
                self.value, self._expects = value, True
            return not self._local or value == self.value

    def observe(self, response: requests.Response) -> None:
        """Read the identity in an answer.

        Raises
        ------
        DataChangedError
            When it differs from the expected or earlier one.
        """
        if not self._local or read_origin(str(response.url)) != read_origin(self._server):
            return
        said = response.headers.get(IDENTITY_HEADER)
        if said is None and not response.ok:
            return  # the refusal may come from a proxy in front of the server
        said = None if said is None else said[:_LONGEST]
        with self._lock:
            same = said == self.value or not (self._seen or self._expects)
            self._outdated = self._outdated or not (same or self._seen)
            before, self._seen = self._seen, True
            if not before:
                self.value = said
        if not same:
            raise DataChangedError(
                f"The data of {self._server} have changed since the command started.",
                "Run the command again.",
            )

    def pop_outdated(self) -> bool:
        """Return whether cached answers proved to be of other data; True at most once."""
        with self._lock:
            outdated, self._outdated = self._outdated, False
            return outdated


def fetch_link_state(
    state_url: str,
    *,
    server: str | None = None,
    token: str | None = None,
    token_file: str | None = None,
    timeout: float = 60.0,
) -> bytes:
    """Fetch the state of a link (1 request).

    Parameters
    ----------
    state_url
        The address of the state.
    server
        The user's own CAVE server, for which the token in ``CAVE_TOKEN`` or `token_file` is; by
        default ``SYNGLANCER_SERVER`` or the default server.
    token
        A token for the host of `state_url`, if the user has one.
    token_file
        File that holds the token for `server`.
    timeout
        Longest time for the request, in seconds.

    Raises
    ------
    ServiceError
        When the state cannot be fetched.
    """
    if token is not None:
        credentials = Credentials(check_token(token, "token="), state_url)
        with closing(Fetcher(credentials, timeout)) as fetcher:
            return fetcher.fetch(state_url)
    own = server or os.environ.get("SYNGLANCER_SERVER") or None
    with closing(Access(Service(server=own, token_file=token_file, timeout=timeout))) as access:
        return access.fetch_state(state_url)
