"""Everything about cells is loaded at once, and no cell spoils or borrows the data of another."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from links.shelf import TABLE, A, B, C, P, Q
from synapses.served import (
    OUTDATED,
    ROWS,
    SPINES,
    S,
    Served,
    choose,
    expire,
    fail_at,
    serve_only,
    synapses_of,
)
from synglancer.cache.answers import Store
from synglancer.cave.records import PredictionTable
from synglancer.errors import BadAnswerError, NotServedError, ServiceError, UnreachableError
from synglancer.settings import BETWEEN
from synglancer.synapses.ahead import Size
from synglancer.synapses.context import Context
from synglancer.synapses.loading import CellData, CellLoader
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

STACK, AT = DATASTACK.name, VERSION.version
EVERYTHING = dict.fromkeys(("with_unlabelled", "with_total", "multi_input", "cell_types"), True)
RECORDS = [("datastack",), ("version", STACK)]
TABLE_RECORD = ("table", STACK, AT, TABLE.name)
OF_A, OF_B = [(1.0, 2.0, 3.0)], [(4.0, 5.0, 6.0), (7.0, 8.0, 9.0)]


def ask(kind: str, *rest: Any, table: str = TABLE.name) -> tuple[Any, ...]:
    return (kind, STACK, AT, table, *rest)


def ask_somata(*cells: int) -> tuple[Any, ...]:
    return ("somata", STACK, AT, DATASTACK.soma_table, *cells)


def load(loader: CellLoader, *cells: int) -> CellData:
    return loader.load_cells(cells, lambda: None)


def check_tables(data: CellData, *expected: pd.DataFrame) -> None:
    assert len(data.tables) == len(expected)
    for table, rows in zip(data.tables, expected, strict=True):
        pd.testing.assert_frame_equal(table.frame, rows)
        assert sorted(table.ids.tolist()) == rows["id"].tolist()
        assert table.left_out.empty


def list_kept(session: Served) -> dict[str, int]:
    """Count the cached files of each kind."""
    return {kept.kind: kept.files for kept in session.store.measure() if kept.files}


def check_context(context: Context, multi_input: Sequence[int]) -> None:
    assert context.multi_input is not None
    assert context.multi_input.dtype == np.uint64
    assert context.multi_input.tolist() == [S + number for number in multi_input]
    types = context.cell_types
    assert types is not None
    assert (types.view, types.column, types.ambiguous) == ("cells_v3", "cell_type", frozenset())
    assert types.types.to_dict() == {P: "BC", B: "23P", Q: "BC"}


def test_everything_about_cells_is_loaded_at_once() -> None:
    """Each query is made once for both cells; synapses between them count neither as inputs nor as
    outputs; a later run fetches only what is not cached."""
    session = Served()
    loader = CellLoader(choose(**EVERYTHING), session)
    prepared: list[str] = []
    data = loader.load_cells([A, B], lambda: prepared.append("libraries"))
    expected = [
        synapses_of("inputs", 1, 2, 5, 8),
        synapses_of("inputs", 6),
        synapses_of("outputs", 3, 4, 5, 10),
        synapses_of("outputs", 7, 11),
    ]
    check_tables(data, *expected)
    assert prepared == ["libraries"]
    assert data.found == {A, B}
    assert data.somata == {A: OF_A, B: OF_B}
    assert data.all_synapses == {"inputs": 4, "outputs": 5, BETWEEN: 1}
    check_context(data.context, [1, 3, 4, 5, 6, 8, 11])
    counts = [
        *(ask("count", side, A, B, table=TABLE.synapse_table) for side in ("inputs", "outputs")),
        ask("between", A, B, table=TABLE.synapse_table),
    ]
    records = [*RECORDS, TABLE_RECORD, ("table", STACK, AT, SPINES.name), ("columns", "cells_v3")]
    rows = [
        *(ask("predictions", side, A, B) for side in ("inputs", "outputs")),
        *(ask("synapses", side, A, B, table="synapses_pni_2") for side in ("inputs", "outputs")),
        *(ask("spines", side, A, B, table=SPINES.name) for side in ("inputs", "outputs")),
        ask("on spines", *sorted([P, B, Q]), 3, 4, 7, table=SPINES.name),
        ask("types", "cell_type", table="cells_v3"),
        ask_somata(A, B),
    ]
    assert session.take() == sorted([*counts, *records, *rows], key=repr)
    assert list_kept(session) == {"somata": 2}
    loader.keep_tables()
    # Six tables of each cell, the others on spines, and the types.
    assert list_kept(session) == {"somata": 2, "predictions": 14}
    again = Served()
    later = CellLoader(choose(**EVERYTHING), again).load_cells([B, A], lambda: None)
    check_tables(later, *expected)
    assert (later.found, later.somata) == (data.found, data.somata)
    assert later.all_synapses == data.all_synapses
    check_context(later.context, [1, 3, 4, 5, 6, 8, 11])
    swapped = [(*question[:-2], B, A) for question in counts]
    assert again.take() == sorted([*swapped, *records], key=repr)


def test_another_table_is_not_answered_from_the_cache_of_the_first() -> None:
    """Its predictions, and the synapses that it refers to, are fetched and cached on their own."""
    session = Served()
    usual = {"with_unlabelled": True, "inputs": True}
    loader = CellLoader(choose(**usual), session)
    first = [synapses_of("inputs", 1, 2), synapses_of("inputs", 6)]
    check_tables(load(loader, A), *first)
    loader.keep_tables()
    session.tables["predictions_v8", ""] = PredictionTable("predictions_v8", "synapses_v3", None)
    session.rows = ROWS[ROWS["id"] != S + 6]
    session.rows = session.rows.assign(tag=ROWS["tag"].where(ROWS["id"] == S + 2))
    other = CellLoader(choose(table="predictions_v8", **usual), session)
    rest = synapses_of("inputs", 1).assign(tag="unlabelled", confidence=np.float32("nan"))
    check_tables(load(other, A), synapses_of("inputs", 2), rest)
    check_tables(load(CellLoader(choose(**usual), session), A), *first)


def test_nothing_is_loaded_that_was_not_requested() -> None:
    """One direction of one cell takes two queries, and none for totals or context."""
    session = Served()
    data = load(CellLoader(choose(inputs=True), session), A)
    check_tables(data, synapses_of("inputs", 1, 2))
    assert data == CellData(data.tables, {A}, {A: OF_A}, None, Context())
    queries = [ask("predictions", "inputs", A), ask_somata(A)]
    assert session.take() == sorted([*RECORDS, TABLE_RECORD, *queries], key=repr)


def test_one_cell_has_no_synapses_between_cells() -> None:
    """All of its synapses count in their direction, and no others are asked for."""
    session = Served()
    data = load(CellLoader(choose(with_total=True, outputs=True), session), A)
    assert data.all_synapses == {"outputs": 4}
    assert not [question for question in session.asked if question[0] == "between"]


def test_loaded_synapses_get_their_somata_and_context() -> None:
    """The tables are passed on unchanged; the found cells are those with a row."""
    settings = choose(multi_input=True, cell_types=True)
    tables = load(CellLoader(settings, Served()), A).tables
    session = Served()
    data = CellLoader(settings, session).load_around([A, B], tables)
    assert data.tables is tables
    assert (data.found, data.somata, data.all_synapses) == ({A}, {A: OF_A, B: OF_B}, None)
    check_context(data.context, [1, 3, 4, 5, 6, 8, 11])
    kinds = {question[0] for question in session.asked}
    assert kinds.isdisjoint({"predictions", "synapses", "count", "between"})


def test_without_a_named_table_no_somata_are_asked_for() -> None:
    """The datastack then has none for any cell."""
    session = Served(datastack=replace(DATASTACK, soma_table=None))
    assert load(CellLoader(choose(), session), A, B).somata == {A: [], B: []}
    assert "somata" not in {question[0] for question in session.asked}


def test_the_version_is_refused_before_its_tables() -> None:
    """A version that does not exist has no tables either, and its own error helps more."""
    session = Served()

    def refuse(kind: str, *_: Any) -> None:
        if kind in {"version", "table"}:
            raise NotServedError(f"There is no such {kind}.", "Choose another.")

    session.trouble = refuse
    with pytest.raises(NotServedError, match="no such version"):
        load(CellLoader(choose(), session), A)


@pytest.mark.parametrize(
    ("kind", "version", "asked"),
    [
        ("datastack", AT, RECORDS[:1]),
        ("datastack", "latest", RECORDS[:1]),
        ("version", "latest", RECORDS),
    ],
)
def test_a_record_that_is_refused_is_asked_for_once(kind: str, version: Any, asked: Any) -> None:
    """No other request follows, because each needs it."""
    for use in (
        lambda loader: load(loader, A),
        lambda loader: loader.load_around([A], []),
        lambda loader: loader.fetch_ahead([A]),
    ):
        session = Served(given=version)
        session.trouble = fail_at(kind)
        with pytest.raises(UnreachableError):
            use(CellLoader(replace(choose(), version=version), session))
        assert session.take() == asked


def test_outdated_cells_of_an_expired_version_are_not_queried() -> None:
    """Only the valid cells count as found; the rows of none are asked for."""
    session = expire()
    loader = CellLoader(choose(), session)
    assert load(loader, A, OUTDATED) == CellData([], {A})
    assert session.take() == sorted([*RECORDS, TABLE_RECORD, ("validity", A, OUTDATED)], key=repr)
    data = load(loader, A, A)
    check_tables(data, synapses_of("inputs", 1, 2), synapses_of("outputs", 3, 5, 10))


@pytest.mark.parametrize("kind", ["predictions", "count", "somata", "spines"])
def test_refused_live_queries_name_the_versions_that_are_left(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query of an expired version may be refused; the error says what to choose."""
    serve_only(monkeypatch, 1800)
    session = expire()
    session.trouble = fail_at(kind, error=ServiceError)
    loader = CellLoader(choose(with_total=True, multi_input=True), session)
    uses = [lambda: load(loader, A)]
    if kind in {"somata", "spines"}:
        uses.append(lambda: loader.load_around([A], []))
    for use in uses:
        with pytest.raises(NotServedError, match=r"live query .* refused: No answer") as caught:
            use()
        assert "Choose one of its versions: 1800" in caught.value.hint


