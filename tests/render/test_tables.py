"""Tables keep every ID, and no text in them is a formula or a command."""

from __future__ import annotations

import io
import re
import unicodedata

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.render.tables import SUFFIXES, escape_cell, format_table, keep_exact

IDS = [1, 864691135276234469, 2**64 - 1]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ids_survive(suffix) -> None:
    """64-bit IDs come back exactly through the programs that read such files."""
    frame = pd.DataFrame({"id": pd.array(IDS, dtype="UInt64"), "tag": ["spine", "=1", "a\x1bb"]})
    content = io.BytesIO(format_table(frame, suffix))
    if suffix == ".xlsx":
        rows = [*openpyxl.load_workbook(content).active.iter_rows(values_only=True)][1:]
        assert [int(row[0]) for row in rows] == IDS
        assert all(isinstance(row[0], str) for row in rows)
    else:
        read = pd.read_csv if suffix == ".csv" else pd.read_parquet
        assert [int(cell) for cell in read(content)["id"]] == IDS


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_with_numbers_for_names_are_written(suffix) -> None:
    """A column of pandas' own, named by a number, is written under that number."""
    content = io.BytesIO(format_table(pd.DataFrame([["=1"]]), suffix))
    if suffix == ".xlsx":
        names = next(openpyxl.load_workbook(content).active.iter_rows(values_only=True))
    else:
        names = [*(pd.read_csv if suffix == ".csv" else pd.read_parquet)(content).columns]
    assert [*map(str, names)] == ["0"]


@given(st.text())
def test_no_text_is_a_formula(text) -> None:
    """A cell never begins like a formula, unless it is a plain number, and holds no escapes."""
    escaped = escape_cell(text)
    rest = re.sub("\t|\r?\n", "", escaped)
    assert "Cc" not in {unicodedata.category(character) for character in rest}
    assert not set(escaped) & {*"\x1b\x07\x9b\u202e\u2028"}
    if escaped[:1] in {"=", "+", "-", "@"}:
        assert float(escaped) == float(text)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1-2", "'+1-2"),
        ("-5", "-5"),
        ("+5e3", "+5e3"),
        ("'=1+1", "''=1+1"),
        ("-a", "'-a"),
        ("\t=1", "'\t=1"),
        ("\rx", "'\\rx"),
        ("a\r\nb\tc", "a\r\nb\tc"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202ea", "\\u202ea"),
        ("\uff1d1", "'\uff1d1"),
        ("'quoted'", "'quoted'"),
        ("", ""),
        ("spine", "spine"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
    ],
)
def test_cells(text, cell) -> None:
    """Formulas get an apostrophe, numbers stay, and escapes are written out."""
    assert escape_cell(text) == cell


def test_a_formula_in_an_excel_file_is_text() -> None:
    """Text that begins with an equals sign is stored as text, not as a formula."""
    content = io.BytesIO(format_table(pd.DataFrame({"note": ["=1+2"]}), ".xlsx"))
    cell = openpyxl.load_workbook(content).active["A2"]
    assert (cell.value, cell.data_type) == ("=1+2", "s")


def test_an_excel_file_cuts_nothing() -> None:
    """IDs and gaps are unchanged, and a text that is too long is refused."""
    frame = pd.DataFrame({"a": ["5", ""], "n": pd.array([1, None], dtype="Int64")})
    book = openpyxl.load_workbook(io.BytesIO(format_table(frame, ".xlsx")))
    assert [*book.active.iter_rows(values_only=True)][1:] == [("5", 1), (None, None)]
    with pytest.raises(UsageError, match="does not fit into a cell"):
        format_table(pd.DataFrame({"a": ["x" * 32_768]}), ".xlsx")


def test_a_column_with_gaps_is_read_exactly() -> None:
    """A gap, a missing value or a float among IDs turns none of them into a float."""
    for other in ("", "NA", "None", "8.64e17", "inf", "1.5", None):
        for suffix, read in ((".csv", pd.read_csv), (".xlsx", pd.read_excel)):
            frame = pd.DataFrame({"id": [str(IDS[1]), other], "n": [1, 2]})
            assert str(read(io.BytesIO(format_table(frame, suffix)))["id"][0]) == str(IDS[1])
    assert keep_exact(["5", ""]) == ["5", ""]
    assert keep_exact([str(number) for number in IDS]) == [str(number) for number in IDS]


def test_other_kinds_of_files_are_refused() -> None:
    """An unknown kind of file is refused by name."""
    with pytest.raises(UsageError, match=r"'\.txt'"):
        format_table(pd.DataFrame(), ".txt")
