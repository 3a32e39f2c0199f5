"""Plots show each visible synapse once, in its place and colour."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFont

from synglancer.errors import PictureError, ServiceError, SynglancerError
from synglancer.links.opening import OpenedLink
from synglancer.render.picture_options import PreviewOptions
from synglancer.render.plot import choose_bar, explain_unplotted, plot_state
from synglancer.render.screenshots import Painter
from synglancer.states.reader import OWN_POINTS
from synglancer.view.colors import PALETTES, choose_colors
from synglancer.view.type_colors import choose_type_color

if TYPE_CHECKING:
    from collections.abc import Iterator

    Place = tuple[str | int, ...]

REFERENCES = Path(__file__).parents[1] / "data" / "pictures"
SVG = "{http://www.w3.org/2000/svg}"
SPINE, SOMA = "#fb49b0", "#00beff"


def layer(name: str, colour: str, points, **more) -> dict:
    """A layer of synapses at points in nm, with confidences rising from 0 to 1."""
    confidences = np.linspace(0, 1, max(len(points), 1)).tolist()
    return {
        "type": "annotation",
        "name": name,
        "annotationColor": colour,
        "annotationProperties": [{"id": "confidence", "type": "float32"}],
        "source": [
            {
                "url": "local://annotations",
                "transform": {"outputDimensions": {axis: [1e-9, "m"] for axis in "xyz"}},
            }
        ],
        "annotations": [
            {"type": "point", "id": str(i), "point": list(point), "props": [confidences[i]]}
            for i, point in enumerate(points)
        ],
        **more,
    }


def example_state(**more) -> dict:
    """Inputs along one slope, outputs along another, and a soma."""
    slope = [(i * 1000, i * 500, 40 * i) for i in range(100)]
    axon = [(i * 4000, 60_000 - i * 1000, 0) for i in range(20)]
    return {
        "title": "A cell",
        "layers": [
            {"type": "image", "name": "imagery", "source": "precomputed://https://a.org/em"},
            layer("inputs: spine", SPINE, slope),
            layer("outputs: soma", SOMA, axon),
        ],
        "synglancer": {"cell": "1", "soma": [50_000, 30_000, 0]},
        **more,
    }


def read_svg(state: dict, **options) -> ET.Element:
    return ET.fromstring(plot_state(state, suffix=".svg", **options))


def places(root: ET.Element, colour: str) -> np.ndarray:
    """The positions of a colour's circles, without the one in the legend."""
    path = next(path for path in root.iter(f"{SVG}path") if path.get("stroke") == colour)
    return np.array(re.findall(r"M(-?[\d.]+) (-?[\d.]+)", path.get("d") or ""), dtype=float)


@pytest.mark.parametrize("background", ["dark", "white"])
def test_plots_look_like_the_reference(background):
    """The PNG equals the reference picture, apart from fonts and smoothing."""
    content = plot_state(example_state(), size=(640, 400), background=background)
    made = Image.open(io.BytesIO(content)).convert("RGB")
    reference = Image.open(REFERENCES / f"plot-{background}.png").convert("RGB")
    assert made.size == reference.size
    apart = np.asarray(ImageChops.difference(made, reference), dtype=float)
    assert apart.mean() < 0.8, "synglancer's plots changed: look at them, then write them anew"
    plain = Image.new("RGB", made.size, reference.getpixel((0, 0)))
    assert np.asarray(ImageChops.difference(reference, plain), dtype=float).mean() > 1.2


def test_each_synapse_is_drawn_once_where_it_is():
    """There are as many circles as synapses, and one scale leads from nm to pixels."""
    root = read_svg(example_state())
    spots = places(root, SPINE)
    assert len(spots) == 100
    across, down = np.diff(spots, axis=0).T
    assert np.allclose(across, across[0], atol=0.11)
    assert np.allclose(down, across[0] / 2, atol=0.11)
    assert len(places(root, SOMA)) == 20
    assert (spots >= 0).all()
    assert (spots[:, 0] <= 960).all()
    assert (spots[:, 1] <= 640).all()


def test_the_legend_hides_no_synapse():
    """If synapses would lie under the legend, all are drawn to its right."""
    spots = np.vstack([places(read_svg(example_state()), colour) for colour in (SPINE, SOMA)])
    assert spots[:, 0].min() > 24 + 16 + 7 * len("inputs: spine  100")


