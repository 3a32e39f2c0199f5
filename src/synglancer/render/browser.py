"""Draw links in a headless browser; the only module with Playwright.

A screenshot is taken only once the view is completely drawn: every layer of the state is there, its
sources are loaded, its annotations are counted, and its shaders are compiled. The requests of the
viewer's page tell whether it is still loading, and what failed.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import cave_sandbox
from synglancer.errors import PictureError, advise_extra
from synglancer.states.reader import list_layers
from synglancer.view.colors import BACKGROUNDS
from synglancer.view.shaders import format_color

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from playwright.sync_api import ConsoleMessage, Page, Request, Response

    from synglancer.links.opening import OpenedLink
    from synglancer.render.picture_options import PreviewOptions

BROWSERS = (
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
"""Names and paths of browsers, in the order of the search. The first opens no windows, and
takes little more than half of the others' processor time."""

_FLAGS = [
    "--use-gl=angle",
    "--use-angle=gl-egl",
    "--ignore-gpu-blocklist",
    # A hosted viewer may read the sandbox on loopback. An address bar's pages cost time.
    "--disable-features=LocalNetworkAccessChecks,WebUIOmniboxPopup,WebUIOmniboxAimPopup",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
]
_FLAGS_AS_ROOT = ["--no-sandbox", "--disable-dev-shm-usage"]
_BLOCKED = ("*://*.google-analytics.com/*", "*://*.googletagmanager.com/*")
_POLL_S = 0.05
_START_S = 60.0
_MOST_VIEWS = 4  # that are waited for in turn: of a used and of a new page, on two backgrounds

_SCRIPT = (Path(__file__).parent / "browser.js").read_text(encoding="utf-8")
_STEADY = Path(cave_sandbox.__file__).parent / "web" / "steady_viewer.js"

# Neuroglancer requests each piece of data once; a failed piece stays missing.
_FAILED = re.compile(r"Error retrieving chunk .*?: (?:\w*Error: )?(.*)", re.DOTALL)
_QUIET_S = 1.0
_STREAMS = "eventsource"  # open as long as the page is
_LONGEST = 200
_MOST = 3


def find_browser() -> str:
    """Find a browser on this machine.

    Raises
    ------
    PictureError
        When there is no browser, or Playwright is not installed.
    """
    from importlib.util import find_spec

    if find_spec("playwright") is None:
        raise PictureError(
            "Screenshots need Playwright, which is not installed.",
            advise_extra("preview", "use --renderer plot, which needs no browser"),
        )
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise PictureError(
        "No browser was found for screenshots.",
        "Install Chromium (Debian, Ubuntu: apt install chromium; macOS: brew install "
        "chromium); or use --renderer plot, which needs no browser.",
    )


class Traffic:
    """Follows the requests of a page and of its workers."""

    def __init__(self, page: Page) -> None:
        self._open: set[Request] = set()
        self._failure: str | None = None
        self._refused: dict[str, int] = {}
        self._last = time.monotonic()
        page.on("console", self._hear)
        page.on("request", self._begin)
        page.on("response", self._answer)
        page.on("requestfinished", self._end)
        page.on("requestfailed", self._end)

    def forget(self) -> None:
        """Start again with another view."""
        self._open.clear()
        self._failure = None
        self._refused.clear()
        self._last = time.monotonic()

    def find_failure(self) -> str | None:
        """Return what could not be fetched, once all requests have ended; otherwise None."""
        quiet = not self._open and time.monotonic() - self._last > _QUIET_S
        if not quiet or self._failure is None:
            return None
        named = [f"{url} answered with status {status}" for url, status in self._refused.items()]
        return ", ".join(named[:_MOST]) or self._failure

    def _hear(self, message: ConsoleMessage) -> None:
        if self._failure is None and (found := _FAILED.match(message.text)):
            self._failure = " ".join(found[1].split())[:_LONGEST]
            self._last = time.monotonic()

    def _begin(self, request: Request) -> None:
        if request.resource_type != _STREAMS:
            self._open.add(request)
            self._last = time.monotonic()

    def _answer(self, response: Response) -> None:
        if response.status >= HTTPStatus.BAD_REQUEST:
            place = response.url.partition("?")[0]  # the rest may hold a secret
            self._refused[place[:_LONGEST]] = response.status

    def _end(self, request: Request) -> None:
        self._open.discard(request)
        self._last = time.monotonic()


