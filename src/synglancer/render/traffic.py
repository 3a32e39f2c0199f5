"""Follow the requests of a viewer's page: whether it is still loading, and what failed."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request, Response

# Neuroglancer requests each piece of data once; a failed piece stays missing.
_FAILED = re.compile(r"Error retrieving chunk .*?: (?:\w*Error: )?(.*)", re.DOTALL)
_QUIET_S = 1.0
_STREAMS = "eventsource"  # open as long as the page is
_LONGEST = 200
_MOST = 3


class Traffic:
    """Follows the requests of a page and of its workers.

    Parameters
    ----------
    page
        A page of Playwright.
    """

    def __init__(self, page: Page) -> None:
        self._open: set[Request] = set()
        self._failure: str | None = None
        self._refused: dict[str, int] = {}
        self._last = time.monotonic()
        page.on("console", self._hear)
        page.on("request", self._begin)
        page.on("response", self._answer)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def forget(self) -> None:
        """Start again with another view."""
        self._open.clear()
        self._failure = None
        self._refused.clear()
        self._last = time.monotonic()

    def find_failure(self) -> str | None:
        """Return what could not be fetched, once all requests have ended; otherwise None."""
        quiet = not self._open and time.monotonic() - self._last > _QUIET_S
        if not quiet or self._failure is None:
            return None
        named = [f"{url} answered with status {status}" for url, status in self._refused.items()]
        return ", ".join(named[:_MOST]) or self._failure

    def _hear(self, message: ConsoleMessage) -> None:
        if self._failure is None and (found := _FAILED.match(message.text)):
            self._failure = " ".join(found[1].split())[:_LONGEST]
            self._last = time.monotonic()

    def _begin(self, request: Request) -> None:
        if request.resource_type != _STREAMS:
            self._open.add(request)
            self._last = time.monotonic()

    def _answer(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST:
            place = response.url.partition("?")[0]  # the rest may hold a secret
            self._refused[place[:_LONGEST]] = response.status

    def _end(self, request: Request) -> None:
        self._open.discard(request)
        self._last = time.monotonic()
