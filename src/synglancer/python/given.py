"""Read the cells that Python users give: one, or several in any list, array or column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synglancer.cells.typed_positions import read_point
from synglancer.errors import UsageError
from synglancer.text.printable import quote

_CELL = "Give a root ID as an integer or as text."
_IN_A_LIST = "Give the cells in a list: make_links([864691135276234469])."
_COLUMN = 'Give its column of root IDs, such as df["pt_root_id"], or use add_links(df).'


def unwrap(given: Any) -> Any:
    """Return the number in a scalar of numpy or an array without dimensions."""
    return given.item() if getattr(given, "shape", None) == () else given


def is_one(cell: Any) -> bool:
    """Whether a value stands for one cell."""
    return isinstance(cell, str | bytes) or not isinstance(cell, Iterable) or bool(read_point(cell))


def list_cells(cell: Any) -> list[int | str]:
    """List the cells of one link, each as a root ID or a text.

    Raises
    ------
    UsageError
        When a table or a dict was given.
    """
    cell = unwrap(cell)
    if cell is None:
        return []
    if is_one(cell):
        return [_name_cell(cell)]
    _refuse_tables(cell)
    return [*map(_name_cell, cell)]


def list_separate_cells(cells: Any) -> list[int | str]:
    """List the cells of separate links, each as a root ID or a text.

    Raises
    ------
    UsageError
        When it is not a list of cells.
    """
    cells = unwrap(cells)
    if isinstance(cells, str) and Path(cells).suffix[1:].isalpha() and "://" not in cells:
        raise UsageError(
            f"{quote(cells)} is a text, not a list of cells, and make_links reads no files.",
            'Read the file first, for instance with pandas.read_csv("cells.csv", dtype=str), and '
            "give its column of root IDs.",
        )
    if is_one(cells):
        raise UsageError(f"{quote(cells)} is not a list of cells.", _IN_A_LIST)
    _refuse_tables(cells)
    return [*map(_name_cell, cells)]


def _refuse_tables(cells: Any) -> None:
    """Refuse what would give names of columns or keys in place of cells."""
    if hasattr(cells, "columns"):
        raise UsageError("A table was given where cells were expected.", _COLUMN)
    if isinstance(cells, Mapping):
        raise UsageError(f"{quote(cells)} is not a list of cells.", _IN_A_LIST)


def _name_cell(given: Any) -> int | str:
    """Return a position as text, and any other cell unchanged."""
    given = unwrap(given)
    point = read_point(given)
    if point is not None:
        return str(point)
    try:
        str(given)
    except ValueError:  # an integer with more digits than Python writes
        return quote(given)
    except Exception as error:
        raise UsageError(f"{quote(given)} is not a cell.", _CELL) from error
    return given
