"""Colours of cell types: the same type has the same colour in every link.

Known types have colours chosen to differ from all others; other types get a colour computed from
their name. Excitatory types are warm and inhibitory types cool, so that readers with any colour
vision can tell them apart at a glance.
"""

from __future__ import annotations

import hashlib
from types import MappingProxyType
from typing import TYPE_CHECKING

from synglancer.settings import UNKNOWN_TYPE
from synglancer.view.colors import format_oklch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNKNOWN_COLOR = "#8c8c8c"
"""Colour of cells of unknown type, the only grey."""

# Found by search: with normal, protan and deutan vision, any two of these colours and the grey
# differ by at least 13.5 (CIEDE2000), and all have enough contrast with black.
KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "23P": "#f5cb00",
        "4P": "#f7acbc",
        "5P-IT": "#e27200",
        "5P-ET": "#b23d00",
        "5P-NP": "#965254",
        "6P-IT": "#e1b07b",
        "6P-CT": "#bb7962",
        "BC": "#00a6f2",
        "MC": "#7f43c1",
        "BPC": "#afd1fb",
        "NGC": "#876f9a",
    }
)
"""Subclasses of cortical neurons, as the MICrONS tables name them."""

BROAD: Mapping[str, str] = MappingProxyType(
    {"excitatory": "#e27200", "inhibitory": "#00a6f2", "nonneuron": "#2fb8a6"}
)
"""Classes, for tables that have only these."""

_CHROMA = 0.13
_LIGHTNESS = (0.62, 0.71, 0.80)


def choose_type_color(name: str) -> str:
    """Choose the colour of a cell type, ``#rrggbb``.

    Examples
    --------
    >>> choose_type_color("BC")
    '#00a6f2'
    >>> choose_type_color("L2a") == choose_type_color("L2a") != choose_type_color("L2b")
    True
    """
    if name == UNKNOWN_TYPE:
        return UNKNOWN_COLOR
    known = KNOWN.get(name) or BROAD.get(name)
    if known:
        return known
    digest = hashlib.sha256(name.encode()).digest()
    hue = int.from_bytes(digest[:2], "big") % 360
    return format_oklch(_LIGHTNESS[digest[2] % len(_LIGHTNESS)], _CHROMA, float(hue))


def choose_type_colors(names: Iterable[str]) -> dict[str, str]:
    """Choose the colours of cell types, by name."""
    return {name: choose_type_color(name) for name in names}
