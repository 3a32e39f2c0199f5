"""Files over HTTP: ranges, validators, and files that are stored compressed.

cloud-volume and neuroglancer store a chunk ``name`` as ``name.gz`` and expect a request for
``name`` to be answered with ``Content-Encoding: gzip``.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tornado.ioloop import IOLoop

from cave_sandbox.web.handler import Handler

if TYPE_CHECKING:
    import os
    from pathlib import Path

__all__ = ["FileHandler", "StoredFile", "find_file", "parse_range"]

RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class StoredFile:
    """A file that may be served.

    Attributes
    ----------
    path
        Where it lies, with all symbolic links followed.
    compressed
        Whether what was asked for is stored there gzip-compressed.
    etag
        Changes when the file does.
    """

    path: Path
    compressed: bool
    etag: str


def find_file(folder: Path, path: str) -> StoredFile | None:
    """Find what an address names below a folder.

    Parameters
    ----------
    folder
        The folder outside of which nothing is served.
    path
        The decoded rest of the address, e.g. ``em/4_4_40/0-64_0-64_0-64``.

    Returns
    -------
    StoredFile or None
        The file itself, else the file with ``.gz`` added, else None: also for whatever lies
        outside of the folder.
    """
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\\" in part for part in parts):
        return None
    root = folder.resolve()
    try:
        for name, compressed in ((path, False), (f"{path}.gz", True)):
            found = (root / name).resolve()
            if found.is_relative_to(root) and found.is_file():
                return StoredFile(found, compressed, _etag(found.stat(), compressed=compressed))
    except (OSError, ValueError):  # a name too long for the disk, or with a zero byte in it
        return None
    return None


def _etag(stat: os.stat_result, *, compressed: bool) -> str:
    suffix = "-gz" if compressed else ""
    return f'"{stat.st_mtime_ns:x}-{stat.st_size:x}{suffix}"'


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read a ``Range`` header.

    Parameters
    ----------
    header
        The header, or None.
    size
        Bytes that there are.

    Returns
    -------
    tuple of int or None
        First byte and the one behind the last; None when the whole file is to be sent. That is
        also so for several ranges at once, which a server may ignore.

    Raises
    ------
    ValueError
        When nothing of the file is in the range.

    Examples
    --------
    >>> parse_range("bytes=10-19", 100), parse_range("bytes=-5", 100), parse_range(None, 100)
    ((10, 20), (95, 100), None)
    """
    match = RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(0) == "bytes=-":
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


class FileHandler(Handler):
    """Base of the handlers that answer with a file.

    A subclass says which file an address names (`find`), and its content type and caching.
    """

    exposed_headers = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag"

    def find(self, *names: str) -> StoredFile | None:
        """Return the file that the address names."""
        raise NotImplementedError

    def content_type(self, path: Path) -> str:
        """Return the content type of a file."""
        raise NotImplementedError

    def cache_control(self, path: Path) -> str:
        """Return how long a file may be kept."""
        raise NotImplementedError

    def prepare_body(self, _path: Path, body: bytes) -> bytes:
        """Return what is sent of a file that is not stored compressed: all of it, as it is."""
        return body

    async def get(self, *names: str) -> None:
        """Answer with the file, a part of it, or 404."""
        found = self.find(*names)
        if found is None:
            self.set_header("Cache-Control", "no-cache")
            self.send_error_page(404)
            return
        packed = found.compressed and self.accepts_gzip()
        etag = found.etag if packed else found.etag.replace("-gz", "")
        self.set_header("Cache-Control", self.cache_control(found.path))
        self.set_header("ETag", etag)
        self.set_header("Vary", "Accept-Encoding")
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
            return
        body = await IOLoop.current().run_in_executor(None, found.path.read_bytes)
        self.set_header("Content-Type", self.content_type(found.path))
        self.set_header("X-Content-Type-Options", "nosniff")
        if packed:
            # No ranges: they would count packed bytes, which nobody means who asks for some.
            self.set_header("Content-Encoding", "gzip")
            self.finish(body)
            return
        self.set_header("Accept-Ranges", "bytes")
        whole = gzip.decompress(body) if found.compressed else self.prepare_body(found.path, body)
        self.finish(self.cut(whole, etag))

    def accepts_gzip(self) -> bool:
        """Whether the client unpacks gzip."""
        accepted: dict[str, str] = {}
        for item in self.request.headers.get("Accept-Encoding", "").lower().split(","):
            name, _, quality = item.partition(";")
            accepted[name.strip()] = quality.replace(" ", "")
        quality = accepted.get("gzip", accepted.get("*", "q=0"))
        return re.fullmatch(r"q=0(\.0*)?", quality) is None

    def cut(self, body: bytes, etag: str) -> bytes:
        """Return the part that ``Range`` asks for, with the status and headers that say so."""
        header: Any = self.request.headers.get("Range")
        if self.request.headers.get("If-Range", etag) != etag:
            header = None
        try:
            wanted = parse_range(header, len(body))
        except ValueError:
            self.set_status(416)
            self.set_header("Content-Range", f"bytes */{len(body)}")
            return b""
        if wanted is None:
            return body
        start, stop = wanted
        self.set_status(206)
        self.set_header("Content-Range", f"bytes {start}-{stop - 1}/{len(body)}")
        return body[start:stop]
