"""What a browser opens: the viewer, the files that it draws from, and a page for people.

The viewer is the one bundled in the installed ``neuroglancer`` package, with one script added that
keeps it from losing layers (``steady_viewer.js``). Served like this it believes that a Python
program stands behind it, so the addresses it then talks to answer as well: an event stream in which
nothing happens, and two that take what it says.

This module knows files and folders.
"""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from tornado.iostream import StreamClosedError

from cave_sandbox.errors import InputError
from cave_sandbox.web.files import FileHandler, StoredFile, find_file
from cave_sandbox.web.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VIEWER_PATH", "OpenStreams", "routes"]

#: Where links open the viewer; any other name under ``/v/`` serves the same.
VIEWER_PATH = "/v/synglancer/"

#: Content types of the viewer's own files.
CLIENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".wasm": "application/wasm",
}

#: What the viewer's page gets in front of its own scripts, so that no layer is lost.
STEADY = (Path(__file__).parent / "steady_viewer.js").read_bytes()

#: A name with a content hash: such a file never changes.
HASHED_NAME = re.compile(r"(^|\.)[0-9a-f]{16,}\.")

#: Seconds between the comments that show whether a page is still there.
HEARTBEAT = 15.0

HOME_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>synglancer sandbox</title>
<style>body{{font:16px/1.5 sans-serif;max-width:42em;margin:3em auto;padding:0 1em}}</style></head>
<body>
<h1>synglancer sandbox</h1>
<p>This is a small stand-in for the CAVE services, on this machine alone. It answers the requests
that make a link, keeps the states that links name, and serves the viewer that opens them.</p>
<p><strong>Its data are synthetic.</strong> The cells, the images and the synapses are generated;
nothing here was measured. Only a sandbox started with <code>--data</code> serves something else:
what that folder holds.</p>
<p>Datastacks: {datastacks}.</p>
<p><a href="{viewer}">Open the viewer</a>, or make a link with
<code>make-link --sandbox 864691135276234469</code>.</p>
</body>
</html>
"""


class OpenStreams:
    """Counts the pages that are open, by the event streams that they hold.

    Attributes
    ----------
    count
        How many there are now.
    """

    def __init__(self) -> None:
        self.count = 0


class HomeHandler(Handler):
    """``GET /``: what this is, for people."""

    def initialize(self, names: list[str]) -> None:
        """Take the names of the datastacks that have files."""
        self.names = names

    def get(self) -> None:
        """Answer the page."""
        listed = ", ".join(f"<code>{html.escape(name)}</code>" for name in self.names)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.finish(HOME_PAGE.format(datastacks=listed or "none", viewer=VIEWER_PATH))


class ClientHandler(FileHandler):
    """``GET /v/<anything>/<file>``: the bundled viewer."""

    def initialize(self, folder: Path) -> None:
        """Take the folder that holds the viewer."""
        self.folder = folder

    def find(self, *names: str) -> StoredFile | None:
        """Return the file; its address alone opens the page."""
        _viewer, path = names
        found = find_file(self.folder, path or "index.html")
        if found is not None and found.path.name == "index.html":
            return replace(found, etag=f'{found.etag[:-1]}-{crc32(STEADY):x}"')
        return found

    def prepare_body(self, path: Path, body: bytes) -> bytes:
        """Put the script that keeps the viewer's layers into its page."""
        if path.name != "index.html":
            return body
        return body.replace(b"<head>", b"<head><script>" + STEADY + b"</script>", 1)

    def content_type(self, path: Path) -> str:
        """Return the content type by the name's ending."""
        return CLIENT_TYPES.get(path.suffix, "application/octet-stream")

    def cache_control(self, path: Path) -> str:
        """Keep for ever what has a hash in its name."""
        if HASHED_NAME.search(path.name):
            return "public, max-age=31536000, immutable"
        return "no-cache"


