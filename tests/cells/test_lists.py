"""Files of cells are replaced by the cells in them, as text and in order."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from cells.test_parse import CELL
from synglancer.cells.lists import list_given_cells, read_cell_list, read_column
from synglancer.errors import UsageError
from synglancer.render.tables import format_table


def test_files_hold_one_cell_a_line(tmp_path):
    """The lines of a file replace its name; comments and empty lines are ignored."""
    link = "https://a.b/#!https://a.b/1"
    file = tmp_path / "cells.txt"
    file.write_text(f"# cells\n\n{CELL}  # the first\nnucleus:5\r\n{link}\n 1,2,3 #x\n")
    assert list_given_cells(["7", str(file), "9"]) == [
        "7",
        str(CELL),
        "nucleus:5",
        link,
        "1,2,3",
        "9",
    ]


def test_a_root_id_is_never_taken_for_a_file(tmp_path, monkeypatch):
    """A file named like a root ID is not read instead of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / str(CELL)).write_text("5\n")
    assert list_given_cells([str(CELL)]) == [str(CELL)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"5\nabc\n", "line 2: 'abc' is not a root ID"),
        (b"abc\ndef\n", "line 1: this is not a cell"),
        (b"5\n8.64e17\n", "line 2: '8.64e17' is a rounded number"),
        (b"5\nnucleus:0\n", "line 2: 'nucleus:0' does not name"),
        (b"\n<!doctype html>\n", "holds HTML or XML, not a list of cells"),
        (b"%PDF-1.4\n", "holds a PDF, not a list of cells"),
        (b"# nothing\n", "names no cell"),
        (b'{"layers": []}', "holds JSON"),
        (b"\xff\xfe\x00", "not a text file"),
    ],
)
def test_a_wrong_file_is_refused_by_its_line(tmp_path, content, reason):
    """Errors in a file are reported with the line."""
    file = tmp_path / "cells.txt"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=reason):
        list_given_cells([str(file)])


@pytest.mark.parametrize("name", ["cells.csv", "cells.txt"])
def test_a_table_is_taken_for_its_column_of_cells(tmp_path, name):
    """make-link reads cells from a table, even with another extension; an invalid cell is reported
    with its line."""
    path = tmp_path / name
    path.write_text(f'note;pt_root_id\n5;{CELL}\n6;="{CELL}"\n7;nucleus:5\n8;\'{CELL}\n')
    listed = list_given_cells([str(path), "9"])
    assert listed == [str(CELL), f'="{CELL}"', "nucleus:5", f"'{CELL}", "9"]
    path.write_text(f"note;pt_root_id\n5;{CELL}\n6;\n")
    with pytest.raises(UsageError, match=f"{name}, line 3: No cell was given"):
        list_given_cells([str(path)])
    path.write_text(f"cell,n\n{CELL},5,5\n")
    with pytest.raises(UsageError, match=f"{name}, line 2: it has 3 values"):
        list_given_cells([str(path)])


def test_cells_of_a_report_keep_their_table(tmp_path):
    """The column of cells, the other columns and their order come back unchanged."""
    path = tmp_path / "cells.csv"
    path.write_text(
        f'a,root_id,b\n 1 ,="{CELL}",\n2,,x\n'.replace('="', '"=""').replace('",\n', '""",\n', 1)
    )
    listed = read_cell_list([str(path)])
    assert listed.cells == [f'="{CELL}"', ""]
    assert asdict(listed)["columns"] == ["a", "b"]
    assert asdict(listed)["values"] == [[" 1 ", ""], ["2", "x"]]
    joined = asdict(listed.join())
    assert joined["columns"] == ["a", "root_id", "b"]
    assert joined["values"][1] == ["2", "", "x"]
    assert listed.take("root_id") == listed.cells
    assert listed.take("b") == ["", "x"]


