"""Addresses of layers as viewers need them: those behind a login say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def format_sources(sources: Sequence[str], server: str) -> list[str]:
    """Source URLs as viewers need them: those behind a login say so.

    Graphene over https needs a login, and so does a precomputed source on the same host as a
    graphene one or as the server itself. Plain http has no login in any viewer.

    Examples
    --------
    >>> format_sources(["graphene://https://cave.org/table"], "https://cave.org")
    ['graphene://middleauth+https://cave.org/table']
    """
    marked = [
        url.replace("graphene://https://", "graphene://middleauth+https://") for url in sources
    ]
    private = {_read_host(url) for url in marked if url.startswith("graphene://")}
    private.add(_read_host(server))
    return [
        url.replace("precomputed://https://", "precomputed://middleauth+https://")
        if _read_host(url) in private
        else url
        for url in marked
    ]


def _read_host(url: str) -> str:
    """Host and port of a source URL, whatever schemes are in front of it."""
    return url.rpartition("://")[2].split("/", 1)[0].lower()
