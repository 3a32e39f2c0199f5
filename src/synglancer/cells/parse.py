"""What was typed → which cell is meant: a root ID, a nucleus, a position, or a link's cells.

This decides what was typed; `resolve` asks the services for the root ID. A
file of cells is read here too, since it is only another way to type them.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synglancer.errors import UsageError
from synglancer.states.urls import is_link

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAX_UINT64 = 2**64 - 1
_MAX_INT64 = 2**63 - 1
_LAYER_SHIFT = 56
_SUPERVOXEL_LAYER = 1
_HINT = "Give a root ID, such as 864691135276234469, nucleus:ID, a position x,y,z or a link."
_MAX_QUOTE = 60
_NAMED = 3  # cells in a title: more do not fit

_NUMBER = r"[+-]?(?:[0-9]{1,18}(?:\.[0-9]*)?|\.[0-9]+)"
_POSITION = re.compile(
    rf"[(\[]?\s*({_NUMBER})\s*,\s*({_NUMBER})\s*,\s*({_NUMBER})\s*[)\]]?\s*(?:@\s*(\w+))?"
)
_ROUNDED = re.compile(r"[+-]?(\d+\.\d*|\.?\d+(\.\d*)?[eE][+-]?\d+)")

Unit = Literal["voxel", "nm"]


@dataclass(frozen=True)
class RootId:
    """A cell by its root ID, 1 … 2**64 - 1."""

    value: int

    def __str__(self) -> str:
        """Return what one would type."""
        return str(self.value)


@dataclass(frozen=True)
class Nucleus:
    """A cell by the ID that its nucleus has in the datastack's table of somata."""

    value: int

    def __str__(self) -> str:
        """Return what one would type."""
        return f"nucleus:{self.value}"


@dataclass(frozen=True)
class Position:
    """A cell by a position that lies in it.

    Attributes
    ----------
    point
        (x, y, z).
    unit
        ``voxel`` of the viewer's resolution, as Neuroglancer shows it, or ``nm``.
    """

    point: tuple[float, float, float]
    unit: Unit

    def __str__(self) -> str:
        """Return what one would type."""
        point = ",".join(f"{value:.15g}" for value in self.point)
        return f"{point}@nm" if self.unit == "nm" else point


@dataclass(frozen=True)
class LinkCells:
    """The cells that are selected in a Neuroglancer link, or in the file of a state."""

    url: str

    def __str__(self) -> str:
        """Return what one would type."""
        return self.url


Cell = RootId | Nucleus | Position | LinkCells


def parse_cell(given: str | int) -> Cell:
    """Read which cell is meant.

    Parameters
    ----------
    given
        A root ID (in text or as an integer, also of numpy), ``nucleus:ID``, a position ``x,y,z``
        in voxels of the viewer's resolution or ``x,y,z@nm``, a Neuroglancer link, or the JSON file
        of a state.

    Raises
    ------
    UsageError
        When it is none of these; the sentences say why and what to do.

    Examples
    --------
    >>> parse_cell(" 864691135276234469 ")
    RootId(value=864691135276234469)
    >>> parse_cell("nucleus:264824")
    Nucleus(value=264824)
    >>> parse_cell("186000, 134000, 20900")
    Position(point=(186000.0, 134000.0, 20900.0), unit='voxel')
    """
    if isinstance(given, str):
        text = given.strip()
        if is_link(text):
            return LinkCells(text)
        if text.lower().startswith("nucleus:"):
            return _parse_nucleus(text)
        if found := _POSITION.fullmatch(text):
            return _parse_position(found)
        _refuse_others(text)
    return RootId(parse_root_id(given))


def _refuse_others(text: str) -> None:
    """Refuse what was meant as something else than a root ID, and is not that either."""
    if "://" in text:
        raise UsageError(
            f"{_quote(text)} is not a Neuroglancer link, which has '#!' in it.",
            "Copy it from the browser's address bar, whole, and give it in quotes.",
        )
    if re.fullmatch(r"[-0-9.]+(,[-0-9.]+)+(@\w*)?", text):
        raise UsageError(
            f"{_quote(text)} is not a position, which has three coordinates.",
            "Give x,y,z in voxels of the viewer's resolution, or x,y,z@nm.",
        )
    suffix = Path(text).suffix[1:]
    if suffix.isascii() and suffix.isalpha() and not _is_file(text):
        raise UsageError(
            f"There is no file {_quote(text)}, and it names no cell either.",
            "Check the file's name and folder; it holds one cell a line.",
        )


