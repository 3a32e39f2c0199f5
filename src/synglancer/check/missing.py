"""Which states are not there any more, and which only seem so because their server fails.

CAVE's state server answers for a state that it does not have exactly as it does when it fails, with
an error page and status 500. So a state counts as missing only if, after a pause, the same server
still fails for it and serves another state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synglancer.cave.auth import read_origin
from synglancer.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PAUSE = 5.0
"""Seconds after which a state that seems to be missing is asked for again."""

_MOST_WITNESSES = 3
"""Other states of a server that are asked for at most."""


def find_missing(
    suspects: Collection[str], witnesses: Collection[str], fetch: Callable[[str], bytes]
) -> set[str]:
    """Find the states that are not there any more.

    Parameters
    ----------
    suspects
        Addresses of states that their server failed to give, twice with a pause between.
    witnesses
        Addresses of states that should be there, the likeliest first.
    fetch
        Fetches a state; raises `ServiceError` where it cannot be had.

    Returns
    -------
    set of str
        The suspects that are missing. Of the others it cannot be told, or they are there.
    """
    missing = set()
    for suspect in suspects:
        server = read_origin(suspect)
        others = [url for url in dict.fromkeys(witnesses) if url not in suspects]
        near = [url for url in others if read_origin(url) == server][:_MOST_WITNESSES]
        if any(_is_served(url, fetch) for url in near) and not _is_served(suspect, fetch):
            missing.add(suspect)
    return missing


def _is_served(state_url: str, fetch: Callable[[str], bytes]) -> bool:
    try:
        fetch(state_url)
    except ServiceError:
        return False
    return True
