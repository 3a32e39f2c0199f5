"""Imports put off until they are used.

It must not know what it puts off, or why.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[name] = package


@contextmanager
def put_off(*classes: str) -> Iterator[None]:
    """Let classes be imported within, while their modules are loaded when they are called.

    Parameters
    ----------
    *classes
        Where they are, such as ``IPython.display.HTML``: their modules are slow to import.
    """
    hidden = {}
    for path in classes:
        module, _, name = path.rpartition(".")
        hidden[module] = sys.modules.get(module)
        sys.modules[module] = stand_in = ModuleType(module)
        setattr(stand_in, name, _build_stand_in(module, name))
    try:
        yield
    finally:
        for module, found in hidden.items():
            del sys.modules[module]
            if found is not None:
                sys.modules[module] = found


def _build_stand_in(module: str, name: str) -> type:
    def make(_: type, *args: Any, **kwargs: Any) -> Any:
        return getattr(import_module(module), name)(*args, **kwargs)

    return type(name, (), {"__new__": make})
