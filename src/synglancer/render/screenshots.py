"""Make pictures of links with a headless browser or a plot; the only module with Playwright.

A screenshot is taken only once the view is completely drawn: every layer of the state is there, its
sources are loaded, its annotations are counted, and its shaders are compiled.
"""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cave_sandbox
from synglancer.cache.files import write_file
from synglancer.errors import PictureError, ServiceError, SynglancerError, UsageError
from synglancer.links.link_record import LinkRecord, Skipped
from synglancer.links.opening import open_link
from synglancer.render.picture_options import Preview, PreviewOptions, check_suffix
from synglancer.render.traffic import Traffic
from synglancer.states.reader import list_layers
from synglancer.view.colors import BACKGROUNDS
from synglancer.view.shaders import format_color

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

    from synglancer.links.batch import Progress
    from synglancer.links.opening import OpenedLink

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
"""Names and paths of browsers, in the order of the search."""

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

_SCRIPT = (Path(__file__).parent / "screenshots.js").read_text(encoding="utf-8")
_STEADY = Path(cave_sandbox.__file__).parent / "web" / "steady_viewer.js"


def render_previews(
    links: Sequence[LinkRecord | str],
    folder: Path,
    options: PreviewOptions | None = None,
    *,
    suffix: str = ".png",
    find_state: Callable[[str], OpenedLink] = open_link,
    progress: Progress | None = None,
) -> list[Preview | Skipped]:
    """Make a picture of each link, in one browser.

    Parameters
    ----------
    links
        Links, as made or as text.
    folder
        Folder for the pictures, created if needed. A picture is named after the cell.
    options The options; by default as in `PreviewOptions`. suffix
        ``.png``, or ``.svg`` with the renderer plot.
    find_state
        Finds the state of a link given as text, as `links.opening.open_link` does.
    progress
        Shows the progress, such as `synglancer.render.progress.show_progress`.

    Returns
    -------
    list of Preview or Skipped
        One for each link, in their order.

    Raises
    ------
    PictureError
        When there is no browser.
    UsageError
        When the folder or the extension cannot be used.
    """
    options = options or PreviewOptions()
    check_suffix(suffix, options.renderer)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder.", "Give a folder for the pictures.")
    taken: set[str] = set()
    results: list[Preview | Skipped] = []
    with ExitStack() as stack:
        if not folder.exists():
            folder.mkdir(parents=True)
            stack.callback(_remove_empty, folder)
        painter = stack.enter_context(Painter(options))
        step = stack.enter_context(progress(len(links))) if progress else None
        for link in links:
            try:
                opened = find_state(link) if isinstance(link, str) else link.opened()
                name = _choose_name(opened.name, taken)
                results.append(painter.paint(opened, folder / f"{name}{suffix}"))
            except SynglancerError as error:
                results.append(Skipped(str(link), str(error), error.advice, error.exit_code))
            if step:
                step()
    return results


def _remove_empty(folder: Path) -> None:
    """Remove an empty folder, such as one made for pictures that could not be taken."""
    with suppress(OSError):  # it holds pictures
        folder.rmdir()


def _choose_name(name: str, taken: set[str]) -> str:
    """Name a picture so that it does not overwrite another one."""
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}-{number}"
    taken.add(chosen)
    return chosen


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
            "Install it with: pip install 'synglancer[preview]'; or use --renderer plot, which "
            "needs no browser.",
        )
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise PictureError(
        "No browser was found for screenshots.",
        "Install Chromium (Debian, Ubuntu: apt install chromium; macOS: brew install "
        "chromium); or use --renderer plot, which needs no browser.",
    )


