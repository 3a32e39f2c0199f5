"""Read Neuroglancer states and their layers.

Every value is checked, because states come from anywhere. Layers are read as the viewer reads them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.errors import BadAnswerError, UsageError
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synglancer.states.urls import ParsedLink

OWN_POINTS = "// synglancer points\n"
"""The first line of the shader of a user's own points; viewers keep it when a state is shared."""

_OWN_POINTS = re.compile(r"^\s*// synglancer points[ \t\r]*$", re.MULTILINE)
_LONGEST = 65_536  # of a shader, the most that is searched

_NUMBER = re.compile(
    r"[:,\[\s]?(-?(?:NaN|Infinity|[0-9]+(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?))(?=[,\]}\s])", re.ASCII
)
"""A number as JSON and Python write it."""

MAX_DEPTH = 200
"""Most levels of nesting: real states have about 15, and JSON writers stop at about 250."""


def parse_state(content: bytes | str, source: str) -> dict[str, Any]:
    """Parse a Neuroglancer state from JSON.

    Parameters
    ----------
    content
        The JSON text.
    source
        Its source, as the subject of a sentence: an address, a file, or ``The link``.

    Returns
    -------
    dict
        The state; the order of its keys is kept, because axes depend on it.

    Raises
    ------
    BadAnswerError
        When it is not JSON, or not a Neuroglancer state.
    """
    try:
        state = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise _explain_json(error, source) from error
    return check_state(state, source)


def parse_link_state(link: ParsedLink, fetched: bytes | None) -> dict[str, Any]:
    """Parse the state of a link, fetched from its address or carried by the link.

    Raises
    ------
    BadAnswerError
        When the fetched content is not a Neuroglancer state.
    UsageError
        When the link does not carry a valid state.
    """
    try:
        return parse_state((link.state if fetched is None else fetched) or b"", link.place)
    except BadAnswerError as error:
        if link.state_url is not None:
            raise
        raise UsageError(str(error), error.hint) from error


def check_state(state: object, source: str) -> dict[str, Any]:
    """Check that a value is a Neuroglancer state, and return it.

    Raises
    ------
    BadAnswerError
        When it is not, or is nested too deep.
    """
    if not isinstance(state, dict) or not _has_layers(state):
        raise _build_error(source)
    if _measure_depth(state) > MAX_DEPTH:
        raise build_depth_error(source)
    return state


def build_depth_error(source: str) -> BadAnswerError:
    """Build the error for values that are nested too deep."""
    return BadAnswerError(
        f"{source} holds JSON that is nested more than {MAX_DEPTH} levels deep.",
        "No viewer writes such a state. Check where the link comes from.",
    )


def _has_layers(state: Mapping[str, Any]) -> bool:
    """Whether a value is a set of layers: a list of objects or, in old states, objects by name."""
    layers = state.get("layers")
    if isinstance(layers, dict):
        layers = [*layers.values()]
    return isinstance(layers, list) and all(isinstance(layer, dict | str) for layer in layers)


def _build_error(source: str) -> BadAnswerError:
    return BadAnswerError(
        f"{source} holds no Neuroglancer state.",
        "Check that it is the right one, and that it is complete.",
    )


def _explain_json(error: orjson.JSONDecodeError, source: str) -> BadAnswerError:
    """Build the error for a text that is not JSON; it names a number that JSON does not have."""
    # Some errors of orjson are at the number, others just before it.
    found = _NUMBER.match(error.doc, max(error.pos - 1, 0))
    if not found or math.isfinite(float(found[1])):
        return _build_error(source)
    return BadAnswerError(
        f"{source} is not valid JSON: {quote(found[1])} in line {error.lineno:,} is not a number "
        "that JSON can hold.",
        "Correct the value, or write the state again with finite numbers only.",
    )


def _measure_depth(state: dict[str, Any]) -> int:
    """Measure the depth of nested lists and objects, up to one more than is allowed."""
    level: list[dict[str, Any] | list[Any]] = [state]
    depth = 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        inner: list[dict[str, Any] | list[Any]] = []
        for item in level:
            parts = item.values() if isinstance(item, dict) else item
            inner.extend(part for part in parts if isinstance(part, dict | list))
        level = inner
    return depth


def list_layers(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the layers of a state, each with its name.

    Old states hold layers as an object by name, or a layer as the address of its source alone.
    """
    layers = state.get("layers")
    named: list[tuple[object, object]] = []
    if isinstance(layers, dict):
        named = [*layers.items()]
    elif isinstance(layers, list):
        named = [
            (layer.get("name", "") if isinstance(layer, dict) else "", layer) for layer in layers
        ]
    for name, layer in named:
        if isinstance(layer, str):
            yield {"name": str(name), "source": layer}
        elif isinstance(layer, dict):
            yield {**layer, "name": str(name)}


def is_shown(layer: Mapping[str, Any]) -> bool:
    """Whether a layer is drawn: it is neither hidden nor archived."""
    return layer.get("visible") is not False and layer.get("archived") is not True


def is_own_points(layer: Mapping[str, Any]) -> bool:
    """Whether a layer holds points that a user added, rather than synapses."""
    shader = layer.get("shader")
    return isinstance(shader, str) and _OWN_POINTS.search(shader[:_LONGEST]) is not None


def list_segmentation_layers(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the segmentation layers, also of the type ``segmentation_with_graph``."""
    for layer in list_layers(state):
        if str(layer.get("type", "")).startswith("segmentation"):
            yield layer


def list_annotation_layers(state: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the layers with annotations in the state, whether they are drawn or not."""
    for layer in list_layers(state):
        notes = layer.get("annotations")
        if layer.get("type") == "annotation" and isinstance(notes, list) and notes:
            yield layer


def list_source_urls(layer: Mapping[str, Any]) -> list[str]:
    """List the addresses of a layer's sources."""
    source = layer.get("source")
    items = source if isinstance(source, list) else [source]
    urls = [item.get("url") if isinstance(item, Mapping) else item for item in items]
    return [url for url in urls if isinstance(url, str)]
