"""When a link is proved: everything that must hold, together, of a page that opened it.

`prove` opens a link and asks the viewer itself. It knows the viewer and its pictures, and nothing
of how links are made: what must be seen is handed to it as `Expected`.
"""

from __future__ import annotations

import base64
import io
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from playwright.sync_api import ConsoleMessage, Page, Request, Response

    Picture = np.ndarray[Any, Any]

BASE_LAYERS = ("imagery", "segmentation")

#: Longest time to wait for a page to load, and for a picture to become as expected, in seconds.
LOADING = 90.0
DRAWING = 20.0

#: How alike a pixel's and a colour's chroma must be in direction, and how strong it must be.
DIRECTION = 0.98
STRENGTH = 0.3

#: Least change of a pixel, of 255, if something is drawn over it.
CHANGE = 32

#: The viewer's messages about the missing connection to a Python program.
PYTHON_SERVER = "Python server"

#: Address of a block of a volume.
BLOCK = re.compile(r"/\d+-\d+_\d+-\d+_\d+-\d+$")

#: Reads the state of the page in one look.
LOOK = """() => {
  const viewer = window.viewer;
  if (viewer === undefined) return null;
  const texts = (where) => [...document.querySelectorAll(where)].map((item) => item.textContent);
  const layers = viewer.layerManager.managedLayers.map((managed) => {
    const layer = managed.layer;
    if (layer === null || layer === undefined) return {name: managed.name, sources: [null]};
    const shader = layer.annotationDisplayState?.shaderError?.value;
    const states = layer.annotationStates?.states ?? [];
    const group = layer.displayState?.segmentationGroupState?.value;
    return {
      name: managed.name,
      sources: layer.dataSources.map(({loadState}) => loadState === undefined ? null
        : loadState.error === undefined ? "" : String(loadState.error.message ?? loadState.error)),
      shader: shader === undefined || shader === null ? "" : String(shader.message ?? shader),
      count: states.length ? states[0].source.annotationMap?.size ?? null : null,
      segments: group === undefined ? null : [...group.visibleSegments].map(String),
    };
  });
  return {
    ready: viewer.isReady(),
    layers,
    status: texts("#neuroglancer-status-container li"),
    modal: texts("#neuroglancer-status-container-modal li"),
    title: document.title,
  };
}"""

#: Shows only the named layers, without axes, whose colours may equal those of a layer.
SHOW = """(names) => {
  viewer.showAxisLines.value = false;
  for (const layer of viewer.layerManager.managedLayers) {
    layer.setVisible(names.includes(layer.name));
  }
}"""

#: Moves the viewer to the first annotation of a layer.
VISIT = """(name) => {
  const {layer} = viewer.layerManager.getLayerByName(name);
  const [note] = layer.annotationStates.states[0].source.annotationMap.values();
  const nm = 1e-9;
  viewer.position.value = Float32Array.from(
    viewer.coordinateSpace.value.scales, (scale, axis) => note.point[axis] * nm / scale);
}"""

#: Makes the viewer draw only on request and not write its address, which holds the whole state; or
#: undoes both. Without a graphics card, each drawing of a mesh is slow.
DRAW_WHEN_TOLD = """() => {
  const {display} = viewer;
  window.drawing ??= display.scheduleRedraw;
  display.scheduleRedraw = () => {};
  history.replaceState = () => {};
  display.canvas.style.visibility = "hidden";
}"""
DRAW_AT_WILL = """() => {
  delete history.replaceState;
  viewer.display.canvas.style.visibility = "";
  viewer.display.scheduleRedraw = window.drawing;
  viewer.display.scheduleRedraw();
}"""

#: Draws and returns the drawing as PNG in one step, because the browser does not keep drawings.
DRAW = """() => {
  viewer.display.draw();
  return viewer.display.canvas.toDataURL("image/png").split(",")[1];
}"""

#: The part of the page in which data are drawn.
PANELS = """() => {
  const boxes = [...viewer.display.panels].map((panel) => panel.element.getBoundingClientRect());
  const x = Math.min(...boxes.map((box) => box.left));
  const y = Math.min(...boxes.map((box) => box.top));
  return {x, y, width: Math.max(...boxes.map((box) => box.right)) - x,
          height: Math.max(...boxes.map((box) => box.bottom)) - y};
}"""


class NotProvedError(AssertionError):
    """Lists everything that does not hold, one line each."""


@dataclass(frozen=True)
class Expected:
    """What a link must show.

    Attributes
    ----------
    cells
        Root IDs of the cells that are selected.
    counts
        Annotation layers in their order, and the number of annotations of each.
    colours
        Colour of each annotation layer, ``#rrggbb``.
    in_sections
        Whether there is no 3D view, so that a synapse must be visited to be seen.
    """

    cells: tuple[int, ...]
    counts: Mapping[str, int]
    colours: Mapping[str, str]
    in_sections: bool = False


