"""Batches over several processes make the same links, with no more requests at a time."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cli.outcome import CELL, TOKEN
from synglancer import Link, Settings, Skipped, add_links, make_links
from synglancer.errors import ServiceError, UsageError
from synglancer.links import spread as spreading
from synglancer.links.batch import Batch
from synglancer.links.spread import Spread
from synglancer.publish.writing.runner import Cluster, Processes

if TYPE_CHECKING:
    from pathlib import Path

CELLS = [
    CELL,
    *(str(partner.root_id) for partner in who.PARTNERS[:3]),
    "12x",
    "864691135000000001",
]


def tell(made: Link | Skipped) -> tuple:
    """Return the parts of a link or a reason that must be equal."""
    if isinstance(made, Skipped):
        return (made.given, made.reason, made.hint, made.exit_code)
    return (made.given, made.state_sha256, made.counts_by_tag, made.warnings)


@pytest.fixture(scope="module")
def scheduler():
    """A cluster whose worker is in this process, but gets tasks and gives results as bytes."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://",
        dashboard_address=":0", host="127.0.0.1", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    """A file with the token, which the workers of a cluster read themselves."""
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return str(path)


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_workers_make_the_links_of_one_process(
    sandbox, kind, scheduler, token_file, monkeypatch
) -> None:
    """Cells get the same links and reasons, in the same order, as from one process, with the token
    that each worker reads from its file."""
    monkeypatch.delenv("CAVE_TOKEN")
    # One further process is enough here: the tests below decide how several share their work.
    monkeypatch.setattr(
        spreading, "make_runner", lambda _, given: Cluster(given) if given else Processes(1)
    )
    who_works = {"workers": 2} if kind == "processes" else {"scheduler": scheduler}
    asked = {"server": sandbox.origin, "no_cache": True, "token_file": token_file}
    made = make_links([*CELLS, CELLS[0]], **asked, **who_works)
    assert [tell(link) for link in made] == [
        tell(link) for link in make_links([*CELLS, CELLS[0]], **asked)
    ]


class Late:
    """A runner that finishes its tasks when the allowed number are running, the last one first."""

    workers = 6

    def __init__(self, concurrency: int) -> None:
        self._most = min(self.workers, concurrency)
        self._open: list[tuple[Future, list]] = []
        self.shares: set[int] = set()
        self.parts: list[list[str]] = []
        self.closed = False

    def submit(self, _function, task) -> Future:
        shared, cells = task
        self.shares.add(shared.settings.concurrency)
        self.parts.append([*cells])
        future: Future = Future()
        self._open.append((future, [(cell, f"link of {cell}") for cell in cells]))
        assert len(self._open) <= self._most
        if len(self._open) == self._most or cells[-1] == "last":
            for under_way, result in reversed(self._open):
                under_way.set_result(result)
            self._open.clear()
        return future

    def explain(self, error: Exception) -> str | None:
        return "A worker was lost." if isinstance(error, KeyError) else None

    def close(self) -> None:
        self.closed = True


class First(Batch):
    """A batch whose first link this process makes."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.use, self.command = settings, str, None

    def make_links(self, cells, tick):
        tick()
        return iter([(cell, f"link of {cell}") for cell in cells])


@pytest.mark.parametrize("concurrency", [1, 4, 8, 17])
def test_workers_share_the_requests_that_may_be_under_way(monkeypatch, concurrency) -> None:
    """All workers together have no more simultaneous requests than one process."""
    runner, ticks = Late(concurrency), []
    monkeypatch.setattr(spreading, "make_runner", lambda *_: runner)
    batch = First(Settings(concurrency=concurrency))
    cells = [*map(str, range(1_000)), "last"]
    made = [*Spread(workers=6).make_links(batch, cells, lambda: ticks.append(1))]
    assert made == [(cell, f"link of {cell}") for cell in cells]
    assert len(ticks) == len(cells)
    busy = min(6, concurrency)
    assert runner.shares == {concurrency // busy}
    assert max(map(len, runner.parts)) <= 100
    assert runner.closed


def test_a_lost_worker_is_named(monkeypatch) -> None:
    """A worker that is killed from outside is an error with a hint, not a bug."""
    runner = Late(8)
    runner.submit = lambda *_: {}["gone"]
    monkeypatch.setattr(spreading, "make_runner", lambda *_: runner)
    with pytest.raises(ServiceError, match="worker was lost") as lost:
        [*Spread(workers=6).make_links(First(Settings()), ["1", "2"], lambda: None)]
    assert "links that were already made are kept" in lost.value.hint
    assert runner.closed


def test_an_error_that_ends_the_batch_ends_it_for_all_workers(sandbox, monkeypatch) -> None:
    """A missing table is reported once, as by one process."""
    asked = {"server": sandbox.origin, "table": "no_such_table"}
    with pytest.raises(ServiceError) as alone:
        make_links(CELLS, **asked)
    with pytest.raises(ServiceError, match="no_such_table") as spread:
        make_links(CELLS, workers=2, **asked)
    assert str(spread.value) == str(alone.value)


def test_a_table_of_cells_is_spread_as_well(sandbox, scheduler, token_file) -> None:
    """`add_links` gives the same columns, whoever makes the links."""
    table = pd.DataFrame({"cell": [*CELLS, None]})
    alone = add_links(table, "cell", server=sandbox.origin)
    asked = {"server": sandbox.origin, "token_file": token_file}
    spread = add_links(table, "cell", **asked, scheduler=scheduler)
    assert spread["link_problem"].tolist() == alone["link_problem"].tolist()
    cells = [Link.from_url(url).cell if url else None for url in spread["link"]]
    assert cells == [Link.from_url(url).cell if url else None for url in alone["link"]]


@pytest.mark.parametrize(
    ("who_works", "words"),
    [
        ({"workers": 0}, "not a number of processes"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:9"}, "both given"),
        ({"concurrency": 0}, "out of range"),
        ({"concurrency": 65}, "out of range"),
    ],
)
def test_what_cannot_be_is_refused(sandbox, who_works, words) -> None:
    """Zero processes, two kinds of workers, and zero simultaneous requests are refused."""
    with pytest.raises(UsageError, match=words):
        make_links(CELLS, server=sandbox.origin, **who_works)
    assert not sandbox.requests
