"""The forms of tables that can be published."""

from __future__ import annotations

import csv
import gzip
import json
import os
import sys

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from publish.tables import make_rows, read_files, run, write_parquet
from synglancer.errors import OutputError, UsageError
from synglancer.publish import publishing
from synglancer.publish.inputs import find_files
from synglancer.publish.tag_reader import TagReader
from synglancer.publish.verify import verify


def write_csv(path, rows):
    path.parent.mkdir(exist_ok=True)
    with (gzip.open if path.suffix.lower() == ".gz" else open)(path, "wt", newline="") as file:
        csv.writer(file).writerows([rows, *zip(*rows.values(), strict=True)])
    return str(path)


def published(tmp_path, *inputs, **options):
    """Publish; return the manifest, and all other files."""
    number = len([*tmp_path.glob("out-*")])
    out = tmp_path / f"out-{number}"
    manifest = run(out, *map(str, inputs), **options)
    files = read_files(out)
    del files["synglancer.json"]
    return files, manifest


@pytest.fixture
def rows():
    return make_rows(600)


@pytest.fixture
def expected(tmp_path, rows):
    return published(tmp_path, write_parquet(tmp_path / "plain.parquet", rows))[0]


def test_several_files_a_glob_and_a_folder_are_one_table(tmp_path, rows, expected):
    """However a table is divided into files, the result is the same."""
    for number in range(3):
        part = {name: column[number * 200 : (number + 1) * 200] for name, column in rows.items()}
        write_parquet(tmp_path / f"parts/{number}.parquet", part)
    files = sorted((tmp_path / "parts").iterdir())
    assert published(tmp_path, *files)[0] == expected
    assert published(tmp_path, tmp_path / "parts/*.parquet")[0] == expected
    assert published(tmp_path, tmp_path / "parts")[0] == expected


def test_a_file_given_twice_among_thousands_is_found(tmp_path):
    """However many files there are, each is published once, also one that is given by a link."""
    files = [tmp_path / f"{number}.csv" for number in range(2000)]
    for file in files:
        file.touch()
    assert len(find_files([str(tmp_path)])) == len(files)
    (tmp_path / "again.csv").symlink_to(files[-1])
    with pytest.raises(UsageError, match=r"1999\.csv was given twice\.$"):
        find_files([str(tmp_path)])


def test_the_columns_of_the_notebook_are_known(tmp_path, rows, expected):
    """In a query of a reference table, id is the prediction's ID, and target_id the synapse's."""
    other = {"target_id": rows.pop("id"), **rows, "id": np.arange(600) + 5}
    assert published(tmp_path, write_parquet(tmp_path / "a.parquet", other))[0] == expected


def test_positions_in_one_column_and_ids_as_text(tmp_path, rows, expected):
    """Positions as lists, IDs as text and tags as categories can be read, too."""
    axes = [rows.pop(f"ctr_pt_position_{axis}") for axis in "xyz"]
    rows["ctr_pt_position"] = pa.array(np.stack(axes, axis=1).tolist(), pa.list_(pa.int64()))
    rows["tag"] = pa.array(rows["tag"]).dictionary_encode()
    for name in ("id", "pre_pt_root_id", "post_pt_root_id"):
        rows[name] = [str(one) for one in rows[name]]
    assert published(tmp_path, write_parquet(tmp_path / "a.parquet", rows))[0] == expected


def test_positions_as_pandas_writes_them_into_csv(tmp_path, rows, expected):
    """A notebook's CSV file may have positions such as [1 2 3], and quoted text with commas."""
    axes = [rows.pop(f"ctr_pt_position_{axis}") for axis in "xyz"]
    rows["value"] = rows["value"].astype(np.float64)
    rows["note"] = ['"a, b\nc"'] * 600
    for form in ("[{} {} {}]", '"[{}, {}, {}]"'):
        rows["ctr_pt_position"] = [form.format(*point) for point in zip(*axes, strict=True)]
        lines = [",".join(map(str, values)) for values in zip(*rows.values(), strict=True)]
        path = tmp_path / "rows.csv"
        path.write_text("\n".join([",".join(rows), *lines]))
        assert published(tmp_path, path)[0] == expected


