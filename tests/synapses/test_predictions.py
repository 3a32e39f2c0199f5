"""A raw answer is converted to one form, and rows that are left out are reported."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synglancer.columns import DTYPES, POSITION_COLUMNS
from synglancer.errors import BadAnswerError
from synglancer.settings import MULTI_INPUT
from synglancer.synapses.predictions import (
    OWN_TAGS,
    UNLABELLED,
    UNTAGGED,
    build_predictions,
    build_unlabelled,
    count_autapses,
    count_predictions,
    explain_left_out,
    filter_predictions,
    find_cells,
    find_ends,
    gather_between,
    join_predictions,
    join_raw,
    name_directions,
    name_tag,
)
from synglancer.synapses.shared_spines import divide_tags
from synglancer.view.annotations import build_annotations

CELL = 864691135276234469
PARTNER = 864691135988251651  # a double rounds it
EXPECTED = {name: "object" if kind == "str" else kind for name, kind in DTYPES.items()}


def raw_answer(count: int = 3, **columns: Any) -> pd.DataFrame:
    """Rows as caveclient returns them: nullable integers and floats, text as object."""
    frame = pd.DataFrame(
        {
            "id": pd.array(range(1, count + 1), dtype="Int64"),
            "size": pd.array([100.0 + row for row in range(count)], dtype="Float32"),
            "pre_pt_root_id": pd.array([PARTNER] * count, dtype="Int64"),
            "post_pt_root_id": pd.array([CELL] * count, dtype="Int64"),
            "ctr_pt_position_x": pd.array([4 * row for row in range(count)], dtype="Int32"),
            "ctr_pt_position_y": pd.array([8] * count, dtype="Int32"),
            "ctr_pt_position_z": pd.array([40] * count, dtype="Int32"),
            "tag": pd.array(["spine"] * count, dtype=object),
            "value": pd.array([0.75] * count, dtype="Float32"),
        }
    )
    return frame.assign(**columns)


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    return {str(name): str(kind) for name, kind in frame.dtypes.items()}


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_answer_has_the_same_columns_and_dtypes(count, labelled):
    """Empty, one row or many, predicted or not: the result has the documented form."""
    raw = raw_answer(count)
    raw = raw if labelled else raw.drop(columns=["tag", "value"])
    checked = build_predictions(raw, [CELL], "inputs")
    assert kinds(checked.frame) == EXPECTED
    assert len(checked.frame) == count
    assert explain_left_out([checked], [CELL]) == []
    assert kinds(filter_predictions(checked.frame, tags=["soma"], min_size=1)) == EXPECTED
    assert kinds(join_predictions([checked.frame, checked.frame[:0]])) == EXPECTED


def test_rows_are_numbered_from_zero():
    """Whatever was sorted, left out, filtered or joined, a row's number is its place."""
    orders = {"id": [9, 4, 7]}, {"id": [4, 4, 7]}, {"id": [4, 7, 9], "value": [0.5, 2.0, 0.75]}
    frames = [build_predictions(raw_answer(3, **one), [CELL], "inputs").frame for one in orders]
    assert [len(frame) for frame in frames] == [3, 2, 2]
    frames += [join_predictions(frames), filter_predictions(frames[2], min_confidence=0.6)]
    for frame in frames:
        assert frame.index.equals(pd.RangeIndex(len(frame)))
    assert join_predictions(frames[:2])["id"].tolist() == [4, 7, 9, 4, 7]


def test_no_tables_at_all_have_the_documented_form():
    """Joining nothing, or only empty tables, keeps columns and dtypes."""
    empty = build_predictions(raw_answer(0), [CELL], "outputs").frame
    for parts in ([], [empty], [empty, empty]):
        assert kinds(join_predictions(parts)) == EXPECTED


def test_plain_pandas_dtypes_are_taken_too():
    """Plain int64, uint64, float64 and text of any dtype give the same table."""
    raw = raw_answer()
    plain = raw.astype(
        {
            "id": "int64",
            "size": "float64",
            "pre_pt_root_id": "uint64",
            "post_pt_root_id": "int64",
            **dict.fromkeys(POSITION_COLUMNS, "float64"),
            "tag": "string",
            "value": "float64",
        }
    )
    pd.testing.assert_frame_equal(
        build_predictions(plain, [CELL], "inputs").frame,
        build_predictions(raw, [CELL], "inputs").frame,
    )


