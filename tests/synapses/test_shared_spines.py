"""Spines with several inputs are found from all of their synapses, and shown once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synglancer.columns import DTYPES
from synglancer.errors import BadAnswerError
from synglancer.settings import MULTI_INPUT, UNLABELLED
from synglancer.synapses.shared_spines import (
    count_former_tags,
    divide_tags,
    find_multi_input,
    keep_own,
    read_spines,
)

BIG = 864_691_135_276_234_469


def raw_spines(*rows: tuple[int, int, object]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["id", "post_pt_root_id", "group_id"])
    return frame.astype({"id": "Int64", "post_pt_root_id": "Int64", "group_id": "Int32"})


def synapses(*rows: tuple[int, str, str]) -> pd.DataFrame:
    kinds = {name: "object" if kind == "str" else kind for name, kind in DTYPES.items()}
    frame = pd.DataFrame(rows, columns=["id", "direction", "tag"])
    return frame.reindex(columns=list(DTYPES), fill_value=1).astype(kinds)


def test_synapses_share_a_spine_within_one_cell() -> None:
    """A spine number used by two cells means two spines; repeated rows of a synapse are not two;
    missing and negative numbers are no spine, but 0 is one."""
    raw = raw_spines(
        *((1, BIG, 0), (2, BIG, 0), (3, BIG + 1, 0)),
        *((4, BIG, 7), (4, BIG, 7)),
        *((5, BIG, -1), (6, BIG, -1), (7, BIG, None), (8, BIG, None)),
        *((9, BIG, 8), (10, BIG, 8), (11, BIG, 8)),
    )
    spines = read_spines(raw)
    rows = [*((1, BIG, 0), (2, BIG, 0), (3, BIG + 1, 0), (4, BIG, 7))]
    rows += [(9, BIG, 8), (10, BIG, 8), (11, BIG, 8)]
    columns = ["id", "post_pt_root_id", "group_id"]
    pd.testing.assert_frame_equal(spines, pd.DataFrame(rows, columns=columns))
    found = find_multi_input(spines)
    assert found.dtype == np.uint64
    assert found.tolist() == [1, 2, 9, 10, 11]
    assert find_multi_input(read_spines(raw[:0])).tolist() == []


@pytest.mark.parametrize("name", ["id", "post_pt_root_id", "asked_id"])
def test_rows_without_an_id_are_refused(name: str) -> None:
    """Else a missing ID would be taken for one of a synapse or a cell."""
    raw = raw_spines((1, BIG, 0), (2, BIG, 0)).assign(asked_id=1).astype({"asked_id": "Int64"})
    raw.loc[1, name] = pd.NA
    with pytest.raises(BadAnswerError, match=f"has rows without a value in the column '{name}'"):
        read_spines(raw, ["asked_id"])


@pytest.mark.parametrize(
    "raw",
    [
        raw_spines((1, BIG, 0)).drop(columns="group_id"),
        raw_spines((1, BIG, 0)).astype({"group_id": "float64"}),
    ],
)
def test_answers_of_another_kind_are_refused(raw: pd.DataFrame) -> None:
    """An answer without spine numbers, or with numbers that are not integers, is an error."""
    with pytest.raises(BadAnswerError, match="group_id") as refused:
        read_spines(raw)
    assert refused.value.hint.startswith("Check that --multi-input-table names a table with the ")


def test_only_a_cells_own_synapses_are_kept() -> None:
    """IDs that are the same as floats are different synapses, also among many others."""
    found = np.array([5, BIG, BIG + 1, BIG + 2], dtype="uint64")
    own = read_spines(raw_spines((BIG + 1, BIG, 0), *((number, BIG, 1) for number in range(5, 50))))
    assert keep_own(found, own).tolist() == [5, BIG + 1]


TABLE = synapses(
    (1, "inputs", "spine"),
    (2, "inputs", "spine"),
    (3, "inputs", "shaft"),
    (4, "outputs", "spine"),
    (5, "inputs", UNLABELLED),
)
SHARED = np.array([1, 3, 4, 5], dtype="uint64")


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ((), [1, 2, 3, 4, 5]),
        (("spine",), [1, 2, 4, 5]),
        (("shaft",), [3, 5]),
        ((MULTI_INPUT,), [1, 3, 4, 5]),
        (("shaft", MULTI_INPUT), [1, 3, 4, 5]),
    ],
)
def test_a_synapse_is_shown_once(tags: tuple[str, ...], kept: list[int]) -> None:
    """Each synapse that passes the filter is shown once, on its spine or under its tag; filters
    accept both, and a synapse without a prediction keeps its tag and passes."""
    divided = divide_tags(TABLE, SHARED, tags)
    assert divided["id"].tolist() == kept
    expected = {1: MULTI_INPUT, 2: "spine", 3: MULTI_INPUT, 4: MULTI_INPUT, 5: UNLABELLED}
    assert divided["tag"].tolist() == [expected[id_] for id_ in kept]
    assert divided.dtypes.equals(TABLE.dtypes)


def test_former_tags_are_counted() -> None:
    """The original tags of synapses on shared spines are counted, by direction."""
    shown = divide_tags(TABLE, SHARED, ())
    assert count_former_tags(TABLE, shown, ["inputs", "outputs", "between"]) == {
        "inputs": {"shaft": 1, "spine": 1},
        "outputs": {"spine": 1},
        "between": {},
    }
