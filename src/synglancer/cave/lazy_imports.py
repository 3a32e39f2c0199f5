"""Imports put off until they are used."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALONE = RLock()
"""Held while names stand in for others: of several threads, each would take away the other's."""


class _Package(ModuleType):
    """A package whose own code runs at the first use of a name in it.

    Its submodules can be imported without that, unlike with `importlib.util.LazyLoader`.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(self)
        return getattr(self, name)


def import_lazily(name: str) -> None:
    """Let a package's own code run at the first use of a name in it, not where it is imported.

    Parameters
    ----------
    name
        A top-level package. Nothing happens when it is loaded already, or is not installed.
    """
    with _ALONE:
        spec = None if name in sys.modules else find_spec(name)
        if spec is None or spec.loader is None:
            return
        package = module_from_spec(spec)
        package.__class__ = _Package
        sys.modules[name] = package


@contextmanager
def put_off(*classes: str) -> Iterator[None]:
    """Let classes be imported within, while their modules are loaded when they are called.

    A module that is there stays, so that other threads go on with it; a class that it has already
    is not put off.

    Parameters
    ----------
    *classes
        Where they are, such as ``IPython.display.HTML``: their modules are slow to import.
    """
    with _ALONE, ExitStack() as undone:
        for path in classes:
            module, _, name = path.rpartition(".")
            if module not in sys.modules:
                sys.modules[module] = ModuleType(module)
                undone.callback(sys.modules.pop, module, None)
            names = vars(sys.modules[module])
            if name not in names:
                names[name] = stand_in = _build_stand_in(module, name)
                undone.callback(_take_away, names, name, stand_in)
        yield


def _take_away(names: dict[str, Any], name: str, stand_in: type) -> None:
    if names.get(name) is stand_in:  # else the class itself has come
        del names[name]


def _build_stand_in(module: str, name: str) -> type:
    def make(_: type, *args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    return type(name, (), {"__new__": make})
