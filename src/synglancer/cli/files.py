"""The files that a command writes beside the link: its state, its picture, its QR code.

They are refused before anything is asked or uploaded, and written whole or not at all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.errors import OutputError, UsageError

if TYPE_CHECKING:
    from synglancer.links.link_record import LinkRecord


def name_for_link(name: str, made: LinkRecord) -> Path:
    """Put the cells or the synapses of a link into the name of a file."""
    return Path(name.replace("{cell}", made.file_name))


def check_writable(option: str, name: str | None, links: int) -> None:
    """Refuse a file that cannot be written before anything is asked or uploaded.

    Parameters
    ----------
    option
        The option that names it, such as ``--save-state``.
    name
        Its name, in which {cell} may stand for the root ID; None where it is not asked for.
    links
        How many links were asked for.

    Raises
    ------
    UsageError
        When it cannot be written, or names one file for several cells.
    """
    if name is None:
        return
    if links > 1 and "{cell}" not in name:
        raise UsageError(
            f"{option} names one file for several cells.",
            "Put {cell} into its name, which stands for the root ID.",
        )
    path = Path(name)
    writable = os.access(path if path.exists() else path.parent, os.W_OK)
    if path.is_dir() or not path.parent.is_dir() or not writable:
        raise UsageError(
            f"The file {name} cannot be written.",
            f"Choose with {option} a file in a folder that exists and that you may write to.",
        )


def write_beside(option: str, path: Path, content: bytes) -> None:
    """Write a file that was asked for by an option, whole or not at all.

    Raises
    ------
    OutputError
        When it cannot be written after all.
    """
    from synglancer.cache.files import write_file

    try:
        write_file(path, content)
    except OSError as error:
        raise OutputError(
            f"The file {path} cannot be written: {error.strerror or type(error).__name__}.",
            f"Choose another one with {option}; the link can be made again at no cost.",
        ) from error
