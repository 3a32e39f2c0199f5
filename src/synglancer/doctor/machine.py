"""Checks of this machine: Python, packages, the browser and the cache."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from typing import TYPE_CHECKING

from synglancer import __version__
from synglancer.cache.answers import Store
from synglancer.cache.files import format_size
from synglancer.doctor.outcome import Outcome
from synglancer.errors import PictureError

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.requirements import Requirement

_PACKAGE = "synglancer"
_SHOWN = ("caveclient", "nglui", "neuroglancer", "pandas", "numpy", "requests")
"""Packages whose versions are shown, because most questions about links concern these."""

_FOR_DEVELOPERS = frozenset({"dev", "test", "docs"})


def check_python() -> Outcome:
    """Check the version of Python, and show its path."""
    from packaging.specifiers import SpecifierSet

    running = f"Python {platform.python_version()} at {sys.executable}, synglancer {__version__}."
    with suppress(PackageNotFoundError):
        needed = str(metadata(_PACKAGE)["Requires-Python"])
        if not SpecifierSet(needed).contains(platform.python_version(), prereleases=True):
            hint = f"Install synglancer with Python {needed}."
            return Outcome("python", "failed", running, hint)
    return Outcome("python", "ok", running)


def check_packages() -> Outcome:
    """Check that each package that synglancer needs is installed and new enough."""
    try:
        lacking = [*filter(None, map(_find_lack, _list_requirements()))]
    except PackageNotFoundError:
        return Outcome(
            "packages",
            "warning",
            "synglancer is not installed as a package, so its dependencies are not known.",
            f"Install it: {sys.executable} -m pip install synglancer.",
        )
    if lacking:
        wanted = " ".join(f"'{one}'" for one in lacking)
        return Outcome(
            "packages",
            "failed",
            f"{_count(lacking)} missing or too old: {', '.join(lacking)}.",
            f"Run {sys.executable} -m pip install {wanted}.",
        )
    shown = ", ".join(f"{name} {version(name)}" for name in _SHOWN)
    return Outcome("packages", "ok", f"{shown}; {_name_extras()}.")


def _count(names: list[str]) -> str:
    return "1 package is" if len(names) == 1 else f"{len(names)} packages are"


def _list_requirements(extra: str = "") -> list[Requirement]:
    """List the requirements without an extra, or of an extra."""
    from packaging.requirements import Requirement

    def applies(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})

    needed = map(Requirement, requires(_PACKAGE) or [])
    return [one for one in needed if applies(one, extra) and not (extra and applies(one, ""))]


def _find_lack(requirement: Requirement) -> str | None:
    """Return a requirement in pip's form if it is not met, otherwise None."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        found = ""
    fits = found and requirement.specifier.contains(found, prereleases=True)
    return None if fits else f"{requirement.name}{requirement.specifier}"


def _name_extras() -> str:
    """List the installed extras, except those for developers."""
    extras = [
        name
        for name in metadata(_PACKAGE).get_all("Provides-Extra") or []
        if name not in _FOR_DEVELOPERS and not any(map(_find_lack, _list_requirements(name)))
    ]
    return f"extras: {', '.join(extras)}" if extras else "no extras"


def check_browser() -> Outcome:
    """Check whether there is a browser for pictures, which links do not need."""
    from synglancer.render.browser import find_browser

    try:
        browser = find_browser()
    except PictureError as error:
        return Outcome("browser", "warning", str(error), error.hint)
    driver = "Playwright"
    with suppress(PackageNotFoundError):  # for instance if it was installed by hand
        driver = f"Playwright {version('playwright')}"
    return Outcome("browser", "ok", f"Pictures are taken with {browser}, driven by {driver}.")


def check_cache() -> Outcome:
    """Check the size of the cache, and whether it is writable.

    Raises
    ------
    UsageError
        When ``SYNGLANCER_CACHE_MAX`` is not a size.
    """
    store = Store()
    size = format_size(sum(kept.bytes for kept in store.measure()))
    message = f"{size} of at most {format_size(store.bound)} in {store.folder}"
    if _is_writable(store.folder):
        return Outcome("cache", "ok", f"{message}.")
    return Outcome(
        "cache",
        "warning",
        f"{message}. This folder cannot be written, so nothing is cached.",
        "Set SYNGLANCER_CACHE_DIR to a folder that you may write to.",
    )


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be written to, or created."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
