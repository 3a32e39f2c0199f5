"""Write published files to a folder or an object store (fsspec), completely or not at all.

Also choose each tag's folder name, which is safe on any disk and in any address.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import is_full
from synglancer.errors import OutputError, ServiceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

TEMPORARY = ".tmp"

_LEFTOVER = re.compile(r"\.\d+\.tmp$")
_ATTEMPTS = 5
_PATIENCE = 0.5
"""Seconds before the second attempt; twice as many before each further one."""


class Folder:
    """A folder on this machine."""

    def __init__(self, address: str) -> None:
        self.root = Path(address).absolute()
        self.address = str(self.root)

    def write(self, name: str, pieces: Iterable[Any]) -> int:
        """Write a file under a temporary name and rename it; return its bytes."""
        path = self.root / name
        # The process ID keeps a resumed run apart from one that is about to end.
        temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                size = sum(file.write(piece) for piece in pieces)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if is_full(error):
                raise build_full(path) from error
            raise UsageError(
                f"{path} cannot be written: {error.strerror or error}.",
                "Check the permissions of the folder, or choose another destination.",
            ) from error
        return size

    def read(self, name: str) -> bytes | None:
        """Return a file's content, or None if it does not exist."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UsageError(
                f"{self.root / name} cannot be read: {error.strerror or error}.",
                "Check the folder and its permissions.",
            ) from error

    def remove_leftovers(self) -> None:
        """Remove unfinished files of killed runs."""
        for path in self.root.rglob(f"*{TEMPORARY}"):
            if _LEFTOVER.search(path.name):
                path.unlink(missing_ok=True)

    def is_empty(self) -> bool:
        """Whether the destination is empty."""
        if self.root.exists() and not self.root.is_dir():
            raise UsageError(f"{self.root} is not a folder.", "Choose another destination.")
        return not self.root.exists() or not any(
            not item.name.startswith(WORK) for item in self.root.iterdir()
        )


class ObjectStore:
    """A place in an object store, such as ``s3://bucket/folder``."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        try:
            import fsspec
        except ImportError as error:
            raise UsageError(
                "Publishing to an object store needs fsspec.",
                "Install it with: pip install 'synglancer[publish]'.",
            ) from error
        try:
            self._system, self._root = fsspec.core.url_to_fs(self.address, use_listings_cache=False)
        except ImportError as error:
            raise UsageError(
                f"{address} cannot be read or written without another package: {error}.",
                "Install the one for your store: s3fs for s3://, gcsfs for gs://, adlfs for az://.",
            ) from error
        except ValueError as error:
            raise UsageError(
                f"{address} is not the address of an object store.", "Use s3://, gs:// or az://."
            ) from error

    def write(self, name: str, pieces: Iterable[Any]) -> int:
        """Write an object, which appears whole or not at all, and check that it exists."""
        content = b"".join(pieces)

        def put() -> int:
            self._system.pipe_file(f"{self._root}/{name}", content)
            try:
                size = int(self._system.info(f"{self._root}/{name}")["size"])
            except FileNotFoundError:
                size = 0
            if size != len(content):
                raise OSError(f"only {size:,} of {len(content):,} bytes arrived")
            return size

        return int(self._attempt(put, name, "written"))

    def read(self, name: str) -> bytes | None:
        """Return an object's content, or None if it does not exist."""

        def get() -> bytes | None:
            try:
                content: bytes = self._system.cat_file(f"{self._root}/{name}")
            except FileNotFoundError:
                return None
            return content

        found = self._attempt(get, name, "read")
        return found if isinstance(found, bytes) else None

    def remove_leftovers(self) -> None:
        """Remove nothing, because objects are never left unfinished."""

    def is_empty(self) -> bool:
        """Whether the destination is empty."""

        def look() -> bool:
            try:
                return not self._system.ls(self._root)
            except FileNotFoundError:
                return True

        return bool(self._attempt(look, "", "listed"))

    def _attempt(self, act: Any, name: str, what: str) -> Any:
        for attempt in range(_ATTEMPTS):
            try:
                return act()
            except PermissionError as error:  # noqa: PERF203
                raise ServiceError(
                    f"You do not have permission for this: {self.address}/{name} was not {what}.",
                    "Log in to the object store as you do for its own tools, then add --resume.",
                ) from error
            except FileNotFoundError as error:
                raise UsageError(
                    f"There is no bucket for {self.address}.", "Check the address, or create it."
                ) from error
            except Exception as error:  # each store has its own
                if attempt == _ATTEMPTS - 1:
                    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
                    raise ServiceError(
                        f"{self.address}/{name} could not be {what}: {reason}.",
                        "Check the address and the connection, then continue with --resume.",
                    ) from error
                time.sleep(_PATIENCE * 2**attempt)
        raise AssertionError


WORK = ".publishing"
"""Name of the folder for unfinished work, which is kept until a run has finished."""


def open_destination(address: str) -> Folder | ObjectStore:
    """Open the folder or object store for the files."""
    if address.startswith("file://"):
        address = address.removeprefix("file://")
    if address.startswith(("http://", "https://")):
        raise UsageError(
            f"Nothing can be published to {address}, because web servers only give files.",
            "Give a folder, or a bucket such as s3://bucket/folder.",
        )
    return ObjectStore(address) if "://" in address else Folder(address)


def build_full(place: Path | str) -> OutputError:
    """Make the error for a disk that is full."""
    return OutputError(
        f"{place} cannot be written, because the disk is full.",
        "Free some space, then try again; `synglancer publish` continues with --resume.",
    )


def dump_json(content: Any) -> bytes:
    """Write JSON for people to read, always the same."""
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


_PLAIN = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DEVICES = {"con", "prn", "aux", "nul"}  # names that Windows keeps for itself


def name_folders(tags: Iterable[str]) -> dict[str, str]:
    """Name the folder of each tag.

    Examples
    --------
    >>> name_folders(["spine", "Spine/2"])
    {'spine': 'spine', 'Spine/2': 'spine-2-4c4b0cf1'}
    """
    return {tag: _name_folder(tag) for tag in tags}


def _name_folder(tag: str) -> str:
    if _PLAIN.fullmatch(tag) and tag not in _DEVICES:
        return tag
    readable = re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-")[:30]
    digest = hashlib.sha256(tag.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable or 'tag'}-{digest}" if readable[:1].isalpha() else f"tag-{readable}{digest}"