class PrecomputedHandler(FileHandler):
    """``GET /precomputed/<datastack>/<path>``: imagery, segmentation, meshes, skeletons."""

    def initialize(self, folders: Mapping[str, Path]) -> None:
        """Take the folder of each datastack."""
        self.folders = folders

    def find(self, *names: str) -> StoredFile | None:
        """Return the file, or its gzip-compressed form."""
        datastack, path = names
        folder = self.folders.get(datastack)
        return None if folder is None else find_file(folder, path)

    def content_type(self, path: Path) -> str:
        """Return JSON for metadata, and bytes for all the rest."""
        name = PurePosixPath(path.name.removesuffix(".gz"))
        if name.name == "info" or name.suffix == ".json":
            return "application/json"
        return "application/octet-stream"

    def cache_control(self, _path: Path) -> str:
        """Ask each time: another data folder may come under the same address."""
        return "no-cache"


class EventsHandler(Handler):
    """``GET /events/<token>``: a stream in which nothing happens, open as long as the page is."""

    exposed_headers: ClassVar[str] = "WWW-Authenticate"

    def initialize(self, streams: OpenStreams) -> None:
        """Take the count of open streams."""
        self.streams = streams
        self.closed = asyncio.Event()

    def on_connection_close(self) -> None:
        """Let the waiting `get` end."""
        self.closed.set()

    async def get(self, _token: str) -> None:
        """Hold the stream open, with a comment now and then."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.streams.count += 1
        try:
            while not self.closed.is_set():
                self.write(":\n\n")
                await self.flush()
                await _wait(self.closed, HEARTBEAT)
        except StreamClosedError:
            pass
        finally:
            self.streams.count -= 1


class SinkHandler(Handler):
    """``POST /state/<token>`` and ``/action/<token>``: what the viewer tells its Python program."""

    def post(self, _token: str) -> None:
        """Take it, and answer nothing."""
        self.set_status(204)
        self.finish()


class ViewerNameHandler(Handler):
    """``GET /v/<anything>``: the viewer's address without the slash that its files need."""

    def get(self, name: str) -> None:
        """Point to the address with the slash."""
        # The name is quoted again by the browser: only plain names come here.
        self.redirect(f"/v/{name}/", permanent=False)


class IconHandler(Handler):
    """``GET /favicon.ico``: browsers ask for it unasked."""

    def get(self) -> None:
        """Answer that there is none, without an error in the console."""
        self.set_header("Cache-Control", "max-age=86400")
        self.set_status(204)
        self.finish()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except asyncio.TimeoutError:
        return


def client_folder() -> Path:
    """Return the folder with the viewer that comes with the ``neuroglancer`` package.

    The package is found and not imported: importing it costs 0.2 s, and nothing of it runs here.
    """
    package = find_spec("neuroglancer")
    if package is None or not package.submodule_search_locations:
        raise InputError(
            "The neuroglancer package, which has the viewer, is not installed.",
            "Install it with `pip install neuroglancer`.",
        )
    return Path(package.submodule_search_locations[0], "static", "client")


def routes(folders: Mapping[str, Path], streams: OpenStreams | None = None) -> list[Any]:
    """Return the routes of the viewer, the files and the page for people.

    Parameters
    ----------
    folders
        For each datastack, the folder that is served under ``/precomputed/<datastack>/``.
    streams
        Where open pages are counted, or None when nobody asks.

    Returns
    -------
    list
        Rules for `tornado.web.Application`.
    """
    return [
        (r"/", HomeHandler, {"names": sorted(folders)}),
        (r"/favicon\.ico", IconHandler),
        (r"/v/([A-Za-z0-9_.-]+)", ViewerNameHandler),
        (r"/v/([^/]+)/(.*)", ClientHandler, {"folder": client_folder()}),
        (r"/events/([^/]+)", EventsHandler, {"streams": streams or OpenStreams()}),
        (r"/(?:state|action)/([^/]+)", SinkHandler),
        (r"/precomputed/([^/]+)/(.+)", PrecomputedHandler, {"folders": folders}),
    ]
