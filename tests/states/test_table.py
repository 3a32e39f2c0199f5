"""The table of all annotations in a state."""

from __future__ import annotations

from typing import Any

import pytest

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


@pytest.mark.parametrize("state", [{"layers": []}, {"layers": [layer()]}])
def test_a_state_without_annotations_has_the_columns(state) -> None:
    """Without annotations, the table is empty, and has the columns of every table."""
    frame = build_annotation_table(state)
    assert (list(frame.columns), len(frame)) == (list(FIRST_COLUMNS), 0)
