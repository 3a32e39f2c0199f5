"""Which cells a state selects, and when its segmentation is pinned."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from synglancer.states.reader import is_shown, list_segmentation_layers, list_source_urls

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""What stands for a timestamp that a state does not say."""

_MAX_UINT64 = 2**64 - 1
_MAX_DIGITS = 20
_HIDDEN = "!"
_LEAST_MILLISECONDS = 10**11
"""Numbers below count seconds: in milliseconds they would lie before March 1973."""


def read_selected_cells(
    state: Mapping[str, Any], segmentation: str | None = None
) -> tuple[int, ...]:
    """Read which cells a state selects.

    Segments that are listed but hidden (``!``), of layers that are hidden or archived, and segment
    0 are left out; those that are equivalent to a segment are with it. Where some layers are
    chunked graphs, the segments of others (outlines of regions, nuclei) are not root IDs and are
    left out as well.

    Parameters
    ----------
    state
        A Neuroglancer state.
    segmentation
        Source of the segmentation whose cells are wanted; those of others are left out.

    Returns
    -------
    tuple of int
        Root IDs, each once, in the order of the state.
    """
    layers = [layer for layer in list_segmentation_layers(state) if is_shown(layer)]
    if segmentation is not None:
        layers = [layer for layer in layers if is_source(layer, segmentation)]
    graphs = [layer for layer in layers if is_graph(layer)]
    selected = [cell for layer in graphs or layers for cell in read_segments(layer)]
    return tuple(dict.fromkeys(selected))


def read_segments(layer: Mapping[str, Any]) -> list[int]:
    """Read the segments that a layer draws, each once.

    Those that are listed but hidden are left out. A segment stands for all that are equivalent to
    it, in ascending order; a chunked graph has its own, and viewers leave the state's out.
    """
    segments = layer.get("segments")
    listed = segments if isinstance(segments, list) else []
    equivalent = {} if is_graph(layer) else _read_equivalences(layer)
    drawn: dict[int, None] = {}
    for segment in listed:
        cell = read_id(segment)
        if cell and cell not in drawn:
            drawn.update(dict.fromkeys(sorted(equivalent.get(cell, {cell}))))
    return [*drawn]


def _read_equivalences(layer: Mapping[str, Any]) -> dict[int, set[int]]:
    """Read, for each segment that has some, the set of all that are equivalent to it."""
    given = layer.get("equivalences")
    sets: dict[int, set[int]] = {}
    for group in given if isinstance(given, list) else []:
        cells = (
            [cell for item in group if (cell := read_id(item))] if isinstance(group, list) else []
        )
        for cell in cells:
            whole, other = (sets.setdefault(one, {one}) for one in (cells[0], cell))
            if other is not whole:
                small, large = sorted((whole, other), key=len)  # else a long chain takes for ever
                large |= small
                sets.update(dict.fromkeys(small, large))
    return sets


def read_id(given: object) -> int:
    """Read a 64-bit ID; 0 for anything else, such as the names that viewers make.

    Other tools write IDs as JSON numbers too. A viewer rounds those; Python reads them whole.
    """
    if isinstance(given, bool) or not isinstance(given, str | int):
        return 0
    text = str(given)[: _MAX_DIGITS + 1]
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        return 0
    number = int(text)
    return number if number <= _MAX_UINT64 else 0


def is_source(layer: Mapping[str, Any], segmentation: str) -> bool:
    """Whether a layer draws a segmentation, whatever its scheme and login."""
    name = _strip_scheme(segmentation)
    return any(_strip_scheme(url) == name for url in list_source_urls(layer))


def is_graph(layer: Mapping[str, Any]) -> bool:
    """Whether a layer draws a chunked graph, whose segments are root IDs."""
    return layer.get("type") == "segmentation_with_graph" or any(
        url.startswith("graphene://") for url in list_source_urls(layer)
    )


def _strip_scheme(source: str) -> str:
    return source.rpartition("://")[2].partition("|")[0].rstrip("/")


def read_pin(state: Mapping[str, Any]) -> datetime | None:
    """Read the timestamp that the segmentation is pinned to (UTC), or None.

    Viewers count milliseconds; a number that can only be seconds is read as such. Where layers
    that are shown differ, the first graph counts.
    """
    layers = [layer for layer in list_segmentation_layers(state) if is_shown(layer)]
    for layer in sorted(layers, key=lambda layer: not is_graph(layer)):
        pin = _read_number(layer.get("timestamp"))
        if pin is None or pin <= 0:
            continue
        milliseconds = pin * 1000 if pin < _LEAST_MILLISECONDS else pin
        try:
            return EPOCH + timedelta(milliseconds=milliseconds)
        except OverflowError:
            continue
    return None


def _read_number(given: object) -> int | float | None:
    """Read a number, also from a text; whole ones stay whole, so that no digit is lost."""
    if isinstance(given, bool):
        return None
    if isinstance(given, str):
        text = given.strip()[: _MAX_DIGITS + 1]
        if text.isascii() and text.isdigit():
            return int(text)
        return None
    number = isinstance(given, int | float) and math.isfinite(given)
    return given if number else None  # type: ignore[return-value]