@dataclass(frozen=True)
class Proof:
    """What was seen of a proved link.

    Attributes
    ----------
    title
        Title of the page.
    alone
        Pixels of each layer's colour that it draws with all others hidden, and that vanish with
        it.
    among_others
        Pixels that change when the layer is hidden, all others being shown.
    """

    title: str
    alone: Mapping[str, int]
    among_others: Mapping[str, int]


@dataclass
class Complaints:
    """Errors in a page's console, and failed requests.

    Attributes
    ----------
    said
        What was heard.
    has_moved
        Whether the viewer was moved away from what the link shows. There, volumes may have blocks
        that are not stored, which the format allows.
    """

    said: list[str] = field(default_factory=list)
    has_moved: bool = False

    def listen(self, page: Page) -> None:
        """Start recording errors."""
        page.on("console", self._hear_console)
        page.on("pageerror", lambda error: self.said.append(f"uncaught: {error}"))
        page.on("requestfailed", self._hear_failure)
        page.on("response", self._hear_response)

    def _hear_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "assert"}:
            self.said.append(f"console: {message.text}")

    def _hear_failure(self, request: Request) -> None:
        # The viewer cancels requests for data that are out of sight; that is not a failure.
        if request.failure != "net::ERR_ABORTED":
            self.said.append(f"request: {request.failure} for {request.url}")

    def _hear_response(self, response: Response) -> None:
        unstored = self.has_moved and response.status == 404 and BLOCK.search(response.url)
        if response.status >= 400 and not unstored:
            self.said.append(f"request: status {response.status} for {response.url}")


def prove(
    page: Page,
    url: str,
    expected: Expected,
    *,
    loading: float = LOADING,
    drawing: float = DRAWING,
) -> Proof:
    """Open a link on a new page, and prove that it shows what it must.

    Parameters
    ----------
    page
        A page that has shown nothing yet.
    url
        The link.
    expected
        What it must show.
    loading, drawing
        Longest time to wait for data, and for each picture, in seconds.

    Raises
    ------
    NotProvedError
        Naming each item that fails: layers, status, sources, shaders, numbers of annotations,
        selected cells, colours, console.
    """
    complaints = Complaints()
    complaints.listen(page)
    page.goto(url)
    look = await_loaded(page, expected, loading)
    failures = list(find_failures(look, expected))
    alone: dict[str, int] = {}
    among_others: dict[str, int] = {}
    if not failures:
        complaints.has_moved = expected.in_sections
        page.evaluate(DRAW_WHEN_TOLD)
        alone, among_others = count_pixels(page, expected, drawing)
        failures += find_unseen(alone, among_others, expected)
        show(page, [*BASE_LAYERS, *expected.counts])
        page.evaluate(DRAW_AT_WILL)
    failures += [f"console: {said}" for said in dict.fromkeys(complaints.said)]
    if failures:
        raise NotProvedError(f"{url[:200]} is not proved:\n" + "\n".join(failures))
    return Proof(look["title"], alone, among_others)


def await_loaded(page: Page, expected: Expected, patience: float) -> dict[str, Any]:
    """Wait until all layers are ready on two looks, or something has failed for good. Returns the
    last look, even when the time is up; ``settled`` says whether it was in time.
    """
    names = [*BASE_LAYERS, *expected.counts]
    looks: list[dict[str, Any]] = [{"ready": False, "layers": [], "status": [], "modal": []}]

    def is_settled() -> bool:
        look = page.evaluate(LOOK)
        if look is None:
            return False
        looks.append(look)
        if any("rror" in text for text in [*look["status"], *look["modal"]]):
            return True
        there = {layer["name"] for layer in look["layers"]}
        sources = [source for layer in look["layers"] for source in layer["sources"]]
        if not look["layers"] or None in sources:
            return False
        failed = any(sources) or not there.issuperset(names)
        return failed or (look["ready"] and looks[-2]["ready"])

    settled = poll(page, is_settled, patience)
    return {"title": "", **looks[-1], "settled": settled}


