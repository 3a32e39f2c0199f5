"""Tables of cells are fetched together, cached cell by cell, and joined without losing a row."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from links.shelf import Shelf
from synglancer.columns import ASKED_COLUMN
from synglancer.errors import BadAnswerError
from synglancer.synapses.ahead import Ahead, Size
from synglancer.synapses.cell_tables import CellTables, Question
from view.test_state import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

A, B, NONE = 864691135276234469, 864691135276234471, 864691135276234473
"""Neighbouring root IDs; the last cell has no synapses."""
ROWS = pd.DataFrame(
    {"id": [4, 1, 3, 2], ASKED_COLUMN["inputs"]: [B, A, A, B], "tag": ["a", "b", "c", "d"]}
)


class Server:
    """Answers with the rows of cells, and lists for which cells it was asked."""

    def __init__(self, rows: pd.DataFrame = ROWS, limit: int | None = None) -> None:
        self.asked: list[list[int]] = []
        self.rows, self.limit = rows, limit

    def fetch(self, cells: Sequence[int]) -> pd.DataFrame:
        self.asked.append([*cells])
        found = self.rows[self.rows[ASKED_COLUMN["inputs"]].isin([*cells])]
        found = found.reset_index(drop=True)
        found.attrs["row_limit"] = self.limit
        return found


def open_tables(session: Shelf) -> CellTables:
    return CellTables(session, Ahead(session))


def ask(server: Server, name: str = "predictions") -> Question:
    return Question(name, "inputs", server.fetch)


def load(tables: CellTables, question: Question, *cells: int) -> list[int]:
    return tables.load(question, cells, lambda raw: raw["id"].tolist())


def test_a_cell_is_fetched_once_and_found_again_by_its_own_rows() -> None:
    """Each cell of a group is cached alone, also one without synapses, and only the others of a
    later question are fetched."""
    session, server = Shelf(), Server()
    tables = open_tables(session)
    assert load(tables, ask(server), A, NONE) == [1, 3]
    assert load(tables, ask(server), A) == [1, 3]
    assert server.asked == [[A, NONE]]
    assert load(open_tables(session), ask(server), A) == [1, 3]  # nothing was cached yet
    tables.keep()
    later = open_tables(session)
    assert load(later, ask(server), A, B, NONE) == [1, 3, 4, 2]
    assert server.asked == [[A, NONE], [A], [B]]
    assert load(later, ask(server, "another table"), A) == [1, 3]
    outputs = Question("predictions", "outputs", server.fetch, ASKED_COLUMN["inputs"])
    assert load(later, outputs, A) == [1, 3]
    assert server.asked[3:] == [[A], [A]]


def test_what_is_refused_is_not_cached() -> None:
    """The rows of a bad answer are fetched again."""
    session, server = Shelf(), Server()

    def refuse(raw: pd.DataFrame) -> None:
        raise BadAnswerError("The rows are wrong.", "Ask again.")

    tables = open_tables(session)
    with pytest.raises(BadAnswerError):
        tables.load(ask(server), [A], refuse)
    tables.keep()
    assert load(open_tables(session), ask(server), A) == [1, 3]
    assert server.asked == [[A], [A]]


def test_nothing_of_an_expired_version_is_cached() -> None:
    """Its annotations can still change; only what was fetched ahead for a group is used."""
    session, server = Shelf(version=replace(VERSION, expired=True)), Server()
    tables = open_tables(session)
    load(tables, ask(server), A)
    tables.keep()
    assert load(open_tables(session), ask(server), A) == [1, 3]
    tables.fetch_ahead(ask(server), [A, B])
    assert (load(tables, ask(server), A), load(tables, ask(server), B)) == ([1, 3], [4, 2])
    assert server.asked == [[A], [A], [A, B]]


def test_groups_are_fetched_ahead_and_their_size_is_told() -> None:
    """Only what is neither cached nor fetched yet is asked for; the links then ask nothing, and
    what they use is cached."""
    session, server = Shelf(), Server(limit=4)
    tables = open_tables(session)
    assert tables.fetch_ahead(ask(server), [A, B]) == Size(4, 4)
    assert tables.fetch_ahead(ask(server), [A, NONE]) == Size(0, 4)
    assert tables.fetch_ahead(ask(server), [A]) == Size()
    assert load(tables, ask(server), B, A, NONE) == [4, 2, 1, 3]
    assert tables.load(ask(server), [A], lambda raw: [*raw.columns]) == [*ROWS.columns]
    assert server.asked == [[A, B], [NONE]]
    tables.keep()
    assert load(open_tables(session), ask(server), A, B, NONE) == [1, 3, 4, 2]
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.astype({"id": float}),
        ROWS.assign(pre_pt_root_id=pd.array([1, 2, None, 4], dtype="Int64")),
        pd.concat([ROWS, ROWS[["tag"]]], axis=1),
        ROWS.rename(columns={ASKED_COLUMN["inputs"]: "cell"}),
        ROWS.assign(**{ASKED_COLUMN["inputs"]: [B, A, A, NONE]}),
    ],
    ids=["IDs as floats", "a missing ID", "a column twice", "no column", "another cell"],
)
def test_an_answer_that_cannot_be_divided_is_refused(rows: pd.DataFrame) -> None:
    """Else a cell would get the rows or the rounded IDs of another; nothing of it is held."""
    asked: list[Any] = []

    def fetch(cells: Sequence[int]) -> pd.DataFrame:
        asked.append([*cells])
        return rows.copy()

    tables = open_tables(Shelf())
    with pytest.raises(BadAnswerError, match="answer for 2 cells cannot be divided by cell"):
        tables.fetch_ahead(Question("predictions", "inputs", fetch), [A, B])
    assert load(tables, ask(server := Server()), A) == [1, 3]
    assert server.asked == [[A]]


def test_rows_of_one_answer_have_several_origins() -> None:
    """Rows fetched ahead, cached ones and new ones are joined; those that are not cached yet are
    cached, and cached ones are not written again."""
    session, server = Shelf(), Server()
    session.identity.value = "first data"
    tables = open_tables(session)
    load(tables, ask(server), B)
    tables.keep()
    tables = open_tables(session)
    tables.fetch_ahead(ask(server), [A, B])
    session.store.clear()
    assert load(tables, ask(server), A, NONE, B) == [1, 3, 4, 2]
    assert server.asked == [[B], [A], [NONE]]
    tables.keep()
    assert [kept.files for kept in session.store.measure() if kept.files] == [2]
    assert load(open_tables(session), ask(server), A, NONE) == [1, 3]
    assert server.asked == [[B], [A], [NONE]]


def test_rows_fetched_ahead_for_other_data_are_not_used() -> None:
    """The server may have other tables now, so they are asked for again."""
    session, server = Shelf(version=replace(VERSION, expired=True)), Server()
    session.identity.value = "first data"
    tables = open_tables(session)
    tables.fetch_ahead(ask(server), [A, B])
    assert load(tables, ask(server), A) == [1, 3]
    session.identity.value = "second data"
    assert load(tables, ask(server), A) == [1, 3]
    assert server.asked == [[A, B], [A]]


def test_a_table_of_no_cell_is_fetched_once() -> None:
    """It is found by its own key, in the process and then in the cache."""
    session, fetched = Shelf(), []

    def fetch() -> pd.DataFrame:
        fetched.append(1)
        return ROWS

    tables = open_tables(session)
    for _ in range(2):
        assert tables.load_one(("types", "view"), fetch, len) == 4
    tables.keep()
    assert open_tables(session).load_one(("types", "view"), fetch, len) == 4
    assert len(fetched) == 1
    assert open_tables(session).load_one(("types", "other"), fetch, len) == 4
    assert len(fetched) == 2
    expired = Shelf(version=replace(VERSION, expired=True))
    for _ in range(2):
        later = open_tables(expired)
        assert later.load_one(("types", "view"), fetch, len) == 4
        later.keep()
    assert len(fetched) == 4
