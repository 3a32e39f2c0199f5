"""Find the CAVE token for a server."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from synglancer.cache.files import read_file
from synglancer.errors import UsageError
from synglancer.settings import DEFAULT_SERVER
from synglancer.text.printable import for_message

_SECRETS = Path("~/.cloudvolume/secrets")
"""Where caveclient saves tokens: one for each host, and one for all of them."""

_VARIABLE = "CAVE_TOKEN"


@dataclass(frozen=True)
class FoundToken:
    """A token, and where it was found.

    Attributes
    ----------
    token
        The token, which must never be printed or stored.
    place
        ``CAVE_TOKEN``, or the path of a file.
    """

    token: str = field(repr=False)
    place: str


def find_token(server: str, token_file: str | None = None) -> str | None:
    """Find the token for a server, as `locate_token` does; return None if there is none."""
    found = locate_token(server, token_file)
    return None if found is None else found.token


def locate_token(server: str, token_file: str | None = None) -> FoundToken | None:
    """Find the token for a server and the place where it is stored.

    In this order: `token_file`; the environment variable ``CAVE_TOKEN``; the files that caveclient
    uses, ``~/.cloudvolume/secrets/<host>-cave-secret.json`` and, over https only,
    ``~/.cloudvolume/secrets/cave-secret.json``.

    Parameters
    ----------
    server
        Address of the CAVE server.
    token_file
        A file that holds the token: as plain text, or as JSON with the key ``token``.

    Returns
    -------
    FoundToken or None
        The token and its place, or None if there is none.

    Raises
    ------
    UsageError
        When `token_file` cannot be read or holds no token.
    """
    if token_file is not None:
        return _read_token_file(Path(os.path.expanduser(token_file)))  # noqa: PTH111  # never fails
    if token := os.environ.get(_VARIABLE, "").strip():
        return FoundToken(check_token(token, _VARIABLE), _VARIABLE)
    address = urlsplit(server)
    places = [_SECRETS / f"{address.netloc}-cave-secret.json"]
    if address.scheme == "https":
        # The token for all servers is not sent over http, where others could read it.
        places.append(_SECRETS / "cave-secret.json")
    return _read_first(places)


def find_saved_token(host: str) -> str | None:
    """Find a token that was saved for one https host and no other.

    This is for addresses in links. The author of the link chose the host, so it must not get a
    token that was given for another server. ``CAVE_TOKEN`` is for the user's own server.

    Parameters
    ----------
    host
        Host, and port if any.
    """
    if "/" in host or host in {"", ".", ".."}:
        return None
    places = [_SECRETS / f"{host}-cave-secret.json"]
    if host == urlsplit(DEFAULT_SERVER).netloc:
        places.append(_SECRETS / "cave-secret.json")
    found = _read_first(places)
    return None if found is None else found.token


def list_saved_tokens() -> list[Path]:
    """List the files in which tokens are saved."""
    try:
        return sorted(_SECRETS.expanduser().glob("*.json"))
    except (OSError, RuntimeError):  # no home folder, or one that may not be read
        return []


def _read_first(places: list[Path]) -> FoundToken | None:
    for place in places:
        path = place.expanduser()
        if path.is_file():
            return _read_token_file(path)
    return None


def _read_token_file(path: Path) -> FoundToken:
    try:
        text = read_file(path).decode("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise UsageError(
            f"The token file {for_message(str(path), 300)} cannot be read: {reason}.",
            "Give a file that holds the token, as plain text or as JSON with the key 'token'.",
        ) from error
    if text.startswith("{"):
        try:
            held = json.loads(text).get("token")
        except ValueError:
            held = None
        text = held.strip() if isinstance(held, str) else ""
    return FoundToken(check_token(text, f"The token file {path}"), str(path))


def check_token(token: str, where: str) -> str:
    """Return a token that can be sent.

    Raises
    ------
    UsageError
        When a text cannot be a token; the error does not repeat it.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{where} does not hold a valid token.",
            "A token is a single word of letters and digits. Your CAVE server shows it when "
            "you create it.",
        )
    return token
