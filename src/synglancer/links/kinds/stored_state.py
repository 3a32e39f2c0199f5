"""A state that a user made or changed → stored, read back, and the link that opens it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cache.answers import Store
from synglancer.cave.session import Session
from synglancer.links.link_record import LinkRecord
from synglancer.links.upload import place_state
from synglancer.states.provenance import parse_provenance
from synglancer.states.urls import hash_state
from synglancer.view.state import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.settings import Settings


def store_state(
    state: Mapping[str, Any], settings: Settings, token: str | None = None
) -> LinkRecord:
    """Store a state and read it back (2 requests, and 1 for the viewer of the datastack).

    Parameters
    ----------
    state
        A Neuroglancer state of plain values; its keys keep their order, which is that of axes.
    settings
        Where it is stored, for which viewer, and whether it is put into the link instead.
    token
        The token for the server, where it is known.

    Returns
    -------
    LinkRecord
        What it shows and where that comes from is read from the state, as for any link.

    Raises
    ------
    TooLargeError
        When it is larger than a link or a state server may hold.
    ServiceError
        When the server refuses it, or gives back another one.
    """
    started = time.monotonic()
    store = Store(enabled=not settings.no_cache)
    session = Session(settings.service, store, settings.version, token)
    content = orjson.dumps(state)
    sha256 = hash_state(content) or ""
    provenance, warnings = parse_provenance(state)
    placed = place_state(session, settings, State(content, sha256))
    return LinkRecord(
        given=placed.url,
        url=placed.url,
        state_url=placed.state_url,
        state_id=placed.state_id,
        state_sha256=sha256,
        provenance=provenance,
        warnings=[*warnings, *placed.warnings],
        elapsed_s=time.monotonic() - started,
        state_json=content,
    )
