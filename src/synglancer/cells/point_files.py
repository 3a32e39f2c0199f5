"""Read a user's own points from a file or a DataFrame, with a description for the record."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.cells.tables import TEXTS, Table, read_table_and_hash
from synglancer.errors import UsageError
from synglancer.text.printable import is_unicode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

_HINT = "Give a CSV, TSV, Parquet, Feather or Excel file, or in Python a DataFrame."
_KEPT_AS_TEXT = re.compile(
    r"'(|[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|'*[=+\-@\t\r\uff0b\uff0d\uff1d\uff20].*)",
    re.ASCII | re.DOTALL,
)
"""A text with an apostrophe in front for spreadsheets, as written by `synglancer table`."""


@dataclass(frozen=True)
class PointFile:
    """A table of points.

    Attributes
    ----------
    name
        The file's name without its folder; ``DataFrame`` for one.
    sha256
        Of the file's bytes, or of a DataFrame's texts, in hexadecimal.
    table
        Its values, as texts.
    """

    name: str
    sha256: str
    table: Table = field(repr=False, compare=False)

    def name_row(self, row: int) -> str:
        """Name the place of a row for errors."""
        return f"{self.name}, {self.table.unit} {self.table.lines[row]}"


def read_point_files(given: Sequence[Any]) -> list[PointFile]:
    """Read files and DataFrames of points.

    Raises
    ------
    UsageError
        When one cannot be read, holds no row, or is given twice.
    """
    files = [_read(one) for one in given]
    for place, file in enumerate(files):
        if not file.table.rows:
            raise UsageError(f"{file.name} holds no points.", "Give a table with a row for each.")
        if file in files[:place]:
            raise UsageError(f"{file.name} was given twice.", "Give each file of points once.")
    return files


def _read(given: Any) -> PointFile:
    if hasattr(given, "columns") and hasattr(given, "itertuples"):
        return _read_frame(given)
    if not isinstance(given, str | os.PathLike):
        raise UsageError(f"{type(given).__name__} holds no points.", _HINT)
    path = Path(given)
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file of points.", _HINT)
    if not path.exists():
        raise UsageError(f"There is no file of points at {path}.", _HINT)
    table, sha256 = read_table_and_hash(path)
    if path.suffix.lower() in TEXTS:
        rows = [[_unquote(value) for value in row] for row in table.rows]
        table = replace(table, names=[_unquote(name) for name in table.names], rows=rows)
    return PointFile(path.name, sha256, table)


def _unquote(value: str) -> str:
    """Remove the apostrophe that keeps a text from being a formula in a spreadsheet."""
    return value[1:] if _KEPT_AS_TEXT.fullmatch(value) else value


def _read_frame(frame: pd.DataFrame) -> PointFile:
    import orjson

    names = [str(name).strip() for name in frame.columns]
    if len({*names}) < len(names):
        raise UsageError(
            "The DataFrame of points has two columns with the same name.",
            "Give each column a name of its own.",
        )
    columns = [
        ["" if lacks else str(value) for value, lacks in zip(column, column.isna(), strict=True)]
        for _, column in frame.items()
    ]
    rows = [[column[i] for column in columns] for i in range(len(frame))]
    if not all(map(is_unicode, chain(names, *columns))):
        raise UsageError(
            "The DataFrame of points holds texts with characters that are not Unicode.",
            "Read them again in their own encoding, or leave these characters out.",
        )
    digest = hashlib.sha256(orjson.dumps([names, rows])).hexdigest()
    return PointFile(
        "DataFrame", digest, Table(names, rows, [*range(1, len(rows) + 1)], unit="row")
    )
