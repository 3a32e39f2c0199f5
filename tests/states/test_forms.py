"""Hand-written states in all existing forms are read as viewers read them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.columns import POSITION_COLUMNS
from synglancer.errors import BadAnswerError
from synglancer.states.annotations import count_annotations, explain_unread, read_layers
from synglancer.states.coordinates import UnplacedError, find_placement, read_state_resolution
from synglancer.states.fields import read_id
from synglancer.states.predictions import parse_predictions
from synglancer.states.reader import MAX_DEPTH, check_state, list_layers, parse_state
from synglancer.states.selection import read_pin, read_selected_cells

FOLDER = Path(__file__).parents[1] / "data" / "states"
CELL = 864691135276234469

PLACES = {
    "voxel-size-of-old-states": [744_000, 536_000, 836_000],
    "voxel-size-of-a-layer": [1_488_000, 1_072_000, 836_000],
    "transform-of-an-old-layer": [140, 280, 1500],
    "dimensions-in-nm": [40, 80, 1200],
    "dimensions-in-micrometres": [40, 80, 1200],
    "axes-in-another-order": [40, 80, 1200],
    "a-time-axis": [40, 80, 1200],
    "source-in-other-voxels": [80, 160, 1200],
    "source-with-a-matrix": [60, 160, 1160],
    "source-with-swapped-axes": [20, 10, 30],
    "source-with-input-dimensions": [40, 80, 1200],
}
"""The position of each state's only point, in nm."""

UNPLACED = {
    "no-voxel-size": "the state does not say how large a voxel is",
    "no-unit-of-length": "the unit of the axis x is not a length",
    "no-axis-z": "there is no axis z among x, y",
    "malformed-matrix": "its transform has no matrix of 3 by 4 numbers",
}

TAGS = {
    "tag-properties": ["spine", "shaft", "spine, shaft", ""],
    "enum-tags": ["spine", "soma", ""],
    "old-tag-ids": ["shaft", "spine, shaft", ""],
}

CELLS = {
    "segment-zero": (CELL,),
    "hidden-segments": (864691135468905857,),
    "segments-as-numbers": (CELL,),
    "hidden-and-archived-layers": (3,),
    "segmentation-with-graph": (CELL,),
    "outlines-and-nuclei": (CELL,),
    "layers-by-name": (CELL,),
    "equivalences": (71, 72, 73, 80, 15, 31, 90),
    "equivalences-of-a-graph": (CELL,),
}

PINS = {
    "timestamp-in-milliseconds": datetime(2026, 3, 7, 8, 10, 1, 190_000, tzinfo=timezone.utc),
    "timestamp-in-seconds": datetime(2026, 3, 7, 8, 10, 1, tzinfo=timezone.utc),
    "timestamp-as-text": datetime(2026, 3, 7, 8, 10, 1, 190_000, tzinfo=timezone.utc),
    "segment-zero": None,
}


def read(name: str) -> dict[str, Any]:
    return parse_state((FOLDER / f"{name}.json").read_bytes(), name)


def test_every_form_is_tested() -> None:
    """Each file of hand-written states is used below."""
    used = {*PLACES, *UNPLACED, *TAGS, *CELLS, *PINS, "other-shapes"}
    assert used == {path.stem for path in FOLDER.glob("*.json")}


@pytest.mark.parametrize("name", PLACES)
def test_points_are_where_the_viewer_draws_them(name) -> None:
    """Units, order of axes, transforms and the voxel sizes of old states are respected."""
    state = read(name)
    assert parse_predictions(state)[POSITION_COLUMNS].to_numpy().tolist() == [PLACES[name]]
    assert explain_unread(state) == []


@pytest.mark.parametrize("name", UNPLACED)
def test_what_cannot_be_placed_is_said(name) -> None:
    """A point without a known unit is never returned as if it were in nm."""
    state = read(name)
    assert parse_predictions(state).empty
    assert [layer.positions.shape for layer in read_layers(state)] == [(0, 3)]
    assert count_annotations(state) == {"": {"notes": 0}}
    expected = f"1 annotation of the layer 'notes' cannot be placed: {UNPLACED[name]}."
    assert explain_unread(state) == [expected]


