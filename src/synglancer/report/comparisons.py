"""Compare many cells at two versions, and add up the changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from synglancer.cells.lists import list_given_cells
from synglancer.errors import CellError, SynglancerError, UnreachableError, UsageError
from synglancer.links.batch import FOR_ALL, THREADS, show_nothing
from synglancer.links.kinds.comparison import Comparison, compare
from synglancer.links.link_record import Skipped
from synglancer.states.urls import is_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.links.batch import Progress
    from synglancer.settings import Question


def list_compared(words: Sequence[str]) -> list[tuple[str, ...]]:
    """List the comparisons: two links with each other, or else each cell or link by itself.

    Several links cannot be added up, because each has its own version and filters.

    Parameters
    ----------
    words
        The typed cells, links, or files of these.

    Raises
    ------
    UsageError
        When a word is not one of these, there are no words, or more than two with a link.
    """
    given = list_given_cells(words)
    links = sum(map(is_link, given))
    if links and len(given) > 2:  # noqa: PLR2004
        others = len(given) - links
        raise UsageError(
            f"{links} {'link' if links == 1 else 'links'} and {others} "
            f"{'cell' if others == 1 else 'cells'} were given, but a link is compared only with a "
            "version, or with one other link."
            if others
            else f"{links} links were given, but only two can be compared with each other.",
            "Give LINK LINK or LINK --to VERSION, or compare their cells with CELL... --from "
            "VERSION --to VERSION.",
        )
    if links:
        return [tuple(given)]
    given = list(dict.fromkeys(given))
    if not given:
        raise UsageError(
            "No cell was given.",
            "Give CELL... --from VERSION --to VERSION, LINK --to VERSION, or LINK LINK.",
        )
    return [(one,) for one in given]


def compare_all(
    asked: Sequence[tuple[str, ...]],
    question: Question,
    from_: str | None = None,
    to: str | None = None,
    progress: Progress | None = None,
) -> list[Comparison | Skipped]:
    """Compare each of many cells at two versions.

    Parameters
    ----------
    asked
        As `list_compared` returns it.
    question, from_, to
        As for `synglancer.links.kinds.comparison.compare`.
    progress
        Shows the progress.

    Returns
    -------
    list of Comparison or Skipped
        One for each, in their order; a cell that was given in two forms has only one.

    Raises
    ------
    SynglancerError
        When nothing can be compared: an expired version, or a refused login.
    """
    if len(asked) == 1:
        return [compare(*asked[0], question=question, from_=from_, to=to)]

    def attempt(words: tuple[str, ...]) -> Comparison | Skipped:
        try:
            return compare(*words, question=question, from_=from_, to=to)
        except SynglancerError as error:
            # Errors in the options appear with the first cell, and apply to all cells.
            mine = isinstance(error, CellError) or (
                words != asked[0] and not isinstance(error, (*FOR_ALL, UnreachableError))
            )
            if not mine:
                raise
            return Skipped.from_error(words[0], error)
        finally:
            tick()

    with (progress or show_nothing)(len(asked)) as tick, ThreadPoolExecutor(THREADS) as pool:
        first = attempt(asked[0])
        jobs = [pool.submit(attempt, words) for words in asked[1:]]
        try:
            return _keep_once([first, *(job.result() for job in jobs)])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _keep_once(results: Sequence[Comparison | Skipped]) -> list[Comparison | Skipped]:
    """Keep the first comparison of each cell, which may be given by root ID and by nucleus."""
    distinct: dict[object, Comparison | Skipped] = {}
    for one in results:
        if isinstance(one, Comparison):
            distinct.setdefault((one.before.provenance.cell, one.after.provenance.cell), one)
        else:
            distinct[one.given] = one
    return list(distinct.values())


def sum_counts(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Add up the counts of several cells.

    Returns
    -------
    pandas.DataFrame
        Columns as `synglancer.synapses.changes.count_changes` returns them.
    """
    import pandas as pd

    from synglancer.synapses.changes import COUNTED
    from synglancer.view.tag_order import sort_tags

    both = pd.concat([one.counts for one in comparisons])
    directions = list(dict.fromkeys(both["direction"]))
    keys = [(side, tag) for side in directions for tag in sort_tags(set(both["tag"]))]
    sums = both.groupby(["direction", "tag"])[[*COUNTED]].sum()
    return sums.reindex(keys, fill_value=0).reset_index()


def tabulate(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """Join the counts of several cells into one table.

    Returns
    -------
    pandas.DataFrame
        Columns ``cell_before``, ``cell_after`` (str, root IDs), then those of the counts, then
        ``link`` (str).
    """
    import pandas as pd

    parts = []
    for one in comparisons:
        part = one.counts.assign(link=one.url)
        part.insert(0, "cell_before", str(one.before.provenance.cell))
        part.insert(1, "cell_after", str(one.after.provenance.cell))
        parts.append(part)
    return pd.concat(parts, ignore_index=True)
