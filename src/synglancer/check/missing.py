"""Tell missing states from states whose server fails.

CAVE's state server answers a missing state and its own failures in the same way, with an error page
and status 500. So a state counts as missing only if the same server keeps failing for it while it
serves another state. If no other state is known or served, the state is requested again after a
pause.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from synglancer.cave.auth import read_origin
from synglancer.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

PAUSE = 2.0
"""Seconds before a state is requested again if it is not known whether its server works."""

_MOST_WITNESSES = 3
"""Most other states of a server that are requested."""


def wait_for_servers(
    suspects: Iterable[str], witnesses: Collection[str], fetch: Callable[[str], bytes]
) -> None:
    """Pause, unless the server of each suspect serves another state now; see `find_missing`."""
    for server in dict.fromkeys(map(read_origin, suspects)):
        if not _is_working(server, witnesses, fetch):
            time.sleep(PAUSE)
            return


def _is_working(server: object, witnesses: Iterable[str], fetch: Callable[[str], bytes]) -> bool:
    """Whether a server serves one of its states (at most 3 requests)."""
    near = [url for url in dict.fromkeys(witnesses) if read_origin(url) == server]
    return any(_is_served(url, fetch) for url in near[:_MOST_WITNESSES])


def find_missing(
    suspects: Collection[str], witnesses: Collection[str], fetch: Callable[[str], bytes]
) -> set[str]:
    """Find the states that no longer exist.

    Parameters
    ----------
    suspects
        Addresses of states that their server failed to return twice.
    witnesses
        Addresses of states that should exist, the likeliest first.
    fetch
        Fetches a state; raises `ServiceError` if that fails.

    Returns
    -------
    set of str
        The missing suspects. The others exist, or it is not known.
    """
    others = [url for url in witnesses if url not in suspects]
    return {
        suspect
        for suspect in suspects
        if _is_working(read_origin(suspect), others, fetch) and not _is_served(suspect, fetch)
    }


def _is_served(state_url: str, fetch: Callable[[str], bytes]) -> bool:
    try:
        fetch(state_url)
    except ServiceError:
        return False
    return True
