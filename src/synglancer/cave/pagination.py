"""Complete answers that the server cuts off, by querying the rest in parts.

A part is a range of `id`, lower end included, upper end not: whatever the ends are, each row lies
in exactly one part. (Pages by offset would not do: the servers give rows in no order.) Parts that
are cut as well are split again.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from synglancer.errors import BadAnswerError, TruncatedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

logger = logging.getLogger("synglancer")

_AT_ONCE = 4
"""Number of parts that are queried in parallel."""

_MOST_REQUESTS = 1000
"""Most requests for one answer."""

_USUAL_LIMITS = frozenset({200_000, 500_000})
"""Row limits of CAVE servers: an answer of exactly this size counts as cut off."""

_MAX_ID = 2**63 - 1
_MOST_PARTS = 16
_DOUBLINGS = 6


@dataclass(frozen=True)
class Span:
    """A range of `id`.

    Attributes
    ----------
    first
        The lowest ID in it, or None if it has no lower end.
    end
        The first ID above it, or None if it has no upper end.
    """

    first: int | None = None
    end: int | None = None

    @property
    def at_least(self) -> dict[str, int] | None:
        """The lower end, as caveclient's ``filter_greater_equal_dict`` of one table."""
        return None if self.first is None else {"id": self.first}

    @property
    def below(self) -> dict[str, int] | None:
        """The upper end, as caveclient's ``filter_less_dict`` of one table."""
        return None if self.end is None else {"id": self.end}

    def within(self, other: Span) -> Span:
        """Return the part of it that lies in another range."""
        firsts = [one for one in (self.first, other.first) if one is not None]
        ends = [one for one in (self.end, other.end) if one is not None]
        return Span(max(firsts, default=None), min(ends, default=None))

    def holds(self, id_: int) -> bool:
        """Whether an ID lies in the range."""
        return (self.first is None or id_ >= self.first) and (self.end is None or id_ < self.end)


EVERYTHING = Span()


@dataclass(frozen=True)
class _Cut:
    """A cut-off answer: the range, the IDs that arrived, and the row limit."""

    span: Span
    ids: frozenset[int]
    limit: int
    error: TruncatedError | None


def fetch_whole(ask: Callable[[Span], pd.DataFrame]) -> pd.DataFrame:
    """Fetch all rows of a query, in parts if the server cuts its answer off.

    Parameters
    ----------
    ask
        Asks for the rows whose `id` is in a range (1 request), for a table with the int64 column
        ``id``. Raises `TruncatedError`, with the rows that arrived, if there are more. It is called
        by up to four threads at once.

    Returns
    -------
    pandas.DataFrame
        All rows, in any order. A complete answer is returned unchanged; a completed one has the
        server's limit as ``row_limit`` in its ``attrs``.

    Raises
    ------
    TruncatedError
        When a single ID has more rows than the server gives, or too many requests were needed.
    BadAnswerError
        When the server answers with rows outside the range, or loses some between two requests.
    """
    whole = _ask(ask, EVERYTHING, None)
    if not isinstance(whole, _Cut):
        return whole
    logger.info("An answer was cut off after %d rows. Fetching it in ranges of IDs.", whole.limit)
    seen, limit, asked = set(whole.ids), whole.limit, 1
    parts: list[pd.DataFrame] = []
    waiting = _split(whole)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        while waiting:
            asked += len(waiting)
            if asked > _MOST_REQUESTS:
                raise TruncatedError(
                    f"A complete answer would take more than {_MOST_REQUESTS:,} requests of "
                    f"{limit:,} rows each.",
                    "Request less at a time, for instance only --inputs or only --outputs.",
                ) from whole.error
            answers = list(pool.map(lambda span: _ask(ask, span, limit), waiting))
            waiting = []
            for answer in answers:
                if isinstance(answer, _Cut):
                    seen |= answer.ids
                    waiting += _split(answer)
                else:
                    parts.append(answer)
    logger.info("The answer is complete after %d requests.", asked)
    joined = _join(parts, seen)
    joined.attrs["row_limit"] = limit
    return joined