@settings(max_examples=50)
@given(st.lists(st.integers(1, 2**64 - 1), unique=True, max_size=20), st.integers(1, 2**64 - 1))
def test_ids_of_64_bits_arrive_digit_by_digit(ids, cell):
    """No ID passes through a float, and rows are sorted by ID."""
    raw = pd.DataFrame(
        {
            "id": np.array(ids, dtype="uint64"),
            "pre_pt_root_id": np.full(len(ids), cell, dtype="uint64"),
            "post_pt_root_id": np.array(ids, dtype="uint64"),
            "size": 1.0,
            "value": 0.5,
            "tag": "spine",
            **dict.fromkeys(POSITION_COLUMNS, 1),
        }
    )
    frame = build_predictions(raw, [cell], "outputs").frame
    assert frame["id"].tolist() == sorted(ids)
    assert frame["post_pt_root_id"].tolist() == sorted(ids)
    assert set(frame["pre_pt_root_id"].tolist()) <= {cell}


@settings(max_examples=25)
@given(st.permutations(list(raw_answer().columns)))
def test_order_of_columns_and_further_columns_do_not_matter(order):
    """Columns are found by name; others are ignored."""
    raw = raw_answer()[list(order)].assign(created="x", id_ref=7, ctr_pt_position=[[1, 2, 3]] * 3)
    pd.testing.assert_frame_equal(
        build_predictions(raw, [CELL], "inputs").frame,
        build_predictions(raw_answer(), [CELL], "inputs").frame,
    )


@pytest.mark.parametrize("name", list(raw_answer().columns))
def test_a_missing_or_doubled_column_is_named(name):
    """An answer that lacks a column, or has it twice, is refused by its name."""
    for raw in (
        raw_answer().drop(columns=name),
        pd.concat([raw_answer(), raw_answer()[[name]]], axis=1),
    ):
        with pytest.raises(BadAnswerError, match=repr(name)):
            build_predictions(raw, [CELL], "inputs")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id", [1.0, 2.0, 3.0]),
        ("id", ["1", "2", "3"]),
        ("id", pd.array([1, None, 3], dtype="Int64")),
        ("id", [1, -2, 3]),
        ("post_pt_root_id", [float(CELL)] * 3),
        ("pre_pt_root_id", [float(PARTNER)] * 3),
        ("pre_pt_root_id", pd.array([PARTNER, None, PARTNER], dtype="Int64")),
        ("size", ["big", "small", "tiny"]),
        ("value", ["sure", "sure", "sure"]),
        ("ctr_pt_position_x", ["a", "b", "c"]),
        ("tag", [1, 2, 3]),
        ("tag", [["spine"], ["spine"], ["spine"]]),
    ],
)
def test_columns_of_the_wrong_kind_are_refused(name, values):
    """IDs as floats have lost digits and are refused, as is any other wrong type."""
    with pytest.raises(BadAnswerError, match=repr(name)) as caught:
        build_predictions(raw_answer(**{name: values}), [CELL], "inputs")
    assert "--table" in caught.value.hint


@pytest.mark.parametrize("direction", ["inputs", "outputs"])
def test_rows_of_another_cell_are_refused(direction):
    """One row of another cell makes the whole answer invalid, in either direction."""
    column = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}[direction]
    for cells in ([CELL, CELL, CELL + 1], [CELL + 1] * 3):
        with pytest.raises(BadAnswerError, match=f"cells other than {CELL}, {CELL - 2}[.]"):
            build_predictions(raw_answer(**{column: cells}), [CELL, CELL - 2], direction)


def test_rows_of_another_synapse_are_refused():
    """Of synapses requested by their IDs, the error names synapses, not cells."""
    with pytest.raises(BadAnswerError, match=r"holds synapses other than 1, 2\."):
        build_predictions(raw_answer(3), [1, 2], "synapse")


def test_positions_beyond_24_bits_are_exact():
    """In nm, a float32 would round them."""
    raw = raw_answer(1, ctr_pt_position_x=[2**24 + 1], ctr_pt_position_z=[2.0**40 + 1])
    frame = build_predictions(raw, [CELL], "inputs").frame
    assert frame[POSITION_COLUMNS].to_numpy().tolist() == [[2**24 + 1, 8, 2**40 + 1]]


def test_raw_answers_are_joined_in_their_order():
    """Empty ones give no rows and decide no type; they are an answer if there is no other."""
    first, last, none = raw_answer(2), raw_answer(1, id=[9]), pd.DataFrame({"id": []})
    joined = join_raw([none, first, none, last])
    assert joined["id"].tolist() == [1, 2, 9]
    assert joined.index.tolist() == [0, 1, 2]
    assert joined.dtypes.equals(first.dtypes)
    for alone in ([first], [none, first], [first, none]):
        pd.testing.assert_frame_equal(join_raw(alone), first)
    pd.testing.assert_frame_equal(join_raw([none, none]), none)


