"""Spines with several inputs and types of partners are loaded by whole queries, or refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from links.shelf import TABLE, A, B, P, Q
from synapses.served import ROWS, SPINES, VIEW, S, Served, choose, expire, fail_at
from synglancer.errors import NotServedError, UnreachableError
from synglancer.synapses.ahead import Ahead, Size
from synglancer.synapses.cell_tables import CellTables
from synglancer.synapses.context import Context, ContextLoader
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from synglancer.settings import Settings

STACK, AT = DATASTACK.name, VERSION.version


class Loading:
    """A loader of context with its tables."""

    def __init__(self, session: Served, settings: Settings) -> None:
        self.tables = CellTables(session, Ahead(session))
        self.loader = ContextLoader(settings, session, self.tables)

    def load(self, *cells: int) -> Context:
        with ThreadPoolExecutor() as pool:
            return self.loader.ask(pool, cells)()

    def find_shared(self, *cells: int) -> list[int]:
        """Find the cells' synapses on spines with several inputs, by their numbers above `S`."""
        found = self.load(*cells).multi_input
        assert found is not None
        assert found.dtype == np.uint64
        return [number - S for number in found.tolist()]


def ask_spines(direction: str, *ids: int) -> tuple[Any, ...]:
    return ("spines", STACK, AT, SPINES.name, direction, *ids)


def ask_on_spines(*numbers: int) -> tuple[Any, ...]:
    return ("on spines", STACK, AT, SPINES.name, *numbers)


def test_spines_of_each_cell_have_their_own_synapses() -> None:
    """Two cells have a spine of the same number; a cell without outputs on spines has no other
    synapses to look for; and the next cell is not answered with the tables of the last one."""
    session = Served()
    loading = Loading(session, choose(multi_input=True))
    assert loading.find_shared(A) == [1, 3, 5, 6, 11]
    queries = [ask_spines("inputs", A), ask_on_spines(*sorted([P, B, Q]), 3, 4, 7)]
    assert session.take_queries() == [queries[1], queries[0], ask_spines("outputs", A)]
    assert loading.find_shared(B) == [4, 5, 8]
    assert session.take_queries() == [
        ask_on_spines(P, 3),
        ask_spines("inputs", B),
        ask_spines("outputs", B),
    ]
    lonely = Loading(session, choose(multi_input=True, outputs=True))
    assert lonely.find_shared(A + 8) == []
    assert session.take_queries() == [ask_spines("outputs", A + 8)]


def test_nothing_is_asked_without_a_request() -> None:
    """The context is empty, and there is nothing to fetch for groups."""
    session = Served()
    loading = Loading(session, choose())
    loading.loader.load_shared()
    assert loading.load(A) == Context(None, None)
    assert loading.loader.list_questions() == []
    assert session.take() == []


def test_spines_of_other_synapses_are_refused() -> None:
    """A table of spines that refers to other synapses would mark the wrong ones."""
    session = Served()
    session.tables[SPINES.name, "reference_simple_group"] = replace(SPINES, synapse_table="old")
    with pytest.raises(NotServedError) as caught:
        Loading(session, choose(multi_input=True)).load(A)
    assert f"{caught.value} {caught.value.hint}" == (
        "The table 'spines_v2' refers to synapses in 'old', but the predictions refer to "
        "'synapses_pni_2'. Choose a table that refers to 'synapses_pni_2' with "
        "--multi-input-table."
    )
    assert session.take_queries() == []


@pytest.mark.parametrize(
    ("lacking", "hint"),
    [
        (["id"], "Choose a view with a row for each cell with --cell-type-view."),
        (["pt_root_id"], "Choose a view with a row for each cell with --cell-type-view."),
        (
            ["cell_type"],
            "Choose one of these with --cell-type-column: id, pt_root_id, mtype.",
        ),
        (["pt_root_id", "cell_type"], "Choose a view with a row for each cell with "),
    ],
)
def test_a_view_that_lacks_a_column_is_refused(lacking: list[str], hint: str) -> None:
    """The error names the first column that is missing, and what to choose instead."""
    session = Served()
    session.view = VIEW.drop(columns=lacking)
    with pytest.raises(NotServedError) as caught:
        Loading(session, choose(cell_types=True)).loader.load_shared()
    assert str(caught.value) == f"The view 'cells_v3' has no column {lacking[0]!r}."
    assert caught.value.hint.startswith(hint)


def test_a_view_of_an_expired_version_is_not_asked_for() -> None:
    """Views do not support live queries, and a service may create an empty database for one."""
    session = expire()
    with pytest.raises(NotServedError) as caught:
        Loading(session, choose(cell_types=True)).loader.load_shared()
    assert f"{caught.value} {caught.value.hint}" == (
        f"Version {AT} of minnie65_public has expired, and the view 'cells_v3' of cell types does "
        "not support live queries. Choose a newer --version, or leave out --cell-types."
    )
    assert session.take() == [("datastack",), ("version", STACK)]


