"""Parse cells as users type them: root IDs, nuclei, synapses, positions and links.

`resolve` then finds the root ID with the help of the services.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synglancer.cells.typed_positions import (
    FARTHEST,
    Position,
    check_not_position,
    parse_position,
    read_point,
)
from synglancer.errors import UsageError
from synglancer.states.urls import is_link
from synglancer.text.printable import LONGEST, quote

_MAX_UINT64 = 2**64 - 1
_MAX_INT64 = 2**63 - 1
_LAYER_SHIFT = 56
_SUPERVOXEL_LAYER = 1
_HINT = (
    "Give a root ID, such as 864691135276234469, nucleus:ID, synapse:ID, a position x,y,z or a "
    "link."
)
_GROUPED = re.compile(r"[0-9]{1,3}(?:([,.'\u2019_ \u00a0\u202f\u2009])[0-9]{3})(?:\1[0-9]{3})+")
"""A number with thousands separators: three groups or more."""

_AS_TEXT = re.compile(r"""=?"([^"]*)"|=?'([^']*)'|'(.*)""")
"""How spreadsheets write a number as text: ="864…", or with an apostrophe in front."""
_ROUNDED = re.compile(r"[+-]?(\d+\.\d*|\.?\d+(\.\d*)?[eE][+-]?\d+)")


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
        When it is not one of these; the sentences say why and what to do.

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
            raise UsageError(f"{quote(text)} is not a cell: it is not text in UTF-8.", _HINT)
        if is_link(text):
            return LinkCells(text)
        if unwrapped := _AS_TEXT.fullmatch(text):
            text = next(part for part in unwrapped.groups() if part is not None).strip()
        if text.lower().startswith("nucleus:"):
            return _parse_nucleus(text)
        if text.lower().startswith("synapse:"):
            return _parse_synapse(text)
        if position := parse_position(text):
            return position
        _refuse_others(text)
        given = text
    return RootId(parse_root_id(given))


def _refuse_others(text: str) -> None:
    """Refuse a word that looks like another form of a cell but is not valid."""
    if "://" in text:
        raise UsageError(
            f"{quote(text)} is not a Neuroglancer link: it has no '#!'.",
            "Copy the whole link from the browser's address bar, and give it in quotes.",
        )
    if os.path.isdir(text) and not re.fullmatch(r"[+-]?[0-9]+", text):  # noqa: PTH112  # a root ID is not a folder
        raise UsageError(
            f"{quote(text)} is a folder.", "Give a file of it with one cell per line, or a cell."
        )
    _refuse_several(text)
    suffix = Path(text).suffix[1:]
    if suffix.isascii() and suffix.isalpha() and not is_file(text):
        raise UsageError(
            f"There is no file {quote(text)}, and it names no cell either.",
            "Check the file's name and folder; a file of cells has one per line.",
        )
    check_not_position(text)


def _refuse_several(text: str) -> None:
    """Refuse numbers with separators, and several numbers in one word."""
    if _GROUPED.fullmatch(text):
        digits = "".join(re.findall(r"[0-9]", text))
        raise UsageError(
            f"{quote(text)} is a number with thousands separators.",
            f"Give its digits alone: {digits[:LONGEST]}.",
        )
    numbers = re.findall(r"[0-9]+", text)
    long = [number for number in numbers if int(number[:LONGEST]) >= FARTHEST]
    if len(numbers) > 1 and len(long) == len(numbers) and not re.search(r"[A-Za-z.]", text):
        raise UsageError(
            f"{quote(text)} holds {len(numbers)} root IDs.",
            "Separate them with spaces, or give a file with one per line.",
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
        text = "9" * (LONGEST + 1)
    shown = quote(text)
    if not text:
        raise UsageError("No cell was given.", _HINT)
    if _ROUNDED.fullmatch(text):
        raise UsageError(
            f"{shown} is a rounded number, not a root ID.",
            "A spreadsheet or a float cannot hold 18 digits: give the ID as text or an integer.",
        )
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise UsageError(f"{shown} is not a root ID: a root ID is a whole number.", _HINT)
    cell = int(text) if len(text) <= LONGEST else _MAX_UINT64 + 1
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
            f"{quote(text)} does not name a nucleus, whose ID is a whole number above zero.",
            "Give it as nucleus:ID, with the ID that the table of somata has, such as "
            "nucleus:264824.",
        )
    return Nucleus(number)


def _parse_synapse(text: str) -> Synapse:
    number = _read_row_id(text)
    if not number:
        rounded = _ROUNDED.fullmatch(text.partition(":")[2].strip())
        raise UsageError(
            f"{quote(text)} does not name a synapse, whose ID is a whole number above zero.",
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
            f"{quote(text)} is too large for the ID of a {kind.lower()}.",
            "Check for a digit too many, or two IDs that ran together.",
        )
    return int(number)


def is_file(word: str) -> bool:
    """Whether a word is the path of an existing file or pipe, not of a folder."""
    path = Path(word)
    # Unlike the methods of paths, these accept names that are too long or hold a NUL.
    return bool(word.strip()) and os.path.exists(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112
