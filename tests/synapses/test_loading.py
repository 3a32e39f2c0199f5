"""The somata of many cells are queried together, and one cell spoils no other."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from synglancer.errors import BadAnswerError, NotServedError, ServiceError, UnreachableError
from synglancer.settings import Settings
from synglancer.synapses.loading import CellLoader


class Somata:
    """A service that fails for some cells, and a loader that expects cells 5, 6 and 7."""

    def __init__(self, failing: set[int] = frozenset(), error: type[ServiceError] = ServiceError):
        self.asked: list[list[int]] = []
        self.kept: dict[Any, Any] = {}
        self._failing, self._error = failing, error
        session: Any = SimpleNamespace(
            build_key=lambda *words: words,
            client=SimpleNamespace(fetch_somata=self._fetch),
            datastack=SimpleNamespace(soma_table="nuclei"),
            explain_refused_live=nullcontext,
            identity=SimpleNamespace(value="data"),
            materialization=SimpleNamespace(expired=False),
            store=SimpleNamespace(load=lambda _, key: self.kept.get(key), save=self._keep),
        )
        self.loader = CellLoader(Settings(), session)
        self.loader.expect([5, 6, 7])

    def _fetch(self, _stack, _at, _table, cells):
        self.asked.append([*cells])
        if self._failing & {*cells}:
            raise self._error("No.", "Try again.")
        return {cell: [(float(cell), 0.0, 0.0)] for cell in cells}

    def _keep(self, _, key, value):
        self.kept[key] = value

    def load(self, cell: int) -> Any:
        return self.loader.load_around([cell], []).somata


def test_expected_cells_are_asked_for_with_the_first() -> None:
    """The others' somata are known then, in this run and in the next one."""
    service = Somata()
    assert [service.load(cell) for cell in (6, 5)] == [{6: [(6, 0, 0)]}, {5: [(5, 0, 0)]}]
    assert service.asked == [[6, 5, 7]]
    assert service.kept["nuclei", "7"] == {"points": [(7, 0, 0)]}
    later = Somata()
    later.kept = service.kept
    assert (later.load(7), later.asked) == ({7: [(7, 0, 0)]}, [])
    service.loader.expect(range(8, 3_000))
    service.load(8)
    assert service.asked[1:] == [[*range(8, 1_008)]]


@pytest.mark.parametrize("error", [ServiceError, BadAnswerError])
def test_a_cell_whose_somata_cannot_be_read_spoils_no_other(error) -> None:
    """After an answer that fails, each cell is asked for alone."""
    service = Somata({7}, error)
    assert service.load(5) == {5: [(5, 0, 0)]}
    with pytest.raises(error):
        service.load(7)
    assert service.load(6) == {6: [(6, 0, 0)]}
    assert service.asked == [[5, 6, 7], [5], [7], [6]]


def test_a_service_that_does_not_answer_is_not_asked_again() -> None:
    """Such an error is not about one of the cells."""
    service = Somata({7}, UnreachableError)
    with pytest.raises(UnreachableError):
        service.load(5)
    assert service.asked == [[5, 6, 7]]


def test_without_a_table_of_somata_none_are_known() -> None:
    """This is asked once, and not remembered beyond this run."""
    service = Somata({5}, NotServedError)
    assert [service.load(cell) for cell in (5, 6)] == [None, None]
    assert (service.asked, service.kept) == ([[5, 6, 7]], {})
