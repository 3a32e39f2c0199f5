"""Read the info file of a tag's source, and check everything in it that readers rely on."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.errors import BadAnswerError
from synglancer.publish.encoding import KIND, PROPERTIES, RELATIONSHIPS
from synglancer.publish.reading.fields import (
    WrongFieldError,
    read_list,
    read_point,
    read_positive,
    read_size,
    take,
)
from synglancer.publish.sharding import Sharding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LEVEL = re.compile(r"spatial\d{1,3}")
_MOST_CELLS = 1 << 20
"""Largest number of grid cells along an axis: a thousand times as many as are ever written."""


def parse_info(content: bytes, address: str, properties: Sequence[str]) -> dict[str, Any]:
    """Read an info file.

    Parameters
    ----------
    content
        The file.
    address
        The source's address, without ``/info``.
    properties
        Names of the numbers that annotations have, as in the manifest.

    Raises
    ------
    BadAnswerError
        When it is not JSON, or a value is not what the published format has there; the error
        names it.
    """
    try:
        info = orjson.loads(content)
        if not isinstance(info, dict):
            raise TypeError(type(info))  # noqa: TRY301
    except (ValueError, TypeError) as error:
        raise _build_damaged(address, "is damaged") from error
    try:
        _check(info, properties)
    except WrongFieldError as error:
        raise _build_damaged(address, f"has no valid value of {error}") from error
    return info


def _build_damaged(address: str, what: str) -> BadAnswerError:
    return BadAnswerError(f"{address}/info {what}.", "Restore the file, or publish again.")


def _check(info: dict[str, Any], properties: Sequence[str]) -> None:
    for name, value in KIND.items():
        take(info, name, partial(_must_be, value))
    take(info, "properties", partial(_check_properties, properties))
    for name in ("lower_bound", "upper_bound"):
        take(info, name, read_point)
    take(info, "by_id", partial(_check_index, partial(_must_be, "by_id")))
    take(info, "relationships", _check_relationships)
    if not take(info, "spatial", read_list(_check_level)):
        raise WrongFieldError("spatial")


def _must_be(expected: Any, given: Any) -> None:
    if given != expected:
        raise ValueError(given)


def _check_properties(names: Sequence[str], given: Any) -> None:
    """Check the numbers of an annotation, apart from their description."""
    found = read_list(lambda one: (one["id"], one["type"]))(given)
    expected = [(name, one["type"]) for name, one in PROPERTIES.items() if name in names]
    _must_be(expected, found)


def _check_relationships(given: Any) -> None:
    def check(one: Any) -> Any:
        name = take(one, "id", RELATIONSHIPS.index)
        _check_index(partial(_must_be, RELATIONSHIPS[name]), one)
        return name

    _must_be([*range(len(RELATIONSHIPS))], sorted(read_list(check)(given)))


def _check_index(check_key: Callable[[Any], object], given: Any) -> None:
    take(given, "key", check_key)
    take(given, "sharding", Sharding.from_json)


def _check_level(given: Any) -> None:
    _check_index(_read_level_key, given)
    if max(take(given, "grid_shape", _read_shape)) > _MOST_CELLS:
        raise WrongFieldError("grid_shape")
    take(given, "chunk_size", read_size)
    take(given, "limit", read_positive)


def _read_level_key(given: Any) -> None:
    if not _LEVEL.fullmatch(given):
        raise ValueError(given)


def _read_shape(given: Any) -> list[int]:
    x, y, z = read_list(read_positive)(given)
    return [x, y, z]