def test_cells_on_both_sides_are_found():
    """All ends count, with all digits of their IDs."""
    raw = raw_answer(2, pre_pt_root_id=[PARTNER, PARTNER - 1])
    assert find_ends(build_predictions(raw, [CELL], "inputs").frame) == {CELL, PARTNER, PARTNER - 1}
    assert find_ends(join_predictions([])) == set()


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_several_cells_have_synapses_between_them(cells):
    """Only then do counts have the direction `between`, after the requested ones."""
    further = () if cells == 1 else ("between",)
    assert name_directions(["outputs"], range(cells)) == ("outputs", *further)


def test_a_synapse_is_shown_once_and_the_rest_is_counted():
    """Of several rows of a synapse, the most confident is kept; the others are counted."""
    raw = raw_answer(5, id=[7, 7, 9, 7, 1], value=[0.2, 0.9, 0.5, 0.4, 0.1])
    checked = build_predictions(raw, [CELL], "inputs")
    assert checked.frame["id"].tolist() == [1, 7, 9]
    assert checked.frame["confidence"].tolist() == np.float32([0.1, 0.9, 0.5]).tolist()
    told = "2 further rows of inputs repeat a synapse; the most confident is shown."
    assert explain_left_out([checked], [CELL]) == [told]
    once = build_predictions(raw_answer(id=[7, 7, 9]), [CELL], "inputs")
    told = "1 further row of inputs repeats a synapse; the most confident is shown."
    assert explain_left_out([once], [CELL]) == [told]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("ctr_pt_position_x", "position"),
        ("ctr_pt_position_y", "position"),
        ("ctr_pt_position_z", "position"),
        ("size", "size between 0 and 4,294,967,295 voxels"),
        ("value", "confidence between 0 and 1"),
    ],
)
def test_rows_that_lack_something_are_counted_and_named(name, what):
    """A synapse without a position, size or confidence is left out and reported."""
    for missing in (None, pd.NA, float("nan"), float("inf")):
        kind = "Float64" if missing is pd.NA else "float64"
        raw = raw_answer(**{name: pd.Series([1, missing, 1], dtype=kind)})
        checked = build_predictions(raw, [CELL], "inputs")
        assert checked.frame["id"].tolist() == [1, 3]
        told = f"1 input has no {what} and is left out."
        assert explain_left_out([checked], [CELL]) == [told]
        assert kinds(checked.frame) == EXPECTED


def test_nullable_positions_that_are_missing_are_named():
    """A null in an integer column, as the server sends it, counts as missing."""
    raw = raw_answer(ctr_pt_position_z=pd.array([1, None, None], dtype="Int32"))
    checked = build_predictions(raw, [CELL], "inputs")
    assert checked.frame["ctr_pt_position_z"].tolist() == [1]
    told = "2 inputs have no position and are left out."
    assert explain_left_out([checked], [CELL]) == [told]


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_prediction_without_a_tag_is_untagged(missing):
    """A missing tag is shown as a tag of its own, and the row is kept."""
    checked = build_predictions(raw_answer(tag=["spine", missing, "soma"]), [CELL], "inputs")
    assert checked.frame["tag"].tolist() == ["spine", UNTAGGED, "soma"]
    assert explain_left_out([checked], [CELL]) == []


def test_tags_are_taken_as_they_are():
    """Quotes, line breaks, markup and other scripts in tags are plain data."""
    tags = ['a"b', "c\nd", "<b>épine</b>\u202e"]
    checked = build_predictions(raw_answer(tag=tags), [CELL], "inputs")
    assert checked.frame["tag"].tolist() == tags


def test_an_autapse_is_both_an_input_and_an_output():
    """A synapse of the cell onto itself is accepted in each direction."""
    raw = raw_answer(1, pre_pt_root_id=[CELL])
    for direction in ("inputs", "outputs"):
        assert len(build_predictions(raw, [CELL], direction).frame) == 1


