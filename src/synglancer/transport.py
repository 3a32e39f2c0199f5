"""HTTP to CAVE, guarded: every request has a timeout, every refusal becomes one of our errors.

`cave` mounts `GuardedAdapter` on caveclient's sessions; `Fetcher` fetches small things without
caveclient, whose import takes a second. It must not know tables, views or links.

Why an adapter: caveclient sets no timeout, follows redirects to login pages, opens a web browser
on missing terms of service, logs a truncated answer as a warning and repeats uploads. All of
these are decided where a response first arrives, before caveclient sees it.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Timeout
from urllib3.exceptions import NewConnectionError, ReadTimeoutError

from synglancer.errors import (
    BadAnswerError,
    LoginError,
    NotServedError,
    PermissionMissingError,
    RateLimitError,
    ServiceError,
    TermsOfServiceError,
    TruncatedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("synglancer")

DEFAULT_TIMEOUT = 60.0
"""Seconds that one question may take, retries included."""

_TRIES = 4
_BACKOFF = 0.25  # seconds before the first retry; doubled each time, with jitter
_PATIENCE = 20.0  # the longest Retry-After, in seconds, that we sit out

_ARROW_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""How a stream of Arrow ends. Readers take one without it for whole, and miss the rows after."""

_HTTP_OK = 200
_LIMITED = re.compile(r"Limited query to (\d+) rows")
_HIDDEN_STATUS = re.compile(r"^(4\d\d) [A-Z][A-Za-z ]+: ?(.*)", re.DOTALL)
_MAX_QUOTE = 200


