"""Published sources are read back complete and exact by independent readers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publish.tables import CELL, group_ids, make_rows, run, write_parquet
from synglancer.publish import plan, publishing
from synglancer.publish.sharding import Sharding
from synglancer.publish.source import open_source
from synglancer.publish.tag_reader import TagReader
from synglancer.publish.verify import verify
from synglancer.publish.writing.shards import _order_single

IDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.integers(0, 40),
    st.sampled_from([2**64 - 1, 2**63, 2**53 + 1, 2**32, 1 << 40]),
)
TAGS = st.one_of(
    st.sampled_from(["spine", "shaft", "soma"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=0, max_size=6),
)
POINTS = st.integers(-(2**24), 2**24)


@st.composite
def tables(draw):
    number = draw(st.integers(1, 60))
    tags = draw(st.lists(TAGS, min_size=1, max_size=4, unique=True))
    ids = draw(st.lists(IDS, min_size=number, max_size=number, unique=True))

    def column(kind):
        return draw(st.lists(kind, min_size=number, max_size=number))

    roots = st.one_of(st.just(0), IDS)
    return {
        "id": np.array(ids, np.uint64),
        "pre_pt_root_id": np.array(column(roots), np.uint64),
        "post_pt_root_id": np.array(column(roots), np.uint64),
        "ctr_pt_position_x": column(POINTS),
        "ctr_pt_position_y": column(POINTS),
        "ctr_pt_position_z": column(POINTS),
        "size": column(st.integers(0, 2**32 - 1)),
        "value": np.array(column(st.floats(0, 1, width=32)), np.float32),
        "tag": column(st.sampled_from(tags)),
    }


def assert_exact(folder, rows):
    """Everything in a table is in its sources: each row once in every index, with its values."""
    manifest = json.loads((folder / "synglancer.json").read_bytes())
    found = verify(str(folder))
    assert found.problems == []
    assert {one["tag"]: one["rows"] for one in manifest["tags"]} == {
        tag: list(rows["tag"]).count(tag) for tag in set(map(str, rows["tag"]))
    }
    by_tag = {
        one["tag"]: TagReader(f"{folder}/{one['folder']}", manifest["properties"])
        for one in manifest["tags"]
    }
    for relationship in ("pre", "post"):
        for (tag, cell), ids in group_ids(rows, f"{relationship}_pt_root_id").items():
            info = by_tag[tag].info
            index = next(one for one in info["relationships"] if one["id"] == relationship)
            assert sorted(by_tag[tag].read_group(index, cell)["id"].tolist()) == ids
    columns = [rows[name] for name in rows]
    for id_, pre, post, x, y, z, size, value, tag in zip(*columns, strict=True):
        one = by_tag[str(tag)].read_single(int(id_))
        assert one["body"]["point"].tolist() == [np.float32(axis) for axis in (x, y, z)]
        assert (one["body"]["confidence"], one["body"]["size"]) == (np.float32(value), size)
        assert (one["pre"], one["post"]) == tuple([int(c)] if int(c) else [] for c in (pre, post))


@given(tables())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_any_table_is_read_back_exactly(rows):
    """Any IDs up to 2^64 - 1, any cells, tags and positions are read back by tensorstore."""
    folder = Path(tempfile.mkdtemp())
    try:
        path = write_parquet(folder / "rows.parquet", rows)
        run(folder / "out", path)
        assert_exact(folder / "out", rows)
    finally:
        shutil.rmtree(folder)


def test_what_is_missing_is_not_called_complete(tmp_path):
    """A tag with a problem has no line among what was found in order; the other tags have one."""
    path = write_parquet(tmp_path / "rows.parquet", make_rows(3_000))
    run(tmp_path / "out", path)
    shutil.rmtree(tmp_path / "out/spine/by_id")
    found = verify(str(tmp_path / "out"))
    assert any(problem.startswith("spine: IDs: 0 instead of ") for problem in found.problems)
    assert [line.partition(":")[0] for line in found.checked] == ["shaft", "soma"]


def test_many_rows_in_many_shards_are_read_back(tmp_path, monkeypatch):
    """With little memory, there are several slabs, shards and levels, and still each row once."""
    monkeypatch.setattr(publishing, "_LEAST_ROWS", 6_000)
    monkeypatch.setattr(plan, "_LIMIT", 600)
    rows = make_rows(24_000)
    path = write_parquet(tmp_path / "rows.parquet", rows, row_group_size=3_600)
    run(tmp_path / "out", path, memory=1)
    assert len([*(tmp_path / "out/spine/by_id").iterdir()]) == 4
    assert len(json.loads((tmp_path / "out/spine/info").read_bytes())["spatial"]) == 4
    found = verify(str(tmp_path / "out"), [path])
    assert found.problems == []
    source = open_source(str(tmp_path / "out"))
    for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id")):
        groups = group_ids(rows, column)
        for tag in ("spine", "shaft", "soma"):
            read = source.read_rows(CELL, direction, tag)
            assert read["id"].tolist() == groups.get((tag, CELL), [])
            assert source.count_rows(CELL)[direction][tag] == len(groups.get((tag, CELL), []))


def test_large_cells_are_compressed_and_small_ones_are_not(tmp_path):
    """Relationships to large cells are compressed; those to small cells are not, to save gzip's
    overhead."""
    rows = make_rows(4000, tag=["spine"] * 4000)
    rows["post_pt_root_id"] = np.uint64(CELL) + np.arange(4000, dtype=np.uint64) % np.uint64(3)
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows))
    info = json.loads((tmp_path / "out/spine/info").read_bytes())
    encodings = {one["id"]: one["sharding"]["data_encoding"] for one in info["relationships"]}
    assert encodings == {"pre": "raw", "post": "gzip"}
    assert verify(str(tmp_path / "out")).problems == []
    source = open_source(str(tmp_path / "out"))
    for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id")):
        for (_, cell), ids in group_ids(rows, column).items():
            assert source.read_rows(cell, direction, "spine")["id"].tolist() == ids
            assert source.count_rows(cell)[direction]["spine"] == len(ids)


def test_forty_tags_with_odd_names_have_folders_of_their_own(tmp_path):
    """Tags that differ in case, slashes, dots or script never share a folder, or leave theirs."""
    odd = ["spine", "Spine", "SPINE", "..", ".", "", "/", "a/b", "a b", "a-b", "con", "by_id"]
    odd += ["..\\x", "é", "日本", "x" * 300, "tag\nline", "%2e%2e", "info", "synglancer.json"]
    odd += [f"tag {number}" for number in range(20)]
    rows = make_rows(400, tag=[odd[number % 40] for number in range(400)])
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows))
    manifest = json.loads((tmp_path / "out/synglancer.json").read_bytes())
    folders = [one["folder"] for one in manifest["tags"]]
    assert len({folder.lower() for folder in folders}) == 40
    assert all((tmp_path / "out" / folder / "info").is_file() for folder in folders)
    assert_exact(tmp_path / "out", rows)


def test_many_rows_at_one_point(tmp_path, monkeypatch):
    """Rows that no grid cell can divide are all stored, in a limited number of levels."""
    monkeypatch.setattr(plan, "_LIMIT", 300)
    rows = make_rows(6_000)
    for axis in "xyz":
        rows[f"ctr_pt_position_{axis}"] = np.full(6_000, 777_777)
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows))
    assert verify(str(tmp_path / "out")).problems == []
    info = json.loads((tmp_path / "out/spine/info").read_bytes())
    assert len(info["spatial"]) <= 11


@pytest.mark.parametrize(
    ("ids", "sharding"),
    [
        (range(20_000), ("identity", 10)),  # near IDs are near each other, to be read at once
        ([one << 44 for one in range(20_000)], ("identity", 54)),
        # Here every choice of bits puts half of them into one minishard.
        (
            [one << shift for shift in (20, 40) for one in range(1, 10_001)],
            ("murmurhash3_x86_128", 0),
        ),
    ],
)
def test_ids_are_spread_evenly_with_near_ones_together(tmp_path, ids, sharding):
    """Blocks of near IDs share a minishard; IDs without evenly spread bits are hashed."""
    rows = make_rows(20_000, tag=["spine"] * 20_000)
    rows["id"] = np.array(ids, np.uint64)
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows))
    found = json.loads((tmp_path / "out/spine/info").read_bytes())["by_id"]["sharding"]
    assert (found["hash"], found["preshift_bits"]) == sharding
    assert verify(str(tmp_path / "out")).problems == []


CLOUD_VOLUME = """
import json, sys
from cloudvolume.cloudvolume import from_cloudpath
volume = from_cloudpath(sys.argv[1])
read = {}
for cell in json.loads(sys.argv[2]):
    found = volume.get_by_relationship("post", cell)
    read[str(cell)] = [
        found.ids.tolist(), found.geometry.tolist(), found.properties["size"].tolist()
    ]
