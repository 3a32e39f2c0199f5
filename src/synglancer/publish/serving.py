"""Serve a folder over loopback HTTP, with range requests and CORS, and nothing outside it."""

from __future__ import annotations

import re
import sys
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from synglancer.errors import UsageError
from synglancer.publish.destinations import TEMPORARY, WORK
from synglancer.publish.manifest import MANIFEST
from synglancer.publish.reading.access import find_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_BLOCK = 1 << 20
_LAST_PORT = 65535


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do not report requests that viewers drop, which is normal."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: str, port: int = 0) -> ThreadingHTTPServer:
    """Make a server of a folder on 127.0.0.1; ``serve_forever`` starts it.

    Parameters
    ----------
    folder
        The folder.
    port
        The port; 0 for any free one.

    Raises
    ------
    UsageError
        When the folder and its sub-folders hold no published source, or the port is taken.
    """
    root = find_folder(folder)
    if not any(any(root.glob(f"{inside}{MANIFEST}")) for inside in ("", "*/")):
        found = "an unfinished" if (root / WORK).exists() else "no"
        raise UsageError(
            f"{folder} holds {found} published source.",
            "Give the folder of a finished source; to finish one, use synglancer publish --resume.",
        )
    if not 0 <= port <= _LAST_PORT:
        raise UsageError(
            f"{port} is not a port.", "Give --port as a number from 1 to 65535, or leave it out."
        )
    try:
        return _Server(("127.0.0.1", port), partial(_Handler, root.resolve()))
    except OSError as error:
        raise UsageError(
            f"Port {port} cannot be used: {error.strerror or error}.",
            "Choose another --port, or leave it out.",
        ) from error


def find_file(root: Path, address: str) -> Path | None:
    """Find the file that an address names; None if it is not a file inside the folder.

    Parameters
    ----------
    root
        The folder, with all symbolic links followed.
    address
        The path of a request, encoded.
    """
    parts = unquote(urlsplit(address).path).removeprefix("/").split("/")
    if any(part in {"", ".", ".."} or "\\" in part or "\0" in part for part in parts):
        return None
    # Unfinished and internal files begin with a dot or have this ending.
    if any(part.startswith(".") for part in parts) or parts[-1].endswith(TEMPORARY):
        return None
    try:
        found = root.joinpath(*parts).resolve()
        return found if found.is_relative_to(root) and found.is_file() else None
    except (OSError, ValueError):
        return None


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read a ``Range`` header: first byte and end (exclusive); None for the whole file.

    Raises
    ------
    ValueError
        When nothing of the file is in the range.

    Examples
    --------
    >>> parse_range("bytes=10-19", 100), parse_range("bytes=-5", 100), parse_range(None, 100)
    ((10, 20), (95, 100), None)
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= stop:
        raise ValueError(f"no byte of {size} in {header}")
    return start, stop


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "synglancer"
    timeout = 60
    # Headers and file leave together: sent one by one, a small file waits 40 ms for the client to
    # acknowledge its headers.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def __init__(self, root: Path, *arguments: object) -> None:
        self._root = root
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Do not log requests."""

    def do_OPTIONS(self) -> None:  # named by the base class
        """Allow any page to read ranges."""
        self._begin(HTTPStatus.NO_CONTENT, 0)
        self.end_headers()

    def do_HEAD(self) -> None:
        """Answer like GET, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer with a file or a part of it."""
        found = find_file(self._root, self.path)
        if found is None:
            self._begin(HTTPStatus.NOT_FOUND, 0)
            self.end_headers()
            return
        with found.open("rb") as file:
            size = found.stat().st_size
            try:
                wanted = parse_range(self.headers.get("Range"), size)
            except ValueError:
                self._begin(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 0)
                self.send_header("Content-Range", f"bytes */{size}")
                self.end_headers()
                return
            start, stop = wanted or (0, size)
            self._begin(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK, stop - start)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
            json = found.suffix == ".json" or found.name == "info"
            self.send_header(
                "Content-Type", "application/json" if json else "application/octet-stream"
            )
            self.end_headers()
            if self.command != "HEAD":
                file.seek(start)
                for block in _read(file, stop - start):
                    self.wfile.write(block)

    def _begin(self, status: HTTPStatus, length: int) -> None:
        self.send_response(status)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Range")
        self.send_header("Access-Control-Expose-Headers", "Content-Length, Content-Range")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(length))


def _read(file: BinaryIO, length: int) -> Iterator[bytes]:
    while block := file.read(min(length, _BLOCK)):
        length -= len(block)
        yield block