def test_inputs_are_discs_and_outputs_are_rings():
    """Discs are filled lines of no length with round ends; rings are open circles."""
    by_color = {path.get("stroke"): path for path in read_svg(example_state()).iter(f"{SVG}path")}
    assert by_color[SPINE].get("stroke-linecap") == "round"
    assert "a" in (by_color[SOMA].get("d") or "")
    assert by_color[SOMA].get("stroke-linecap") is None


def test_synapses_between_cells_are_targets():
    """Each target has a disc in the layer's colour with a smaller one inside; each cell's soma has
    a ring."""
    state = example_state()
    state["layers"][2]["name"] = "between: soma"
    state["synglancer"] = {"cell": "1", "somata": {"1": [0, 0, 0], "2": [50_000, 30_000, 0]}}
    root = read_svg(state)
    discs = [path for path in root.iter(f"{SVG}path") if path.get("stroke-linecap") == "round"]
    whole = next(path for path in discs if path.get("stroke") == SOMA)
    middle = next(path for path in discs if path.get("d") == whole.get("d") and path is not whole)
    assert (whole.get("d") or "").count("M") == 20
    assert float(middle.get("stroke-width") or 0) < float(whole.get("stroke-width") or 0) / 2
    assert "somata" in [text.text for text in root.iter(f"{SVG}text")]


def typed(name: str, kinds: list[int], first: int) -> dict:
    """A layer whose synapses have partners of types, by number, along one line."""
    made = layer(name, SPINE, [((first + number) * 1000, 0, 0) for number in range(len(kinds))])
    made["annotationProperties"].append(
        {"id": "partner_type", "type": "uint8", "enum_values": [0, 1, 2, 3],
         "enum_labels": ["unknown", "MC", "BC", "new"]}
    )  # fmt: skip
    for note, kind in zip(made["annotations"], kinds, strict=True):
        note["props"].append(kind)
    return made


def test_a_view_by_type_is_plotted_by_type():
    """Synapses of all tags are put together by their partners' types, unknown ones underneath, in
    the recorded colours; a type without a colour has that of unknown ones."""
    colours = {"MC": "#112233", "BC": "#445566"}
    state = example_state(
        layers=[
            typed("inputs: spine", [2, 1, 0, 2], 0),
            typed("inputs: shaft", [2, 3], 10),
            typed("outputs: spine", [1], 20),
        ],
        synglancer={
            "cell": "1",
            "cell_types": {"view": "types", "column": "cell_type", "colours": colours},
        },
    )
    root = read_svg(state)
    words = [text.text for text in root.iter(f"{SVG}text")]
    start = words.index("inputs: unknown  1")
    assert words[start : start + 5] == [
        "inputs: unknown  1", "inputs: BC  3", "inputs: MC  1", "inputs: new  1", "outputs: MC  1",
    ]  # fmt: skip
    assert len(places(root, "#445566")) == 3
    drawn = [path.get("stroke") for path in root.iter(f"{SVG}path") if path.get("d")]
    unknown = choose_type_color("unknown")
    assert drawn.index(unknown) < drawn.index("#445566") < drawn.index("#112233")
    assert SPINE not in drawn


def test_a_review_is_plotted_by_direction_and_tag():
    """The one layer of a review is divided again, each tag in its own colour."""
    review = layer("review", "#ffffff", [(number * 1000, 0, 0) for number in range(6)])
    review["annotationProperties"] += [
        {"id": "direction", "type": "uint8", "enum_values": [0, 1],
         "enum_labels": ["inputs", "outputs"]},
        {"id": "tag", "type": "uint8", "enum_values": [0, 1], "enum_labels": ["soma", "spine"]},
    ]  # fmt: skip
    kinds = [(0, 0), (0, 1), (0, 1), (1, 1), (1, 1), (1, 1)]
    for note, kind in zip(review["annotations"], kinds, strict=True):
        note["props"] += kind
    root = read_svg(example_state(layers=[review]))
    words = [text.text for text in root.iter(f"{SVG}text")]
    start = words.index("inputs: spine  2")
    assert words[start : start + 3] == ["inputs: spine  2", "inputs: soma  1", "outputs: spine  3"]
    colours = choose_colors(["spine", "soma"], PALETTES["paper"])
    assert len(places(root, colours["soma"])) == 1
    assert {path.get("stroke") for path in root.iter(f"{SVG}path")} >= set(colours.values())


