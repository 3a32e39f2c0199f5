"""Sources of layers: remote ones, and annotations in the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

KEEP_SELECTION = {"swapVisbleSegmentsOnMove": False}
"""Without this, stepping through synapses in Spelunker drops the selected cells. The spelling is
Spelunker's.
"""


def build_local_source() -> list[dict[str, Any]]:
    """Build the source of annotations in the state itself, with positions in nm."""
    dimensions = {axis: [1e-9, "m"] for axis in "xyz"}
    return [{"url": "local://annotations", "transform": {"outputDimensions": dimensions}}]


def build_local_layer(related: Sequence[str], segmentation: str, **further: Any) -> dict[str, Any]:
    """Build a layer of annotations in the state, with what all such layers have in common.

    Parameters
    ----------
    related
        Names of the annotations' lists of segments.
    segmentation
        Name of the layer with these segments.
    **further
        Further keys of the layer, or other values.
    """
    return {
        "type": "annotation",
        "source": build_local_source(),
        "annotationRelationships": [*related],
        "linkedSegmentationLayer": dict.fromkeys(related, segmentation),
        "codeVisible": False,
        **KEEP_SELECTION,
        **further,
    }


def pick_annotation(layer: str, annotation: str) -> dict[str, Any]:
    """Select an annotation of a layer, so that viewers show a panel for it."""
    picked = {
        "annotationId": annotation,
        "annotationSource": 0,
        "annotationSubsource": "default",
    }
    return {"layers": {layer: picked}}


def format_sources(sources: Sequence[str], server: str) -> list[str]:
    """Write source URLs as viewers need them, with a prefix for sources that need a login.

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
    """Return host and port of a source URL with any prefixes."""
    return url.rpartition("://")[2].split("/", 1)[0].lower()
