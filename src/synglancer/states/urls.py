"""Make links from the address of a state and a viewer, and parse links."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

import orjson

from synglancer.errors import TooLargeError, UsageError
from synglancer.settings import MAX_STATE, is_address
from synglancer.states.url_safe import to_json
from synglancer.text.printable import quote as quote_text
from synglancer.view_settings import SITES, split_site

MAX_INLINE = 2_000_000
"""Most characters of a link; Chromium shows a blank page for somewhat longer links."""

_MOST_ENCODINGS = 3
_LONGEST_SCHEME = 30
_BUCKETS = {
    "gs://": "https://storage.googleapis.com/{bucket}/",
    "s3://": "https://{bucket}.s3.amazonaws.com/",
}
"""The https addresses of public buckets."""

# Characters that need no escape in a fragment, in Markdown, in LaTeX or in a shell.
_PLAIN = "~@$&!+=:;,.?/"


def format_link(site: str, state_url: str) -> str:
    """Make the link that opens a stored state.

    Parameters
    ----------
    site
        The viewer's address.
    state_url
        The state's address. For https, the prefix ``middleauth+`` makes the viewer log in; for
        http, viewers do not accept the prefix.

    Examples
    --------
    >>> format_link("https://spelunker.cave-explorer.org/",
    ...             "https://global.daf-apis.com/nglstate/api/v1/5")
    'https://spelunker.cave-explorer.org/#!middleauth+https://global.daf-apis.com/nglstate/api/v1/5'
    """
    login = "middleauth+" if urlsplit(state_url).scheme == "https" else ""
    return f"{_with_slash(site)}#!{login}{state_url}"


def format_inline_link(site: str, state: bytes) -> str:
    """Make a link that carries its whole state.

    Raises
    ------
    TooLargeError
        When the link would be too long for browsers.
    """
    url = f"{_with_slash(site)}#!{quote(state, safe=_PLAIN)}"
    if len(url) > MAX_INLINE:
        raise TooLargeError(
            f"A link with the whole state would have {len(url):,} characters, but browsers open "
            f"at most about {MAX_INLINE:,}.",
            "Leave out --inline, or show fewer synapses, for instance with --tag.",
        )
    return url


@dataclass(frozen=True)
class ParsedLink:
    """The parts of a Neuroglancer link.

    Attributes
    ----------
    site
        The viewer's address, with a trailing slash; Spelunker's address for a file.
    state_url
        Address of the stored state, or None for a link that carries it.
    state
        The state that the link carries, as JSON, or None.
    file
        Name of the file of a state, or None.
    """

    site: str
    state_url: str | None
    state: bytes | None
    file: str | None = None

    @property
    def place(self) -> str:
        """The place of the state, as the subject of a sentence."""
        return self.state_url or (f"The file {self.file}" if self.file else "The link")


def parse_link(link: str) -> ParsedLink:
    """Read a Neuroglancer link or the path of a state file.

    Parameters
    ----------
    link
        A link, encoded once, twice or not at all; or the path of a JSON file with a state, such as
        ``--save-state`` writes.

    Raises
    ------
    UsageError
        When it is neither, or the file cannot be read.

    Examples
    --------
    >>> parse_link("https://viewer.org/#!gs://bucket/explore.json").state_url
    'https://storage.googleapis.com/bucket/explore.json'
    """
    text = link.strip()
    if is_state_file(text):
        return ParsedLink(SITES["spelunker"], None, _read_state_file(text), text)
    site, mark, fragment = text.partition("#!")
    if not mark and "json_url=" in site:  # an older form of a state's address
        site, _, query = site.partition("?")
        mark, fragment = "#!", parse_qs(query).get("json_url", [""])[0]
    if not mark and text.lower().endswith(".json") and "://" not in text:
        raise UsageError(
            f"There is no file {quote_text(text, 200)}.",
            "Check its name and folder, and give a file with a Neuroglancer state, such as one "
            "from `make-link --save-state`.",
        )
    if not mark or not is_address(site):
        raise UsageError(
            f"{quote_text(text, 200)} is not a Neuroglancer link.",
            "Give a link with '#!' after the viewer's address, in quotes, or a state's JSON file.",
        )
    fragment = _decode(fragment).removeprefix("+")  # "#!+{…}" is a state on top of the default one
    if fragment.startswith("{"):
        return ParsedLink(_with_slash(site), None, _read_state(fragment))
    state_url = _find_state_url(fragment)
    if state_url is None:
        raise UsageError(
            "This Neuroglancer link holds neither a state nor the address of a state.",
            "Copy the complete link again from the browser's address bar.",
        )
    return ParsedLink(_with_slash(site), state_url, None)


def is_link(text: str) -> bool:
    """Whether a text looks like a Neuroglancer link or the path of a state file."""
    text = text.strip()
    return "#!" in text or "json_url=" in text or is_state_file(text)


def is_state_file(text: str) -> bool:
    """Whether a text is the path of an existing JSON file."""
    is_named = text.lower().endswith(".json") and "://" not in text
    # Unlike the method of paths, this accepts names that are too long or hold a NUL.
    return is_named and os.path.isfile(text)  # noqa: PTH113


def _read_state_file(name: str) -> bytes:
    path = Path(name)
    try:
        if path.stat().st_size > MAX_STATE:
            raise UsageError(
                f"The file {name} is larger than {MAX_STATE // 10**6} MB, and no state server "
                "accepts such a file.",
                "Give a file with a Neuroglancer state.",
            )
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"The file {name} cannot be read: {error.strerror}.",
            "Give a file with a Neuroglancer state, such as one from `make-link --save-state`.",
        ) from error
    try:
        # Some editors add a byte order mark or write UTF-16.
        return content.decode(json.detect_encoding(content)).encode()
    except UnicodeDecodeError:
        return content  # not JSON; the JSON reader reports it


def _decode(fragment: str) -> str:
    """Decode a fragment once, as viewers do, or twice after a mail program or form.

    A text with bare percent signs, which decoding would break, stays unchanged.
    """
    decoded = [fragment]
    for _ in range(_MOST_ENCODINGS):
        decoded.append(unquote(decoded[-1], errors="surrogateescape"))
    candidates = [*decoded[1:], fragment]
    return next(filter(_is_whole, candidates), decoded[1])


def _is_whole(text: str) -> bool:
    """Whether a text is an address, or a state that is complete."""
    text = text.removeprefix("+")
    if not text.startswith("{"):
        return "://" in text[:_LONGEST_SCHEME]
    return _is_json(_read_state(text))


def _read_state(text: str) -> bytes:
    """Return the state in a fragment as JSON, even in the form of older viewers."""
    content = text.encode("utf-8", "surrogateescape")
    return content if _is_json(content) else to_json(text).encode("utf-8", "surrogateescape")


def _is_json(content: bytes) -> bool:
    try:
        orjson.loads(content)
    except ValueError:
        return False
    return True


def _find_state_url(fragment: str) -> str | None:
    """Find the http address of a stored state, also of one in a public bucket."""
    if fragment.startswith((*_BUCKETS,)):
        return find_bucket_url(fragment)
    address = fragment.removeprefix("middleauth+")
    return address if is_address(address) else None


def find_bucket_url(address: str) -> str | None:
    """Find the https address of a file in a public bucket; None for any other address.

    Examples
    --------
    >>> find_bucket_url("gs://bucket/some/folder")
    'https://storage.googleapis.com/bucket/some/folder'
    """
    for beginning, host in _BUCKETS.items():
        if address.startswith(beginning):
            bucket, slash, path = address.removeprefix(beginning).partition("/")
            found = host.format(bucket=bucket) + quote(path, safe="/~@!$&'()*+,;=:")
            return found if bucket and slash and path and is_address(found) else None
    return None


def resolve_site(site: str | None, viewer_site: str | None) -> str:
    """Choose the viewer: the requested one, else the datastack's own, else Spelunker."""
    if site is not None:
        return split_site(site)[1]
    # The server's value is checked like a typed one, because it becomes a link that people click.
    if viewer_site and is_address(viewer_site):
        return viewer_site
    return SITES["spelunker"]


