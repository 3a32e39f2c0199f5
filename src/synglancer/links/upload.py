"""What a link needs on the state server: uploaded, and read back before anything names it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING

from synglancer.errors import ServiceError
from synglancer.states.urls import hash_state

if TYPE_CHECKING:
    from synglancer.cache.answers import Store
    from synglancer.synapses.sources import Sources
    from synglancer.view.state import State


def upload_state(sources: Sources, state: State) -> str:
    """Upload a state and read it back (2 requests); return its address.

    Raises
    ------
    ServiceError
        When the server refuses it, or gives back another one.
    """
    state_url = sources.upload_state(state.json)
    if hash_state(sources.fetch_state(state_url)) != state.sha256:
        raise ServiceError(
            "The state server gave back another state than it was sent.",
            "Try again; if it stays so, use --inline and tell the server's administrators.",
        )
    return state_url


def upload_properties(sources: Sources, store: Store, content: bytes) -> str:
    """Upload segment properties and read them back (2 requests); return their address.

    The same ones are uploaded once from a machine, so that the same question gives the same state;
    that they are still there is asked each time (1 request).

    Parameters
    ----------
    sources
        Whose state server.
    store
        Where their addresses are kept.
    content
        Canonical JSON.

    Raises
    ------
    ServiceError
        When the server refuses them, or gives back others.
    """
    digest = hashlib.sha256(content).hexdigest()
    known = store.load_properties(sources.server, digest)
    if known is not None:
        with suppress(ServiceError):
            if _is_stored(sources, known, digest):
                return known
    url = sources.upload_properties(content)
    if not _is_stored(sources, url, digest):
        raise ServiceError(
            "The state server gave back other segment properties than it was sent.",
            "Try again, or leave --cell-types out.",
        )
    store.save_properties(sources.server, digest, url)
    return url


def _is_stored(sources: Sources, url: str, digest: str) -> bool:
    return hash_state(sources.fetch_state(f"{url}/info")) == digest
