"""A scene becomes a canonical state that viewers read without loss."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synglancer.cave.records import Datastack, Materialization
from synglancer.errors import UsageError
from synglancer.states.layer_names import format_layer_name
from synglancer.view.annotations import build_annotations
from synglancer.view.camera import frame_cell
from synglancer.view.colors import PALETTES
from synglancer.view.layer_sources import format_sources
from synglancer.view.scene import Scene, ViewOptions
from synglancer.view.shaders import choose_diameter
from synglancer.view.state import build_state, format_timestamp, make_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

CELL = 864691135276234469
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DATASTACK = Datastack(
    name="minnie65_public",
    server="https://minnie.microns-daf.com",
    image_source="precomputed://https://bossdb-open-data.s3.amazonaws.com/minnie65/em",
    segmentation_source="graphene://https://minnie.microns-daf.com/segmentation/table/m",
    skeleton_source="precomputed://https://minnie.microns-daf.com/skeletoncache/m",
    viewer_resolution=(4.0, 4.0, 40.0),
    viewer_site="https://spelunker.cave-explorer.org",
    synapse_table="synapses_pni_2",
    soma_table="nucleus_detection_v0",
)
VERSION = Materialization(1718, datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc), None)
untimed = settings(deadline=None, max_examples=25)


def predictions(tags: list[str], seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    count = len(tags)
    inputs = np.arange(count) < 2 * count / 3
    partner = rng.integers(2**63, 2**64 - 1, count, dtype="uint64")
    unlabelled = np.array([tag == "unlabelled" for tag in tags], bool)
    return pd.DataFrame(
        {
            "id": np.arange(count, dtype="uint64") + np.uint64(2**63),
            "direction": np.where(inputs, "inputs", "outputs"),
            "tag": pd.Series(tags, dtype="str"),
            "confidence": np.where(unlabelled, np.nan, rng.random(count)).astype("float32"),
            "size": rng.integers(100, 9000, count).astype("float32"),
            "pre_pt_root_id": np.where(inputs, partner, np.uint64(CELL)),
            "post_pt_root_id": np.where(inputs, np.uint64(CELL), partner),
            "ctr_pt_position_x": rng.integers(600_000, 700_000, count),
            "ctr_pt_position_y": rng.integers(300_000, 900_000, count),
            "ctr_pt_position_z": rng.integers(800_000, 900_000, count),
        }
    )


def scene_of(frame: pd.DataFrame, **changes: Any) -> Scene:
    scene = Scene(
        cells=[CELL],
        datastack=DATASTACK,
        materialization=VERSION,
        groups=build_annotations(frame),
        positions=frame[[f"ctr_pt_position_{axis}" for axis in "xyz"]].to_numpy(),
        somata=[(650_000.0, 500_000.0, 850_000.0)],
        record={"cell": str(CELL), "version": 1718},
    )
    return replace(scene, **changes)


TAGS = ["spine", "shaft", "soma", "spine", "shaft", "soma", "spine", "unlabelled", "odd"] * 3
SCENE = scene_of(predictions(TAGS))
EMPTY = scene_of(predictions([]), somata=[])


def layers_of(scene: Scene, options: ViewOptions | None = None) -> dict[str, dict]:
    return {layer["name"]: layer for layer in build_state(scene, options).to_dict()["layers"]}


def integers_in(value: object) -> Iterator[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from integers_in(item)
    elif isinstance(value, int):
        yield value


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
"""Any tag except one with NUL, which is refused."""


@untimed
@given(st.lists(st.sampled_from(["spine", "unlabelled"]) | texts, max_size=9))
def test_state_is_canonical_and_exact(tags: list[str]) -> None:
    """Whatever the tags, orjson reproduces the state exactly, and it holds no unsafe integer."""
    state = build_state(scene_of(predictions(tags)))
    assert orjson.dumps(state.to_dict(), option=orjson.OPT_SORT_KEYS) == state.json
    assert max(integers_in(state.to_dict())) < 2**53


def test_the_same_question_gives_the_same_bytes() -> None:
    """Two states of equal scenes have the same bytes and the same hash."""
    again = scene_of(predictions(TAGS))
    assert build_state(SCENE) == build_state(again)


def test_order_of_layers() -> None:
    """Layers are imagery, segmentation, then the groups in order; only tags with rows have one."""
    assert list(layers_of(SCENE)) == [
        "imagery",
        "segmentation",
        "● in: spine",
        "● in: shaft",
        "● in: soma",
        "● in: odd",
        "● in: unlabelled",
        "○ out: spine",
        "○ out: shaft",
        "○ out: soma",
        "○ out: odd",
        "○ out: unlabelled",
    ]
    assert list(layers_of(EMPTY)) == ["imagery", "segmentation"]


def test_annotations_reach_their_layers_untouched() -> None:
    """Each layer holds exactly the bytes of its group."""
    state = build_state(SCENE)
    layers = {layer["name"]: layer for layer in state.to_dict()["layers"]}
    for group in SCENE.groups:
        assert group.json in state.json
        assert (
            len(layers[format_layer_name(group.direction, group.tag)]["annotations"]) == group.count
        )


def test_annotations_equal_those_of_nglui() -> None:
    """Annotation by annotation, the JSON equals what nglui makes of the same rows."""
    from nglui.statebuilder.ngl_annotations import PointAnnotation

    frame = predictions(["spine"] * 20)
    for group in build_annotations(frame):
        rows = frame[frame.direction == group.direction].to_dict("records")
        ours = orjson.loads(group.json)
        for row, annotation in zip(rows, ours, strict=True):
            theirs = PointAnnotation(
                point=[row[f"ctr_pt_position_{axis}"] for axis in "xyz"],
                id=str(row["id"]),
                segments=[[row["pre_pt_root_id"]], [row["post_pt_root_id"]]],
                props=[row["confidence"], row["size"]],
            )
            expected = theirs.to_neuroglancer().to_json()
            expected["segments"] = [[str(i) for i in ids] for ids in expected["segments"]]
            sure, size = annotation["props"]
            assert {**annotation, "props": [np.float32(sure), size]} == expected


def test_synapse_layers_are_linked_and_described() -> None:
    """A synapse layer declares nm, its relationships and their links, and its properties."""
    layer = layers_of(SCENE)["● in: spine"]
    assert layer["annotationRelationships"] == ["pre", "post"]
    assert layer["linkedSegmentationLayer"] == {"pre": "segmentation", "post": "segmentation"}
    assert [(prop["id"], prop["type"]) for prop in layer["annotationProperties"]] == [
        ("confidence", "float32"),
        ("size", "uint32"),
    ]
    (source,) = layer["source"]
    assert source["url"] == "local://annotations"
    assert source["transform"]["outputDimensions"] == {axis: [1e-9, "m"] for axis in "xyz"}
    assert layer["annotationColor"] == PALETTES["paper"].tags["spine"]


def test_segmentation_shows_the_cell_at_its_version() -> None:
    """The cell is selected as a string, in its own colour, and pinned to the version's
    timestamp."""
    layer = layers_of(SCENE, ViewOptions(partners={2**64 - 1: "#aa8800"}))["segmentation"]
    assert layer["segments"] == [str(CELL), str(2**64 - 1)]
    assert layer["segmentColors"][str(2**64 - 1)] == "#aa8800"
    assert layer["timestamp"] == 1772871001190
    assert [source["url"] for source in layer["source"]] == [
        "graphene://middleauth+https://minnie.microns-daf.com/segmentation/table/m",
        "precomputed://middleauth+https://minnie.microns-daf.com/skeletoncache/m",
    ]


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        ("graphene://https://a.org/t", "graphene://middleauth+https://a.org/t"),
        ("graphene://middleauth+https://a.org/t", "graphene://middleauth+https://a.org/t"),
        ("graphene://http://127.0.0.1:8/t", "graphene://http://127.0.0.1:8/t"),
        ("precomputed://https://cave.org/s", "precomputed://middleauth+https://cave.org/s"),
        ("precomputed://https://bucket.org/s", "precomputed://https://bucket.org/s"),
        ("precomputed://http://cave.org/s", "precomputed://http://cave.org/s"),
        ("precomputed://gs://bucket/s", "precomputed://gs://bucket/s"),
    ],
)
def test_sources_behind_a_login_say_so(given_url: str, expected: str) -> None:
    """Sources that need a login have the prefix for it, and plain http never does."""
    assert format_sources([given_url], "https://cave.org") == [expected]


@given(st.integers(0, 4 * 10**12), st.integers(0, 999))
def test_timestamps_are_exact(milliseconds: int, beyond: int) -> None:
    """A timestamp becomes whole milliseconds, in any time zone."""
    timestamp = EPOCH + timedelta(milliseconds=milliseconds, microseconds=beyond)
    assert format_timestamp(timestamp) == milliseconds
    east = timezone(timedelta(hours=5, minutes=30))
    assert format_timestamp(timestamp.astimezone(east)) == milliseconds


def test_view_looks_at_the_soma() -> None:
    """Sections are at the soma if known, else at the synapse nearest the median."""
    assert build_state(SCENE).to_dict()["position"] == [162500.0, 125000.0, 21250.0]
    without = build_state(replace(SCENE, somata=[])).to_dict()["position"]
    away = np.linalg.norm(SCENE.positions - np.median(SCENE.positions, axis=0), axis=1)
    nearest = SCENE.positions[np.argmin(away)] / DATASTACK.viewer_resolution
    np.testing.assert_allclose(without, nearest, atol=0.01)
    assert "position" not in build_state(EMPTY).to_dict()


@untimed
@given(
    st.lists(st.tuples(*[st.floats(0, 2e6)] * 3), min_size=1, max_size=30),
    st.sampled_from(["xy-3d", "3d"]),
)
@example([(0.0, 41254.0, 41766.0), (0.0, 41248.0, 0.0)], "xy-3d")
def test_whole_cell_is_in_the_projection(points: list[tuple], layout: Any) -> None:
    """Every synapse is visible in the 3D view, by the viewer's own perspective."""
    scene = replace(EMPTY, positions=np.array(points), somata=points[:1])
    state = build_state(scene, ViewOptions(layout=layout)).to_dict()
    x, y, z = (np.array(points) / 4 - np.array(state["position"]) * (1, 1, 10)).T
    height = state["projectionScale"]
    shrink = 1 + z / (height / 2 / np.tan(np.pi / 8))
    assert (shrink > 0).all()
    assert (np.abs(y) / shrink <= height / 2).all()
    assert (np.abs(x) / shrink <= height / 2 * 1.5).all()


