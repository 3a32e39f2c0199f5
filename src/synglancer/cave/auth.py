"""Decide which servers get the token: the chosen CAVE server, and the server of its data.

No viewer and no redirect target gets it, and over plain http only this machine.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from synglancer.cave.responses import quote_words
from synglancer.errors import ServiceError, UsageError

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class Credentials:
    """A token, and the servers that may see it.

    Parameters
    ----------
    token
        The token, or None.
    server
        Address of the chosen CAVE server.

    Raises
    ------
    UsageError
        When others could read the token on the way to that server.
    """

    def __init__(self, token: str | None, server: str) -> None:
        self._token = token
        self._server = server
        own = read_origin(server)
        self._local = own is not None and own[0] == "http" and is_loopback(own[1])
        if token and own is not None and own[0] != "https" and not self._local:
            raise UsageError(
                f"The token would travel unencrypted to {quote_words(server)}.",
                "Give --server as an address that begins with https://; http:// is for this "
                "machine only.",
            )
        self._trusted = {own}

    def __repr__(self) -> str:
        """Show the servers that get the token, but not the token."""
        return f"Credentials({'***' if self._token else None}, {self._server!r})"

    def trust(self, server: str) -> None:
        """Also allow a server that the chosen server relies on.

        Parameters
        ----------
        server
            Its address, as given by the chosen server.

        Raises
        ------
        ServiceError
            When it is not an address, or others could read the token on the way there.
        """
        origin = read_origin(server)
        safe = origin is not None and (
            origin[0] == "https" or not self._token or (self._local and is_loopback(origin[1]))
        )
        if not safe:
            raise ServiceError(
                f"{quote_words(self._server)} keeps its data at {quote_words(server)}, but "
                "sending the token there would not be safe.",
                "Nothing was sent there. Tell the server's administrators that it needs https.",
            )
        self._trusted.add(origin)

    def token_for(self, url: str | None) -> str | None:
        """Return the token if the server of an address may get it, otherwise None."""
        return self._token if self.are_for(url) else None

    def are_for(self, url: str | None) -> bool:
        """Whether the server of an address may get the token."""
        return read_origin(url or "") in self._trusted - {None}


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine, by its name alone: ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def read_origin(url: str) -> Origin | None:
    """Return scheme, host and port of an address; None if it is not http or https."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]