@pytest.mark.parametrize("name", TAGS)
def test_tags_of_annotations_become_the_tag(name) -> None:
    """Tag properties, enums and the tag IDs of older viewers give the tag."""
    state = read(name)
    assert parse_predictions(state)["tag"].tolist() == TAGS[name]
    assert sum(count_annotations(state)[""].values()) == len(TAGS[name])


@pytest.mark.parametrize("name", CELLS)
def test_selected_cells(name) -> None:
    """Hidden segments and layers, segment 0 and segments of other segmentations are not cells."""
    assert read_selected_cells(read(name)) == CELLS[name]


def test_cells_of_one_segmentation() -> None:
    """If a segmentation is given, only its cells are read, whatever the scheme of the source."""
    state = read("outlines-and-nuclei")
    source = "graphene://middleauth+https://example.org/segmentation/table/one/"
    assert read_selected_cells(state, source.replace("middleauth+", "")) == (CELL,)
    assert read_selected_cells(state, "graphene://https://example.org/segmentation/table/on") == ()


GRAPH = "graphene://https://example.org/segmentation/table/one"


@pytest.mark.parametrize(
    ("source", "same"),
    [
        (GRAPH, True),
        ({"url": GRAPH, "subsources": {}}, True),
        (["precomputed://https://example.org/meshes", {"url": f"{GRAPH}/"}], True),
        (f"{GRAPH}|neuroglancer-precomputed:", True),
        (f"{GRAPH}X", False),
        (f"{GRAPH}/two", False),
        ({"url": 5}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_source_is_its_address_in_every_form(source, same) -> None:
    """For a source as text, object or list, cells belong to the given segmentation."""
    state = {"layers": [{"type": "segmentation", "source": source, "segments": [str(CELL)]}]}
    assert read_selected_cells(state, GRAPH) == ((CELL,) if same else ())


@pytest.mark.parametrize("side", ["inputDimensions", "outputDimensions"])
def test_points_with_a_length_on_one_side_only_are_not_placed(side) -> None:
    """A transform from or to seconds gives no position in nm, whatever the other side is."""
    lengths = {axis: [4e-9, "m"] for axis in "xyz"}
    both = {"inputDimensions": lengths, "outputDimensions": lengths}
    point = {"type": "point", "id": "1", "point": [1, 2, 3]}

    def build(transform: dict[str, Any]) -> dict[str, Any]:
        source = {"url": "local://annotations", "transform": transform}
        layer = {"type": "annotation", "name": "a", "source": source, "annotations": [point]}
        return {"dimensions": lengths, "layers": [layer]}

    assert explain_unread(build(both)) == []
    (said,) = explain_unread(build({**both, side: {**lengths, "x": [1, "s"]}}))
    assert "the unit of the axis x is not a length" in said


def test_layers_of_old_states_have_names_and_sources() -> None:
    """A layer is an object with a name, stands under its name, or is the address of its source."""
    whole = {"name": "a", "type": "image"}
    layers = {"em": "gs://b/em", "seg": {"type": "segmentation"}, "x": 5}
    assert [*list_layers({"layers": layers})] == [
        {"name": "em", "source": "gs://b/em"},
        {"name": "seg", "type": "segmentation"},
    ]
    assert [*list_layers({"layers": [whole, "gs://b/em", None]})] == [
        whole,
        {"name": "", "source": "gs://b/em"},
    ]
    assert [*list_layers({"layers": 5})] == []


def test_the_pin_is_that_of_the_first_graph_that_has_one() -> None:
    """Layers without a timestamp are ignored, and a chunked graph takes precedence over other
    layers."""
    nuclei = {"type": "segmentation", "source": "precomputed://x", "timestamp": "1700000001000"}
    unpinned = {"type": "segmentation", "source": {"url": GRAPH}}
    old = {"type": "segmentation_with_graph", "source": "x", "timestamp": "1700000002000"}
    expected = datetime(2023, 11, 14, 22, 13, 22, tzinfo=timezone.utc)
    assert read_pin({"layers": [nuclei, unpinned, old]}) == expected
    assert read_pin({"layers": [nuclei, {**unpinned, "timestamp": "1700000002000"}]}) == expected
    assert read_pin({"layers": [unpinned]}) is None
    beyond = {**old, "timestamp": "99999999999999999"}  # in the year 3,170,843
    assert read_pin({"layers": [beyond, old]}) == expected


@pytest.mark.parametrize("name", PINS)
def test_pins(name) -> None:
    """A timestamp is read in milliseconds, as viewers write it, or in seconds if it can only be
    that."""
    assert read_pin(read(name)) == PINS[name]


@pytest.mark.parametrize("layers", [[{}], {"": {}}, ["x"]])
def test_a_layer_without_a_name_has_an_empty_one(layers) -> None:
    """In no form of a state is a name made up."""
    assert [layer["name"] for layer in list_layers({"layers": layers})] == [""]


def test_other_shapes_have_a_place_too() -> None:
    """A line or box is at its middle, an ellipsoid at its centre; other shapes are named."""
    state = read("other-shapes")
    (layer,) = read_layers(state)
    assert layer.shapes == ["point", "line", "axis_aligned_bounding_box", "ellipsoid"]
    assert layer.positions.tolist() == [[1, 2, 3], [5, 10, 15], [2, 2, 2], [5, 6, 7]]
    assert len(parse_predictions(state)) == 1
    unread, others = explain_unread(state)
    assert unread == (
        "1 annotation of the layer 'notes' has a shape or a number of coordinates other than 3 "
        "and cannot be read."
    )
    assert others == "3 annotations are not points and are not read."


def test_own_annotations_are_placed_by_their_own_source() -> None:
    """Beside another source, the transform of the local one counts."""
    local, other = (
        {"url": url, "transform": {"outputDimensions": {axis: [size, "m"] for axis in "xyz"}}}
        for url, size in [("local://annotations", 4e-9), ("precomputed://x", 8e-9)]
    )
    placement = find_placement({"type": "annotation", "source": [other, local]}, {})
    assert placement.to_nm(np.array([[1, 2, 3]])).tolist() == [[4, 8, 12]]


MATRIX = [[2, 0, 0, 5], [0, 3, 0, 6], [0, 0, 4, 7], [0, 0, 0, 1]]


@pytest.mark.parametrize(
    "transform",
    [
        MATRIX,
        [number for row in MATRIX for number in row],
        {"scale": [2, 3, 4], "translation": [5, 6, 7]},
        {"scale": [2, 3, 4], "translation": [5, 6, 7], "rotation": [0, 0, 0, 1]},
    ],
)
def test_transforms_of_old_layers_lead_to_nm(transform) -> None:
    """Rows, 16 numbers, and a scale with a translation, as in old viewers, all mean the same."""
    layer = {"type": "annotation", "transform": transform}
    assert find_placement(layer, {}).to_nm(np.array([[10, 20, 30]])).tolist() == [[25, 66, 127]]
    voxels = find_placement({**layer, "voxelSize": [4, 4, 40]}, {})
    assert voxels.to_nm(np.array([[10, 20, 30]])).tolist() == [[85, 246, 4807]]


@pytest.mark.parametrize(
    ("transform", "expected"),
    [({"scale": [2, 3, 4]}, [20, 60, 120]), ({"translation": [5, 6, 7]}, [15, 26, 37])],
)
def test_an_old_transform_may_be_given_in_part(transform, expected) -> None:
    """Without a scale nothing is stretched, and without a translation nothing is moved."""
    placement = find_placement({"type": "annotation", "transform": transform}, {})
    assert placement.to_nm(np.array([[10, 20, 30]])).tolist() == [expected]


@pytest.mark.parametrize(
    "transform",
    [MATRIX[:3], [*MATRIX, MATRIX[0]], [row[:3] for row in MATRIX], [1] * 12, [1] * 17, "no", {
        "scale": [2, 3]}, {"translation": 5}, *({"rotation": turn} for turn in (
            [1, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 2], [0, 0, 0], 1))],
)  # fmt: skip
def test_an_old_transform_of_another_form_is_refused(transform) -> None:
    """A rotation or an invalid matrix is never taken for no transform."""
    with pytest.raises(UnplacedError, match="its transform has an unknown form"):
        find_placement({"type": "annotation", "transform": transform}, {})


@pytest.mark.parametrize("size", [[4, 4], [4, 4, 0], [4, 4, "40"], 4, [4, 4, 40, 1]])
def test_a_voxel_size_that_is_none_is_refused(size) -> None:
    """A layer's voxel size must be three lengths in nm, or its points have no position."""
    with pytest.raises(UnplacedError, match=r"^its voxel size is not three lengths in nm$"):
        find_placement({"type": "annotation", "voxelSize": size}, {})


scales = st.lists(st.floats(1e-9, 1e-6), min_size=3, max_size=3)
shifts = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3)


@given(scales, shifts, shifts, st.permutations("xyz"))
def test_a_transform_places_points_by_physical_length(sizes, shift, point, order) -> None:
    """A matrix acts on lengths, its last column on output voxels, in any order of axes."""
    output = {axis: [size, "m"] for axis, size in zip(order, sizes, strict=True)}
    matrix = [[float(i == j) for j in range(3)] + [shift[i]] for i in range(3)]
    layer = {"source": {"url": "local://annotations", "transform": {
        "outputDimensions": output, "matrix": matrix}}}  # fmt: skip
    placed = find_placement(layer, {}).to_nm(np.array([point]))[0]
    expected = {axis: (point[i] + shift[i]) * sizes[i] * 1e9 for i, axis in enumerate(order)}
    assert placed == pytest.approx([expected[axis] for axis in "xyz"], rel=1e-9, abs=0.01)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"5", b"null", b'{"layers": 5}', b'{"layers": [5]}', b'{"layers": [[]]}', b"{}",
     b'{"layers": [', b"\xff", b'{"layers": null}'],
)  # fmt: skip
def test_what_is_no_state_is_refused(content) -> None:
    """JSON without a list of layers is not a state, wherever it comes from."""
    with pytest.raises(BadAnswerError, match=r"notes\.json holds no Neuroglancer state"):
        parse_state(content, "notes.json")


