"""Serve files over HTTP, with ranges, validators and files stored compressed.

cloud-volume and neuroglancer store a chunk ``name`` as ``name.gz`` and expect a request for
``name`` to be answered with ``Content-Encoding: gzip``.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tornado.web import HTTPError, StaticFileHandler

from cave_sandbox.web.handler import Handler

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class StoredFile:
    """A file that may be served."""

    path: Path  # with all symbolic links followed
    compressed: bool  # whether it is stored gzip-compressed
    etag: str  # changes when the file does


def find_file(folder: Path, path: str) -> StoredFile | None:
    """Find the file at an address, such as ``em/4_4_40/0-64_0-64_0-64``, below a folder.

    Without such a file, the same name with ``.gz`` is looked for. Return None if there is neither,
    or if the file is outside the folder.
    """
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\\" in part for part in parts):
        return None
    root = folder.resolve()
    try:
        for name, compressed in ((path, False), (f"{path}.gz", True)):
            found = (root / name).resolve()
            if found.is_relative_to(root) and found.is_file():
                stat, suffix = found.stat(), "-gz" if compressed else ""
                etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}{suffix}"'
                return StoredFile(found, compressed, etag)
    except (OSError, ValueError):  # the name is too long for the disk, or contains a zero byte
        return None
    return None


class FileHandler(Handler, StaticFileHandler):
    """Base of the handlers that answer with a file; tornado answers ranges and validators.

    A subclass defines the file at an address (`find`).
    """

    exposed_headers = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag"
    etag: str | None = None
    content: bytes | None = None

    def find(self, address: str) -> StoredFile | None:
        """Return the file at an address."""
        raise NotImplementedError

    def set_default_headers(self) -> None:
        """Forbid caching, since an address may later have another file."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-cache")

    def get_content_type(self) -> str:
        """Return the content type: JSON for metadata, and bytes for everything else."""
        name = PurePosixPath(self.stored.path.name.removesuffix(".gz"))
        if name.name == "info" or name.suffix == ".json":
            return "application/json"
        return "application/octet-stream"

    @classmethod
    def get_absolute_path(cls, _root: str, path: str) -> str:
        """Return the address unchanged, since `find` reads it."""
        return path

    def validate_absolute_path(self, _root: str, absolute_path: str) -> str:
        """Find the file, and unpack it for clients that cannot; 404 if it does not exist."""
        found = self.find(absolute_path)
        if found is None:
            raise HTTPError(404)
        from werkzeug.http import parse_accept_header  # with the first file

        accepted = parse_accept_header(self.request.headers.get("Accept-Encoding"))
        self.stored = found
        self.packed = found.compressed and bool(accepted["gzip"])
        if found.compressed and not self.packed:
            self.content = gzip.decompress(found.path.read_bytes())
        # Ignore a range of packed bytes, which no client means, and a range of an older file.
        self.etag = found.etag if self.packed else found.etag.replace("-gz", "")
        if self.packed or self.request.headers.get("If-Range", self.etag) != self.etag:
            self.request.headers.pop("Range", None)
        return str(found.path)

    def compute_etag(self) -> str | None:
        """Return the file's ETag; its unpacked form has another one."""
        return self.etag

    def get_modified_time(self) -> datetime:
        """Return when the file was written (UTC)."""
        return datetime.fromtimestamp(int(self.stored.path.stat().st_mtime), timezone.utc)

    def get_content_size(self) -> int:
        """Return the size in bytes, to which ranges refer."""
        return self.stored.path.stat().st_size if self.content is None else len(self.content)

    def set_extra_headers(self, _path: str) -> None:
        """Set the headers for content encoding."""
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("X-Content-Type-Options", "nosniff")
        if self.packed:
            self.clear_header("Accept-Ranges")
            self.set_header("Content-Encoding", "gzip")

    def get_content(  # type: ignore[override]  # called with an instance
        self, abspath: str, start: int | None = None, end: int | None = None
    ) -> tuple[()]:
        """Write the bytes but yield nothing: tornado would send yielded bytes before any fault."""
        if self.content is None:
            self.write(b"".join(super().get_content(abspath, start, end)))
        else:
            self.write(self.content[start:end])
        return ()
