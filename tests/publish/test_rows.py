"""Values of a wrong kind are refused with their place, and never guessed."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from publish.tables import make_rows
from synglancer.errors import UsageError
from synglancer.publish.inputs import match_columns
from synglancer.publish.rows import MOST_TAGS, RowReader

DAYS = pa.array([date(2020, 1, 1)] * 5)
GOOD = [1, 2, 3]


def read(change):
    """Read five rows as the rows 1001 to 1005 of a file; return them and the counts."""
    rows = {**make_rows(5), **change}
    if "ctr_pt_position" in rows:
        rows = {name: rows[name] for name in rows if not name.startswith("ctr_pt_position_")}
    batch = pa.RecordBatch.from_pydict(rows)
    counts: Counter[str] = Counter()
    columns = match_columns(batch.schema.names, "tag", "a.parquet")
    return RowReader("a.parquet", columns, (4, 4, 40), {}, counts).read(batch, 1001), counts


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("id", DAYS, "values of the type date32[day], not IDs, in row 1,001"),
        ("id", [True] * 5, "values of the type bool, not IDs, in row 1,001"),
        ("id", [Decimal("5.5")] * 5, "no ID in row 1,001 ('5.5')"),
        ("id", ["1", "2", None, " 4", "5"], "no ID in row 1,004 (' 4')"),
        ("post_pt_root_id", ["1", str(2**64), "3", "4", "5"], f"no ID in row 1,002 ('{2**64}')"),
        ("post_pt_root_id", ["9" * 9999] * 5, f"no ID in row 1,001 ('{'9' * 40}')"),
        ("id", pa.array(["1", "x", "3", "x", "5"]).dictionary_encode(), "no ID in row 1,002 ('x')"),
        ("size", DAYS, "values of the type date32[day], not numbers, in row 1,001"),
        ("size", ["1", "2", None, " 4 ", "x"], "no number in row 1,004 (' 4 ')"),
        ("value", ["0.5", "0.5", "0.5", "0.5", ""], "no number in row 1,005 ('')"),
        ("ctr_pt_position", [7] * 5, "values of the type int64, not positions, in row 1,001"),
        ("ctr_pt_position", [GOOD, None, GOOD, [1, 2], [1]], "2 numbers instead of 3 in row 1,004"),
        ("ctr_pt_position", ["[1 2 3]", "(1, 2)", *["1 2 3"] * 3],
         "2 numbers instead of 3 in row 1,002"),
        ("ctr_pt_position", ["[1 2 3]", "", "[1 y 3]", *["1 2 3"] * 2],
         "no position in row 1,003 ('[1 y 3]')"),
        ("ctr_pt_position", [["1", "2", "3"], None, ["1", "2", "3"], ["1", "y", "3"], None],
         "no number in row 1,004 ('y')"),
        ("ctr_pt_position", [[GOOD] * 3] * 5,
         "values of the type list<item: int64>, not numbers, in row 1,001"),
        ("tag", [["spine"]] * 5, "values of the type list<item: string>, not tags, in row 1,001"),
        ("tag", [b"\xff"] * 5, "values of the type binary, not tags, in row 1,001"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_row(name, values, what):
    """The file, the column, the row and the value are named, also inside lists and after rows
    without a value."""
    with pytest.raises(UsageError) as caught:
        read({name: values})
    assert str(caught.value) == f"a.parquet: column {name!r} holds {what}."
    assert caught.value.hint == "Correct the file. Nothing was published."


def test_ids_as_decimals_keep_all_digits():
    """Spark writes large IDs as decimals, beyond what a float or a signed integer holds."""
    ids = [2**64 - 1 - number for number in range(5)]
    rows, _ = read({"id": pa.array([Decimal(one) for one in ids], pa.decimal128(20, 0))})
    assert rows["id"].tolist() == ids


@pytest.mark.parametrize(
    "values",
    [
        pa.array([GOOD, None, [1, None, 3], GOOD, GOOD], pa.list_(pa.int64())),
        pa.array([GOOD, None, [1, None, 3], GOOD, GOOD], pa.list_(pa.float32(), 3)),
        pa.array([GOOD, None, [1, None, 3], GOOD, GOOD], pa.large_list(pa.int64())),
        ["[1 2  3]", None, "[]", "(1, 2, 3)", "1,2,3"],
        pa.array(["[1 2  3]", None, "[]", "(1, 2, 3)", "1,2,3"]).dictionary_encode(),
    ],
)
def test_positions_are_read_in_every_form(values):
    """Lists, and texts as pandas writes them, are one position for each row, in nm."""
    ids = np.arange(5, dtype=np.uint64)
    rows, counts = read({"id": ids, "ctr_pt_position": values})
    assert rows["id"].tolist() == [0, 3, 4]
    assert rows["point"].tolist() == [[4, 8, 120]] * 3
    assert counts["without a position"] == 2


def test_a_column_that_is_no_tag_is_refused():
    """A column with a different value in each row would give as many sources."""
    number = MOST_TAGS + 1
    rows = make_rows(number, tag=[f"tag {one}" for one in range(number)])
    batch = pa.RecordBatch.from_pydict(rows)
    columns = match_columns(batch.schema.names, "tag", "a.parquet")
    with pytest.raises(UsageError) as caught:
        RowReader("a.parquet", columns, (1, 1, 1), {}, Counter()).read(batch, 1)
    assert str(caught.value) == "a.parquet: column 'tag' holds more than 256 different tags."
    assert caught.value.hint == "Give the column of the predicted target with --tag-column."
