"""Select an annotation in the viewer, and read what the viewer's panel says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proof import DRAWING, poll

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Page

SELECT = """([name, id]) => {
  const {layer} = viewer.layerManager.getLayerByName(name);
  layer.selectAnnotation(layer.annotationStates.states[0], id, true);
}"""

READ = """() => {
  const panel = [...document.querySelectorAll(".neuroglancer-selection-details-layer")]
    .find((each) => each.querySelector("label.neuroglancer-annotation-property"));
  if (panel === undefined) return null;
  const all = (where, within = panel) => [...within.querySelectorAll(where)];
  const text = (where, within) => all(where, within).map((item) => item.textContent.trim());
  const part = "neuroglancer-annotation-property";
  return {
    layer: text(".neuroglancer-selection-details-layer-title")[0],
    position: text(".neuroglancer-selected-annotation-details-position-coord"),
    properties: Object.fromEntries(all(`label.${part}`).map(
      (label) => [text(`.${part}-label`, label)[0], text(`.${part}-value`, label)[0]])),
    segments: Object.fromEntries(all(".neuroglancer-related-segment-list").map((list) => [
      text(".neuroglancer-related-segment-list-title", list)[0],
      all(".neuroglancer-segment-list-entry[data-id]", list).map((entry) => entry.dataset.id)])),
  };
}"""


@dataclass(frozen=True)
class Selection:
    """The viewer's texts about a selected annotation.

    Attributes
    ----------
    layer
        Its layer.
    position
        In voxels of the viewer.
    properties
        Name to value; the ID is under ``ID``.
    segments
        Name of a relationship to root IDs.
    """

    layer: str
    position: tuple[str, ...]
    properties: Mapping[str, str]
    segments: Mapping[str, list[str]]


def read_selection(page: Page, layer: str, identifier: str) -> Selection:
    """Select an annotation and read the panel that opens."""
    page.evaluate(SELECT, [layer, identifier])
    read: dict[str, Any] = {}

    def is_shown() -> bool:
        read.update(page.evaluate(READ) or {})
        segments = read.get("segments", {})
        return read.get("properties", {}).get("ID") == identifier and all(segments.values())

    assert poll(page, is_shown, DRAWING), f"the panel shows {read} instead of {identifier}"
    return Selection(read["layer"], tuple(read["position"]), read["properties"], read["segments"])
