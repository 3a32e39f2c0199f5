"""Read users' tables, with every value as text and the line of every row.

pandas is not used, because it takes the first column of overlong rows for row names, renames
repeated columns, and reads integers with gaps as floats, which round root IDs.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import read_file
from synglancer.errors import UsageError, needs_extra
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

TEXTS = (".csv", ".tsv", ".tab")
COLUMNAR = (".parquet", ".feather", ".arrow")
WORKBOOKS = (".xlsx", ".xlsm")
ENDINGS = (*TEXTS, *COLUMNAR, *WORKBOOKS)
"""File extensions of tables."""

ID_COLUMNS = ("pt_root_id", "root_id", "cell")
"""Names of the column of cells, in order of preference, if no column is named."""

_SEPARATORS = (",", "\t", ";")
_EXACT = 10**15  # from here on, a spreadsheet may have rounded a number
_LARGEST_FIELD = 16 * 2**20
_HINT = "Give a CSV, TSV, Parquet, Feather or Excel file with a header line."


@dataclass(frozen=True)
class Table:
    """A table in its original form.

    Attributes
    ----------
    names
        Names of the columns, without white space around them.
    rows
        For each row its values as text, as many as there are names; a missing one is empty.
    lines
        For each row, the line (of a text) or the row (of a spreadsheet or a columnar file) where it
        begins, counted from 1.
    unit
        What `lines` count: ``line`` or ``row``.
    """

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    unit: str = "line"


def read_table(path: Path, column: str | None = None) -> Table:
    """Read a table according to its file extension.

    Parameters
    ----------
    path
        A text with separators (comma, semicolon or tab; UTF-8 or UTF-16), a Parquet or Feather
        file, or an Excel workbook, whose first sheet is read.
    column
        The wanted column of cells, which shows the character that separates columns.

    Raises
    ------
    UsageError
        When it cannot be read; a row has not as many values as there are columns; two columns have
        one name; or a spreadsheet holds integers that it has rounded.
    """
    with _explained(path):
        return _parse(read_file(path), path, column)


def read_table_and_hash(path: Path) -> tuple[Table, str]:
    """Read a table, as `read_table` does, and the SHA-256 of the same bytes, in hexadecimal.

    A pipe can be read only once, and a file may change between two reads.
    """
    with _explained(path):
        content = read_file(path)
        return _parse(content, path), hashlib.sha256(content).hexdigest()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Explain why a file cannot be read as a table."""
    try:
        yield
    except UsageError:
        raise
    except Exception as error:  # whatever a library makes of a damaged file
        if not path.exists():
            raise UsageError(
                f"There is no file {path}.", "Check the file's name and folder."
            ) from error
        if isinstance(error, PermissionError):
            raise UsageError(
                f"You do not have permission to read the file {path}.", "Check its permissions."
            ) from error
        reason = "it is damaged, or its format is not the one in its name"
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        raise UsageError(f"The file {path} cannot be read as a table: {reason}.", _HINT) from error


def _parse(content: bytes, path: Path, column: str | None = None) -> Table:
    kind = path.suffix.lower()
    if kind in COLUMNAR:
        return _parse_columnar(content, path, kind)
    if kind in WORKBOOKS:
        told = "Excel files cannot be read without openpyxl."
        with needs_extra("excel", told, "save the table as CSV"):
            return _parse_workbook(content, path)
    return parse_table(decode_text(content, f"The file {path}"), str(path), column)


def decode_text(content: bytes, source: str) -> str:
    """Decode a text in UTF-8 or UTF-16, with or without a byte-order mark.

    Raises
    ------
    UsageError
        When it is neither.
    """
    encoding = "utf-8-sig"
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        encoding = "utf-16"
    elif content[1:2] == b"\0":
        encoding = "utf-16-le"
    elif content[:1] == b"\0":
        encoding = "utf-16-be"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{source} cannot be read: not a text file in UTF-8 or UTF-16.",
            "Save it as text in UTF-8; in Excel, choose the type 'CSV UTF-8'.",
        ) from error
    if "\0" in text:
        raise UsageError(
            f"{source} cannot be read: not a text file.",
            "Save it as text in UTF-8; in Excel, choose the type 'CSV UTF-8'.",
        )
    return text


