"""Malformed transforms and dimensions give one sentence, and numbers keep their size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synglancer.states.coordinates import UnplacedError, find_placement, stack_points

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
