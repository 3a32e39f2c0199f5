"""``synglancer publish`` and ``serve``: options, output and refusals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests

from cli.outcome import TOKEN
from publish.tables import make_rows, read_files, run, write_parquet


def write_csv(path, rows):
    names = list(rows)
    lines = [",".join(map(str, values)) for values in zip(*rows.values(), strict=True)]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_parquet(tmp_path_factory.mktemp("table") / "rows.parquet", make_rows(500))


@pytest.fixture(scope="module")
def published(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published") / "out"
    run(folder, table)
    return folder


@pytest.fixture
def out(published, tmp_path):
    """The published table, to be changed."""
    return shutil.copytree(published, tmp_path / "out")


def test_it_publishes_and_verifies(synglancer, table, tmp_path):
    """One command writes the sources and the manifest, and another finds them correct."""
    out = tmp_path / "out"
    made = synglancer("publish", table, "-o", out, "--version", 1718, "--workers", 1)
    assert (made.code, made.out) == (0, f"{out}\n")
    assert "synapses in spine" in made.err
    manifest = json.loads((out / "synglancer.json").read_bytes())
    assert manifest["rows"] == manifest["rows_read"] == 500
    assert (manifest["datastack"], manifest["version"]) == ("minnie65_public", 1718)
    assert {path.name for path in out.iterdir()} == {"synglancer.json", "shaft", "soma", "spine"}
    checked = synglancer("publish", "verify", out, "--input", table, "--output", "json")
    assert checked.code == 0
    assert json.loads(checked.out)["good"]


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1718.5", "1718.5 is not a whole number, as --version needs."),
        ("0x6b6", "0x6b6 is not a whole number"),
        ("1_718", "1_718 is not a whole number"),
        ("١٧١٨", "is not a whole number"),
        ("0", "--version 0 is not a materialization version."),
        ("-5", "--version -5 is not a materialization version."),
        (2**31, "--version 2147483648 is not a materialization version."),
        (2**64, "--version 18446744073709551616 is not a materialization version."),
        ("9" * 30, "is too large for --version."),
    ],
)
@pytest.mark.parametrize("source", ["rows.parquet", "cave"])
def test_only_the_number_of_a_version_is_published(
    synglancer, table, tmp_path, version, said, source
):
    """No other version is taken in its place, and CAVE is not asked for it."""
    given = table if source == "rows.parquet" else source
    words = ("--table", "predictions", "-o", tmp_path / "out", f"--version={version}")
    synglancer("publish", given, *words).refuses(2, said)
    assert not (tmp_path / "out").exists()


def test_verify_names_what_is_wrong(synglancer, out):
    """If a shard has lost bytes, verify fails with exit code 5 and names the tag."""
    shard = out / "spine/post/0.shard"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    checked = synglancer("publish", "verify", out)
    assert checked.code == 5
    assert "spine" in checked.out


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"[]", "is damaged"),
        (b"{}", "has no valid value of @type"),
        (b"{", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_verify_names_a_damaged_info_file(content, what, synglancer, out):
    """An invalid info file is a problem of its tag, whatever it contains."""
    (out / "spine/info").write_bytes(content)
    checked = synglancer("publish", "verify", out)
    assert checked.code == 5
    assert checked.out == f"spine cannot be read: {out}/spine/info {what}.\n"


@pytest.mark.parametrize("port", [-1, 65536])
def test_serve_refuses_what_is_no_port(port, synglancer, out):
    """An invalid port number is reported with its option."""
    made = synglancer("serve", out, "--port", port)
    assert (made.code, f"{port} is not a port." in made.err) == (2, True)


def test_verify_finds_rows_that_the_input_does_not_have(synglancer, out, tmp_path):
    """Compared with another table, random cells and IDs differ."""
    other = write_parquet(tmp_path / "other.parquet", make_rows(500, seed=2))
    checked = synglancer("publish", "verify", out, "--input", other)
    assert checked.code == 5
    assert "differs from the input" in checked.out


def test_verify_refuses_an_input_that_it_cannot_compare(synglancer, out, tmp_path):
    """A value of the wrong type in the input is no problem of the source, and no bug."""
    rows = make_rows(50)
    other = write_csv(tmp_path / "other.csv", {**rows, "id": ["one", *rows["id"][1:]]})
    checked = synglancer("publish", "verify", out, "--input", other)
    assert (checked.code, "The input cannot be compared: " in checked.err) == (2, True)


def test_positions_in_one_column_are_compared(synglancer, tmp_path):
    """Positions that pandas wrote to CSV as text are those that were published."""
    rows = make_rows(50)
    axes = [rows.pop(f"ctr_pt_position_{axis}") for axis in "xyz"]
    rows["ctr_pt_position"] = [f"[{x} {y}  {z}]" for x, y, z in zip(*axes, strict=True)]
    path, out = write_csv(tmp_path / "rows.csv", rows), tmp_path / "out"
    assert synglancer("publish", path, "-o", out, "--version", 1, "--workers", 1).code == 0
    checked = synglancer("publish", "verify", out, "--input", path)
    assert (checked.code, checked.out) == (0, ""), checked.err


def test_csv_with_ids_as_text_gives_the_same_bytes(synglancer, tmp_path):
    """Parquet and CSV files with the same rows are published as the same files."""
    rows = make_rows(300)
    rows["value"] = rows["value"].astype(np.float64)
    write_parquet(tmp_path / "rows.parquet", rows)
    write_csv(tmp_path / "rows.csv", rows)
    for name in ("rows.parquet", "rows.csv"):
        made = synglancer(
            "publish",
            tmp_path / name,
            "-o",
            tmp_path / f"out-{name}",
            "--version",
            1,
            "--workers",
            1,
        )
        assert made.code == 0, made.err
    one, other = (read_files(tmp_path / f"out-rows.{kind}") for kind in ("parquet", "csv"))
    for files in (one, other):
        del files["synglancer.json"]  # it names the file
    assert one == other


def test_voxels_become_nanometres(synglancer, tmp_path):
    """--resolution multiplies positions, so that a source is in nm whatever the unit of its
    table."""
    rows = make_rows(100)
    voxels = dict(rows)
    for axis, scale in zip("xyz", (4, 4, 40), strict=True):
        name = f"ctr_pt_position_{axis}"
        voxels[name] = rows[name] // scale
        rows[name] = voxels[name] * scale
    write_parquet(tmp_path / "nm.parquet", rows)
    write_parquet(tmp_path / "voxels.parquet", voxels)
    common = ("--version", 1, "--workers", 1)
    synglancer("publish", tmp_path / "nm.parquet", "-o", tmp_path / "a", *common)
    synglancer(
        "publish", tmp_path / "voxels.parquet", "-o", tmp_path / "b", *common,
        "--resolution", "4,4,40",
    )  # fmt: skip
    one, other = read_files(tmp_path / "a"), read_files(tmp_path / "b")
    assert one.pop("synglancer.json") != other.pop("synglancer.json")
    assert one == other


TABLE = "synapse_target_predictions_ssa_v2"

BAD = {
    "float ids": ({"id": np.arange(50, dtype=np.float64)}, "column 'id' holds floating-point"),
    "negative ids": ({"id": np.arange(-3, 47)}, "column 'id' holds no ID in row 1 ('-3')"),
    "text for a root": (
        {"pre_pt_root_id": ["1"] * 30 + ["none"] + ["2"] * 19},
        "column 'pre_pt_root_id' holds no ID in row 31 ('none')",
    ),
    "text for a size": (
        {"size": ["1"] * 10 + ["big"] + ["2"] * 39},
        "column 'size' holds no number in row 11 ('big')",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_values_are_named_by_file_column_and_row(what, synglancer, tmp_path):
    """A value of the wrong type is refused with its place, and no source that opens is left."""
    change, message = BAD[what]
    path = write_parquet(tmp_path / "bad.parquet", make_rows(50, **change))
    made = synglancer("publish", path, "-o", tmp_path / "out", "--version", 1, "--workers", 1)
    assert made.code == 2
    assert f"{path}: {message}" in made.err
    assert not [*(tmp_path / "out").rglob("info")]


def test_a_bad_line_of_a_csv_file_is_named(synglancer, tmp_path):
    """A CSV line with too few values, or a word instead of a number, is named by its row."""
    path = write_csv(tmp_path / "rows.csv", make_rows(20))
    lines = path.read_text().splitlines()
    lines[7] = "1,2,3"
    path.write_text("\n".join(lines))
    made = synglancer("publish", path, "-o", tmp_path / "out", "--version", 1, "--workers", 1)
    assert made.code == 2
    assert "rows.csv cannot be read: CSV parse error" in made.err


def test_what_is_left_out_is_counted(synglancer, tmp_path):
    """Repeated rows, missing values and positions out of range are left out, and each kind is
    counted."""
    rows = make_rows(50, tag=["spine"] * 50)
    rows["id"] = [7, 7, *range(100, 147), None]
    rows["value"] = [0.2, 0.9, None, float("nan"), *[0.5] * 31, 5, -1, 1.0, 0.0, *[0.5] * 11]
    rows["size"] = [5] * 4 + [-1, 2**40, None] + [5] * 43
    rows["ctr_pt_position_x"] = [5] * 10 + [1e30, float("inf"), float("nan")] + [5] * 37
    rows["pre_pt_root_id"] = [3] * 20 + [0, None] + [3] * 28
    path = write_parquet(tmp_path / "rows.parquet", rows)
    made = synglancer(
        "publish", path, "-o", tmp_path / "out", "--version", 1, "--workers", 1, "--output", "json"
    )
    assert made.code == 0, made.err
    manifest = json.loads(made.out)
    assert manifest["left_out"] == {
        "repeating a synapse": 1,
        "with a confidence out of range": 2,
        "with a position out of range": 2,
        "with a size out of range": 2,
        "without a confidence": 2,
        "without a position": 1,
        "without a size": 1,
        "without an id": 1,
    }
    assert manifest["kept"] == {"with root 0 as pre": 2}
    assert manifest["rows"] == 38
    checked = synglancer("publish", "verify", tmp_path / "out", "--input", path)
    assert (checked.code, checked.out) == (0, "")


REFUSED = {
    "nothing": ([], "Nothing to publish was given."),
    "no file": (["gone.parquet"], "gone.parquet does not exist."),
    "another kind": (["rows.xlsx"], "rows.xlsx is neither a Parquet nor a CSV file"),
    "no column": (["{table}", "--tag-column", "kind"], "has no column kind"),
    "no resolution": (["{table}", "--resolution", "4,4"], "--resolution '4,4' is not a voxel size"),
    "no memory": (["{table}", "--memory", "3MB"], "--memory '3MB' is not a size"),
    "no workers": (["{table}", "--workers", "0"], "--workers 0 is not a number"),
    "twice": (["{table}", "{table}"], "was given twice"),
    "twice, in two ways": (["{table}", "/.{table}"], "was given twice"),
    "twice, as a path and as an address": (["{table}", "file://{table}"], "was given twice"),
    "no version": (["{table}", "--version", "0"], "--version 0 is not a materialization version."),
    "below 0": (["{table}", "--version", "-1"], "--version -1 is not a materialization version."),
    "a web server": (
        ["{table}", "-o", "https://a.org/x"],
        "Nothing can be published to https://a.org/x, because web servers only give files.",
    ),
    "no scheme": (["{table}", "-o", "what://there"], "what://there"),
    "no time": (
        ["{table}", "--timestamp", "yesterday"],
        "--timestamp 'yesterday' is not a timestamp.",
    ),
    "cave without a table": (["cave"], "The input cave needs a table."),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_asked_is_refused(what, synglancer, table, tmp_path, monkeypatch):
    """Each usage error has its own message, and exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.xlsx").write_text("")
    words, message = REFUSED[what]
    words = [word.format(table=table) for word in words]
    if "-o" not in words:
        words += ["-o", "out"]
    if "--version" not in words:
        words += ["--version", 1]
    before = {path.name for path in tmp_path.iterdir()}
    made = synglancer("publish", *words)
    assert made.code == 2
    assert message in made.err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_the_table_of_cells_is_named(synglancer, table, tmp_path):
    """With --counts, the summary says how many cells the table lists, and where it is."""
    out = tmp_path / "out"
    made = synglancer("publish", table, "-o", out, "--version", 1, "--workers", 1, "--counts")
    assert (made.code, made.out) == (0, f"{out}\n")
    assert "25 cells in cells.parquet\n" in made.err
    ids = {"pre_pt_root_id": [7] * 500, "post_pt_root_id": [7] * 500}
    one = write_parquet(tmp_path / "one.parquet", make_rows(500, **ids))
    made = synglancer(
        "publish", one, "-o", tmp_path / "one", "--version", 1, "--workers", 1, "--counts"
    )
    assert "1 cell in cells.parquet\n" in made.err