def test_a_group_is_fetched_ahead_for_each_of_its_cells() -> None:
    """Each query is made for all cells, the size is of the largest answer, and the cells' links
    then ask only for somata, together; a forgotten cell is queried again."""
    session = Served()
    loader = CellLoader(choose(with_unlabelled=True, multi_input=True), session)
    loader.expect([A, B, C])
    assert loader.fetch_ahead([A, B, C]) == Size(6, None)
    tables = [*RECORDS, TABLE_RECORD, ("table", STACK, AT, SPINES.name)]
    queries = [
        ask(kind, side, A, B, C, table=table)
        for side in ("inputs", "outputs")
        for kind, table in (
            *(("predictions", TABLE.name), ("synapses", TABLE.synapse_table)),
            ("spines", SPINES.name),
        )
    ]
    assert session.take() == sorted([*tables, *queries], key=repr)
    check_tables(
        load(loader, B),
        synapses_of("inputs", 5, 8),
        synapses_of("inputs"),
        synapses_of("outputs", 4),
        synapses_of("outputs", 7),
    )
    sharing = ask("on spines", P, 3, table=SPINES.name)
    assert session.take() == [sharing, ask_somata(B, A, C)]
    loader.forget(A)
    assert load(loader, C).somata == {C: []}
    assert session.take() == []
    assert load(loader, A).somata == {A: OF_A}
    assert {question[-1] for question in session.take()} == {7, A}


