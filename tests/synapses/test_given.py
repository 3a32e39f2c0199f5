"""A user's table of synapses is read exactly, or refused with the column that is wrong."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synglancer.columns import POSITION_COLUMNS
from synglancer.errors import UsageError
from synglancer.synapses.given import Pin, read_given, read_pin, read_resolution

CELL = 864691135276234469
LARGEST = 2**64 - 1


def table(**columns: Any) -> pd.DataFrame:
    """Two rows of predictions, with other columns in the place of the usual ones."""
    usual = {
        "target_id": [11, 12],
        "size": [5, 6],
        "pre_pt_root_id": [864691135000000001, 864691135000000002],
        "post_pt_root_id": [CELL, CELL],
        "tag": ["spine", "shaft"],
        "value": [0.25, 1.0],
        **{name: [10, 20] for name in POSITION_COLUMNS},
    }
    return pd.DataFrame({**usual, **columns})


def read(df: object, resolution: object = (4, 4, 40)) -> pd.DataFrame:
    return read_given(df, "inputs", resolution).raw


def refusal(df: object, resolution: object = (4, 4, 40)) -> str:
    with pytest.raises(UsageError) as caught:
        read(df, resolution)
    return f"{caught.value} {caught.value.hint}"


class Foreign:
    """A table of another library, as Polars and PyArrow have them."""

    def to_pandas(self) -> pd.DataFrame:
        return table()


@pytest.mark.parametrize(
    "df",
    [
        table(),
        Foreign(),
        table().set_index("target_id", drop=False),
        table().rename(columns=lambda name: f"{name}_ref" if name == "size" else name),
        table().rename(columns={"value": "confidence", "target_id": "id"}),
        table(size=["5", "6"], value=["0.25", "1"]),
        table(target_id=["11", " 12 "], post_pt_root_id=[str(CELL), np.int64(CELL)]),
        table(target_id=pd.array([11, 12], dtype="Int64")),
        table(ctr_pt_position=[[10, 10, 10], np.array([20, 20, 20])]),
    ],
)
def test_tables_of_every_form_are_read_alike(df: object) -> None:
    """Another library, an index, suffixes, older names and texts change no value and no type."""
    raw = read(df)
    assert raw["id"].tolist() == [11, 12]
    assert raw["size"].tolist() == [5, 6]
    assert raw["value"].tolist() == [0.25, 1.0]
    assert raw["post_pt_root_id"].tolist() == [CELL, CELL]
    assert raw["tag"].tolist() == ["spine", "shaft"]
    assert raw[POSITION_COLUMNS].to_numpy().tolist() == [[40, 40, 400], [80, 80, 800]]
    kinds = {str(raw[name].dtype) for name in ("id", "pre_pt_root_id", "post_pt_root_id")}
    assert kinds == {"uint64"}


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([0, LARGEST], dtype="uint64"),
        pd.Series([0, LARGEST], dtype=object),
        pd.Series(["0", str(LARGEST)], dtype=object),
        pd.Series([Decimal(0), Decimal(LARGEST)], dtype=object),  # as some databases give them
    ],
)
def test_ids_of_all_64_bits_are_read(ids: pd.Series) -> None:
    """The largest ID keeps its last digit; 0 is a segment without an ID."""
    assert read(table(pre_pt_root_id=ids))["pre_pt_root_id"].tolist() == [0, LARGEST]


@pytest.mark.parametrize("direction", ["inputs", "outputs"])
def test_a_table_keeps_its_direction(direction: Any) -> None:
    """And its columns, whichever side the cell is on."""
    read = read_given(table(), direction, (4, 4, 40))
    assert (read.direction, len(read.raw)) == (direction, 2)


def test_numbers_may_be_zero_and_tables_empty() -> None:
    """Neither is missing: 0 is a size and a confidence, and no rows are no synapses."""
    raw = read(table(size=[0, 0], value=[0, 0.5]))
    assert raw[["size", "value"]].to_numpy().tolist() == [[0, 0], [0, 0.5]]
    assert read(table()[:0]).empty
    assert read(table(ctr_pt_position=[[1, 2, 3], [4, 5, 6]])[:0]).empty


@pytest.mark.parametrize("wrong", [LARGEST + 1, -1, "1.0", "", True, "²"])
def test_what_is_no_id_is_refused(wrong: Any) -> None:
    """IDs beyond 64 bits, negative ones and other values are named by their column."""
    df = table(pre_pt_root_id=pd.Series([1, wrong], dtype=object))
    assert refusal(df) == (
        "The table inputs= holds values in 'pre_pt_root_id' that are not IDs. "
        "Make pre_pt_root_id a column of integers."
    )
    assert "that are not IDs" in refusal(table(pre_pt_root_id=[1, -1]))
    assert refusal(table(target_id=["11", "twelve"])) == (
        "The table inputs= holds values in 'target_id' that are not IDs. "
        "Make target_id a column of integers."
    )


def test_the_first_synapse_that_is_repeated_is_named() -> None:
    """One repeated row is enough, and of several the first repeated synapse is named."""
    assert "has 1 row that repeats a synapse, the first of them 12." in refusal(
        table(target_id=[12, 12])
    )
    several = pd.concat([table(target_id=[7, 9]), table(target_id=[9, 7])])
    assert "has 2 rows that repeat a synapse, the first of them 9." in refusal(several)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"post_pt_root_id": [float(CELL)] * 2}, "holds 'post_pt_root_id' as floats, which round"),
        (
            {"pre_pt_root_id": pd.array([CELL, None], dtype="Int64")},
            "has 1 row without 'pre_pt_root_id'. Leave out these rows",
        ),
        ({"size": ["5", "large"]}, "holds values in 'size' that are not numbers, 0 or more"),
        ({"size": [5, -1]}, "whose size is missing or wrong"),
        (
            {"size": pd.array([5, None], dtype="Int64")},
            "holds values in 'size' that are not numbers, 0 or more",
        ),
        ({"value": [0.5, 1.5]}, "holds values in 'value' that are not numbers between 0 and 1"),
        ({"value": [0.5, None]}, "whose value is missing or wrong"),
        ({POSITION_COLUMNS[2]: [1, "far"]}, "where ctr_pt_position is not three numbers"),
        (
            {POSITION_COLUMNS[0]: pd.array([1, None], dtype="Int64")},
            "where ctr_pt_position is not three numbers",
        ),
        ({"ctr_pt_position": [[1, 2], [3, 4]]}, "where ctr_pt_position is not three numbers"),
        ({"ctr_pt_position": [[1, 2, 3], None]}, "where ctr_pt_position is not three numbers"),
    ],
)
def test_a_value_that_is_missing_or_wrong_is_refused(columns: dict[str, Any], told: str) -> None:
    """The sentence names the column, and what its values must be."""
    assert told in refusal(table(**columns))


def test_root_ids_that_were_once_floats_are_refused() -> None:
    """Five IDs that are all multiples of 64 were rounded; four can be so by chance."""
    rounded = [864691135276234496 + 128 * place for place in range(5)]
    five = pd.DataFrame({"pre_pt_root_id": rounded, "target_id": range(1, 6)})
    usual = table()
    df = five.assign(**{str(name): usual[name][0] for name in usual if name not in five})
    assert "holds rounded IDs in 'pre_pt_root_id': all are multiples of 64" in refusal(df)
    assert len(read(df[:4])) == 4
    exact = df.assign(pre_pt_root_id=[2**53, *rounded[:4]])  # a double holds 2^53 exactly
    assert read(exact)["pre_pt_root_id"].tolist() == [2**53, *rounded[:4]]


@pytest.mark.parametrize(
    ("df", "told"),
    [
        (table().drop(columns="tag"), "has no column 'tag'"),
        (table().drop(columns="target_id"), "has no column 'id'"),
        (
            table(id=[1, 2], id_ref=[1, 2]).drop(columns="target_id"),
            (
                "has id and id_ref but no target_id, so it is unclear which is the ID of the "
                "synapse. Keep the column target_id, or drop the column that is not the ID of the "
                "synapse."
            ),
        ),
        (pd.concat([table(), table()[["value"]]], axis=1), "has 'value' twice"),
        (
            [[1, 2]],
            (
                "inputs= is not a table: list. Give the rows that caveclient returns for "
                "predictions joined with their synapses: id or target_id, tag, value, size, "
                "pre_pt_root_id, post_pt_root_id and ctr_pt_position."
            ),
        ),
    ],
)
def test_columns_that_are_missing_or_doubtful_are_refused(df: object, told: str) -> None:
    """The sentence names the column, or says that there is no table."""
    assert told in refusal(df)


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        (None, "1 row without a tag"),
        (5, "1 row with a tag that is not text"),
        ("", "1 row with an empty tag"),
        (" ", "1 row with an empty tag"),
        ("a\0b", "1 row with a tag that holds characters that are not text"),
        ("a\ud800b", "1 row with a tag that holds characters that are not text"),
    ],
)
def test_the_hint_about_a_tag_mends_the_table(tag: object, words: str) -> None:
    """What the hint says to type makes a table that is accepted."""
    df = table(tag=pd.Series([tag, "shaft"], dtype=object))
    with pytest.raises(UsageError, match=words) as caught:
        read(df)
    code = caught.value.hint.partition(": ")[2].removesuffix(".")
    names = {"df": df}
    exec(code, names)  # our own hint
    mended = read(names["df"])["tag"].tolist()
    assert len(mended) == len(df) - (tag is None or not str(tag).strip())
    assert mended[-1] == "shaft"


@pytest.mark.parametrize(
    ("given", "nm"),
    [
        (1, [1, 1, 1]),
        ([4, 4, 40], [4, 4, 40]),
        (["4", "4", "40"], [4, 4, 40]),
        (np.float32(0.5), [0.5, 0.5, 0.5]),
    ],
)
def test_the_voxel_of_a_table_is_one_size_or_three(given: object, nm: list[float]) -> None:
    """One size holds for x, y and z; a given size goes before the one in the table."""
    assert read_resolution(given, {"dataframe_resolution": [2, 2, 2]}).tolist() == nm
    assert read_resolution(None, {"dataframe_resolution": given}).tolist() == nm


@pytest.mark.parametrize(
    "given", [0, -4, [4, 4, -40], [4, 4, 0], [4, 4], float("inf"), float("nan"), ["a", 4, 4]]
)
def test_what_is_no_voxel_is_refused(given: object) -> None:
    """A size must be a number above 0 for each axis: a negative one would mirror the cell."""
    with pytest.raises(UsageError) as caught:
        read_resolution(given, {})
    assert f"{caught.value} {caught.value.hint}" == (
        f"resolution={given!r} is not a voxel size. Give resolution= in nm, such as [4, 4, 40] "
        "for voxels of minnie65, or 1 for nm."
    )


def test_a_wrong_voxel_of_a_table_is_named() -> None:
    """The error gives the value that the table holds."""
    with pytest.raises(UsageError, match=r"resolution=\[4, 0, 40\] is not a voxel size"):
        read_resolution(None, {"dataframe_resolution": [4, 0, 40]})


@pytest.mark.parametrize(
    ("limit", "rows", "warned"), [(None, 2, False), (3, 2, False), (2, 2, True), (0, 0, False)]
)
def test_a_table_as_long_as_its_limit_has_a_warning(
    limit: int | None, rows: int, warned: bool
) -> None:
    """A table that its query may have cut off is said, and no other."""
    df = table().head(rows)
    df.attrs["limit"] = limit
    told = read_given(df, "inputs", 1).warnings
    sentence = "The table inputs= has exactly 2 rows, the limit of its query, so synapses may be "
    assert told == ((f"{sentence}missing.",) if warned else ())


def test_a_table_as_long_as_a_servers_limit_has_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a stored limit, a multiple of the servers' limit may be one, too."""
    monkeypatch.setattr("synglancer.synapses.given._SERVER_LIMIT", 2)
    assert len(read_given(table(), "inputs", 1).warnings) == 1
    assert not read_given(table()[:1], "inputs", 1).warnings


