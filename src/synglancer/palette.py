"""Colours of the view: one per tag, a fixed cycle for tags to come, and the two backgrounds.

Colours are ``#rrggbb`` in sRGB. It knows names and numbers only: no layers, no shaders.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Palette:
    """Colours per tag.

    Attributes
    ----------
    name
        What it is called on the command line.
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
    """Colours around the data, which depend on what is behind it.

    Attributes
    ----------
    projection, cross_section
        What is behind the 3D view and the sections.
    cell
        The cell's mesh.
    ring
        The ring around outputs.
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
        "dark": Background("#000000", "#202020", "#d8dce6", "#ffffff"),
        "white": Background("#ffffff", "#ffffff", "#8a909c", "#202020"),
    }
)


def choose_colours(tags: list[str], palette: Palette) -> dict[str, str]:
    """Colour of each tag; other tags than the palette's take its cycle in their sorted order.

    Parameters
    ----------
    tags
        Tags shown, in any order, repeated or not.
    palette
        Where the colours come from.

    Examples
    --------
    >>> choose_colours(["spine"], PALETTES["paper"])
    {'spine': '#fb49b0'}
    """
    others = sorted(set(tags) - set(palette.tags))
    cycled = {tag: palette.cycle[i % len(palette.cycle)] for i, tag in enumerate(others)}
    return {tag: palette.tags.get(tag) or cycled[tag] for tag in tags}
