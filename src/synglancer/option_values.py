"""Check the types of options and their dependence on others, from a command or from Python.

Commands convert words themselves; Python users may give anything. Scalars of numpy, paths and
timestamps become plain values.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import fields
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from os import PathLike, fspath
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from synglancer.errors import UsageError
from synglancer.text.printable import is_unicode, quote

_MOST = 2**63
_EARLIEST = timezone(timedelta(hours=14))  # where days begin first
_PATHS = {"token_file"}
"""Options that hold the names of files, which may have bytes that are not text."""

_PLACES = {"source", "publish_to"}
"""Options that may hold the name of a folder, which may be a hash."""

_TOKEN = re.compile(r"(?=.*[a-f])\s*[0-9a-f]{32,}\s*", re.IGNORECASE | re.ASCII)

_WORDS = {bool: "True or False", float: "a number", int: "a whole number", str: "a text"}
_FORMS = {
    "scheduler": "the address of a Dask scheduler, such as tcp://127.0.0.1:8786",
    "timeout": "a number of seconds",
    "workers": "a whole number of processes",
}
"""What to give for options whose type says too little."""

_ANY = object()
_NO = {"", "false", "0", "no", "n", "f", "off"}
_TYPES = {"cell_types": True, "color_by": "partner-type"}
_NEEDS: dict[str, dict[str, object]] = {
    "multi_input_table": {"multi_input": True},
    "cell_type_view": _TYPES,
    "cell_type_column": _TYPES,
    "upload": {"source": _ANY, "publish_to": _ANY},
    "renderer": {"preview": _ANY},
}
"""Options that have an effect only with one of others, and which values these need."""


def check_needs(asked: Collection[str], values: Mapping[str, object]) -> None:
    """Refuse options that would have no effect, because the one that they belong to is not given.

    Parameters
    ----------
    asked
        Names of the options that the user gave for this command or call. Options of files and
        variables stay there for other occasions, so they are not among these.
    values
        All options that there are, with their values, whatever these come from; None for none.

    Raises
    ------
    UsageError
        When one has no effect; it names the options that it needs.
    """
    for name, mains in _NEEDS.items():
        if name not in asked or not mains.keys() <= values.keys():
            continue
        if any(_is_given(values[main], wanted) for main, wanted in mains.items()):
            continue
        needed = " or ".join(_name_option(*main) for main in mains.items())
        option = _name_option(name, True)
        raise UsageError(
            f"{option} has no effect without {needed}.", f"Add it, or leave {option} out."
        )


def _is_given(value: object, wanted: object) -> bool:
    if wanted is _ANY:
        return value is not None
    if wanted is True:  # commands have the words that were typed, or stand in a file
        return value is not None and str(value).lower() not in _NO
    return isinstance(value, str) and value == wanted


def _name_option(name: str, value: object) -> str:
    option = "--" + name.replace("_", "-")
    return f"{option} {value}" if isinstance(value, str) else option


def settle_values(options: Any) -> None:
    """Check the types of all options of a record, and replace their values by plain ones.

    Parameters
    ----------
    options
        A frozen dataclass.

    Raises
    ------
    UsageError
        When a value has the wrong type; it names the option.
    """
    record: type = type(options)
    for name, kind in _list_kinds(record).items():
        value = getattr(options, name)
        plain = read_value(name, value, kind)
        if plain is not value:
            object.__setattr__(options, name, plain)


@lru_cache
def _list_kinds(record: type) -> dict[str, Any]:
    kinds = get_type_hints(record)
    return {field.name: kinds[field.name] for field in fields(record)}


def read_value(name: str, value: Any, kind: Any) -> Any:
    """Read the value of an option as one of a type.

    Parameters
    ----------
    name
        The option.
    value
        A value of this type, a scalar of numpy, or a path where text is expected. A version may
        also be a date or a timestamp, and then means its day in UTC; without a time zone, UTC is
        assumed.
    kind
        The type, such as ``int | None``; ``tuple[str, ...]`` takes one item or several.

    Raises
    ------
    UsageError
        When it has another type; it names the option.
    """
    if get_origin(kind) is tuple:
        return _read_several(name, value, get_args(kind)[0])
    plain = _read_day(value) if name == "version" else value
    if getattr(plain, "shape", None) == () and hasattr(plain, "item"):
        plain = plain.item()
    kinds = get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)
    if str in kinds and isinstance(plain, PathLike):
        plain = fspath(plain)
    if not any(_is_of(plain, one) for one in kinds):
        raise _build_error(name, value, f"Give {_FORMS.get(name) or _describe(kinds)}.")
    _check_text(name, plain)
    return plain


def _check_text(name: str, value: object) -> None:
    """Refuse a text that a link cannot hold."""
    if not isinstance(value, str) or name in _PATHS:
        return
    if not is_unicode(value):
        raise _build_error(name, value, "Give a text of Unicode characters only.")
    if _TOKEN.fullmatch(value) and name not in _PLACES:
        raise UsageError(
            f"{_name_option(name, True)} was given what looks like a token, which a link would "
            "make public.",
            "Give the file with the token with --token-file, or set CAVE_TOKEN.",
        )


def _read_several(name: str, value: Any, kind: Any) -> tuple[Any, ...]:
    """Read one item or several; a text, a path or a table is one."""
    if isinstance(value, str | PathLike) or hasattr(value, "columns"):
        value = (value,)
    try:
        items = tuple(value) if not isinstance(value, bytes | Mapping) else None
    except TypeError:
        items = None
    if items is None or not all(kind is Any or _is_of(item, kind) for item in items):
        what = "a text, or a list of texts" if kind is str else "a file or a table, or a list"
        raise _build_error(name, value, f"Give {what}.")
    for item in items:
        if kind is str:
            _check_text(name, item)
    return value if isinstance(value, tuple) else items


def _read_day(value: Any) -> Any:
    """Return the day of a timestamp as text, in UTC; other values unchanged."""
    if type(value).__name__ == "datetime64":  # of numpy
        return str(value)[: len("2026-03-07")]
    if not isinstance(value, date) or value != value:  # noqa: PLR0124  # pandas.NaT
        return value
    if isinstance(value, datetime):
        value = (value.astimezone(timezone.utc) if value.tzinfo else value).date()
    return value.isoformat()


def check_past(day: date) -> date:
    """Refuse a day that has not begun anywhere, because later versions might still precede it.

    Raises
    ------
    UsageError
        When it is in the future.
    """
    if day > datetime.now(_EARLIEST).date():
        raise UsageError(
            f"The day {day} is in the future.",
            "Give the day of a version, or latest for the newest version.",
        )
    return day


def _is_of(value: Any, kind: Any) -> bool:
    if kind is type(None):
        return value is None
    if get_origin(kind) is not None:  # choices, which the settings check
        return isinstance(value, str)
    if kind is float:
        return isinstance(value, float) or _is_of(value, int)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST
    return isinstance(value, kind)


def _describe(kinds: Iterable[Any]) -> str:
    named = [_WORDS.get(one, "a text") for one in kinds if one is not type(None)]
    return " or ".join(dict.fromkeys(named))


def _build_error(name: str, value: object, hint: str) -> UsageError:
    return UsageError(f"{name}={quote(value)} is not a valid value.", hint)
