"""The table of synapses in a state can be read back."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synglancer.columns import DTYPES, POSITION_COLUMNS
from synglancer.settings import UNKNOWN_TYPE
from synglancer.states.predictions import parse_predictions
from synglancer.view.annotations import build_annotations

EXPECTED = {name: "object" if kind == "str" else kind for name, kind in DTYPES.items()}


NM = {"dimensions": {axis: [1e-9, "m"] for axis in "xyz"}}


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(kind) for name, kind in frame.dtypes.items()}


def layer(annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"type": "annotation", "name": "inputs: spine", "annotations": annotations, **more}


def our_layer(group: Any) -> dict[str, Any]:
    """A layer as in our states: points in nm, properties and relationships by name."""
    return layer(
        orjson.loads(group.json),
        name=f"{group.direction}: {group.tag}",
        annotationProperties=[{"id": item.id, "type": item.type} for item in group.properties],
        annotationRelationships=["pre", "post"],
        source={
            "url": "local://annotations",
            "transform": {"outputDimensions": {axis: [1e-9, "m"] for axis in "xyz"}},
        },
    )


ids = st.integers(1, 2**64 - 1)
rows = st.fixed_dictionaries(
    {
        "id": ids,
        "direction": st.sampled_from(["inputs", "outputs"]),
        "tag": st.sampled_from(["spine", "shaft", "an: odd tag", "né", "unlabelled"]),
        "confidence": st.floats(0, 1, width=32),
        "size": st.integers(0, 2**24),
        "pre_pt_root_id": ids,
        "post_pt_root_id": ids,
        **dict.fromkeys(POSITION_COLUMNS, st.integers(-(2**31), 2**31)),
    }
)


@settings(max_examples=50)
@given(st.lists(rows, unique_by=lambda row: row["id"], max_size=15))
def test_our_layers_give_back_every_value(values):
    """64-bit IDs, float32 confidences, sizes and nm come back unchanged."""
    frame = pd.DataFrame(
        {
            name: pd.Series([row[name] for row in values], dtype=kind)
            for name, kind in EXPECTED.items()
        }
    )
    frame.loc[frame["tag"] == "unlabelled", "confidence"] = np.float32("nan")
    layers = [our_layer(group) for group in build_annotations(frame)]
    state = {"dimensions": {axis: [4e-9, "m"] for axis in "xyz"}, "layers": layers}
    back = parse_predictions(state)
    assert kinds(back) == EXPECTED
    pd.testing.assert_frame_equal(
        back.sort_values("id", ignore_index=True), frame.sort_values("id", ignore_index=True)
    )


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"layers": []},
        {"layers": [{"type": "image", "name": "imagery"}]},
        {"layers": [{"type": "annotation", "name": "inputs: spine"}]},
        {"layers": [layer([])]},
    ],
)
def test_a_state_without_synapses_keeps_columns_and_dtypes(state):
    """An empty state gives an empty table of the documented form."""
    back = parse_predictions(state)
    assert len(back) == 0
    assert kinds(back) == EXPECTED


def test_types_of_partners_are_read_where_a_layer_names_them():
    """A number without a name is an unknown type, as are all synapses of a layer without types."""
    points = [{"id": str(row), "point": [1, 2, 3], "props": [row]} for row in range(3)]
    named = {
        "id": "partner_type",
        "type": "uint8",
        "enum_values": [0, 1],
        "enum_labels": ["BC", "MC"],
    }
    state = {
        **NM,
        "layers": [layer(points, annotationProperties=[named]), layer(points, name="inputs: soma")],
    }
    back = parse_predictions(state)
    assert back["partner_type"].tolist() == ["BC", "MC", *([UNKNOWN_TYPE] * 4)]
    assert back["tag"].tolist() == [*(["spine"] * 3), *(["soma"] * 3)]


def test_texts_are_read_to_their_end():
    """Even a character that some arrays drop at the end of a text is part of a tag."""
    point = {"id": "1", "point": [1, 2, 3]}
    back = parse_predictions({**NM, "layers": [layer([point], name="inputs: odd\0")]})
    assert back[["direction", "tag"]].to_numpy().tolist() == [["inputs", "odd\0"]]


def test_points_in_voxels_are_read_in_nm():
    """A foreign layer is in voxels of its own source, or else of the whole state."""
    dimensions = {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}
    points = [{"type": "point", "id": "a", "point": [10.5, 20, 3]}]
    own = {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]}
    state = {
        "dimensions": dimensions,
        "layers": [
            layer(points),
            layer(points, source="local://annotations"),
            layer(points, source=["local://annotations"]),
            layer(points, source={"url": "x", "transform": {"outputDimensions": own}}),
            layer(points, source=[{"url": "x", "transform": {"outputDimensions": own}}]),
        ],
    }
    assert parse_predictions(state)[POSITION_COLUMNS].to_numpy().tolist() == [
        *([[42, 80, 120]] * 3),
        *([[84, 160, 120]] * 2),
    ]


def test_other_shapes_are_not_synapses():
    """Lines, boxes and points with too many coordinates are left out; the type may be missing."""
    state = {
        **NM,
        "layers": [
            layer(
                [
                    {"type": "line", "id": "1", "pointA": [0, 0, 0], "pointB": [1, 1, 1]},
                    {"type": "axis_aligned_bounding_box", "id": "2", "pointA": [0], "pointB": [1]},
                    {"id": "3", "point": [1, 2, 3]},
                    {"type": "point", "id": "4", "point": [1, 2, 3]},
                    {"type": "point", "id": "5", "point": [1, 2, 3, 7.5]},
                ]
            )
        ],
    }
    assert parse_predictions(state)["id"].tolist() == [3, 4]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "abc",
        None,
        "-5",
        "1.5",
        "\u0665",
        "0123456789012345678901234567890123456789",
        str(2**64),
        "9" * 5000,
        ["5"],
    ],
)
def test_what_is_no_id_is_zero(name):
    """IDs made by viewers, such as forty hexadecimal digits, are not root IDs."""
    note = {"type": "point", "id": name, "point": [1, 2, 3], "segments": [[name], name]}
    back = parse_predictions(
        {**NM, "layers": [layer([note], annotationRelationships=["pre", "post"])]}
    )
    row = back.iloc[0]
    assert (row["id"], row["pre_pt_root_id"]) == (0, 0)
    assert kinds(back) == EXPECTED


def test_what_a_state_does_not_say_is_missing():
    """Without properties, relationships or a direction, values are NaN, 0 or empty."""
    note = {"type": "point", "id": "5", "point": [1, 2, 3]}
    more = {"annotationProperties": [{"id": "size"}], "annotationRelationships": ["pre"]}
    state = {
        **NM,
        "layers": [
            layer([note], name="my points"),
            layer([{**note, "props": ["large"], "segments": [[]]}], **more),
            layer([{**note, "props": [None], "segments": []}], **more),
        ],
    }
    back = parse_predictions(state)
    assert back["direction"].tolist() == ["", "inputs", "inputs"]
    assert back["tag"].tolist() == ["my points", "spine", "spine"]
    assert back[["confidence", "size"]].isna().all(axis=None)
    assert back[["pre_pt_root_id", "post_pt_root_id"]].to_numpy().tolist() == [[0, 0]] * 3


def test_properties_and_relations_are_found_by_name():
    """Another order of properties and relationships changes nothing."""
    note = {
        "type": "point",
        "id": "5",
        "point": [1, 2, 3],
        "props": [77, 0.5],
        "segments": [["8"], ["9"]],
    }
    state = {
        **NM,
        "layers": [
            layer(
                [note],
                annotationProperties=[{"id": "size"}, {"id": "confidence"}],
                annotationRelationships=["post", "pre"],
            )
        ],
    }
    row = parse_predictions(state).iloc[0]
    assert (row["size"], row["confidence"]) == (77, 0.5)
    assert (row["pre_pt_root_id"], row["post_pt_root_id"]) == (9, 8)