def test_outdated_cells_of_a_group_are_left_out() -> None:
    """Their validity is asked for once for the group, and their somata never; a group without
    valid cells asks for nothing else."""
    session = expire()
    loader = CellLoader(choose(), session)
    loader.expect([A, OUTDATED, B, C])
    assert loader.fetch_ahead([A, OUTDATED, B]) == Size(4, None)
    sides = ("inputs", "outputs")
    queries = [("validity", A, OUTDATED, B), *(ask("predictions", side, A, B) for side in sides)]
    assert session.take() == sorted([*RECORDS, TABLE_RECORD, *queries], key=repr)
    assert load(loader, OUTDATED) == CellData([], set())
    assert session.take() == []
    assert load(loader, A).somata == {A: OF_A}
    assert session.take() == [ask_somata(A, B)]
    assert load(loader, B, C).somata == {B: OF_B, C: []}
    alone = [("validity", C), *(ask("predictions", side, C) for side in sides), ask_somata(C)]
    assert session.take() == sorted(alone, key=repr)
    loader.forget(OUTDATED)
    assert loader.fetch_ahead([OUTDATED]) == Size()
    assert session.take() == [("validity", OUTDATED)]


def test_expected_cells_are_asked_for_with_the_first() -> None:
    """The others' somata are known then, in this run and in the next one; a forgotten cell is not
    expected, and one request has at most 999 further cells."""
    session = Served()
    loader = CellLoader(choose(), session)
    loader.expect([5, 6, A, 7])
    loader.forget(7)
    assert [loader.load_around([cell], []).somata for cell in (6, A)] == [{6: []}, {A: OF_A}]
    assert session.take() == sorted([*RECORDS, ask_somata(6, 5, A)], key=repr)
    later = Served()
    assert CellLoader(choose(), later).load_around([A], []).somata == {A: OF_A}
    assert later.take() == sorted(RECORDS, key=repr)
    session.store = Store(enabled=False)
    loader.expect(range(8, 3_000))
    loader.load_around([8], [])
    assert session.take() == [ask_somata(*range(8, 1_008))]


