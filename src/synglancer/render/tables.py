"""Tables as files: CSV that is safe in spreadsheets and terminals, Parquet, or Excel."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError, needs_extra
from synglancer.render.endings import check_kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

SUFFIXES = (".csv", ".parquet", ".xlsx")
"""File extensions of tables."""

_MOST_DIGITS_KEPT = 10**15  # by spreadsheets
_EXACT = 2**53  # above it, floats round integers
_LONGEST = 32_767  # characters in a cell of Excel

_FORMULA = re.compile(r"'*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]")
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_CONTROL = re.compile(
    r"\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]"
)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_MISSING = {
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
}
"""Text that pandas reads as a missing value."""


def check_table_suffix(name: str | Path) -> None:
    """Check that a file extension is supported for tables.

    Raises
    ------
    UsageError
        When it is not supported.
    """
    check_kind("A table", name, SUFFIXES)


def format_table(frame: pd.DataFrame, suffix: str = ".csv") -> bytes:
    """Write a table as the content of a file.

    Parameters
    ----------
    frame
        The table. IDs of 64 bits are integers or text.
    suffix
        ``.csv``, ``.parquet`` or ``.xlsx``. In CSV, texts are escaped as `escape_cell` says, and
        columns of IDs with gaps as `keep_exact` says. In Excel files, texts and IDs are texts,
        since spreadsheets keep fifteen digits only; columns with gaps are as in CSV.

    Raises
    ------
    UsageError
        When openpyxl is not installed, for Excel files, or a text is too long for them.
    """
    check_table_suffix(suffix)
    content = io.BytesIO()
    if suffix == ".parquet":
        frame.to_parquet(content, index=False)
    elif suffix == ".xlsx":
        _write_excel(frame, content)
    else:
        safe = frame.apply(_escape_column).rename(columns=escape_cell)
        text = safe.to_csv(index=False, lineterminator="\n")
        content.write(text.encode("utf-8", "backslashreplace"))
    return content.getvalue()


def escape_cell(value: Any) -> Any:
    r"""Escape a text for a CSV cell, so that spreadsheets and terminals show it as text.

    A text that begins like a formula gets an apostrophe in front: one that begins with ``=``,
    ``+``, ``-``, ``@``, a tab or a carriage return, or with apostrophes and one of these. Numbers
    stay numbers. Control characters other than tabs and line breaks are written out, such as
    ``\x1b``. Without control characters, removing the apostrophe gives the exact text again.

    Examples
    --------
    >>> escape_cell("=1+2"), escape_cell("-5"), escape_cell("spine")
    ("'=1+2", '-5', 'spine')
    """
    if not isinstance(value, str):
        return value
    formula = _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return _escape_controls(f"'{value}" if formula else value)


def _escape_controls(text: str) -> str:
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def keep_exact(values: Sequence[str]) -> Sequence[str]:
    """Mark values that would make programs read a column of IDs as floats and round them.

    A column of integers is read exactly, and so is a column with text. If IDs are mixed with
    missing values or other numbers, these get an apostrophe in front.

    Examples
    --------
    >>> keep_exact(["864691135276234469", ""]), keep_exact(["5", ""])
    (['864691135276234469', "'"], ['5', ''])
    """
    whole = [re.fullmatch(r"[+-]?[0-9]+", value.strip()) is not None for value in values]
    if all(whole) or not any(
        number and abs(int(value)) > _EXACT for value, number in zip(values, whole, strict=True)
    ):
        return values
    return [
        value if number or not _is_number_or_missing(value) else f"'{value}"
        for value, number in zip(values, whole, strict=True)
    ]


def _is_number_or_missing(value: str) -> bool:
    text = value.strip()
    return value in _MISSING or bool(_NUMBER.fullmatch(text) or _INFINITE.fullmatch(text))


def _escape_column(column: pd.Series[Any]) -> pd.Series[Any]:
    if column.dtype.kind not in "iuO":
        return column
    texts = [escape_cell(text) for text in _list_texts(column)]
    return type(column)(texts, index=column.index, dtype=object)


def _list_texts(column: pd.Series[Any]) -> Sequence[str]:
    pairs = zip(column, column.isna(), strict=True)
    return keep_exact(["" if missing else str(value) for value, missing in pairs])


def _write_excel(frame: pd.DataFrame, content: io.BytesIO) -> None:
    """Write a workbook in which text stays text, whatever it begins with."""
    told = "Excel files cannot be written without openpyxl."
    with needs_extra("excel", told, "write a CSV or Parquet file"):
        from openpyxl import Workbook
        from openpyxl.cell import WriteOnlyCell
    columns = [_list_cells(column) for _, column in frame.items()]
    rows = [[_escape_controls(str(name)) for name in frame.columns], *zip(*columns, strict=True)]
    longest = max(
        (len(value) for row in rows for value in row if isinstance(value, str)), default=0
    )
    if longest > _LONGEST:
        raise UsageError(
            f"A text of {longest:,} characters does not fit into a cell of Excel.",
            "Write a .csv or .parquet file, or leave out --inline to get short links.",
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet("table")
    for row in rows:
        cells = [WriteOnlyCell(sheet, value=value) for value in row]
        for cell in cells:
            if isinstance(cell.value, str):
                cell.data_type = "s"  # no formula
        sheet.append(cells)
    book.save(content)


def _list_cells(column: pd.Series[Any]) -> list[Any]:
    """List the values of a column: numbers that a spreadsheet keeps exactly, and text."""
    kind = column.dtype.kind
    long = kind in "iu" and bool((abs(column) > _MOST_DIGITS_KEPT).any())
    if kind in "iufb" and not long:
        return [
            None if missing else value.item() if hasattr(value, "item") else value
            for value, missing in zip(column, column.isna(), strict=True)
        ]
    return [_escape_controls(text) for text in _list_texts(column)]