def test_figures_are_clean() -> None:
    """A figure is only 3D and white, without axes, panels or a selected layer's panel."""
    state = build_state(SCENE, ViewOptions(figure=True, show_panel=True)).to_dict()
    assert state["layout"] == {"type": "3d", "orthographicProjection": True}
    assert state["projectionBackgroundColor"] == "#ffffff"
    assert state["showAxisLines"] is False
    assert state["selectedLayer"]["visible"] is False


def test_outputs_have_a_ring() -> None:
    """The shaders of inputs and outputs differ, and the ring depends on the background."""
    rings = set()
    for background in ("dark", "white"):
        layers = layers_of(SCENE, ViewOptions(background=background))
        rings.add(layers["○ out: spine"]["shader"])
        rings.add(layers["● in: spine"]["shader"])
    assert len(rings) == 3


def test_synapses_between_cells_are_targets() -> None:
    """Layers between cells follow the outputs; their markers are larger, with a light disc in the
    middle; cells keep their own colours on each background."""
    frame = predictions(TAGS)
    frame.loc[frame["direction"] == "outputs", "direction"] = "between"
    cells = {CELL: "#123456", CELL + 1: "#654321"}
    scene = scene_of(frame, cells=[*cells])
    layers = layers_of(scene, ViewOptions(cells=cells))
    assert list(layers)[-5:] == [
        f"◎ between: {tag}" for tag in ("spine", "shaft", "soma", "odd", "unlabelled")
    ]
    between, inputs = (layers[f"{side}: spine"] for side in ("◎ between", "● in"))
    assert between["annotationColor"] == inputs["annotationColor"]
    assert "PointMarkerColor(vec4(1.000, 1.000, 1.000, opacity))" in between["shader"]
    assert "PointMarkerColor(vec4(color, opacity))" in inputs["shader"]
    start = [
        re.search(r"marker_size slider.*default=([\d.]+)", layer["shader"])
        for layer in (between, inputs)
    ]
    assert float(start[0][1]) >= 1.5 * float(start[1][1])
    white = layers_of(scene, ViewOptions(cells=cells, background="white"))
    for drawn in (layers, white):
        assert drawn["segmentation"]["segmentColors"] == {str(k): v for k, v in cells.items()}


