"""Positions are read as people type them, and wrong ones are refused for what is wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synglancer.cells.parse import parse_cell
from synglancer.cells.typed_positions import Position, join_position, read_point
from synglancer.errors import UsageError

CELL = 864691135276234469


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("1,2,3", Position((1, 2, 3), "voxel")),
        (" ( 1, 2 ,3 ) ", Position((1, 2, 3), "voxel")),
        ("[186000.5,134000,20900]", Position((186000.5, 134000, 20900), "voxel")),
        ("744000,536000,836000@nm", Position((744000, 536000, 836000), "nm")),
        ("-1,.5,+3 @ nm", Position((-1, 0.5, 3), "nm")),
        ("186000 134000 20900", Position((186000, 134000, 20900), "voxel")),
        ("186000\t134000\t20900", Position((186000, 134000, 20900), "voxel")),
        ("[186000 134000 20900]", Position((186000, 134000, 20900), "voxel")),
        ("(186000, 134000, 20900)", Position((186000, 134000, 20900), "voxel")),
        ("186000; 134000; 20900", Position((186000, 134000, 20900), "voxel")),
        ("744000 536000 836000 nm", Position((744000, 536000, 836000), "nm")),
        ("744000,536000,836000@NM", Position((744000, 536000, 836000), "nm")),
        ("1,234,567", Position((1, 234, 567), "voxel")),
        ("0.00001,1,2", Position((0.00001, 1, 2), "voxel")),
    ],
)
def test_a_position_is_read_with_its_unit(text, position):
    """Positions are read as the viewer copies them, in voxels or nm, and written back the same."""
    assert parse_cell(text) == position
    assert parse_cell(str(position)) == position


@pytest.mark.parametrize(
    "point",
    [
        (186000, 134000, 20900),
        [186000, 134000, 20900.0],
        (186000.0, np.float32(134000), np.int64(20900)),
        np.array([186000, 134000, 20900]),
        np.array([186000, 134000, 20900], dtype="float32"),
    ],
)
def test_three_coordinates_are_a_position(point):
    """Coordinates as Python holds them are one cell, in voxels."""
    assert parse_cell(point) == Position((186000, 134000, 20900), "voxel")


@pytest.mark.parametrize(
    "words", ["186000 134000 20900", "186000, 134000, 20900", "[ 1 2 3 ]", "(1, 2, 3) @nm"]
)
def test_words_that_a_shell_took_apart_are_one_position(words):
    """A position that was pasted without quotes is put together; root IDs are not."""
    assert parse_cell(join_position(words.split())) == parse_cell(words)
    assert not join_position([str(CELL)] * 3)
    assert not join_position([str(CELL), "1", "2"])
    assert not join_position(["1,2,3"])
    assert not join_position(["1,2,3", "4,5,6"])


@pytest.mark.parametrize(
    "cells",
    [
        [CELL, CELL + 1, CELL + 2],
        (CELL, CELL + 1, CELL + 2),
        np.array([CELL] * 3),
        pd.Series([1, 2, 3]),
        (1, 2),
        [1, 2],
        ("1", "2", "3"),
        ["1", "2", "3"],
        (1, 2, float("nan")),
    ],
)
def test_several_root_ids_are_no_position(cells):
    """Three root IDs, texts, and a column of whatever numbers are several cells."""
    assert read_point(cells) is None


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("1,2", "three coordinates", "x,y,z"),
        ("1,2@nm", "three coordinates", "x,y,z"),
        ("1 @ nm", "three coordinates", "x,y,z"),
        ("1,2,3,4", "three coordinates", "x,y,z"),
        ("nan,nan", "three coordinates", "x,y,z"),
        (f"{CELL},1", "three coordinates", "x,y,z"),
        ("186,000, 134,000, 20,900", "three coordinates", "without thousands separators"),
        ("1,,3", "a coordinate is missing", "plain digits"),
        ("1e99,2,3@nm", "'1e99' is not a plain number", "plain digits"),
        ("1e3,2,3", "'1e3' is not a plain number", "plain digits"),
        ("[1.86e+05 1.34e+05 2.09e+04]", "'1.86e+05' is not a plain number", "plain digits"),
        ("nan,nan,nan", "'nan' is not a plain number", "plain digits"),
        ("inf,0,0@vx", "'inf' is not a plain number", "plain digits"),
        ("0,-Infinity,0", "'-Infinity' is not a plain number", "plain digits"),
        ("1,2,x", "'x' is not a plain number", "plain digits"),
        ("1.2.3,4,5", "'1.2.3' is not a plain number", "plain digits"),
        ("1'000,2'000,3'000", "is not a plain number", "plain digits"),
        ("99999999999999,1,2", "too large", "x,y,z"),
        ("99999999999999,1,2@nm", "too large", "x,y,z"),
        ("1,2,3@km", "unknown unit: 'km'", "x,y,z@nm"),
        ("1,2,3 um", "unknown unit: 'um'", "x,y,z@nm"),
        ("1 2 3 voxels", "unknown unit: 'voxels'", "Leave out the unit for voxels"),
        ("1,2,3@@nm", "unknown unit: '@nm'", "x,y,z@nm"),
        ("1,2,3@", "unknown unit.", "x,y,z@nm"),
    ],
)
def test_a_wrong_position_is_refused_as_a_position(text, reason, hint):
    """What was meant as a position is not called a wrong root ID: it is said what is wrong."""
    with pytest.raises(UsageError) as caught:
        parse_cell(text)
    assert "position" in str(caught.value)
    assert reason in str(caught.value)
    assert hint in caught.value.hint
