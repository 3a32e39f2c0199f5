"""Publishing in several processes or on a Dask cluster gives the same bytes and the same errors."""

from __future__ import annotations

import platform
import resource
import signal
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from publish.tables import make_rows, read_files, run, write_parquet
from synglancer.errors import ServiceError, UsageError
from synglancer.publish.writing.runner import Cluster, Processes


@pytest.fixture(scope="module")
def scheduler():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0",
        host="127.0.0.1", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


@pytest.fixture(scope="module")
def processes():
    """Two processes, which work already."""
    runner = Processes(2)
    list(runner.run(abs, [1, 2]))
    yield runner
    runner.close()


@pytest.fixture(params=["processes", "dask"])
def workers(request):
    """Two workers of each kind."""
    if request.param == "processes":
        yield request.getfixturevalue("processes")
        return
    runner = Cluster(request.getfixturevalue("scheduler"))
    yield runner
    runner.close()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "rows.parquet"
    return write_parquet(path, make_rows(12_000), row_group_size=3000)


@pytest.fixture(scope="module")
def expected(table, tmp_path_factory):
    """The files that a single process writes."""
    folder = tmp_path_factory.mktemp("single") / "out"
    run(folder, table, memory=100_000_000, counts=True)
    return read_files(folder)


def test_several_workers_write_the_bytes_that_one_writes(workers, table, expected, tmp_path):
    """Two workers and a single process write the same files, if each has the same memory."""
    assert workers.workers == 2
    run(tmp_path / "out", table, memory=100_000_000, runner=workers, counts=True)
    assert read_files(tmp_path / "out") == expected


def test_workers_never_see_an_interruption(processes):
    """Ctrl+C in a terminal reaches only the command, even while its workers start."""
    blocked = list(processes.run(partial(signal.pthread_sigmask, signal.SIG_BLOCK), [[], []]))
    assert len(blocked) == 2
    assert all(signal.SIGINT in signals for signals in blocked)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_workers_use_freed_memory_again(scheduler, tmp_path):
    """A worker makes arrays of the pages that it has, not of new ones as Dask would have it."""
    page = resource.getpagesize()

    def count_new_pages(folder):  # in here, it is sent to the worker as code
        np.ones(250_000)  # 2 MB, too few for huge pages
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(100):
            np.ones(250_000)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        (folder / "pages").write_text(str(after - before))

    runner = Cluster(scheduler)
    try:
        list(runner.run(count_new_pages, [tmp_path]))
    finally:
        runner.close()
    assert int((tmp_path / "pages").read_text()) < 10 * 2_000_000 / page


def test_an_error_in_a_worker_keeps_its_words(workers, tmp_path):
    """An invalid value found by a worker is named by file, column and row."""
    rows = make_rows(400)
    rows["id"] = [*map(str, rows["id"][:-1]), "no ID at all"]
    path = write_parquet(tmp_path / "rows.parquet", rows, row_group_size=150)
    with pytest.raises(UsageError, match=r"column 'id' holds no ID in row 400") as caught:
        run(tmp_path / "out", path, runner=workers)
    assert caught.value.hint


def test_workers_with_another_version_are_refused(scheduler, monkeypatch):
    """Workers that could not run a task are named: Dask would wait for them without end."""
    monkeypatch.setattr("synglancer.publish.writing.runner.__version__", "99.9")
    with pytest.raises(
        ServiceError, match=r"The Dask worker at tcp://\S+ has synglancer 0"
    ) as caught:
        Cluster(scheduler)
    assert "==99.9" in caught.value.hint


def test_a_cluster_without_workers_is_refused():
    """Dask itself would wait for a worker without end."""
    cluster = object.__new__(Cluster)
    cluster.workers = 0
    with pytest.raises(ServiceError) as caught:
        cluster._check_workers("tcp://127.0.0.1:8786")
    assert str(caught.value) == "The Dask scheduler at tcp://127.0.0.1:8786 has no workers."
    assert caught.value.hint == ("Start one with: dask worker tcp://127.0.0.1:8786 --nthreads 1.")


def test_workers_that_die_again_and_again_are_explained(monkeypatch):
    """If Dask gives a task up, that is no bug, and a way out is told."""
    from distributed.scheduler import KilledWorker

    def fail(*_, **__):
        raise KilledWorker("task", None, 3)

    monkeypatch.setattr("distributed.as_completed", fail)
    cluster, cancelled = object.__new__(Cluster), []
    cluster._client = SimpleNamespace(
        map=lambda *_, **__: ["future"], loop=None, cancel=cancelled.append
    )
    with pytest.raises(ServiceError) as caught:
        list(cluster.run(print, [1]))
    assert str(caught.value) == "Dask workers died repeatedly on the same task."
    assert caught.value.hint == "Give less --memory, and continue with --resume."
    assert cancelled == [["future"]]
    assert cluster.explain(ValueError()) is None


def test_a_scheduler_that_is_not_there_is_named():
    """An address without a scheduler is a service that does not answer."""
    with pytest.raises(ServiceError, match="No Dask scheduler answers"):
        Cluster("tcp://127.0.0.1:9", timeout=0.2)
