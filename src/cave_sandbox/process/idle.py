"""When a background sandbox has been left alone for long enough to end."""

from __future__ import annotations

#: How long an open page that asks for nothing keeps the sandbox alive, in seconds.
PAGE_LIMIT = 12 * 3600.0


class IdleWatch:
    """Decides whether a sandbox is idle: after ``limit`` seconds without a sign of use.

    A request is a sign of use. So is an open page, since one whose data are all loaded asks for
    nothing while somebody looks at it; but a page forgotten in a tab holds only for `PAGE_LIMIT`
    after its last request. Times are seconds of any clock that only goes forward.

    Examples
    --------
    >>> watch = IdleWatch(60, now=0)
    >>> watch.is_idle(now=59, requests=0, pages=0), watch.is_idle(now=60, requests=0, pages=0)
    (False, True)
    """

    def __init__(self, limit: float, *, now: float) -> None:
        self.limit = limit
        self._requests = 0
        self._last_request = now
        self._last_sign = now

    def is_idle(self, *, now: float, requests: int, pages: int) -> bool:
        """Take notice of all requests so far and the open pages, and say whether time is up."""
        if requests != self._requests:
            self._requests = requests
            self._last_request = self._last_sign = now
        elif pages and now - self._last_request < PAGE_LIMIT:
            self._last_sign = now
        return now - self._last_sign >= self.limit
