"""Run tasks in this process, in several processes on this machine, or on a Dask cluster."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from synglancer import __version__
from synglancer.errors import ServiceError, UsageError, needs_extra
from synglancer.publish.writing.memory import keep_freed_memory
from synglancer.publish.writing.work import read_work, write_work
from synglancer.text.printable import printable, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    Task = Callable[[str, str, Any], dict[str, Any]]
    Progress = Callable[[str, int, int], None]

Result = TypeVar("Result")

_MOST_WORKERS = 256


class Runner(Protocol):
    """Runs tasks, in any order.

    Attributes
    ----------
    workers
        Number of tasks that run at a time.
    """

    workers: int

    def submit(self, function: Callable[[Any], Result], item: Any) -> Future[Result]:
        """Call a function for an item, in a worker."""

    def explain(self, error: Exception) -> str | None:
        """Return what happened if an error means that a worker was lost; otherwise None."""

    def run(self, function: Callable[[Any], None], items: Sequence[Any]) -> Iterator[None]:
        """Call a function for each item; yield when one is done."""

    def close(self) -> None:
        """End the processes."""


class Processes:
    """Processes on this machine; with one worker, this process itself."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: Any = None

    def submit(self, function: Callable[[Any], Result], item: Any) -> Future[Result]:
        """Call a function for an item, in a worker."""
        if self._pool is None:
            from concurrent.futures import ProcessPoolExecutor
            from multiprocessing import get_context

            # Threads of pyarrow do not survive a fork.
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=_end_with_parent
            )
        with _keeping_interrupts():
            return self._pool.submit(function, item)

    def explain(self, error: Exception) -> str | None:
        """Return what happened if an error means that a worker was lost; otherwise None."""
        from concurrent.futures.process import BrokenProcessPool

        if not isinstance(error, BrokenProcessPool):
            return None
        return "A worker process was killed, probably because the system ran out of memory."

    def run(self, function: Callable[[Any], None], items: Sequence[Any]) -> Iterator[None]:
        """Call a function for each item; yield when one is done."""
        if self.workers == 1 or (len(items) == 1 and self._pool is None):
            for item in items:
                function(item)
                yield
            return
        from concurrent.futures import BrokenExecutor, as_completed

        try:
            for future in as_completed([self.submit(function, item) for item in items]):
                yield future.result()
        except BrokenExecutor as error:
            raise ServiceError(
                self.explain(error) or str(error),
                "Give less --memory or fewer --workers, and continue with --resume.",
            ) from error

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


class Cluster:
    """Workers of a Dask cluster, which see the same folders and have synglancer installed.

    Parameters
    ----------
    address
        Address of the scheduler, such as ``tcp://127.0.0.1:8786``.
    timeout
        Longest time to wait for its answer, in seconds.
    """

    def __init__(self, address: str, *, timeout: float = 10.0) -> None:
        with needs_extra("dask", "--scheduler needs Dask."):
            from distributed import Client
        try:
            self._client = Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ServiceError(
                f"No Dask scheduler answers at {printable(shorten(address))}.",
                "Start one with `dask scheduler`, then give its address, such as "
                "tcp://127.0.0.1:8786.",
            ) from error
        self.workers = sum(self._client.nthreads().values())
        try:
            self._check_workers(address)
        except ServiceError:
            self._client.close()
            raise

    def _check_workers(self, address: str) -> None:
        """Check that there are workers that can run tasks, because Dask would otherwise wait.

        Raises
        ------
        ServiceError
            When there is no worker, or one has another version of synglancer or none.
        """
        if not self.workers:
            raise ServiceError(
                f"The Dask scheduler at {address} has no workers.",
                f"Start one with: dask worker {address} --nthreads 1.",
            )
        workers = self._client.get_versions(packages=["synglancer"])["workers"]
        for worker, told in sorted(workers.items()):
            version = told["packages"].get("synglancer")
            if version != __version__:
                raise ServiceError(
                    f"The Dask worker at {worker} has "
                    + (f"synglancer {version}." if version else "no synglancer."),
                    f"Install it there: pip install 'synglancer[publish,dask]=={__version__}'.",
                )

    def submit(self, function: Callable[[Any], Result], item: Any) -> Future[Result]:
        """Call a function for an item, in a worker."""
        return self._client.submit(function, item, pure=False)

    def explain(self, error: Exception) -> str | None:
        """Return what happened if an error means that a worker was lost; otherwise None."""
        from distributed.scheduler import KilledWorker

        if not isinstance(error, KilledWorker):
            return None
        return "Dask workers died repeatedly on the same task."

    def run(self, function: Callable[[Any], None], items: Sequence[Any]) -> Iterator[None]:
        """Call a function for each item; yield when one is done."""
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        futures = self._client.map(partial(_run_in_worker, function), items, pure=False)
        try:
            for future in as_completed(futures, loop=self._client.loop):
                yield future.result()
        except KilledWorker as error:
            raise ServiceError(
                self.explain(error) or str(error),
                "Give less --memory, and continue with --resume.",
            ) from error
        finally:
            self._client.cancel(futures)

    def close(self) -> None:
        """Disconnect from the cluster, which others may still use."""
        self._client.close()


