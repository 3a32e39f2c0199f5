"""Tables are read exactly: no row shifts, no ID is rounded, and errors name the line."""

from __future__ import annotations

import pandas as pd
import pytest

from synglancer.cells.tables import read_table
from synglancer.errors import UsageError

ID, OTHER = "864691135276234469", "864691135617152361"


def write(tmp_path, content: str | bytes, name: str = "cells.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (f"cell,partner\n{ID},{OTHER},5\n", "line 2: it has 3 values, and line 1 names 2"),
        (f"cell,partner\n{ID},{OTHER}\n{ID}\n", "line 3: it has 1 value, and line 1 names 2"),
        (f'cell,note\n{ID},"a\nb\nc"\n{ID},d,e\n', "line 5: it has 3 values"),
        (f"cell;note\n{ID};a;b\n", "line 2: it has 3 values"),
        (f"cell\tnote\n{ID}\ta\tb\n", "line 2: it has 3 values"),
        (f"\n\ncell,note\n\n{ID},a,b\n", "line 5: it has 3 values, and line 3 names 2"),
        (f"sep=;\ncell;note\n{ID};a;b\n", "line 3: it has 3 values"),
        (f'cell,note\n{ID},"a\n{ID},b\n', "line 2: a value in double quotes is not closed"),
        (f'cell,note\n{ID},"a"b\n', "line 2: a value in double quotes is not closed"),
        (f"cell,n,n\n{ID},1,2\n", "2 columns with the name 'n'"),
        (f"cell, n ,n\n{ID},1,2\n", "2 columns with the name 'n'"),
        (f"cell,,\n{ID},1,2\n", "2 columns with no name"),
        ("", "is empty"),
        ("cell\nµ\n".encode("latin-1"), "not a text file in UTF-8"),
        (b"cell\n\0\x01\x02", "not a text file"),
    ],
)
def test_a_table_that_could_shift_is_refused_by_its_line(tmp_path, content, where):
    """Rows with too many or too few values, open quotes and repeated names are refused by line."""
    with pytest.raises(UsageError) as caught:
        read_table(write(tmp_path, content))
    assert where in str(caught.value)
    assert "cells.csv" in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        f'cell,note\n{ID},"a;b\n"\n',
        f'cell;note\n{ID};"a;b\n"\n',
        f'cell\tnote\r\n{ID}\t"a;b\n"\r\n',
        f'sep=;\ncell;note\n{ID};"a;b\n"\n',
        f'\ufeff cell , note \n{ID},"a;b\n"\n',
        f'cell,note\n{ID},"a;b\n"\n,\n,\n',
        f'cell,note,,\n{ID},"a;b\n",,\n',
        f'cell,note\n{ID},"a;b\n"\n'.encode("utf-16"),
        f'cell\tnote\n{ID}\t"a;b\n"\n'.encode("utf-16-le"),
        f'cell;note\n{ID};"a;b\n"\n'.encode("utf-16-be"),
    ],
)
def test_every_kind_of_text_is_the_same_table(tmp_path, content):
    """Comma, semicolon, tab, a byte-order mark, UTF-16, padded names, and empty columns and rows at
    the end give the same names and values."""
    table = read_table(write(tmp_path, content))
    assert table.names == ["cell", "note"]
    assert table.rows == [[ID, "a;b\n"]]


def test_the_column_of_cells_tells_the_separator(tmp_path):
    """If another character is more frequent in the names, the column of cells decides on the
    separator."""
    path = write(tmp_path, f"a;b;c,pt_root_id\n1;2;3,{ID}\n")
    assert read_table(path).names == ["a;b;c", "pt_root_id"]
    path = write(tmp_path, f"a;b,c,d,e\n{ID};1,2,3,4\n")
    assert read_table(path, "a").rows == [[ID, "1,2,3,4"]]


def test_empty_rows_of_a_spreadsheet_cost_nothing(tmp_path):
    """A hundred thousand empty rows, as saved by spreadsheets, are left out."""
    table = read_table(write(tmp_path, f"cell,n\n{ID},1\n,\n{ID},2\n" + ",\n" * 100_000))
    assert table.rows == [[ID, "1"], ["", ""], [ID, "2"]]
    assert table.lines == [2, 3, 4]


def test_one_column_without_a_name_is_the_row_names_of_pandas(tmp_path):
    """A table that pandas wrote with its row names is read, whatever its first column."""
    path = tmp_path / "cells.csv"
    pd.DataFrame({"pt_root_id": [ID, OTHER], "n": [1, 2]}).to_csv(path)
    table = read_table(path)
    assert table.names == ["", "pt_root_id", "n"]
    assert table.rows[1] == ["1", OTHER, "2"]
    assert table.lines == [2, 3]


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_columnar_files_keep_integers_with_gaps(tmp_path, kind):
    """IDs with gaps, which pandas would read as floats, stay exact in every column."""
    some = pd.array([int(ID), None], dtype="Int64")
    others = pd.array([None, int(OTHER)], dtype="UInt64")
    path = tmp_path / f"cells.{kind}"
    getattr(pd.DataFrame({"cell": some, "nucleus_root": others}), f"to_{kind}")(path)
    table = read_table(path)
    assert table.rows == [[ID, ""], ["", OTHER]]


def test_workbooks_keep_their_words(tmp_path):
    """Texts that pandas reads as missing are kept; repeated names and rounded IDs are refused."""
    path = tmp_path / "cells.xlsx"
    pd.DataFrame({"cell": [ID, OTHER], "note": ["NA", "5"]}).to_excel(path, index=False)
    table = read_table(path)
    assert (table.rows, table.lines, table.unit) == ([[ID, "NA"], [OTHER, "5"]], [2, 3], "row")
    pd.DataFrame([["cell", "cell"], [ID, OTHER]]).to_excel(path, index=False, header=False)
    with pytest.raises(UsageError, match="2 columns with the name 'cell'"):
        read_table(path)
    pd.DataFrame({"cell": [int(ID)]}).to_excel(path, index=False)
    with pytest.raises(UsageError, match="round to 15 digits"):
        read_table(path)
    pd.DataFrame().to_excel(path, index=False, header=False)
    with pytest.raises(UsageError, match=r"cells\.xlsx is empty"):
        read_table(path)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.feather", "a.xlsx"])
def test_a_damaged_file_is_named(tmp_path, name):
    """A file that is missing, or does not match its extension, is refused by name."""
    with pytest.raises(UsageError, match=f"There is no file .*{name}."):
        read_table(tmp_path / name)
    if name != "a.csv":
        with pytest.raises(UsageError, match=f"{name} cannot be read as a table: it is damaged"):
            read_table(write(tmp_path, b"PK\x03\x04 no", name))


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_the_systems_reason_is_told(tmp_path, name, monkeypatch):
    """A folder with the name of a table, and a file without permission, are refused as such."""
    path = tmp_path / name
    path.mkdir()
    with pytest.raises(UsageError, match=f"{name} cannot be read as a table: Is a directory"):
        read_table(path)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(UsageError, match=f"permission to read the file {path}") as refused:
        read_table(path)
    assert refused.value.hint == "Check its permissions."
