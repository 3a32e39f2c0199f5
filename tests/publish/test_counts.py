"""The table of cells: each cell's number of synapses, as counted in the input with pandas."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from publish.tables import make_rows, run, write_parquet
from synglancer.publish import publishing
from synglancer.publish.verify import verify


def count_with_pandas(rows):
    """Count each cell's synapses by direction and tag, with the columns of the table of cells."""
    frame = pd.DataFrame(rows)
    parts = []
    for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id")):
        linked = frame[frame[column] != 0]
        found = linked.pivot_table("id", column, "tag", aggfunc="count", fill_value=0)
        parts.append(found.add_prefix(f"{direction}_"))
    both = pd.concat(parts, axis=1).fillna(0).astype("int64").sort_index()
    both.index = both.index.astype(str)
    return both


@pytest.mark.parametrize("number", [40, 9_000])
def test_each_cell_is_counted_as_pandas_does(tmp_path, monkeypatch, number):
    """Cells with only inputs or only outputs are listed; root 0 and repeated rows are not
    counted."""
    monkeypatch.setattr(publishing, "_LEAST_ROWS", 5_000)
    rows = make_rows(number)
    rows["pre_pt_root_id"][: number // 4] = 0
    rows["post_pt_root_id"][number // 2] = 2**64 - 1
    path = write_parquet(tmp_path / "rows.parquet", rows, row_group_size=1350)
    again = write_parquet(tmp_path / "again.parquet", rows)
    manifest = run(tmp_path / "out", path, again, memory=1, counts=True)
    table = pq.read_table(tmp_path / "out/cells.parquet")
    assert table.schema.field("cell").type == pa.string()
    found = table.to_pandas().set_index("cell")
    expected = count_with_pandas(rows)
    expected = expected.loc[sorted(expected.index, key=int)]
    pd.testing.assert_frame_equal(
        found, expected[list(found.columns)], check_names=False, check_index_type=False
    )
    assert manifest["counts"]["cells"] == len(expected)
    assert verify(str(tmp_path / "out"), [path]).problems == []


def test_tags_that_differ_by_case_have_columns_of_their_own(tmp_path):
    """Columns are named after the tags, whatever these are."""
    odd = ["Spine", "spine", 'a"b', "a'b", ""]
    rows = make_rows(50, tag=[odd[number % 5] for number in range(50)])
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows), counts=True)
    table = pq.read_table(tmp_path / "out/cells.parquet").to_pandas().set_index("cell")
    expected = count_with_pandas(rows)
    assert sorted(table.columns) == sorted(expected.columns)
    assert (table.loc[expected.index, expected.columns] == expected).all(axis=None)


def test_without_being_asked_there_is_no_table(tmp_path):
    """The manifest names the table only if it exists."""
    manifest = run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", make_rows(50)))
    assert "counts" not in manifest
    assert not (tmp_path / "out/cells.parquet").exists()


DAMAGE = {
    "gone": lambda _: None,
    "one too many": lambda table: table.set_column(
        1, table.column_names[1], pa.array(np.array(table[1]) + np.eye(len(table), dtype=int)[3])
    ),
    "two exchanged": lambda table: table.set_column(
        1, table.column_names[1], pa.array(np.roll(np.array(table[1]), 1))
    ),
    "a cell less": lambda table: table.slice(1),
    "a cell twice": lambda table: pa.concat_tables([table, table.slice(0, 1)]),
    "a column less": lambda table: table.drop_columns([table.column_names[-1]]),
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A source with its table of cells."""
    folder = tmp_path_factory.mktemp("published")
    path = write_parquet(folder / "rows.parquet", make_rows(300))
    run(folder / "out", path, counts=True)
    return folder / "out"


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("signed", [False, True])
def test_a_wrong_table_is_found(published, tmp_path, kind, signed):
    """A table with wrong counts is found, even if the manifest has its hash."""
    out = tmp_path / "out"
    shutil.copytree(published, out)
    path = out / "cells.parquet"
    damaged = DAMAGE[kind](pq.read_table(path))
    path.unlink()
    if damaged is not None:
        pq.write_table(damaged, path)
    if signed and damaged is not None:
        manifest = json.loads((out / "synglancer.json").read_bytes())
        manifest["counts"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        (out / "synglancer.json").write_text(json.dumps(manifest))
    found = verify(str(out))
    assert found.problems
    assert all("cells.parquet" in problem for problem in found.problems)
