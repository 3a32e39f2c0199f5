"""Limit the total time of answers, wherever the server stops and however slow it is.

A socket's timeout restarts with each piece of a slow answer, so the connection is closed when the
time is up.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

import requests
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ARROW = "data.arrow"
"""The content type of a table, which may be of any size: its rows are limited by the server."""

_PIECE = 16 * 1024  # bytes, before they are unpacked: gzip packs a thousandfold at most


class OversizeError(Exception):
    """A body is too large once it is unpacked."""


def read_whole(response: requests.Response, deadline: float, most: int) -> None:
    """Read the body, so that an answer that breaks off fails like a request.

    Parameters
    ----------
    response
        An answer whose headers have arrived.
    deadline
        The time (`time.monotonic`) by which the body must be complete.
    most
        The largest number of bytes once unpacked; tables may be larger.

    Raises
    ------
    OversizeError
        When it is larger. Never more than this is held in memory.
    requests.ReadTimeout
        When it is not complete in time.
    requests.RequestException
        When it breaks off or cannot be unpacked.
    """
    with _shutting(response.raw.shutdown, deadline - time.monotonic()) as late:
        try:
            # Does what requests would do, but within bounds.
            response._content = _read_bounded(response, most)  # noqa: SLF001
        except requests.RequestException as error:
            if late.is_set() or isinstance(error.args[0], ReadTimeoutError):
                raise requests.ReadTimeout(request=response.request) from error
            raise
    if late.is_set():  # a body without a length ends where it is shut
        raise requests.ReadTimeout(request=response.request)


def _read_bounded(response: requests.Response, most: int) -> bytes:
    bounded = not response.headers.get("Content-Type", "").startswith(_ARROW)
    if bounded and "," in response.headers.get("Content-Encoding", ""):
        raise OversizeError  # packed twice: each piece could be a million times as large
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if bounded and len(body) > most:
            response.close()
            body.clear()  # the error's traceback would hold it
            raise OversizeError
    return bytes(body)


@contextmanager
def _shutting(shut: Callable[[], Any], seconds: float) -> Iterator[threading.Event]:
    """Shut a connection when the time is up; the event tells whether that was done."""
    late = threading.Event()

    def act() -> None:
        late.set()
        with suppress(OSError, ValueError, RuntimeError):  # it may just have ended by itself
            shut()

    timer = threading.Timer(max(seconds, 0), act)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()


class _Timed:
    """Bounds how long the headers of an answer may take, all of them together."""

    sock: socket.socket
    timeout: Any  # in seconds; `GuardedAdapter` sets it for every request

    def getresponse(self) -> Any:
        held = self.sock  # the connection may drop it
        with _shutting(lambda: held.shutdown(socket.SHUT_RDWR), self.timeout) as late:
            try:
                response = super().getresponse()  # type: ignore[misc]
            except (OSError, HTTPException) as error:
                if late.is_set():
                    raise TimeoutError from error
                raise
        if late.is_set():  # headers end where the connection was shut
            response.close()
            raise TimeoutError
        return response


class _TimedConnection(_Timed, HTTPConnection):
    pass


class _TimedSecureConnection(_Timed, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _TimedSecureConnection


POOLS = {"http": _Pool, "https": _SecurePool}
"""Pools of connections that are bounded so, by scheme."""