class Painter:
    """Makes pictures one after the other in one browser, which is opened for the first screenshot.

    Parameters
    ----------
    options The options.

    Raises
    ------
    PictureError
        When there is no browser on this machine, on entering the context.
    """

    def __init__(self, options: PreviewOptions) -> None:
        self._options = options
        # Playwright needs its own thread without an event loop, which notebooks have.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preview")
        self._browser: _Browser | None = None

    def __enter__(self) -> Self:
        if self._options.renderer == "browser":
            find_browser()
        return self

    def __exit__(self, *_: object) -> None:
        if self._browser is not None:
            self._thread.submit(self._browser.close).result()
        self._thread.shutdown()

    def paint(self, opened: OpenedLink, path: Path) -> Preview:
        """Make the picture of a link, and write its file completely or not at all.

        Parameters
        ----------
        opened
            The link and its state.
        path
            The file, PNG or SVG.

        Raises
        ------
        PictureError
            When the view cannot be drawn, or the file cannot be written.
        """
        started, notes = time.monotonic(), tuple[str, ...]()
        if self._options.renderer == "plot":
            picture, notes = self._plot(opened, path.suffix.lower())
        else:
            picture = self._thread.submit(self._take_screenshot, opened).result()
        try:
            write_file(path, picture)
        except OSError as error:
            raise PictureError(
                f"The picture {path} cannot be written: {error.strerror}.",
                "Choose another file or folder.",
            ) from error
        elapsed = time.monotonic() - started
        return Preview(opened.url, path, self._options.renderer, elapsed, notes)

    def _plot(self, opened: OpenedLink, suffix: str) -> tuple[bytes, tuple[str, ...]]:
        from synglancer.render.plot import explain_unplotted, plot_state  # imports pandas

        options = self._options
        try:
            picture = plot_state(
                opened.state,
                suffix=suffix,
                size=options.pixels,
                scale=options.scale,
                background=options.background,
            )
        except ServiceError as error:  # the source of its synapses cannot be read
            raise PictureError(str(error), error.hint) from error
        return picture, tuple(explain_unplotted(opened.state))

    def _take_screenshot(self, opened: OpenedLink) -> bytes:
        if opened.login_host:
            raise PictureError(
                f"The view behind this link needs a login at {opened.login_host}, but the "
                "browser for screenshots is not logged in.",
                "Use --renderer plot, which draws the synapses without a browser.",
            )
        if self._browser is None:
            self._browser = _Browser(self._options)
        return self._browser.take_screenshot(opened.for_browser())


class _Browser:
    """A browser with one page, which stays open while the links use the same viewer."""

    def __init__(self, options: PreviewOptions) -> None:
        from playwright.sync_api import sync_playwright  # an extra

        self._options = options
        self._site: str | None = None
        self._shown: str | None = None
        width, height = options.pixels
        flags = _FLAGS + (_FLAGS_AS_ROOT if getattr(os, "geteuid", lambda: 1)() == 0 else [])
        with ExitStack() as stack:
            playwright = stack.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=find_browser(), args=flags)
            stack.callback(browser.close)
            context = browser.new_context(
                viewport={"width": width, "height": height}, device_scale_factor=options.scale
            )
            context.add_init_script(path=_STEADY)
            for pattern in _BLOCKED:
                context.route(pattern, lambda route: route.abort())
            self._page = context.new_page()
            self._traffic = Traffic(self._page)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the browser."""
        self._stack.close()

    def take_screenshot(self, opened: OpenedLink) -> bytes:
        """Open a link and take a screenshot as PNG once it is completely drawn."""
        from playwright.sync_api import Error

        # The same fragment again would not be a change, and the viewer would keep waiting.
        reuse = opened.site == self._site and opened.url != self._shown
        self._shown = opened.url
        try:
            problem = self._show(opened, reuse=reuse)
            if not problem:
                return bytes(self._page.screenshot(type="png", animations="disabled"))
        except Error as error:
            self._site = None
            told = error.message.partition("Call log:")[0]
            problem = f"the browser says: {' '.join(told.split())[:200]}"
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
        ids = (
            {str(note.get("id")) for note in own if isinstance(note, dict)}
            if isinstance(own, list)
            else None
        )
        expected[layer["name"]] = None if ids is None else len(ids)
    return expected