def parse_root_id(given: str | int) -> int:
    """Read a root ID.

    Parameters
    ----------
    given
        What was typed: a decimal number, in text or as an integer (also of numpy).

    Returns
    -------
    int
        The root ID, 1 … 2**64 - 1.

    Raises
    ------
    UsageError
        When it cannot be a root ID; the sentences say why and what to do.

    Examples
    --------
    >>> parse_root_id(" 864691135276234469 ")
    864691135276234469
    """
    try:
        text = str(given).strip()
    except ValueError:  # an integer of more digits than Python writes out
        text = "9" * (_MAX_QUOTE + 1)
    shown = _quote(text)
    if not text:
        raise UsageError("No cell was given.", _HINT)
    if _ROUNDED.fullmatch(text):
        raise UsageError(
            f"{shown} is a rounded number, not a root ID.",
            "A spreadsheet or a float cannot hold 18 digits: give the ID as text or an integer.",
        )
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise UsageError(f"{shown} is not a root ID, which is a whole number.", _HINT)
    cell = int(text) if len(text) <= _MAX_QUOTE else _MAX_UINT64 + 1
    if cell <= 0:
        raise UsageError(f"{shown} is not a root ID, which is above zero.", _HINT)
    if cell > _MAX_UINT64:
        raise UsageError(
            f"{shown} is too large for a root ID, which has 64 bits.",
            "Check for a digit too many, or two IDs that ran together.",
        )
    if cell >> _LAYER_SHIFT == _SUPERVOXEL_LAYER:
        raise UsageError(
            f"{shown} looks like a supervoxel ID, not a root ID.",
            "Give the root ID of the cell, which begins with 8646911 in minnie65.",
        )
    return cell


def _parse_nucleus(text: str) -> Nucleus:
    number = text.partition(":")[2].strip()
    whole = number.isascii() and number.isdigit() and len(number) <= len(str(_MAX_INT64))
    if not whole or not 0 < int(number) <= _MAX_INT64:
        raise UsageError(
            f"{_quote(text)} does not name a nucleus, whose ID is a whole number above zero.",
            "Give it as nucleus:ID, with the ID that the table of somata has, such as "
            "nucleus:264824.",
        )
    return Nucleus(int(number))


def _parse_position(found: re.Match[str]) -> Position:
    x, y, z, unit = found.groups()
    if unit not in {None, "nm"}:
        raise UsageError(
            f"{_quote(found[0])} is a position in an unknown unit.",
            "Give x,y,z in voxels of the viewer's resolution, or x,y,z@nm.",
        )
    return Position((float(x), float(y), float(z)), "nm" if unit else "voxel")


def list_given_cells(words: Iterable[str]) -> list[str]:
    """Put the lines of files in the place of their names, and check that each names a cell.

    Parameters
    ----------
    words
        Cells, names of files with one cell a line, or ``-`` for standard input. In a file, empty
        lines and what follows a ``#`` at the beginning of a line or after white space are passed
        over.

    Returns
    -------
    list of str
        What `parse_cell` takes, in order.

    Raises
    ------
    UsageError
        When a file cannot be read, or something in it does not name a cell: then its line is
        named.
    """
    cells: list[str] = []
    for word in words:
        cells += _read_file(word) if _names_file(word) else [word]
    return cells


def _names_file(word: str) -> bool:
    """Whether a word is a file's name: what names a cell is not, whatever files there are."""
    try:
        parse_cell(word)
    except UsageError:
        if word == "-" or _is_file(word):
            return True
        raise
    return False


def _is_file(word: str) -> bool:
    try:
        path = Path(word)
        return bool(word.strip()) and path.exists() and not path.is_dir()
    except (OSError, ValueError):  # too long a name, or one with a NUL
        return False


def _read_file(name: str) -> list[str]:
    source = "Standard input" if name == "-" else f"The file {name}"
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise UsageError(
            f"{source} cannot be read: {reason}.", "Give a text file with one cell a line."
        ) from error
    cells = []
    for number, line in enumerate(text.splitlines(), start=1):
        cell = re.sub(r"(^|\s)#(?!!).*", "", line).strip()
        if not cell:
            continue
        try:
            parse_cell(cell)
        except UsageError as error:
            raise UsageError(f"{source}, line {number}: {error}", error.hint) from error
        cells.append(cell)
    if not cells:
        raise UsageError(f"{source} names no cell.", "Give a text file with one cell a line.")
    return cells


def enumerate_some(items: Sequence[object], most: int) -> str:
    """Enumerate so many of some items, and say how many more there are.

    Examples
    --------
    >>> enumerate_some([1, 2, 3, 4], 3)
    '1, 2, 3 and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def name_cells(cells: Sequence[int]) -> str:
    """Name the cells of a link in a line."""
    return enumerate_some(cells, _NAMED)


def name_in_files(cells: Sequence[int]) -> str:
    """Name the cells of a link in the name of a file.

    Examples
    --------
    >>> name_in_files([864691135276234469]), name_in_files([864691135276234469, 5, 6])
    ('864691135276234469', '864691135276234469-and-2-more')
    """
    more = len(cells) - 1
    return f"{cells[0]}-and-{more}-more" if more else f"{cells[0]}"


def _quote(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTE else text[:_MAX_QUOTE] + "…")
