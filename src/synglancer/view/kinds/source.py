"""Build the state of cells on a published source, with layers that follow the selection.

It looks like the state of an ordinary link; see `synglancer.view.state`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synglancer.states.layer_names import format_layer_name
from synglancer.view.state import SEGMENTATION, State, build_frame, finish_state

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.view.scene import Scene, ViewOptions

PARTNERS = "partners"
"""The layer of partners; synapses follow the selection of the cells' layer, not of this one."""

_OWN_ANNOTATIONS = ("annotations", "annotationProperties", "annotationRelationships")


def build_source_state(
    scene: Scene,
    options: ViewOptions,
    addresses: Mapping[str, str],
    relationships: Mapping[str, str],
) -> State:
    """Build the state that shows cells with their synapses from a published source.

    Parameters
    ----------
    scene
        What to show; its groups hold only the numbers of synapses in each layer.
    options
        The options of the view.
    addresses
        Tag → address of its source.
    relationships
        Direction → the relationship that links its layers to the selection.
    """
    frame = build_frame(scene, replace(options, partners={}))
    layers = {layer["name"]: layer for layer in frame["layers"]}
    for group in scene.groups:
        layer = layers[format_layer_name(group.direction, group.tag)]
        for name in _OWN_ANNOTATIONS:
            layer.pop(name, None)
        layer |= {
            "source": [{"url": f"precomputed://{addresses[group.tag]}"}],
            "filterBySegmentation": [relationships[group.direction]],
            # Without a selection, the viewer would draw a sample of the whole table.
            "ignoreNullSegmentFilter": False,
        }
    if options.partners:
        place = frame["layers"].index(layers[SEGMENTATION]) + 1
        frame["layers"].insert(place, _build_partners(layers[SEGMENTATION], options.partners))
    return finish_state(frame)


def _build_partners(segmentation: Mapping[str, Any], partners: Mapping[int, str]) -> dict[str, Any]:
    """Build the layer of the partners: the same segmentation with its own selection."""
    colours = {str(root): colour for root, colour in partners.items()}
    return {**segmentation, "name": PARTNERS, "segments": [*colours], "segmentColors": colours}
