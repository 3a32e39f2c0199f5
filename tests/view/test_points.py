"""Layers of a user's own points: colours, names of properties, types of columns."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synglancer.cells.points import PointLayer
from synglancer.view.colors import PALETTES
from synglancer.view.points import COLORS, build_point_layer, name_distinct


def build(**columns: list[str]):
    count = len(next(iter(columns.values())))
    layer = PointLayer(
        "x",
        rows=[*range(count)],
        ids=[str(i + 1) for i in range(count)],
        directions=[""] * count,
        tags=[""] * count,
        descriptions=[""] * count,
        colors=[""] * count,
        positions=[(0.0, 1.5, 2.0)] * count,
        columns=columns,
    )
    return build_point_layer(layer, "x", 0)


def read_rgb(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)]


def test_colors_are_none_of_the_tags():
    """The colours of points differ clearly from those of all tags, and from each other."""
    ours = [*(color for one in PALETTES.values() for color in (*one.tags.values(), *one.cycle))]
    for place, color in enumerate(COLORS):
        for other in (*ours, *COLORS[:place]):
            assert math.dist(read_rgb(color), read_rgb(other)) > 45, (color, other)


@pytest.mark.parametrize(
    ("texts", "kind", "props"),
    [
        (["1", "4294967295"], "uint32", [1, 2**32 - 1]),
        (["3592.0", "+1"], "uint32", [3592, 1]),
        (["-1", "5"], "int32", [-1, 5]),
        (["-1", "4294967295"], "float32", [-1, 2**32 - 1]),
        (["0.5", "1e3"], "float32", [0.5, 1000]),
        (["1", "4294967296"], "uint8", [0, 1]),
        (["864691135276234469", "864691135276234470"], "uint8", [0, 1]),
        (["007", "1"], "uint8", [0, 1]),
        (["b", "a"], "uint8", [1, 0]),
        (["1", "nan"], "uint8", [0, 1]),
        (["1e39", "1"], "uint8", [1, 0]),
        ([f"{i:03}" for i in range(300)], "uint16", [*range(300)]),
    ],
)
def test_columns_are_held_as_what_they_are(texts, kind, props):
    """Numbers that a viewer can hold stay numbers, and everything else becomes labels; nothing is
    rounded."""
    layer, gaps = build(column=texts)
    (spec,) = layer["annotationProperties"]
    assert (spec["type"], gaps) == (kind, [])
    assert [note["props"][0] for note in layer["annotations"]] == props
    if "enum_labels" in spec:
        assert [spec["enum_labels"][value] for value in props] == texts


def test_numbers_with_gaps_are_texts():
    """A column with a missing number becomes text, and a warning says so."""
    layer, gaps = build(score=["0.5", "", "0.25"], empty=["", "", ""])
    (spec,) = layer["annotationProperties"]
    assert gaps == ["score"]
    assert spec["enum_labels"] == ["", "0.25", "0.5"]
    assert [note["props"] for note in layer["annotations"]] == [[2], [0], [1]]


#: The reader of tables has taken out the columns with these two names.
OTHER_COLUMNS = st.text(min_size=1, max_size=12).filter(
    lambda name: name not in {"tag", "direction"}
)


@given(st.lists(OTHER_COLUMNS, min_size=1, max_size=6, unique=True))
@example(["layer", "ctr_pt_position_x", "0"])
def test_properties_have_names_that_shaders_take(columns):
    """Whatever columns are called, properties begin with a lower-case letter and differ."""
    layer, _ = build(**{column: ["1"] for column in columns})
    names = [spec["id"] for spec in layer["annotationProperties"]]
    assert len({*names}) == len(columns)
    for name in names:
        assert name[0].isascii()
        assert name[0].islower()
        assert name.isascii()
        assert all(part.isalnum() for part in name.split("_"))
    assert [spec["description"] for spec in layer["annotationProperties"]] == columns


def test_names_of_layers_are_distinct_however_they_are_spelled():
    """A name that reads like one of ours in words gets a number, too, and numbers continue."""
    assert name_distinct("inputs: spine", ["● in: spine"]) == "inputs: spine (2)"
    assert name_distinct("a", ["a", "a (2)"]) == "a (3)"
    assert name_distinct("b", ["a"]) == "b"