def test_a_terminal_shows_the_stages(table, tmp_path, synglancer, monkeypatch):
    """On a terminal, a bar names each stage of the work, and counts its tasks."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    common = ("publish", table, "--version", 1, "--workers", 1)
    made = synglancer(*common, "-o", tmp_path / "out", "--counts")
    assert made.code == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", made.err)
    for stage in ("reading", "sorting", "writing", "counting"):
        assert re.search(rf"{stage} [^\n]* (\d+)/\1 ", shown), stage


def test_a_folder_that_is_in_use_is_left_alone(synglancer, table, tmp_path):
    """Neither a finished source nor a folder with other files is overwritten."""
    out = tmp_path / "out"
    common = ("--version", 1, "--workers", 1)
    assert synglancer("publish", table, "-o", out, *common).code == 0
    before = read_files(out)
    again = synglancer("publish", table, "-o", out, *common)
    assert (again.code, "already holds a published source" in again.err) == (2, True)
    assert read_files(out) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    other = synglancer("publish", table, "-o", tmp_path / "full", *common)
    assert (other.code, "is not empty" in other.err) == (2, True)


def test_a_finished_source_is_not_taken_for_another(synglancer, table, tmp_path, monkeypatch):
    """--resume on a finished source is refused for another version, input or option."""
    out = tmp_path / "out"
    common = ("-o", out, "--workers", 1, "--resume")
    assert synglancer("publish", table, *common[:-1], "--version", 1718).code == 0
    before = read_files(out)
    same = synglancer("publish", table, *common, "--version", 1718)
    assert (same.code, same.out) == (0, f"{out}\n")
    monkeypatch.chdir(Path(table).parent)
    assert synglancer("publish", "./rows.parquet", *common, "--version", 1718).code == 0
    other = write_parquet(tmp_path / "other.parquet", make_rows(100))
    for words, said in (
        ((table, "--version", 1822), "--version was 1718 and is now 1822."),
        ((other, "--version", 1718), "the input files are not the same."),
        ((table, "--version", 1718, "--counts"), "--counts was not given and is now given."),
        ((table, "--version", 1718, "--table", "t"), "--table was not given and is now t."),
        ((table, "--version", 1718, "--resolution", "4,4,40"),
         "--resolution was 1,1,1 and is now 4,4,40."),
        ((table, "--version", 1718, "--timestamp", "2026-03-07"),
         "and is now 2026-03-07T00:00:00+00:00."),
        ((table, "--version", 1718, "--datastack", "v1dd_public"),
         "--datastack was minnie65_public and is now v1dd_public"),
    ):  # fmt: skip
        made = synglancer("publish", *words, *common)
        assert (made.code, said in made.err) == (2, True), made.err
    assert read_files(out) == before


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"\xff\xfe\x00", b"1", b'{"@type": "x"}'])
def test_a_damaged_manifest_is_named(content, synglancer, table, tmp_path):
    """Neither verify nor --resume crashes on an invalid manifest: both name it, with exit code
    4."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/synglancer.json").write_bytes(content)
    resume = ("publish", table, "-o", tmp_path / "out", "--version", 1, "--resume", "--workers", 1)
    for words in (("publish", "verify", tmp_path / "out"), resume):
        made = synglancer(*words)
        assert (made.code, "synglancer.json is not a manifest" in made.err) == (4, True), made.err


