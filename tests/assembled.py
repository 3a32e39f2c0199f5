"""Assemble the options of each command once: tests run thousands of commands in a process."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts import ArgumentCollection


def assemble_options_once() -> None:
    """Let cyclopts keep the types and options of a command, and hand out copies without values.

    Raises
    ------
    ImportError, AttributeError
        When this release of cyclopts has other functions.
    """
    from cyclopts import ArgumentCollection, field_info

    types = functools.cache(field_info.get_type_hints)
    assemble = functools.cache(ArgumentCollection._from_callable)

    def hand_out(*arguments: Any, **options: Any) -> ArgumentCollection:
        if "reserved" in options:  # a generator of letters
            options["reserved"] = tuple(options["reserved"])
        return _copy(assemble(*arguments, **options))

    field_info.get_type_hints = types
    ArgumentCollection._from_callable = staticmethod(hand_out)


def _copy(kept: ArgumentCollection) -> ArgumentCollection:
    """Copy options that have no values, with each one's children among the copies."""
    copies = {id(option): copy.copy(option) for option in kept}
    for option in copies.values():
        option.tokens = []
        option.children = type(kept)(copies[id(child)] for child in option.children)
    return type(kept)(copies.values())
