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
        self.runs: set[tuple[str, Any]] = set()
        self.most = 0

    def submit(self, function: Any, task: Any) -> Future[Any]:
        assert callable(function)
        shared, cells = task
        self.runs.add((shared.run, shared.command))
        future: Future[Any] = Future()
        self.open.append((future, [(cell, shared.use(cell)) for cell in cells]))
        self.parts.append([*cells])
        self.most = max(self.most, len(self.open))
        return future

    def finish(self) -> None:
        future, result = self.open.pop()
        future.set_result(result)

    def explain(self, error: Exception) -> None: ...

    def close(self) -> None:
        assert self.open == []


class Batch:
    """A batch whose first link this process makes."""

    def __init__(self, concurrency: int) -> None:
        self.settings = Settings(concurrency=concurrency)
        self.use, self.command = str.upper, ("make-link",)

    def make_links(self, cells: Any, tick: Any) -> Any:
        assert callable(tick)
        return iter([(cell, cell.upper()) for cell in cells])


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

        monkeypatch.setattr(spreading, "SimpleQueue", Queue)
        monkeypatch.setattr(spreading, "make_runner", lambda *_: runner)
        cells = [f"a{one}" for one in range(number)]
        batch: Any = Batch(concurrency)
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


def test_the_tasks_of_a_batch_are_told_from_those_of_another(spread) -> None:
    """A cluster's workers may serve several batches; each has its command for the history."""
    ((first, command),), ((second, _),) = (spread(20, 2)[1].runs for _ in range(2))
    assert first != second
    assert command == ("make-link",)
