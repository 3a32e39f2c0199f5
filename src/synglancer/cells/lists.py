"""What was named on the command line → a table with a cell in each row.

Files are read as text where they can be, so that no root ID is rounded and no other value changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

_GUESSES = ("pt_root_id", "root_id", "cell")
_KINDS = (".csv", ".tsv", ".parquet", ".xlsx")
_EXACT = 2**53  # above it, spreadsheets and floats round integers


@dataclass(frozen=True)
class CellList:
    """Cells, and what their file says beside them.

    Attributes
    ----------
    cells
        What was given for each row.
    columns
        Names of the other columns, in their order.
    values
        For each row, their values as text.
    """

    cells: list[str]
    columns: list[str]
    values: list[list[str]]


def read_cell_list(
    given: Sequence[str], lines: Iterable[str], column: str | None = None
) -> CellList:
    """Read cells from words, from one file, or for ``-`` from lines.

    Parameters
    ----------
    given
        Root IDs; or the name of one CSV, TSV, Parquet or Excel file; or ``-``.
    lines
        What ``-`` stands for, one cell a line.
    column
        The file's column of root IDs; by default ``pt_root_id``, ``root_id`` or ``cell``.

    Raises
    ------
    UsageError
        When nothing is named, or a file cannot be read or has no such column.
    """
    files = [name for name in given if Path(name).suffix.lower() in _KINDS]
    if files and len(given) > 1:
        raise UsageError(
            "A file of cells was given among others.", "Give one file alone, or root IDs."
        )
    if files:
        return _read_file(Path(files[0]), column)
    words = [word for name in given for word in (lines if name == "-" else [name])]
    cells = [word.strip() for word in words if word.strip()]
    if not cells:
        raise UsageError(
            "No cell was given.", "Give root IDs, a CSV, Parquet or Excel file, or - for stdin."
        )
    return CellList(cells, [], [[] for _ in cells])


def _read_file(path: Path, column: str | None) -> CellList:
    frame = _read_frame(path)
    frame.columns = [str(name) for name in frame.columns]
    if column is None:
        column = next((name for name in _GUESSES if name in frame.columns), _GUESSES[0])
    cells = read_column(frame, column)
    if not cells:
        raise UsageError(f"The file {path} names no cell.", "Give one with a row for each cell.")
    others = [name for name in dict.fromkeys(frame.columns) if name != column]
    values = frame[others].to_numpy(dtype=object)  # also where there are no other columns
    rows = [[_text(value) for value in row] for row in values]
    return CellList(cells, list(frame[others].columns), rows)


def read_column(df: pd.DataFrame, column: str) -> list[str]:
    """Read a column of root IDs as text, an empty one where a row has none.

    Raises
    ------
    UsageError
        When there is no such column, or its IDs are rounded.
    """
    if list(df.columns).count(column) != 1:
        names = ", ".join(str(name) for name in df.columns)
        raise UsageError(
            f"The table has no column {column!r}, or has it twice.",
            f"Name the column of root IDs; there are: {names}.",
        )
    import pandas as pd

    values: pd.Series[Any] = df[column]
    if pd.api.types.is_float_dtype(values.dtype):
        raise UsageError(
            f"The column {column!r} holds floats, which have rounded its root IDs.",
            "Read it as text or integers, for instance with pandas.read_csv(…, "
            f"dtype={{{column!r}: 'Int64'}}).",
        )
    return [
        "" if missing else str(value).strip()
        for value, missing in zip(values, values.isna(), strict=True)
    ]


def _text(value: Any) -> str:
    missing = value is None or value != value or str(value) == "<NA>"  # noqa: PLR0124  # NaN
    return "" if missing else str(value)


def _read_frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    kind = path.suffix.lower()
    try:
        if kind == ".parquet":
            return pd.read_parquet(path)
        if kind == ".xlsx":
            frame = pd.read_excel(path, dtype=object)
            _check_not_rounded(path, frame)
            return frame.astype(object).where(frame.notna(), "")
        separator = "\t" if kind == ".tsv" else ","
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
    except ImportError as error:
        raise UsageError(
            "Excel files cannot be read without openpyxl.",
            "Install it with: pip install openpyxl; or save the table as CSV.",
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UsageError(
            f"The file {path} cannot be read as a table: {reason}.",
            "Give a CSV (UTF-8), TSV, Parquet or Excel file that has a line of column names.",
        ) from error


def _check_not_rounded(path: Path, frame: pd.DataFrame) -> None:
    """Refuse numbers of a spreadsheet that it may have rounded: their digits are not known."""
    for name in frame.columns:
        large = [v for v in frame[name] if isinstance(v, int | float) and abs(v) > _EXACT]
        if large:
            raise UsageError(
                f"The column {str(name)!r} of {path} holds IDs as numbers, which spreadsheets "
                "round to 15 digits.",
                "Store them as text in the spreadsheet, or give a CSV or Parquet file.",
            )
