"""Convert a user's own state in any form to plain JSON values, with 64-bit IDs as text.

nglui and neuroglancer hold IDs as numbers, which a viewer would round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from synglancer.cache.files import read_file
from synglancer.errors import BadAnswerError, UsageError
from synglancer.states.fields import MAX_EXACT
from synglancer.states.reader import MAX_DEPTH, build_depth_error, check_state
from synglancer.text.printable import is_unicode

_SOURCE = "What was given"
_MAX_UINT64 = 2**64 - 1
_HINT = (
    "Give a ViewerState of nglui or neuroglancer, its dict or JSON, or the path of a JSON file; "
    "for a link, use Link.from_url."
)


def read_own_state(given: object) -> dict[str, Any]:
    """Read a user's own state.

    Parameters
    ----------
    given
        A ViewerState of nglui or neuroglancer, a viewer of theirs, a dict, JSON text, or the path
        of a JSON file.

    Returns
    -------
    dict
        A Neuroglancer state of plain values, with its keys in order; integers that a viewer would
        round are text.

    Raises
    ------
    UsageError
        When it is not a state, or holds a number that JSON does not allow or that was rounded.
    """
    try:
        return check_state(make_exact(_unpack(given)), _SOURCE)
    except BadAnswerError as error:
        raise UsageError(str(error), _HINT) from error


def _unpack(given: object) -> object:
    """Read the plain values of an object of nglui or neuroglancer."""
    if isinstance(given, Path):
        return _parse(_read_file(given), given.name)
    if isinstance(given, str | bytes):
        return _read_text(given)
    if isinstance(given, Mapping):
        return given
    for name in ("to_dict", "to_json"):  # nglui's, then neuroglancer's
        method = getattr(given, name, None)
        if callable(method):
            return method()
    state = getattr(given, "state", None)  # a viewer's
    if state is not None and state is not given:
        return _unpack(state)
    raise UsageError(f"{type(given).__name__} is not a Neuroglancer state.", _HINT)


def _read_text(given: str | bytes) -> object:
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else given
    if not text.strip():  # as a path, it would mean the current folder
        raise UsageError("The text is empty, so it holds no state.", _HINT)
    if text.lstrip().startswith("{"):
        return _parse(text.encode("utf-8", "surrogatepass"), "The text")
    if "#!" in text or "://" in text:
        raise UsageError("This is a link, not a state.", "Read it with Link.from_url.")
    return _parse(_read_file(Path(text)), text)


def _read_file(path: Path) -> bytes:
    try:
        return read_file(path.expanduser())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can have this name"
        raise UsageError(f"The file {str(path)[:80]} cannot be read: {reason}.", _HINT) from error


def _parse(content: bytes, source: str) -> object:
    try:
        value: object = orjson.loads(content)
    except ValueError as error:
        raise UsageError(f"{source} does not hold JSON.", _HINT) from error
    return value


def make_exact(value: object, path: str = "", depth: int = 0) -> Any:
    """Copy values; numpy values become Python's, and integers beyond 2^53 - 1 become text.

    Raises
    ------
    UsageError
        When a number is not finite, is larger than an ID, or is a float that may have been a larger
        integer; when a text is not Unicode.
    BadAnswerError
        When values are nested too deep, as in a list that holds itself.
    """
    if depth > MAX_DEPTH:
        raise build_depth_error(_SOURCE)
    if isinstance(value, Mapping):
        named = [(_read_key(key, path), item) for key, item in value.items()]
        return {key: make_exact(item, f"{path}/{key}", depth + 1) for key, item in named}
    if hasattr(value, "tolist"):  # numpy's arrays and scalars
        value = value.tolist()
    if isinstance(value, list | tuple | set | frozenset):
        return [make_exact(item, f"{path}/{i}", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, str):
        return _check_text(value, path)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return _make_exact_number(value, path)
    raise UsageError(
        f"{type(value).__name__} at {path} of the state is not a JSON value.",
        "Use only numbers, text, lists and dicts.",
    )


def _read_key(key: object, path: str) -> str:
    """Read the name of a field, which is text in JSON."""
    return _check_text(key if isinstance(key, str) else str(make_exact(key, path)), path)


def _check_text(text: str, path: str) -> str:
    if not is_unicode(text):
        raise UsageError(
            f"A text at {path or '/'} of the state has characters that are not Unicode.",
            "Read it again in its own encoding, or leave these characters out.",
        )
    return text


def _make_exact_number(value: float, path: str) -> int | float | str:
    """Keep a number that viewers do not round; a larger integer becomes text."""
    if isinstance(value, int):
        if abs(value) > _MAX_UINT64:
            raise UsageError(
                f"The integer at {path} of the state is larger than any ID, which has 64 bits.",
                "Correct it, or leave it out.",
            )
        return value if abs(value) <= MAX_EXACT else str(value)
    if not math.isfinite(value):
        raise UsageError(
            f"{value} at {path} of the state is not a valid number in JSON.", "Leave it out."
        )
    if abs(value) > MAX_EXACT:
        raise UsageError(
            f"{value:.0f} at {path} of the state is a float, which rounds the ID.",
            "Give IDs as integers or text.",
        )
    return value
