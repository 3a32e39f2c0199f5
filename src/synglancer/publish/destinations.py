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
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from synglancer.cache.files import is_full
from synglancer.errors import (
    BadAnswerError,
    NotServedError,
    OutputError,
    ServiceError,
    SynglancerError,
    UsageError,
    needs_extra,
)
from synglancer.publish.reading.access import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Answer = TypeVar("Answer")

TEMPORARY = ".tmp"

_LEFTOVER = re.compile(r"\.\d+\.tmp$")
_ATTEMPTS = 5
_PATIENCE = 0.5
"""Seconds before the second attempt; twice as many before each further one."""

_SLOWEST = 100_000
"""Bytes in a second that a connection sends at least: no object of ours takes longer."""

_INVALID = "ParamValidationError"
_INVALID_NAME = re.compile(r"Invalid bucket name|name contains invalid characters", re.IGNORECASE)
"""How the stores' libraries say that no bucket can have such a name."""

TIMEOUT = 60.0
"""Seconds that one answer of a store may take."""


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
    """A place in an object store, such as ``s3://bucket/folder``.

    Parameters
    ----------
    address
        The place.
    timeout
        Seconds that a request may take, further tries included; large objects get more.
    """

    def __init__(self, address: str, timeout: float = TIMEOUT) -> None:
        self.address = address.rstrip("/")
        self._timeout = timeout
        with needs_extra("publish", "Publishing to an object store needs fsspec."):
            import fsspec
        if not urlsplit(self.address).netloc:
            raise UsageError(f"{address} names no bucket.", "Give one, such as s3://bucket/folder.")
        try:
            self._system, self._root = fsspec.core.url_to_fs(self.address, use_listings_cache=False)
        except ImportError as error:
            raise UsageError(
                f"{address} cannot be read or written without another package: {error}.",
                "Install the one for your store: s3fs for s3://, gcsfs for gs://, adlfs for az://.",
            ) from error
        except ValueError as error:
            raise UsageError(
                f"{address} cannot be opened: {_quote(error)}.",
                "Use s3://, gs:// or az://, and log in as you do for the store's own tools.",
            ) from error

    def write(self, name: str, pieces: Iterable[Any]) -> int:
        """Write an object, which appears whole or not at all, and check that it exists."""
        content = b"".join(pieces)

        def put(seconds: float) -> int:
            self._call("pipe_file", seconds, f"{self._root}/{name}", content)
            try:
                size = int(self._call("info", seconds, f"{self._root}/{name}")["size"])
            except FileNotFoundError:
                size = 0
            if size != len(content):
                raise OSError(f"only {size:,} of {len(content):,} bytes arrived")
            return size

        return self._attempt(put, name, "written", len(content))

    def read(self, name: str) -> bytes | None:
        """Return an object's content, or None if it does not exist.

        Raises
        ------
        ServiceError
            When it cannot be read, or is larger than any file that is read whole.
        """
        path = f"{self._root}/{name}"

        def get(seconds: float) -> bytes | None:
            try:
                if int(self._call("info", seconds, path)["size"]) > MOST_BYTES:
                    raise BadAnswerError(
                        f"{self.address}/{name} is too large.", "Check the address of the source."
                    )
                return self._call("cat_file", seconds, path)
            except FileNotFoundError as error:
                if _is_without_bucket(error):
                    raise
                return None

        return self._attempt(get, name, "read")

    def remove_leftovers(self) -> None:
        """Remove nothing, because objects are never left unfinished."""

    def is_empty(self) -> bool:
        """Whether the destination is empty."""

        def look(seconds: float) -> bool:
            try:
                return not self._call("ls", seconds, self._root)
            except FileNotFoundError as error:
                if _is_without_bucket(error):
                    raise
                return True

        return self._attempt(look, "", "listed")

    def _call(self, method: str, seconds: float, *arguments: Any) -> Any:
        """Call a method of the store, and give up when the time is up.

        Each library has timeouts of its own, but also tries again several times.
        """
        if not getattr(self._system, "async_impl", False):
            return getattr(self._system, method)(*arguments)
        from fsspec.asyn import sync

        return sync(
            self._system.loop, getattr(self._system, f"_{method}"), *arguments, timeout=seconds
        )

    def _attempt(
        self, act: Callable[[float], Answer], name: str, what: str, size: int = 0
    ) -> Answer:
        place = f"{self.address}/{name}".rstrip("/")
        most = self._timeout + size / _SLOWEST
        end = time.monotonic() + most
        attempt = 0
        while True:
            attempt += 1
            try:
                return act(max(end - time.monotonic(), 0.1))
            except PermissionError as error:
                raise ServiceError(
                    f"You do not have permission for this: {place} was not {what}.",
                    "Log in to the object store as you do for its own tools, then add --resume.",
                ) from error
            except SynglancerError:
                raise
            except Exception as error:  # each store has its own
                if isinstance(error, FileNotFoundError) or _is_without_bucket(error):
                    raise NotServedError(
                        f"There is no bucket for {self.address}.",
                        "Check the address, or create it.",
                    ) from error
                if type(error).__name__ == _INVALID or _INVALID_NAME.search(str(error)):
                    raise UsageError(
                        f"{self.address} is not an address of the store: {_quote(error)}.",
                        "Check the name of the bucket.",
                    ) from error
                pause = _PATIENCE * 2 ** (attempt - 1)
                if attempt == _ATTEMPTS or time.monotonic() + pause >= end:
                    raise ServiceError(
                        f"{place} could not be {what}: {_explain(error, most)}.",
                        "Check the address and the connection, then try again; `synglancer "
                        "publish` continues with --resume.",
                    ) from error
                time.sleep(pause)


_NO_BUCKET = re.compile(r"(bucket|container) does not exist", re.IGNORECASE)


def _is_without_bucket(error: Exception) -> bool:
    """Whether not only an object is missing, but the bucket that would hold it."""
    return bool(_NO_BUCKET.search(str(error)))


def _explain(error: Exception, most: float) -> str:
    """Say why an object store failed, after so many seconds."""
    from asyncio import TimeoutError as AsyncTimeoutError  # Python 3.10 has two

    if isinstance(error, (TimeoutError, AsyncTimeoutError)):
        return f"no answer within {most:.0f} s"
    return _quote(error)


def _quote(error: Exception) -> str:
    """Quote the first line of a library's message, without its full stop."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")[:300]


WORK = ".publishing"
"""Name of the folder for unfinished work, which is kept until a run has finished."""


def open_destination(address: str, timeout: float = TIMEOUT) -> Folder | ObjectStore:
    """Open the folder or object store for the files."""
    address = address.removeprefix("file://")
    if address.startswith(("http://", "https://")):
        raise UsageError(
            f"Nothing can be published to {address}, because web servers only give files.",
            "Give a folder, or a bucket such as s3://bucket/folder.",
        )
    return ObjectStore(address, timeout) if "://" in address else Folder(address)


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


def name_folder(tag: str) -> str:
    """Name the folder of a tag.

    Examples
    --------
    >>> name_folder("spine"), name_folder("Spine/2")
    ('spine', 'spine-2-4c4b0cf1')
    """
    if _PLAIN.fullmatch(tag) and tag not in _DEVICES:
        return tag
    readable = re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-")[:30]
    digest = hashlib.sha256(tag.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable or 'tag'}-{digest}" if readable[:1].isalpha() else f"tag-{readable}{digest}"
