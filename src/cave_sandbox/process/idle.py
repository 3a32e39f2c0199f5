"""Decide when a background sandbox has been idle for long enough to end."""

from __future__ import annotations

#: How long an open page without requests keeps the sandbox running, in seconds.
PAGE_LIMIT = 12 * 3600.0


class IdleWatch:
    """Decides whether a sandbox is idle, which it is after ``limit`` seconds without use.

    A request counts as use. So does an open page, since a page that has loaded all its data makes
    no requests while somebody looks at it; but a page forgotten in a tab counts only for
    `PAGE_LIMIT` after its last request. Times are seconds of any monotonic clock.

    Examples
    --------
    >>> watch = IdleWatch(60, now=0)
    >>> watch.is_idle(now=59, used=False, pages=0), watch.is_idle(now=60, used=False, pages=0)
    (False, True)
    """

    def __init__(self, limit: float, *, now: float) -> None:
        self.limit = limit
        self._last_request = self._last_sign = now

    def is_idle(self, *, now: float, used: bool, pages: int) -> bool:
        """Note whether there were requests, and the number of open pages; return whether it is."""
        if used:
            self._last_request = self._last_sign = now
        elif pages and now - self._last_request < PAGE_LIMIT:
            self._last_sign = now
        return now - self._last_sign >= self.limit
