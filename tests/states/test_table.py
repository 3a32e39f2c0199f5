"""The table of all annotations in a state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from synglancer.states.annotations import explain_unread
from synglancer.states.reader import OWN_POINTS
from synglancer.states.table import FIRST_COLUMNS, build_annotation_table

VOXELS = {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}


def layer(*notes: dict[str, Any], name: str = "notes", **more: Any) -> dict[str, Any]:
    return {"type": "annotation", "name": name, "annotations": [*notes], **more}


def test_everything_that_an_annotation_says() -> None:
    """Layer, ID, position, tag, description, segments and properties have their own columns."""
    state = {
        "dimensions": VOXELS,
        "layers": [
            layer(
                {"type": "point", "id": "291322241", "point": [10, 20, 30], "props": [0.5, 1],
                 "segments": [["864691135276234469"], []], "description": "look"},
                name="inputs: spine",
                annotationRelationships=["pre", "post"],
                annotationProperties=[
                    {"id": "confidence", "type": "float32"},
                    {"id": "tag", "enum_values": [0, 1], "enum_labels": ["a", "b"]},
                ],
            ),
            layer({"type": "line", "id": "abc", "pointA": [0, 0, 0], "pointB": [2, 4, 6]}),
        ],
    }  # fmt: skip
    frame = build_annotation_table(state)
    assert list(frame.columns[: len(FIRST_COLUMNS)]) == list(FIRST_COLUMNS)
    first, second = frame.to_dict("records")
    assert {name: first[name] for name in ("id", "direction", "tag", "property_tag")} == {
        "id": "291322241", "direction": "inputs", "tag": "spine", "property_tag": "b",
    }  # fmt: skip
    assert [first[f"{axis}_nm"] for axis in "xyz"] == [40, 80, 1200]
    assert [first[f"{axis}_voxel"] for axis in "xyz"] == [10, 20, 30]
    assert (first["pre_segment"], first["post_segment"]) == ("864691135276234469", "0")
    assert (first["confidence"], first["description"]) == (0.5, "look")
    assert (second["shape"], second["layer"], second["pre_segment"]) == ("line", "notes", "0")
    assert [second[f"{axis}_nm"] for axis in "xyz"] == [4, 8, 120]


def test_texts_are_texts() -> None:
    """If a description is not text, it stays empty."""
    state = {"dimensions": VOXELS, "layers": [
        layer(*({"type": "point", "id": str(number), "point": [1, 2, 3], "description": given}
                for number, given in enumerate(["look", 5, None, ["look"]])))]}  # fmt: skip
    assert build_annotation_table(state)["description"].tolist() == ["look", "", "", ""]


def test_without_a_voxel_of_the_state_positions_are_in_nm_alone() -> None:
    """Layers may have units of their own where the state has none; voxels are then unknown."""
    own = {"url": "local://annotations", "transform": {"outputDimensions": VOXELS}}
    point = {"type": "point", "id": "1", "point": [10, 20, 30]}
    frame = build_annotation_table({"layers": [layer(point, source=own)]})
    assert frame[["x_nm", "y_nm", "z_nm"]].to_numpy().tolist() == [[40, 80, 1200]]
    assert frame[["x_voxel", "y_voxel", "z_voxel"]].isna().to_numpy().all()


def test_voxels_that_are_too_many_for_a_number_are_infinite() -> None:
    """Where a state's voxels are far too small, positions in nm are still right."""
    own = {"url": "local://annotations", "transform": {"outputDimensions": VOXELS}}
    point = {"type": "point", "id": "1", "point": [10, 20, 30]}
    small = {axis: [1e-317, "m"] for axis in "xyz"}
    state = {"dimensions": small, "layers": [layer(point, source=own)]}
    frame = build_annotation_table(state)
    assert frame[["x_nm", "y_nm", "z_nm"]].to_numpy().tolist() == [[40, 80, 1200]]
    assert np.isinf(frame[["x_voxel", "y_voxel", "z_voxel"]].to_numpy()).all()


def test_tags_of_older_viewers_are_read() -> None:
    """IDs in annotations stand for labels beside the layer; what has no ID or label is no tag."""
    tags = [{"id": 0, "label": "good"}, {"id": "b", "label": 5}, {"id": 2}, {"label": "x"}, "y"]
    notes = [
        {"type": "point", "id": str(row), "point": [1, 2, 3], "tagIds": given}
        for row, given in enumerate([[0], [0, "b"], [2], [7, [], None], "b", None])
    ]
    frame = build_annotation_table(
        {"dimensions": VOXELS, "layers": [layer(*notes, annotationTags=tags)]}
    )
    assert frame["tag"].tolist() == ["good", "good, 5", "", "", "", ""]


def test_segments_of_a_single_relationship_may_be_a_flat_list() -> None:
    """Viewers write both forms; with several relationships, each has a list of its own."""
    notes = [
        {"type": "point", "id": str(row), "point": [1, 2, 3], "segments": given}
        for row, given in enumerate([["864691135276234469"], [["864691135276234469"]], [], None])
    ]
    one = layer(*notes, annotationRelationships=["cell"])
    frame = build_annotation_table({"dimensions": VOXELS, "layers": [one]})
    assert frame["cell_segment"].tolist() == ["864691135276234469"] * 2 + ["0"] * 2