def looks_like_table(text: str, column: str | None = None) -> bool:
    """Whether the first line of a text names a column of cells."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    wanted = {column} if column else {*ID_COLUMNS}
    fields = (field.strip(' "') for field in re.split(r"[,;\t]", first))
    return not wanted.isdisjoint(fields)


def parse_table(text: str, source: str, column: str | None = None) -> Table:
    """Parse a text with separators.

    Parameters
    ----------
    text
        The text; values in double quotes may go over several lines.
    source
        The file's name, for messages.
    column
        The column of cells that is looked for.

    Raises
    ------
    UsageError
        As `read_table`.
    """
    skipped = 0
    separator = ""
    if found := re.match(r"sep=(.)\r?\n", text):  # so Excel marks its files
        separator, skipped, text = found[1], 1, text[found.end() :]
    separator = separator or _find_separator(text, source, column)
    records = _parse_records(text, separator, source, skipped)
    if not records:
        raise UsageError(f"The file {source} is empty.", _HINT)
    (line, names), *rest = records
    for number, row in rest:
        if len(row) != len(names):
            values = "1 value" if len(row) == 1 else f"{len(row):,} values"
            raise UsageError(
                f"The file {source}, line {number}: it has {values}, and line {line} "
                f"names {len(names)} columns.",
                "Correct that line; a value that contains the separator needs double quotes.",
            )
    return _finish(names, [row for _, row in rest], [at for at, _ in rest], source, "line")


def _find_separator(text: str, source: str, column: str | None) -> str:
    """Find the separator: the one that gives the column of cells, or else the most columns."""
    wanted = {column} if column else {*ID_COLUMNS}

    def rate(separator: str) -> tuple[bool, int]:
        try:
            _, names = _parse_records(text, separator, source, 0, most=1)[0]
        except (UsageError, IndexError):
            return False, 0
        return not wanted.isdisjoint(name.strip() for name in names), len(names)

    return max(_SEPARATORS, key=rate)


def _parse_records(
    text: str, separator: str, source: str, skipped: int, most: int | None = None
) -> list[tuple[int, list[str]]]:
    """Parse records, each with the line where it begins; empty lines are left out."""
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    records: list[tuple[int, list[str]]] = []
    line = 1
    try:
        for record in reader:
            if record and not (len(record) == 1 and not record[0].strip()):
                records.append((line + skipped, record))
                if len(records) == most:
                    break
            line = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(
            f"The file {source}, line {line + skipped}: a value in double quotes is not closed "
            f"properly ({error}).",
            'Correct that line; a double quote within a quoted value is doubled, as in "5""".',
        ) from error
    return records


def _finish(
    names: Sequence[str], rows: list[list[str]], lines: list[int], source: str, unit: str
) -> Table:
    """Leave out empty rows at the end and empty nameless columns, and check the names."""
    filled = (i for i in range(len(rows), 0, -1) if any(value.strip() for value in rows[i - 1]))
    end = next(filled, 0)
    rows, lines = rows[:end], lines[:end]
    stripped = [name.strip() for name in names]
    kept = [i for i, name in enumerate(stripped) if name or any(row[i].strip() for row in rows)]
    if len(kept) < len(stripped):
        stripped = [stripped[i] for i in kept]
        rows = [[row[i] for i in kept] for row in rows]
    twice = [name for name in dict.fromkeys(stripped) if stripped.count(name) > 1]
    if twice:
        what = f"the name {quote(twice[0])}" if twice[0] else "no name"
        number = stripped.count(twice[0])
        raise UsageError(
            f"The file {source} has {number} columns with {what}.",
            "Give each column its own name, or leave out the columns that you do not need.",
        )
    return Table(stripped, rows, lines, unit)


def _parse_columnar(content: bytes, path: Path, kind: str) -> Table:
    import pyarrow as pa
    import pyarrow.feather as pf
    import pyarrow.parquet as pq

    file = pa.BufferReader(content)
    table = pq.ParquetFile(file).read() if kind == ".parquet" else pf.read_table(file)
    kept = [i for i, name in enumerate(table.column_names) if not _is_index(name)]
    columns = [[_text(value) for value in table.column(i).to_pylist()] for i in kept]
    rows = [[column[i] for column in columns] for i in range(table.num_rows)]
    names = [table.column_names[i] for i in kept]
    return _finish(names, rows, [*range(1, len(rows) + 1)], str(path), "row")


def _is_index(name: str) -> bool:
    """Whether pandas has added a column for its row names."""
    return re.fullmatch(r"__index_level_[0-9]+__", name) is not None


def _parse_workbook(content: bytes, path: Path) -> Table:
    import pandas as pd

    file = io.BytesIO(content)
    frame = pd.read_excel(file, dtype=object, header=None, keep_default_na=False, na_filter=False)
    cells = [[_text(value) for value in row] for row in frame.to_numpy(dtype=object)]
    first = next((i for i, row in enumerate(cells) if any(row)), None)
    if first is None:
        raise UsageError(f"The file {path} is empty.", _HINT)
    for at, name in enumerate(cells[first]):
        _check_not_rounded(path, name, frame.iloc[first + 1 :, at])
    kept = [i for i in range(first + 1, len(cells)) if any(cells[i])]
    rows = [cells[i] for i in kept]
    return _finish(cells[first], rows, [i + 1 for i in kept], str(path), "row")


def _check_not_rounded(path: Path, name: str, values: Iterable[Any]) -> None:
    """Refuse numbers that a spreadsheet may have rounded."""
    if any(isinstance(value, int | float) and abs(value) >= _EXACT for value in values):
        raise UsageError(
            f"The column {quote(name)} of {path} holds IDs as numbers, which spreadsheets round to "
            "15 digits.",
            "Store them as text in the spreadsheet, or give a CSV or Parquet file.",
        )


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124  # NaN
        return ""
    return str(value)
