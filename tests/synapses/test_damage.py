"""Synapses in our states that cannot be read completely are named."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from synglancer.check.results import find_flaws
from synglancer.states.annotations import explain_unread
from synglancer.states.predictions import parse_predictions
from synglancer.synapses.damage import explain_damage

NM = {axis: [1e-9, "m"] for axis in "xyz"}
STATE: dict[str, Any] = {
    "dimensions": NM,
    "layers": [
        {
            "type": "annotation",
            "name": "● in: spine",
            "source": {"url": "local://annotations", "transform": {"outputDimensions": NM}},
            "annotationProperties": [
                {"id": "confidence", "type": "float32"},
                {"id": "size", "type": "uint32"},
            ],
            "annotationRelationships": ["pre", "post"],
            "annotations": [
                {
                    "id": str(number),
                    "type": "point",
                    "point": [794792, 555732, 843880],
                    "props": [0.9, 12476],
                    "segments": [["864691133262764371"], ["0"]],
                }
                for number in (1, 2)
            ],
        }
    ],
}
FAR = "cannot be placed: its position is beyond any volume."


def damage(**values: Any) -> dict[str, Any]:
    """The state, with other values in its second annotation."""
    state = copy.deepcopy(STATE)
    state["layers"][0]["annotations"][1].update(values)
    return state


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ""),
        ({"props": [1, "12476"]}, ""),
        ({"props": ["1" * 39, f"{12476:030}"]}, ""),
        ({"props": ["9" * 39, 5]}, "does not have a valid number for each property."),
        ({"props": ["9" * 5000, 5]}, "does not have a valid number for each property."),
        ({"point": [1e308, -1e308, 1e-320]}, FAR),
        ({"point": [2**53, 0, 0]}, FAR),
        ({"point": [10**400, 0, 0]}, "cannot be read."),
        ({"id": None}, "does not have an ID that is a whole number."),
        ({"id": "abc"}, "does not have an ID that is a whole number."),
        ({"id": "9" * 30}, "does not have an ID that is a whole number."),
        ({"segments": [["abc"], [1.5]]}, "does not have the root ID of each side."),
        ({"segments": None}, "does not have the root ID of each side."),
        ({"props": [None, {}, "NaN", []]}, "does not have a valid number for each property."),
        ({"props": [0.9]}, "does not have a valid number for each property."),
        ({"props": [0.9, 10**400]}, "does not have a valid number for each property."),
        ({"props": [float("nan"), -1]}, "does not have a valid number for each property."),
        ({"props": None}, "does not have a valid number for each property."),
        ({"props": "0.9"}, "does not have a valid number for each property."),
    ],
)
def test_each_kind_of_damage_is_named(values, expected) -> None:
    """A synapse without a position, an ID, root IDs or numbers is named in its own sentence."""
    state = damage(**values)
    found = explain_damage(state)
    assert len(found) == bool(expected)
    assert all(line.startswith("1 annotation of the layer '● in: spine' ") for line in found)
    assert all(line.endswith(expected) for line in found)
    assert set(found) <= set(find_flaws(state, [], ours=True))
    parse_predictions(state)


@pytest.mark.parametrize(
    ("kind", "lowest", "highest"),
    [
        ("uint8", 0, 255),
        ("int8", -128, 127),
        ("uint32", 0, 2**32 - 1),
        ("int32", -(2**31), 2**31 - 1),
        ("float32", -3.4028235e38, 3.4028235e38),
    ],
)
def test_numbers_that_their_type_cannot_hold_are_named(kind, lowest, highest) -> None:
    """The smallest and the largest number of a type are valid; a number beyond them is not."""
    state = damage()
    layer = state["layers"][0]
    layer["annotationProperties"][1]["type"] = kind
    first, second = layer["annotations"]
    first["props"][1], second["props"][1] = lowest, highest
    assert explain_damage(state) == []
    first["props"][1], second["props"][1] = lowest * 1.1 - 1, highest * 1.1
    assert explain_damage(state) == [
        "2 annotations of the layer '● in: spine' do not have a valid number for each property."
    ]


@pytest.mark.parametrize("kind", ["rgb", "rgba"])
def test_colours_are_not_examined(kind) -> None:
    """Viewers write colours in forms of their own."""
    state = damage(props=[0.9, "#ff0000"])
    state["layers"][0]["annotationProperties"][1]["type"] = kind
    assert explain_damage(state) == []


def test_the_damage_of_every_layer_is_named() -> None:
    """A renamed layer of ours is known by the directions of its annotations."""
    state = damage(id="abc")
    renamed = copy.deepcopy(state["layers"][0])
    renamed["name"] = "my favourites"
    renamed["annotationProperties"].append(
        {"id": "direction", "type": "uint8", "enum_values": [0], "enum_labels": ["inputs"]}
    )
    for annotation in renamed["annotations"]:
        annotation["props"].append(0)
    state["layers"].append(renamed)
    assert explain_damage(state) == [
        f"1 annotation of the layer {name!r} does not have an ID that is a whole number."
        for name in ("● in: spine", "my favourites")
    ]


def test_positions_that_no_volume_has_are_not_returned() -> None:
    """A position that is not a 64-bit number of nm is left out of the table and named."""
    state = damage(point=[1e308, -1e308, 1e-320])
    assert parse_predictions(state)["id"].tolist() == [1]
    assert explain_unread(state) == [f"1 annotation of the layer '● in: spine' {FAR}"]


def test_a_position_that_no_number_holds_is_named() -> None:
    """In voxels, a position may be a number that its nm are not."""
    state = damage(point=[1e308, 0, 0])
    transform = state["layers"][0]["source"]["transform"]
    transform["outputDimensions"] = {axis: [4e-9, "m"] for axis in "xyz"}
    assert explain_damage(state) == [f"1 annotation of the layer '● in: spine' {FAR}"]


def test_a_wrong_id_in_a_state_of_ours_is_named_once() -> None:
    """Of a foreign state, only what cannot be a 64-bit ID is a problem."""
    state = damage(id="9" * 30)
    assert find_flaws(state, [], ours=True) == explain_damage(state)
    assert find_flaws(state, []) == [
        "1 annotation of the layer '● in: spine' has an ID that is not a 64-bit ID."
    ]


def test_only_states_of_ours_must_be_whole() -> None:
    """A foreign state, or a user's layer beside ours, may have annotations of any kind."""
    state = damage(id="abc", props=[], segments=[])
    state["dimensions"] = {"x": 4}
    assert find_flaws(state, []) == []
    state["layers"][0]["name"] = "my notes"
    assert explain_damage(state) == []


def test_dimensions_that_are_no_lengths_are_a_flaw() -> None:
    """A state of ours with invalid dimensions is not good."""
    state = {**damage(), "dimensions": {"x": [None, "m"], "y": "?"}}
    assert find_flaws(state, [], ours=True) == [
        "The state's dimensions are not lengths of x, y and z."
    ]