@pytest.mark.parametrize("known", [None, "4, 4, 40"])
def test_a_table_without_a_unit_is_refused(known: object) -> None:
    """Positions have no unit by themselves, and it is never guessed."""
    df = table()
    df.attrs["dataframe_resolution"] = known
    assert "The unit of the positions in the tables is not known. Give resolution=" in refusal(
        df, None
    )
    df.attrs["dataframe_resolution"] = [4, 4, 40]
    assert read(df, None)[POSITION_COLUMNS[2]].tolist() == [400, 800]


@pytest.mark.parametrize(
    ("attrs", "pin"),
    [
        (
            {"datastack_name": "a\ud800", "table_name": "", "materialization_version": 3},
            Pin(datastack="a?", version=3),
        ),
        (
            {"datastack_name": 5, "table_name": "t", "materialization_version": True},
            Pin(table="t"),
        ),
        ({"timestamp": "no time"}, Pin()),
        ({"materialization_version": 3, "timestamp": "2026-03-07T08:10:01"}, Pin(version=3)),
        ({"table_notice_text": "by a model"}, Pin(notice="by a model")),
        (
            {
                "table_name": "other",
                "tables": {
                    "synapses": {"join_column": "id"},
                    "tags": {"join_column": "target_id", "table_notice_text": "by a model"},
                },
            },
            Pin(table="tags", notice="by a model"),
        ),
        (
            {"timestamp": "2026-03-07T08:10:01"},
            Pin(timestamp=datetime(2026, 3, 7, 8, 10, 1, tzinfo=timezone.utc)),
        ),
    ],
)
def test_the_source_of_a_table_is_text_and_a_number(attrs: dict[str, Any], pin: Pin) -> None:
    """Half a character becomes a question mark; what has another type is unknown."""
    assert read_pin(attrs) == pin


def test_rows_know_their_source() -> None:
    """The version and the table that caveclient stored go with the rows."""
    df = table()
    df.attrs = {"materialization_version": 3, "table_name": "predictions_v7"}
    assert read_given(df, "outputs", 1).pin == Pin(table="predictions_v7", version=3)


def test_joined_tables_without_predictions_name_no_table() -> None:
    """Of joined tables, only one that refers to synapses is the table of predictions."""
    synapses = {"synapses_pni_2": {"join_column": None, "table_notice_text": "Of synapses."}}
    labels = {"labels": {"join_column": "target_id", "table_notice_text": "Of labels."}}
    assert (read_pin({"tables": synapses}).table, read_pin({"tables": synapses}).notice) == (
        None,
    ) * 2
    both = read_pin({"tables": {**synapses, **labels}})
    assert (both.table, both.notice) == ("labels", "Of labels.")
