"""When a batch continues and when it stops, whatever the services do."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from types import SimpleNamespace

import pytest

from synglancer.errors import (
    CellError,
    LoginError,
    ServiceError,
    SynglancerError,
    UnreachableError,
)
from synglancer.links.batch import Batch, map_links
from synglancer.links.link_record import Skipped
from synglancer.settings import Settings
from synglancer.synapses.ahead import Size

SILENT, BROKEN, REFUSED = UnreachableError, ServiceError, LoginError


class Maker:
    """Makes links or fails, as instructed for each cell."""

    def __init__(self, outcomes: dict[str, type[SynglancerError] | None]) -> None:
        self.outcomes = outcomes
        self.asked: list[str] = []
        self.forgotten: list[str] = []
        self.unknown: dict[str, CellError] = {}
        self.expected: list[list[str]] = []
        self.fetched: list[list[str]] = []

    def make(self, cell: str) -> str:
        self.asked.append(cell)
        error = self.outcomes[cell]
        if error is not None:
            raise error(f"No answer for {cell}.", "Try again.")
        return cell

    def lacks_rows(self, _: str) -> bool:
        return True

    def fetch_ahead(self, cells: list[str]) -> Size:
        self.fetched.append([*cells])
        return Size(rows=1)

    def find_unknown(self, cell: str) -> CellError | None:
        return self.unknown.get(cell)

    def forget(self, cell: str) -> None:
        self.forgotten.append(cell)

    def expect(self, cells: list[str]) -> None:
        self.expected.append([*cells])


@pytest.fixture
def batch(monkeypatch):
    """Make a batch one cell after the other; return it and its maker."""

    def build(*outcomes, **options):
        maker = Maker({str(number): outcome for number, outcome in enumerate(outcomes)})
        monkeypatch.setattr("synglancer.links.batch.open_maker", lambda *_: maker)
        settings = Settings(concurrency=1, **options)
        return map_links([*maker.outcomes], settings, lambda made: made), maker

    return build


def tell(results) -> list[str]:
    return ["skipped" if isinstance(one, Skipped) else one for one in results]


def test_a_batch_stops_after_three_silences_in_a_row(batch) -> None:
    """Two cells in a row may be too large for a service; a third timeout means that it is down."""
    results, maker = batch(None, SILENT, SILENT, SILENT, None, None)
    with pytest.raises(UnreachableError, match="No answer for 3") as stopped:
        tell(results)
    assert maker.asked == ["0", "1", "2", "3"]
    assert stopped.value.hint == "Try again. The link made so far is kept for next time."


def test_a_batch_that_stops_says_how_many_links_are_kept(batch) -> None:
    """Whoever runs the command again knows what is done already."""
    results, _ = batch(None, BROKEN, None, None, REFUSED)
    with pytest.raises(LoginError) as stopped:
        tell(results)
    assert stopped.value.hint == "Try again. The 3 links made so far are kept for next time."


def test_a_link_between_silences_shows_that_the_service_is_there(batch) -> None:
    """Only timeouts in a row count, so a batch with many large cells continues."""
    results, maker = batch(None, SILENT, SILENT, None, SILENT, SILENT, None)
    expected = ["0", "skipped", "skipped", "3", "skipped", "skipped", "6"]
    assert tell(results) == expected
    assert len(maker.asked) == 7


def test_other_failures_are_no_silence(batch) -> None:
    """A service that answers with errors is not down: each cell gets its error, however many."""
    assert tell(batch(None, BROKEN, BROKEN, BROKEN, BROKEN, None)[0]) == [
        "0", "skipped", "skipped", "skipped", "skipped", "5",
    ]  # fmt: skip


def test_a_batch_whose_first_cell_gets_no_answer_stops(batch) -> None:
    """If nothing has been answered yet, the first timeout stops the batch."""
    results, maker = batch(SILENT, None)
    with pytest.raises(UnreachableError) as stopped:
        tell(results)
    assert maker.asked == ["0"]
    assert stopped.value.hint == "Try again."


def test_what_is_refused_to_all_stops_at_once_and_promises_no_more_than_there_is(batch) -> None:
    """A login that is refused later stops a batch; without a cache, nothing is kept."""
    results, maker = batch(None, None, REFUSED, None, no_cache=True)
    with pytest.raises(LoginError) as stopped:
        tell(results)
    assert maker.asked == ["0", "1", "2"]
    assert "kept" not in stopped.value.hint


def test_a_cell_that_is_known_to_be_unknown_is_not_asked_for(batch) -> None:
    """The cell is skipped with the error's own words and exit code."""
    results, maker = batch(None, None, None)
    maker.unknown["1"] = CellError("There is no cell 1.", "Look it up.")
    assert list(results) == ["0", Skipped("1", "There is no cell 1.", "Look it up.", 3), "2"]
    assert maker.asked == ["0", "2"]


def test_a_skipped_cell_has_the_words_and_the_exit_code_of_its_error(batch) -> None:
    """A report says the same about a cell as its own link would."""
    [_, skipped] = batch(None, BROKEN)[0]
    assert skipped == Skipped("1", "No answer for 1.", "Try again.", 4)


