"""Draw discs, rings, lines and words as SVG or PNG, and shrink screenshots.

Coordinates are pixels of the picture before it is scaled, x to the right and y down. Text is data
and never becomes markup.
"""

from __future__ import annotations

import html
import io
from typing import TYPE_CHECKING, Any, Protocol

from synglancer.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

FONT_SIZE = 12.0
_SUPERSAMPLING = 3  # Pillow draws without smoothing, so draw larger, then shrink
_MAX_SIDE = 12_000
_FONTS = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


class Canvas(Protocol):
    """A canvas to draw on."""

    def discs(self, points: np.ndarray[Any, Any], diameter: float, colour: str) -> None:
        """Draw a filled circle around each point, shape (n, 2)."""

    def rings(self, points: np.ndarray[Any, Any], diameter: float, colour: str) -> None:
        """Draw a circle around each point, shape (n, 2)."""

    def line(
        self, start: Sequence[float], end: Sequence[float], colour: str, width: float = 3.0
    ) -> None:
        """Draw a line."""

    def words(self, start: Sequence[float], text: str, colour: str, anchor: str = "start") -> None:
        """Write a line of text; `start` is its left end, or its middle for ``middle``."""

    def finish(self) -> bytes:
        """Return the file's content."""


def make_canvas(suffix: str, size: tuple[int, int], scale: float, colour: str, name: str) -> Canvas:
    """Make a canvas.

    Parameters
    ----------
    suffix
        ``.svg`` or ``.png``.
    size
        Width and height in pixels.
    scale
        Pixels of the file per pixel of the picture.
    colour
        Of the background.
    name
        Description of the picture for screen readers (SVG).
    """
    if suffix == ".svg":
        return _Svg(size, scale, colour, name)
    return _Png(size, scale, colour)


def shrink_screenshot(png: bytes) -> bytes:
    """Write a screenshot as WebP, an eighth of the size, for pages with many pictures."""
    from PIL import Image

    content = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(content, "WEBP", quality=80)
    return content.getvalue()


def stroke_width(diameter: float) -> float:
    """Line width of a ring, thin enough to leave its middle open."""
    return max(0.9, 0.28 * diameter)


class _Svg:
    def __init__(self, size: tuple[int, int], scale: float, colour: str, name: str) -> None:
        width, height = size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * scale:g}" '
            f'height="{height * scale:g}" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="{_FONTS}" font-size="{FONT_SIZE:g}">'
        )
        self._parts = [
            head,
            f"<title>{_escape(name)}</title>",
            f'<rect width="{width}" height="{height}" fill="{_escape(colour)}"/>',
        ]

    def discs(self, points: np.ndarray[Any, Any], diameter: float, colour: str) -> None:
        # Lines of no length with round ends: the shortest way to write many circles.
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points.tolist())
        self._path(path, diameter, colour, ' stroke-linecap="round"')

    def rings(self, points: np.ndarray[Any, Any], diameter: float, colour: str) -> None:
        width = stroke_width(diameter)
        radius = (diameter - width) / 2
        arc = f"a{radius:.2f} {radius:.2f} 0 1 0"
        circle = f"{arc} {2 * radius:.2f} 0{arc} {-2 * radius:.2f} 0"
        path = "".join(f"M{x - radius:.1f} {y:.1f}{circle}" for x, y in points.tolist())
        self._path(path, width, colour, "")

    def line(
        self, start: Sequence[float], end: Sequence[float], colour: str, width: float = 3.0
    ) -> None:
        self._path(f"M{start[0]:.1f} {start[1]:.1f}L{end[0]:.1f} {end[1]:.1f}", width, colour, "")

    def words(self, start: Sequence[float], text: str, colour: str, anchor: str = "start") -> None:
        self._parts.append(
            f'<text x="{start[0]:.1f}" y="{start[1]:.1f}" fill="{_escape(colour)}" '
            f'text-anchor="{anchor}" dominant-baseline="middle">{_escape(text)}</text>'
        )

    def finish(self) -> bytes:
        return "\n".join([*self._parts, "</svg>", ""]).encode()

    def _path(self, path: str, width: float, colour: str, more: str) -> None:
        if path:
            self._parts.append(
                f'<path d="{path}" fill="none" stroke="{_escape(colour)}" '
                f'stroke-width="{width:.2f}"{more}/>'
            )


class _Png:
    def __init__(self, size: tuple[int, int], scale: float, colour: str) -> None:
        from PIL import Image, ImageDraw  # slow to import

        self._size = _scale(size, scale)
        self._zoom = scale * max(1.0, min(_SUPERSAMPLING, _MAX_SIDE / max(self._size)))
        self._image = Image.new("RGB", _scale(size, self._zoom), colour)
        self._draw = ImageDraw.Draw(self._image)
        self._font, self._has_micro = _load_font(FONT_SIZE * self._zoom)
        self._smooth, self._exact = Image.Resampling.LANCZOS, Image.Dither.NONE

    def discs(self, points: np.ndarray[Any, Any], diameter: float, colour: str) -> None:
        for box in self._boxes(points, diameter):
            self._draw.ellipse(box, fill=colour)

    def rings(self, points: np.ndarray[Any, Any], diameter: float, colour: str) -> None:
        width = max(1, round(stroke_width(diameter) * self._zoom))
        for box in self._boxes(points, diameter):
            self._draw.ellipse(box, outline=colour, width=width)

    def line(
        self, start: Sequence[float], end: Sequence[float], colour: str, width: float = 3.0
    ) -> None:
        ends = [(x * self._zoom, y * self._zoom) for x, y in (start, end)]
        self._draw.line(ends, fill=colour, width=round(width * self._zoom))

    def words(self, start: Sequence[float], text: str, colour: str, anchor: str = "start") -> None:
        place = (start[0] * self._zoom, start[1] * self._zoom)
        where = "mm" if anchor == "middle" else "lm"
        shown = printable(text if self._has_micro else text.replace("µ", "u"))
        self._draw.text(place, shown, fill=colour, font=self._font, anchor=where)

    def finish(self) -> bytes:
        image = self._image.resize(self._size, self._smooth)
        # With a palette of the few colours and their shades, the file has a third of the bytes.
        image = image.quantize(256, dither=self._exact)
        content = io.BytesIO()
        image.save(content, "PNG", optimize=True)
        return content.getvalue()

    def _boxes(self, points: np.ndarray[Any, Any], diameter: float) -> list[list[float]]:
        radius = diameter * self._zoom / 2
        centres = (points * self._zoom).tolist()
        return [[x - radius, y - radius, x + radius, y + radius] for x, y in centres]


def _scale(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _load_font(size: float) -> tuple[Any, bool]:
    """Load a font of this machine or Pillow's own, and say whether it has the micro sign."""
    from PIL import ImageFont

    for name in ("DejaVuSans.ttf", "Arial.ttf", "arial.ttf", "Helvetica.ttc"):
        try:
            return ImageFont.truetype(name, size), True
        except OSError:  # noqa: PERF203  # four names
            continue
    return ImageFont.load_default(size), False


def _escape(text: str) -> str:
    return html.escape(printable(text))
