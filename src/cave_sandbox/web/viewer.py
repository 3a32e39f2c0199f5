"""What a browser opens: the viewer, the files that it draws from, and a page for people.

The viewer is the one bundled in the installed ``neuroglancer`` package, with one script added that
keeps it from losing layers (``steady_viewer.js``). Served like this it believes that a Python
program stands behind it, so the addresses it then talks to answer as well: an event stream in which
nothing happens, and two that take what it says.
"""

from __future__ import annotations

import asyncio
import html
import re
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from string import Template
from typing import Any
from zlib import crc32

from tornado.iostream import StreamClosedError
from tornado.web import RedirectHandler

from cave_sandbox.errors import InputError
from cave_sandbox.web.files import FileHandler, StoredFile, find_file
from cave_sandbox.web.handler import Handler

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

#: A mesh's manifest or a skeleton: its folder and the root ID.
SHAPE = re.compile(r"(.*/(?:(mesh)|skeleton))/(\d{1,19})(?(2):0)")

#: A precomputed skeleton of no vertices and no edges.
EMPTY_SKELETON = bytes(8)

#: Seconds between the comments that show whether a page is still there.
HEARTBEAT = 15.0

#: ``GET /``, for people; its two marks are filled in.
HOME_PAGE = Template((Path(__file__).parent / "home.html").read_text("utf-8"))


class HomeHandler(Handler):
    """``GET /``: what this is, for people."""

    def get(self) -> None:
        """Answer the page, with the names of the datastacks that have files."""
        names = sorted(name for name, item in self.context.datasets.items() if item.precomputed)
        listed = ", ".join(f"<code>{html.escape(name)}</code>" for name in names)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_text(HOME_PAGE.substitute(datastacks=listed or "none", viewer=VIEWER_PATH))


class ClientHandler(FileHandler):
    """``GET /v/<anything>/<file>``: the bundled viewer."""

    def find(self, address: str) -> StoredFile | None:
        """Return the file; the viewer's address alone opens the page."""
        path = address.partition("/")[2]
        found = find_file(Path(self.root), path or "index.html")
        if found is not None and found.path.name == "index.html":
            return replace(found, etag=f'{found.etag[:-1]}-{crc32(STEADY):x}"')
        return found

    def validate_absolute_path(self, root: str, absolute_path: str) -> str:
        """Put the script that keeps the viewer's layers into its page."""
        path = super().validate_absolute_path(root, absolute_path)
        if self.stored.path.name == "index.html":
            head = b"<head><script>" + STEADY + b"</script>"
            self.content = self.stored.path.read_bytes().replace(b"<head>", head, 1)
        return path

    def get_content_type(self) -> str:
        """Return the content type by the name's ending."""
        return CLIENT_TYPES.get(self.stored.path.suffix, "application/octet-stream")

    def cache_control(self, path: Path) -> str:
        """Keep for ever what has a hash in its name."""
        if HASHED_NAME.search(path.name):
            return "public, max-age=31536000, immutable"
        return "no-cache"


class PrecomputedHandler(FileHandler):
    """``GET /precomputed/<datastack>/<path>``: imagery, segmentation, meshes, skeletons.

    A cell that tables name and that has no shape has an empty one: a viewer would wait for it.
    """

    async def get(self, address: str, include_body: bool = True) -> None:
        """Answer with the file, an empty shape, or 404."""
        if self.find(address) is not None or not await self.outside(self.is_without_shape, address):
            await super().get(address, include_body)
        elif address.endswith(":0"):
            self.send_json({"fragments": []})
        else:
            self.set_header("Content-Type", "application/octet-stream")
            self.finish(EMPTY_SKELETON)

    def is_without_shape(self, address: str) -> bool:
        """Whether an address is that of the shape of a cell that exists only as a root ID."""
        asked = SHAPE.fullmatch(address)
        if asked is None or self.find(f"{asked[1]}/info") is None:
            return False
        dataset, root = self.context.datasets[address.partition("/")[0]], int(asked[3])
        return root in self.context.tables.known_roots(dataset, [root])

    def find(self, address: str) -> StoredFile | None:
        """Return the file, or its gzip-compressed form."""
        datastack, _, path = address.partition("/")
        dataset = self.context.datasets.get(datastack)
        folder = dataset.precomputed if dataset else None
        return None if folder is None else find_file(folder, path)

    def get_content_type(self) -> str:
        """Return JSON for metadata, and bytes for all the rest."""
        name = PurePosixPath(self.stored.path.name.removesuffix(".gz"))
        if name.name == "info" or name.suffix == ".json":
            return "application/json"
        return "application/octet-stream"


class PublishedHandler(PrecomputedHandler):
    """``GET /published/<path>``: tables that a client published beside the sandbox's states."""

    async def get(self, address: str, include_body: bool = True) -> None:
        """Answer with the file, or 404."""
        await FileHandler.get(self, address, include_body)

    def find(self, address: str) -> StoredFile | None:
        """Return the file, but none that is still being written."""
        folder, parts = self.context.published, address.split("/")
        hidden = any(part.startswith(".") for part in parts) or parts[-1].endswith(".tmp")
        return None if folder is None or hidden else find_file(folder, address)


class EventsHandler(Handler):
    """``GET /events/<token>``: a stream in which nothing happens, open as long as the page is."""

    def initialize(self) -> None:
        """Prepare to be told that the page is gone."""
        self.closed = asyncio.Event()

    def on_connection_close(self) -> None:
        """Let the waiting `get` end."""
        self.closed.set()

    async def get(self, _token: str) -> None:
        """Hold the stream open, with a comment now and then."""
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
    """What the viewer tells its Python program, and the icon that browsers ask for unasked."""

    def post(self, _token: str) -> None:
        """Take it, and answer nothing."""
        self.set_status(204)
        self.finish()

    def get(self) -> None:
        """Answer that there is none, without an error in the console."""
        self.set_header("Cache-Control", "max-age=86400")
        self.set_status(204)
        self.finish()


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


def routes() -> list[Any]:
    """Return the routes of the viewer, the files and the page for people."""
    return [
        (r"/", HomeHandler),
        (r"/favicon\.ico", EmptyHandler),
        (r"/v/([A-Za-z0-9_.-]+)", RedirectHandler, {"url": "/v/{0}/", "permanent": False}),
        (r"/v/([^/]+/.*)", ClientHandler, {"path": str(client_folder())}),
        (r"/events/([^/]+)", EventsHandler),
        (r"/(?:state|action)/([^/]+)", EmptyHandler),
        (r"/precomputed/([^/]+/.+)", PrecomputedHandler, {"path": ""}),
        (r"/published/(.+)", PublishedHandler, {"path": ""}),
    ]