@settings(max_examples=25)
@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_unlabelled_are_those_without_a_prediction(all_ids, labelled_ids):
    """Predicted synapses are not shown twice: labelled and unlabelled ones add up to all."""
    everything = sorted(all_ids | labelled_ids)
    synapses = raw_answer(len(everything), id=pd.array(everything, dtype="Int64")).drop(
        columns=["tag", "value"]
    )
    labelled = build_predictions(
        raw_answer(len(labelled_ids), id=pd.array(sorted(labelled_ids), dtype="Int64")),
        [CELL],
        "inputs",
    )
    rest = build_unlabelled(synapses, [CELL], "inputs", labelled).frame
    assert sorted([*rest["id"], *labelled.frame["id"]]) == everything
    assert set(rest["tag"]) <= {UNLABELLED}
    assert rest["confidence"].isna().all()
    assert kinds(rest) == EXPECTED


def test_what_one_table_has_said_the_other_does_not_repeat():
    """A row without a position in both tables is reported once, and shown by neither."""
    missing = pd.array([None, 8, 8], dtype="Int32")
    labelled = build_predictions(
        raw_answer(3, id=[1, 2, 3], ctr_pt_position_x=missing), [CELL], "inputs"
    )
    synapses = raw_answer(
        5, id=[1, 2, 3, 4, 5], ctr_pt_position_x=pd.array([None, 8, 8, None, 8], dtype="Int32")
    ).drop(columns=["tag", "value"])
    rest = build_unlabelled(synapses, [CELL], "inputs", labelled)
    assert explain_left_out([labelled, rest], [CELL]) == [
        "1 input has no position and is left out.",
        "1 input without a prediction has no position and is left out.",
    ]
    assert [*labelled.frame["id"], *rest.frame["id"]] == [2, 3, 5]


def test_what_is_left_out_between_cells_is_counted_once():
    """A synapse between cells without a position, or with several rows, is reported once, even if
    only one direction has it; autapses and other synapses count in each direction."""
    ends = {"pre_pt_root_id": [CELL, CELL, CELL, 5], "post_pt_root_id": [PARTNER, PARTNER, CELL, 5]}
    missing = pd.array([None, 8, None, None], dtype="Int32")
    raw = raw_answer(4, id=[1, 2, 3, 4], ctr_pt_position_x=missing, **ends)
    raw = pd.concat([raw, raw[1:2], raw[1:2]], ignore_index=True)
    known = [CELL, PARTNER, 5]
    tables = [build_predictions(raw, known, direction) for direction in ("inputs", "outputs")]
    lack = "have no position and are left out."
    repeat = "repeat a synapse; the most confident is shown."
    between = "synapses between the cells"
    assert explain_left_out(tables, known) == [
        "1 synapse between the cells has no position and is left out.",
        f"2 inputs {lack}",
        f"2 further rows of {between} {repeat}",
        f"2 outputs {lack}",
    ]
    assert explain_left_out(tables[1:], known) == [
        "1 synapse between the cells has no position and is left out.",
        f"2 outputs {lack}",
        f"2 further rows of {between} {repeat}",
    ]


def test_an_autapse_is_counted_once():
    """A synapse of the cell onto itself, shown in both directions, is one autapse."""
    parts = [
        build_predictions(
            raw_answer(1, pre_pt_root_id=CELL, post_pt_root_id=CELL), [CELL], direction
        )
        for direction in ("inputs", "outputs")
    ]
    assert count_autapses(join_predictions([part.frame for part in parts])) == 1
    assert count_autapses(parts[0].frame) == 1
    assert count_autapses(join_predictions([])) == 0


@settings(max_examples=50)
@given(
    pairs=st.lists(st.tuples(*[st.sampled_from([0, 11, 12, 13, 14])] * 2), max_size=25),
    cells=st.lists(st.sampled_from([11, 12, 13]), min_size=1, unique=True),
    asked=st.sampled_from([("inputs",), ("outputs",), ("inputs", "outputs")]),
)
def test_each_synapse_of_several_cells_is_there_once(pairs, cells, asked):
    """Inputs, outputs and synapses between the cells are parts of the requested rows, without
    repeats (except autapses, once in each direction), in any order of the cells."""
    ends = {"inputs": 1, "outputs": 0}
    parts = []
    for direction in asked:
        mine = [i for i, pair in enumerate(pairs) if pair[ends[direction]] in cells]
        raw = raw_answer(
            len(mine),
            id=[i + 1 for i in mine],
            pre_pt_root_id=[pairs[i][0] for i in mine],
            post_pt_root_id=[pairs[i][1] for i in mine],
        )
        parts.append(build_predictions(raw, cells, direction).frame)
    joined = join_predictions(parts)
    gathered = gather_between(joined, cells)
    found = set(zip(gathered["id"], gathered["direction"], strict=True))
    assert len(found) == len(gathered)
    assert found == {
        (i + 1, "between" if pre != post and {pre, post} <= {*cells} else direction)
        for i, (pre, post) in enumerate(pairs)
        for direction in asked
        if (pre, post)[ends[direction]] in cells
    }
    assert kinds(gathered) == EXPECTED
    pd.testing.assert_frame_equal(gathered, gather_between(joined, cells[::-1]))
    assert find_cells(joined) == {pair[ends[d]] for pair in pairs for d in asked} & {*cells}