def test_a_delta_lake_folder_without_its_removed_files(tmp_path, rows, expected):
    """Overwritten and deleted rows are not published, although their files still exist."""
    folder = tmp_path / "delta"
    write_deltalake(folder, pa.table(make_rows(500, seed=5)))
    table = {
        name: column.astype(np.int64) if getattr(column, "dtype", None) == np.uint64 else column
        for name, column in rows.items()
    }
    write_deltalake(folder, pa.table(table), mode="overwrite")
    assert len([*folder.glob("*.parquet")]) == 2
    assert published(tmp_path, folder)[0] == expected
    DeltaTable(folder).delete("tag = 'soma'")
    _, manifest = published(tmp_path, folder)
    assert [one["tag"] for one in manifest["tags"]] == ["shaft", "spine"]


def test_a_delta_lake_folder_that_is_partitioned_is_refused(tmp_path, rows):
    """Its files lack the column by which they are divided."""
    table = {
        name: rows[name].astype(np.int64) if name.endswith("id") else rows[name] for name in rows
    }
    write_deltalake(tmp_path / "delta", pa.table(table), partition_by=["tag"])
    with pytest.raises(UsageError, match="is partitioned by tag"):
        published(tmp_path, tmp_path / "delta")


@pytest.mark.parametrize("memory", [1_000_000_000, 100_000_000])
def test_predictions_are_joined_with_their_synapses(tmp_path, rows, expected, memory):
    """Predictions and synapses in separate files give the same as the joined table; other rows are
    counted."""
    other = make_rows(300, seed=9)
    other["id"] = other["id"] + np.uint64(1_000_000)
    tag, value = rows.pop("tag"), rows.pop("value")
    synapses = {name: np.concatenate([rows[name], other[name]]) for name in rows}
    predictions = {
        "id": np.arange(610),
        "target_id": np.concatenate([rows["id"], np.arange(10, dtype=np.uint64) + 2**40]),
        "tag": [*tag, *["spine"] * 10],
        "value": np.concatenate([value, np.zeros(10, np.float32)]),
    }
    order = np.random.default_rng(3).permutation(610)
    predictions = {name: np.asarray(column)[order] for name, column in predictions.items()}
    one = write_parquet(tmp_path / "predictions.parquet", predictions)
    two = write_parquet(tmp_path / "synapses.parquet", synapses)
    files, manifest = published(tmp_path, one, synapses=(two,), memory=memory)
    assert files == expected
    assert manifest["left_out"] == {"without a synapse": 10}
    with pytest.raises(UsageError, match="predictions") as caught:
        published(tmp_path, two, synapses=(two,))
    assert "target_id" in str(caught.value)
    with pytest.raises(UsageError, match="has no column") as caught:
        published(tmp_path, one)
    assert "--synapses" in caught.value.hint


def test_the_most_confident_of_repeated_rows_stays(tmp_path, rows):
    """A synapse in several files is published once, with the tag of its most confident
    prediction."""
    again = {**rows, "value": rows["value"] / 2, "tag": ["soma"] * 600}
    one = write_parquet(tmp_path / "a.parquet", again)
    two = write_parquet(tmp_path / "b.parquet", rows)
    out = tmp_path / "out"
    manifest = run(out, one, two, memory=100_000_000)
    assert manifest["left_out"] == {"repeating a synapse": 600}
    assert manifest["rows"] == 600
    assert {one["tag"]: one["rows"] for one in manifest["tags"]} == {
        tag: list(rows["tag"]).count(tag) for tag in ("shaft", "soma", "spine")
    }
    assert verify(str(out), [two]).problems == []


@pytest.mark.parametrize("kept", [[], ["size"], ["value"]])
def test_tables_without_confidence_or_size_are_published_without(tmp_path, rows, kept):
    """A number that the table lacks is not a property of its annotations; others keep their
    values."""
    rows = {name: rows[name] for name in rows if name in kept or name not in {"size", "value"}}
    out = tmp_path / "out"
    run(out, write_parquet(tmp_path / "a.parquet", rows))
    names = ["confidence" if name == "value" else name for name in kept]
    properties = json.loads((out / "spine/info").read_bytes())["properties"]
    assert [one["id"] for one in properties] == names
    assert verify(str(out), [str(tmp_path / "a.parquet")]).problems == []
    reader = TagReader(str(out / "spine"), names)
    for number in np.flatnonzero(rows["tag"] == "spine")[:20]:
        body = reader.read_single(int(rows["id"][number]))["body"]
        assert [body[name] for name in names] == [rows[name][number] for name in kept]


