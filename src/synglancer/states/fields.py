"""Read and check fields of untrusted JSON."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

_MAX_UINT64 = 2**64 - 1
MAX_DIGITS = 20
"""Most digits of a 64-bit ID."""

MAX_EXACT = 2**53 - 1
"""The largest integer that viewers do not round; they read JSON numbers as doubles."""
_WRONG = (ValueError, TypeError, KeyError, OverflowError)


class Reader:
    """Reads the fields of a JSON object, and collects the names of invalid fields.

    Parameters
    ----------
    given
        The object; anything else counts as invalid.

    Attributes
    ----------
    wrong
        Names of the invalid fields.
    """

    def __init__(self, given: object) -> None:
        self.wrong: list[str] = []
        self._fields: dict[str, Any] = given if isinstance(given, dict) else {}
        if not isinstance(given, dict):
            self.wrong.append("the whole")

    def maybe(self, name: str, read: Callable[[Any], Value]) -> Value | None:
        """Read an optional field; None if it is missing or invalid."""
        if self._fields.get(name) is None:
            return None
        try:
            return read(self._fields[name])
        except _WRONG:
            self.wrong.append(name)
            return None

    def need(self, name: str, read: Callable[[Any], Value]) -> Value:
        """Read a required field.

        Raises
        ------
        ValueError
            When it is missing or invalid.
        """
        found = self.maybe(name, read)
        if found is None:
            raise ValueError(name)
        return found

    def text(self, name: str) -> str:
        """Read a text; empty if it is missing or invalid."""
        return self.maybe(name, read_text) or ""

    def need_text(self, name: str) -> str:
        """Read a required text, which must not be empty.

        Raises
        ------
        ValueError
            When it is missing, invalid or empty.
        """
        text = self.need(name, read_text)
        if not text:
            raise ValueError(name)
        return text

    def flag(self, name: str) -> bool:
        """Read a boolean; False if it is missing or invalid."""
        return bool(self.maybe(name, _read_flag))

    def check(self) -> None:
        """Refuse the object if a field was invalid.

        Raises
        ------
        ValueError
            With the names of the invalid fields.
        """
        if self.wrong:
            raise ValueError(", ".join(self.wrong))


def read_text(given: object) -> str:
    """Read a text."""
    if not isinstance(given, str):
        raise ValueError(given)  # noqa: TRY004  # all that is wrong is one error
    return given


def _read_flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise ValueError(given)  # noqa: TRY004
    return given


def read_id(given: object) -> int:
    """Read a 64-bit ID; 0 for anything else.

    Some tools write IDs as JSON numbers. Viewers round these, but Python reads them exactly.
    """
    if isinstance(given, bool):
        return 0
    if isinstance(given, str):
        whole = given.isascii() and given.isdigit() and len(given) <= MAX_DIGITS
        given = int(given) if whole else 0
    return given if isinstance(given, int) and 0 <= given <= _MAX_UINT64 else 0


def is_wrong_id(given: object) -> bool:
    """Whether a value in the place of a 64-bit ID is none; 0 stands for a missing ID."""
    if isinstance(given, str):
        return not read_id(given) and given.strip("0") != ""
    return isinstance(given, bool) or (given != 0 and not read_id(given))


def is_wrong_number(given: object) -> bool:
    """Whether a value is a number, or digits, but not a 64-bit ID.

    Viewers name annotations by other texts too.
    """
    digits = isinstance(given, str) and given.isascii() and given.isdigit()
    return (digits or isinstance(given, int | float)) and is_wrong_id(given)


def read_cell(given: object) -> int:
    """Read a root ID, as digits or as an integer, up to 2^64 - 1."""
    cell = read_id(given)
    if not cell:
        raise ValueError(given)
    return cell


def read_count(given: object) -> int:
    """Read an integer from 0 to 2^53 - 1."""
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= MAX_EXACT:
        raise ValueError(given)
    return given


def read_list(read: Callable[[Any], Value], given: object) -> tuple[Value, ...]:
    """Read a list, item by item."""
    if not isinstance(given, list):
        raise ValueError(given)  # noqa: TRY004  # all that is wrong is one error
    return tuple(map(read, given))


def read_values(read: Callable[[Any], Value], given: object) -> dict[str, Value]:
    """Read an object, value by value."""
    if not isinstance(given, dict):
        raise ValueError(given)  # noqa: TRY004
    return {name: read(value) for name, value in given.items()}


def read_counts(given: object) -> dict[str, int]:
    """Read integers by name."""
    return read_values(read_count, given)


def read_two_levels(given: object) -> dict[str, dict[str, int]]:
    """Read integers by direction, then by tag or type."""
    return read_values(read_counts, given)


def read_number(given: object) -> float:
    """Read a finite number, 0 or more."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(given)  # noqa: TRY004
    if not math.isfinite(given) or given < 0:
        raise ValueError(given)
    return given


def read_point(given: object) -> tuple[float, float, float]:
    """Read a position: three finite numbers."""
    if not isinstance(given, list):
        raise ValueError(given)  # noqa: TRY004
    x, y, z = given
    for value in (x, y, z):
        if isinstance(value, bool) or not math.isfinite(value):
            raise ValueError(given)
    return x, y, z


def read_filters(given: object) -> dict[str, Any]:
    """Read the active filters, by option name."""
    if not isinstance(given, dict):
        raise ValueError(given)  # noqa: TRY004
    kinds: dict[str, Callable[[Any], Any]] = {
        "tag": lambda tags: list(read_list(read_text, tags)),
        "min_confidence": read_number,
        "max_confidence": read_number,
        "min_size": read_number,
        "soft_filter": _read_flag,
    }
    return {name: kinds[name](value) for name, value in given.items()}


def read_timestamp(given: object) -> datetime:
    """Read a timestamp in ISO 8601; one without a zone is UTC."""
    timestamp = datetime.fromisoformat(read_text(given).replace("Z", "+00:00"))
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=timezone.utc)


def write_timestamp(timestamp: datetime) -> str:
    """Write a timestamp in ISO 8601, UTC, to the microsecond."""
    return timestamp.astimezone(timezone.utc).isoformat(timespec="microseconds")
