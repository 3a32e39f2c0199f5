"""Find the state of a link: carried by the link, just made, or fetched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from synglancer.cave.auth import is_loopback
from synglancer.cells.naming import name_in_files
from synglancer.errors import TooLargeError, UsageError
from synglancer.states.login import find_login_host
from synglancer.states.provenance import read_recorded, read_shown_cells
from synglancer.states.reader import parse_link_state
from synglancer.states.urls import format_inline_link, is_state_file, parse_link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.states.record_parts import NamedSynapse


@dataclass(frozen=True)
class OpenedLink:
    """A link and its state.

    Attributes
    ----------
    url
        The link.
    site
        The viewer's address.
    state
        The Neuroglancer state; 64-bit IDs are strings.
    """

    url: str
    site: str
    state: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The part of file names with the synapses or cells, if the state names them."""
        synapses = read_recorded(self.state).synapses
        return name_for_files(read_shown_cells(self.state), synapses)

    def for_browser(self) -> OpenedLink:
        """Return the link that a browser opens: this one, or an inline link for a file's state.

        Raises
        ------
        UsageError
            When the state of a file is too large for a link.
        """
        if not is_state_file(self.url):
            return self
        server = read_recorded(self.state).server
        # The sandbox has its own viewer, and others may be unable to read it.
        own = is_loopback(urlsplit(server).hostname)
        site = f"{server}/v/synglancer/" if own else self.site
        try:
            url = format_inline_link(site, orjson.dumps(dict(self.state)))
        except TooLargeError as error:
            raise UsageError(
                f"The file {self.url} is too large to be opened in a viewer as a link.",
                "Choose the renderer plot, which draws the synapses without a browser.",
            ) from error
        return replace(self, url=url, site=site)

    @property
    def login_host(self) -> str | None:
        """Host at which readers must log in, or None."""
        return find_login_host(self.url, self.state)


def name_for_files(cells: Sequence[int], synapses: Sequence[NamedSynapse] = ()) -> str:
    """Write the synapses or cells of a link as a part of file names."""
    if synapses:
        return f"synapse-{name_in_files([one.id for one in synapses])}"
    return name_in_files(cells) if cells else "view"


def open_link(link: str, *, server: str | None = None, token_file: str | None = None) -> OpenedLink:
    """Find the state behind a link.

    Parameters
    ----------
    link
        Any Neuroglancer link.
    server
        Address of the CAVE server, the only one that gets the token.
    token_file
        File with the token, or None to find the token as usual.

    Raises
    ------
    UsageError
        When it is not a Neuroglancer link.
    ServiceError
        When its state cannot be fetched (1 request) or is not a Neuroglancer state.
    """
    parsed = parse_link(link)
    fetched = None
    if parsed.state_url is not None:
        from synglancer.cave.access import fetch_link_state  # imports requests

        fetched = fetch_link_state(parsed.state_url, server=server, token_file=token_file)
    state = parse_link_state(parsed, fetched)
    return OpenedLink(link.strip(), parsed.site, state)
