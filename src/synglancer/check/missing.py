"""Tell missing states from states whose server fails.

CAVE's state server answers a missing state and its own failures in the same way, with an error page
and status 500. So a state counts as missing only if, after a pause, the same server still fails for
it but serves another state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synglancer.cave.auth import read_origin
from synglancer.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

PAUSE = 5.0
"""Seconds before a state that seems to be missing is requested again."""

_MOST_WITNESSES = 3
"""Most other states of a server that are requested."""


def find_missing(
    suspects: Collection[str], witnesses: Collection[str], fetch: Callable[[str], bytes]
) -> set[str]:
    """Find the states that no longer exist.

    Parameters
    ----------
    suspects
        Addresses of states that their server failed to give, twice with a pause between.
    witnesses
        Addresses of states that should be there, the likeliest first.
    fetch
        Fetches a state; raises `ServiceError` if that fails.

    Returns
    -------
    set of str
        The missing suspects. The others exist, or it is not known.
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
