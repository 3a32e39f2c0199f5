"""Malformed transforms and dimensions give one sentence, and numbers keep their size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synglancer.states.coordinates import (
    UnplacedError,
    find_placement,
    read_state_resolution,
    stack_points,
)

NM = {axis: [1e-9, "m"] for axis in "xyz"}
HUGE = 10**30
"""An integer that no machine integer can hold."""


def transformed(transform: Any) -> dict[str, Any]:
    """Build a layer of local annotations with a transform."""
    return {"source": {"url": "local://annotations", "transform": transform}}


@pytest.mark.parametrize(
    "matrix",
    [
        5,
        "123",
        {"0": [1, 0, 0, 0]},
        [[1, 0, 0, 0], [0, 1, 0, 0]],
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, "x"]],
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1]],
        [1, 2, 3],
    ],
)
def test_a_matrix_of_another_form_is_refused(matrix) -> None:
    """A point is never placed by a part of a matrix."""
    layer = transformed({"outputDimensions": NM, "matrix": matrix})
    with pytest.raises(UnplacedError, match=r"^its transform has no matrix of 3 by 4 numbers$"):
        find_placement(layer, {})


@pytest.mark.parametrize("given", [{}, "nm", [4, 4, 40], 5])
def test_dimensions_of_another_form_are_missing(given) -> None:
    """Each of the three places that can hold dimensions is named."""
    for layer, state, whose in [
        ({}, {"dimensions": given}, "the state's dimensions"),
        (transformed({"outputDimensions": given}), {}, "its source's output dimensions"),
        (
            transformed({"outputDimensions": NM, "inputDimensions": given}),
            {},
            "its source's input dimensions",
        ),
    ]:
        with pytest.raises(UnplacedError, match=rf"^{whose} are missing$"):
            find_placement(layer, state)


@pytest.mark.parametrize("transform", [5, "x", [1], None])
def test_a_transform_that_is_none_leaves_points_in_the_dimensions_of_the_state(transform) -> None:
    """Viewers ignore it, too."""
    state = {"dimensions": {axis: [4e-9, "m"] for axis in "xyz"}}
    placement = find_placement(transformed(transform), state)
    assert placement.to_nm(np.array([[1, 2, 3]])).tolist() == [[4, 8, 12]]


def test_integers_of_any_size_are_read() -> None:
    """JSON has no limit for them: such a number is as good as one with a decimal point."""
    points = stack_points([[1, 2, HUGE]], 3)
    assert points.tolist() == [[1, 2, 1e30]]
    sized = find_placement({"voxelSize": [4, 4, HUGE]}, {})
    assert sized.to_nm(np.array([[1, 1, 1]])).tolist() == [[4, 4, 1e30]]
    matrix = [[HUGE, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    turned = find_placement(transformed({"outputDimensions": NM, "matrix": matrix}), {})
    assert turned.to_nm(np.array([[1, 2, 3]])).tolist() == [[1e30, 2, 3]]
    assert stack_points([], 4).shape == (0, 4)


def test_dimensions_of_different_number_are_refused() -> None:
    """A transform from two dimensions into three places no point."""
    given = {"x": [1e-9, "m"], "y": [1e-9, "m"]}
    layer = transformed({"outputDimensions": NM, "inputDimensions": given})
    with pytest.raises(UnplacedError, match="different numbers of input and output dimensions"):
        find_placement(layer, {})


SCALE = "the scale of the axis x is not a number above 0"
UNIT = "the unit of the axis x is not a length"


@pytest.mark.parametrize(
    ("pair", "fault"),
    [
        ([0, "m"], SCALE),
        ([-1, "m"], SCALE),
        (["4", "m"], SCALE),
        ([None, "m"], SCALE),
        ([True, "m"], SCALE),
        ([1e-320, "ym"], SCALE),
        ([1e308, "Ym"], SCALE),
        ([4, ""], UNIT),
        ([4, "s"], UNIT),
        ([4, 9], UNIT),
        ([4], "the axis x is not given as a scale and a unit"),
        (4, "the axis x is not given as a scale and a unit"),
    ],
)
def test_the_wrong_part_of_an_axis_is_named(pair, fault) -> None:
    """A wrong scale is not called a wrong unit, and such a state has no voxel size."""
    state = {"dimensions": {**NM, "x": pair}}
    with pytest.raises(UnplacedError, match=rf"^{fault}$"):
        find_placement({}, state)
    assert read_state_resolution(state) is None


def test_a_voxel_beyond_any_number_of_nm_is_none() -> None:
    """A length in metres can be infinite in nm; it is no resolution, without any warning."""
    dimensions = {"x": [1e308, "m"], "y": ["a", "m"], "z": [None, "m"]}
    assert read_state_resolution({"dimensions": dimensions}) is None
    assert read_state_resolution({"dimensions": {**NM, "x": [1e308, "m"]}}) is None
