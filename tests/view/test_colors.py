"""The colours of tags: those of the paper, and a palette for all kinds of colour vision."""

from __future__ import annotations

import re
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.view.colors import BACKGROUNDS, PALETTES, choose_colors
from synglancer.view.shaders import Marker, build_marker_shader, name_controls
from synglancer.view.type_colors import KNOWN, UNKNOWN_COLOR, choose_type_color

if TYPE_CHECKING:
    from collections.abc import Collection

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "common": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    ratio = XYZ @ np.clip(rgb, 0, 1) / WHITE
    delta = 6 / 29
    f = np.where(ratio > delta**3, np.cbrt(ratio), ratio / (3 * delta**2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(first: np.ndarray, second: np.ndarray) -> float:
    """Distance of two colours in CIELAB (Sharma, Wu and Dalal 2005)."""
    chroma = (np.hypot(*first[1:]) + np.hypot(*second[1:])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(chroma**7 / (chroma**7 + 25**7))
    (l1, l2), (b1, b2) = (first[0], second[0]), (first[2], second[2])
    a1, a2 = stretch * first[1], stretch * second[1]
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    hue = (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    light, c = (l1 + l2) / 2, (c1 + c2) / 2
    waves = [(1, -30, -0.17), (2, 0, 0.24), (3, 6, 0.32), (4, -63, -0.20)]
    t = 1 + sum(size * np.cos(np.radians(n * hue + phase)) for n, phase, size in waves)
    d_light = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    d_chroma = (c2 - c1) / (1 + 0.045 * c)
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * c * t)
    bend = np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2)))
    rotation = -2 * np.sqrt(c**7 / (c**7 + 25**7)) * np.sin(bend)
    return float(np.sqrt(d_light**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue))


def distance(first: str, second: str) -> float:
    """Distance of two colours for the kind of vision that distinguishes them least."""
    return min(
        ciede2000(lab(matrix @ linear(first)), lab(matrix @ linear(second)))
        for matrix in VISION.values()
    )


def worst_pair(colours: Collection[str]) -> float:
    return min(distance(a, b) for a, b in combinations(colours, 2))


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ],
)
def test_distance_is_ciede2000(first: tuple, second: tuple, distance: float) -> None:
    """The distance agrees with the test data of Sharma, Wu and Dalal."""
    assert ciede2000(np.array(first), np.array(second)) == pytest.approx(distance, abs=1e-4)


def test_safe_palette_is_safer() -> None:
    """The two closest tags differ by at least 20 for normal, protan and deutan vision; the paper's
    do not."""
    safe, paper = (PALETTES[name].tags.values() for name in ("safe", "paper"))
    assert worst_pair(safe) > 20 > worst_pair(paper)


def test_known_types_are_told_apart_by_all() -> None:
    """The two closest colours of the known types and the grey of unknown ones differ by at least 13
    for normal, protan and deutan vision, and each has a contrast of at least 3 with black."""
    colours = [*KNOWN.values(), UNKNOWN_COLOR]
    assert worst_pair(colours) > 13
    assert all((XYZ[1] @ linear(colour) + 0.05) / 0.05 > 3 for colour in colours)


@given(st.text())
def test_a_type_has_one_colour_for_ever(name: str) -> None:
    """Any name has a colour #rrggbb that depends only on the name; only unknown types are grey."""
    colour = choose_type_color(name)
    assert colour == choose_type_color(name)
    assert len(colour) == 7
    assert int(colour[1:], 16) >= 0
    assert (colour == UNKNOWN_COLOR) == (name == "unknown")


def test_colours_of_types_are_those_of_links_already_made() -> None:
    """The colours of some types, with and without a chosen colour, stay as released."""
    names = ("23P", "BC", "excitatory", "L2a", "PTC")
    assert [choose_type_color(name) for name in names] == [
        *("#f5cb00", "#00a6f2", "#e27200", "#c56a3c", "#85c0ff"),
    ]


@given(st.lists(st.text(), unique=True, min_size=1, max_size=60))
def test_types_of_any_name_make_a_shader(names: list[str]) -> None:
    """Whatever types are called, their controls have distinct names that GLSL and the viewer
    accept, and only letters, digits and single underscores reach the shader."""
    controls = name_controls(names)
    assert len(set(controls)) == len(names)
    for control in controls:
        assert re.fullmatch("type(_[A-Za-z0-9]+)+", control)
    types = tuple((name, "#102030") for name in names)
    shader = build_marker_shader(Marker(None, labelled=True, typical_size=1.0, types=types))
    assert shader.isascii()
    assert shader.count("if (type == ") == len(names)


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("palette", PALETTES)
def test_tags_stand_out_from_what_is_behind_them(palette: str, background: str) -> None:
    """With normal, protan and deutan vision, all tags differ by 24 from the background and by 18
    from the cell."""
    behind = BACKGROUNDS[background]
    tags = PALETTES[palette].tags.values()
    assert min(distance(tag, behind.projection) for tag in tags) > 24
    assert min(distance(tag, behind.cell) for tag in tags) > 18


def test_colours_of_the_paper() -> None:
    """The default palette is the paper's."""
    assert dict(PALETTES["paper"].tags) == {
        "spine": "#fb49b0",
        "shaft": "#ddb310",
        "soma": "#00beff",
        "multi-input": "#9113cc",
        "unlabelled": "#646464",
    }


@pytest.mark.parametrize("name", PALETTES)
def test_no_colour_is_given_twice(name: str) -> None:
    """Within a palette, all colours differ, including the cycle's, and are #rrggbb."""
    palette = PALETTES[name]
    colours = [*palette.tags.values(), *palette.cycle]
    assert len(set(colours)) == len(colours)
    assert all(len(colour) == 7 and int(colour[1:], 16) >= 0 for colour in colours)


@pytest.mark.parametrize("name", BACKGROUNDS)
def test_rings_and_cells_stand_out(name: str) -> None:
    """The cell and the ring contrast with the background, the ring by at least 7 to 1."""
    background = BACKGROUNDS[name]

    def contrast(colour: str) -> float:
        lights = sorted(XYZ[1] @ linear(each) + 0.05 for each in (colour, background.projection))
        return float(lights[1] / lights[0])

    assert contrast(background.ring) >= 7
    assert contrast(background.cell) >= 3


@given(st.lists(st.text()), st.sampled_from(sorted(PALETTES)))
def test_every_tag_has_a_colour(tags: list[str], name: str) -> None:
    """Any tags have colours, the same in any order."""
    colours = choose_colors(tags, PALETTES[name])
    assert set(colours) == set(tags)
    assert colours == choose_colors(sorted(tags), PALETTES[name])
