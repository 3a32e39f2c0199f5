"""Tables keep every ID, and no text in them is a formula or a command."""

from __future__ import annotations

import io

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.render.tables import SUFFIXES, escape_cell, format_table

IDS = [1, 864691135276234469, 2**64 - 1]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_ids_survive(suffix) -> None:
    """IDs of 64 bits come back whole through the programs that read such files."""
    frame = pd.DataFrame({"id": pd.array(IDS, dtype="UInt64"), "tag": ["spine", "=1", "a\x1bb"]})
    content = io.BytesIO(format_table(frame, suffix))
    if suffix == ".xlsx":
        rows = [*openpyxl.load_workbook(content).active.iter_rows(values_only=True)][1:]
        assert [int(row[0]) for row in rows] == IDS
        assert all(isinstance(row[0], str) for row in rows)
    else:
        read = pd.read_csv if suffix == ".csv" else pd.read_parquet
        assert [int(cell) for cell in read(content)["id"]] == IDS


@given(st.text())
def test_no_text_is_a_formula(text) -> None:
    """A cell never begins as formulas do, unless it is a plain number, and holds no escapes."""
    escaped = escape_cell(text)
    assert escaped.isprintable()
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
        ("\t=1", "' =1"),
        ("spine", "spine"),
        ("a\x1b[2Jb", "a [2Jb"),
    ],
)
def test_cells(text, cell) -> None:
    """Formulas get an apostrophe, numbers stay, and escapes become spaces."""
    assert escape_cell(text) == cell


def test_a_formula_in_an_excel_file_is_text() -> None:
    """What begins with an equals sign is a text of the file, not a formula."""
    content = io.BytesIO(format_table(pd.DataFrame({"note": ["=1+2"]}), ".xlsx"))
    cell = openpyxl.load_workbook(content).active["A2"]
    assert (cell.value, cell.data_type) == ("'=1+2", "s")


def test_other_kinds_of_files_are_refused() -> None:
    """A kind of file that is not known is refused by name."""
    with pytest.raises(UsageError, match=r"'\.txt'"):
        format_table(pd.DataFrame(), ".txt")
