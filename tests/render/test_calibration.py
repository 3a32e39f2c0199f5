"""The calibration plot shows each bin with synapses, and their number."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from PIL import Image

from synglancer.errors import UsageError
from synglancer.render.calibration import check_plot_suffix, plot_calibration
from synglancer.report.agreement import calibrate


def bins() -> pd.DataFrame:
    rows = [(0.55, "spine"), (0.56, "shaft"), (0.95, "spine"), (1.0, "spine"), (0.2, "")]
    return calibrate(
        pd.DataFrame(
            {
                "id": [str(place) for place in range(len(rows))],
                "tag": "spine",
                "confidence": [confidence for confidence, _ in rows],
                "reviewed_tag": [tag for _, tag in rows],
            }
        )
    )


def test_each_bin_with_synapses_is_a_point_with_its_number() -> None:
    """Two bins give two discs, at their mean confidence and share, labelled with their numbers."""
    svg = plot_calibration(bins(), ".svg").decode()
    root = ET.fromstring(svg)
    texts = [item.text for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("2") == 2
    assert "Share found right, of 4 synapses (95 % interval)" in texts
    discs = re.findall(r'd="M([\d.]+) ([\d.]+)h0"', svg)
    assert [(float(x), float(y)) for x, y in discs] == [
        (pytest.approx(74 + 410 * 0.555, abs=0.1), pytest.approx(44 + 410 * 0.5, abs=0.1)),
        (pytest.approx(74 + 410 * 0.975, abs=0.1), pytest.approx(44, abs=0.1)),
    ]


def test_a_png_has_points_of_its_colour() -> None:
    """The PNG is drawn at twice the size, and contains the points."""
    picture = Image.open(io.BytesIO(plot_calibration(bins(), ".png"))).convert("RGB")
    assert picture.size == (1040, 1040)
    x, y = 2 * (74 + 410 * 0.555), 2 * (44 + 410 * 0.5)
    assert picture.getpixel((round(x), round(y))) == pytest.approx((31, 111, 178), abs=6)


def test_nothing_judged_is_an_empty_plot() -> None:
    """Without verdicts, there are axes and no points."""
    svg = plot_calibration(bins().assign(judged=0), ".svg").decode()
    assert "h0" not in svg
    assert "of 0 synapses" in svg


@pytest.mark.parametrize("suffix", ["", ".jpg", ".csv"])
def test_other_kinds_of_files_are_refused(suffix) -> None:
    """A plot is PNG or SVG."""
    with pytest.raises(UsageError):
        check_plot_suffix(suffix)
