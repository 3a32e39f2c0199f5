"""Make links for many cells, several at a time; cells that cannot be shown are skipped.

Data that the cells share are requested once, and tables are queried in groups of cells
(`synglancer.links.groups`). Finished links are kept, so that a batch that stopped can be continued.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from synglancer.errors import (
    LoginError,
    NotServedError,
    PermissionMissingError,
    SynglancerError,
    TermsOfServiceError,
    UnreachableError,
)
from synglancer.links.groups import Groups
from synglancer.links.link_record import Skipped
from synglancer.links.makers import open_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from synglancer.links.link_record import LinkRecord
    from synglancer.links.make import LinkMaker
    from synglancer.links.spread import Spread
    from synglancer.settings import Settings

    Progress = Callable[[int], AbstractContextManager[Callable[[], None]]]
    """Takes the number of steps, and returns a context whose value is called after each step."""

    _Make = Callable[[Sequence[str], Callable[[], None]], Generator[tuple[str, "Result | Skipped"]]]

Result = TypeVar("Result")

THREADS = 4
"""Cells at a time in one process: enough to hide the server's latency without overloading it."""

FOR_ALL = (LoginError, PermissionMissingError, TermsOfServiceError, NotServedError)
"""Errors that all other cells would have as well."""

_SILENCES = 3  # in a row: the service is down, rather than one cell too large for it


def map_links(
    cells: Sequence[int | str],
    settings: Settings,
    use: Callable[[LinkRecord], Result],
    *,
    command: Sequence[str] | None = None,
    spread: Spread | None = None,
    progress: Progress | None = None,
    token: str | None = None,
    maker: LinkMaker | None = None,
) -> Generator[Result | Skipped]:
    """Make a link for each of many cells, and keep only a part of each.

    Parameters
    ----------
    cells
        Root IDs, or cells in another form. A repeated cell is queried once.
    settings
        The options.
    use
        Called in any of several threads; returns the part of a link to keep, because states are
        large.
    command
        The words that were typed, for the receipts.
    spread
        Processes or a Dask cluster that do the work; None for this process.
    progress
        Shows the progress, such as `synglancer.render.progress.show_progress`.
    token
        The token for the server, if it is known.
    maker
        A maker for these settings, if one is already open.

    Yields
    ------
    Result or Skipped
        For each cell, in their order, what `use` returned; or why it was skipped.

    Raises
    ------
    ServiceError
        When the service is down or refuses all: login, permission, terms, an unknown table.
    """
    names = [str(cell) for cell in cells]
    left = Counter(names)
    held: dict[str, Result | Skipped] = {}
    batch = Batch(settings, use, command, token, maker)
    make: _Make[Result] = batch.make_links if spread is None else partial(spread.make_links, batch)
    with (progress or show_nothing)(len(left)) as tick, closing(make([*left], tick)) as made:
        for name in names:
            while name not in held:
                made_for, result = next(made)
                held[made_for] = result
            yield held[name]
            left[name] -= 1
            if not left[name]:
                del held[name]


class Batch(Generic[Result]):
    """The state that the cells of a batch share, and whether the batch continues.

    `map_links` describes what it takes.
    """

    def __init__(
        self,
        settings: Settings,
        use: Callable[[LinkRecord], Result],
        command: Sequence[str] | None = None,
        token: str | None = None,
        maker: LinkMaker | None = None,
    ) -> None:
        self.settings = settings
        self.use = use
        self.command = command
        self._maker = maker or open_maker(settings, command, token)
        self._groups = Groups((), self._maker.lacks_rows, self._maker.fetch_ahead)
        self._lock = Lock()
        self._made = 0
        self._silences = 0
        self._stop: SynglancerError | None = None

    def make_links(
        self, cells: Sequence[str], tick: Callable[[], None]
    ) -> Generator[tuple[str, Result | Skipped]]:
        """Make a link for each of some cells, and yield each cell with its result, in order.

        Parameters
        ----------
        cells
            The cells, each once.
        tick
            Called in any thread after each cell.

        Raises
        ------
        SynglancerError
            When the batch stops.
        """
        self._maker.expect(cells)
        with (
            ThreadPoolExecutor(max_workers=min(THREADS, self.settings.concurrency)) as pool,
            ThreadPoolExecutor(max_workers=1) as fetching,
        ):

            def start(group: Sequence[str]) -> dict[str, Future[Result | Skipped]]:
                jobs = {cell: pool.submit(self._make, cell) for cell in group}
                for job in jobs.values():
                    job.add_done_callback(lambda _: tick())
                return jobs

            try:
                # The first cell alone, to load shared data and to find out whether the server lets
                # us.
                first = [] if self._made else cells[:1]
                made = start(first)
                yield from _collect(made)
                self._groups.add(cells[len(first) :])
                made, following = {}, fetching.submit(self._take_next)
                # The rows of one group are fetched while links of the one before are made.
                while group := following.result():
                    jobs = start(group)
                    yield from _collect(made)
                    made, following = jobs, fetching.submit(self._take_next)
                yield from _collect(made)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _take_next(self) -> list[str]:
        """Take the next group of cells, with their rows fetched together; empty at the end."""
        if self._stop is not None:
            raise self._stop
        return self._groups.take_next()

    def _make(self, cell: str) -> Result | Skipped:
        """Make one link, unless the batch has stopped.

        Raises
        ------
        SynglancerError
            When the batch stops: the same error for each cell that is left.
        """
        if self._stop is not None:
            raise self._stop
        unknown = self._maker.find_unknown(cell)
        if unknown is not None:
            return Skipped.from_error(cell, unknown)
        try:
            made = self._maker.make(cell)
        except SynglancerError as error:
            if self._ends(error):
                raise
            return Skipped.from_error(cell, error)
        finally:
            self._maker.forget(cell)
        with self._lock:
            self._made += 1
            self._silences = 0
        return self.use(made)

    def _ends(self, error: SynglancerError) -> bool:
        """Decide whether an error concerns one cell, or would occur for all others as well."""
        with self._lock:
            if isinstance(error, UnreachableError):
                self._silences += 1
            silent = self._silences >= _SILENCES or not self._made
            ends = isinstance(error, FOR_ALL) or (isinstance(error, UnreachableError) and silent)
            if ends and self._stop is None:
                self._stop = error
                if self._made and not self.settings.no_cache:
                    links = "link" if self._made == 1 else f"{self._made:,} links"
                    verb = "is" if self._made == 1 else "are"
                    error.hint += f" The {links} made so far {verb} kept for next time."
            return ends


def _collect(
    jobs: dict[str, Future[Result | Skipped]],
) -> Iterator[tuple[str, Result | Skipped]]:
    """Wait for links and yield each result without keeping it."""
    while jobs:
        cell = next(iter(jobs))
        yield cell, jobs.pop(cell).result()


@contextmanager
def show_nothing(_total: int) -> Iterator[Callable[[], None]]:
    """Show no progress."""
    yield lambda: None