def test_verify_refuses_what_cannot_be_checked(synglancer, table, tmp_path):
    """A missing or unfinished folder, a negative number and a dead port are named."""
    for words, code, said in (
        ((tmp_path / "nope",), 2, f"There is no folder {tmp_path / 'nope'}."),
        ((table,), 2, "is not a folder."),
        ((tmp_path,), 2, "has no synglancer.json"),
        ((tmp_path, "--cells", -1), 2, "--cells -1 is not a number of cells."),
        (("http://127.0.0.1:9/",), 4, "http://127.0.0.1:9 does not answer."),
    ):
        made = synglancer("publish", "verify", *words)
        assert (made.code, said in made.err) == (code, True), made.err


def test_a_folder_that_cannot_be_made_is_named_with_its_option(synglancer, table, tmp_path):
    """If a file is in the way of --work or the destination, it is named, and nothing is left."""
    common = ("publish", table, "--version", 1, "--workers", 1)
    before = {path.name for path in tmp_path.iterdir()}
    work = synglancer(*common, "-o", tmp_path / "out", "--work", f"{table}/w")
    assert (work.code, "Choose another --work." in work.err) == (2, True), work.err
    out = synglancer(*common, "-o", f"{table}/out")
    assert (out.code, "Choose another destination." in out.err) == (2, True), out.err
    assert {path.name for path in tmp_path.iterdir()} == before


