"""Run a batch in several processes on this machine, or on a Dask cluster.

Each worker makes the same links as this process would.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from synglancer.errors import ServiceError
from synglancer.links.batch import Batch
from synglancer.publish.writing.runner import make_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future

    from synglancer.links.batch import Result
    from synglancer.links.link_record import LinkRecord, Skipped
    from synglancer.publish.writing.runner import Runner
    from synglancer.settings import Settings

_MOST_CELLS = 100  # in one task; these are held by a worker, and lost with it
_TASKS = 4  # at least for each worker, so that no worker waits long for the last one
_AHEAD = 4  # tasks per worker that may be finished or under way ahead of the next result

_OWN = threading.local()
"""The batch of each worker, so that shared data are requested once."""


@dataclass(frozen=True)
class _Shared:
    """Data shared by the tasks of one batch; a cluster's workers may serve other batches later."""

    run: str
    settings: Settings
    use: Callable[[LinkRecord], Any]
    command: Sequence[str] | None


@dataclass(frozen=True)
class Spread:
    """The processes or cluster that make the links of a batch.

    Parameters
    ----------
    workers
        Processes on this machine, or None.
    scheduler
        Address of a Dask scheduler, or None. Its workers need synglancer, access to the CAVE
        server, and their own token, because the token is not sent to them.

    """

    workers: int | None = None
    scheduler: str | None = None

    def make_links(
        self, batch: Batch[Result], cells: Sequence[str], tick: Callable[[], None]
    ) -> Generator[tuple[str, Result | Skipped]]:
        """Make a link for each of some cells, and yield each cell with its result, in order.

        The first link is made in this process, so that a refusal is known before workers start. The
        limit on parallel requests is divided among the workers.

        Parameters
        ----------
        batch
            The batch, whose `use` can be pickled.
        cells, tick
            As for `Batch.make_links`.

        Raises
        ------
        SynglancerError
            When the batch stops, or a worker is lost.
        """
        runner = make_runner(self.workers, self.scheduler)
        try:
            yield from batch.make_links(cells[:1], tick)
            busy = min(runner.workers, batch.settings.concurrency)
            share = replace(batch.settings, concurrency=batch.settings.concurrency // busy)
            shared = _Shared(uuid4().hex, share, batch.use, batch.command)
            tasks = [(shared, part) for part in _divide(cells[1:], busy)]
            for made in _run(runner, busy, tasks):
                for one in made:
                    tick()
                    yield one
        except Exception as error:
            lost = runner.explain(error)
            if lost is None:
                raise
            raise ServiceError(
                lost,
                "Run the command again with fewer --workers: links that were already made "
                "are kept.",
            ) from error
        finally:
            runner.close()


def _divide(cells: Sequence[str], workers: int) -> list[Sequence[str]]:
    """Divide cells into tasks."""
    size = max(1, min(_MOST_CELLS, -(-len(cells) // (workers * _TASKS))))
    return [cells[start : start + size] for start in range(0, len(cells), size)]


def _run(runner: Runner, busy: int, tasks: Sequence[Any]) -> Iterator[list[tuple[str, Any]]]:
    """Run a limited number of tasks at a time, and yield their results in order."""
    waiting = deque(tasks)
    window: deque[Future[list[tuple[str, Any]]]] = deque()
    done: SimpleQueue[object] = SimpleQueue()
    running = 0
    while waiting or window:
        while waiting and running < busy and len(window) < _AHEAD * busy:
            future = runner.submit(_make_part, waiting.popleft())
            future.add_done_callback(done.put)
            window.append(future)
            running += 1
        done.get()
        running -= 1
        while window and window[0].done():
            yield window.popleft().result()


def _make_part(task: tuple[_Shared, Sequence[str]]) -> list[tuple[str, Any]]:
    """Make the links of one task, in a worker."""
    shared, cells = task
    known: tuple[str, Batch[Any]] | None = getattr(_OWN, "batch", None)
    if known is None or known[0] != shared.run:
        batch = Batch(shared.settings, shared.use, shared.command)
        known = _OWN.batch = (shared.run, batch)
    return [*known[1].make_links(cells, lambda: None)]