class GuardedAdapter(HTTPAdapter):
    """A requests adapter that never waits forever and never lets a refusal through.

    Parameters
    ----------
    timeout
        Seconds that one request may take, retries included.
    repeatable
        Whether a request that may have reached the server can be sent again. False for uploads:
        the state server gives each a new address.

    Raises
    ------
    ServiceError
        From `send`, one of its subclasses, for everything but a whole answer with status 200.
    """

    def __init__(self, timeout: float = DEFAULT_TIMEOUT, *, repeatable: bool = True) -> None:
        super().__init__(pool_maxsize=16)
        self._timeout = timeout
        self._repeatable = repeatable

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,  # noqa: ARG002  # ours holds: caveclient passes none
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, again where that is safe and may help; return a whole answer."""
        options = {"stream": stream, "verify": verify, "cert": cert, "proxies": proxies}
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
            # `total` counts connecting and waiting together; `_read_whole` bounds the rest.
            total: Any = Timeout(total=seconds)  # requests passes it on; its types do not say so
            response = super().send(request, timeout=total, **options)
            _read_whole(response, started + seconds)
        except requests.RequestException as error:
            raise _translate_exception(error, request, seconds) from error
        refuse_bad_answer(response)
        return response


def _read_whole(response: requests.Response, deadline: float) -> None:
    """Read the body, so that an answer that breaks off is an error of the request.

    A timeout of the socket holds for each piece, and a body that trickles in starts it anew: so
    the connection is shut when the time is up.
    """
    late = threading.Event()

    def shut() -> None:
        late.set()
        with suppress(OSError, ValueError):
            response.raw.shutdown()

    timer = threading.Timer(max(deadline - time.monotonic(), 0), shut)
    timer.daemon = True
    timer.start()
    try:
        _ = response.content
    except requests.RequestException as error:
        if late.is_set() or isinstance(error.args[0], ReadTimeoutError):
            raise requests.ReadTimeout(request=response.request) from error
        raise
    finally:
        timer.cancel()
    if late.is_set():  # a body without a length ends where it is shut
        raise requests.ReadTimeout(request=response.request)


def _pause_before_retry(error: ServiceError, attempt: int, *, repeatable: bool) -> float | None:
    """Seconds to wait before sending again, or None when that is unsafe, useless or enough."""
    unsent = isinstance(error, UnreachableError) and not error.sent
    if attempt >= _TRIES or not error.transient or not (repeatable or unsent):
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= _PATIENCE else None
    jitter = random.uniform(0.5, 1.5)  # noqa: S311  # not a secret
    return float(_BACKOFF * 2 ** (attempt - 1) * jitter)


def _translate_exception(
    error: requests.RequestException, request: requests.PreparedRequest, seconds: float
) -> ServiceError:
    """Say in our words why no whole answer came."""
    host = _host(request.url)
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return UnreachableError(
            f"{host} did not answer within {seconds:.0f} s.",
            "Try again later, or allow more time with --timeout.",
            sent=isinstance(error, requests.ReadTimeout),
            transient=False,
        )
    if isinstance(error, requests.exceptions.SSLError):
        return UnreachableError(
            f"{host} could not prove who it is (TLS).",
            "Check the server's address and this machine's certificates.",
            transient=False,
        )
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return UnreachableError(
            f"{host} broke off in the middle of its answer.", "Try again later.", sent=True
        )
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return BadAnswerError(
            f"{host} sent an answer that cannot be unpacked.",
            "Try again; if it stays so, check the server's address.",
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
        f"{host} could not be asked: {type(error).__name__}.",
        "Check the server's address (--server).",
        transient=False,
    )


def refuse_bad_answer(response: requests.Response) -> None:
    """Raise the error that an answer stands for, unless it is a whole one with status 200.

    Parameters
    ----------
    response
        An answer whose body has been read.

    Raises
    ------
    ServiceError
        One of its subclasses. Never holds a token: only the server's own words are quoted.
    """
    host = _host(response.url)
    status = response.status_code
    if response.is_redirect or status in {401, 302}:
        raise _login_error(host, has_token="Authorization" in response.request.headers)
    message = _server_message(response)
    hidden = _HIDDEN_STATUS.match(message)
    if hidden and status >= _HTTP_OK:
        status, message = int(hidden[1]), hidden[2] or message
    if status == 403:  # noqa: PLR2004
        raise _forbidden_error(response, host)
    if status == 404:  # noqa: PLR2004
        raise NotServedError(
            f"{host} does not have what was asked: {_quote(message)}.",
            "Check --datastack, --version and --table.",
        )
    if status == 429:  # noqa: PLR2004
        raise RateLimitError(
            f"{host} asks for fewer requests ({_quote(message)}).",
            "Wait a minute, then try again.",
            retry_after=_retry_after(response),
        )
    if status != _HTTP_OK:
        raise ServiceError(
            f"{host} failed with status {status}: {_quote(message)}.",
            "Try again later; if it stays so, tell the server's administrators.",
            transient=status in {502, 503, 504},
        )
    is_arrow = response.headers.get("Content-Type", "").startswith("data.arrow")
    if is_arrow and not response.content.endswith(_ARROW_END):
        raise UnreachableError(
            f"{host} broke off in the middle of its answer.", "Try again later.", sent=True
        )
    limited = _LIMITED.search(response.headers.get("Warning", ""))
    if limited:
        raise TruncatedError(
            f"{host} cut its answer off after {int(limited[1]):,} rows.",
            "Ask for less at once, for instance only --inputs or only --outputs.",
            limit=int(limited[1]),
            content=response.content,
        )


def _login_error(host: str, *, has_token: bool) -> LoginError:
    if has_token:
        return LoginError(
            f"{host} does not accept the token.",
            "Get a new one from your CAVE server and give it by CAVE_TOKEN or --token-file.",
        )
    return LoginError(
        f"{host} asks for a login, and no token was found.",
        "Give one by CAVE_TOKEN or --token-file, or save it once with caveclient "
        "(CAVEclient.auth.save_token).",
    )


def _forbidden_error(response: requests.Response, host: str) -> ServiceError:
    try:
        refusal = json.loads(_body(response))
    except ValueError:
        refusal = {}
    details = refusal.get("data") if isinstance(refusal, dict) else None
    details = details if isinstance(details, dict) else {}
    details = {name: _quote(str(value)) for name, value in details.items()}
    if isinstance(refusal, dict) and refusal.get("error") == "missing_tos":
        return TermsOfServiceError(
            f"{host} wants its terms of service accepted first: "
            f"{details.get('tos_name', 'terms of service')}.",
            f"Accept them once at {details.get('tos_form_url', 'the server')}, then try again.",
        )
    dataset = details.get("auth_dataset", "this dataset")
    return PermissionMissingError(
        f"The token may not read {dataset} on {host}.",
        "Ask the dataset's owners for permission, or use another account's token.",
    )


def _server_message(response: requests.Response) -> str:
    """Return what the server says of a failure, or nothing for a good answer."""
    if response.status_code == _HTTP_OK:
        return ""
    try:
        answer = json.loads(_body(response))
    except ValueError:
        text = _body(response)
        if "<html" in text.lower():
            title = re.search(r"<title>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
            return title[1] if title else "an HTML page"
        return text
    if isinstance(answer, dict):
        return str(answer.get("message") or answer.get("error") or answer)
    return str(answer)


def _body(response: requests.Response) -> str:
    """Return the body as text, without the token where a server repeats it."""
    token = response.request.headers.get("Authorization", "").removeprefix("Bearer ")
    text = response.content.decode("utf-8", "replace")
    return text.replace(token, "(token)") if token else text


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _quote(text: str) -> str:
    """Quote a server's words: one printable line, of bounded length, without its full stop."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return (line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1] + "…").rstrip(". ")


def _host(url: str | bytes | None) -> str:
    return urlsplit(str(url or "")).netloc or "The server"


class Fetcher:
    """Fetches from CAVE hosts without caveclient, over connections that are kept open.

    Parameters
    ----------
    token
        The token to send, or None.
    timeout
        Seconds that one request may take, retries included.
    """

    def __init__(self, token: str | None, timeout: float = DEFAULT_TIMEOUT) -> None:
        self._session = requests.Session()
        guard(self._session, token, timeout)

    def fetch(self, url: str) -> bytes:
        """Fetch a whole answer (1 request).

        Raises
        ------
        ServiceError
            When it cannot be had.
        """
        return self._session.get(url).content

    def close(self) -> None:
        """Close the connections."""
        self._session.close()


def guard(
    session: requests.Session, token: str | None, timeout: float, *, repeatable: bool = True
) -> None:
    """Make a session send the token, wait no longer than it may, and raise our errors.

    Parameters
    ----------
    session
        A session that talks to CAVE hosts only.
    token
        The token to send, or None.
    timeout
        Seconds that one request may take, retries included.
    repeatable
        Whether a request that may have reached the server can be sent again.
    """
    adapter = GuardedAdapter(timeout, repeatable=repeatable)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.auth = _Bearer(token)


class _Bearer(requests.auth.AuthBase):
    """Sends the token. Set even without one: else requests would look for a .netrc password."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request