def test_serve_answers_ranges_until_it_is_stopped(synglancer, table, tmp_path):
    """The command prints its address, serves ranges with CORS, and stops quietly."""
    out = tmp_path / "out"
    synglancer("publish", table, "-o", out, "--version", 1, "--workers", 1)
    code = "from synglancer.cli import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, "serve", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    )  # fmt: skip
    try:
        address = running.stdout.readline().strip()
        answer = requests.get(f"{address}/spine/info", headers={"Range": "bytes=0-1"}, timeout=10)
        assert (answer.status_code, answer.content) == (206, b"{\n")
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    finally:
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=20)
    assert "Traceback" not in said


def test_a_table_of_cave_is_fetched_and_published(sandbox, synglancer, tmp_path):
    """``synglancer publish cave`` writes version, timestamp and table into the manifest."""
    out = tmp_path / "out"
    words = ("publish", "cave", "-o", out, "--version", 1718, "--workers", 1)
    made = synglancer(*words, "--table", TABLE)
    assert made.code == 0, made.err
    manifest = json.loads((out / "synglancer.json").read_bytes())
    assert manifest["table"] == TABLE
    assert manifest["timestamp"].startswith("2026-03-07T08:10:01")
    assert manifest["rows"] > 3000
    assert TOKEN not in json.dumps(manifest)
    refused = synglancer(*words[:3], tmp_path / "other", *words[4:])
    assert (refused.code, "needs a table" in refused.err) == (2, True)
