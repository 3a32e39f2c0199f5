"""Annotations are read from their layers, and those that cannot be read are named."""

from __future__ import annotations

from typing import Any

import pytest

from synglancer.states.annotations import (
    LayerAnnotations,
    count_annotations,
    explain_unread,
    explain_unread_layers,
    read_layers,
)
from synglancer.states.fields import MAX_EXACT

NM = {axis: [1e-9, "m"] for axis in "xyz"}
SIDES = {
    "id": "direction",
    "type": "uint8",
    "enum_values": [0, 1],
    "enum_labels": ["inputs", "outputs"],
}
TAGS = {"id": "kind", "type": "uint8", "enum_values": [1, 2], "enum_labels": ["spine", "soma"]}


def note(*point: float, **more: Any) -> dict[str, Any]:
    """Build a point."""
    return {"type": "point", "id": "1", "point": [*point] or [1, 2, 3], **more}


def build(*notes: Any, dimensions: Any = NM, **more: Any) -> dict[str, Any]:
    """Build a state with one layer of annotations."""
    layer = {"type": "annotation", "name": "notes", "annotations": [*notes], **more}
    return {"dimensions": dimensions, "layers": [layer]}


def read(*notes: Any, **more: Any) -> LayerAnnotations:
    """Read the one layer of a state."""
    (layer,) = read_layers(build(*notes, **more))
    return layer


def test_the_direction_in_a_name_counts_more_than_a_property() -> None:
    """A layer of ours says the direction once, for all its synapses."""
    notes = [note(props=[number, 0]) for number in (0, 1)]
    properties = [SIDES]
    own = read(*notes, name="● in: spine", annotationProperties=properties)
    assert (own.read_directions(), own.read_tags()) == (["inputs"] * 2, ["spine"] * 2)
    review = read(*notes, annotationProperties=properties)
    assert review.read_directions() == ["inputs", "outputs"]


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        (1, "spine"),
        ("2", "soma"),
        ("0" * 19 + "2", "soma"),
        ("0" * 20 + "2", ""),
        (3, ""),
        ("x", ""),
        (None, ""),
    ],
)
def test_a_number_without_a_label_is_no_tag(value, tag) -> None:
    """Viewers may write numbers as texts; a longer text is not cut to a number with a label."""
    layer = read(note(props=[value]), annotationProperties=[TAGS])
    assert layer.read_tags() == [tag]


def test_a_layer_that_cannot_be_placed_keeps_its_properties() -> None:
    """They describe the layer, whether or not its points are readable."""
    layer = read(note(props=[1]), dimensions=None, annotationProperties=[TAGS, 5])
    assert (layer.notes, layer.positions.shape, layer.properties) == ((), (0, 3), (TAGS,))


@pytest.mark.parametrize(
    ("place", "held"), [(MAX_EXACT, True), (-MAX_EXACT, True), (MAX_EXACT + 1, False)]
)
def test_positions_are_read_as_far_as_they_are_exact(place, held) -> None:
    """A whole number of nm beyond 2^53 - 1 would be another one in the viewer."""
    layer = read(note(1, place, 3))
    assert layer.positions.tolist() == ([[1, place, 3]] if held else [])
    where = "1 annotation of the layer 'notes' cannot be placed: its position is beyond any volume."
    assert layer.problems == (() if held else (where,))


@pytest.mark.parametrize("first", [[10, 10, 0, 0], [1e308, 0, 0, 0], [10, 0, 0, -1e308]])
@pytest.mark.parametrize("size", [1e-9, 1, 1e200])
def test_positions_that_are_no_numbers_are_beyond_any_volume(first, size) -> None:
    """A matrix can lead to infinite lengths, and to products and differences of such, without any
    warning of a library."""
    transform = {
        "outputDimensions": {axis: [size, "m"] for axis in "xyz"},
        "matrix": [first, [0, 1, 0, 0], [0, 0, 1, 0]],
    }
    source = {"url": "local://annotations", "transform": transform}
    layer = read(note(1.7e308, -1.7e308, 0), note(0, 1.7e308, 1), source=source)
    assert layer.notes == []
    [told] = layer.problems
    assert told == (
        "2 annotations of the layer 'notes' cannot be placed: their positions are beyond any "
        "volume."
    )


@pytest.mark.parametrize("shape", [5, None, ["point"], "polygon"])
def test_an_unknown_shape_is_named_and_a_missing_one_is_a_point(shape) -> None:
    """Early states leave out the type of a point."""
    plain = note()
    del plain["type"]
    layer = read(plain, note(type="POINT"), note(type=shape))
    assert layer.shapes == ["point", "point"]
    [told] = layer.problems
    assert told == (
        "1 annotation of the layer 'notes' has a shape or a number of coordinates other than 3 "
        "and cannot be read."
    )


