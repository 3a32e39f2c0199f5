"""Predictions become annotations that no viewer drops, and that read back as the same rows."""

from __future__ import annotations

import re

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from synglancer.errors import BadAnswerError
from synglancer.settings import UNLABELLED
from synglancer.view.annotations import (
    CONFIDENCE,
    SIZE,
    AnnotationGroup,
    _read_integers,
    build_annotations,
)
from synglancer.view.tag_order import sort_tags

untimed = settings(deadline=None, max_examples=60)

UINT64 = st.integers(0, 2**64 - 1)
POSITION = st.integers(-(2**53) + 1, 2**53 - 1)
TAG = st.sampled_from(["spine", "shaft", "soma", UNLABELLED]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
ROW = st.tuples(
    st.sampled_from(["inputs", "outputs"]),
    TAG,
    hnp.from_dtype(np.dtype("float32"), allow_nan=False, allow_infinity=False),
    st.integers(0, 2**32 - 1),
    UINT64,
    UINT64,
    st.tuples(POSITION, POSITION, POSITION),
)


def frame_of(rows: list[tuple], ids: list[int] | None = None) -> pd.DataFrame:
    ids = list(range(len(rows))) if ids is None else ids
    points = [row[6] for row in rows]
    labelled = [row[1] != UNLABELLED for row in rows]
    confidence = [row[2] if known else np.nan for row, known in zip(rows, labelled, strict=True)]
    return pd.DataFrame(
        {
            "id": np.array(ids, "uint64"),
            "direction": pd.Series([row[0] for row in rows], dtype="str"),
            "tag": pd.Series([row[1] for row in rows], dtype="str"),
            "confidence": np.array(confidence, "float32"),
            "size": np.array([row[3] for row in rows], "int64"),
            "pre_pt_root_id": np.array([row[4] for row in rows], "uint64"),
            "post_pt_root_id": np.array([row[5] for row in rows], "uint64"),
            "ctr_pt_position_x": np.array([point[0] for point in points], "int64"),
            "ctr_pt_position_y": np.array([point[1] for point in points], "int64"),
            "ctr_pt_position_z": np.array([point[2] for point in points], "int64"),
        }
    )


FRAMES = st.lists(ROW, max_size=12).flatmap(
    lambda rows: st.lists(UINT64, min_size=len(rows), max_size=len(rows), unique=True).map(
        lambda ids: frame_of(rows, ids)
    )
)
ROWS = [
    ("outputs", "soma", 0.5, 10, 1, 2, (4, 8, 40)),
    ("inputs", "new tag", 0.5, 10, 3, 1, (4, 8, 40)),
    ("inputs", UNLABELLED, 0.0, 10, 3, 1, (4, 8, 40)),
    ("inputs", "a tag", 0.5, 10, 3, 1, (4, 8, 40)),
    ("inputs", "soma", 0.5, 10, 3, 1, (4, 8, 40)),
    ("inputs", "spine", 0.97, 1234, 2**64 - 1, 864691135276234469, (1000, 2000, 40)),
    ("inputs", "shaft", 0.5, 10, 3, 1, (4, 8, 40)),
]


def read(group: AnnotationGroup) -> list[dict]:
    return orjson.loads(group.json)


@untimed
@given(FRAMES)
def test_every_row_is_one_annotation(frame: pd.DataFrame) -> None:
    """The annotations of all groups, read back, are exactly the rows."""
    found = {}
    for group in build_annotations(frame):
        for item in read(group):
            size = item["props"][-1]
            sure = np.float32(item["props"][0]) if len(group.properties) > 1 else None
            (pre,), (post,) = item["segments"]
            found[int(item["id"])] = (
                (group.direction, group.tag, sure, size),
                (int(pre), int(post), tuple(item["point"])),
            )
    expected = {}
    for row in frame.to_dict("records"):
        sure = None if row["tag"] == UNLABELLED else np.float32(row["confidence"])
        point = tuple(row[f"ctr_pt_position_{axis}"] for axis in "xyz")
        expected[row["id"]] = (
            (row["direction"], row["tag"], sure, row["size"]),
            (row["pre_pt_root_id"], row["post_pt_root_id"], point),
        )
    assert found == expected


@untimed
@given(FRAMES)
def test_bytes_are_canonical(frame: pd.DataFrame) -> None:
    """Reading the JSON and writing it again with sorted keys gives the same bytes."""
    for group in build_annotations(frame):
        assert orjson.dumps(read(group), option=orjson.OPT_SORT_KEYS) == group.json


@untimed
@given(FRAMES)
def test_annotations_have_the_form_that_viewers_keep(frame: pd.DataFrame) -> None:
    """IDs are unique strings; props, segments and point have the declared lengths."""
    for group in build_annotations(frame):
        items = read(group)
        assert group.count == len(items) > 0
        assert len({item["id"] for item in items}) == len(items)
        for item in items:
            assert set(item) == {"id", "point", "props", "segments", "type"}
            assert item["type"] == "point"
            assert isinstance(item["id"], str)
            assert len(item["point"]) == 3
            assert all(type(value) is int for value in item["point"])
            assert len(item["props"]) == len(group.properties)
            assert [len(segments) for segments in item["segments"]] == [1, 1]
            assert all(isinstance(ids[0], str) for ids in item["segments"])


@untimed
@given(hnp.arrays("float32", st.integers(1, 50), elements=st.floats(0, 1, width=32)))
def test_confidence_survives_as_the_same_float32(values: np.ndarray) -> None:
    """A confidence read from the JSON as a double equals the table's float32."""
    rows = [("inputs", "spine", value, 1, 1, 2, (0, 0, 0)) for value in values]
    (group,) = build_annotations(frame_of(rows))
    back = np.array([item["props"][0] for item in read(group)], "float32")
    np.testing.assert_array_equal(back, values)


def test_no_rows_no_groups() -> None:
    """An empty table gives no groups, whatever the dtype of its text columns."""
    assert build_annotations(frame_of([])) == []
    assert build_annotations(frame_of([]).astype({"tag": object})) == []


def test_order_of_groups() -> None:
    """Inputs come before outputs; spine, shaft, soma, other tags by name, then unlabelled."""
    groups = build_annotations(frame_of(ROWS))
    assert [(group.direction, group.tag) for group in groups] == [
        ("inputs", "spine"),
        ("inputs", "shaft"),
        ("inputs", "soma"),
        ("inputs", "a tag"),
        ("inputs", "new tag"),
        ("inputs", UNLABELLED),
        ("outputs", "soma"),
    ]
    tags = ["spine", "soma", "vesicle", UNLABELLED]
    assert sort_tags({*tags}) == tags


def test_exact_bytes_of_one_row() -> None:
    """A row is written with sorted keys, no white space, and 64-bit IDs as strings."""
    (group,) = build_annotations(frame_of([ROWS[5]], [334196813]))
    assert group.json == (
        b'[{"id":"334196813","point":[1000,2000,40],"props":[0.97,1234],'
        b'"segments":[["18446744073709551615"],["864691135276234469"]],"type":"point"}]'
    )
    assert group.properties == (CONFIDENCE, SIZE)


def test_unlabelled_synapses_carry_no_confidence() -> None:
    """The only property of a synapse without a prediction is its size."""
    (group,) = build_annotations(frame_of([ROWS[2]]))
    assert group.properties == (SIZE,)
    assert read(group)[0]["props"] == [10]


def test_autapse_is_once_in_each_direction() -> None:
    """The same synapse ID may be among both the inputs and the outputs."""
    autapse = [(way, "spine", 0.5, 1, 7, 7, (0, 0, 0)) for way in ("inputs", "outputs")]
    groups = build_annotations(frame_of(autapse, [5, 5]))
    assert [(group.direction, read(group)[0]["id"]) for group in groups] == [
        ("inputs", "5"),
        ("outputs", "5"),
    ]


def test_rows_across_chunks_keep_their_order() -> None:
    """A group larger than one block is still one array, in the order of the rows."""
    count = 10_000
    (group,) = build_annotations(frame_of([ROWS[5]] * count))
    assert [int(item["id"]) for item in read(group)] == list(range(count))


def test_annotations_are_small() -> None:
    """An annotation with IDs and positions as in minnie65 takes at most 160 bytes."""
    row = ("inputs", "spine", 0.12345679, 97928, 864691135276234469, 864691136041487043)
    (group,) = build_annotations(frame_of([(*row, (1325448, 1398528, 1027160))], [334196813]))
    assert len(group.json) - len("[]") <= 160


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("confidence", np.nan),
        ("confidence", np.inf),
        ("size", -1.0),
        ("size", np.nan),
        ("size", np.inf),
        ("size", 2.0**32),
        ("id", None),
        ("pre_pt_root_id", None),
        ("post_pt_root_id", None),
        ("ctr_pt_position_x", None),
        ("ctr_pt_position_y", 2.5),
        ("ctr_pt_position_z", 2**53),
        ("tag", None),
        ("direction", None),
    ],
)
def test_what_would_empty_a_layer_is_refused(column: str, value: object) -> None:
    """A value that would make viewers drop annotations is an error with a hint, not a state."""
    frame = frame_of(ROWS[5:])
    frame[column] = frame[column].astype(object)
    frame.loc[0, column] = value
    if column in {"confidence", "size"}:
        frame[column] = frame[column].astype("float64")
    with pytest.raises(BadAnswerError) as caught:
        build_annotations(frame)
    assert caught.value.hint


