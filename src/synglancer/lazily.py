"""Imports put off until they are used.

It must not know what it puts off, or why.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec


def import_lazily(name: str) -> None:
    """Let a package be loaded at the first use of what is in it, not where it is imported.

    Parameters
    ----------
    name
        A top-level package. Nothing happens when it is loaded already, or is not installed.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
