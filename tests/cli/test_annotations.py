"""make-link --annotations: a user's own points beside the synapses, and read back."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cave_sandbox.sample import identity as who
from cli.outcome import CELL, TOKEN
from synglancer import Link
from synglancer import make_link as api_make_link
from synglancer.errors import UsageError
from synglancer.render.tables import format_table
from synglancer.states.reader import is_own_points
from synglancer.states.table import build_annotation_table
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cli.outcome import Outcome

SMALL = who.PARTNERS[3].root_id
"""A cell with few synapses beside the points."""
SOMA = ("--tag", "soma", "--inputs")


def read_state(done: Outcome) -> dict[str, Any]:
    assert done.code == 0, done.err
    state: dict[str, Any] = orjson.loads(parse_link(done.out.strip()).state or b"")
    return state


def write(folder: Path, text: str, name: str = "mine.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


def test_points_are_layers_beside_ours(
    sandbox, make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Layers, positions, IDs, tags, colours, segments and columns are the same as in the file."""
    path = write(
        tmp_path,
        "layer,id,x_voxel,y_voxel,z_voxel,tag,color,pre_segment,segments,score,cluster,n,description\n"
        f"a,7,100,200.5,30,spine,#FF0000,{CELL},5 6,0.25,red,3,first\n"
        f"b,864691135276234469,1,2,3,,,0,,1e3,blue,4,\n"
        f"a,8,101,201,31,,,,,0.5,blue,5,second\n",
    )
    made = make_link(CELL, *SOMA, "--annotations", path, "--inline")
    assert f"3 points of {path.name}, in the layers a, b." in made.err
    state = read_state(made)
    names = [layer["name"] for layer in state["layers"]]
    assert names == ["imagery", "segmentation", "● in: soma", "a", "b"]
    first, second = state["layers"][3:]
    assert first["annotations"][0] == {
        "type": "point",
        "id": "7",
        "point": [400, 802, 1200],
        "props": [1, 0.25, 1, 3, "#ff0000"],
        "segments": [[CELL], ["5", "6"]],
        "description": "first",
    }
    assert first["annotations"][1]["props"] == [0, 0.5, 0, 5, first["annotationColor"]]
    specs = {spec["id"]: spec for spec in first["annotationProperties"]}
    assert [(name, spec["type"]) for name, spec in specs.items()] == [
        ("tag", "uint8"),
        ("score", "float32"),
        ("cluster", "uint8"),
        ("n", "uint32"),
        ("color", "rgb"),
    ]
    assert specs["cluster"]["enum_labels"] == ["blue", "red"]
    assert first["annotationRelationships"] == ["pre", "segments"]
    assert second["annotationRelationships"] == []
    assert first["annotationColor"] != second["annotationColor"]
    assert first["linkedSegmentationLayer"] == {"pre": "segmentation", "segments": "segmentation"}