def test_a_little_memory_changes_no_row(tmp_path, rows, monkeypatch):
    """Every row is published once from many small parts, even if they do not have every tag, and
    repeated rows are found in each part."""
    order = np.argsort(rows["tag"], kind="stable")
    rows = {name: np.asarray(rows[name])[order] for name in rows}
    again = {**rows, "value": rows["value"] / 2}
    one = write_parquet(tmp_path / "a.parquet", again)
    two = write_parquet(tmp_path / "b.parquet", rows)
    monkeypatch.setattr(publishing, "_LEAST_ROWS", 100)
    monkeypatch.setattr(publishing, "_REPEAT_ROWS", 250)
    manifest = run(tmp_path / "out", one, two, memory=100_000_000)
    assert (manifest["rows"], manifest["left_out"]) == (600, {"repeating a synapse": 600})
    assert verify(str(tmp_path / "out"), [two]).problems == []


def test_rows_that_cannot_be_published_are_counted_by_reason(tmp_path, rows):
    """If nothing is left of a table, the reason is told."""
    rows["size"] = [None] * 600
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", write_parquet(tmp_path / "a.parquet", rows))
    assert str(caught.value) == "No row can be published: 600 without a size."
    assert caught.value.hint == "Check the columns of the input."
    assert not (tmp_path / "out").exists()


def test_an_untagged_row_is_published_as_untagged(tmp_path, rows):
    """A prediction without a tag is shown as in links, and counted."""
    rows["tag"] = [None, *rows["tag"][1:]]
    _, manifest = published(tmp_path, write_parquet(tmp_path / "a.parquet", rows))
    assert manifest["kept"] == {"without a tag": 1}
    assert "untagged" in {one["tag"] for one in manifest["tags"]}


def test_an_empty_table_is_refused(tmp_path, rows):
    """If there is nothing to publish, that is an error that leaves nothing, so the right table can
    follow."""
    empty = {name: np.asarray(column)[:0] for name, column in rows.items()}
    path = write_parquet(tmp_path / "a.parquet", empty)
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", str(path))
    assert str(caught.value) == "The input has no rows."
    assert caught.value.hint == "Give a table with at least one synapse."
    broken = tmp_path / "broken.parquet"
    for path in (broken, tmp_path / "blank.csv"):
        path.touch()
        with pytest.raises(UsageError, match=f"{path.name} is empty"):
            run(tmp_path / "out", str(path))
    assert not (tmp_path / "out").exists()
    right = write_parquet(tmp_path / "right.parquet", rows)
    assert run(tmp_path / "out", str(right))["rows"] == len(rows["id"])


def test_bytes_that_are_no_text_are_not_quoted(tmp_path):
    """A file of random bytes, or with random column names, is reported without quoting them."""
    content = np.random.default_rng(1).bytes(3000)
    for number, head in enumerate((content, b"a\x1b[2J\x07,b\n1,2\n", b"\xff\xfe\n1\n")):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(head)
        with pytest.raises(UsageError, match=path.name) as caught:
            run(tmp_path / "out", str(path))
        assert str(caught.value).isprintable()
        assert "\ufffd" not in str(caught.value)
        assert len(str(caught.value)) < 600
    many = {f"column_{number}": [1] for number in range(1000)}
    with pytest.raises(UsageError, match="and 950 more"):
        run(tmp_path / "out", write_parquet(tmp_path / "wide.parquet", many))


@pytest.mark.parametrize("given", ["s3://bucket/table.parquet", "table.csv"])
def test_without_the_extra_nothing_is_begun(tmp_path, monkeypatch, given):
    """Without its libraries, publishing says how to install them, whatever is to be published."""
    for library in ("isal", "fsspec", "duckdb"):
        monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", given)
    assert caught.value.hint == "Install it with: pip install 'synglancer[publish]'."
    assert not (tmp_path / "out").exists()


