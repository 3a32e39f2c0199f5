"""Options of the view and of the viewer, checked when the record is made.

They are the same for every cell.
"""

# Without `from __future__ import annotations`: cyclopts would look for the names of the types of
# these fields in the module of the class that inherits them.

import re
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from synglancer.errors import UsageError
from synglancer.option_values import settle_values
from synglancer.text.printable import quote

Layout = Literal["xy-3d", "3d", "4panel", "xy"]
BackgroundName = Literal["dark", "white"]
PaletteName = Literal["paper", "safe"]
ColorBy = Literal["tag", "confidence", "partner-type"]

CHOICES: dict[str, tuple[str, ...]] = {
    "layout": get_args(Layout),
    "background": get_args(BackgroundName),
    "palette": get_args(PaletteName),
    "color_by": get_args(ColorBy),
}
"""The choices for each option that has choices."""

SITES = {
    "spelunker": "https://spelunker.cave-explorer.org/",
    "google": "https://neuroglancer-demo.appspot.com/",
}
"""Viewers that have a short name."""

MAX_CELLS = MAX_PARTNERS = 100
"""Most partners to select: with more meshes, viewers take minutes to load."""


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """How a link shows its synapses.

    Parameters
    ----------
    layout
        Layout of the viewer's panels.
    background
        Background of the 3D view; white suits slides and print.
    figure
        Make a clean figure: 3D only, white, pure colours, no axes or panels.
    palette
        Colours of Pedigo et al. (2026), or colours for all kinds of colour vision.
    color_by
        Colour synapses by tag, confidence or the partner's cell type.
    soft_filter
        Hide synapses below --min-confidence instead of leaving them out; sliders show them.
    panel
        Open the side panel with the sliders.
    filter_by_selection
        Draw only synapses of cells that are selected in the viewer.
    partners
        Also select this many of the strongest partners, each in its own colour.
    review
        Let people mark predictions right or wrong in one layer, least confident first.
    annotations
        Also show your own points from this file; can be repeated.

    Raises
    ------
    UsageError
        When a value cannot be used.
    """

    layout: Layout = "xy-3d"
    background: BackgroundName = "dark"
    figure: bool = False
    palette: PaletteName = "paper"
    color_by: ColorBy = "tag"
    soft_filter: bool = False
    panel: bool = False
    filter_by_selection: bool = False
    partners: str | int = 0
    review: bool = False
    annotations: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        settle_values(self)
        check_choices(self)
        object.__setattr__(self, "partners", _read_partners(self.partners))
        if self.review and self.annotations:
            raise UsageError(
                "Both --review and --annotations were given, but a review has only one layer.",
                "Leave one of them out.",
            )

    def describe_view(self) -> dict[str, Any]:
        """Return the options of the view that differ from the defaults, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(ViewSettings)
            if field.name != "annotations"  # the record lists their files separately
            and getattr(self, field.name) != field.default
        }


def _read_partners(given: str | int) -> int:
    """Read the number of partners; a text that cyclopts would round is refused."""
    text = str(given).strip()
    if isinstance(given, bool) or not re.fullmatch("[0-9]{1,9}", text) or int(text) > MAX_PARTNERS:
        raise UsageError(
            f"{quote(text)} is not a valid number of partners.",
            f"Give --partners as a whole number between 0 and {MAX_PARTNERS}.",
        )
    return int(text)


def check_choices(options: object) -> None:
    """Refuse a value that is not one of an option's choices.

    Raises
    ------
    UsageError
        With the choices.
    """
    for name, known in CHOICES.items():
        value = getattr(options, name)
        if value not in known:
            option = name.replace("_", "-")
            raise UsageError(
                f"There is no {option} {quote(value)}.", f"Choose one of: {', '.join(known)}."
            )


def check_review(options: Any) -> None:
    """Refuse options that a review, with its single layer and a section, cannot show.

    Raises
    ------
    UsageError
        Names the options that cannot be combined with --review.
    """
    refused = {
        "--with-unlabelled": options.with_unlabelled,
        "--multi-input": options.multi_input,
        "--source": options.source,
        "--publish-to": options.publish_to,
        "--soft-filter": options.soft_filter,
        "--filter-by-selection": options.filter_by_selection,
        "--figure": options.figure,
        "--partners": options.partners,
        "--layout 3d": options.layout == "3d",
        f"--color-by {options.color_by}": options.color_by != "tag",
    }
    given = [option for option, asked in refused.items() if asked]
    if given:
        raise UsageError(
            f"--review does not support {given[0]}.",
            f"Leave out {' and '.join(given)}, or --review.",
        )


def split_site(given: str) -> tuple[str | None, str]:
    """Split a given viewer into its short name (None for none) and its address.

    Examples
    --------
    >>> split_site("google")
    ('google', 'https://neuroglancer-demo.appspot.com/')
    >>> split_site("spelunker=https://viewer.lab.org/")
    ('spelunker', 'https://viewer.lab.org/')
    >>> split_site("https://viewer.lab.org/")
    (None, 'https://viewer.lab.org/')
    """
    name, mark, address = given.partition("=")
    if name in SITES:
        return name, address if mark else SITES[name]
    return None, given


def recognise_site(given: str | None, address: str) -> str | None:
    """Find which of the known viewers is at an address.

    Parameters
    ----------
    given
        The viewer as it was given, or None.
    address
        Its address.

    Returns
    -------
    str or None
        Its short name: the given one, or one recognised from the host; None if there is neither.
    """
    name = split_site(given)[0] if given is not None else None
    if name is not None:
        return name
    host = urlsplit(address).hostname or ""
    if host.split(".")[0].startswith("spelunker"):
        return "spelunker"
    return "google" if host == urlsplit(SITES["google"]).hostname else None