def nest(depth: int) -> bytes:
    """A state whose lists and objects are this deep."""
    return b'{"layers": [], "a": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 100_000])
def test_a_state_that_is_nested_too_deep_is_refused(depth) -> None:
    """Deep nesting gives one sentence, not a crash."""
    assert parse_state(nest(MAX_DEPTH), "The link")
    with pytest.raises(BadAnswerError, match=r"^The link "):
        parse_state(nest(depth), "The link")


def test_a_state_that_viewers_write_is_not_too_deep() -> None:
    """A layout of many panels is read."""
    layout: Any = "3d"
    for _ in range(40):
        layout = {"type": "row", "children": [layout, "xy"]}
    assert check_state({"layers": [], "layout": layout}, "x")["layout"] == layout


@given(st.integers(1, 2**64 - 1))
def test_ids_are_read_whole(number) -> None:
    """A 64-bit ID comes back from text and from a number; anything else is 0."""
    assert read_id(str(number)) == read_id(number) == number


@pytest.mark.parametrize(
    "given", [True, 1.5, None, "-5", "+5", "\u0665", "1e5", "9" * 21, 2**64, [], "!5"]
)
def test_what_is_no_id(given) -> None:
    """Text in another form is not an ID."""
    assert read_id(given) == 0


def test_resolution_of_a_state() -> None:
    """A state's voxel size is in nm; it is None if the state does not say."""
    assert read_state_resolution(read("axes-in-another-order")) == (4, 4, 40)
    assert read_state_resolution(read("voxel-size-of-old-states")) == (4, 4, 40)
    assert read_state_resolution(read("no-unit-of-length")) is None


def test_a_long_chain_of_equivalences_is_read() -> None:
    """100,000 equivalent pairs that form one set are read quickly, and the whole set is selected
    once."""
    pairs = [[str(number), str(number + 1)] for number in range(1, 100_001)]
    layer = {"type": "segmentation", "source": "x", "segments": ["7", "100001"]}
    state = {"layers": [{**layer, "equivalences": pairs}]}
    assert read_selected_cells(state) == tuple(range(1, 100_002))


@pytest.mark.parametrize(
    "broken", [None, "12", {"1": "2"}, [None, 5, "1", ["x", None, {}], []], [["7"]]]
)
def test_equivalences_that_are_none_change_nothing(broken) -> None:
    """Whatever replaces the equivalences, the segments themselves are read."""
    layer = {"type": "segmentation", "source": "x", "segments": ["7"], "equivalences": broken}
    assert read_selected_cells({"layers": [layer]}) == (7,)
