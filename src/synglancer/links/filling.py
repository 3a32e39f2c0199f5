"""Fill a state on a published source with its synapses, so that it can be read like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synglancer.errors import ServiceError
from synglancer.states.provenance import read_recorded
from synglancer.states.reader import list_layers, list_segmentation_layers, list_source_urls
from synglancer.states.selection import read_segments
from synglancer.view.layer_sources import build_local_source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.publish.source import Source
    from synglancer.states.record import Provenance

_NONE = "0"
"""Root ID of a cell that does not exist or was not looked up."""


def fill_state(state: Mapping[str, Any], *, partners: bool = True) -> Mapping[str, Any]:
    """Copy the synapses of a state's published source into the state.

    Parameters
    ----------
    state
        A Neuroglancer state. If its record does not name a source, it stays unchanged.
    partners
        Whether to look up the cells on the other side of the synapses, which costs two requests
        for each synapse; they are 0 otherwise.

    Raises
    ------
    ServiceError
        When the source cannot be read, or its datastack, version or table has changed.
    """
    record = read_recorded(state)
    if record.source is None:
        return state
    source = open_recorded(record)
    layers = [_fill_layer(layer, state, source, partners=partners) for layer in list_layers(state)]
    return {**state, "layers": layers}


def open_recorded(record: Provenance) -> Source:
    """Open the source in a record, and check that it has not changed.

    Raises
    ------
    ServiceError
        When it cannot be read, or its datastack, version or table has changed.
    """
    from synglancer.publish.source import open_source  # imports numpy

    if record.source is None:
        raise ValueError("the record names no source")
    source = open_source(record.source.address)
    told = source.manifest
    for name in ("datastack", "version", "table"):
        now, then = getattr(told, name) or "", getattr(record, name)
        if now != then:
            raise ServiceError(
                f"The source at {source.address} now has the {name} {now}; the link was made "
                f"with {then}.",
                "Make the link again, or publish the old data there again.",
            )
    return source


def _fill_layer(
    layer: Mapping[str, Any], state: Mapping[str, Any], source: Source, *, partners: bool
) -> Mapping[str, Any]:
    """Put the synapses into a layer on the source; other layers stay unchanged."""
    from synglancer.publish.source import RELATIONSHIP_OF

    if layer.get("type") != "annotation":
        return layer
    folders = {
        f"precomputed://{source.address}/{one.folder}": one.tag for one in source.manifest.tags
    }
    tag = next((folders[url] for url in list_source_urls(layer) if url in folders), None)
    sides = {side: direction for direction, side in RELATIONSHIP_OF.items()}
    followed = layer.get("filterBySegmentation")
    side = followed[0] if isinstance(followed, list) and len(followed) == 1 else None
    if tag is None or side not in sides:
        return layer
    notes = [
        note
        for cell in _list_cells(layer, state, side)
        for note in _build_notes(source, cell, sides[side], tag, partners=partners)
    ]
    kinds = {"confidence": "float32", "size": "uint32"}
    return {
        **layer,
        "source": build_local_source(),
        "annotationProperties": [
            {"id": name, "type": kinds[name]} for name in source.manifest.properties
        ],
        "annotationRelationships": ["pre", "post"],
        "annotations": notes,
    }


def _list_cells(layer: Mapping[str, Any], state: Mapping[str, Any], side: str) -> list[int]:
    """List the cells selected in the segmentation that a layer is linked to."""
    linked = layer.get("linkedSegmentationLayer")
    name = linked.get(side) if isinstance(linked, dict) else linked
    shown = [one for one in list_segmentation_layers(state) if one.get("name") == name]
    return read_segments(shown[0]) if shown else []


def _build_notes(
    source: Source, cell: int, direction: str, tag: str, *, partners: bool
) -> Sequence[dict[str, Any]]:
    """Build the annotations of a cell in the form used in links."""
    rows = source.read_rows(cell, direction, tag)
    names = source.manifest.properties
    others = [_NONE] * len(rows)
    if partners:
        others = [str(root) for root in source.read_partners(rows["id"], direction, tag).tolist()]
    ids, points = rows["id"].tolist(), rows["point"].tolist()
    props = [rows[name].tolist() for name in names]
    own = str(cell)
    return [
        {
            "type": "point",
            "id": str(ids[place]),
            "point": points[place],
            "props": [values[place] for values in props],
            "segments": [[other], [own]] if direction == "inputs" else [[own], [other]],
        }
        for place, other in enumerate(others)
    ]
