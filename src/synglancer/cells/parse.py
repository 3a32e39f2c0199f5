"""Parse cells as users type them: root IDs, nuclei, synapses, positions and links.

`resolve` then finds the root ID with the help of the services.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synglancer.errors import UsageError
from synglancer.states.urls import is_link

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_UINT64 = 2**64 - 1
_MAX_INT64 = 2**63 - 1
_LAYER_SHIFT = 56
_SUPERVOXEL_LAYER = 1
_HINT = (
    "Give a root ID, such as 864691135276234469, nucleus:ID, synapse:ID, a position x,y,z or a "
    "link."
)
_MAX_QUOTE = 60
_NAMED = 3  # cells in a title: more do not fit

_NUMBER = r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]*)?|\.[0-9]+)"
_BETWEEN = r"(?:\s*[,;]\s*|\s+)"
_POSITION = re.compile(
    rf"[(\[{{]?\s*({_NUMBER}){_BETWEEN}({_NUMBER}){_BETWEEN}({_NUMBER})\s*,?\s*[)\]}}]?"
    r"\s*(?:@\s*(\w+)|(nm))?",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:([,.'\u2019_ \u00a0\u202f\u2009])[0-9]{3})(?:\1[0-9]{3})+")
"""A number with thousands separators: three groups or more."""

_FARTHEST = 10**13
"""Larger than any coordinate in voxels or nm, and smaller than any root ID."""

_AS_TEXT = re.compile(r"""=?"([^"]*)"|=?'([^']*)'|'(.*)""")
"""How spreadsheets write a number as text: ="864…", or with an apostrophe in front."""
_ROUNDED = re.compile(r"[+-]?(\d+\.\d*|\.?\d+(\.\d*)?[eE][+-]?\d+)")

Unit = Literal["voxel", "nm"]


@dataclass(frozen=True)
class RootId:
    """A cell by its root ID, 1 … 2**64 - 1."""

    value: int

    def __str__(self) -> str:
        """Return it as a user would type it."""
        return str(self.value)


@dataclass(frozen=True)
class Nucleus:
    """A cell by the ID of its nucleus in the datastack's table of somata."""

    value: int

    def __str__(self) -> str:
        """Return it as a user would type it."""
        return f"nucleus:{self.value}"


@dataclass(frozen=True)
class Synapse:
    """A synapse by its ID in the datastack's table of synapses."""

    value: int

    def __str__(self) -> str:
        """Return it as a user would type it."""
        return f"synapse:{self.value}"


@dataclass(frozen=True)
class Position:
    """A cell by a position in it.

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
        """Return it as a user would type it."""
        point = ",".join(map(_format_number, self.point))
        return f"{point}@nm" if self.unit == "nm" else point


@dataclass(frozen=True)
class LinkCells:
    """The cells that are selected in a Neuroglancer link or a state file."""

    url: str

    def __str__(self) -> str:
        """Return it as a user would type it."""
        return self.url


Cell = RootId | Nucleus | Synapse | Position | LinkCells


def parse_cell(given: Any) -> Cell:
    """Parse a cell.

    Three numbers with commas or white space between them are always a position, because a root ID
    with thousands separators has more than three parts.

    Parameters
    ----------
    given
        A root ID (in text or as an integer, also of numpy), ``nucleus:ID``, ``synapse:ID``, a
        position ``x,y,z``, ``x y z`` or ``[x, y, z]`` in voxels of the viewer's resolution or with
        ``@nm`` behind it, a tuple or an array of three coordinates in voxels, a Neuroglancer link,
        or the JSON file of a state.

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
    point = read_point(given)
    if point is not None:
        return point
    if isinstance(given, str):
        text = given.strip()
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise UsageError(f"{_quote(text)} is not a cell: it is not text in UTF-8.", _HINT)
        if is_link(text):
            return LinkCells(text)
        if unwrapped := _AS_TEXT.fullmatch(text):
            text = next(part for part in unwrapped.groups() if part is not None).strip()
        if text.lower().startswith("nucleus:"):
            return _parse_nucleus(text)
        if text.lower().startswith("synapse:"):
            return _parse_synapse(text)
        if found := _POSITION.fullmatch(text):
            return _parse_position(found)
        _refuse_others(text)
        given = text
    return RootId(parse_root_id(given))


def read_point(given: Any) -> Position | None:
    """Read a tuple, list or array of three numbers as a position in voxels, or return None.

    Three root IDs are not a position, because each is larger than any coordinate.
    """
    if not isinstance(given, tuple | list) and getattr(given, "shape", None) != (3,):
        return None
    if hasattr(given, "index") and hasattr(given, "iloc"):  # a column of a table: cells
        return None
    try:
        x, y, z = (float(value) for value in given if not isinstance(value, str | bytes))
    except (TypeError, ValueError):
        return None
    far = not all(abs(value) < _FARTHEST for value in (x, y, z))  # or not a number
    return None if far else Position((x, y, z), "voxel")


def join_position(words: Sequence[str]) -> str:
    """Join words that form a position only together, such as ``186000, 134000, 20900``.

    Three root IDs are not a position, because each is larger than any coordinate.
    """
    text = " ".join(words)
    found = _POSITION.fullmatch(text) if len(words) > 1 else None
    near = found and all(abs(float(number)) < _FARTHEST for number in found.groups()[:3])
    return text if near else ""


