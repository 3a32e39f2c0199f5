"""Make pictures of links, as screenshots of their viewers or as plots."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from synglancer.cache.files import write_file
from synglancer.errors import PictureError, ServiceError, SynglancerError, UsageError
from synglancer.links.batch import show_nothing
from synglancer.links.link_record import LinkRecord, Skipped
from synglancer.links.opening import open_link
from synglancer.render.browser import Browser, find_browser
from synglancer.render.picture_options import Preview, PreviewOptions, check_suffix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from synglancer.links.batch import Progress
    from synglancer.links.opening import OpenedLink


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
    options
        The options; by default as in `PreviewOptions`.
    suffix
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
        step = stack.enter_context((progress or show_nothing)(len(links)))
        for link in links:
            try:
                opened = find_state(link) if isinstance(link, str) else link.opened()
                name = _choose_name(opened.name, taken)
                results.append(painter.paint(opened, folder / f"{name}{suffix}"))
            except SynglancerError as error:
                results.append(Skipped.from_error(str(link), error))
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


class Painter:
    """Makes pictures one after the other in one browser, which is opened for the first screenshot.

    Raises
    ------
    PictureError
        When there is no browser on this machine, on entering the context.
    """

    def __init__(self, options: PreviewOptions) -> None:
        self._options = options
        # Playwright needs its own thread without an event loop, which notebooks have.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="preview")
        self._browser: Browser | None = None

    def __enter__(self) -> Self:
        if self._options.renderer == "browser":
            find_browser()
        return self

    def __exit__(self, *_: object) -> None:
        if self._browser is not None:
            self._thread.submit(self._browser.close).result()
        self._thread.shutdown()

    def paint(self, opened: OpenedLink, path: Path) -> Preview:
        """Make the picture of a link, and write its file, PNG or SVG, completely or not at all.

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
        if self._browser is not None and not self._browser.is_open():
            self._browser.close()
            self._browser = None
        if self._browser is None:
            self._browser = Browser(self._options)
        return self._browser.take_screenshot(opened.for_browser())
