"""Reading data folders: what is found, and what is refused with an error and a hint."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime, timezone

import pandas as pd
import pytest

from cave_sandbox.errors import InputError
from cave_sandbox.tables.data_folder import identify_folder, read_datasets
from cave_sandbox.tables.database import Tables
from cave_sandbox.tables.schemas import documents, fields_of

POSITIONS = [f"{pt}_pt_position_{axis}" for pt in ("pre", "ctr", "post") for axis in "xyz"]
SYNAPSE_COLUMNS = ["id", *POSITIONS, "size", "pre_pt_root_id", "post_pt_root_id"]


def synapse_frame(count=2):
    rows = [[place, *range(9), 1.5, 2**60 + place, 7] for place in range(1, count + 1)]
    return pd.DataFrame(rows, columns=SYNAPSE_COLUMNS)


def prediction_frame():
    return pd.DataFrame({"id": [5], "target_id": [1], "tag": ["spine"], "value": [0.9]})


def write_csv(folder, name, frame):
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / f"{name}.csv", index=False)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz"])
def test_each_form_of_a_table_holds_the_same_rows(tmp_path, suffix):
    """Parquet, CSV and compressed CSV of the same rows are the same table."""
    path = tmp_path / f"synapses_pni_2.{suffix}"
    frame = synapse_frame()
    frame.to_parquet(path) if suffix == "parquet" else frame.to_csv(path, index=False)
    datasets = read_datasets(tmp_path)
    tables = Tables(datasets)
    try:
        rows = tables.run('SELECT * FROM "minnie65_public"."synapses_pni_2" ORDER BY id')
    finally:
        tables.close()
    assert rows["pre_pt_root_id"].to_pylist() == [2**60 + 1, 2**60 + 2]
    assert rows["size"].to_pylist() == [1.5, 1.5]
    assert rows["pre_pt_supervoxel_id"].to_pylist() == [0, 0]
    assert rows["valid"].to_pylist() == [True, True]
    assert rows["created"][0].as_py() == datasets["minnie65_public"].versions[0].time_stamp


def test_a_folder_of_tables_alone_is_the_default_datastack(tmp_path):
    """Without a description, the datastack is minnie65_public at 1718, with guessed schemas."""
    write_csv(tmp_path / "tables", "any_synapses", synapse_frame())
    write_csv(tmp_path, "any_predictions", prediction_frame())
    (dataset,) = read_datasets(tmp_path).values()
    assert dataset.name == "minnie65_public"
    assert [version.version for version in dataset.versions] == [1718]
    assert dataset.tables["any_synapses"].schema == "synapse"
    predictions = dataset.tables["any_predictions"]
    assert predictions.schema == "reference_tag_float"
    assert predictions.reference_table == "any_synapses"


def test_several_datastacks_are_sub_folders(tmp_path):
    """Each sub-folder with a description is a datastack."""
    for name in ("one", "two"):
        write_csv(tmp_path / name, "synapses", synapse_frame())
        (tmp_path / name / "datastack.json").write_text(json.dumps({"name": name}))
    assert set(read_datasets(tmp_path)) == {"one", "two"}


def test_versions_keep_their_times_and_tables(tmp_path):
    """A version has the time, expiry, status and tables of the description."""
    write_csv(tmp_path, "synapses", synapse_frame())
    versions = [
        {"version": 5, "time_stamp": "2024-01-02T03:04:05Z", "tables": []},
        {"version": 6, "time_stamp": "2025-01-02T03:04:05", "status": "EXPIRED"},
    ]
    (tmp_path / "datastack.json").write_text(json.dumps({"versions": versions}))
    (dataset,) = read_datasets(tmp_path).values()
    first, second = dataset.versions
    assert first.time_stamp == datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert first.expires_on > first.time_stamp
    assert dataset.table("synapses", first) is None
    assert dataset.table("synapses", second) is None
    assert dataset.table("synapses", None) is not None


def test_a_successor_without_a_row_begins_when_its_predecessor_ends(tmp_path):
    """Root IDs named only as successors are valid from then on."""
    write_csv(tmp_path, "synapses", synapse_frame())
    (tmp_path / "roots.csv").write_text(
        "root_id,created,expired,successors\n1,2020-01-01,2021-01-01,2 3\n"
    )
    (dataset,) = read_datasets(tmp_path).values()
    ended = datetime(2021, 1, 1, tzinfo=timezone.utc)
    assert dataset.roots[2].created == dataset.roots[3].created == ended
    assert dataset.roots[2].expired is None
    assert not dataset.roots[1].valid_at(ended)
    assert dataset.roots[2].valid_at(ended)


def broken_description(text):
    def write(folder):
        write_csv(folder, "synapses", synapse_frame())
        (folder / "datastack.json").write_text(text)

    return write


def broken_table(frame, name="synapses", description=None):
    def write(folder):
        write_csv(folder, name, frame)
        if description is not None:
            (folder / "datastack.json").write_text(json.dumps(description))

    return write


def broken_bytes(name, content):
    def write(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return write


def twins(folder):
    for name in ("a", "b"):
        write_csv(folder / name, "synapses", synapse_frame())
        (folder / name / "datastack.json").write_text('{"name": "same"}')


def text_sizes():
    return synapse_frame().assign(size=["large", "small"])


def rounded_ids(folder):
    folder.mkdir()
    frame = synapse_frame().astype({"pre_pt_root_id": "float64"})
    frame.to_parquet(folder / "synapses.parquet")


def whole_positions():
    frame = synapse_frame().drop(columns=[f"ctr_pt_position_{axis}" for axis in "xyz"])
    return frame.assign(ctr_pt_position=["[1, 2, 3]", "[4, 5, 6]"])


def joined_frame(suffixes):
    return prediction_frame().merge(
        synapse_frame(), left_on="target_id", right_on="id", suffixes=suffixes
    )


SYNAPSES = {"tables": {"synapses": {"schema": "synapse"}}}
BROKEN = {
    "no tables": (lambda folder: folder.mkdir(exist_ok=True), "no tables"),
    "not JSON": (broken_description("{"), "JSON"),
    "a list": (broken_description("[]"), "JSON object"),
    "info is a list": (broken_description('{"info": [1]}'), '"info"'),
    "versions without time": (broken_description('{"versions": [{"version": 1}]}'), "versions"),
    "versions of no kind": (broken_description('{"versions": 3}'), "versions"),
    "a table without a file": (broken_description('{"tables": {"gone": {}}}'), "gone"),
    "an unknown schema": (
        broken_description('{"tables": {"synapses": {"schema": "blob"}}}'),
        "blob",
    ),
    "resolution of two": (
        broken_description('{"tables": {"synapses": {"voxel_resolution": [1, 2]}}}'),
        "voxel_resolution",
    ),
    "resolution of zero": (
        broken_description('{"tables": {"synapses": {"voxel_resolution": [4, 4, 0]}}}'),
        "voxel_resolution",
    ),
    "no id": (broken_table(synapse_frame().drop(columns="id"), description=SYNAPSES), "id"),
    "strange columns": (broken_table(pd.DataFrame({"id": [1], "x": [2]})), "no schema"),
    "a column is missing": (
        broken_table(synapse_frame().drop(columns="size"), description=SYNAPSES),
        "size",
    ),
    "text for numbers": (broken_table(text_sizes()), r"column size, row 1: 'large' is no number"),
    "a position too large": (
        broken_table(synapse_frame().assign(ctr_pt_position_y=[4, 2**31])),
        r"synapses.csv, column ctr_pt_position_y, row 2: '2147483648' is no whole number of 32",
    ),
    "a root ID too large": (
        broken_table(synapse_frame().assign(pre_pt_root_id=[7, 2**64])),
        r"column pre_pt_root_id, row 2: '18446744073709551616' is no whole number of 64",
    ),
    "rounded root IDs": (
        rounded_ids,
        r"synapses.parquet, column pre_pt_root_id, row 1: .* rounded",
    ),
    "rounded root IDs in text": (
        broken_table(synapse_frame().assign(pre_pt_root_id=["7", "8.64691135276234e17"])),
        r"column pre_pt_root_id, row 2: .* rounded",
    ),
    "whole positions": (
        broken_table(whole_positions()),
        r"column ctr_pt_position: each row holds a whole position",
    ),
    "whole positions of a named schema": (
        broken_table(whole_positions(), description=SYNAPSES),
        r"column ctr_pt_position: each row holds a whole position",
    ),
    "the notebook's joined frame": (
        broken_table(joined_frame(("_ref", ""))),
        r"column id_ref: the columns of two tables are joined",
    ),
    "a frame joined by pandas": (
        broken_table(joined_frame(("_x", "_y"))),
        r"column id_x: the columns of two tables are joined",
    ),
    "repeated id": (broken_table(synapse_frame().assign(id=1)), "repeats an ID"),
    "not Parquet": (broken_bytes("synapses.parquet", b"nothing"), "cannot be read"),
    "not gzip": (broken_bytes("synapses.csv.gz", b"nothing"), "cannot be read"),
    "cut gzip": (
        broken_bytes("synapses.csv.gz", gzip.compress(b"id,size\n" * 10_000)[:20]),
        "cannot be read",
    ),
    "two of a name": (twins, "same"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_folder_is_refused_in_two_sentences(tmp_path, name):
    """Errors in a data folder are named, with a hint."""
    write, word = BROKEN[name]
    folder = tmp_path / "data"
    write(folder)
    with pytest.raises(InputError, match=word) as caught:
        Tables(read_datasets(folder)).close()
    assert str(caught.value).endswith(".")
    assert caught.value.hint.endswith(".")


def test_bad_root_ids_are_refused(tmp_path):
    """A root ID that is not a number is an error in the folder, not a crash."""
    write_csv(tmp_path, "synapses", synapse_frame())
    (tmp_path / "roots.csv").write_text("root_id,created,expired,successors\nx,2020-01-01,,\n")
    with pytest.raises(InputError, match="root IDs"):
        read_datasets(tmp_path)


def test_an_absent_folder_is_refused(tmp_path):
    """A missing folder is named."""
    with pytest.raises(InputError, match="nowhere"):
        read_datasets(tmp_path / "nowhere")


def test_every_served_schema_has_columns():
    """Each schema document names columns of known types, with the ID first."""
    for name in documents():
        fields = fields_of(name)
        assert fields[0].name == "id"
        assert len({field.name for field in fields}) == len(fields)


def test_edited_data_have_another_identity(tmp_path):
    """The identity stays the same until a file is edited or added."""
    write_csv(tmp_path, "synapses", synapse_frame())
    first = identify_folder(tmp_path)
    assert identify_folder(tmp_path) == first
    write_csv(tmp_path, "synapses", synapse_frame().assign(size=2.5))
    os.utime(tmp_path / "synapses.csv", ns=(0, 0))
    second = identify_folder(tmp_path)
    (tmp_path / "datastack.json").write_text("{}")
    assert len({first, second, identify_folder(tmp_path)}) == 3


def _describe_two_versions(folder):
    times = {1718: "2026-03-07T08:10:01", 1822: "2026-06-27T08:10:01"}
    versions = [{"version": number, "time_stamp": time} for number, time in times.items()]
    (folder / "datastack.json").write_text(json.dumps({"versions": versions}))


def test_a_version_may_have_rows_of_its_own(tmp_path):
    """A file named after a table and a version holds only that version's rows."""
    _describe_two_versions(tmp_path)
    write_csv(tmp_path / "tables", "synapses", synapse_frame(2))
    write_csv(tmp_path / "tables", "synapses@1822", synapse_frame(5))
    datasets = read_datasets(tmp_path)
    (dataset,) = datasets.values()
    assert [*dataset.tables] == ["synapses"]
    tables = Tables(datasets)
    try:
        counts = {
            number: tables.count(dataset.name, dataset.table("synapses", version).rows)
            for number, version in {
                None: None,
                1718: dataset.version(1718),
                1822: dataset.version(1822),
            }.items()
        }
        assert tables.known_roots(dataset, [2**60 + 5, 2**60 + 6]) == {2**60 + 5}
    finally:
        tables.close()
    assert counts == {None: 2, 1718: 2, 1822: 5}
    assert dataset.table("synapses", dataset.version(1822)).name == "synapses"


@pytest.mark.parametrize("name", ["synapses@1", "others@1822", "synapses@", "@1822"])
def test_rows_of_no_table_and_version_are_refused(tmp_path, name):
    """A file named after an unknown table or version is refused."""
    _describe_two_versions(tmp_path)
    write_csv(tmp_path / "tables", "synapses", synapse_frame())
    write_csv(tmp_path / "tables", name, synapse_frame())
    with pytest.raises(InputError, match="no table and version"):
        read_datasets(tmp_path)