def _refuse_others(text: str) -> None:
    """Refuse a word that looks like another form of a cell but is not valid."""
    if "://" in text:
        raise UsageError(
            f"{_quote(text)} is not a Neuroglancer link: it has no '#!'.",
            "Copy the whole link from the browser's address bar, and give it in quotes.",
        )
    if _is_folder(text) and not re.fullmatch(r"[+-]?[0-9]+", text):  # a root ID is no folder
        raise UsageError(
            f"{_quote(text)} is a folder.", "Give a file of it with one cell per line, or a cell."
        )
    _refuse_several(text)
    suffix = Path(text).suffix[1:]
    if suffix.isascii() and suffix.isalpha() and not is_file(text):
        raise UsageError(
            f"There is no file {_quote(text)}, and it names no cell either.",
            "Check the file's name and folder; a file of cells has one per line.",
        )


def _refuse_several(text: str) -> None:
    """Refuse numbers with separators, and several numbers in one word."""
    if _GROUPED.fullmatch(text):
        digits = "".join(re.findall(r"[0-9]", text))
        raise UsageError(
            f"{_quote(text)} is a number with thousands separators.",
            f"Give its digits alone: {digits[:_MAX_QUOTE]}.",
        )
    numbers = re.findall(r"[0-9]+", text)
    long = [number for number in numbers if int(number[:_MAX_QUOTE]) >= _FARTHEST]
    if len(numbers) > 1 and len(long) == len(numbers) and not re.search(r"[A-Za-z.]", text):
        raise UsageError(
            f"{_quote(text)} holds {len(numbers)} root IDs.",
            "Separate them with spaces, or give a file with one per line.",
        )
    parts = re.split(r"[\s,;]+", re.sub(r"@\s*\w*$", "", text.strip("()[]{} ")))
    if len(parts) not in {1, 3} and all(re.fullmatch(_NUMBER, part) for part in parts if part):
        raise UsageError(
            f"{_quote(text)} is not a position: a position has three coordinates.",
            "Give x,y,z without thousands separators, in voxels of the viewer's resolution, or "
            "x,y,z@nm.",
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
    except ValueError:  # an integer with more digits than Python converts
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
        raise UsageError(f"{shown} is not a root ID: a root ID is a whole number.", _HINT)
    cell = int(text) if len(text) <= _MAX_QUOTE else _MAX_UINT64 + 1
    if cell <= 0:
        raise UsageError(f"{shown} is not a root ID: a root ID is above zero.", _HINT)
    if cell > _MAX_UINT64:
        raise UsageError(
            f"{shown} is too large for a root ID: a root ID has 64 bits.",
            "Check for a digit too many, or two IDs that ran together.",
        )
    if cell >> _LAYER_SHIFT == _SUPERVOXEL_LAYER:
        raise UsageError(
            f"{shown} looks like a supervoxel ID, not a root ID.",
            "Give the root ID of the cell, which begins with 8646911 in minnie65.",
        )
    return cell


def _parse_nucleus(text: str) -> Nucleus:
    number = _read_row_id(text)
    if not number:
        raise UsageError(
            f"{_quote(text)} does not name a nucleus, whose ID is a whole number above zero.",
            "Give it as nucleus:ID, with the ID that the table of somata has, such as "
            "nucleus:264824.",
        )
    return Nucleus(number)


def _parse_synapse(text: str) -> Synapse:
    number = _read_row_id(text)
    if not number:
        rounded = _ROUNDED.fullmatch(text.partition(":")[2].strip())
        raise UsageError(
            f"{_quote(text)} does not name a synapse, whose ID is a whole number above zero.",
            "A spreadsheet or a float has rounded it: give the ID as text or an integer."
            if rounded
            else "Give it as synapse:ID, by its digits alone, such as synapse:291322241.",
        )
    return Synapse(number)


def _read_row_id(text: str) -> int:
    """Read the ID of a row after a colon; 0 if there is no ID."""
    kind, _, number = text.partition(":")
    number = number.strip()
    if not (number.isascii() and number.isdigit()):
        return 0
    if len(number.lstrip("0")) > len(str(_MAX_INT64)) or int(number) > _MAX_INT64:
        raise UsageError(
            f"{_quote(text)} is too large for the ID of a {kind.lower()}.",
            "Check for a digit too many, or two IDs that ran together.",
        )
    return int(number)


def _parse_position(found: re.Match[str]) -> Position:
    x, y, z = (float(number) for number in found.groups()[:3])
    unit = (found[4] or found[5] or "").lower()
    if not all(abs(value) < _FARTHEST for value in (x, y, z)):
        _refuse_several(found[0])
        raise UsageError(
            f"{_quote(found[0])} is not a position: its coordinates are too large.",
            "Give x,y,z in voxels of the viewer's resolution, or x,y,z@nm.",
        )
    if unit not in {"", "nm"}:
        raise UsageError(
            f"{_quote(found[0])} is a position in an unknown unit.",
            "Give x,y,z in voxels of the viewer's resolution, or x,y,z@nm.",
        )
    return Position((x, y, z), "nm" if unit else "voxel")


def _format_number(value: float) -> str:
    """Write a coordinate exactly, without an exponent."""
    return format(Decimal(repr(float(value))), "f").removesuffix(".0")


def is_file(word: str) -> bool:
    """Whether a word is the path of an existing file or pipe, not of a folder."""
    try:
        path = Path(word)
        return bool(word.strip()) and path.exists() and not path.is_dir()
    except (OSError, ValueError):  # too long a name, or one with a NUL
        return False


def _is_folder(word: str) -> bool:
    try:
        return bool(word) and Path(word).is_dir()
    except (OSError, ValueError):  # too long a name, or one with a NUL
        return False


def enumerate_some(items: Sequence[object], most: int) -> str:
    """List the first few items, and the number of further ones.

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