try:
    volume.get_by_relationship("post", 1234)
except ValueError as error:
    read["missing"] = str(error)
print(json.dumps(read))
"""


def test_an_annotation_is_never_written_twice():
    """If repeated rows were overlooked, no shard is written, because viewers would show both."""
    ids = np.array([5, 3, 5], np.uint64)
    with pytest.raises(AssertionError, match="an annotation was to be written twice"):
        _order_single(ids, Sharding("identity", 1, 0, "raw"))


def test_cloud_volume_reads_what_is_published(tmp_path):
    """cloud-volume reads every cell exactly, and notices when there is none."""
    rows = make_rows(3000)
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows))
    inputs = group_ids(rows, "post_pt_root_id")
    cells = [cell for tag, cell in inputs if tag == "spine"]
    # In a separate process, because other tests load only parts of cloud-volume.
    words = [f"precomputed://file://{tmp_path}/out/spine", json.dumps(cells)]
    done = subprocess.run(
        [sys.executable, "-c", CLOUD_VOLUME, *words], capture_output=True, text=True, check=True
    )
    read = json.loads(done.stdout)
    assert "1234" in read.pop("missing")
    where = {int(id_): number for number, id_ in enumerate(rows["id"])}
    for cell in cells:
        ids, points, sizes = read[str(cell)]
        assert sorted(ids) == inputs["spine", cell]
        numbers = [where[id_] for id_ in ids]
        assert sizes == rows["size"][numbers].tolist()
        axes = [rows[f"ctr_pt_position_{axis}"][numbers].tolist() for axis in "xyz"]
        assert points == [list(map(float, point)) for point in zip(*axes, strict=True)]


def test_a_viewer_draws_a_random_part_of_a_cell_first(tmp_path):
    """Within a cell of a level, rows are in random order, so any part of them is a sample."""
    rows = make_rows(4000, tag=["spine"] * 4000)
    rows["id"] = np.arange(4000, dtype=np.uint64)
    run(tmp_path / "out", write_parquet(tmp_path / "rows.parquet", rows))
    reader = TagReader(f"{tmp_path}/out/spine", ["confidence", "size"])
    read = reader.read_group(reader.levels[0], 0)["id"]
    assert len(read) == 4000
    assert 1700 < read[:400].mean() < 2300
