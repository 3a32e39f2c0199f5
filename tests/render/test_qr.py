"""QR codes hold exactly the link, or are refused."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest
import segno
from PIL import Image

from render.card_examples import URL
from synglancer.errors import UsageError
from synglancer.render.qr import format_qr


def test_a_code_is_the_links_own_matrix():
    """The picture's squares are those of the link's code, with a quiet border."""
    image = Image.open(io.BytesIO(format_qr(URL, ".png"))).convert("L")
    matrix = [
        list(row) for row in segno.make(URL, error="m", micro=False, boost_error=False).matrix
    ]
    side = len(matrix)
    assert image.size == (6 * (side + 8),) * 2
    seen = [
        [int(image.getpixel((6 * (x + 4) + 3, 6 * (y + 4) + 3)) < 128) for x in range(side)]
        for y in range(side)
    ]
    assert seen == [[int(module) for module in row] for row in matrix]
    assert image.getpixel((0, 0)) == 255


def test_svg_is_whole():
    """The SVG can be read, and has its own light background."""
    root = ET.fromstring(format_qr(URL, ".svg"))
    assert root.tag.endswith("svg")
    assert b"#fff" in format_qr(URL) or b"white" in format_qr(URL)


@pytest.mark.parametrize(("url", "suffix"), [(URL + "x" * 3000, ".svg"), (URL, ".gif"), (URL, "")])
def test_what_cannot_be_is_refused(url, suffix):
    """A link that is too long, and an unknown kind of file, are refused with an error and a
    hint."""
    with pytest.raises(UsageError) as caught:
        format_qr(url, suffix)
    assert caught.value.hint
