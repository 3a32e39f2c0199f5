"""Find where readers must log in to open a link."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synglancer.states.reader import list_layers, list_source_urls

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOGIN = re.compile(r"middleauth\+https://([^/\"?#\s]+)")
_MICRONS_HOSTS = {"global.daf-apis.com", "minnie.microns-daf.com"}
_MICRONS_TERMS = "https://global.daf-apis.com/sticky_auth/api/v1/tos/2/accept"


@dataclass(frozen=True)
class LoginNotice:
    """What readers must do before a link opens.

    Attributes
    ----------
    text
        One sentence.
    terms_url
        Address for accepting the terms of service, or None.
    """

    text: str
    terms_url: str | None


def build_login_notice(url: str, state: Mapping[str, Any]) -> LoginNotice | None:
    """Say what readers must do before a link opens; None if it opens for everybody.

    Parameters
    ----------
    url
        The link.
    state
        The state.
    """
    host = find_login_host(url, state)
    if host is None:
        return None
    if host in _MICRONS_HOSTS:
        return LoginNotice(
            "To open the link, log in with a Google account and accept the MICrONS terms of "
            "service once.",
            _MICRONS_TERMS,
        )
    return LoginNotice(f"To open the link, log in at {host}.", None)


def find_login_host(url: str, state: Mapping[str, Any]) -> str | None:
    """Find the host at which readers of a link must log in.

    Parameters
    ----------
    url
        The link.
    state
        The state.

    Returns
    -------
    str or None
        The host, or None if the link opens for everybody.
    """
    sources = (address for layer in list_layers(state) for address in list_source_urls(layer))
    for address in (url, *sources):
        if found := _LOGIN.search(address):
            return found[1]
    return None
