"""The files that a command writes: reports, tables, and files that go with a link.

They are checked before any request, and written completely or not at all.
"""

from __future__ import annotations

import os
import re
import sys
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.cache.receipts import history_file
from synglancer.cave.tokens import list_saved_tokens
from synglancer.cells.parse import is_file
from synglancer.cli.config import CONFIG_FILE, find_file, trust_list
from synglancer.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from synglancer.links.link_record import LinkRecord

STDOUT = "-"
"""Stands for stdout in place of a file's name."""


def name_for_link(name: str, made: LinkRecord) -> Path:
    """Put the cells or synapses of a link into a file name."""
    return Path(name.replace("{cell}", made.file_name))


def check_files(
    outputs: Mapping[str, str | Path | None],
    inputs: Iterable[str | Path | None],
    links: int = 1,
) -> None:
    """Refuse files that cannot be written, or would replace one another, before any request.

    Parameters
    ----------
    outputs
        Option, such as ``--save-state`` → the name of its file, in which {cell} stands for the root
        ID; None if it is not requested.
    inputs
        The inputs of the command: its words, which may name files, and the files of its options.
    links
        Number of requested links.

    Raises
    ------
    UsageError
        When one cannot be written, names one file for several cells, is an input, or is named by
        two options.
    """
    files = {option: str(name) for option, name in outputs.items() if name is not None}
    for option, name in files.items():
        _check_writable(option, name, links)
    if any(_is_same(Path(one), Path(other)) for one, other in combinations(files.values(), 2)):
        raise UsageError(
            "Two options name the same file.",
            f"Give a different file for one of {', '.join(files)}.",
        )
    read = list_read(inputs)
    for option, name in files.items():
        check_kept(option, name, read)


def list_read(inputs: Iterable[str | Path | None]) -> list[Path]:
    """List the files that a command reads: the given ones, and settings, tokens and the history."""
    given = [Path(name) for name in inputs if name is not None and is_file(str(name))]
    own = [find_file(), trust_list(), history_file(), *list_saved_tokens()]
    return [*given, *(path for path in own if path is not None)]


def check_kept(option: str, name: str, read: Iterable[Path]) -> None:
    """Refuse a file that would replace an input, or become a settings file.

    Parameters
    ----------
    option
        The option for the file, such as ``--save-state``.
    name
        The file; {cell} may stand for the root ID.
    read
        As `list_read` returns it.

    Raises
    ------
    UsageError
        When it is one of them.
    """
    hint = f"Name another file with {option}."
    if Path(name).name.lower() == CONFIG_FILE:
        raise UsageError(f"{name} is a settings file of synglancer.", hint)
    for path in read:
        if _is_same(Path(name), path) or _may_become(name, path):
            raise UsageError(f"{path} is both an input and an output.", hint)


def check_folder_kept(option: str, folder: Path, suffix: str, read: Iterable[Path]) -> None:
    """Refuse an output folder in which a new file could replace an input."""
    for path in read:
        if path.suffix.lower() == suffix and _is_same(path.parent, folder):
            raise UsageError(
                f"{path} is an input in the output folder, where it might be replaced.",
                f"Name another folder with {option}.",
            )


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, even through symbolic links."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _may_become(name: str, path: Path) -> bool:
    """Whether a name with {cell} names a given file once the root ID is put in."""
    if "{cell}" not in name:
        return False
    pattern = re.escape(str(Path(name).resolve())).replace(re.escape("{cell}"), r"\d[\w-]*")
    return re.fullmatch(pattern, str(path.resolve())) is not None


def _check_writable(option: str, name: str, links: int) -> None:
    if links > 1 and "{cell}" not in name:
        raise UsageError(
            f"{option} gives one file name for several cells.",
            "Put {cell} into the name; it is replaced by the root ID.",
        )
    if reason := _find_obstacle(Path(name)):
        raise UsageError(
            f"The file {name} cannot be written: {reason}.",
            f"Choose another file with {option}, in a folder that exists and that you may write "
            "to.",
        )


def _find_obstacle(path: Path) -> str:
    """Say why a file cannot be written; empty if it can."""
    if path.is_dir():
        return "it is a folder"
    if not path.parent.exists():
        return f"there is no folder {path.parent}"
    if not path.parent.is_dir():
        return f"{path.parent} is not a folder"
    writable = os.access(path if path.exists() else path.parent, os.W_OK)
    return "" if writable else "you do not have permission"


def write_table(option: str, name: str, table: pd.DataFrame) -> None:
    """Write a table to the file given with an option, or as CSV to stdout.

    Raises
    ------
    OutputError
        When it cannot be written.
    """
    from synglancer.render.tables import format_table

    if name == STDOUT:
        sys.stdout.buffer.write(format_table(table))
        sys.stdout.buffer.flush()
    else:
        path = Path(name)
        write_beside(option, path, format_table(table, path.suffix.lower()))


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
