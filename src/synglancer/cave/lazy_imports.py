"""Import caveclient and nglui without what a link never uses.

caveclient imports the clients of all its services, networkx and IPython; nglui imports all of
caveclient, and, where they are installed, cloud-volume and matplotlib (for palettable). A link uses
none of them, and they are half of the time that the two take to import: a third of the time until
the first link. So the two are loaded without, and load the rest when it is used.

That is done only where everything is as it was when this was written: the versions, the modules,
and the names in them. Where anything differs, or an import fails, all that was loaded is taken back
and the libraries are imported as they come: slower, and right.
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
"""Held while names stand in for others: of several threads, each would take away the other's."""


@dataclass(frozen=True)
class Shortcut:
    """An import that leaves parts of it for later.

    Attributes
    ----------
    known
        Distribution -> the versions that this was tried with, as the beginning of their numbers.
    wanted
        Module -> names that must be in it afterwards.
    packages
        Top-level packages whose own code runs at the first use of a name in them.
    classes
        Classes whose modules are loaded when they are used, such as ``IPython.display.HTML``.
    without
        Package -> what it does not find while it is loaded. Its modules are then forgotten, so that
        whoever imports it later has it whole.
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
    without={"palettable": "matplotlib"},  # nglui takes colours from it, which need none
)


def import_lightly(shortcut: Shortcut) -> str | None:
    """Import what is wanted, by the shortcut where everything is as known, else as it comes.

    Parameters
    ----------
    shortcut
        What is wanted, and what can wait.

    Returns
    -------
    str or None
        Why the shortcut was not taken; None where it was, or where all was loaded before.

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
    """Take the shortcut; where that fails, undo it and say why."""
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
    """A package whose own code runs at the first use of a name in it.

    Its submodules can be imported without that, unlike with `importlib.util.LazyLoader`.
    """

    def __getattr__(self, name: str) -> Any:
        self.__class__ = ModuleType  # type: ignore[assignment]
        spec = self.__spec__
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module(self)
        return getattr(self, name)


def _put_off_package(name: str) -> None:
    """Put a package off that is neither loaded nor missing."""
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    package = module_from_spec(spec)
    package.__class__ = _Package
    sys.modules[name] = package


@contextmanager
def _put_off_classes(paths: tuple[str, ...]) -> Iterator[None]:
    """Let classes be imported within, while their modules are loaded when they are used.

    A module that is there stays, so that other threads go on with it; a class that it has already
    is not put off.
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
    if names.get(name) is stand_in:  # else the class itself has come
        del names[name]


@contextmanager
def _load_without(pairs: Mapping[str, str]) -> Iterator[None]:
    """Let packages be loaded within that do not find another one, and forget their modules."""
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
    """Finds that some packages are not there, in one thread alone."""

    packages: frozenset[str]
    thread: int

    def find_spec(self, name: str, *_: object) -> None:
        """Refuse the packages; leave all others to those who find modules."""
        if get_ident() == self.thread and name.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{name} is not needed", name=name)


class _UsedTooEarlyError(Exception):
    """A class was used while it was put off."""


class _StandIn:
    """Stands where a class was imported, and is that class to all who use it."""

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
