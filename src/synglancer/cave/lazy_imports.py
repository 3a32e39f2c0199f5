"""Import caveclient and nglui without the parts that links never use.

caveclient imports the clients of all its services, networkx and IPython; nglui imports all of
caveclient and, if installed, cloud-volume and matplotlib (for palettable). Links need none of
these, but they take half of the libraries' import time and a third of the time until the first
link. So both libraries are imported without them, and the rest is loaded when it is used.

This is done only if versions, modules and the names in them are the known ones. If anything
differs or an import fails, the shortcut is undone and the libraries are imported in the normal
way, which is slower but always correct.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec, module_from_spec
from threading import RLock, get_ident
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ALONE = RLock()
"""Held while stand-ins are in place, since several threads would remove each other's."""


@dataclass(frozen=True)
class Shortcut:
    """An import that postpones some of its parts.

    Attributes
    ----------
    known
        Distribution -> prefix of the versions that were tested.
    wanted
        Module -> names that it must contain after the import.
    packages
        Top-level packages whose own code runs when a name in them is first used.
    classes
        Classes whose modules are loaded when they are used, such as ``IPython.display.HTML``.
    without
        Package -> a package that is hidden from it while it is loaded. Its modules are then removed
        from `sys.modules`, so that a later import loads it completely.
    """

    known: Mapping[str, str]
    wanted: Mapping[str, tuple[str, ...]]
    packages: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    without: Mapping[str, str] = field(default_factory=dict)


CAVECLIENT = Shortcut(
    known={"caveclient": "8.2."},
    wanted={
        "caveclient.materializationengine": ("MaterializationClient",),
        "caveclient.auth": ("AuthClient",),
        "caveclient.base": ("Version",),
        "caveclient.jsonservice": ("JSONService",),
    },
    packages=("caveclient",),
    classes=("IPython.display.HTML",),
)

NGLUI = Shortcut(
    known={"nglui": "4.9.", "caveclient": "8.2.", "neuroglancer": "2.41."},
    wanted={
        "nglui.statebuilder": ("AnnotationLayer", "ImageLayer", "SegmentationLayer", "ViewerState")
    },
    packages=("caveclient", "cloudvolume"),
    classes=("caveclient.CAVEclient", "IPython.display.HTML"),
    without={"palettable": "matplotlib"},  # nglui's colours from palettable need no matplotlib
)


def import_lightly(shortcut: Shortcut) -> str | None:
    """Import modules by the shortcut if everything is as expected, otherwise in the normal way.

    Parameters
    ----------
    shortcut
        The modules to import, and the parts that can wait.

    Returns
    -------
    str or None
        Why the shortcut was not used; None if it was, or if everything was already loaded.

    Raises
    ------
    ImportError
        When the plain import fails as well.
    """
    with _ALONE:
        if all(name in sys.modules for name in shortcut.wanted):
            return None
        obstacle = _find_unknown_version(shortcut) or _try(shortcut)
        if obstacle is not None:
            for name in shortcut.wanted:
                import_module(name)
        return obstacle


def _find_unknown_version(shortcut: Shortcut) -> str | None:
    for name, known in shortcut.known.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            return f"{name} is not installed as a distribution"
        if not found.startswith(known):
            return f"{name} {found} is not known"
    return None


def _try(shortcut: Shortcut) -> str | None:
    """Try the shortcut; if it fails, undo it and return the reason."""
    before = set(sys.modules)
    try:
        for package in shortcut.packages:
            _put_off_package(package)
        with _put_off_classes(shortcut.classes), _load_without(shortcut.without):
            for name, names in shortcut.wanted.items():
                module = import_module(name)
                lacking = [one for one in names if one not in vars(module)]
                if lacking:
                    raise ImportError(f"{name} has no {lacking[0]}")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001  # whatever goes wrong, the plain import decides
        own = {name.partition(".")[0] for name in (*shortcut.wanted, *shortcut.packages)}
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in own:
                sys.modules.pop(name, None)
        return f"{type(error).__name__}: {error}"
    return None


class _Package(ModuleType):
    """A package whose own code runs when a name in it is first used.

    Unlike with `importlib.util.LazyLoader`, its submodules can be imported without running it.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(self)
        return getattr(self, name)


def _put_off_package(name: str) -> None:
    """Postpone loading a package, unless it is already loaded or not installed."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[name] = package


@contextmanager
def _put_off_classes(paths: tuple[str, ...]) -> Iterator[None]:
    """Within this context, import classes as stand-ins that load their modules when used.

    Modules that are already loaded stay, so that other threads can go on using them; a class that
    such a module already has is not postponed.
    """
    with ExitStack() as undone:
        for path in paths:
            module, _, name = path.rpartition(".")
            if module not in sys.modules:
                sys.modules[module] = ModuleType(module)
                undone.callback(sys.modules.pop, module, None)
            names = vars(sys.modules[module])
            if name not in names:
                names[name] = stand_in = _StandIn(module, name)
                undone.callback(_take_away, names, name, stand_in)
        yield


def _take_away(names: dict[str, Any], name: str, stand_in: _StandIn) -> None:
    if names.get(name) is stand_in:  # otherwise it has been replaced by the class itself
        del names[name]


@contextmanager
def _load_without(pairs: Mapping[str, str]) -> Iterator[None]:
    """Within this context, hide a package from each given package; then unload its modules."""
    hiding = {
        package: hidden
        for package, hidden in pairs.items()
        if package not in sys.modules and hidden not in sys.modules
    }
    finder = _Hiding(frozenset(hiding.values()), get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [*sys.modules]:
            if name.partition(".")[0] in hiding:
                del sys.modules[name]


@dataclass(frozen=True, eq=False)
class _Hiding(MetaPathFinder):
    """A finder that hides some packages, but only in one thread."""

    packages: frozenset[str]
    thread: int

    def find_spec(self, name: str, *_: object) -> None:
        """Report hidden packages as missing; leave all others to the other finders."""
        if get_ident() == self.thread and name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{name} is not needed", name=name)


class _UsedTooEarlyError(Exception):
    """A class was used while it was still postponed."""


class _StandIn:
    """Stands in for an imported class, and behaves like that class when it is used."""

    def __init__(self, module: str, name: str) -> None:
        self._path = module, name

    def _load(self) -> Any:
        module, name = self._path
        found = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if found is self:
            raise _UsedTooEarlyError(f"{module}.{name} was used")
        return getattr(import_module(module), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._load()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # typing looks for these
            raise AttributeError(name)
        return getattr(self._load(), name)

    def __instancecheck__(self, given: object) -> bool:
        return isinstance(given, self._load())

    def __subclasscheck__(self, given: type) -> bool:
        return issubclass(given, self._load())

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        return (self._load(),)