def test_repeated_ids_are_refused() -> None:
    """Two synapses of one layer with the same ID are an error, because viewers would merge them."""
    with pytest.raises(BadAnswerError, match="12 came twice"):
        build_annotations(frame_of([ROWS[5], ROWS[5]], [12, 12]))


@pytest.mark.parametrize("dtype", ["UInt64", "uint64[pyarrow]", "Int64"])
def test_nullable_ids_are_read_exactly(dtype: str) -> None:
    """IDs of pandas' nullable and Arrow dtypes do not pass through floats."""
    given_id = 2**63 - 1
    frame = frame_of([ROWS[6]], [given_id])
    frame["id"] = frame["id"].astype(dtype)
    (group,) = build_annotations(frame)
    assert read(group)[0]["id"] == str(given_id)


@pytest.mark.parametrize("tag", ["\0", "spine\0", "spine\0head"])
def test_a_tag_with_a_nul_is_refused_by_name(tag: str) -> None:
    r"""pandas groups `spine` and `spine\0` together, but neither is shown under the other's
    name."""
    rows = [("inputs", name, 0.5, 10, 1, 2, (4, 8, 40)) for name in ("spine", tag)]
    with pytest.raises(BadAnswerError, match=re.escape(repr(tag))):
        build_annotations(frame_of(rows))


def test_integers_in_several_pieces_are_read_exactly() -> None:
    """A column of Arrow that came in several pieces keeps all digits and their order."""
    pieces = pa.chunked_array([[2**64 - 1, 5], [864691135276234469]], pa.uint64())
    column = pd.Series(pieces, dtype=pd.ArrowDtype(pa.uint64()), name="id")
    assert _read_integers(column, pa.uint64()).tolist() == [2**64 - 1, 5, 864691135276234469]
    gap = pd.Series(pa.chunked_array([[5], [None]], pa.uint64()), dtype=column.dtype, name="id")
    with pytest.raises(BadAnswerError, match="A synapse came without id"):
        _read_integers(gap, pa.uint64())
