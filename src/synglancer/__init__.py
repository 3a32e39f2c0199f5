"""From a cell to a Neuroglancer link that shows its synapses and their predicted targets.

>>> from synglancer import make_link
>>> make_link(864691135276234469, sandbox=True)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "CellError",
    "Link",
    "ServiceError",
    "Settings",
    "Skipped",
    "SynglancerError",
    "UsageError",
    "__version__",
    "add_links",
    "html_link",
    "make_link",
    "make_links",
]

if TYPE_CHECKING:
    from synglancer.errors import CellError, ServiceError, SynglancerError, UsageError
    from synglancer.links.batch import make_links
    from synglancer.links.dataframes import add_links, html_link
    from synglancer.links.link import Link, Skipped
    from synglancer.links.make import make_link
    from synglancer.settings import Settings

_HOMES = {
    "CellError": "errors",
    "Link": "links.link",
    "ServiceError": "errors",
    "Settings": "settings",
    "SynglancerError": "errors",
    "UsageError": "errors",
    "Skipped": "links.link",
    "add_links": "links.dataframes",
    "html_link": "links.dataframes",
    "make_link": "links.make",
    "make_links": "links.batch",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``--help`` needs none of them."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
