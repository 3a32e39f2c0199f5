"""An answer that a server cuts off is completed or becomes an error, but never a smaller table.

The server is a table in memory that gives at most so many rows, in an order of its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.cave import pagination
from synglancer.cave.pagination import EVERYTHING, Span, fetch_whole
from synglancer.errors import BadAnswerError, TruncatedError

TOP = 2**63 - 1


@dataclass
class Server:
    """Rows in the order in which they are returned, and the requests for them."""

    ids: list[int]
    limit: int
    warns: bool = True
    asked: list[Span] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0
    most_at_once: int = 0

    def __call__(self, span: Span) -> pd.DataFrame:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.asked.append(span)
        ids = [id_ for id_ in self.ids if span.holds(id_)][: self.limit]
        with self.lock:
            self.at_once -= 1
        frame = pd.DataFrame({"id": pd.array(ids, dtype="Int64"), "row": [str(i) for i in ids]})
        if self.warns and len(ids) == self.limit:  # as CAVE does, even if these were all rows
            raise TruncatedError("Cut off.", "Wait.", limit=self.limit, content=write(frame))
        return frame


def write(frame: pd.DataFrame) -> bytes:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def check(server: Server) -> None:
    whole = fetch_whole(server)
    assert sorted(whole["id"].tolist()) == sorted(server.ids)
    assert whole["row"].tolist() == [str(id_) for id_ in whole["id"]]
    assert str(whole["id"].dtype) == "Int64"


def test_an_answer_below_the_limit_is_asked_for_once():
    """A complete answer is returned unchanged, after one request without a range."""
    server = Server(list(range(99)), 100)
    check(server)
    assert server.asked == [EVERYTHING]


@given(
    ids=st.lists(st.integers(0, TOP) | st.integers(0, 300), min_size=1, max_size=150, unique=True),
    limit=st.integers(2, 40),
)
def test_every_row_comes_back_once_in_whatever_order_it_is_given(ids, limit):
    """Rows with any 63-bit IDs, sparse or dense, in any order, all arrive, and only once."""
    check(Server(ids, limit))


@pytest.mark.parametrize("rows", [100, 101, 199, 3076])
@pytest.mark.parametrize("order", ["ascending", "descending", "mixed"])
def test_the_number_of_requests_follows_the_number_of_rows(rows, order):
    """Few parts are queried in vain: at most 4 requests per 100 rows, and 4 at a time."""
    ids = [400_000_000 + 7_919 * row for row in range(rows)]
    if order == "mixed":
        ids = [ids[row * 1_009 % rows] for row in range(rows)]
    server = Server(ids[::-1] if order == "descending" else ids, 100)
    check(server)
    assert len(server.asked) <= 8 + 4 * rows / 100
    assert server.most_at_once <= 4


def test_parts_cover_everything_and_never_overlap():
    """The used parts cover all IDs from the lowest to the highest, without gaps or overlaps."""
    server = Server(list(range(0, 5000, 5)), 64)
    check(server)
    edges = {span.first for span in server.asked} | {span.end for span in server.asked}
    for edge in edges - {None}:
        below = [span for span in server.asked if span.end == edge]
        above = [span for span in server.asked if span.first == edge]
        assert below, edge
        assert above, edge


def test_a_repeated_row_is_kept():
    """Several rows with the same ID, as returned by joins, are all kept."""
    check(Server([1, 2, 2, 2, 3, 4, 4, 5, 6], 4))


def test_an_id_with_more_rows_than_the_limit_is_an_error():
    """An answer that no range can divide is refused, not taken for complete."""
    with pytest.raises(TruncatedError, match="single synapse"):
        fetch_whole(Server([1, 2, 2, 2, 2, 3], 3))
    with pytest.raises(TruncatedError, match="single synapse"):
        fetch_whole(Server([7, 8], 1))
    with pytest.raises(TruncatedError, match="single synapse"):
        fetch_whole(Server([TOP, TOP, TOP], 2))


def test_requests_are_bounded(monkeypatch):
    """An answer that needs too many parts is given up."""
    monkeypatch.setattr(pagination, "_MOST_REQUESTS", 50)
    server = Server(list(range(1000)), 4)
    with pytest.raises(TruncatedError, match="more than 50 requests of 4 rows"):
        fetch_whole(server)
    assert len(server.asked) <= 50


@pytest.mark.parametrize("limit", [200_000, 500_000])
def test_a_usual_limit_is_suspicious_without_a_warning(limit):
    """An answer with as many rows as CAVE's limit counts as cut off, even without a warning."""
    server = Server(list(range(limit + 5)), limit, warns=False)
    assert len(fetch_whole(server)) == limit + 5


def test_a_server_that_ignores_ranges_is_found_out():
    """Rows outside the requested range are an error, not a table with duplicates."""

    def ask(span: Span) -> pd.DataFrame:
        server = Server(list(range(10)), 6)
        return server(EVERYTHING if span == EVERYTHING else Span(span.first, None))

    with pytest.raises((BadAnswerError, TruncatedError)):
        fetch_whole(ask)


def test_a_row_that_is_lost_between_two_requests_is_missed():
    """A row of the cut-off answer that is in none of the parts is an error."""
    server = Server(list(range(10)), 6)

    def ask(span: Span) -> pd.DataFrame:
        if span != EVERYTHING and 3 in server.ids:
            server.ids.remove(3)
        return server(span)

    with pytest.raises(BadAnswerError, match="left out rows"):
        fetch_whole(ask)


@pytest.mark.parametrize(
    "content",
    [b"", b"no Arrow", write(pd.DataFrame({"other": [1, 2]})), write(pd.DataFrame({"id": []}))],
)
def test_rows_that_cannot_be_read_leave_the_answer_cut(content):
    """If no row arrived, or the rows have no IDs, the original error is raised."""

    def ask(_: Span) -> pd.DataFrame:
        raise TruncatedError("Cut off after 2 rows.", "Wait.", limit=2, content=content)

    with pytest.raises(TruncatedError, match="after 2 rows"):
        fetch_whole(ask)
