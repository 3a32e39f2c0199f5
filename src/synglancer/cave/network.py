"""Find proxies and certificates for a server, and explain failed connections."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from synglancer.cave.auth import is_loopback
from synglancer.cave.responses import name_host, quote_words

if TYPE_CHECKING:
    from synglancer.errors import SynglancerError

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name a file of certificates, in the order in which requests reads them."""

_CONNECTION = re.compile(r"^\w*Connection(Pool)?\([^)]*\): ")
"""Beginning of urllib3's messages, which name its own objects."""


@dataclass(frozen=True)
class Proxy:
    """A proxy between this machine and a server.

    Attributes
    ----------
    host
        Its host and port, without user and password.
    variable
        The environment variable that sets it, or None if the system sets it.
    """

    host: str
    variable: str | None


def find_proxy(url: str) -> Proxy | None:
    """Find the proxy for an address; None for a direct connection."""
    if is_loopback(urlsplit(url).hostname):
        return None
    address = select_proxy(url, get_environ_proxies(url))
    if not address:
        return None
    kinds = (urlsplit(url).scheme, "all")
    names = [name for kind in kinds for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
    return Proxy(name_proxy(address), next((name for name in names if os.environ.get(name)), None))


def name_proxy(address: str) -> str:
    """Name a proxy without the password that its address may hold."""
    try:
        host = name_host(address if "://" in address else f"//{address}")
    except ValueError:
        return "with an address that cannot be read"
    return host.rpartition("@")[2]


def find_certificates() -> tuple[str, str] | None:
    """Find the variable with the file of certificates; None for the default of requests."""
    return next(((name, os.environ[name]) for name in _BUNDLES if os.environ.get(name)), None)


def explain_failure(error: SynglancerError) -> str | None:
    """Return the message of the library or the system behind one of our errors.

    Returns
    -------
    str or None
        One line, without an address that may hold a password; None if there is nothing to add.
    """
    cause: object = error.__cause__
    while isinstance(cause, BaseException):
        inner = getattr(cause, "reason", None) or getattr(cause, "original_error", None)
        inner = inner if isinstance(inner, BaseException) else next(iter(cause.args), None)
        if not isinstance(inner, BaseException):
            text = _CONNECTION.sub("", str(cause))
            return None if "@" in text or not text.strip() else quote_words(text)
        cause = inner
    return None