def test_rows_that_were_fetched_ahead_are_let_go_with_each_cell(batch) -> None:
    """Only the rows of waiting cells are held in memory, whatever happened to the others."""
    results, maker = batch(None, BROKEN, None)
    list(results)
    assert maker.forgotten == ["0", "1", "2"]


def test_cells_are_made_once_and_given_as_often_as_asked(monkeypatch) -> None:
    """A repeated cell has its link in each of its places, and counts once in the progress."""
    maker, ticks = Maker({"7": None, "8": BROKEN}), []
    monkeypatch.setattr("synglancer.links.batch.open_maker", lambda *_: maker)

    @contextmanager
    def progress(total):
        ticks.append(total)
        yield lambda: ticks.append(1)

    found = map_links(["7", 8, "7", "8"], Settings(), lambda made: made, progress=progress)
    assert tell(found) == ["7", "skipped", "7", "skipped"]
    assert sorted(maker.asked) == ["7", "8"]
    assert ticks == [2, 1, 1]


def test_the_words_that_were_typed_and_the_token_reach_the_maker(monkeypatch) -> None:
    """The receipts of a batch hold its command, and it uses the known token."""
    opened = []
    monkeypatch.setattr(
        "synglancer.links.batch.open_maker",
        lambda *given: opened.append(given) or Maker({"7": None}),
    )
    settings = Settings()
    list(map_links(["7"], settings, str, command=["make-link", "7"], token="secret"))
    assert opened == [(settings, ["make-link", "7"], "secret")]


def test_a_maker_that_is_open_makes_the_links(monkeypatch) -> None:
    """The data that it has loaded are not requested again."""
    monkeypatch.setattr("synglancer.links.batch.open_maker", None)
    maker = Maker({"7": None, "8": None})
    assert [*map_links([7, 8], Settings(), str, maker=maker)] == ["7", "8"]
    assert maker.expected == [["7", "8"]]


def test_the_first_cell_goes_ahead_once(batch) -> None:
    """It finds out whether the server lets us; the rows of all others are fetched in groups."""
    results, maker = batch(*[None] * 60)
    assert tell(results) == [str(number) for number in range(60)]
    assert [len(group) for group in maker.fetched] == [10, 40, 9]
    assert maker.fetched[0][0] == "1"

    maker = Maker(dict.fromkeys("abcde"))
    shared = Batch(Settings(), str, maker=maker)
    for cells in ["abc", "de"]:
        assert [cell for cell, _ in shared.make_links([*cells], lambda: None)] == [*cells]
    assert maker.fetched == [["b", "c"], ["d", "e"]]


@pytest.fixture
def pools(monkeypatch):
    """The pools of threads of a batch, in the order in which they are opened."""
    opened = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, max_workers: int) -> None:
            super().__init__(max_workers)
            self.most, self.given, self.stopped = max_workers, 0, Event()
            opened.append(self)

        def submit(self, *given):
            self.given += 1
            return super().submit(*given)

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            self.stopped.set()
            super().shutdown(wait)

    monkeypatch.setattr("synglancer.links.batch.ThreadPoolExecutor", Pool)
    return opened


@pytest.mark.parametrize(("concurrency", "most"), [(8, 4), (3, 3)])
def test_how_many_links_are_made_at_a_time(pools, concurrency, most) -> None:
    """Four, or as few as the user allows; the first cell is alone, and one group is fetched."""
    maker = Maker(dict.fromkeys("abcdef"))
    results = map_links([*"abcdef"], Settings(concurrency=concurrency), str, maker=maker)
    assert next(results) == "a"
    making, fetching = pools
    assert (making.most, fetching.most) == (most, 1)
    assert making.given == 1
    assert [*results] == [*"bcdef"]


def test_a_batch_that_is_left_makes_no_more_links(pools) -> None:
    """Ctrl+C waits for the links that are being made, and for no other."""
    maker = Maker(dict.fromkeys("abcdef"))
    make = maker.make

    def make_slowly(cell: str) -> str:
        if cell == "c":
            pools[0].stopped.wait(60)
        return make(cell)

    maker.make = make_slowly
    results = map_links([*"abcdef"], Settings(concurrency=1), str, maker=maker)
    assert (next(results), next(results)) == ("a", "b")
    results.close()
    assert "".join(maker.asked) in {"ab", "abc"}


def test_what_has_been_given_is_let_go() -> None:
    """A large batch holds only results that are to be given again."""

    class Result: ...

    maker = Maker(dict.fromkeys("abc"))
    results = map_links([*"abac"], Settings(), lambda _: Result(), maker=maker)
    first, second = weakref.ref(next(results)), weakref.ref(next(results))
    assert next(results) is first()
    next(results)
    gc.collect()
    assert (first(), second()) == (None, None)


def test_processes_make_the_links_of_the_same_batch() -> None:
    """They get its settings and the typed words, and their results are given in order."""
    asked = []

    def make_links(batch, cells, tick):
        asked.append((batch.settings, batch.command, cells))
        for cell in cells:
            tick()
            yield cell, cell.upper()

    settings, command = Settings(), ["make-link", "cells.txt"]
    spread = SimpleNamespace(make_links=make_links)
    maker = Maker({})
    results = map_links("aba", settings, str, command=command, spread=spread, maker=maker)
    assert [*results] == ["A", "B", "A"]
    assert asked == [(settings, command, ["a", "b"])]
    assert maker.asked == []