@pytest.mark.parametrize("count", [1, 2])
def test_annotations_that_cannot_be_read_are_told_by_layer(count: int) -> None:
    """One has a shape and a position; two have theirs."""
    odd = [{"type": "star", "id": str(row), "point": [1, 2, 3]} for row in range(count)]
    far = [{"type": "point", "id": str(row), "point": [1e300, 0, 0]} for row in range(count)]
    state = {"dimensions": VOXELS, "layers": [layer(*odd, name="odd"), layer(*far, name="far")]}
    assert build_annotation_table(state).empty
    notes, have = ("1 annotation", "has") if count == 1 else ("2 annotations", "have")
    where = "its position is" if count == 1 else "their positions are"
    shapes = "a shape or a number of coordinates other than 3 and cannot be read."
    assert explain_unread(state) == [
        f"{notes} of the layer 'odd' {have} {shapes}",
        f"{notes} of the layer 'far' cannot be placed: {where} beyond any volume.",
    ]


def test_values_beyond_the_labels_of_an_enum_have_no_label() -> None:
    """A list of labels may be shorter than the list of values; numbers stay numbers."""
    kind = {"id": "kind", "enum_values": [0, 1, 2], "enum_labels": ["a", "b"]}
    notes = [
        {"type": "point", "id": str(row), "point": [1, 2, 3], "props": [row]} for row in (1, 2)
    ]
    frame = build_annotation_table(
        {"dimensions": VOXELS, "layers": [layer(*notes, annotationProperties=[kind])]}
    )
    assert frame["kind"].tolist() == ["b", 2]
    assert frame["tag"].tolist() == ["b", ""]


NO_LAYER_OF_ANNOTATIONS = {**layer({"id": "1", "point": [1, 2, 3]}), "type": "segmentation"}


@pytest.mark.parametrize(
    "state",
    [
        {"layers": []},
        {"layers": [layer()]},
        {"dimensions": VOXELS, "layers": [NO_LAYER_OF_ANNOTATIONS]},
    ],
)
def test_a_state_without_annotations_has_the_columns(state) -> None:
    """Without annotations, the table is empty, and has the columns of every table."""
    frame = build_annotation_table(state)
    assert (list(frame.columns), len(frame)) == (list(FIRST_COLUMNS), 0)
    texts = {"layer", "id", "shape", "direction", "tag", "description"}
    expected = {name: "object" if name in texts else "float64" for name in FIRST_COLUMNS}
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == expected


def test_rows_are_numbered_through() -> None:
    """An annotation without an ID has an empty one; a number as an ID is written as text."""
    notes = [{"type": "point", "point": [1, 2, 3], **one} for one in ({"id": None}, {}, {"id": 7})]
    state = {"dimensions": VOXELS, "layers": [layer(*notes), layer(*notes, name="more")]}
    frame = build_annotation_table(state)
    assert frame.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert frame["id"].tolist() == ["", "", "7"] * 2


def test_several_related_segments_stand_in_one_column() -> None:
    """They are separated by spaces; what is no ID is left out."""
    note = {"type": "point", "id": "1", "point": [1, 2, 3], "segments": [["7", "x", "8"]]}
    state = {"dimensions": VOXELS, "layers": [layer(note, annotationRelationships=["cells"])]}
    assert build_annotation_table(state)["cells_segment"].tolist() == ["7 8"]


def test_segments_of_an_unnamed_relationship_are_read() -> None:
    """A layer that names no relationship has the viewer's own; an unused one has no column."""
    note = {"type": "point", "id": "1", "point": [1, 2, 3]}
    for segments, expected in (([["7", "8"]], "7 8"), (["7", "9" * 30], "7")):
        one = layer({**note, "segments": segments})
        frame = build_annotation_table({"dimensions": VOXELS, "layers": [one]})
        assert frame["segments_segment"].tolist() == [expected]
    frame = build_annotation_table({"dimensions": VOXELS, "layers": [layer(note)]})
    assert list(frame.columns) == list(FIRST_COLUMNS)


@pytest.mark.parametrize(
    ("props", "expected"),
    [
        ([1, 1, 0.5, 3], ("outputs", "spine", 0.5)),
        (["1", "0", 0.5, 3], ("outputs", "shaft", 0.5)),
        ([[1], {}, 0.5, 3], ("", "", 0.5)),
    ],
)
def test_tags_and_directions_of_own_points_stand_in_their_columns_alone(props, expected) -> None:
    """They are not repeated as properties, and the properties behind them follow."""
    note = {"type": "point", "id": "1", "point": [1, 2, 3], "props": props}
    properties = [
        {"id": "direction", "enum_values": [0, 1], "enum_labels": ["inputs", "outputs"]},
        {"id": "tag", "enum_values": [0, 1], "enum_labels": ["shaft", "spine"]},
        {"id": "confidence", "type": "float32"},
        {"type": "uint8"},
    ]
    own = layer(
        note, name="inputs: soma", annotationProperties=properties, shader=OWN_POINTS
    )  # the user's name for it is neither a direction nor a tag
    frame = build_annotation_table({"dimensions": VOXELS, "layers": [own]})
    assert list(frame.columns[len(FIRST_COLUMNS) :]) == ["confidence", ""]
    [row] = frame.to_dict("records")
    assert (row["direction"], row["tag"], row["confidence"]) == expected
