"""The viewer draws the points of hand-written states where our reader places them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from pages import open_page

from synglancer.states.annotations import read_layers
from synglancer.states.reader import parse_state
from synglancer.states.selection import read_selected_cells

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

FOLDER = Path(__file__).parents[1] / "data" / "states"
PLACED = [
    # Without a voxel size for a whole old state, because today's viewer drops the points of such a
    # layer.
    "voxel-size-of-a-layer",
    "transform-of-an-old-layer",
    "dimensions-in-nm",
    "dimensions-in-micrometres",
    "axes-in-another-order",
    "a-time-axis",
    "source-in-other-voxels",
    "source-with-a-matrix",
    "source-with-swapped-axes",
    "source-with-input-dimensions",
]
SELECTING = ["hidden-segments", "layers-by-name", "equivalences"]

#: The first point of a layer in metres along each axis, as the viewer's own transform places it.
PLACE = """() => {
  const [managed] = viewer.layerManager.managedLayers;
  const states = managed?.layer?.annotationStates?.states ?? [];
  const transform = states[0]?.transform?.value;
  if (transform === undefined || transform.error !== undefined) return null;
  const [note] = states[0].source.annotationMap?.values() ?? [];
  const {names, scales} = viewer.coordinateSpace.value;
  if (note === undefined || names.length === 0) return null;
  const {rank, modelToRenderLayerTransform: matrix, globalToRenderLayerDimensions} = transform;
  const place = {};
  names.forEach((name, axis) => {
    const row = globalToRenderLayerDimensions[axis];
    if (row === -1) return;
    let value = matrix[rank * (rank + 1) + row];
    note.point.forEach((part, column) => { value += matrix[column * (rank + 1) + row] * part; });
    place[name] = value * scales[axis];
  });
  return place;
}"""

#: Whether exactly these segments are drawn.
DRAWS = """(cells) => {
  const drawn = viewer.layerManager.managedLayers.flatMap((managed) => {
    const group = managed.layer?.displayState?.segmentationGroupState?.value;
    return [...(group?.visibleSegments ?? [])].flatMap(
      (segment) => [...group.segmentEquivalences.setElements(segment)].map(String));
  });
  return drawn.sort().join() === cells.sort().join();
}"""


#: Replaces all that the viewer shows.
RESTORE = """(text) => {
  viewer.state.reset();
  viewer.state.restoreState(JSON.parse(text));
}"""


@pytest.fixture(scope="module")
def viewer(browser: Browser, sandbox: Sandbox) -> Iterator[Page]:
    """Open the sandbox's viewer, empty, for all states."""
    with open_page(browser) as page:
        page.goto(f"{sandbox.origin}/v/synglancer/")
        page.wait_for_function("() => window.viewer !== undefined")
        yield page


def restore(viewer: Page, sandbox: Sandbox, name: str) -> dict[str, Any]:
    """Show a hand-written state."""
    state = parse_state((FOLDER / f"{name}.json").read_bytes(), name)
    if isinstance(state["layers"], list):  # a volume, which the viewer needs to find its bounds
        source = f"precomputed://{sandbox.origin}/precomputed/minnie65_public/em"
        state["layers"].append({"type": "image", "name": "imagery", "source": source})
    viewer.evaluate(RESTORE, orjson.dumps(state).decode())
    return state


@pytest.mark.parametrize("name", PLACED)
def test_the_viewer_places_points_as_our_reader_does(
    viewer: Page, sandbox: Sandbox, name: str
) -> None:
    """The viewer's own transform gives the same position in nm as our reader."""
    state = restore(viewer, sandbox, name)
    viewer.wait_for_function(PLACE)
    seen = viewer.evaluate(PLACE)
    (layer,) = read_layers(state)
    for axis, nm in zip("xyz", layer.positions[0], strict=True):
        assert math.isclose(seen[axis] * 1e9, nm, rel_tol=1e-5), (axis, seen)


@pytest.mark.parametrize("name", SELECTING)
def test_the_viewer_selects_the_cells_that_our_reader_reads(
    viewer: Page, sandbox: Sandbox, name: str
) -> None:
    """The viewer draws the same segments that our reader returns as cells."""
    state = restore(viewer, sandbox, name)
    viewer.wait_for_function(DRAWS, arg=[str(cell) for cell in read_selected_cells(state)])