def test_files_are_known_whatever_the_case_of_their_endings(tmp_path, rows, expected):
    """A folder's files that end in .CSV, .CSV.GZ or .PARQUET are not skipped, nor read as another
    format."""
    rows["value"] = rows["value"].astype(np.float64)
    parts = [{name: rows[name][at : at + 200] for name in rows} for at in (0, 200, 400)]
    write_csv(tmp_path / "parts/a.CSV", parts[0])
    write_csv(tmp_path / "parts/b.CSV.GZ", parts[1])
    write_parquet(tmp_path / "parts/c.PARQUET", parts[2])
    assert published(tmp_path, tmp_path / "parts")[0] == expected
    (out,) = tmp_path.glob("out-1")
    assert verify(str(out), [str(tmp_path / "parts")]).problems == []
    (tmp_path / "notes.TXT.GZ").touch()
    with pytest.raises(UsageError, match="is neither a Parquet nor a CSV file, by its name"):
        find_files([str(tmp_path / "notes.TXT.GZ")])


def test_a_csv_file_at_an_address_is_read(tmp_path, rows, expected):
    """An address is read as a path is, also if its file is compressed."""
    rows["value"] = rows["value"].astype(np.float64)
    path = write_csv(tmp_path / "rows.csv.gz", rows)
    assert published(tmp_path, f"file://{path}")[0] == expected