class Browser:
    """A browser with one page, which stays open while the links use the same viewer."""

    def __init__(self, options: PreviewOptions) -> None:
        from playwright.sync_api import Error, sync_playwright  # an extra

        self._options = options
        self._site: str | None = None
        self._shown: str | None = None
        self._mark = f"--synglancer={uuid4().hex}"  # ignored by the browser
        width, height = options.pixels
        flags = _FLAGS + (_FLAGS_AS_ROOT if getattr(os, "geteuid", lambda: 1)() == 0 else [])
        with ExitStack() as stack:
            playwright = stack.enter_context(sync_playwright())
            try:
                with self._bounded():
                    self._browser = playwright.chromium.launch(
                        executable_path=find_browser(), args=[*flags, self._mark]
                    )
                    stack.callback(self._browser.close)
                    context = self._browser.new_context(
                        viewport={"width": width, "height": height},
                        device_scale_factor=options.scale,
                    )
                    context.add_init_script(path=_STEADY)
                    for pattern in _BLOCKED:
                        context.route(pattern, lambda route: route.abort())
                    self._page = context.new_page()
            except Error as error:
                raise PictureError(
                    f"The browser for screenshots does not start: {_shorten(error.message)}.",
                    "Try again, or use --renderer plot, which draws the synapses without a "
                    "browser.",
                ) from error
            self._traffic = Traffic(self._page)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the browser."""
        self._stack.close()

    def is_open(self) -> bool:
        """Whether the browser can take screenshots, or else was killed or has crashed."""
        return self._browser.is_connected()

    @contextmanager
    def _bounded(self) -> Iterator[None]:
        """Kill a browser that stops answering, because Playwright would wait for ever."""
        timer = Timer(_MOST_VIEWS * self._options.wait + _START_S, self._kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill(self) -> None:
        import psutil  # an extra

        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if self._mark in process.cmdline():
                    process.kill()

    def take_screenshot(self, opened: OpenedLink) -> bytes:
        """Open a link and take a screenshot as PNG once it is completely drawn."""
        from playwright.sync_api import Error

        # The same fragment again would not be a change, and the viewer would keep waiting.
        reuse = opened.site == self._site and opened.url != self._shown
        self._shown = opened.url
        try:
            with self._bounded():
                problem = self._show(opened, reuse=reuse)
                if not problem:
                    return bytes(self._page.screenshot(type="png", animations="disabled"))
        except Error as error:
            self._site = None
            problem = f"the browser says: {_shorten(error.message)}"
        raise PictureError(
            f"The viewer did not finish drawing this link: {problem}.",
            "Open the link to see why, or use --renderer plot, which draws the synapses "
            "without a browser.",
        )

    def _show(self, opened: OpenedLink, *, reuse: bool) -> str | None:
        """Open a link and wait until it is drawn; return what is wrong otherwise."""
        self._traffic.forget()
        fragment = opened.url.partition("#")[2]
        if reuse:  # the open viewer, after everything in it was cleared
            self._page.evaluate(_SCRIPT + "\nshowState", {"layers": []})
            self._page.evaluate("fragment => { location.hash = fragment; }", fragment)
        else:
            self._site = None
            self._page.goto("about:blank")  # else only the fragment would change
            self._page.goto(opened.url, timeout=self._options.wait * 1000)
            self._site = opened.site
        problem = self._wait(opened.state)
        if problem and reuse:
            return self._show(opened, reuse=False)
        if self._options.background and not problem:
            changed = change_background(opened.state, self._options.background)
            self._page.evaluate(_SCRIPT + "\nshowState", {"layers": []})
            self._page.evaluate(_SCRIPT + "\nshowState", changed)
            problem = self._wait(changed)
        return problem

    def _wait(self, state: Mapping[str, Any]) -> str | None:
        """Wait until a state is drawn on two polls; return what is wrong otherwise."""
        expected = _expect(state)
        plain = self._options.interface  # then nothing is taken away
        deadline = time.monotonic() + self._options.wait
        last: Mapping[str, Any] | None = None
        while True:
            found = self._page.evaluate(_SCRIPT + "\nlookAtViewer", expected)
            if found["complete"] and not plain:  # what follows is checked in its new size
                self._page.evaluate(_SCRIPT + "\nundressViewer")
                plain, last = True, None
                continue
            if found == last and (found["final"] or not found["problem"]):
                return found["problem"] or None
            last = found
            missing = self._traffic.find_failure() if found["complete"] and found["problem"] else ""
            if missing:  # it will not come by waiting
                return f"{found['problem']}: {missing}"
            if time.monotonic() > deadline:
                return f"after {self._options.wait:g} s, {found['problem'] or 'it still changes'}"
            self._page.wait_for_timeout(_POLL_S * 1000)


def _shorten(message: str) -> str:
    return " ".join(message.partition("Call log:")[0].split())[:_LONGEST]


def change_background(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Change the background of a state, with the colours that depend on it.

    Parameters
    ----------
    state, name
        A Neuroglancer state, which is not changed; and ``dark`` or ``white``.

    Returns
    -------
    dict
        The state with the background, and with cell meshes and rings that stand out from it.
    """
    wanted = BACKGROUNDS[name]
    others = [known for known in BACKGROUNDS.values() if known is not wanted]
    layers = []
    for layer in list_layers(state):
        changed = dict(layer)
        for other in others:
            if isinstance(changed.get("segmentColors"), dict):
                changed["segmentColors"] = {
                    segment: wanted.cell if colour == other.cell else colour
                    for segment, colour in changed["segmentColors"].items()
                }
            if isinstance(changed.get("shader"), str):
                changed["shader"] = changed["shader"].replace(
                    format_color(other.ring), format_color(wanted.ring)
                )
        layers.append(changed)
    return {
        **state,
        "layers": layers,
        "projectionBackgroundColor": wanted.projection,
        "crossSectionBackgroundColor": wanted.cross_section,
    }


def _expect(state: Mapping[str, Any]) -> dict[str, int | None]:
    """List what the viewer must show: each layer, and the number of its own annotations."""
    expected: dict[str, int | None] = {}
    for layer in list_layers(state):
        own = layer.get("annotations") if layer.get("type") == "annotation" else None
        expected[layer["name"]] = None
        if isinstance(own, list):
            ids = {str(note.get("id")) for note in own if isinstance(note, dict)}
            expected[layer["name"]] = len(ids)
    return expected