def poll(page: Page, condition: Callable[[], bool], patience: float) -> bool:
    """Ask until the answer is yes, while the page continues; return whether it became yes."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        page.wait_for_timeout(100)
    return True


def find_failures(look: Mapping[str, Any], expected: Expected) -> Iterator[str]:
    """Name everything that fails, except colours and the console."""
    layers = {layer["name"]: layer for layer in look["layers"]}
    names = [*BASE_LAYERS, *expected.counts]
    if list(layers) != names:
        yield f"layers: {list(layers)} instead of {names}"
    if not (look["ready"] and look["settled"]):
        yield "ready: viewer.isReady() was not true on two looks"
    for where in ("status", "modal"):
        for text in look[where]:
            if PYTHON_SERVER not in text:
                yield f"{where}: {text!r}"
    for name, layer in layers.items():
        yield from _find_layer_failures(name, layer)
    for name, count in expected.counts.items():
        if name in layers and layers[name]["count"] != count:
            yield f"annotations: {name!r} has {layers[name]['count']} instead of {count}"
    segments = layers.get("segmentation", {}).get("segments")
    cells = sorted(str(cell) for cell in expected.cells)
    segments = segments and sorted(segments)  # the viewer has its own order
    if segments != cells:
        yield f"selected: {segments} instead of {cells}"


def _find_layer_failures(name: str, layer: Mapping[str, Any]) -> Iterator[str]:
    if not layer["sources"]:
        yield f"source: {name!r} has none"
    for error in layer["sources"]:
        if error is None:
            yield f"source: {name!r} is still loading"
        elif error:
            yield f"source: {name!r} failed: {error}"
    if layer.get("shader"):
        yield f"shader: {name!r} failed: {layer['shader']}"


def count_pixels(
    page: Page, expected: Expected, patience: float
) -> tuple[dict[str, int], dict[str, int]]:
    """Count what each layer draws, alone and among the others, as described in `Proof`."""
    alone: dict[str, int] = {}
    among_others: dict[str, int] = {}
    whole: list[Picture] = []
    empty: list[Picture] = []
    for name, colour in expected.colours.items():
        if expected.in_sections:
            page.evaluate(VISIT, name)
            whole.clear()
            empty.clear()
        shown = Shown(page, name, colour, expected, whole, empty)
        among_others[name] = await_pixels(page, shown.count_among_others, patience)
        alone[name] = await_pixels(page, shown.count_alone, patience)
    return alone, among_others


def await_pixels(page: Page, count: Callable[[], int], patience: float) -> int:
    """Count until there are some; return the number, 0 when the time is up."""
    counts: list[int] = []

    def are_there() -> bool:
        counts.append(count())
        return counts[-1] > 0

    poll(page, are_there, patience)
    return counts[-1]


@dataclass(frozen=True)
class Shown:
    """A layer whose pixels are counted.

    Attributes
    ----------
    page, expected
        Where it is shown, and what with.
    name, colour
        The layer.
    whole, empty
        The pictures of all layers and of none once they are taken, which several layers share.
    """

    page: Page
    name: str
    colour: str
    expected: Expected
    whole: list[Picture]
    empty: list[Picture]

    def count_among_others(self) -> int:
        """Count the pixels that change when only this layer is hidden. They need not have its
        colour, because its markers may lie over others of the same colour.
        """
        layers = [*BASE_LAYERS, *self.expected.counts]
        if not self.whole:
            show(self.page, layers)
            self.whole.append(take_screenshot(self.page))
        show(self.page, [layer for layer in layers if layer != self.name])
        changed = np.abs(self.whole[0] - take_screenshot(self.page)).max(axis=2) > CHANGE
        if not changed.any():
            self.whole.clear()  # it may have been taken too early
        return int(changed.sum())

    def count_alone(self) -> int:
        """Count the pixels that lose the colour when this layer is hidden too, with all others
        hidden."""
        show(self.page, [self.name])
        alone = near(take_screenshot(self.page), self.colour)
        if not self.empty:
            show(self.page, [])
            self.empty.append(take_screenshot(self.page))
        vanished = alone & ~near(self.empty[0], self.colour)
        if not vanished.any():
            self.empty.clear()  # it may have been taken too early
        return int(vanished.sum())


def find_unseen(
    alone: Mapping[str, int], among_others: Mapping[str, int], expected: Expected
) -> Iterator[str]:
    """Name the layers whose colour does not appear, or does not vanish when they are hidden."""
    for name, colour in expected.colours.items():
        if not alone[name]:
            yield f"colour: {name!r} alone draws no {colour}, or it stays when it is hidden"
        if not among_others[name]:
            yield f"colour: {name!r} adds nothing to the whole picture"


def show(page: Page, names: list[str]) -> None:
    """Show these layers and hide all others."""
    page.evaluate(SHOW, names)
    # The viewer updates the layers that it draws in a later task.
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def take_screenshot(page: Page) -> Picture:
    """Take a picture of the panels as the viewer draws them, shape (height, width, 3)."""
    box = page.evaluate(PANELS)
    left, top = round(box["x"]), round(box["y"])
    whole = decode_picture(base64.b64decode(page.evaluate(DRAW)))  # of the whole page
    return whole[top : round(box["y"] + box["height"]), left : round(box["x"] + box["width"])]


def decode_picture(png: bytes) -> Picture:
    """Decode a PNG file, shape (height, width, 3)."""
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.int16)


def near(picture: Picture, colour: str) -> Picture:
    """Return which pixels have a colour, even mixed with black, grey or white. Such a mixture keeps
    the direction of the chroma, which is the colour without its grey part.
    """
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    if np.ptp(wanted) < 20:
        raise ValueError(f"{colour} is grey: a picture cannot prove it")
    wanted = (wanted - wanted.min()).astype(float)
    chroma = (picture - picture.min(axis=2, keepdims=True)).astype(float)
    strength = np.linalg.norm(chroma, axis=2)
    length = float(np.linalg.norm(wanted))
    along = chroma @ (wanted / length)
    return (strength > STRENGTH * length) & (along > DIRECTION * strength)
