"""Convert answers to our errors, unless they are complete and have status 200.

It reads the status, headers and body from CAVE's services and the proxies in front of them. Only
the server's own words are quoted, as one printable line without the token.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from synglancer.errors import (
    LoginError,
    NotServedError,
    PermissionMissingError,
    RateLimitError,
    ServiceError,
    TermsOfServiceError,
    TruncatedError,
    UnreachableError,
)
from synglancer.text.printable import printable

if TYPE_CHECKING:
    import requests

_ARROW_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""The end of an Arrow stream. Without checking for it, readers would accept a cut-off stream."""

_HTTP_OK = 200
_PASSING = frozenset({502, 503, 504})
_LIMITED = re.compile(r"Limited query to (\d+) rows")
_NOT_REFLECTED = re.compile(r"requested table\(s\) not available .*\(([^()]+)\)\s*$", re.DOTALL)
_PRIVATE = re.compile(r"\b401 (?:Client Error|Unauthorized)\b", re.IGNORECASE)
_HIDDEN_STATUS = re.compile(r"^(4\d\d) [A-Z][A-Za-z ]+: ?(.*)", re.DOTALL)
_MAX_QUOTE = 200


def check_answer(response: requests.Response) -> None:
    """Raise the error of an answer, unless it is complete and has status 200.

    Parameters
    ----------
    response
        An answer whose body has been read.

    Raises
    ------
    ServiceError
        One of its subclasses. Never holds a token: only the server's own words are quoted.
    """
    host = name_host(response.url)
    status = response.status_code
    if response.is_redirect or status in {401, 302}:
        raise _login_error(host, has_token="Authorization" in response.request.headers)
    message = _server_message(response)
    hidden = _HIDDEN_STATUS.match(message)
    if hidden and status >= _HTTP_OK:
        status, message = int(hidden[1]), hidden[2] or message
    _check_rights(response, host, status, message)
    if status == 404:  # noqa: PLR2004
        raise NotServedError(
            f"{host} did not find what was requested{_quote_after(message)}.",
            "Check --datastack, --version and --table.",
        )
    if status == 429:  # noqa: PLR2004
        raise RateLimitError(
            f"{host} received too many requests{_quote_after(message)}.",
            "Wait a minute, then try again.",
            sent=False,  # refused before it had an effect
            retry_after=_retry_after(response),
        )
    if status != _HTTP_OK:
        message = re.sub(rf"^{status}\b[\s:]*(Internal Server Error)?[\s:]*", "", message)
        raise ServiceError(
            f"{host} failed with status {status}{_quote_after(message)}.",
            "Try again later; if it happens again, tell the server's administrators."
            if status in _PASSING or not message.strip() or "<html" in message
            else "Check the options; if they are right, tell the server's administrators.",
            transient=status in _PASSING,
        )
    if not _is_whole(response):
        raise UnreachableError(
            f"{host} broke off in the middle of its answer.", "Try again later.", sent=True
        )
    limited = _LIMITED.search(response.headers.get("Warning", ""))
    if limited:
        raise TruncatedError(
            f"{host} cut its answer off after {int(limited[1]):,} rows.",
            "Request less at a time, for instance only --inputs or only --outputs.",
            limit=int(limited[1]),
            content=response.content,
        )


def _check_rights(response: requests.Response, host: str, status: int, message: str) -> None:
    """Raise the error for a table or view that does not exist, or that the token may not read."""
    unknown = _NOT_REFLECTED.search(message)
    if unknown:
        raise NotServedError(
            f"{host} has no table or view {quote_words(unknown[1])} at this version.",
            "Check its name, or choose another --version.",
        )
    if status == 401 or _PRIVATE.search(message):  # noqa: PLR2004  # the token itself is good
        raise PermissionMissingError(
            f"The token has no permission for a private table on {host}: {quote_words(message)}.",
            "Choose another table, or ask its owner for permission.",
        )
    if status == 403:  # noqa: PLR2004
        raise _forbidden_error(response, host)


def _is_whole(response: requests.Response) -> bool:
    """Whether a body ends as its format requires, which its length does not prove.

    A gzip stream that breaks off is unpacked up to that point without an error.
    """
    kind = response.headers.get("Content-Type", "")
    if kind.startswith("data.arrow"):
        return response.content.endswith(_ARROW_END)
    if not kind.startswith("application/json"):
        return True
    try:
        orjson.loads(response.content)
    except ValueError:
        try:
            json.loads(response.content)  # NaN, which some servers write
        except RecursionError:
            return True  # reading it will fail later: no answer of CAVE is nested so deeply
        except ValueError:
            return False
    return True


def _read_json(response: requests.Response) -> object:
    """Read the body as JSON; return None if it is not JSON or is nested too deeply."""
    try:
        return json.loads(_body(response))
    except (ValueError, RecursionError):
        return None


def _login_error(host: str, *, has_token: bool) -> LoginError:
    if has_token:
        return LoginError(
            f"{host} does not accept the token.",
            "Get a new token from your CAVE server, and set CAVE_TOKEN or use --token-file.",
        )
    return LoginError(
        f"{host} asks for a login, but no token was found.",
        "Set CAVE_TOKEN, use --token-file, or save a token once with caveclient "
        "(CAVEclient.auth.save_token).",
    )


def _forbidden_error(response: requests.Response, host: str) -> ServiceError:
    refusal = _read_json(response)
    details = refusal.get("data") if isinstance(refusal, dict) else None
    details = details if isinstance(details, dict) else {}
    details = {name: quote_words(str(value)) for name, value in details.items()}
    if isinstance(refusal, dict) and refusal.get("error") == "missing_tos":
        return TermsOfServiceError(
            f"{host} requires you to accept its terms of service first: "
            f"{details.get('tos_name', 'terms of service')}.",
            f"Accept them once at {details.get('tos_form_url', 'the server')}, then try again.",
        )
    dataset = details.get("auth_dataset", "this dataset")
    return PermissionMissingError(
        f"The token has no permission to read {dataset} on {host}.",
        "Ask the dataset's owners for permission, or use another account's token.",
    )


def _server_message(response: requests.Response) -> str:
    """Return the server's message about a failure; it is empty for a good answer."""
    if response.status_code == _HTTP_OK:
        return ""
    answer = _read_json(response)
    if isinstance(answer, dict):
        return str(answer.get("message") or answer.get("error") or answer)
    text = _body(response)
    if "<html" in text.lower():
        title = re.search(r"<title>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
        return title[1] if title else "an HTML page"
    return answer if isinstance(answer, str) else text


def _body(response: requests.Response) -> str:
    """Return the body as text, without the token if a server repeats it."""
    token = response.request.headers.get("Authorization", "").removeprefix("Bearer ")
    text = response.content.decode("utf-8", "replace")
    return text.replace(token, "(token)") if token else text


def _retry_after(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def quote_words(text: str) -> str:
    """Quote a server's words: one printable line, of bounded length, without its full stop."""
    line = " ".join(printable(text).split())
    return (line if len(line) <= _MAX_QUOTE else line[: _MAX_QUOTE - 1] + "…").rstrip(". ")


def _quote_after(text: str) -> str:
    """Quote a server's words after a colon; empty if there are none."""
    words = quote_words(text)
    return f": {words}" if words else ""


def name_host(url: str | bytes | None) -> str:
    """Return the host of an address, with its port, for a sentence."""
    return urlsplit(str(url or "")).netloc or "The server"
