"""Parse positions as users type them: three coordinates in voxels or nm; explain invalid ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from synglancer.errors import UsageError
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

FARTHEST = 10**13
"""Larger than any coordinate in voxels or nm, and smaller than any root ID."""

_NUMBER = r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]*)?|\.[0-9]+)"
_BETWEEN = r"(?:\s*[,;]\s*|\s+)"
_POSITION = re.compile(
    rf"[(\[{{]?\s*({_NUMBER}){_BETWEEN}({_NUMBER}){_BETWEEN}({_NUMBER})\s*,?\s*[)\]}}]?"
    r"\s*(?:@\s*(\w+)|(nm))?",
    re.IGNORECASE,
)
_ANY_NUMBER = re.compile(
    rf"{_NUMBER}(?:e[+-]?[0-9]+)?|[0-9]{{1,3}}(?:['_\u2019][0-9]{{3}})+|[+-]?(?:nan|inf|infinity)",
    re.IGNORECASE,
)
"""A number, or an invalid coordinate in scientific notation, infinite, or NaN."""

_UNIT = re.compile(r"(?<=[0-9.)\]}\s])\s*(?:@\s*(.*)|((?!nan|inf)[^\W\d_]{1,10}))$")
"""A word behind a position that looks like its unit."""

_AXES = 3
_FORM = (
    "Give x,y,z without thousands separators, in voxels of the viewer's resolution, or x,y,z@nm."
)

Unit = Literal["voxel", "nm"]


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


def parse_position(text: str) -> Position | None:
    """Parse a position; None if a text is not three numbers.

    Raises
    ------
    UsageError
        When its unit is unknown.
    """
    found = _POSITION.fullmatch(text)
    if found is None or not _is_near(found):
        return None
    unit = found[4] or found[5] or ""
    if unit.lower() not in {"", "nm"}:
        raise _refuse_unit(text, unit)
    x, y, z = (float(number) for number in found.groups()[:_AXES])
    return Position((x, y, z), "nm" if unit else "voxel")


def _is_near(found: re.Match[str]) -> bool:
    return all(abs(float(number)) < FARTHEST for number in found.groups()[:_AXES])


def read_point(given: Any) -> Position | None:
    """Read a tuple, list or array of three numbers as a position in voxels, or return None.

    Three root IDs are not a position, because each is larger than any coordinate.
    """
    if not isinstance(given, tuple | list) and getattr(given, "shape", None) != (_AXES,):
        return None
    if hasattr(given, "index") and hasattr(given, "iloc"):  # a column of a table: cells
        return None
    numbers = (value for value in given if getattr(value, "shape", ()) == ())
    try:
        x, y, z = (float(value) for value in numbers if not isinstance(value, str | bytes))
    except (TypeError, ValueError, OverflowError):
        return None
    far = not all(abs(value) < FARTHEST for value in (x, y, z))  # or not a number
    return None if far else Position((x, y, z), "voxel")


def join_position(words: Sequence[str]) -> str:
    """Join words that form a position only together, such as ``186000, 134000, 20900``.

    Three root IDs are not a position, because each is larger than any coordinate.
    """
    text = " ".join(words)
    found = _POSITION.fullmatch(text) if len(words) > 1 else None
    return text if found and _is_near(found) else ""


def check_not_position(text: str) -> None:
    """Refuse a text that looks like a position but is not valid, and say why.

    Raises
    ------
    UsageError
        When it has the wrong number of coordinates, one that is not a plain number or is too
        large, or an unknown unit.
    """
    found = _UNIT.search(text)
    unit = "" if found is None else (found[1] or found[2] or "").strip()
    body = (text if found is None else text[: found.start()]).strip().strip("()[]{} ")
    parts = re.split(r"\s*[,;]\s*|\s+", re.sub(r"\s*[,;]$", "", body))
    numbers = sum(_ANY_NUMBER.fullmatch(part) is not None for part in parts)
    if numbers < max(len(parts) - 1, 1 if "@" in text else 2):
        return
    if len(parts) != _AXES:
        raise UsageError(
            f"{quote(text)} is not a position: a position has three coordinates.", _FORM
        )
    wrong = [part for part in parts if not re.fullmatch(_NUMBER, part)]
    if wrong:
        what = f"{quote(wrong[0])} is not a plain number" if wrong[0] else "a coordinate is missing"
        raise UsageError(
            f"{quote(text)} is not a position: {what}.",
            "Write each coordinate in plain digits, such as 186000 or 20900.5.",
        )
    if any(abs(float(part)) >= FARTHEST for part in parts):
        raise UsageError(f"{quote(text)} is not a position: its coordinates are too large.", _FORM)
    raise _refuse_unit(text, unit)


def _refuse_unit(text: str, unit: str) -> UsageError:
    return UsageError(
        f"{quote(text)} is a position in an unknown unit{f': {quote(unit)}' if unit else ''}.",
        "Leave out the unit for voxels of the viewer's resolution, or write x,y,z@nm.",
    )


def _format_number(value: float) -> str:
    """Write a coordinate exactly, without an exponent."""
    return format(Decimal(repr(float(value))), "f").removesuffix(".0")