def test_soft_filter_is_the_sliders_start() -> None:
    """A soft filter hides synapses in the shader, and every synapse stays in the state."""
    layers = layers_of(SCENE, ViewOptions(min_confidence=0.8))
    assert layers["● in: spine"]["shaderControls"] == {"min_confidence": 0.8}
    assert "shaderControls" not in layers["● in: unlabelled"]
    counts = [
        len(layers[format_layer_name(group.direction, group.tag)]["annotations"])
        for group in SCENE.groups
    ]
    assert counts == [group.count for group in SCENE.groups]


def test_fewer_synapses_are_drawn_larger() -> None:
    """Markers are smaller if there are more of them, and in a smaller panel."""
    sizes = [choose_diameter(count) for count in (0, 1, 20, 300, 3000, 5000, 50_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert choose_diameter(3000, panel=0.5) < choose_diameter(3000)


def test_options_of_the_layers() -> None:
    """Filtering by selection and colouring by confidence apply to the layers that support it."""
    layers = layers_of(SCENE, ViewOptions(filter_by_selection=True, color_by="confidence"))
    assert layers["● in: spine"]["filterBySegmentation"] == ["pre", "post"]
    assert layers["● in: spine"]["tab"] == "rendering"
    assert layers["● in: spine"]["ignoreNullSegmentFilter"] is False
    assert "confidenceColor" in layers["● in: spine"]["shader"]
    assert "prop_confidence" not in layers["● in: unlabelled"]["shader"]


def test_no_key_fills_the_bar() -> None:
    """No layer binds a key, because viewers list bound keys in their top bar."""
    tags = [f"odd {i}" for i in range(9)]
    for options in (ViewOptions(), ViewOptions(show_panel=True), ViewOptions(figure=True)):
        layers = layers_of(scene_of(predictions(["spine", "unlabelled", *tags])), options)
        assert not [name for name, layer in layers.items() if layer.get("toolBindings")]


def test_stepping_and_the_clock_keep_what_is_selected() -> None:
    """In Spelunker, stepping through synapses keeps the cells selected, in every layer, and a layer
    of synapses, or else the imagery, owns the pin, so that no click on the clock loses it."""
    layers = layers_of(SCENE, ViewOptions(partners={CELL + 1: "#ff8c00"}))
    kept = [layer for layer in layers.values() if layer["type"] != "image"]
    assert len(kept) == len(layers) - 1
    assert all(layer["swapVisbleSegmentsOnMove"] is False for layer in kept)
    (owner,) = layers["segmentation"]["timestampOwner"]
    assert layers[owner]["type"] == "annotation"
    assert layers_of(EMPTY)["segmentation"]["timestampOwner"] == ["imagery"]


def test_one_palette_has_the_sliders_of_all_layers() -> None:
    """Each slider is in the palette once, by layer; it is open with the panel, and never in
    figures."""
    for options, visible in (({}, False), ({"show_panel": True}, True)):
        state = build_state(SCENE, ViewOptions(**options)).to_dict()
        palette = state["toolPalettes"]["Synapses"]
        assert palette["visible"] is visible
        listed = [(tool["layer"], tool["control"]) for tool in palette["tools"]]
        assert listed == [
            (layer["name"], slider)
            for layer in state["layers"]
            for slider in ("min_confidence", "marker_size")
            if f"#uicontrol float {slider} " in layer.get("shader", "")
        ]
    figure = build_state(SCENE, ViewOptions(figure=True, show_panel=True)).to_dict()
    assert figure["toolPalettes"]["Synapses"]["visible"] is False
    assert "toolPalettes" not in build_state(EMPTY).to_dict()


@pytest.mark.parametrize(
    "options",
    [
        {"layout": "zy"},
        {"background": "blue"},
        {"palette": "none"},
        {"color_by": "size"},
        {"min_confidence": 1.5},
        {"min_confidence": float("nan")},
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, Any]) -> None:
    """An unknown choice is a usage error that names the choices."""
    with pytest.raises(UsageError) as caught:
        ViewOptions(**options)
    assert caught.value.hint


def test_record_travels_in_the_state() -> None:
    """The provenance record is in the state unchanged, and unsafe integers in it are refused."""
    assert build_state(SCENE).to_dict()["synglancer"] == SCENE.record
    with pytest.raises(ValueError, match="/synglancer/cell"):
        build_state(replace(SCENE, record={"cell": CELL}))


def test_numpy_scalars_become_plain() -> None:
    """numpy's scalars become Python's, and unsafe ones are refused, too."""
    assert make_plain({"a": [np.float64(0.5), np.int32(3)]}) == {"a": [0.5, 3]}
    with pytest.raises(ValueError, match="2\\^53"):
        make_plain({"a": [np.uint64(2**63)]})


def test_title_says_what_is_shown() -> None:
    """The page's title names the cell, the version and the number of synapses in each direction."""
    title = build_state(SCENE).to_dict()["title"]
    assert title == f"{CELL} · minnie65_public v1718 · 18 inputs, 9 outputs"
    assert build_state(EMPTY).to_dict()["title"].endswith("no synapses")


def test_import_is_cheap() -> None:
    """Importing the module loads none of pandas, nglui, neuroglancer and caveclient."""
    code = "import synglancer.view.state, sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "nglui", "neuroglancer", "caveclient"} & set(run.stdout.split())


def test_strays_do_not_make_the_cell_small() -> None:
    """A few distant points are left out of the frame; an axon with many points is not."""
    rng = np.random.default_rng(3)
    cell = rng.normal(scale=60_000.0, size=(2_000, 3))
    strays = np.vstack([cell, [[2e6, 0.0, 0.0]] * 3])
    axon = np.vstack([cell, [[2e6, 0.0, 0.0]] * 60])

    def scale(points: np.ndarray) -> float:
        return frame_cell(points, [(0.0, 0.0, 0.0)], (4, 4, 40)).projection_scale

    assert scale(strays) == scale(cell)
    assert scale(axon) > 5 * scale(cell)


def test_a_figure_has_the_pure_colours() -> None:
    """In a figure, no marker is paler than its layer's colour, or transparent; elsewhere, unsure
    predictions are pale at first."""
    figure = layers_of(SCENE, ViewOptions(figure=True))
    for name, layer in layers_of(SCENE).items():
        shader = layer.get("shader", "")
        assert ("pale_if_unsure checkbox(default=true)" in shader) == ("prop_confidence" in shader)
        pure = "pale_if_unsure checkbox(default=false)"
        assert (pure in figure[name].get("shader", "")) == ("prop_confidence" in shader)
        assert ("opacity slider(min=0, max=1, step=0.05, default=1)" in shader) == bool(shader)
