"""When a batch continues and when it stops, whatever the services do."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from synglancer.errors import (
    CellError,
    LoginError,
    ServiceError,
    SynglancerError,
    UnreachableError,
)
from synglancer.links.batch import map_links
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

    def make(self, cell: str) -> str:
        self.asked.append(cell)
        error = self.outcomes[cell]
        if error is not None:
            raise error(f"No answer for {cell}.", "Try again.")
        return cell

    def lacks_rows(self, _: str) -> bool:
        return True

    def fetch_ahead(self, _: list[str]) -> Size:
        return Size(rows=1)

    def find_unknown(self, cell: str) -> CellError | None:
        return self.unknown.get(cell)

    def forget(self, cell: str) -> None:
        self.forgotten.append(cell)

    def expect(self, _: list[str]) -> None: ...


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