def test_what_the_view_hides_is_not_plotted():
    """Neither a hidden layer nor synapses below the slider's start are plotted."""
    state = example_state()
    state["layers"][1]["shaderControls"] = {"min_confidence": 0.5}
    state["layers"][2]["visible"] = False
    root = read_svg(state)
    assert len(places(root, SPINE)) == 50
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert "inputs: spine  50" in words
    assert not any("outputs" in (word or "") for word in words)


def test_the_scale_bar_is_as_long_as_it_says():
    """The bar's length in pixels, by the scale of the synapses, equals its label in µm."""
    root = read_svg(example_state())
    nm_per_pixel = 99_000 / np.ptp(places(root, SPINE)[:, 0])
    label = next(t.text for t in root.iter(f"{SVG}text") if "µm" in (t.text or ""))
    line = next(p.get("d") for p in root.iter(f"{SVG}path") if "L" in (p.get("d") or ""))
    x1, x2 = (float(x) for x in re.findall(r"[ML]([\d.]+) ", line))
    assert (x2 - x1) * nm_per_pixel / 1000 == pytest.approx(float(label.split()[0]), rel=0.01)


def test_the_plane_is_that_of_the_view():
    """A view turned by 90 degrees about x shows depth downwards."""
    state = example_state(projectionOrientation=[2**0.5 / 2, 0, 0, 2**0.5 / 2])
    state["layers"] = [layer("inputs: spine", SPINE, [(0, 0, 0), (0, 0, 90_000), (9_000, 0, 0)])]
    state["synglancer"] = {}
    spots = places(read_svg(state), SPINE)
    assert abs(spots[1, 1] - spots[0, 1]) > 500
    assert spots[1, 0] == pytest.approx(spots[0, 0], abs=0.2)


@pytest.mark.parametrize("turned", [[0, 0, 0, 0], [1.7e308, 1.7e308, 0, 0], [0, 0, 1], "up"])
def test_an_orientation_that_is_none_is_the_viewers_own(turned):
    """A quaternion without a length, or no quaternion, turns nothing."""
    assert plot_state(example_state(projectionOrientation=turned)) == plot_state(example_state())


def test_the_background_is_the_views_own_unless_asked():
    """The background is white for a white view and dark for a dark one, unless requested
    otherwise."""
    for own, asked, expected in (
        ("#ffffff", None, "#ffffff"),
        ("#000000", None, "#000000"),
        ("#000000", "white", "#ffffff"),
        ("not a colour", None, "#000000"),
    ):
        root = read_svg(example_state(projectionBackgroundColor=own), background=asked)
        rect = root.find(f"{SVG}rect")
        assert rect is not None
        assert rect.get("fill") == expected


@pytest.mark.parametrize("suffix", [".svg", ".png"])
@pytest.mark.parametrize("count", [0, 1])
def test_views_with_next_to_nothing_are_plotted(suffix, count):
    """A view with one synapse or none is plotted, even without other layers; a view without any
    layer of synapses is refused."""
    state = {"layers": [layer("inputs: spine", SPINE, [(5, 5, 5)] * count)]}
    assert plot_state(state, suffix=suffix)
    with pytest.raises(PictureError, match="shows no annotations"):
        plot_state({}, suffix=suffix)


def test_words_stay_words():
    """No name becomes markup, and characters that XML does not allow are removed."""
    nasty = '</text><script>"&\x00\x1b<b> שלום 👩‍🔬'
    state = {"title": nasty, "layers": [layer(f"inputs: {nasty}", '"><script>', [(0, 0, 0)])]}
    root = read_svg(state)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} == {
        "svg", "title", "rect", "path", "text",
    }  # fmt: skip
    assert any("<script>" in (text.text or "") for text in root.iter(f"{SVG}text"))
    assert plot_state(state, suffix=".png")


def test_scale_multiplies_the_pixels():
    """A scale of 2 gives twice the width and height."""
    image = Image.open(io.BytesIO(plot_state(example_state(), size=(300, 200), scale=2)))
    assert image.size == (600, 400)


@pytest.mark.parametrize("nm", np.geomspace(1, 1e9, 40).tolist())
def test_bars_are_round_and_fit(nm):
    """A bar is 1, 2 or 5 times a power of ten, and as long as possible."""
    bar = choose_bar(nm)
    assert f"{bar:.0e}"[0] in "125"
    assert nm / 2.5 < bar <= nm


