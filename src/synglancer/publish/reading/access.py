"""Read bytes of a published source's files from a folder, or over HTTP like a viewer."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from synglancer.cave.auth import is_loopback
from synglancer.errors import BadAnswerError, ServiceError, UnreachableError, UsageError

if TYPE_CHECKING:
    from synglancer.publish.manifest import Manifest

MOST_BYTES = 64_000_000
"""Most bytes that are read at once, enough for two million synapses with one tag."""

_ASKING = "https://neuroglancer.example"  # any viewer's address will do
_TRIES = 4
_BACKOFF = 0.3  # seconds before the second try; twice as many before each further one
_PASSING = {502, 503, 504}
_PARTIAL = 206
_MISSING = {404, 416}
_REFUSED = 400
_PIECE = 16 * 1024  # bytes before they are unpacked: gzip packs a thousandfold at most

_HOW_TO_SERVE = "Serve it with range requests and CORS, as object stores and `synglancer serve` do."


def find_folder(address: str) -> Path:
    """Find the folder of a source on this machine.

    Raises
    ------
    UsageError
        When there is no such folder.
    """
    folder = Path(address)
    if not folder.is_dir():
        problem = (
            f"{address} is not a folder" if folder.exists() else f"There is no folder {address}"
        )
        raise UsageError(f"{problem}.", "Give the folder of a published source.")
    return folder


class Folder:
    """A source in a folder of this machine.

    Parameters
    ----------
    address
        The folder.

    Raises
    ------
    UsageError
        When there is no such folder.
    """

    def __init__(self, address: str) -> None:
        self._root = find_folder(address)

    def read(self, name: str, start: int, size: int | None) -> bytes | None:
        """Read bytes of a file; None if it does not exist."""
        path = self._root / name
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read() if size is None else file.read(size)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror or error}.", "Check the folder."
            ) from error


class Server:
    """A source over HTTP.

    Its answers are bounded in time and in bytes, compressed and decompressed. It gets no token and
    no password from ~/.netrc, because the user has only named its address.

    Parameters
    ----------
    address
        Its address, without a trailing slash.
    timeout
        Longest time for a request in seconds, retries included.
    at_once
        Number of requests at a time.
    """

    def __init__(self, address: str, timeout: float, at_once: int) -> None:
        self._address = address
        self._timeout = timeout
        self._pools = _open_pools(address, at_once)

    def read(self, name: str, start: int, size: int | None) -> bytes | None:
        """Read at most `MOST_BYTES` of a file; None if it does not exist."""
        status, content, _ = self._get(name, start, size)
        return None if status in _MISSING else content

    def check(self, manifest: Manifest) -> None:
        """Check that viewers can read the source, because they show no error otherwise."""
        if not manifest.tags:
            return
        status, _, headers = self._get(f"{manifest.tags[0].folder}/info", 0, 2)
        allowed = headers.get("Access-Control-Allow-Origin", "")
        if status == _PARTIAL and allowed not in {"*", _ASKING}:
            raise self._unfit("it does not let pages of other sites read it (CORS)")

    def _get(self, name: str, start: int, size: int | None) -> tuple[int, bytes, Any]:
        """Request bytes of a file, with retries if useful; return status, content and headers."""
        from urllib3.exceptions import HTTPError, NewConnectionError

        deadline = time.monotonic() + self._timeout
        for attempt in count(1):
            pause = _BACKOFF * 2 ** (attempt - 1)
            last = attempt == _TRIES or time.monotonic() + pause >= deadline
            try:
                status, content, headers = self._get_once(name, start, size, deadline)
            except (HTTPError, OSError) as error:
                refused = isinstance(getattr(error, "reason", None), NewConnectionError)
                if refused or last or time.monotonic() + pause >= deadline:
                    silent = UnreachableError(
                        f"{self._address} does not answer.", "Check the address and the connection."
                    )
                    silent.doctor_helps = False  # it looks at CAVE, and this is another server
                    raise silent from error
            else:
                if status not in _PASSING or last:
                    break
            time.sleep(pause)
        if status >= _REFUSED and status not in _MISSING:
            raise ServiceError(
                f"{self._address} answered with status {status}.",
                "Check the address and its permissions.",
            )
        return status, content, headers

    def _get_once(
        self, name: str, start: int, size: int | None, deadline: float
    ) -> tuple[int, bytes, Any]:
        from urllib3 import Timeout

        headers = {"Accept-Encoding": "identity", "Origin": _ASKING}
        if size is not None:
            headers["Range"] = f"bytes={start}-{start + size - 1}"
        left = max(deadline - time.monotonic(), 0.001)
        answer = self._pools.request(
            "GET", f"{self._address}/{name}", headers=headers, timeout=Timeout(total=left),
            retries=_follow_only(), preload_content=False,
        )  # fmt: skip
        whole = False
        try:
            if answer.status >= _REFUSED:
                return answer.status, b"", answer.headers
            if size is not None and answer.status != _PARTIAL:
                raise self._unfit("it ignores ranges")
            content = self._read_body(answer, MOST_BYTES if size is None else size, deadline)
            whole = True
        finally:
            if whole:
                answer.release_conn()
            else:  # what is left of the body is not worth reading
                answer.close()
        return answer.status, content, answer.headers

    def _read_body(self, answer: Any, most: int, deadline: float) -> bytes:
        """Read an answer in pieces, within the limits of size and time."""
        packed = answer.headers.get("Content-Encoding", "")
        piece = _PIECE if packed else min(most, 1 << 20) + 1
        body = bytearray()
        # Packed twice, each piece could be a million times as large.
        while "," not in packed and len(body) <= most:
            got = answer.read1(piece)
            if not got:
                return bytes(body)
            body += got
            if time.monotonic() > deadline:
                raise TimeoutError
        raise BadAnswerError(
            f"{self._address} sent more data than was requested.",
            "Check the address of the source.",
        )

    def _unfit(self, why: str) -> ServiceError:
        return ServiceError(f"Viewers cannot read {self._address}: {why}.", _HOW_TO_SERVE)


def _follow_only() -> Any:
    """Follow redirects like viewers, without retries."""
    from urllib3 import Retry

    return Retry(connect=0, read=0, status=0, other=0, redirect=5)


def _open_pools(address: str, at_once: int) -> Any:
    """Open connections with the environment's proxies and certificates, looked up once."""
    import requests
    from requests.adapters import HTTPAdapter
    from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

    from synglancer.cave.deadlines import POOLS

    session = requests.Session()
    found = session.merge_environment_settings(address, {}, None, None, None)
    proxy = select_proxy(address, found["proxies"])
    adapter = HTTPAdapter(pool_maxsize=at_once, pool_block=True)
    if proxy and not is_loopback(urlsplit(address).hostname):
        pools = adapter.proxy_manager_for(proxy)
    else:
        pools = adapter.poolmanager
    bundle = found["verify"] if isinstance(found["verify"], str) else DEFAULT_CA_BUNDLE_PATH
    place = "ca_cert_dir" if Path(bundle).is_dir() else "ca_certs"
    pools.connection_pool_kw |= {"cert_reqs": "CERT_REQUIRED", place: bundle}
    pools.pool_classes_by_scheme = POOLS
    return pools
