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


def test_cells_whose_rows_are_known_wait_in_groups_of_2000() -> None:
    """A batch that is continued keeps no more names in memory than that."""
    taken = take_all(Groups([*map(str, range(4_001))], lambda _: False, lambda _: Size()))
    assert [len(group) for group in taken] == [2_000, 2_000, 1]


def test_a_cell_that_is_refused_is_in_its_group_and_in_no_question() -> None:
    """Its error is raised when its link is made."""
    fetched = []

    def lacks_rows(cell):
        if cell == CELLS[1]:
            raise LoginError("No.", "Log in.")
        return True

    def fetch(cells):
        fetched.extend(cells)
        return Size(rows=10)

    assert Groups(CELLS[:3], lacks_rows, fetch).take_next() == CELLS[:3]
    assert fetched == [CELLS[0], CELLS[2]]


def run_script(cells: list[str], script: dict[int, type[Exception]]) -> list[tuple[int, int]]:
    """Fetch one group, and return the first cell and the number of cells of each question.

    The script holds the errors of the questions that fail, by the number of the question.
    """
    asked = []

    def fetch(cells):
        asked.append((CELLS.index(cells[0]), len(cells)))
        error = script.get(len(asked) - 1)
        if error is not None:
            raise error("No.", "Try again.")
        return Size(rows=10)

    Groups(cells, lambda _: True, fetch).take_next()
    return asked


def test_a_failing_group_is_halved_to_the_cell_at_fault() -> None:
    """All cells but the failing one are fetched; that one is left for its own query."""
    asked = run_script(CELLS[:10], {0: ServiceError, 2: ServiceError, 3: ServiceError})
    assert asked == [(0, 10), (0, 5), (5, 5), (5, 2), (7, 3)]


def test_silences_count_in_a_row() -> None:
    """A server that answered in between, if only with an error, is there."""
    silent = UnreachableError
    assert run_script(CELLS[:8], {0: ServiceError, 1: silent}) == [
        (0, 8), (0, 4), (0, 2), (2, 2), (4, 4),
    ]  # fmt: skip
    assert run_script(CELLS[:8], {0: silent, 2: silent}) == [
        (0, 8), (0, 4), (4, 4), (4, 2), (6, 2),
    ]  # fmt: skip


def test_groups_are_halved_when_all_are_refused() -> None:
    """The next group has half the cells, and never fewer than two."""

    def fetch(_):
        raise LoginError("No.", "Log in.")

    taken = take_all(Groups(CELLS[:20], lambda _: True, fetch))
    assert [len(group) for group in taken] == [10, 5, 2, 2, 1]


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
        (7, Size(rows=60_000), 5),
        (10, Size(rows=10, limit=5), 2),
        (10, Size(rows=5, limit=5), 4),
        (10, Size(rows=1, limit=2), 10),
    ],
)
def test_the_next_group(cells, size, expected) -> None:
    """It aims at 50,000 rows, and never at more than half of a limit at which an answer was cut
    off."""
    assert choose_next(cells, size) == expected
