"""Assemble the options of each command once: tests run thousands of commands in a process."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from cyclopts import ArgumentCollection


def assemble_options_once() -> None:
    """Let cyclopts keep the types and options of a command, and hand out copies without values.

    Copies of an option have the same definitions, from which cyclopts would find its negative
    names anew for each word and option.

    Raises
    ------
    ImportError, AttributeError
        When this release of cyclopts has other functions.
    """
    from cyclopts import ArgumentCollection, Parameter, field_info
    from cyclopts.argument import Argument

    find_hint = _keep(Argument._negatives_hint.fget, lambda option: (option.field_info,))
    get_negatives = _keep(Parameter.get_negatives, lambda *definitions: definitions)
    types = functools.cache(field_info.get_type_hints)
    assemble = functools.cache(ArgumentCollection._from_callable)

    def hand_out(*arguments: Any, **options: Any) -> ArgumentCollection:
        if "reserved" in options:  # a generator of letters
            options["reserved"] = tuple(options["reserved"])
        return _copy(assemble(*arguments, **options))

    field_info.get_type_hints = types
    ArgumentCollection._from_callable = staticmethod(hand_out)
    Argument._negatives_hint = property(find_hint)
    Parameter.get_negatives = get_negatives


def _keep(find: Callable[..., Any], choose: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """Keep what a function finds for the very objects that are chosen from its arguments."""
    kept: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def find_once(*arguments: Any) -> Any:
        objects = choose(*arguments)
        key = tuple(map(id, objects))  # types that are equal may differ in their order
        if key not in kept:
            kept[key] = (find(*arguments), objects)  # which live on, and keep their numbers
        return kept[key][0]

    return find_once


def _copy(kept: ArgumentCollection) -> ArgumentCollection:
    """Copy options that have no values, with each one's children among the copies."""
    copies = {id(option): copy.copy(option) for option in kept}
    for option in copies.values():
        option.tokens = []
        option.children = type(kept)(copies[id(child)] for child in option.children)
    return type(kept)(copies.values())
