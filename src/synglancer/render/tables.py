"""Tables as files: CSV that is safe in spreadsheets and terminals, Parquet, or Excel."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.printable import printable

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".xlsx")
"""Endings of files that hold a table."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_MOST_DIGITS_KEPT = 10**15
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")


def check_table_suffix(suffix: str) -> None:
    """Check that a table can be written as a kind of file.

    Raises
    ------
    UsageError
        When it cannot.
    """
    if suffix not in SUFFIXES:
        raise UsageError(
            f"A table cannot be written as {suffix or 'a file without an ending'!r}.",
            f"Name the file with one of {', '.join(SUFFIXES)}.",
        )


def format_table(frame: pd.DataFrame, suffix: str = ".csv") -> bytes:
    """Write a table as the content of a file.

    Parameters
    ----------
    frame
        The table. IDs of 64 bits are integers or text, without missing values: programs that read
        CSV would take a column of IDs with holes for floats, and round it.
    suffix
        ``.csv``, ``.parquet`` or ``.xlsx``. In Excel files, IDs are text, since spreadsheets keep
        fifteen digits only.

    Raises
    ------
    UsageError
        When openpyxl is not installed, for Excel files.
    """
    check_table_suffix(suffix)
    content = io.BytesIO()
    if suffix == ".parquet":
        frame.to_parquet(content, index=False)
    elif suffix == ".xlsx":
        _write_excel(frame, content)
    else:
        safe = frame.map(escape_cell).rename(columns=escape_cell)
        content.write(safe.to_csv(index=False, lineterminator="\n").encode())
    return content.getvalue()


def escape_cell(value: Any) -> Any:
    """Make a text of a CSV cell mean itself in a spreadsheet and on a terminal.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets
    themselves mark text; characters that a terminal would obey become spaces. Numbers stay.

    Examples
    --------
    >>> escape_cell("=1+2"), escape_cell("-5"), escape_cell("spine")
    ("'=1+2", '-5', 'spine')
    """
    if not isinstance(value, str):
        return value
    formula = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    text = printable(value)
    return f"'{text}" if formula else text


def _write_excel(frame: pd.DataFrame, content: io.BytesIO) -> None:
    try:
        frame.apply(_write_long_ids).map(escape_cell).to_excel(content, index=False)
    except ImportError as error:
        raise UsageError(
            "Excel files cannot be written without openpyxl.",
            "Install it with: pip install openpyxl; or write a CSV or Parquet file.",
        ) from error


def _write_long_ids(column: pd.Series[Any]) -> pd.Series[Any]:
    """Write a column of integers as text where a spreadsheet would round them."""
    long = column.dtype.kind in "iu" and bool((abs(column) > _MOST_DIGITS_KEPT).any())
    return column.astype(str) if long else column