def test_the_record_names_the_file_and_nothing_counts_the_points(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Name, hash and rows are in the record, but not the path; counts include only the synapses."""
    path = write(tmp_path, "x_nm,y_nm,z_nm\n1,2,3\n4,5,6\n")
    done = make_link(CELL, *SOMA, "--annotations", path, "--output", "json")
    record = json.loads(done.out)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    wanted = {"name": "mine.csv", "sha256": digest, "rows": 2, "layers": ["mine"]}
    assert record["annotations"] == [wanted]
    plain = json.loads(make_link(CELL, *SOMA, "--output", "json").out)
    assert (record["counts"], record["shown"]) == (plain["counts"], plain["shown"])
    assert record["url"] != plain["url"]
    back = Link.from_url(record["url"], token=TOKEN)
    assert back.warnings == []
    assert (back.shown, len(back.predictions)) == (plain["shown"], plain["shown"])
    assert back.predictions["id"].all()
    assert str(tmp_path) not in json.dumps(back.state)
    assert synglancer("check", record["url"]).code == 0
    assert make_link(CELL, *SOMA, "--annotations", path).out.strip() == record["url"]
    path.write_text("x_nm,y_nm,z_nm\n1,2,3\n4,5,7\n")
    assert make_link(CELL, *SOMA, "--annotations", path).out.strip() != record["url"]


def compare(first: pd.DataFrame, second: pd.DataFrame) -> None:
    """Assert that two tables hold the same rows, apart from the names of their layers."""
    columns = [name for name in first.columns if name != "layer"]
    assert {*columns} == {*second.columns} - {"layer"}
    pd.testing.assert_frame_equal(
        first[columns].reset_index(drop=True), second[columns].reset_index(drop=True)
    )


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx"])
def test_a_table_can_be_shown_again(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome],
    tmp_path: Path, ending: str,
) -> None:  # fmt: skip
    """If a link's table is given as annotations, the new layers have the same table."""
    link = make_link(CELL, "--tag", "soma", "--with-unlabelled", "--cell-types").out.strip()
    path = tmp_path / f"first.{ending}"
    synglancer("table", link, "-o", path)
    done = make_link(CELL, "--tag", "shaft", "--tag", "soma", "--annotations", path, "--inline")
    assert "is shown as '● in: soma (2)'" in done.err
    state = read_state(done)
    own = {**state, "layers": [*filter(is_own_points, state["layers"])]}
    read = pd.read_excel if ending == "xlsx" else getattr(pd, f"read_{ending}")
    exact = {} if ending == "parquet" else {"dtype": str, "keep_default_na": False}
    first = read(path, **exact)
    again = tmp_path / f"second.{ending}"
    again.write_bytes(format_table(build_annotation_table(own), f".{ending}"))
    second = read(again, **exact)
    assert len(first) > 300
    compare(first, second)
    assert second["layer"].tolist()[0] == "● in: soma (2)"
    parts = {layer["name"]: len(layer["annotations"]) for layer in own["layers"]}
    assert parts == {
        (f"{name} (2)" if name in {"● in: soma", "○ out: soma"} else name): count
        for name, count in first["layer"].value_counts(sort=False).items()
    }


words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)
plain = words.map(str.strip)
ids = st.integers(1, 2**64 - 1)
coordinates = st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda x: round(x, 3))
rows = st.fixed_dictionaries(
    {
        "layer": st.sampled_from(["a", "b: c", "● in: spine", "imagery"]),
        **{f"{axis}_nm": coordinates for axis in "xyz"},
        "tag": plain,
        "description": plain,
        "pre_segment": st.sampled_from(["0", str(2**64 - 1), CELL]),
        "partner_segment": st.lists(ids, max_size=3, unique=True).map(
            lambda given: " ".join(map(str, given)) or "0"
        ),
        "score": st.floats(-(2.0**90), 2.0**90, width=32) | st.none(),
        "count": st.integers(-5, 2**31 - 1),
        "big": ids,
        "word": plain,
        "color": st.sampled_from(["", "#00ff00", "#123456"]),
    }
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_rows=st.lists(rows, min_size=1, max_size=6))
def test_any_table_comes_back(sandbox, given_rows: list[dict[str, Any]]) -> None:
    """Whatever a table of points holds, the table read from its link gives the same link."""
    frame = pd.DataFrame(given_rows).assign(id=[str(i + 1) for i in range(len(given_rows))])
    asked = {"server": sandbox.origin, "tag": "soma", "inputs": True, "inline": True}
    tables = []
    for _ in range(2):
        link = api_make_link(SMALL, annotations=frame, **asked)
        layers = [*filter(is_own_points, link.state["layers"])]
        frame = build_annotation_table({**link.state, "layers": layers})
        tables.append(frame)
    compare(tables[0].astype(str), tables[1].astype(str))
    first = tables[0].sort_values("id", key=lambda column: column.astype(int))
    assert first["id"].tolist() == [str(i + 1) for i in range(len(given_rows))]
    for axis in "xyz":
        given_axis = [row[f"{axis}_nm"] for row in given_rows]
        assert first[f"{axis}_nm"].tolist() == pytest.approx(given_axis, abs=1e-9)
    assert first["description"].tolist() == [row["description"] for row in given_rows]
    for name in ("pre_segment", "partner_segment"):
        column = first[name] if name in first else ["0"] * len(first)
        assert [*column] == [row[name] for row in given_rows]
    assert first["big"].astype(str).tolist() == [str(row["big"]) for row in given_rows]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y,z\n1,2,3\n", ["no positions", "x_nm"]),
        ("x_nm,y_nm\n1,2\n", ["no positions", "z_nm"]),
        ("x_nm,y_nm,z_voxel\n1,2,3\n", ["two units", "one unit"]),
        ("x_nm,y_nm,z_nm,x_voxel\n1,2,3,4\n", ["two units", "one unit"]),
        (
            "x_nm,y_nm,z_nm,x_voxel,y_voxel,z_voxel\n400,8,40,100,2,1\n400,8,40,400,8,40\n",
            ["line 3", "in nm and in voxels", "one unit"],
        ),
        ("x_nm,y_nm,z_nm\n1,2,3\n1,,3\n", ["line 3", "y_nm holds nothing"]),
        ("x_nm,y_nm,z_nm\n1,nan,3\n", ["line 2", "'nan'"]),
        ("x_nm,y_nm,z_nm\n1,inf,3\n", ["line 2", "'inf'"]),
        ("x_nm,y_nm,z_nm\n1,1e999,3\n", ["line 2", "'1e999'"]),
        ('x_nm,y_nm,z_nm\n"1,234",2,3\n', ["line 2", "'1,234'"]),
        (f"x_nm,y_nm,z_nm\n1,2,{CELL}\n", ["line 2", "a metre"]),
        ("x_nm,y_nm,z_nm,id\n1,2,3,2.9e+17\n", ["line 2", "rounded"]),
        ("x_nm,y_nm,z_nm,id\n1,2,3,291322241.0\n", ["line 2", "rounded"]),
        ("x_nm,y_nm,z_nm,pre_segment\n1,2,3,8.64691135276234e+17\n", ["line 2", "rounded"]),
        ("x_nm,y_nm,z_nm,segments\n1,2,3,abc\n", ["line 2", "'abc'"]),
        ("x_nm,y_nm,z_nm,post\n1,2,3,99999999999999999999999\n", ["line 2", "64 bits"]),
        ("x_nm,y_nm,z_nm,pre,pre_segment\n1,2,3,5,6\n", ["'pre'", "2 columns"]),
        ("x_nm,y_nm,z_nm,id\n1,2,3,5\n4,5,6,5\n", ["line 3", "line 2", "ID 5"]),
        ("x_nm,y_nm,z_nm,color\n1,2,3,red\n", ["line 2", "'red'", "#rrggbb"]),
        ("x_nm,y_nm,z_nm,shape\n1,2,3,line\n", ["line 2", "'line'"]),
        ("x_nm,X_NM,y_nm,z_nm\n1,1,2,3\n", ["only in upper and lower case"]),
        ("x_nm,y_nm,z_nm\n", ["holds no points"]),
        ("", ["is empty"]),
        ("x_nm,y_nm,z_nm\n1,2\n", ["line 2", "2 values"]),
    ],
)
def test_what_cannot_be_shown_is_refused_with_its_row(
    sandbox, make_link: Callable[..., Outcome], tmp_path: Path, text: str, words: list[str]
) -> None:
    """An invalid file has exit code 2, its line is named, and no link is made."""
    done = make_link(CELL, *SOMA, "--annotations", write(tmp_path, text))
    done.refuses(2, "mine.csv", *words)