def test_a_cell_with_almost_the_same_id_is_another_one():
    """Neighbouring root IDs, which a double cannot tell apart, are not taken for each other."""
    rows = raw_answer(post_pt_root_id=[CELL, CELL, CELL], pre_pt_root_id=[PARTNER - 1] * 3)
    frame = build_predictions(rows, [CELL], "inputs").frame
    assert set(gather_between(frame, [CELL, PARTNER])["direction"]) == {"inputs"}
    assert set(gather_between(frame, [CELL, PARTNER - 1])["direction"]) == {"between"}


def predictions() -> pd.DataFrame:
    raw = raw_answer(
        4,
        tag=["spine", "shaft", "soma", "spine"],
        value=np.float32([0.9, 0.899, 1.0, 0.0]),
        size=[10, 20, 30, 40],
    )
    bare = raw_answer(1, id=[9], size=[5]).drop(columns=["tag", "value"])
    return join_predictions(
        [
            build_predictions(raw, [CELL], "inputs").frame,
            build_predictions(bare, [CELL], "inputs").frame,
        ]
    )


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({}, [1, 2, 3, 4, 9]),
        ({"min_confidence": 0.9}, [1, 3, 9]),
        ({"min_confidence": 1.0}, [3, 9]),
        ({"min_confidence": 1e-30}, [1, 2, 3, 9]),
        ({"max_confidence": 0.9}, [1, 2, 4, 9]),
        ({"max_confidence": 0.0}, [4, 9]),
        ({"min_confidence": 0.899, "max_confidence": 0.9}, [1, 2, 9]),
        ({"tags": ["spine"]}, [1, 4, 9]),
        ({"tags": ["spine", "soma"]}, [1, 3, 4, 9]),
        ({"tags": ["none such"]}, [9]),
        ({"min_size": 20}, [2, 3, 4]),
        ({"min_size": 5}, [1, 2, 3, 4, 9]),
        ({"tags": ["spine"], "min_confidence": 0.5, "min_size": 6}, [1]),
    ],
)
def test_filters_keep_what_passes_all_of_them(filters, ids):
    """A stored 0.9 passes 0.9; without a prediction, only the size decides."""
    kept = filter_predictions(predictions(), **filters)
    if "min_size" not in filters:  # the smallest sizes pass as well
        small = filter_predictions(predictions().assign(size=np.float32(0)), **filters)
        assert small["id"].tolist() == ids
    assert kept["id"].tolist() == ids
    assert kept.index.tolist() == list(range(len(ids)))


@settings(max_examples=50)
@given(
    st.lists(st.floats(0, 1, width=32), max_size=20),
    st.floats(0, 1, width=32),
)
def test_the_boundary_of_confidence_is_inclusive_in_the_tables_precision(values, least):
    """Any float32 written in decimals passes the same number as a filter."""
    raw = raw_answer(len(values), value=pd.array(values, dtype="Float32"))
    frame = build_predictions(raw, [CELL], "inputs").frame
    typed = float(str(np.float32(least)))
    kept = filter_predictions(frame, min_confidence=typed)
    assert len(kept) == sum(np.float32(value) >= np.float32(least) for value in values)
    kept = filter_predictions(frame, max_confidence=typed)
    assert len(kept) == sum(np.float32(value) <= np.float32(least) for value in values)


def test_counts_are_sorted_by_tag_and_name_each_direction():
    """Counts add up, tags are sorted, and a direction without rows is listed, empty."""
    frame = predictions()
    assert count_predictions(frame, ["inputs", "outputs"]) == {
        "inputs": {"shaft": 1, "soma": 1, "spine": 2, "unlabelled": 1},
        "outputs": {},
    }
    assert list(count_predictions(frame, ["inputs"])["inputs"]) == [
        "shaft",
        "soma",
        "spine",
        "unlabelled",
    ]
    assert count_predictions(frame[:0], ["outputs"]) == {"outputs": {}}


