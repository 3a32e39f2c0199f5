"""Replace links in a document at their exact places, with the format's own escapes.

Every other byte stays unchanged. The file is written completely or not at all, and a backup is
kept.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

from synglancer.cache.files import write_file
from synglancer.check.documents import encode_text, find_layers, find_links
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from synglancer.check.documents import Document, Layer

_SEPARATORS = ",;&$~"
"""Characters of inline links that also separate fields or sentences in documents."""


def replace_links(document: Document, replacements: Mapping[str, str]) -> bytes:
    """Replace links in a document: return its new content, with other links unchanged.

    Raises
    ------
    UsageError
        When the new links could not be read back from the content.
    """
    layers = find_layers(document.path.suffix)
    parts, read, at = [], [], 0
    for found in document.found:
        link = found.url
        if link in replacements:
            link = _fit(replacements[link], link)
            raw = document.text[found.start : found.end]
            parts += [document.text[at : found.start], _encode(link, raw, layers)]
            at = found.end
        read.append(link)
    text = "".join([*parts, document.text[at:]])
    again = [found.url for found in find_links(text, document.path.suffix)]
    if again != read or encode_text(document, document.text) != document.content:
        raise UsageError(
            f"The links in {document.path} cannot be replaced without changing more.",
            "Replace them by hand.",
        )
    return encode_text(document, text)


def rewrite_file(document: Document, content: bytes) -> Path:
    """Write a document's new content to its file, and keep a backup.

    Returns
    -------
    Path
        The backup, beside the file; an older one is never overwritten.

    Raises
    ------
    UsageError
        When the file was changed since it was read, or cannot be written; it is not changed then.
    """
    path = document.path.resolve()
    backup = None
    try:
        if path.read_bytes() != document.content:
            raise UsageError(
                f"{document.path} was changed while its links were made again.",
                "Run the same command again.",
            )
        backup = _keep(path, document.content)
        write_file(path, content)
    except OSError as error:
        if backup is not None:
            backup.unlink(missing_ok=True)
        raise UsageError(
            f"{document.path} cannot be rewritten: {error.strerror}.",
            "Check that you may write to it and to its folder, and run the same command again.",
        ) from error
    return backup


def _keep(path: Path, content: bytes) -> Path:
    """Write a backup under the first free name, with the file's time and permissions."""
    status = path.stat()
    for number in count():
        backup = path.with_name(f"{path.name}.bak" + (f".{number}" if number else ""))
        try:
            handle = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        break
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        backup.chmod(status.st_mode & 0o777)
        os.utime(backup, ns=(status.st_atime_ns, status.st_mtime_ns))
    except OSError:
        backup.unlink(missing_ok=True)
        raise
    return backup


def _fit(link: str, old: str) -> str:
    """Encode characters that separate fields and sentences, if the old link did so too."""
    site, mark, fragment = link.partition("#!")
    if not fragment.startswith("%7B"):
        return link
    for character in _SEPARATORS:
        if character not in old:
            fragment = fragment.replace(character, f"%{ord(character):02X}")
    return f"{site}{mark}{fragment}"


def _encode(link: str, raw: str, layers: Sequence[Layer]) -> str:
    """Write a link with the escapes of the link that it replaces."""
    pieces = []
    for layer in layers:
        pieces.append(raw)
        raw = layer.read(raw)
    for layer, piece in zip(reversed(layers), reversed(pieces), strict=True):
        link = _escape(link, piece, layer)
    return link


def _escape(link: str, piece: str, layer: Layer) -> str:
    """Escape a link like the text that it replaces: characters that are bare there stay bare."""
    bare = {character: character for character in layer.pattern.sub("", piece)}
    learnt = {layer.decode(match[0]): match[0] for match in layer.pattern.finditer(piece)}
    usual = {} if layer.verbatim and not learnt else layer.escapes
    written = {**usual, **bare, **learnt}
    return "".join(written.get(character, character) for character in link)