@pytest.mark.parametrize("wrong", [True, None, "4", [4], float("nan")])
def test_a_coordinate_that_is_no_number_is_named_as_such(wrong) -> None:
    """A point with three coordinates is not said to have another number of them."""
    layer = read(note(), note(1, 2, wrong), note(1, 2), note(1, 2, 3, 4))
    notes, one = "2 annotations of the layer 'notes'", "1 annotation of the layer 'notes'"
    assert layer.problems == (
        f"{notes} have a shape or a number of coordinates other than 3 and cannot be read.",
        f"{one} has a coordinate that is not a number and cannot be read.",
    )


FAR = [f"precomputed://gs://bucket/{number}" for number in range(4)]
LONG = "gs://" + "b" * 300
THREE = "The layer 'a b' shows annotations from '{}', '{}', '{}', which are not read."
ONLY_NAMED = (
    f"The layer 'a b' only names its source, '{FAR[0]}'; if there are annotations at that address, "
    "they are not read."
)


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        ({"type": "annotation", "annotations": [note()]}, ""),
        ({"type": "annotation", "annotations": []}, ""),
        ({"type": "annotation", "source": "local://annotations"}, ""),
        ({"type": "image", "source": FAR[0]}, ""),
        ({"type": "segmentation", "source": FAR[0], "annotations": []}, ""),
        ({}, ""),
        (
            {"type": "annotation", "annotations": {}},
            "The annotations of the layer 'a b' are not a list and are not read.",
        ),
        (
            {"type": "annotation", "source": FAR[0], "annotations": 0},
            "The annotations of the layer 'a b' are not a list and are not read.",
        ),
        (
            {"type": "image", "source": FAR[0], "annotations": [note(), note()]},
            "The layer 'a b' is of the type 'image', so its 2 annotations cannot be read.",
        ),
        (
            {"annotations": [note()]},
            "The layer 'a b' is without a type, so its 1 annotation cannot be read.",
        ),
        (
            {"type": "annotation", "source": ["local://annotations", FAR[0]]},
            f"The layer 'a b' shows annotations from '{FAR[0]}', which are not read.",
        ),
        (
            {
                "type": "annotation",
                "source": [{"url": one} for one in FAR],
                "annotations": [note()],
            },
            THREE.format(*FAR),
        ),
        *(
            ({**kind, "source": FAR[0]}, ONLY_NAMED)
            for kind in ({}, {"type": "auto"}, {"type": "new"})
        ),
        (
            {"type": "annotation", "source": LONG},
            f"The layer 'a b' shows annotations from '{LONG[:199]}…', which are not read.",
        ),
    ],
)
def test_layers_whose_annotations_are_elsewhere_are_named(layer, told) -> None:
    """The layer, the reason and the first three sources are named; other layers are not."""
    state = {"layers": [{**layer, "name": "a b"}]}
    assert explain_unread_layers(state) == ([told] if told else [])


def test_points_are_counted_by_direction_and_tag() -> None:
    """Other shapes are not synapses, and a layer without any still has its name."""
    line = {"type": "line", "id": "2", "pointA": [0, 0, 0], "pointB": [1, 1, 1]}
    layers = [
        build(note(), line, note(), name="● in: spine"),
        build(line, name="○ out: soma"),
        build(note(), name="mine"),
        build(note(props=[1]), note(props=[0]), name="review", annotationProperties=[SIDES]),
    ]
    state = {"dimensions": NM, "layers": [one["layers"][0] for one in layers]}
    assert count_annotations(state) == {
        "inputs": {"spine": 2, "review": 1},
        "outputs": {"review": 1},
        "": {"mine": 1},
    }
    assert explain_unread(state) == ["2 annotations are not points and are not read."]


BEYOND = 10**30 - 1
ID = "annotation{} of the layer 'notes' {} an ID that is not a 64-bit ID."
SEGMENT = "related segment{} of the layer 'notes' {} an ID that is not a 64-bit ID and {} not read."


@pytest.mark.parametrize(
    ("notes", "said"),
    [
        ([note(id=BEYOND), note(id=1e29)], ["2 " + ID.format("s", "have")]),
        ([note(id=str(BEYOND))], ["1 " + ID.format("", "has")]),
        ([note(id=2**64)], ["1 " + ID.format("", "has")]),
        ([note(id=2**64 - 1), note(id="f" * 40), note(id=0), note(id=None)], []),
        ([note(segments=[[BEYOND, "7"], []])], ["1 " + SEGMENT.format("", "has", "is")]),
        (
            [note(segments=[["x"], [str(BEYOND)]]), note(segments=[[], [1e29]])],
            ["3 " + SEGMENT.format("s", "have", "are")],
        ),
        ([note(segments=[["0", 0], [str(2**64 - 1)]])], []),
    ],
)
def test_what_is_no_64_bit_id_is_said(notes: list[Any], said: list[str]) -> None:
    """A number that is no ID is never left out silently; points with other names are fine."""
    more = {"annotationRelationships": ["pre", "post"]}
    assert list(read(*notes, **more).wrong_ids) == said
    assert explain_unread(build(*notes, **more)) == said