def _ask(ask: Callable[[Span], pd.DataFrame], span: Span, limit: int | None) -> pd.DataFrame | _Cut:
    """Query a range, and decide by warning and number of rows whether the answer is complete."""
    try:
        frame = ask(span)
    except TruncatedError as error:
        ids = _read_ids(error)
        _check_span(ids, span)
        return _Cut(span, ids, error.limit or len(ids), error)
    suspicious = len(frame) in _USUAL_LIMITS or (limit is not None and len(frame) >= limit)
    if span == EVERYTHING and not suspicious:
        return frame
    ids = frozenset(int(id_) for id_ in frame["id"])
    _check_span(ids, span)
    return _Cut(span, ids, len(frame), None) if suspicious else frame


def _read_ids(error: TruncatedError) -> frozenset[int]:
    """Return the IDs of the rows that arrived, which show where the others may be."""
    import pyarrow as pa  # only where an answer was cut

    try:
        ids = pa.ipc.open_stream(error.content).read_all()["id"].to_pylist()
        arrived = frozenset(int(id_) for id_ in ids)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise error from problem
    if not arrived:
        raise error
    return arrived


def _check_span(ids: Iterable[int], span: Span) -> None:
    if not all(span.holds(id_) for id_ in ids):
        raise BadAnswerError(
            "The server returned IDs outside the requested range.",
            "Its row limit cannot be worked around. Request less at a time, for instance only "
            "--inputs.",
        )


def _split(cut: _Cut) -> list[Span]:
    """Split a range into several.

    Raises
    ------
    TruncatedError
        When it holds a single ID.
    """
    first, end = cut.span.first, cut.span.end
    inner = [
        pivot
        for pivot in _pivots(cut)
        if (first is None or pivot > first) and (end is None or pivot < end) and pivot <= _MAX_ID
    ]
    if not inner:
        raise TruncatedError(
            f"The server cut its answer off after {cut.limit:,} rows, even for a single synapse "
            "ID.",
            "Ask the server's administrators for a higher row limit.",
        ) from cut.error
    edges = [first, *sorted(set(inner)), end]
    return [Span(low, high) for low, high in pairwise(edges)]


def _pivots(cut: _Cut) -> list[int]:
    """Choose where to split; some may lie outside the range.

    Servers often give the rows with the lowest IDs first. If the rows that arrived fill only the
    beginning of a range, it is split into more parts, so that few are cut off again.
    """
    low, high = min(cut.ids), max(cut.ids) + 1
    first, end = cut.span.first, cut.span.end
    if first is not None and end is None:
        # It is unknown how far the rows reach, so the parts grow.
        step = max((high - first) * 3 // 4, 1)
        return [first + step * 2**doubling for doubling in range(_DOUBLINGS)]
    if first is not None and end is not None:
        parts = -(-3 * (end - first) // (2 * (high - first)))
        return _between(first, end, min(max(parts, 2), _MOST_PARTS))
    return [*_between(low, high, 2), high] if end is None else _between(low, end, 2)


def _between(low: int, high: int, parts: int) -> list[int]:
    return [low + (high - low) * part // parts for part in range(1, parts)]


def _join(parts: list[pd.DataFrame], seen: set[int]) -> pd.DataFrame:
    """Join the parts, and check that no earlier row is missing."""
    import pandas as pd  # already imported by the query

    # An empty part has no types, so it would turn the columns of the others into objects.
    filled = [part for part in parts if len(part)]
    joined: pd.DataFrame = pd.concat(filled or parts[:1], ignore_index=True)
    if not seen.issubset(int(id_) for id_ in joined["id"]):
        raise BadAnswerError(
            "The server left out rows that it had returned before.",
            "Try again; if it happens again, tell the server's administrators.",
        )
    return joined
