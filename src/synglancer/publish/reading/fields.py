"""Read fields of a manifest or an info file, so that an error names the one that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from synglancer.states.fields import read_count

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

_FARTHEST = 1e12
"""A kilometre in nm."""

_WRONG = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class WrongFieldError(ValueError):
    """A field is missing or has no valid value; the text is its place, such as ``tags.0.rows``."""


def take(given: Any, name: str | int, read: Callable[[Any], Value]) -> Value:
    """Read a field of an object, or an item of a list.

    Raises
    ------
    WrongFieldError
        When it is missing, or ``read`` raises an error for its value.
    """
    try:
        return read(given[name])
    except WrongFieldError as error:
        raise WrongFieldError(f"{name}.{error}") from error
    except _WRONG as error:
        raise WrongFieldError(str(name)) from error


def take_optional(given: Any, name: str, read: Callable[[Any], Value]) -> Value | None:
    """Read a field that may be missing or null.

    Raises
    ------
    WrongFieldError
        When it has another value that ``read`` refuses.
    """
    return None if given.get(name) is None else take(given, name, read)


def read_list(read: Callable[[Any], Value]) -> Callable[[Any], list[Value]]:
    """Make a function that reads a list whose items are all of one kind."""

    def read_items(given: Any) -> list[Value]:
        if not isinstance(given, list):
            raise ValueError(given)  # noqa: TRY004  # all that is wrong is one error
        return [take(given, number, read) for number in range(len(given))]

    return read_items


def read_positive(given: Any) -> int:
    """Read an integer from 1 to 2^53 - 1."""
    if not read_count(given):
        raise ValueError(given)
    return int(given)


def read_name(given: Any) -> str:
    """Read a text that is not empty."""
    if not isinstance(given, str) or not given:
        raise ValueError(given)
    return given


def read_point(given: Any) -> tuple[float, float, float]:
    """Read three numbers of nanometres that a position or a distance may have."""
    x, y, z = read_list(_read_number)(given)
    return x, y, z


def read_size(given: Any) -> tuple[float, float, float]:
    """Read three such numbers above 0."""
    size = read_point(given)
    if min(size) <= 0:
        raise ValueError(given)
    return size


def _read_number(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise ValueError(given)  # noqa: TRY004
    if not abs(given) <= _FARTHEST:  # NaN too
        raise ValueError(given)
    return float(given)