def _run_in_worker(function: Callable[[Any], None], item: Any) -> None:
    keep_freed_memory()
    function(item)


def make_runner(workers: int | None, scheduler: str | None) -> Runner:
    """Make a runner for tasks.

    Parameters
    ----------
    workers
        Number of processes on this machine; by default one per core.
    scheduler
        Address of a Dask scheduler whose workers run the tasks instead.

    Raises
    ------
    UsageError
        When both are given, or one cannot be used.
    ServiceError
        When the scheduler does not answer, or has no workers.
    """
    check_workers(workers, scheduler)
    if scheduler is not None:
        return Cluster(scheduler)
    return Processes(workers or _count_cores())


def check_workers(workers: int | None, scheduler: str | None) -> None:
    """Refuse numbers of processes that cannot be, and processes beside a cluster.

    Raises
    ------
    UsageError
        When both are given, or the number is out of range.
    """
    if workers is not None and scheduler is not None:
        raise UsageError(
            "--workers and --scheduler were both given.", "A Dask cluster has its own workers."
        )
    if workers is not None and not 1 <= workers <= _MOST_WORKERS:
        raise UsageError(
            f"--workers {workers} is not a number of processes.", f"Give 1 to {_MOST_WORKERS}."
        )


def _end_with_parent() -> None:
    """End this worker when its parent process ends, since it would otherwise wait for ever."""
    import threading
    from multiprocessing import parent_process

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)  # unfinished files have temporary names

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _keeping_interrupts() -> Iterator[None]:
    """Let only this process handle Ctrl+C; processes started within ignore it."""
    import signal
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # started first, because its start unblocks interrupts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _count_cores() -> int:
    """Count the cores that this process can use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_task(task: Task, work: Path, mark: str, item: Any) -> None:
    """Run a task in a worker, and store its result."""
    write_work(_done_file(work, task.__name__, item), task(str(work), mark, item))


def _done_file(work: Path, stage: str, item: Any) -> Path:
    """Return the file that marks a task as done and holds its result."""
    name = "-".join(map(str, item)) if isinstance(item, (tuple, list)) else str(item)
    return work / "done" / f"{stage}-{name}.json"


def run_stage(
    runner: Runner,
    task: Task,
    items: Iterable[Any],
    work: Path,
    mark: str,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run the tasks of a stage that have not been done yet.

    Returns
    -------
    list of dict
        The result of each task, in the order of the items.

    Raises
    ------
    UsageError
        When the result of an earlier run is damaged.
    """
    stage = task.__name__
    every = list(items)
    todo = [item for item in every if not _done_file(work, stage, item).exists()]
    done = len(every) - len(todo)
    if progress:
        progress(stage, done, len(every))
    if todo:
        for _ in runner.run(partial(_run_task, task, work, mark), todo):
            done += 1
            if progress:
                progress(stage, done, len(every))
    return [read_work(_done_file(work, stage, item), work) for item in every]
