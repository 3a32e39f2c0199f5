"""The cells of a batch are divided so that each worker has enough to do, and none too much."""

from __future__ import annotations

from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import pytest

from synglancer.links import spread as spreading
from synglancer.links.spread import Spread
from synglancer.settings import Settings


class Runner:
    """A runner whose tasks are finished when somebody waits, the last one first."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.open: list[tuple[Future[Any], Any]] = []
        self.parts: list[list[str]] = []
        self.batches: list[Batch] = []
        self.most = 0

    def submit(self, function: Any, task: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.open.append((future, (function, task)))
        self.parts.append([*task[1]])
        self.most = max(self.most, len(self.open))
        return future

    def finish(self) -> None:
        future, (function, task) = self.open.pop()
        future.set_result(function(task))

    def explain(self, error: Exception) -> None: ...

    def close(self) -> None:
        assert self.open == []


class Batch:
    """A batch, of this process or of a worker."""

    def __init__(self, settings: Settings, use: Any, command: Any) -> None:
        self.settings, self.use, self.command = settings, use, command

    def make_links(self, cells: Any, tick: Any) -> Any:
        tick()
        return iter([(cell, self.use(cell)) for cell in cells])


@pytest.fixture
def spread(monkeypatch):
    """Make the links of some cells with workers; return the results, the runner and the wait.

    The wait is the largest number of cells that were given to workers before their turn.
    """

    def spread(number: int, workers: int, concurrency: int = 8) -> tuple[list[Any], Runner, int]:
        runner, results, ahead = Runner(workers), [], 0

        class Queue(SimpleQueue):
            def get(self) -> Any:
                if self.empty():
                    runner.finish()
                return super().get()

        def open_batch(*given: Any) -> Batch:
            runner.batches.append(Batch(*given))
            return runner.batches[-1]

        monkeypatch.setattr(spreading, "Batch", open_batch)
        monkeypatch.setattr(spreading, "SimpleQueue", Queue)
        monkeypatch.setattr(spreading, "make_runner", lambda *_: runner)
        cells = [f"a{one}" for one in range(number)]
        batch: Any = Batch(Settings(concurrency=concurrency), str.upper, ("make-link",))
        for one in Spread(workers=workers).make_links(batch, cells, lambda: None):
            results.append(one)
            ahead = max(ahead, sum(map(len, runner.parts)) + 1 - len(results))
        assert results == [(cell, cell.upper()) for cell in cells]
        return results, runner, ahead

    return spread


@pytest.mark.parametrize(
    ("cells", "workers", "concurrency", "sizes"),
    [
        (1, 2, 8, []),
        (2, 2, 8, [1]),
        (9, 2, 8, [1] * 8),
        (10, 2, 8, [2, 2, 2, 2, 1]),
        (41, 2, 8, [5] * 8),
        (42, 2, 8, [6] * 6 + [5]),
        (42, 9, 2, [6] * 6 + [5]),
        (42, 1, 8, [11, 11, 11, 8]),
        (10_001, 2, 8, [100] * 100),
    ],
)
def test_each_worker_gets_at_least_four_tasks(spread, cells, workers, concurrency, sizes) -> None:
    """So that none waits long for the last one; a task has at most 100 cells, which are lost with
    its worker. Workers that may not ask at the same time get none."""
    _, runner, _ = spread(cells, workers, concurrency)
    assert [len(part) for part in runner.parts] == sizes


@pytest.mark.parametrize(("workers", "concurrency", "busy"), [(1, 8, 1), (3, 8, 3), (5, 2, 2)])
def test_no_more_tasks_run_than_there_are_workers(spread, workers, concurrency, busy) -> None:
    """And results that wait for a slow one are bounded: four tasks for each worker."""
    _, runner, ahead = spread(10_000, workers, concurrency)
    assert runner.most == busy
    assert ahead <= 4 * busy * 100
    assert (ahead > busy * 100) == (busy > 1)


def test_a_worker_opens_one_batch_for_all_of_its_tasks(spread) -> None:
    """Shared data are requested once. Each batch has its share of the requests at a time, and the
    command for the history; a worker that serves another one later opens that."""
    for concurrency, share in [(8, 4), (3, 1)]:
        _, runner, _ = spread(20, 2, concurrency)
        assert len(runner.parts) > 1
        (batch,) = runner.batches
        assert batch.settings == Settings(concurrency=share)
        assert batch.command == ("make-link",)