def unplace(part: dict) -> dict:
    """Give a layer a transform of three lengths that is no length: it cannot be placed."""
    transform = {"outputDimensions": {axis: [1, "s"] for axis in "xyz"}}
    return {**part, "source": [{"url": "local://annotations", "transform": transform}]}


def test_points_that_cannot_be_placed_are_not_plotted_silently():
    """A plot of nothing is refused with the reason; what is left out beside others is listed."""
    lost = unplace(layer("inputs: spine", SPINE, [(1, 2, 3), (4, 5, 6)]))
    with pytest.raises(PictureError, match="nothing to plot: 2 annotations") as caught:
        plot_state({"layers": [lost]})
    assert "browser" in caught.value.hint
    both = example_state()
    both["layers"].append({**lost, "name": "outputs: shaft"})
    assert len(explain_unplotted(both)) == 1
    assert "'outputs: shaft' cannot be placed" in explain_unplotted(both)[0]
    hidden = example_state()
    hidden["layers"].append({**lost, "visible": False})
    assert explain_unplotted(hidden) == []


JUNK = [
    *(None, True, -1, 1.5, float("nan"), 10**400, "", "x", "9" * 30),
    *([], [[1]], ["a"], [{}], {}, {"a": []}),
]


def list_places(
    value: object, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of each value within a state, but of one annotation a layer only."""
    if place:
        yield place
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from list_places(inner, (*place, name))
    if isinstance(value, list):
        for number, inner in enumerate(value[:1] if place[-1] == "annotations" else value):
            yield from list_places(inner, (*place, number))


def build_small_state() -> dict:
    """A state with each kind of layer that a plot reads."""
    points = [(0, 0, 0), (900, 800, 40)]
    slider = {"shaderControls": {"min_confidence": 0.5}}
    own = layer("mine", SOMA, points, shader=OWN_POINTS)
    layers = [layer("● in: spine", SPINE, points, **slider), own]
    camera = {"position": [1, 2, 3], "projectionOrientation": [0, 0, 0, 1], "projectionScale": 5}
    return example_state(**camera, layers=layers, dimensions={axis: [1e-9, "m"] for axis in "xyz"})


@given(st.sampled_from([*list_places(build_small_state())]), st.sampled_from(JUNK))
@example(("projectionOrientation", 0), 10**400)
@example(("layers", 0, "shaderControls"), 5)
@example(("layers", 0, "shaderControls", "min_confidence"), 10**400)
@example(("layers", 1, "annotations"), True)
def test_a_state_with_any_odd_value_is_plotted_or_refused(place, value) -> None:
    """Links of other tools, and states edited by hand, hold values of every kind."""
    state: Any = build_small_state()
    inner = state
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    with suppress(SynglancerError):
        assert plot_state(state, suffix=".svg", size=(200, 150)).startswith(b"<")


def test_a_machine_without_fonts_has_plots(monkeypatch) -> None:
    """Without a font that has the micro sign, the scale bar is labelled with a plain u."""
    drawn = []
    load, draw = ImageFont.truetype, ImageDraw.ImageDraw.text

    def refuse(font: object, *more: object, **options: object) -> object:
        if isinstance(font, str):
            raise OSError("cannot open resource")
        return load(font, *more, **options)  # Pillow's own

    monkeypatch.setattr("PIL.ImageFont.truetype", refuse)
    monkeypatch.setattr(
        ImageDraw.ImageDraw, "text",
        lambda self, place, text, **more: drawn.append(text) or draw(self, place, text, **more),
    )  # fmt: skip
    assert plot_state(example_state(), size=(200, 150)).startswith(b"\x89PNG")
    assert [text for text in drawn if text.endswith(" um")]
    assert not [text for text in drawn if "µ" in text]


def test_synapses_that_cannot_be_read_make_no_picture(tmp_path, monkeypatch) -> None:
    """If the source of a link's synapses cannot be read, no file is written."""

    def refuse(*_: object, **__: object) -> bytes:
        raise ServiceError("The source could not be reached.", "Try again later.")

    monkeypatch.setattr("synglancer.render.plot.plot_state", refuse)
    opened = OpenedLink("https://a.org/#!x", "https://a.org/", example_state())
    with (
        Painter(PreviewOptions(renderer="plot")) as painter,
        pytest.raises(PictureError, match="could not be reached") as refused,
    ):
        painter.paint(opened, tmp_path / "a.png")
    assert refused.value.hint == "Try again later."
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
