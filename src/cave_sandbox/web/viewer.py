"""Serve the viewer, the volumes that it draws, and a home page.

The viewer comes from the installed ``neuroglancer`` package. One script is added, which keeps it
from losing layers (``steady_viewer.js``). This build of the viewer expects a Python program behind
it, so the addresses that it uses answer, too: an event stream without events, and two that accept
its messages.
"""

from __future__ import annotations

import asyncio
import html
import re
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from string import Template
from zlib import crc32

from tornado.iostream import StreamClosedError
from tornado.web import RedirectHandler

from cave_sandbox.web.files import FileHandler, StoredFile, find_file
from cave_sandbox.web.handler import Handler

#: The viewer's address in links; any other name under ``/v/`` serves the same viewer.
VIEWER_PATH = "/v/synglancer/"

#: Content types of the viewer's own files.
CLIENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".wasm": "application/wasm",
}

#: Added to the viewer's page before its own scripts, so that no layer is lost.
STEADY = (Path(__file__).parent / "steady_viewer.js").read_bytes()

#: A file name with a content hash, so the file never changes.
HASHED_NAME = re.compile(r"(^|\.)[0-9a-f]{16,}\.")

#: The address of a mesh's manifest or a skeleton: its folder and the root ID.
SHAPE = re.compile(r"(.*/(?:(mesh)|skeleton))/(\d{1,19})(?(2):0)")

#: A precomputed skeleton without vertices and edges.
EMPTY_SKELETON = bytes(8)

#: Seconds between comments in the event stream, which show whether a page is still open.
HEARTBEAT = 15.0

#: The home page, with two placeholders.
HOME_PAGE = Template((Path(__file__).parent / "home.html").read_text("utf-8"))


@cache
def client_folder() -> Path:
    """Return the folder with the viewer that comes with the ``neuroglancer`` package.

    The package is not imported, which would take 0.2 s.
    """
    return Path(str(distribution("neuroglancer").locate_file("neuroglancer/static/client")))


class HomeHandler(Handler):
    """``GET /``: the home page."""

    def get(self) -> None:
        """Answer with the page, which names the datastacks that have files."""
        served = self.context.data.datasets
        names = (html.escape(name) for name in sorted(served) if served[name].precomputed)
        listed = ", ".join(f"<code>{name}</code>" for name in names)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_text(HOME_PAGE.substitute(datastacks=listed or "none", viewer=VIEWER_PATH))


class ClientHandler(FileHandler):
    """``GET /v/<anything>/<file>``: the bundled viewer."""

    def find(self, address: str) -> StoredFile | None:
        """Return the file; the viewer's address without a file name is its page."""
        found = find_file(client_folder(), address.partition("/")[2] or "index.html")
        if found is not None and found.path.name == "index.html":
            return replace(found, etag=f'{found.etag[:-1]}-{crc32(STEADY):x}"')
        return found

    def validate_absolute_path(self, root: str, absolute_path: str) -> str:
        """Insert the script that keeps the viewer's layers into its page."""
        path = super().validate_absolute_path(root, absolute_path)
        if self.stored.path.name == "index.html":
            head = b"<head><script>" + STEADY + b"</script>"
            self.content = self.stored.path.read_bytes().replace(b"<head>", head, 1)
        return path

    def get_content_type(self) -> str:
        """Return the content type for the file name's extension."""
        return CLIENT_TYPES.get(self.stored.path.suffix, "application/octet-stream")

    def set_extra_headers(self, path: str) -> None:
        """Let files with a hash in their name be cached for ever."""
        super().set_extra_headers(path)
        if HASHED_NAME.search(self.stored.path.name):
            self.set_header("Cache-Control", "public, max-age=31536000, immutable")


class PrecomputedHandler(FileHandler):
    """``GET /precomputed/<datastack>/<path>``: imagery, segmentation, meshes, skeletons.

    A cell that is in tables but has no shape gets an empty one, since a viewer would wait for it.
    """

    async def get(self, address: str, include_body: bool = True) -> None:
        """Answer with the file, an empty shape, or 404."""
        if self.find(address) is not None or not await self.outside(self.is_without_shape, address):
            await super().get(address, include_body)
        elif address.endswith(":0"):
            self.send_json({"fragments": []})
        else:
            self.send_bytes(EMPTY_SKELETON, "application/octet-stream")

    def is_without_shape(self, address: str) -> bool:
        """Whether an address is for the shape of a cell that exists only as a root ID."""
        asked = SHAPE.fullmatch(address)
        if asked is None or self.find(f"{asked[1]}/info") is None:
            return False
        dataset, root = self.context.data.datasets[address.partition("/")[0]], int(asked[3])
        return root in self.context.data.tables.known_roots(dataset, [root])

    def find(self, address: str) -> StoredFile | None:
        """Return the file, or its gzip-compressed form."""
        datastack, _, path = address.partition("/")
        dataset = self.context.data.datasets.get(datastack)
        folder = dataset.precomputed if dataset else None
        return None if folder is None else find_file(folder, path)


class PublishedHandler(FileHandler):
    """``GET /published/<path>``: tables that a client published beside the sandbox's states."""

    def find(self, address: str) -> StoredFile | None:
        """Return the file unless it is still being written."""
        folder, parts = self.context.options.published, address.split("/")
        hidden = any(part.startswith(".") for part in parts) or parts[-1].endswith(".tmp")
        return None if folder is None or hidden else find_file(folder, address)


class EventsHandler(Handler):
    """``GET /events/<token>``: a stream without events, open for as long as the page is."""

    def initialize(self) -> None:
        """Prepare to be notified when the page is closed."""
        self.closed = asyncio.Event()

    def on_connection_close(self) -> None:
        """Let the waiting `get` end."""
        self.closed.set()

    async def get(self, _token: str) -> None:
        """Keep the stream open with regular comments."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-store")
        self.context.open_pages += 1
        try:
            while not self.closed.is_set():
                self.write(":\n\n")
                await self.flush()
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self.closed.wait(), HEARTBEAT)
        except StreamClosedError:
            pass
        finally:
            self.context.open_pages -= 1


class EmptyHandler(Handler):
    """The viewer's messages to its Python program, and the icon that browsers request."""

    def post(self, _token: str) -> None:
        """Accept a message and answer nothing."""
        self.set_status(204)
        self.finish()

    def get(self) -> None:
        """Answer that there is no icon, without an error in the browser's console."""
        self.set_header("Cache-Control", "max-age=86400")
        self.post("")


#: The routes of the viewer, the files and the home page.
ROUTES = [
    (r"/", HomeHandler),
    (r"/favicon\.ico", EmptyHandler),
    (r"/v/([A-Za-z0-9_.-]+)", RedirectHandler, {"url": "/v/{0}/", "permanent": False}),
    (r"/v/([^/]+/.*)", ClientHandler, {"path": ""}),
    (r"/events/([^/]+)", EventsHandler),
    (r"/(?:state|action)/([^/]+)", EmptyHandler),
    (r"/precomputed/([^/]+/.+)", PrecomputedHandler, {"path": ""}),
    (r"/published/(.+)", PublishedHandler, {"path": ""}),
]
