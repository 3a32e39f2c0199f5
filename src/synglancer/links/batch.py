"""Many cells → a link each, several at a time; a cell that cannot be shown is skipped and named.

What the cells share is asked once, and their tables in groups (`synglancer.links.groups`). Links
that were made are kept, so that a batch that stopped goes on where it was when it is asked again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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
from synglancer.links.make import LinkMaker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from synglancer.links.link_record import LinkRecord
    from synglancer.settings import Settings

    Progress = Callable[[int], AbstractContextManager[Callable[[], None]]]
    """Given how many steps there are, a context whose value is called after each of them."""

Result = TypeVar("Result")

WORKERS = 4
"""Cells at a time: what one server bears, and what hides its latency."""

_FOR_ALL = (LoginError, PermissionMissingError, TermsOfServiceError, NotServedError)
_SILENCES = 3  # in a row: the service is down, rather than one cell too large for it


def map_links(
    cells: Sequence[int | str],
    settings: Settings,
    use: Callable[[LinkRecord], Result],
    *,
    progress: Progress | None = None,
) -> list[Result | Skipped]:
    """Make a link for each of many cells, and keep of it only what is wanted.

    Parameters
    ----------
    cells
        Root IDs.
    settings
        What is asked, beside the cell.
    use
        Takes what is wanted from a link, in any of several threads: states are large.
    progress
        What shows how far it is, such as `synglancer.render.progress.show_progress`.

    Returns
    -------
    list
        For each cell, in their order, what `use` returned; or why it was skipped.

    Raises
    ------
    ServiceError
        When the service is down or refuses all: login, permission, terms, an unknown table.
    """
    distinct = list(dict.fromkeys(str(cell) for cell in cells))
    batch = _Batch(settings, use, distinct)
    results: dict[str, Result | Skipped] = {}
    with (
        ThreadPoolExecutor(max_workers=WORKERS) as pool,
        ThreadPoolExecutor(max_workers=1) as fetching,
        (progress or _unseen)(len(distinct)) as tick,
    ):

        def start(group: Sequence[str]) -> dict[str, Future[Result | Skipped]]:
            jobs = {cell: pool.submit(batch.make, cell) for cell in group}
            for job in jobs.values():
                job.add_done_callback(lambda _: tick())
            return jobs

        try:
            # The first alone: what the cells share, and whether we may ask.
            made = start(distinct[:1])
            _collect(made, results)
            following = fetching.submit(batch.take_next)
            # The rows of one group are fetched while links of the one before are made.
            while group := following.result():
                jobs = start(group)
                _collect(made, results)
                made, following = jobs, fetching.submit(batch.take_next)
            _collect(made, results)
        except BaseException:
            for waiting in (pool, fetching):
                waiting.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[str(cell)] for cell in cells]


def _collect(
    jobs: dict[str, Future[Result | Skipped]], results: dict[str, Result | Skipped]
) -> None:
    """Wait for links, and note what came of each."""
    results.update((cell, job.result()) for cell, job in jobs.items())


class _Batch(Generic[Result]):
    """The cells of one batch: what they share, and whether to go on."""

    def __init__(
        self, settings: Settings, use: Callable[[LinkRecord], Result], cells: Sequence[str]
    ) -> None:
        self._maker = LinkMaker(settings)
        self._maker.expect(cells)
        self._groups = Groups(cells[1:], self._maker.lacks_rows, self._maker.fetch_ahead)
        self._use = use
        self._keeps = not settings.no_cache
        self._lock = Lock()
        self._made = 0
        self._silences = 0
        self._stop: SynglancerError | None = None

    def take_next(self) -> list[str]:
        """Take the next group of cells, their rows fetched at once; none when all were taken."""
        if self._stop is not None:
            raise self._stop
        return self._groups.take_next()

    def make(self, cell: str) -> Result | Skipped:
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
            return Skipped(cell, str(unknown), unknown.hint, unknown.exit_code)
        try:
            made = self._maker.make(cell)
        except SynglancerError as error:
            if self._ends(error):
                raise
            return Skipped(cell, str(error), error.hint, error.exit_code)
        finally:
            self._maker.forget(cell)
        with self._lock:
            self._made += 1
            self._silences = 0
        return self._use(made)

    def _ends(self, error: SynglancerError) -> bool:
        """Decide whether an error is one cell's, or would be that of all others too."""
        with self._lock:
            if isinstance(error, UnreachableError):
                self._silences += 1
            silent = self._silences >= _SILENCES or not self._made
            ends = isinstance(error, _FOR_ALL) or (isinstance(error, UnreachableError) and silent)
            if ends and self._stop is None:
                self._stop = error
                if self._made and self._keeps:
                    error.hint += f" The {self._made:,} links made so far are kept for next time."
            return ends


@contextmanager
def _unseen(_total: int) -> Iterator[Callable[[], None]]:
    """Show no progress."""
    yield lambda: None