def format_properties_source(url: str) -> str:
    """Write the address of stored properties as a viewer's source; https addresses need a login.

    Examples
    --------
    >>> format_properties_source("https://cave.org/nglstate/api/v1/property/1")
    'precomputed://middleauth+https://cave.org/nglstate/api/v1/property/1'
    """
    return f"precomputed://{'middleauth+' if url.startswith('https://') else ''}{url}"


def hash_state(state: bytes) -> str | None:
    """Hash a stored state in canonical form, whatever white space its server uses.

    Returns
    -------
    str or None
        SHA-256 of the canonical JSON, in hexadecimal; None if it is not JSON.
    """
    try:
        canonical = orjson.dumps(orjson.loads(state), option=orjson.OPT_SORT_KEYS)
    except ValueError:
        return None
    return hashlib.sha256(canonical).hexdigest()


def has_hash(state: bytes, sha256: str) -> bool:
    """Whether a stored state has this hash in canonical form, as `hash_state` gives it."""
    # Most servers return the bytes that they were sent, which are canonical and need no parsing.
    return hashlib.sha256(state).hexdigest() == sha256 or hash_state(state) == sha256


def _with_slash(site: str) -> str:
    # A site with a path and no slash, or with a query, stays unchanged.
    parts = urlsplit(site)
    return site if parts.path or parts.query else f"{site}/"
