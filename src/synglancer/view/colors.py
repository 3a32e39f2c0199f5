"""Colours of the view: one per tag, a fixed cycle for other tags, and the two backgrounds.

Colours are ``#rrggbb`` in sRGB.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from itertools import cycle
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    from collections.abc import Mapping


PARTNER = "#ff8c00"
"""Colour of the cell on the other side of a single synapse."""


@dataclass(frozen=True)
class Palette:
    """Colours per tag.

    Attributes
    ----------
    name
        Name on the command line.
    tags
        Colour of each known tag, ``unlabelled`` included.
    cycle
        Colours of other tags, taken in turn.
    """

    name: str
    tags: Mapping[str, str]
    cycle: tuple[str, ...]


@dataclass(frozen=True)
class Background:
    """Colours that depend on the background.

    Attributes
    ----------
    projection, cross_section
        Backgrounds of the 3D view and the sections.
    cell
        Colour of the cell's mesh.
    ring
        Colour of the ring around outputs.
    """

    projection: str
    cross_section: str
    cell: str
    ring: str


PALETTES: Mapping[str, Palette] = MappingProxyType(
    {
        # Pedigo et al. 2026.
        "paper": Palette(
            "paper",
            MappingProxyType(
                {
                    "spine": "#fb49b0",
                    "shaft": "#ddb310",
                    "soma": "#00beff",
                    "multi-input": "#9113cc",
                    "unlabelled": "#646464",
                }
            ),
            ("#4ad991", "#ff7a45", "#5b7bff", "#c6e048", "#ff9d9d", "#2fb8a6"),
        ),
        # From Okabe and Ito 2008, with lightness spread further so that hue is not needed.
        "safe": Palette(
            "safe",
            MappingProxyType(
                {
                    "spine": "#d55e00",
                    "shaft": "#f0e442",
                    "soma": "#56b4e9",
                    "multi-input": "#0060c8",
                    "unlabelled": "#646464",
                }
            ),
            ("#009e73", "#cc79a7", "#e69f00"),
        ),
    }
)

BACKGROUNDS: Mapping[str, Background] = MappingProxyType(
    {
        # Cells are warm greys: on cool greys, the paper's pink for spines is hard to see with
        # deutan colour vision.
        "dark": Background("#000000", "#202020", "#e8e8dc", "#ffffff"),
        "white": Background("#ffffff", "#ffffff", "#94947c", "#505050"),
    }
)


_CELL_LIGHTNESS = (0.74, 0.60, 0.67)
_CELL_CHROMA = 0.105
_FIRST_HUE = 150.0  # green, which no tag of the paper has
_NEAR_BLACK = 0.0031308
_GOLDEN_ANGLE = 137.50776405003785


def is_color(value: object) -> TypeGuard[str]:
    """Whether a value of a state is a colour in the form ``#rrggbb``."""
    return isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value) is not None


def choose_colors(tags: list[str], palette: Palette) -> dict[str, str]:
    """Choose the colour of each tag; tags outside the palette take its cycle in sorted order.

    Examples
    --------
    >>> choose_colors(["spine"], PALETTES["paper"])
    {'spine': '#fb49b0'}
    """
    others = sorted(set(tags) - set(palette.tags))
    cycled = {tag: palette.cycle[i % len(palette.cycle)] for i, tag in enumerate(others)}
    return {tag: palette.tags.get(tag) or cycled[tag] for tag in tags}


def choose_cell_colors(count: int) -> list[str]:
    """Choose colours for cells in the order of their rank; the first ones are always the same.

    Hues advance by the golden angle, so that neighbours in rank differ strongly and repeats come
    late. Lightness alternates for people who cannot tell the hues apart. Colours are muted, so that
    meshes do not outshine the synapses.

    Examples
    --------
    >>> choose_cell_colors(2)[:1] == choose_cell_colors(1)
    True
    """
    hues = ((_FIRST_HUE + i * _GOLDEN_ANGLE) % 360.0 for i in range(count))
    lightness = cycle(_CELL_LIGHTNESS)
    return [format_oklch(next(lightness), _CELL_CHROMA, hue) for hue in hues]


def format_oklch(lightness: float, chroma: float, hue: float) -> str:
    """Write a colour of Oklch (hue in degrees) as ``#rrggbb``; see Ottosson 2020."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_encode(value):02x}" for value in linear)


def _encode(value: float) -> int:
    """Encode one channel of linear light as an sRGB byte."""
    value = min(max(value, 0.0), 1.0)
    # The linear part of sRGB near black.
    curved = 12.92 * value if value <= _NEAR_BLACK else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * curved)
