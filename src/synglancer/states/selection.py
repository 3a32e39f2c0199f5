"""Read the selected cells of a state, and the timestamp of its segmentation."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from synglancer.states.fields import MAX_DIGITS, is_wrong_id, read_id
from synglancer.states.reader import is_shown, list_segmentation_layers, list_source_urls

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""The timestamp of states that have none."""

_HIDDEN = "!"
_LEAST_MILLISECONDS = 10**11
"""Smaller numbers are seconds, because as milliseconds they would be before March 1973."""


def read_selected_cells(
    state: Mapping[str, Any], segmentation: str | None = None
) -> tuple[int, ...]:
    """Read the selected cells of a state.

    Hidden segments (``!``), segments of hidden or archived layers, and segment 0 are left out.
    Segments that are equivalent to a selected segment are included. If some layers are chunked
    graphs, segments of other layers (outlines of regions, nuclei) are not root IDs and are left out
    as well.

    Parameters
    ----------
    state
        A Neuroglancer state.
    segmentation
        If given, only cells of the segmentation with this source are read.

    Returns
    -------
    tuple of int
        Root IDs, each once, in the order of the state.
    """
    layers = _list_selecting(state, segmentation)
    selected = [cell for layer in layers for cell in read_segments(layer)]
    return tuple(dict.fromkeys(selected))


def _list_selecting(state: Mapping[str, Any], segmentation: str | None) -> list[Mapping[str, Any]]:
    """List the layers whose segments are the selected cells."""
    layers = [layer for layer in list_segmentation_layers(state) if is_shown(layer)]
    if segmentation is not None:
        layers = [layer for layer in layers if is_source(layer, segmentation)]
    return [layer for layer in layers if is_graph(layer)] or layers


def count_wrong_segments(state: Mapping[str, Any], segmentation: str | None = None) -> int:
    """Count the segments that `read_selected_cells` leaves out because they are not 64-bit IDs."""
    return sum(
        is_wrong_id(segment) and not str(segment).startswith(_HIDDEN)
        for layer in _list_selecting(state, segmentation)
        for segment in _list_segments(layer)
    )


def read_segments(layer: Mapping[str, Any]) -> list[int]:
    """Read the drawn segments of a layer, each once.

    Hidden segments are left out. A segment includes all equivalent segments, in ascending order,
    except on a chunked graph, where viewers ignore the state's list.
    """
    equivalent = {} if is_graph(layer) else _read_equivalences(layer)
    drawn: dict[int, None] = {}
    for segment in _list_segments(layer):
        cell = read_id(segment)
        if cell and cell not in drawn:
            drawn.update(dict.fromkeys(sorted(equivalent.get(cell, {cell}))))
    return [*drawn]


def _list_segments(layer: Mapping[str, Any]) -> list[Any]:
    segments = layer.get("segments")
    return segments if isinstance(segments, list) else []


def _read_equivalences(layer: Mapping[str, Any]) -> dict[int, set[int]]:
    """Read the set of equivalent segments of each segment."""
    given = layer.get("equivalences")
    sets: dict[int, set[int]] = {}
    groups = given if isinstance(given, list) else []
    for group in (one for one in groups if isinstance(one, list)):
        cells = [cell for item in group if (cell := read_id(item))]
        for cell in cells:
            whole, other = (sets.setdefault(one, {one}) for one in (cells[0], cell))
            if other is not whole:
                # The smaller joins the larger: otherwise a long chain takes very long.
                small, large = sorted((whole, other), key=len)
                large |= small
                sets.update(dict.fromkeys(small, large))
    return sets


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

    Viewers use milliseconds; a number that can only be in seconds is read as seconds. If shown
    layers differ, the first chunked graph counts.
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
    """Read a number or a number in a text; integers stay integers, so that no digit is lost."""
    if isinstance(given, str):
        text = given.strip()
        whole = text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
        return int(text) if whole else None
    if isinstance(given, float):
        return given if math.isfinite(given) else None
    return given if isinstance(given, int) and not isinstance(given, bool) else None