def test_types_are_asked_for_once_for_each_column() -> None:
    """Links of one session share them, and a later run finds them in the cache."""
    session = Served()
    columns = "cell_type", "mtype"
    loaders = [
        Loading(session, choose(cell_types=True, cell_type_column=column)) for column in columns
    ]
    for _ in range(2):
        types = [loading.load(A).cell_types for loading in loaders]
        assert [(one.view, one.column, one.types.to_dict()) for one in types if one] == [
            ("cells_v3", "cell_type", {P: "BC", B: "23P", Q: "BC"}),
            ("cells_v3", "mtype", {P: "x", B: "x", Q: "x"}),
        ]
    asked = [("types", STACK, AT, "cells_v3", column) for column in columns]
    assert session.take_queries() == asked
    loaders[0].tables.keep()
    again = Served()
    later = Loading(again, choose(cell_types=True)).load(A).cell_types
    assert later is not None
    assert later.types.to_dict() == {P: "BC", B: "23P", Q: "BC"}
    assert again.take_queries() == []


def test_other_synapses_on_the_same_spine_are_found() -> None:
    """A synapse alone on its spine, or on none, has no others; neither has its neighbour's spine of
    the same number. They take two queries, and none once they are known."""
    session = Served()
    loading = Loading(session, choose(multi_input=True))
    expected = {S + 3: [S + 4, S + 9, S + 11], S + 1: [S + 6], S + 2: [], S + 7: []}
    assert loading.loader.load_same_spine([*expected]) == expected
    queries = [ask_on_spines(A, P, 3, 7, 8), ask_spines("synapse", *expected)]
    assert session.take_queries() == queries
    assert loading.loader.load_same_spine([S + 3]) == {S + 3: [S + 4, S + 9, S + 11]}
    assert loading.loader.load_same_spine([S + 7]) == {S + 7: []}
    loading.tables.keep()
    again = Served()
    later = Loading(again, choose(multi_input=True)).loader
    assert later.load_same_spine([S + 1, S + 3]) == {S + 1: [S + 6], S + 3: expected[S + 3]}
    assert session.take_queries() + again.take_queries() == []


def test_synapses_on_no_spine_share_none() -> None:
    """Without a spine there is no second query."""
    session = Served()
    loading = Loading(session, choose(multi_input=True))
    assert loading.loader.load_same_spine([S + 7]) == {S + 7: []}
    assert session.take_queries() == [ask_spines("synapse", S + 7)]


def test_spines_of_a_group_of_synapses_are_fetched_ahead() -> None:
    """Both queries are made for the group, with the number of rows of each; then nothing is asked
    for one of its synapses."""
    session = Served()
    loader = Loading(session, choose(multi_input=True)).loader
    group = [S + 1, S + 3, S + 4, S + 7]
    assert loader.fetch_same_spine_ahead(group) == [Size(3), Size(10)]
    assert session.take_queries() == [ask_on_spines(A, P, 3, 7), ask_spines("synapse", *group)]
    assert loader.load_same_spine([S + 4]) == {S + 4: [S + 3, S + 9, S + 11]}
    assert loader.load_same_spine([S + 7]) == {S + 7: []}
    assert session.take_queries() == []


def test_another_table_is_not_answered_from_the_cache_of_the_first() -> None:
    """Each table of spines and each view has its own answers, for the same cells and synapses."""
    session = Served()
    loading = Loading(session, choose(multi_input=True, cell_types=True))
    assert loading.find_shared(B) == [4, 5, 8]
    assert loading.loader.load_same_spine([S + 1]) == {S + 1: [S + 6]}
    loading.tables.keep()
    session.tables["spines_v1", "reference_simple_group"] = replace(SPINES, name="spines_v1")
    session.rows = ROWS.assign(group_id=5)
    session.view = VIEW.assign(cell_type="MC")
    others = {"multi_input_table": "spines_v1", "cell_type_view": "cells_v2"}
    other = Loading(session, choose(multi_input=True, cell_types=True, **others))
    context = other.load(B)
    assert context.multi_input is not None
    assert context.multi_input.tolist() == [S + 4, S + 5, S + 7, S + 8]
    assert context.cell_types is not None
    assert context.cell_types.types.to_dict() == {P: "MC", B: "MC", Q: "MC"}
    assert other.loader.load_same_spine([S + 1]) == {S + 1: [S + 2, S + 6]}


@pytest.mark.parametrize(
    "refused", [("multi_input", "table", SPINES.name), ("cell_types", "columns")]
)
def test_shared_records_are_asked_for_before_the_cells(refused: tuple[str, ...]) -> None:
    """A table of spines or a view that the version lacks is refused before any query."""
    option, kind, *named = refused
    session = Served()
    session.trouble = fail_at(kind, *named)
    with pytest.raises(UnreachableError):
        Loading(session, choose(**{option: True})).loader.load_shared()


def test_predictions_name_the_synapses_of_spines() -> None:
    """Both tables are asked for by their own names and kinds."""
    session = Served()
    Loading(session, choose(multi_input=True, inputs=True)).load(A)
    tables = [("table", STACK, AT, TABLE.name), ("table", STACK, AT, SPINES.name)]
    assert [question for question in session.take() if question[0] == "table"] == tables