def test_files_that_are_none_are_refused(
    sandbox, make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """A missing file, a folder, a repeated file, and anything but a table are refused."""
    make_link(CELL, "--annotations", tmp_path / "none.csv").refuses(2, "There is no file of")
    make_link(CELL, "--annotations", tmp_path).refuses(2, "is a folder")
    path = write(tmp_path, "x_nm,y_nm,z_nm\n1,2,3\n")
    make_link(CELL, "--annotations", path, "--annotations", path).refuses(2, "twice")
    other = tmp_path / "picture.png"
    other.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")
    make_link(CELL, "--annotations", other).refuses(2, "text")
    with pytest.raises(UsageError, match="int holds no points"):
        api_make_link(int(CELL), server=sandbox.origin, annotations=[5])


def test_several_files_keep_apart_and_gaps_are_said(
    sandbox, make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Layers of the same name in two files stay separate, numbers with gaps become text, and both
    are reported."""
    one = write(tmp_path, "layer,x_nm,y_nm,z_nm,score\nx,1,2,3,0.5\nx,1,2,4,\n", "one.csv")
    two = write(tmp_path, "layer,x_nm,y_nm,z_nm,score\nx,1,2,3,0.5\n", "two.csv")
    done = make_link(CELL, *SOMA, "--annotations", one, "--annotations", two, "--inline")
    state = read_state(done)
    first, second = state["layers"][3:]
    assert (first["name"], second["name"]) == ("x", "x (2)")
    assert first["annotationProperties"][0]["enum_labels"] == ["", "0.5"]
    assert second["annotationProperties"][0]["type"] == "float32"
    assert [note["id"] for note in first["annotations"]] == ["row-2", "row-3"]
    assert "'x' of two.csv is shown as 'x (2)'" in done.err
    assert "'score' of one.csv has gaps" in done.err


def test_a_frame_of_pandas_is_taken_in_python(sandbox) -> None:
    """annotations= takes a DataFrame, even with 64-bit integers and missing values."""
    frame = pd.DataFrame(
        {
            "id": pd.array([2**63 + 1, 5], dtype="UInt64"),
            "x_nm": [1.0, 2.5],
            "y_nm": [1, 2],
            "z_nm": [1, 2],
            "post_pt_root_id": pd.array([int(CELL), None], dtype="Int64"),
        }
    )
    asked = {"server": sandbox.origin, "tag": "soma", "inputs": True}
    link = api_make_link(int(CELL), annotations=frame, **asked)
    layer = link.state["layers"][-1]
    assert layer["name"] == "my points"
    assert [note["id"] for note in layer["annotations"]] == [str(2**63 + 1), "5"]
    assert [note["segments"] for note in layer["annotations"]] == [[[CELL]], [[]]]
    assert link.provenance.annotations[0].name == "DataFrame"
    again = api_make_link(int(CELL), annotations=[frame.copy()], no_cache=True, **asked)
    assert again.state_sha256 == link.state_sha256
    rounded = frame.assign(id=[8.64691135276234469e17, 5.0])
    with pytest.raises(UsageError, match="rounded"):
        api_make_link(int(CELL), annotations=rounded, **asked)


def test_points_stand_beside_a_synapse_too(
    sandbox, make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """A link to one synapse shows them, as a link to a cell does."""
    path = write(tmp_path, "x_nm,y_nm,z_nm\n1,2,3\n")
    done = make_link("synapse:327626322", "--annotations", path)
    back = Link.from_url(done.out.strip(), token=TOKEN)
    assert [layer["name"] for layer in back.state["layers"]][2:] == ["○ synapse: spine", "mine"]
    assert (back.shown, back.warnings) == (1, [])


def test_a_damaged_link_is_not_made_anew_without_its_points(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """check --fix refuses to replace a link with points by one without them."""
    from synglancer.states.urls import format_inline_link

    points = write(tmp_path, "x_nm,y_nm,z_nm\n1,2,3\n")
    state = read_state(make_link(CELL, *SOMA, "--annotations", points, "--inline"))
    state["layers"][2]["annotations"].pop()
    note = tmp_path / "note.md"
    note.write_text(f"[a]({format_inline_link(f'{sandbox.origin}/v/1/', orjson.dumps(state))})\n")
    before = note.read_text()
    done = synglancer("check", note, "--fix")
    assert note.read_text() == before
    assert "mine.csv" in done.err + done.out
