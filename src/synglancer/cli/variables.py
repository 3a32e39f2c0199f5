"""Find environment variables that are named like ours but have no effect."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import fields
from typing import TYPE_CHECKING

from synglancer.cli.config import ENVIRONMENT, PREFIX, list_names
from synglancer.settings import Settings
from synglancer.text.spelling import find_meant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cyclopts import App

UNKNOWN: ContextVar[tuple[str, ...]] = ContextVar("UNKNOWN", default=())
"""The messages about such variables, one sentence each."""

_OTHERS = {
    f"{PREFIX}{name}" for name in ("CACHE_DIR", "CACHE_MAX", "DATA_DIR", "DEBUG", "SANDBOX_TOKEN")
}
"""Variables that are not options of a command."""


def explain_unknown_variables(build: Callable[[], App]) -> tuple[str, ...]:
    """Suggest for each unknown variable the one that was probably meant.

    Parameters
    ----------
    build
        Makes the application with all commands; called only if a variable is not an option of
        links.
    """
    ours = sorted(name for name in os.environ if name.startswith(PREFIX))
    known = _OTHERS | {_name_variable(field.name) for field in fields(Settings)}
    if known.issuperset(ours):
        return ()
    known |= set(_list_variables(build()))
    return tuple(_explain(name, known) for name in ours if name not in known)


def _list_variables(app: App) -> Iterator[str]:
    """List the variables that set options of an application's commands."""
    return (_name_variable(name) for name in list_options(app, ENVIRONMENT))


def list_options(app: App, source: object) -> Iterator[str]:
    """List the options of those commands of an application that have a source of options."""
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        if command.default_command is not None and source in (command.config or ()):
            for argument in command.assemble_argument_collection():
                names = (one for one in list_names(argument) if one.startswith("--"))
                yield from (one.removeprefix("--") for one in names)
        yield from list_options(command, source)


def _name_variable(option: str) -> str:
    return PREFIX + option.upper().replace("-", "_")


def _explain(name: str, known: set[str]) -> str:
    options = [other.removeprefix(PREFIX) for other in known]
    near = find_meant(name.removeprefix(PREFIX), options)
    meant = f"did you mean {PREFIX}{near}?" if near else "it has no effect."
    return f"The environment variable {name} is unknown: {meant}"