def test_threads_that_load_expected_cells_ask_once() -> None:
    """The others wait for the first one's answer, which holds their cells too."""
    session = Served()
    loader = CellLoader(choose(), session)
    cells = [A, B, *range(5, 11)]
    loader.expect(cells)
    begun = Barrier(len(cells))

    def let_others_run(*_: Any) -> None:
        for _ in range(100):
            time.sleep(0)

    session.trouble = let_others_run

    def use(cell: int) -> Any:
        begun.wait(60)
        return loader.load_around([cell], []).somata

    with ThreadPoolExecutor(len(cells)) as pool:
        somata = [*pool.map(use, cells)]
    assert somata == [{A: OF_A}, {B: OF_B}, *({cell: []} for cell in cells[2:])]
    [asked] = [question for question in session.asked if question[0] == "somata"]
    assert {*asked[4:]} == {*cells}


@pytest.mark.parametrize("error", [ServiceError, BadAnswerError])
def test_a_cell_whose_somata_cannot_be_read_spoils_no_other(error: type[ServiceError]) -> None:
    """After an answer that fails, each cell is asked for alone."""
    session = Served()
    loader = CellLoader(choose(), session)
    loader.expect([A, B, 7])
    session.trouble = fail_at("somata", 7, error=error)
    assert loader.load_around([A], []).somata == {A: OF_A}
    with pytest.raises(error):
        loader.load_around([7], [])
    assert loader.load_around([B], []).somata == {B: OF_B}
    somata = [ask_somata(*cells) for cells in ([A, B, 7], [A], [7], [B])]
    assert session.take() == sorted([*RECORDS, *somata], key=repr)


def test_a_service_that_does_not_answer_is_not_asked_again() -> None:
    """Such an error is not about one of the cells."""
    session = Served()
    loader = CellLoader(choose(), session)
    loader.expect([A, B])
    session.trouble = fail_at("somata", B)
    with pytest.raises(UnreachableError):
        loader.load_around([A], [])
    assert session.take() == sorted([*RECORDS, ask_somata(A, B)], key=repr)


def test_without_a_table_of_somata_none_are_known() -> None:
    """This is asked once, and not remembered beyond this run."""
    session = Served()
    loader = CellLoader(choose(), session)
    loader.expect([A, B])
    session.trouble = fail_at("somata", error=NotServedError)
    assert [loader.load_around([cell], []).somata for cell in (A, B)] == [None, None]
    assert session.take() == sorted([*RECORDS, ask_somata(A, B)], key=repr)
    assert list_kept(session) == {}
