"""Upload states and segment properties, and read them back before a link names them."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from synglancer.errors import ServiceError, TooLargeError
from synglancer.links.warnings import explain_inline, explain_lost_pin
from synglancer.settings import MAX_STATE
from synglancer.states.urls import format_inline_link, format_link, has_hash, resolve_site
from synglancer.view_settings import recognise_site

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.cave.session import Session
    from synglancer.settings import Settings
    from synglancer.view.state import State


@dataclass(frozen=True)
class Placed:
    """Where a state is.

    Attributes
    ----------
    url
        The link.
    state_url
        Address of the stored state; None for a link that carries it.
    warnings
        What readers should know about the viewer, one sentence each.
    """

    url: str
    state_url: str | None
    warnings: Sequence[str]

    @property
    def state_id(self) -> str | None:
        """The state's number on its server, as a decimal string."""
        return self.state_url.rsplit("/", 1)[-1] if self.state_url else None


def place_state(session: Session, settings: Settings, state: State) -> Placed:
    """Store a state on the state server, or put it into the link with --inline.

    Raises
    ------
    TooLargeError
        When the state is larger than the state server accepts.
    ServiceError
        When the server refuses the state or returns a different one.
    """
    site = resolve_site(settings.site, session.datastack.viewer_site)
    name = recognise_site(settings.site, site)
    warnings = explain_lost_pin(site, name, session.datastack.segmentation_source)
    if settings.inline:
        other = "without --inline" if settings.source is None else "with --upload"
        inline = explain_inline(site, session.server, other)
        return Placed(format_inline_link(site, state.json), None, [*inline, *warnings])
    state_url = upload_state(session, state)
    return Placed(format_link(site, state_url), state_url, warnings)


def upload_state(session: Session, state: State) -> str:
    """Upload a state and read it back (2 requests); return its address.

    Raises
    ------
    TooLargeError
        When the state is larger than the state server accepts.
    ServiceError
        When the server refuses the state or returns a different one.
    """
    if len(state.json) > MAX_STATE:
        raise TooLargeError(
            f"The state has {len(state.json) / 10**6:,.0f} MB, more than the "
            f"{MAX_STATE // 10**6} MB that state servers take.",
            "Show fewer synapses with --tag, --min-confidence, --inputs or --outputs.",
        )
    state_url = session.upload_state(state.json)
    if not has_hash(session.fetch_state(state_url), state.sha256):
        raise ServiceError(
            "The state server returned a different state from the one it was sent.",
            "Try again; if it happens again, use --inline and tell the server's administrators.",
        )
    return state_url


def upload_properties(session: Session, content: bytes) -> str:
    """Upload segment properties, in canonical JSON, and read them back (2 requests).

    Returns their address. Each machine uploads the same properties only once, so that the same
    question gives the same state. Each time, one request checks that they still exist.

    Raises
    ------
    ServiceError
        When the server refuses them or returns different ones.
    """
    digest = hashlib.sha256(content).hexdigest()

    def upload() -> str:
        url = session.upload_properties(content)
        if not _is_stored(session, f"{url}/info", digest):
            raise ServiceError(
                "The state server returned different segment properties from those it was sent.",
                "Try again, or leave --cell-types out.",
            )
        return url

    return _upload_once(session, "properties", digest, upload, "/info")


def upload_state_once(session: Session, state: State) -> str:
    """Upload a state as `upload_state` does, unless this machine has already done so.

    Each time, one request checks that it still exists.

    Raises
    ------
    SynglancerError
        As `upload_state`.
    """
    return _upload_once(session, "state", state.sha256, lambda: upload_state(session, state))


def _upload_once(
    session: Session, kind: str, digest: str, upload: Callable[[], str], end: str = ""
) -> str:
    """Return the address of an earlier upload if the server still has it, or else upload."""
    question = [session.server, kind, digest]
    known = session.store.load("links", question)
    if known is not None:
        with suppress(ServiceError):
            if _is_stored(session, f"{known['url']}{end}", digest):
                return str(known["url"])
    url = upload()
    session.store.save("links", question, {"url": url})
    return url


def _is_stored(session: Session, url: str, digest: str) -> bool:
    return has_hash(session.fetch_state(url), digest)
