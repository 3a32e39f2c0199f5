"""Divide the cells of a batch into groups whose tables are queried together.

If the query of a group fails, the group is halved, down to single cells. A single cell is queried
when its link is made, where an error can name the cell.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from synglancer.cells.parse import parse_root_id
from synglancer.errors import (
    BadAnswerError,
    ServiceError,
    SynglancerError,
    TruncatedError,
    UnreachableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.synapses.ahead import Size

_FIRST = 10  # cells of unknown size
_FEWEST = 2  # a single cell is queried when its link is made
_GROWTH = 4  # the most that a group may grow by, because the next cells may be larger
_MOST_CELLS = 500  # for which tables are queried together
_MOST_WAITING = 2_000  # cells of one group, including cells whose links are known
_ROWS = 50_000  # in an answer: some 10 MB
_HALVED = (ServiceError, BadAnswerError, TruncatedError, UnreachableError)
_SILENCES = 2  # in a row: the service is down, rather than the group too large


class Groups:
    """The groups of a batch.

    Parameters
    ----------
    cells
        The waiting cells, in their order.
    lacks_rows
        Whether a cell's rows must be queried, as far as is known without a request.
    fetch
        Fetches the rows of a group of cells ahead.
    """

    def __init__(
        self,
        cells: Sequence[str],
        lacks_rows: Callable[[str], bool],
        fetch: Callable[[Sequence[str]], Size],
    ) -> None:
        self._waiting = deque(cells)
        self._lacks_rows = lacks_rows
        self._fetch = fetch
        self._most = _FIRST
        self._silences = 0

    def add(self, cells: Sequence[str]) -> None:
        """Add cells at the end of the queue."""
        self._waiting.extend(cells)

    def take_next(self) -> list[str]:
        """Take the next group, with its rows fetched if possible.

        Returns an empty list when there are no more cells.
        """
        group: list[str] = []
        lacking: list[str] = []
        while self._waiting and len(lacking) < self._most and len(group) < _MOST_WAITING:
            cell = self._waiting.popleft()
            group.append(cell)
            with suppress(SynglancerError):  # the error is reported when its link is made
                if self._lacks_rows(cell):
                    lacking.append(cell)
        self._silences = 0
        self._fetch_halving(lacking)
        return group

    def _fetch_halving(self, cells: Sequence[str]) -> None:
        """Fetch the rows of some cells; rows that fail are left for each cell's own query."""
        if len(cells) < _FEWEST or self._silences >= _SILENCES:
            return
        try:
            size = self._fetch(cells)
        except SynglancerError as error:
            self._silences = self._silences + 1 if isinstance(error, UnreachableError) else 0
            self._most = max(_FEWEST, len(cells) // 2)
            if type(error) in _HALVED:
                middle = len(cells) // 2
                self._fetch_halving(cells[:middle])
                self._fetch_halving(cells[middle:])
            return
        self._silences = 0
        self._most = choose_next(len(cells), size)


def choose_next(cells: int, size: Size) -> int:
    """Choose how many cells the next group may have.

    Parameters
    ----------
    cells
        Number of cells in the last group.
    size
        Size of its largest answer.

    Examples
    --------
    >>> from synglancer.synapses.ahead import Size
    >>> choose_next(10, Size(rows=10_000))
    40
    >>> choose_next(40, Size(rows=400_000, limit=20_000))
    2
    """
    rows = _ROWS if size.limit is None else min(_ROWS, size.limit // 2)
    fit = rows * cells // max(size.rows, 1)
    return max(_FEWEST, min(fit, _GROWTH * cells, _MOST_CELLS))


def read_root_ids(cells: Sequence[str]) -> list[int]:
    """Read the root IDs among the given cells, each once; other forms wait for their turn."""
    root_ids = []
    for cell in cells:
        with suppress(UsageError):
            root_ids.append(parse_root_id(cell))
    return [*dict.fromkeys(root_ids)]
