"""An embedded CAVE on a loopback port, to test clients against: see docs/sandbox.md.

`Sandbox`, `SandboxOptions` and `ensure_sample` are loaded when they are first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Sandbox", "SandboxOptions", "ensure_sample"]

_HOMES = {"Sandbox": "server", "SandboxOptions": "server", "ensure_sample": "sample.build"}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
