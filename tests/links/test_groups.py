"""Groups of cells: their size, and what happens when a group fails."""

from __future__ import annotations

from itertools import chain

import pytest

from synglancer.errors import LoginError, ServiceError, UnreachableError
from synglancer.links.groups import Groups, choose_next
from synglancer.synapses.ahead import Size

CELLS = [str(864691135000000000 + number) for number in range(1_000)]


def take_all(groups: Groups) -> list[list[str]]:
    return [*iter(groups.take_next, [])]


def test_groups_grow_to_what_an_answer_holds() -> None:
    """Groups grow at most fourfold, until their answers have about 50,000 rows."""
    fetched = []

    def fetch(cells):
        fetched.append([*cells])
        return Size(rows=500 * len(cells))

    taken = take_all(Groups(CELLS, lambda _: True, fetch))
    assert fetched == taken
    assert [len(group) for group in taken] == [10, 40, *[100] * 9, 50]
    assert [*chain.from_iterable(taken)] == CELLS


def test_cells_whose_rows_are_known_are_not_fetched() -> None:
    """Cells with known rows are in their group, in order, but in no query."""
    fetched = []

    def fetch(cells):
        fetched.extend(cells)
        return Size(rows=10)

    known = {*CELLS[::3]}
    taken = take_all(Groups(CELLS, lambda cell: cell not in known, fetch))
    assert [*chain.from_iterable(taken)] == CELLS
    assert fetched == [cell for cell in CELLS if cell not in known]


def test_a_failing_group_is_halved_to_the_cell_at_fault() -> None:
    """All cells but the failing one are fetched; that one is left for its own query."""
    fetched = []

    def fetch(cells):
        if CELLS[6] in cells:
            raise ServiceError("It stumbled.", "Try again.")
        fetched.extend(cells)
        return Size(rows=10)

    Groups(CELLS[:10], lambda _: True, fetch).take_next()
    assert {*CELLS[:5]} <= {*fetched}
    assert {*CELLS[7:10]} <= {*fetched}


@pytest.mark.parametrize(("error", "most"), [(LoginError, 1), (UnreachableError, 2)])
def test_what_is_true_of_all_cells_is_not_asked_again(error, most) -> None:
    """For one group, a refused login is queried once, and a silent server twice."""
    asked = []

    def fetch(cells):
        asked.append(cells)
        raise error("No.", "Try again.")

    assert Groups(CELLS, lambda _: True, fetch).take_next() == CELLS[:10]
    assert len(asked) == most


@pytest.mark.parametrize(
    ("cells", "size", "expected"),
    [
        (10, Size(), 40),
        (10, Size(rows=500_000), 2),
        (100, Size(rows=40_000, limit=200_000), 125),
        (100, Size(rows=40_000, limit=20_000), 25),
        (400, Size(rows=4), 500),
    ],
)
def test_the_next_group(cells, size, expected) -> None:
    """It aims at 50,000 rows, and never at more than half of a limit at which an answer was cut
    off."""
    assert choose_next(cells, size) == expected
