"""Read cells from the command line, files and tables, with the tables' other columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import read_file
from synglancer.cells.parse import is_file, parse_cell
from synglancer.cells.standard_input import read_standard_input
from synglancer.cells.tables import (
    ENDINGS,
    ID_COLUMNS,
    Table,
    decode_text,
    looks_like_table,
    parse_table,
    read_table,
)
from synglancer.cells.typed_positions import join_position
from synglancer.errors import UsageError
from synglancer.text.printable import list_names, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

_MISSING = {"0", "0.0", "nan", "none", "<na>", "null"}
"""Text that stands for a missing root ID in a table; CAVE's own tables hold 0."""

_NO_CELLS = "Give a text file with one cell per line, or a table with a column of cells."

_QUOTABLE = re.compile(
    r"""(=?["']|(nucleus|synapse):)?[-+0-9.,;:\s'"_()\[\]{}@e\u00a0\u202f\u2009\u2019]*(nm)?""",
    re.IGNORECASE,
)
"""Lines that messages may quote of any file: numbers in any form. Others may be a secret."""

_BY_OPTION = "Name the column of root IDs with --column."
_BY_NAME = f"Call its column of root IDs {', '.join(ID_COLUMNS[:-1])} or {ID_COLUMNS[-1]}."

_GAP = "'"
"""An empty value in an ID column of our tables; see `render.tables.keep_exact`."""

_OTHER_KINDS = {"<": "HTML or XML", "%PDF": "a PDF"}
"""How files of other kinds begin."""


@dataclass(frozen=True)
class CellList:
    """Cells, with the other columns of their table.

    Attributes
    ----------
    cells
        The cell of each row, as given, as text.
    columns
        Names of the table's other columns, in their order.
    values
        For each row, their values as text.
    name
        Name of the column of cells; ``given`` where they were not in a table.
    place
        Number of other columns before it.
    places
        The place of each row, for messages; empty for words of the command line.
    from_table
        Whether a table was given.
    """

    cells: list[str]
    columns: list[str] = field(default_factory=list)
    values: list[list[str]] = field(default_factory=list)
    name: str = "given"
    place: int = 0
    places: list[str] = field(default_factory=list)
    from_table: bool = False

    def join(self) -> CellList:
        """Insert the column of cells among the others, in its place."""
        at = self.place
        return replace(
            self,
            columns=[*self.columns[:at], self.name, *self.columns[at:]],
            values=[
                [*row[:at], cell, *row[at:]]
                for cell, row in zip(self.cells, self.values, strict=True)
            ],
        )

    def take(self, column: str) -> list[str]:
        """Return the values of a column, which may be the column of cells."""
        if column == self.name:
            return self.cells
        at = self.columns.index(column)
        return [row[at] for row in self.values]


def read_cell_list(given: Sequence[str], column: str | None = None) -> CellList:
    """Read cells from words, from files, or for ``-`` from standard input.

    Parameters
    ----------
    given
        Cells; files with one cell a line, or ``-``; or one table: CSV, TSV, Parquet, Feather or
        Excel.
    column
        The table's column of cells; by default ``pt_root_id``, ``root_id`` or ``cell``.

    Raises
    ------
    UsageError
        When no cell is given, none is valid, or a file cannot be read or has no such column.
    """
    lists = [_read_word(word, column) for word in given]
    tables = [one for one in lists if one.from_table]
    if tables and len(lists) > 1:
        raise UsageError(
            "A table of cells was given together with other cells.",
            "Give only the table, or only cells.",
        )
    if tables:
        _check_any(tables[0])
        return tables[0]
    if column is not None:
        raise UsageError(
            f"A column {quote(column)} was named, but no table was given.",
            "Give a table that has this column, or leave --column out.",
        )
    cells = [cell for one in lists for cell in one.cells]
    places = [place for one in lists for place in one.places]
    if not cells:
        raise UsageError(
            "No cell was given.", "Give root IDs, a file of them, a table, or - for stdin."
        )
    given_cells = CellList(cells, values=[[] for _ in cells], places=places)
    _check_any(given_cells)
    return given_cells


def _check_any(given: CellList) -> None:
    """Refuse a list without any valid cell; invalid cells among valid ones are only skipped."""
    if _has_cell(given):
        return
    for cell, place in zip(given.cells, given.places, strict=True):
        if cell and (not place or _is_quotable(cell)):
            _check_cell(cell, place, known=False)
    source, _, _ = given.places[0].rpartition(", ")
    raise UsageError(f"{source} names no cell.", _NO_CELLS)


def _has_cell(given: CellList) -> bool:
    return any(_find_fault(cell) is None for cell in given.cells)


def _find_fault(cell: str) -> UsageError | None:
    """Find why a word is not a cell; None if it is one."""
    try:
        parse_cell(cell)
    except UsageError as error:
        return error
    return None


def _read_word(word: str, column: str | None, *, by_option: bool = True) -> CellList:
    """Read a word as a cell, as a file with a cell per line, or as a table."""
    if word == "-":
        content = read_standard_input("Give the cells as arguments or files.")
        return _read_text(content, "Standard input", column, by_option=by_option)
    if not _names_file(word):
        return CellList([word.strip()] if word.strip() else [], places=[""])
    path = Path(word)
    if path.suffix.lower() in ENDINGS:
        return _take_cells(
            read_table(path, column), f"The file {word}", column, by_option=by_option
        )
    try:
        content = read_file(path)
    except OSError as error:
        raise UsageError(f"The file {word} cannot be read: {error.strerror}.", _NO_CELLS) from error
    return _read_text(content, f"The file {word}", column, by_option=by_option)


