"""Make Neuroglancer links that show a cell's synapses and their predicted targets.

>>> from synglancer import make_link
>>> make_link(864691135276234469, sandbox=True)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

__all__ = [
    "CellError",
    "Link",
    "Links",
    "ServiceError",
    "Settings",
    "Skipped",
    "SynglancerError",
    "SynglancerWarning",
    "UsageError",
    "__version__",
    "add_links",
    "html_link",
    "make_link",
    "make_links",
]

if TYPE_CHECKING:
    from synglancer.api import add_links, html_link, make_link, make_links
    from synglancer.errors import (
        CellError,
        ServiceError,
        SynglancerError,
        SynglancerWarning,
        UsageError,
    )
    from synglancer.link import Link
    from synglancer.links.link_record import Skipped
    from synglancer.python.results import Links
    from synglancer.settings import Settings

_HOMES = {
    "CellError": "errors",
    "Link": "link",
    "Links": "python.results",
    "ServiceError": "errors",
    "Settings": "settings",
    "SynglancerError": "errors",
    "SynglancerWarning": "errors",
    "UsageError": "errors",
    "Skipped": "links.link_record",
    "add_links": "api",
    "html_link": "api",
    "make_link": "api",
    "make_links": "api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, because ``--help`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, for completion."""
    return sorted(__all__)