@pytest.mark.parametrize(
    ("name", "wrong", "right", "what"),
    [
        ("value", [-0.1, 1.5, 97.0, -np.inf], [0.0, 1.0, 0.5], "confidence between 0 and 1"),
        (
            "size",
            [-1.0, 2.0**32, 1e30],
            [0.0, 2.0**32 - 1, 7.0],
            "size between 0 and 4,294,967,295 voxels",
        ),
    ],
)
@pytest.mark.parametrize("direction", ["inputs", "outputs"])
def test_values_out_of_range_are_left_out_and_counted(name, wrong, right, what, direction):
    """Confidences outside 0 to 1 and sizes that no viewer can hold are left out and counted, in
    every table; values at the ends of the range are shown."""
    values = pd.Series([*wrong, *right], dtype="float64")
    columns = {"pre_pt_root_id": [CELL] * len(values), name: values}
    checked = build_predictions(raw_answer(len(values), **columns), [CELL], direction)
    assert len(checked.frame) == len(right)
    assert checked.frame["id"].tolist() == [*range(len(wrong) + 1, len(values) + 1)]
    told = f"{len(wrong)} {direction} have no {what} and are left out."
    assert explain_left_out([checked], [CELL]) == [told]
    groups = build_annotations(checked.frame)
    assert [group.count for group in groups] == [len(right)]


def test_names_of_ours_and_tags_of_the_table_stay_apart():
    """A table's own tag `unlabelled`, `untagged`, `multi-input` or `between` keeps its rows and
    their confidence separate from our own use of the name."""
    tags = ["unlabelled", "untagged", "multi-input", "between", None, "unlabelled (tag)"]
    labelled = build_predictions(raw_answer(6, tag=tags), [CELL], "inputs")
    assert labelled.frame["tag"].tolist() == [
        "unlabelled (tag)",
        "untagged (tag)",
        "multi-input (tag)",
        "between",
        UNTAGGED,
        "unlabelled (tag) (tag)",
    ]
    rest = build_unlabelled(
        raw_answer(8).drop(columns=["tag", "value"]), [CELL], "inputs", labelled
    )
    frame = join_predictions([labelled.frame, rest.frame])
    counts = count_predictions(frame, ["inputs"])["inputs"]
    assert counts == {**dict.fromkeys(labelled.frame["tag"], 1), UNLABELLED: 2}
    sure = filter_predictions(frame, min_confidence=0.9)
    assert set(sure["tag"]) == {UNLABELLED}
    divided = divide_tags(frame, np.array([5], dtype="uint64"), [])
    assert divided.loc[divided["tag"] == MULTI_INPUT, "id"].tolist() == [5]
    for group in build_annotations(divided):
        named = [prop.id for prop in group.properties]
        assert named == (["size"] if group.tag == UNLABELLED else ["confidence", "size"])


@given(st.lists(st.sampled_from([*sorted(OWN_TAGS), "spine", " (tag)", "(tag)"]), max_size=4))
def test_no_two_tags_get_one_name(parts):
    """The new name differs from our own names, and shows the original tag."""
    tag = "".join(parts)
    name = name_tag(tag)
    assert name not in OWN_TAGS
    assert name == tag or (name == f"{tag} (tag)" and name_tag(name) != name)


@pytest.mark.parametrize("tag", ["\0", "spine\0"])
def test_a_tag_with_a_nul_is_refused_by_name(tag):
    r"""`spine` and `spine\0` are two tags that pandas confuses; the second one is refused."""
    with pytest.raises(BadAnswerError, match=re.escape(repr(tag))):
        build_predictions(raw_answer(tag=["spine", tag, "soma"]), [CELL], "inputs")


@settings(max_examples=25)
@given(st.permutations(range(5)))
def test_the_order_of_the_server_decides_nothing(order):
    """Rows with equal ID and confidence give the same table, in whatever order they arrive."""
    raw = raw_answer(
        5, id=[7, 7, 7, 3, 3], tag=["spine", "soma", "shaft", "soma", "soma"], size=[1, 2, 3, 9, 8]
    )
    expected = build_predictions(raw, [CELL], "inputs")
    again = build_predictions(raw.iloc[list(order)].reset_index(drop=True), [CELL], "inputs")
    pd.testing.assert_frame_equal(again.frame, expected.frame)
    pd.testing.assert_frame_equal(again.left_out, expected.left_out)
    assert again.frame["tag"].tolist() == ["soma", "shaft"]  # the first by name, then the smallest
    assert again.frame["size"].tolist() == [8, 3]