def _names_file(word: str) -> bool:
    """Whether a word is the name of a file; a valid cell is never read as a file name."""
    if Path(word).suffix.lower() in ENDINGS:
        return True
    try:
        parse_cell(word)
    except UsageError:
        return is_file(word)
    return False


def _read_text(content: bytes, source: str, column: str | None, *, by_option: bool) -> CellList:
    text = decode_text(content, source)
    if text.lstrip().startswith("{"):
        raise UsageError(
            f"{source} holds JSON, not a list of cells.",
            "Give a Neuroglancer state as a file whose name ends with .json.",
        )
    for start, kind in _OTHER_KINDS.items():
        if text.lstrip().startswith(start):
            raise UsageError(f"{source} holds {kind}, not a list of cells.", _NO_CELLS)
    if looks_like_table(text, column):
        name = source.removeprefix("The file ")
        return _take_cells(parse_table(text, name, column), source, column, by_option=by_option)
    cells, places = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        cell = re.sub(r"(^|\s)#(?!!).*", "", line).strip()
        if cell:
            cells.append(cell)
            places.append(f"{source}, line {number}")
    if not cells:
        raise UsageError(f"{source} names no cell.", _NO_CELLS)
    return CellList(cells, places=places)


def _take_cells(table: Table, source: str, column: str | None, *, by_option: bool) -> CellList:
    if column is None:
        column = next((name for name in ID_COLUMNS if name in table.names), ID_COLUMNS[0])
    column = column.strip()
    if column not in table.names:
        raise UsageError(
            f"{source} has no column {quote(column)}.",
            f"{_BY_OPTION if by_option else _BY_NAME} The columns are: {list_names(table.names)}.",
        )
    if not table.rows:
        raise UsageError(f"{source} names no cell.", "Give a table with a row for each cell.")
    at = table.names.index(column)
    return CellList(
        cells=["" if row[at] == _GAP else row[at] for row in table.rows],
        columns=table.names[:at] + table.names[at + 1 :],
        values=[row[:at] + row[at + 1 :] for row in table.rows],
        name=column,
        place=at,
        places=[f"{source}, {table.unit} {line}" for line in table.lines],
        from_table=True,
    )


def list_given_cells(words: Iterable[str]) -> list[str]:
    """Replace names of files by their cells, and check that each is a valid cell.

    Parameters
    ----------
    words
        Cells, files with one cell a line, tables with a column of cells, or ``-`` for standard
        input; or the parts of one position that the shell has split. In a text file, empty lines
        are ignored, and so is a comment: ``#``, at the beginning of a line or after white space,
        and the rest of the line.

    Returns
    -------
    list of str
        What `parse_cell` takes, in order.

    Raises
    ------
    UsageError
        When a file cannot be read, or a line of it is not a cell; the error names the line.
    """
    words = list(words)
    if position := join_position(words):
        return [position]
    cells: list[str] = []
    for word in words:
        if word != "-" and not _names_file(word):
            parse_cell(word)
            cells.append(word)
            continue
        listed = _read_word(word, None, by_option=False)
        known = _has_cell(listed)
        for cell, place in zip(listed.cells, listed.places, strict=True):
            _check_cell(cell, place, known=known)
        cells += listed.cells
    return cells


def _check_cell(cell: str, place: str, *, known: bool) -> None:
    """Refuse a line that is not a cell; the error names its place.

    Unless its file is known to hold cells, only numbers are quoted.
    """
    if error := _find_fault(cell):
        if not place:
            raise error
        said = str(error) if known or _is_quotable(cell) else "this is not a cell."
        raise UsageError(f"{place}: {said}", error.hint)


def _is_quotable(cell: str) -> bool:
    return bool(_QUOTABLE.fullmatch(cell)) or cell.lower() in _MISSING


def read_column(df: pd.DataFrame, column: str) -> list[str]:
    """Read a column of root IDs as text; NaN, None, 0 and "" become empty.

    Raises
    ------
    UsageError
        When there is no such column, or its IDs are rounded.
    """
    named = isinstance(column, str | int | tuple)  # others cannot be compared with names
    if not named or list(df.columns).count(column) != 1:
        names = list_names(df.columns)
        raise UsageError(
            f"The table has no column {quote(column)}, or has it twice.",
            f"Name the column of root IDs. The columns are: {names}.",
        )
    import pandas as pd

    values: pd.Series[Any] = df[column]
    if pd.api.types.is_float_dtype(values.dtype) and (values.fillna(0) != 0).any():
        raise UsageError(
            f"The column {column!r} holds floats, which have rounded its root IDs.",
            "Read it as text or integers, for instance with pandas.read_csv(…, "
            f"dtype={{{column!r}: 'Int64'}}).",
        )
    texts = (
        "" if missing else str(value).strip()
        for value, missing in zip(values, values.isna(), strict=True)
    )
    return ["" if text.lower() in _MISSING else text for text in texts]
