"""HTTP to CAVE, in which every request has a timeout and every refusal becomes our own error.

`cave` mounts `GuardedAdapter` on caveclient's sessions; `Fetcher` fetches small things without
caveclient, whose import takes a second.

Why an adapter: caveclient sets no timeout, follows redirects to login pages, opens a web browser on
missing terms of service, logs a truncated answer as a warning and repeats uploads. All of these are
decided where a response first arrives, before caveclient sees it.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3 import Timeout
from urllib3.exceptions import NewConnectionError

from synglancer.cave.auth import is_loopback
from synglancer.cave.deadlines import POOLS, OversizeError, read_whole
from synglancer.cave.network import find_certificates, name_proxy
from synglancer.cave.responses import check_answer, name_host
from synglancer.errors import BadAnswerError, ServiceError, UnreachableError
from synglancer.settings import MAX_STATE
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from synglancer.cave.auth import Credentials

    Observer = Callable[[requests.Response], None]
    Slots = AbstractContextManager[object]

logger = logging.getLogger("synglancer")

DEFAULT_TIMEOUT = 60.0
"""Longest time for one request in seconds, retries included."""

_TRIES = 4
_BACKOFF = 0.25  # seconds before the first retry; doubled each time, with jitter
_PATIENCE = 20.0  # the longest Retry-After, in seconds, that we sit out


class GuardedAdapter(HTTPAdapter):
    """A requests adapter that never waits forever and never lets a refusal through.

    Parameters
    ----------
    timeout
        Seconds that one request may take, retries included.
    repeatable
        Whether a request that may have reached the server can be sent again. False for uploads:
        the state server gives each a new address.
    observe
        Called with each answer, good or refused.
    slots
        Held while a request is under way: a semaphore bounds how many are.

    Raises
    ------
    ServiceError
        From `send`, one of its subclasses, for everything but a whole answer with status 200.
    """

    def __init__(
        self,
        timeout: float = DEFAULT_TIMEOUT,
        *,
        repeatable: bool = True,
        observe: Observer | None = None,
        slots: Slots | None = None,
    ) -> None:
        super().__init__(pool_maxsize=16)
        self._slots: Slots = slots or nullcontext()
        self._observe = observe
        self._timeout = timeout
        self._repeatable = repeatable

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make connections that limit the time of an answer, headers included."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make such connections through a proxy as well."""
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Let a connection check certificates with a file, which must exist."""
        try:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        except OSError as error:
            variable, path = find_certificates() or ("requests", str(verify))
            raise UnreachableError(
                f"There is no certificate file at {path}, which is set in {variable}.",
                "Set it to such a file, or unset it.",
                transient=False,
                sent=False,
            ) from error

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,  # noqa: ARG002  # ours holds: caveclient passes none
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, with retries if they are safe and useful; return a complete answer."""
        if is_loopback(urlsplit(str(request.url)).hostname):
            proxies = {}  # requests to this machine, and above all its token, must not leave it
        options = {"stream": stream, "verify": verify, "cert": cert, "proxies": proxies}
        with self._slots:  # also while waiting to try again: a busy server is not asked more
            return self._send_patiently(request, options)

    def _send_patiently(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        deadline = time.monotonic() + self._timeout
        repeatable = self._repeatable or request.method in {"GET", "HEAD"}
        for attempt in range(1, _TRIES + 1):
            left = max(deadline - time.monotonic(), 0.001)
            try:
                return self._send_once(request, left, options)
            except ServiceError as error:
                pause = _pause_before_retry(error, attempt, repeatable=repeatable)
                if pause is None or time.monotonic() + pause >= deadline:
                    raise
                logger.info("%s Trying again in %.1f s.", error, pause)
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def _send_once(
        self, request: requests.PreparedRequest, seconds: float, options: dict[str, Any]
    ) -> requests.Response:
        started = time.monotonic()
        try:
            # `total` counts connecting and waiting together; `deadlines` bounds the rest.
            total: Any = Timeout(total=seconds)  # requests passes it on; its types do not say so
            response = super().send(request, timeout=total, **options)
            read_whole(response, started + seconds, MAX_STATE)
        except OversizeError as error:
            raise BadAnswerError(
                f"{name_host(request.url)} sends more than {MAX_STATE // 10**6} MB, which is "
                "too large for a Neuroglancer state or an answer from CAVE.",
                "Check the address given with --server, or the address of the link's state.",
            ) from error
        except requests.RequestException as error:
            proxy = select_proxy(str(request.url), options["proxies"])
            raise _translate_exception(error, request, self._timeout, proxy) from error
        if self._observe is not None:
            self._observe(response)
        check_answer(response)
        return response


def _pause_before_retry(error: ServiceError, attempt: int, *, repeatable: bool) -> float | None:
    """Return the seconds to wait before a retry, or None for no further retry."""
    if attempt >= _TRIES or not error.transient or (error.sent and not repeatable):
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= _PATIENCE else None
    jitter = random.uniform(0.5, 1.5)  # noqa: S311  # not a secret
    return float(_BACKOFF * 2 ** (attempt - 1) * jitter)


def _translate_exception(
    error: requests.RequestException,
    request: requests.PreparedRequest,
    seconds: float,
    proxy: str | None,
) -> ServiceError:
    """Explain why no complete answer arrived."""
    host = name_host(request.url)
    of_proxy = requests.exceptions.ProxyError | requests.exceptions.InvalidProxyURL
    if isinstance(error, of_proxy) or (proxy and isinstance(error, requests.exceptions.InvalidURL)):
        return UnreachableError(
            f"The proxy {name_proxy(proxy) if proxy else 'that is set'} did not connect to {host}.",
            "Check the environment variables HTTPS_PROXY and HTTP_PROXY, or unset them.",
            transient=False,
            sent=False,
        )
    if proxy and isinstance(error, requests.exceptions.InvalidSchema):
        return UnreachableError(
            f"The proxy {name_proxy(proxy)} uses SOCKS, which needs the package PySocks.",
            "Install it with: pip install PySocks; or unset HTTPS_PROXY and ALL_PROXY.",
            transient=False,
            sent=False,
        )
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return UnreachableError(
            f"{host} did not answer within {seconds:g} s.",
            "Try again later, or allow more time with --timeout.",
            sent=isinstance(error, requests.ReadTimeout),
            transient=False,
        )
    if isinstance(error, requests.exceptions.SSLError):
        return UnreachableError(
            f"The certificate of {host} could not be verified (TLS).",
            "Check the server's address and this machine's certificates.",
            transient=False,
        )
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return BadAnswerError(
            f"{host} sent an answer that cannot be unpacked.",
            "Try again; if it happens again, check the server's address.",
        )
    return _translate_connection_error(error, host)


def _translate_connection_error(error: requests.RequestException, host: str) -> UnreachableError:
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return UnreachableError(
            f"{host} broke off in the middle of its answer.", "Try again later.", sent=True
        )
    if isinstance(error, requests.ConnectionError):
        reason = getattr(error.args[0], "reason", None) if error.args else None
        refused = isinstance(reason, NewConnectionError)
        return UnreachableError(
            f"{host} could not be reached." if refused else f"{host} closed the connection.",
            "Check the server's address and your connection, then try again.",
            transient=not refused,
            sent=not refused,
        )
    return UnreachableError(
        f"The request to {host} failed: {type(error).__name__}.",
        "Check the server's address (--server).",
        transient=False,
    )


class Fetcher:
    """HTTP client for requests that do not need caveclient; it keeps connections open.

    Parameters
    ----------
    credentials
        The token and the servers that get it; others get requests without it.
    timeout, observe, slots
        As for `GuardedAdapter`.
    """

    def __init__(
        self,
        credentials: Credentials,
        timeout: float = DEFAULT_TIMEOUT,
        observe: Observer | None = None,
        slots: Slots | None = None,
    ) -> None:
        self._session = requests.Session()
        guard(self._session, credentials, timeout, observe=observe, slots=slots)

    def fetch(self, url: str) -> bytes:
        """Fetch a whole answer (1 request).

        Raises
        ------
        ServiceError
            When it cannot be fetched.
        """
        try:
            return self._session.get(url).content
        except requests.RequestException as error:  # of requests itself: nothing was sent
            raise UnreachableError(
                f"{quote(url)} is not an address that can be requested.",
                "Check the address in the link or in the server's description of the datastack.",
                transient=False,
                sent=False,
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def guard(
    session: requests.Session,
    credentials: Credentials,
    timeout: float,
    repeatable: bool = True,
    observe: Observer | None = None,
    slots: Slots | None = None,
) -> None:
    """Make a session send the token, respect the timeout, and raise our errors.

    Parameters
    ----------
    session
        A session.
    credentials
        The token, and who may see it.
    timeout, repeatable, observe, slots
        As for `GuardedAdapter`.
    """
    adapter = GuardedAdapter(timeout, repeatable=repeatable, observe=observe, slots=slots)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.auth = _Bearer(credentials)


class _Bearer(requests.auth.AuthBase):
    """Sends the token to permitted servers.

    It is used even without a token, because otherwise requests would look for a .netrc password.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token := self._credentials.token_for(request.url):
            request.headers["Authorization"] = f"Bearer {token}"
        return request