def test_a_folder_without_tables_is_refused(tmp_path):
    """A folder of other files is no input, and is not an empty one."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").touch()
    with pytest.raises(UsageError) as caught:
        find_files([str(tmp_path / "notes")])
    assert str(caught.value) == f"{tmp_path}/notes holds neither Parquet nor CSV files."
    assert caught.value.hint == "Give the files themselves."


def test_columns_of_the_same_name_are_refused(tmp_path):
    """Which of two columns of a CSV file is meant is not guessed."""
    path = tmp_path / "a.csv"
    path.write_text("id,tag,tag\n1,spine,shaft\n")
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", str(path))
    assert str(caught.value) == f"{path} has several columns of the same name."
    assert caught.value.hint == "Rename one of them."
    assert not (tmp_path / "out").exists()


def test_files_with_other_numbers_are_refused(tmp_path, rows):
    """All annotations of a source carry the same numbers, so all files need them."""
    one = write_parquet(tmp_path / "a.parquet", rows)
    for absent, said in ((("size",), "size"), (("size", "value"), "confidence and no size")):
        other = {name: rows[name] for name in rows if name not in absent}
        two = write_parquet(tmp_path / "b.parquet", other)
        for given in ((one, two), (two, one)):
            with pytest.raises(UsageError) as caught:
                run(tmp_path / "out", *given)
            assert str(caught.value) == f"{two} has no {said}, unlike {one}."
            assert caught.value.hint == "Give files with the same columns."
            assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_while_a_csv_file_is_converted_is_named(tmp_path, monkeypatch):
    """A full disk is not taken for a CSV file that cannot be read."""
    path = write_csv(tmp_path / "a.csv", make_rows(5))

    def fail(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter", fail)
    with pytest.raises(OutputError) as caught:
        run(tmp_path / "out", path)
    assert str(caught.value) == (
        f"{tmp_path}/out/.publishing cannot be written, because the disk is full."
    )


@pytest.fixture
def halves(rows):
    """Predictions and synapses of the same table."""
    predictions = {"target_id": rows["id"], "tag": rows.pop("tag"), "value": rows.pop("value")}
    return predictions, rows


@pytest.mark.parametrize(
    ("side", "change", "said"),
    [
        (0, lambda ids: ["x", *ids[1:]], "column 'target_id' holds no ID in row 1 ('x')."),
        (0, lambda ids: [*ids[:8], "7.6", *ids[9:]],
         "column 'target_id' holds no ID in row 9 ('7.6')."),
        (1, lambda ids: [*ids[:8], " 7", *ids[9:]], "column 'id' holds no ID in row 9 (' 7')."),
        (1, lambda ids: [str(2**64), *ids[1:]], f"column 'id' holds no ID in row 1 ('{2**64}')."),
        (1, lambda ids: np.array([*ids[:-1], -1], np.int64),
         "column 'id' holds no ID in row 600 ('-1')."),
        (1, lambda ids: np.array(ids, float),
         "column 'id' holds floating-point numbers, which round IDs."),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_named(tmp_path, halves, side, change, said):
    """A join names the file, the column and the row of a value that is no ID, and rounds none."""
    key = ("target_id", "id")[side]
    ids = change(halves[side][key].tolist())
    halves[side][key] = ids if isinstance(ids, np.ndarray) else list(map(str, ids))
    paths = [
        write_parquet(tmp_path / f"{number}.parquet", half) for number, half in enumerate(halves)
    ]
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", paths[0], synapses=(paths[1],))
    assert str(caught.value) == f"{paths[side]}: {said}"
    assert not (tmp_path / "out").exists()


def test_a_wrong_value_behind_a_join_is_not_laid_to_the_predictions(tmp_path, halves):
    """Rows of a join are those of no file, so both files are named."""
    predictions, synapses = halves
    synapses["pre_pt_root_id"] = ["x"] * 600
    one = write_csv(tmp_path / "a.csv", predictions)
    two = write_csv(tmp_path / "b.csv", synapses)
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", one, synapses=(two, write_parquet(tmp_path / "c.parquet", synapses)))
    assert str(caught.value) == (
        f"the join of {one} and {two} (and 1 more): column 'pre_pt_root_id' holds no ID in row 1 "
        "('x')."
    )


def test_predictions_of_other_synapses_are_refused(tmp_path, halves):
    """If no prediction has its synapse, the input is not said to be empty."""
    predictions, synapses = halves
    synapses["id"] = np.asarray(synapses["id"]) + 10**9
    one = write_parquet(tmp_path / "a.parquet", predictions)
    two = write_parquet(tmp_path / "b.parquet", synapses)
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "out", one, synapses=(two,))
    assert str(caught.value) == "No row can be published: 600 without a synapse."
    assert caught.value.hint == "Give the table of synapses that these predictions belong to."
    assert not (tmp_path / "out").exists()


def test_a_prediction_without_an_id_is_counted(tmp_path, halves):
    """What cannot be joined is left out, and said to be."""
    predictions, synapses = halves
    predictions["target_id"] = [None, None, *predictions["target_id"].tolist()[2:]]
    one = write_parquet(tmp_path / "a.parquet", predictions)
    two = write_parquet(tmp_path / "b.parquet", synapses)
    _, manifest = published(tmp_path, one, synapses=(two,))
    assert (manifest["rows"], manifest["left_out"]) == (598, {"without a synapse": 2})


@pytest.mark.parametrize(
    ("side", "absent", "instead"),
    [
        (0, "value", None),
        (0, "value", "confidence"),
        (1, "size", None),
        (1, "ctr_pt_position_x", "ctr_pt_position"),
    ],
)
def test_halves_with_other_columns_are_refused(tmp_path, halves, side, absent, instead):
    """A join loses no number because one of several files lacks it, whichever comes first."""
    paths = [write_parquet(tmp_path / f"{side}.parquet", half) for side, half in enumerate(halves)]
    taken = halves[side].pop(absent)
    if instead:
        halves[side][instead] = taken
    whole, odd = paths[side], write_parquet(tmp_path / "odd.parquet", halves[side])
    every = [absent.replace("_x", f"_{axis}") for axis in "xyz"]
    lacks = f"{odd} has no {' and no '.join(dict.fromkeys(every))}, unlike {whole}."
    lacks_other = f"{whole} has no {instead}, unlike {odd}." if instead else lacks
    for pair, said in (((whole, odd), lacks), ((odd, whole), lacks_other)):
        given = [(path,) for path in paths]
        given[side] = pair
        with pytest.raises(UsageError) as caught:
            run(tmp_path / "out", *given[0], synapses=given[1])
        assert str(caught.value) == said
        assert caught.value.hint == "Give files with the same columns."
        assert not (tmp_path / "out").exists()
