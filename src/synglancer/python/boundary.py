"""Errors and warnings for Python users: in terms of Python, with short tracebacks.

If ``SYNGLANCER_DEBUG`` is set, errors keep the full traceback and their cause.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from synglancer.errors import SynglancerError, SynglancerWarning, is_debugging
from synglancer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*[a-z])")
_KEYWORDS = {
    field.name: f"{field.name}=True" if isinstance(field.default, bool) else f"{field.name}="
    for field in fields(Settings)
}
_KEYWORDS |= {
    **{name: f"{name}=" for name in ("column", "workers", "scheduler")},
    "save_state": 'Link.save("state.json")',
}
_PHRASES = {
    "or give the link to make-link for separate links, or with --together for one link": (
        "or give the link in a list, for one link to all of them"
    ),
    "--color-by partner-type": 'color_by="partner-type"',
    "`make-link --save-state`": 'Link.save("state.json")',
    "or leave out --together": "or make a link for each cell with make_links",
    "Add --together, or": "Give all cells to make_link as a list, or",
}
"""Advice that only applies to the command, and its equivalent in Python."""

_PUBLISHING = re.compile(r"make-link .* --publish-to (\S+)$")
"""A command to type; in Python, one more keyword."""

_STACK = 4  # from the sentence, through `warn` and two functions, to the line of the caller


def say_in_python(sentence: str) -> str:
    """Write the options in a sentence as keywords.

    Examples
    --------
    >>> say_in_python("Give --min-confidence between 0 and 1, or leave --inline out.")
    'Give min_confidence= between 0 and 1, or leave inline=True out.'
    """

    def name(found: re.Match[str]) -> str:
        return _KEYWORDS.get(found[1].replace("-", "_"), found[0])

    for phrase, in_python in _PHRASES.items():
        sentence = sentence.replace(phrase, in_python)
    sentence = _PUBLISHING.sub(r'give publish_to="\1" as well.', sentence)
    return _OPTION.sub(name, sentence)


def warn(sentences: Iterable[str]) -> None:
    """Issue each sentence as a warning at the line that called the public function."""
    for sentence in sentences:
        warnings.warn(say_in_python(sentence), SynglancerWarning, stacklevel=_STACK)


def public(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Shorten the tracebacks of a function's errors to the user's own lines, and add the hint."""

    @wraps(function)
    def call(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        try:
            return function(*args, **kwargs)
        except SynglancerError as error:
            error.args = (say_in_python(str(error)),)
            error.hint = say_in_python(error.hint)
            # Python prints notes below the sentence, from 3.11 on.
            error.__dict__["__notes__"] = [error.advice]
            if is_debugging():
                raise
            raise error.with_traceback(None) from None

    return call
