"""Bytes of a published source's files: from a folder, or over HTTP as viewers read them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.errors import ServiceError, UnreachableError, UsageError

if TYPE_CHECKING:
    from synglancer.publish.manifest import Manifest

CONNECTIONS = 16
"""Requests to one server at a time."""

_ASKING = "https://neuroglancer.example"  # a viewer as good as any
_TRIES = 3
_PARTIAL = 206
_NOT_FOUND = 404
_TOO_FAR = 416

_HOW_TO_SERVE = (
    "Serve it with ranges and CORS, as object stores and `synglancer serve` do; see the docs."
)


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
        self._root = Path(address)
        if not self._root.is_dir():
            raise UsageError(
                f"{address} is not a folder.", "Give the folder that was published to."
            )

    def read(self, name: str, start: int, size: int | None) -> bytes | None:
        """Read bytes of a file; None when it is not there."""
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

    Parameters
    ----------
    address
        Its address, without a slash at the end.
    timeout
        Seconds that a request may take.
    """

    def __init__(self, address: str, timeout: float) -> None:
        import requests
        from requests.adapters import HTTPAdapter
        from urllib3.util import Retry

        self._address = address
        self._timeout = timeout
        self._session = requests.Session()
        # What the environment says of proxies and certificates is looked up once. And nothing that
        # lies in ~/.netrc may reach a host that the user has only named.
        found = self._session.merge_environment_settings(address, {}, None, None, None)
        self._session.proxies, self._session.verify = found["proxies"], found["verify"]
        self._session.trust_env = False
        retries = Retry(_TRIES, status_forcelist=(502, 503, 504), backoff_factor=0.3)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=retries))

    def read(self, name: str, start: int, size: int | None) -> bytes | None:
        """Read bytes of a file."""
        answer = self._get(name, start, size)
        if answer.status_code in {_NOT_FOUND, _TOO_FAR}:
            return None
        if not answer.ok:
            raise ServiceError(
                f"{self._address} answered with status {answer.status_code}.",
                "Check the address and who may read it.",
            )
        content: bytes = answer.content
        if size is not None and answer.status_code != _PARTIAL:
            raise self._unfit("it ignores ranges")
        return content

    def check(self, manifest: Manifest) -> None:
        """Check that viewers can read it, which say nothing when they cannot."""
        if not manifest.tags:
            return
        answer = self._get(f"{manifest.tags[0].folder}/info", 0, 2)
        if answer.status_code != _PARTIAL or len(answer.content) != 2:  # noqa: PLR2004
            raise self._unfit("it ignores ranges")
        allowed = answer.headers.get("Access-Control-Allow-Origin", "")
        if allowed not in {"*", _ASKING}:
            raise self._unfit("it does not let pages of other sites read it (CORS)")

    def _get(self, name: str, start: int, size: int | None) -> Any:
        import requests

        headers = {"Accept-Encoding": "identity", "Origin": _ASKING}
        if size is not None:
            headers["Range"] = f"bytes={start}-{start + size - 1}"
        try:
            return self._session.get(
                f"{self._address}/{name}", headers=headers, timeout=self._timeout
            )
        except requests.RequestException as error:
            silent = UnreachableError(
                f"{self._address} does not answer.", "Check the address and the connection."
            )
            silent.doctor_helps = False  # it looks at CAVE, and this is another server
            raise silent from error

    def _unfit(self, why: str) -> ServiceError:
        return ServiceError(f"Viewers cannot read {self._address}: {why}.", _HOW_TO_SERVE)
