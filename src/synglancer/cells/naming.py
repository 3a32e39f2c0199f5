"""Name the cells of a link, and other items, in sentences, titles and file names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMED = 3  # cells in a title: more do not fit


def enumerate_some(items: Sequence[object], most: int) -> str:
    """List the first few items, and the number of further ones.

    Examples
    --------
    >>> enumerate_some([1, 2, 3, 4], 3)
    '1, 2, 3 and 1 more'
    """
    shown = ", ".join(str(item) for item in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def name_cells(cells: Sequence[int]) -> str:
    """Name the cells of a link in a line."""
    return enumerate_some(cells, _NAMED)


def name_in_files(cells: Sequence[int]) -> str:
    """Name the cells of a link in the name of a file.

    Examples
    --------
    >>> name_in_files([864691135276234469]), name_in_files([864691135276234469, 5, 6])
    ('864691135276234469', '864691135276234469-and-2-more')
    """
    more = len(cells) - 1
    return f"{cells[0]}-and-{more}-more" if more else f"{cells[0]}"
