"""Verification names each thing that is wrong in a source, and nothing else."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest

from publish.sample import edit_manifest
from publish.tables import CELL, make_rows, run, write_parquet
from synglancer.errors import UnreachableError, UsageError
from synglancer.publish.sharding import Sharding, build_shard, compress
from synglancer.publish.verify import verify


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    run(folder / "out", write_parquet(folder / "rows.parquet", make_rows(300)), counts=True)
    return folder / "out"


@pytest.fixture
def out(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("upper_bound", lambda far: [2 * one for one in far], "does not reach the upper bound."),
        ("lower_bound", lambda low: [one + 10 for one in low],
         "has points outside their grid cell."),
    ],
)  # fmt: skip
def test_a_grid_that_does_not_fit_is_one_problem(out, name, change, said):
    """Bounds that differ from the points are named, and no annotation is called missing."""
    path = out / "spine/info"
    info = json.loads(path.read_bytes())
    path.write_text(json.dumps({**info, name: change(info[name])}))
    levels = [one["key"] for one in info["spatial"]]
    assert verify(str(out)).problems == [f"spine: {level} {said}" for level in levels]


def test_more_annotations_than_the_limit_are_a_problem(out):
    """Viewers draw a random part of a grid cell by its limit, so that it must be true."""
    path = out / "spine/info"
    info = json.loads(path.read_bytes())
    fullest = info["spatial"][0]["limit"]
    info["spatial"][0]["limit"] = fullest - 1
    path.write_text(json.dumps(info))
    assert verify(str(out)).problems == [
        f"spine: a grid cell of spatial0 has {fullest} annotations, but the limit is {fullest - 1}."
    ]


@pytest.mark.parametrize(
    ("index", "chunk", "said"),
    [
        ("post", (5).to_bytes(8, "little"), "8 bytes for 5 annotations"),
        ("by_id", bytes(32), "32 bytes instead of 28"),
    ],
)
def test_a_chunk_of_another_length_is_a_problem_of_its_tag(out, index, chunk, said):
    """A chunk that is longer or shorter than its numbers say is not read further."""
    info = json.loads((out / "spine/info").read_bytes())
    parts = {one["key"]: one["sharding"] for one in (info["by_id"], *info["relationships"])}
    sharding = Sharding.from_json(parts[index])
    if sharding.data_encoding == "gzip":
        chunk = compress(chunk)
    keys = np.array([CELL], np.uint64)
    pieces = build_shard(sharding, keys, np.array([len(chunk)]), chunk)
    for path in (out / "spine" / index).iterdir():
        path.write_bytes(b"".join(bytes(one) for one in pieces))
    assert verify(str(out)).problems[0] == f"spine cannot be read: {said}."


def test_a_missing_info_file_is_a_problem_of_its_tag(out):
    """A tag that was not finished is named, and the others are checked."""
    (out / "spine/info").unlink()
    found = verify(str(out))
    assert found.problems == [f"spine cannot be read: {out}/spine has no info file."]
    assert [line.partition(":")[0] for line in found.checked] == ["shaft", "soma", "cells.parquet"]


def test_a_table_of_cells_that_is_no_parquet_is_a_problem(out):
    """Its checksum alone does not make it readable."""
    (out / "cells.parquet").write_bytes(b"cells")
    counts = json.loads((out / "synglancer.json").read_bytes())["counts"]
    counts["sha256"] = hashlib.sha256(b"cells").hexdigest()
    edit_manifest(out, counts=counts)
    (problem,) = verify(str(out)).problems
    assert problem.startswith("cells.parquet cannot be read: ")


@pytest.mark.parametrize("name", ["_check_tag", "_check_counts"])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "{out} does not answer: TimeoutError."),
        (ValueError("UNAVAILABLE: Connection refused."),
         "{out} does not answer: UNAVAILABLE: Connection refused."),
        (UnreachableError("It does not answer.", "Check it."), "It does not answer."),
    ],
)  # fmt: skip
def test_a_store_that_stops_answering_is_no_problem_of_the_source(
    out, monkeypatch, name, error, said
):
    """A check that could not be finished finds nothing, whatever it was reading."""

    def fail(*_):
        raise error

    monkeypatch.setattr(f"synglancer.publish.verify.{name}", fail)
    with pytest.raises(UnreachableError) as caught:
        verify(str(out))
    assert str(caught.value) == said.format(out=out)


def test_an_address_that_tensorstore_does_not_read_is_refused():
    """Azure's own addresses are not taken for a missing source."""
    with pytest.raises(UsageError) as caught:
        verify("az://container/out")
    assert str(caught.value) == (
        "az://container/out cannot be checked, because tensorstore does not read this kind of "
        "address."
    )
    assert "https address of the container" in caught.value.hint


@pytest.mark.parametrize("cells", [0, 20])
def test_positions_in_lists_are_compared(tmp_path, cells):
    """A Parquet file with lists is compared with its source, and not one cell if none is asked."""
    rows = make_rows(50)
    axes = [rows.pop(f"ctr_pt_position_{axis}") for axis in "xyz"]
    rows["ctr_pt_position"] = pa.array(np.stack(axes, axis=1).tolist())
    path = write_parquet(tmp_path / "rows.parquet", rows)
    run(tmp_path / "out", path)
    assert verify(str(tmp_path / "out"), [path], cells).problems == []
    rows["ctr_pt_position"] = pa.array((np.stack(axes, axis=1) + 3).tolist())
    other = write_parquet(tmp_path / "other.parquet", rows)
    problems = verify(str(tmp_path / "out"), [other], cells).problems
    assert all(line.endswith("differs from the input.") for line in problems)
    assert bool(problems) == bool(cells)


def test_a_table_without_a_cell_is_verified(tmp_path):
    """If no row has a root ID, the table of cells is empty."""
    nobody = {"pre_pt_root_id": [0] * 50, "post_pt_root_id": [0] * 50}
    run(
        tmp_path / "out",
        write_parquet(tmp_path / "a.parquet", make_rows(50, **nobody)),
        counts=True,
    )
    found = verify(str(tmp_path / "out"))
    assert found.problems == []
    assert found.checked[-1] == "cells.parquet: 0 cells, with the counts of the indexes."
