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
        ({"point": [1e308, -1e308, 1e-320]}, FAR),
        ({"point": [2**53, 0, 0]}, FAR),
        ({"point": [10**400, 0, 0]}, "cannot be read."),
        ({"id": None}, "does not have an ID that is a whole number."),
        ({"id": "abc"}, "does not have an ID that is a whole number."),
        ({"segments": [["abc"], [1.5]]}, "does not have the root ID of each side."),
        ({"segments": None}, "does not have the root ID of each side."),
        ({"props": [None, {}, "NaN", []]}, "does not have a valid number for each property."),
        ({"props": [0.9]}, "does not have a valid number for each property."),
        ({"props": [0.9, 10**400]}, "does not have a valid number for each property."),
        ({"props": [float("nan"), -1]}, "does not have a valid number for each property."),
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


def test_positions_that_no_volume_has_are_not_returned() -> None:
    """A position that is not a 64-bit number of nm is left out of the table and named."""
    state = damage(point=[1e308, -1e308, 1e-320])
    assert parse_predictions(state)["id"].tolist() == [1]
    assert explain_unread(state) == [f"1 annotation of the layer '● in: spine' {FAR}"]


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