def test_words_and_texts_are_read_together(tmp_path, monkeypatch):
    """A report accepts words, text files and standard input together, or one table alone, and no
    other column."""
    path = tmp_path / "cells.txt"
    path.write_text(f"# mine\n{CELL} # first\n\n1 2 3\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("7\n8\n"))
    listed = read_cell_list(["5", str(path), "-"])
    assert listed.cells == ["5", str(CELL), "1 2 3", "7", "8"]
    assert listed.join().columns == ["given"]
    table = tmp_path / "cells.csv"
    table.write_text(f"cell\n{CELL}\n")
    for words, column, reason in (
        (["5", str(table)], None, "together with other cells"),
        (["5"], "x", "no table was given"),
        ([str(table)], "x", "no column 'x'"),
        ([" "], None, "No cell"),
    ):
        with pytest.raises(UsageError, match=reason):
            read_cell_list(words, column)


@pytest.mark.parametrize("given", [["abc", ""], ["abc", "x"]])
def test_words_without_any_cell_are_refused(given):
    """If no cell is valid, the first typed word explains why; one valid cell is enough."""
    with pytest.raises(UsageError, match="'abc' is not a root ID"):
        read_cell_list(given)
    assert read_cell_list([*given, "5"]).cells == ["abc", *(["x"] if given[1] else []), "5"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", "sekret\nother\n"), ("a.csv", "cell,n\nsekret,1\n")]
)
def test_a_file_without_any_cell_is_refused_once(tmp_path, name, content):
    """The error names the file, but quotes none of its text."""
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError, match=f"{name} names no cell") as refused:
        read_cell_list([str(tmp_path / name)])
    assert "sekret" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["8.64691135276234469E+17"], "line 2: '8.64691135276234469E+17' is a rounded number"),
        (["", "9" * 30], f"line 3: '{'9' * 30}' is too large for a root ID"),
        (["sekret", "NaN"], "line 3: 'NaN' is not a root ID"),
        (["-5", "x"], "line 2: '-5' is not a root ID: a root ID is above zero"),
    ],
)
def test_a_file_of_bad_cells_is_refused_for_its_first_number(tmp_path, cells, said):
    """A column that a spreadsheet has rounded does not lack cells: the reason is theirs."""
    table = tmp_path / "excel.csv"
    table.write_text("\n".join(["cell,n", *(f"{cell},1" for cell in cells)]))
    with pytest.raises(UsageError, match=re.escape(f"The file {table}, {said}")):
        read_cell_list([str(table)])


def test_a_gap_comes_back_as_a_gap(tmp_path):
    """The apostrophe that marks a gap in our tables' ID columns is not a cell."""
    path = tmp_path / "mix.csv"
    frame = pd.DataFrame({"cell": [str(CELL), "", "nucleus:5"]})
    path.write_bytes(format_table(frame))
    assert "'" in path.read_text()
    assert read_cell_list([str(path)]).cells == [str(CELL), "", "nucleus:5"]


def test_closed_standard_input_is_said(monkeypatch):
    """If there is no standard input, the error says so."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="Standard input is closed"):
        list_given_cells(["-"])


def test_a_file_that_the_system_refuses_is_named(tmp_path, monkeypatch):
    """The reason of the system is in the error."""
    path = tmp_path / "cells.txt"
    path.write_text(f"{CELL}\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=f"The file {path} cannot be read: Permission denied."):
        list_given_cells([str(path)])


def test_a_table_without_rows_is_refused(tmp_path):
    """Names of columns alone are no cells."""
    path = tmp_path / "cells.csv"
    path.write_text("cell,note\n")
    with pytest.raises(UsageError, match=r"cells\.csv names no cell") as refused:
        list_given_cells([str(path)])
    assert refused.value.hint == "Give a table with a row for each cell."


def test_a_position_that_the_shell_has_split_is_one_cell():
    """Three numbers of a position are one cell, not three."""
    assert list_given_cells(["186000,", "134000,", "20900"]) == ["186000, 134000, 20900"]


def test_rounded_ids_of_a_frame_are_refused():
    """A column of floats is refused, and integers of any type are read exactly."""
    with pytest.raises(UsageError, match="rounded"):
        read_column(pd.DataFrame({"a": [float(CELL)]}), "a")
    for dtype in ("int64", "UInt64", "Int64", object, str):
        assert read_column(pd.DataFrame({"a": [CELL]}, dtype=dtype), "a") == [str(CELL)]
