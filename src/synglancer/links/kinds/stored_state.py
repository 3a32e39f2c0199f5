"""Store a state that a user made or changed, and make a link that opens it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import orjson

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
        A Neuroglancer state of plain values; the order of its keys is kept, because axes depend on
        it.
    settings
        The server, the viewer, and whether the link carries the state instead.
    token
        The token for the server, where it is known.

    Returns
    -------
    LinkRecord
        Its provenance is read from the state, as for any link.

    Raises
    ------
    TooLargeError
        When the state is too large for a link or the state server.
    ServiceError
        When the server refuses the state or returns a different one.
    """
    started = time.monotonic()
    session = Session.begin(settings, token=token)
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
