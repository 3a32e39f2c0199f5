"""The files that a command writes besides the link: its state, its picture, its QR code.

They are checked before any request, and written completely or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.errors import OutputError, UsageError

if TYPE_CHECKING:
    from synglancer.links.link_record import LinkRecord


def name_for_link(name: str, made: LinkRecord) -> Path:
    """Put the cells or synapses of a link into a file name."""
    return Path(name.replace("{cell}", made.file_name))


def check_writable(option: str, name: str | None, links: int) -> None:
    """Refuse a file that cannot be written, before any request.

    Parameters
    ----------
    option
        The option with the file, such as ``--save-state``.
    name
        Its name, in which {cell} may stand for the root ID; None if it is not requested.
    links
        Number of requested links.

    Raises
    ------
    UsageError
        When it cannot be written, or names one file for several cells.
    """
    if name is None:
        return
    if links > 1 and "{cell}" not in name:
        raise UsageError(
            f"{option} gives one file name for several cells.",
            "Put {cell} into the name; it is replaced by the root ID.",
        )
    path = Path(name)
    writable = os.access(path if path.exists() else path.parent, os.W_OK)
    if path.is_dir() or not path.parent.is_dir() or not writable:
        raise UsageError(
            f"The file {name} cannot be written.",
            f"Choose another file with {option}, in a folder that exists and that you may write "
            "to.",
        )


def write_beside(option: str, path: Path, content: bytes) -> None:
    """Write a file given with an option, completely or not at all.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    from synglancer.cache.files import write_file

    try:
        write_file(path, content)
    except OSError as error:
        raise OutputError(
            f"The file {path} cannot be written: {error.strerror or type(error).__name__}.",
            f"Choose another file with {option} and run the command again.",
        ) from error
