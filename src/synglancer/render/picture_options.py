"""Options and results of pictures, as records that are checked when made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from synglancer.errors import UsageError
from synglancer.render.endings import check_kind, find_suffix

if TYPE_CHECKING:
    from pathlib import Path

Renderer = Literal["browser", "plot"]

Pictures = Literal["plot", "browser", "none"]
"""The picture of each cell in a report."""

_SMALLEST, _LARGEST = 16, 8192  # sides of a picture, in pixels
_LONGEST_WAIT = 3600.0
_LARGEST_SCALE = 4  # more than graphics cards can draw


@dataclass(frozen=True, kw_only=True)
class PreviewOptions:
    """How pictures are made.

    Parameters
    ----------
    size
        Width and height of the page in pixels, such as 960x640.
    scale
        Picture pixels per page pixel: 2 for print and sharp screens.
    background
        Replace the view's own background: dark or white.
    interface
        Keep the viewer's bars and panels, as in a browser.
    renderer
        Take a browser screenshot, or plot the synapses without a browser.
    wait
        Longest time for drawing one view, in seconds.
    """

    size: str = "960x640"
    scale: float = 1.0
    background: Literal["dark", "white"] | None = None
    interface: bool = False
    renderer: Renderer = "browser"
    wait: float = 60.0

    def __post_init__(self) -> None:
        if self.interface and self.renderer == "plot":
            raise UsageError(
                "--interface has no effect with --renderer plot.",
                "Leave one of them out: a plot has no bars and panels.",
            )
        if not 0 < self.scale <= _LARGEST_SCALE:
            raise UsageError(
                f"A scale of {self.scale:g} is out of range.",
                f"Give --scale above 0, up to {_LARGEST_SCALE}.",
            )
        if not 0 < self.wait <= _LONGEST_WAIT:
            raise UsageError(
                f"{self.wait:g} s is out of range for --wait.",
                "Give --wait in seconds, above 0 and at most an hour.",
            )
        _ = self.pixels

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height of the page, in pixels."""
        width, _, height = self.size.lower().partition("x")
        if width.isdecimal() and height.isdecimal() and len(self.size) <= len("8192x8192"):
            sides = int(width), int(height)
            if min(sides) >= _SMALLEST and max(sides) * self.scale <= _LARGEST:
                return sides
        raise UsageError(
            f"{self.size[:20]!r} is not a valid picture size.",
            "Give --size as width x height in pixels, such as 960x640; multiplied by --scale, "
            f"at most {_LARGEST} per side.",
        )


@dataclass(frozen=True)
class Preview:
    """A picture of a link.

    Attributes
    ----------
    given
        The link.
    path
        The file, PNG or SVG.
    renderer
        ``browser`` for a screenshot, or ``plot``.
    elapsed_s
        Seconds that making the picture took.
    notes
        What the picture leaves out, a sentence each.
    """

    given: str
    path: Path
    renderer: Renderer
    elapsed_s: float
    notes: tuple[str, ...] = ()


def check_suffix(name: str | Path, renderer: Renderer) -> None:
    """Refuse a file extension that a renderer does not support."""
    if find_suffix(name) == ".svg" and renderer == "browser":
        raise UsageError(
            "An SVG picture needs --renderer plot.", "Add --renderer plot, or use .png."
        )
    endings = (".png", ".svg") if renderer == "plot" else (".png",)
    check_kind("A picture", name, endings, "Use the extension .png, or .svg with --renderer plot.")


def check_latex_name(name: str) -> None:
    """Refuse a picture that LaTeX cannot include: an SVG file, or a name that it would misread."""
    if name.endswith(".svg") or not name.isprintable() or set(name) & set("%#{}\\^~"):
        raise UsageError(
            f"LaTeX cannot include the picture {name}.",
            "Use a plain file name that ends in .png.",
        )
