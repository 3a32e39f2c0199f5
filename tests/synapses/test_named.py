"""Synapses are loaded by their IDs with all others on their spines, or refused by their ID."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from links.shelf import TABLE, A, B, P, Q
from synapses.served import SPINES, S, Served, choose, expire, fail_at, serve_only, synapses_of
from synglancer.errors import BadAnswerError, CellError, NotServedError, ServiceError
from synglancer.synapses.ahead import Size
from synglancer.synapses.named import NamedLoader, NamedRows
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

STACK, AT = DATASTACK.name, VERSION.version


def load(loader: NamedLoader, *numbers: int) -> NamedRows:
    """Load synapses by their numbers above `S`; what prepares other things is called once."""
    calls: list[None] = []
    rows = loader.load([S + number for number in numbers], lambda: calls.append(None))
    assert calls == [None]
    return rows


def above(sharing: Any) -> dict[int, list[int]]:
    """Write the synapses on the same spines by their numbers above `S`."""
    return {one - S: [other - S for other in others] for one, others in sharing.items()}


def ask(kind: str, table: str, *numbers: int) -> tuple[Any, ...]:
    return (kind, STACK, AT, table, "synapse", *(S + number for number in numbers))


def ask_rows(labelled: Sequence[int], unlabelled: Sequence[int] = ()) -> list[Any]:
    rest = [ask("synapses", TABLE.synapse_table, *unlabelled)] if unlabelled else []
    return [ask("predictions", TABLE.name, *labelled), *rest]


def spoil(session: Served, *numbers: int, **values: object) -> None:
    """Give the rows of some synapses other values."""
    chosen = session.rows["id"].isin([S + number for number in numbers])
    session.rows = session.rows.assign(
        **{name: session.rows[name].mask(chosen, value) for name, value in values.items()}
    )


def test_synapses_come_with_all_others_on_their_spines() -> None:
    """Each has its row, with or without a prediction, then those on the same spines; nothing is
    asked twice, and a later run finds everything in the cache."""
    session = Served()
    settings = choose(multi_input=True, cell_types=True)
    loader = NamedLoader(settings, session)
    rows = load(loader, 3, 7, 1)
    others = pd.concat([synapses_of("same spine", 4, 9), synapses_of("same spine", 6, 11)])
    own = pd.concat([synapses_of("synapse", 1, 3), synapses_of("synapse", 7)])
    expected = pd.concat([own, others], ignore_index=True)
    pd.testing.assert_frame_equal(rows.frame, expected)
    assert rows.table == TABLE
    assert above(rows.same_spine) == {3: [4, 9, 11], 7: [], 1: [6]}
    types = rows.cell_types
    assert types is not None
    assert types.types.to_dict() == {P: "BC", B: "23P", Q: "BC"}
    assert rows.warnings == []
    queries = [
        *ask_rows([3, 7, 1], [7]),
        *ask_rows([4, 6, 9, 11], [6, 11]),
        ask("spines", SPINES.name, 3, 7, 1),
        ("on spines", STACK, AT, SPINES.name, *sorted([P, A]), 3, 7),
        ("types", STACK, AT, "cells_v3", "cell_type"),
    ]
    assert session.take_queries() == sorted(queries, key=repr)
    loader.keep_tables()
    again = Served()
    later = load(NamedLoader(settings, again), 3, 7, 1)
    pd.testing.assert_frame_equal(later.frame, expected)
    assert later.same_spine == rows.same_spine
    assert again.take_queries() == []


def test_only_what_was_requested_is_loaded() -> None:
    """Synapses with a prediction take one query; the server is asked for its records first."""
    session = Served()
    rows = load(NamedLoader(choose(), session), 8, 2)
    pd.testing.assert_frame_equal(rows.frame, synapses_of("synapse", 2, 8))
    assert (rows.same_spine, rows.cell_types, rows.warnings) == ({}, None, [])
    records = [("datastack",), ("version", STACK), ("table", STACK, AT, TABLE.name)]
    assert session.take() == sorted([*records, *ask_rows([8, 2])], key=repr)


def test_a_synapse_that_does_not_exist_is_named() -> None:
    """No number beside it is given in its place, and nothing is asked about the others."""
    session = Served()
    with pytest.raises(CellError) as caught:
        load(NamedLoader(choose(), session), 1, 12, 13)
    assert f"{caught.value} {caught.value.hint}" == (
        f"There is no synapse {S + 12} in the table synapses_pni_2 of minnie65_public at version "
        f"{AT} (2026-03-07). Check the ID, the datastack and the version."
    )
    assert session.take_queries() == ask_rows([1, 12, 13], [12, 13])


@pytest.mark.parametrize(("number", "kind"), [(3, ""), (7, " without a prediction")])
def test_a_synapse_without_a_valid_row_is_refused(number: int, kind: str) -> None:
    """The error gives every reason; a synapse that can be shown beside it does not help."""
    session = Served()
    spoil(session, number, size=np.nan, ctr_pt_position_y=np.nan)
    with pytest.raises(BadAnswerError) as caught:
        load(NamedLoader(choose(), session), 2, number)
    lacks = [
        f"1 synapse{kind} has no {what} and is left out."
        for what in ("position", "size between 0 and 4,294,967,295 voxels")
    ]
    assert f"{caught.value} {caught.value.hint}" == (
        f"The synapse {S + number} cannot be shown: {' '.join(lacks)} "
        "Choose another --version, or tell the owner of the table."
    )


def test_others_that_cannot_be_shown_are_told() -> None:
    """The link shows the others, and counts those on the same spine that have no valid row."""
    session = Served()
    spoil(session, 4, 9, ctr_pt_position_x=np.nan)
    rows = load(NamedLoader(choose(multi_input=True), session), 3)
    expected = [synapses_of("synapse", 3), synapses_of("same spine", 11)]
    pd.testing.assert_frame_equal(rows.frame, pd.concat(expected, ignore_index=True))
    assert above(rows.same_spine) == {3: [4, 9, 11]}
    assert rows.warnings == ["2 synapses have no position and are left out."]


@pytest.mark.parametrize("failing", [("predictions", 3), ("spines", 3), ("predictions", 9)])
def test_refused_live_queries_name_the_versions_that_are_left(
    failing: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each query of an expired version may be refused, also the one for others on the spine."""
    serve_only(monkeypatch, 1800)
    session = expire()
    kind, number = failing
    session.trouble = fail_at(kind, S + number, error=ServiceError)
    with pytest.raises(NotServedError, match=r"live query .* refused: No answer") as caught:
        load(NamedLoader(choose(multi_input=True), session), 3)
    assert "Choose one of its versions: 1800" in caught.value.hint


def test_a_group_is_fetched_ahead_for_each_of_its_synapses() -> None:
    """The size is of the largest answer; the links of an expired version then ask nothing until a
    synapse is forgotten, with the others on its spine."""
    session = expire()
    loader = NamedLoader(choose(multi_input=True), session)
    assert loader.fetch_ahead([S + 3, S + 7, S + 1]) == Size(6, None)
    queries = [
        *ask_rows([3, 7, 1], [7]),
        *ask_rows([4, 6, 9, 11], [6, 11]),
        ask("spines", SPINES.name, 3, 7, 1),
        ("on spines", STACK, AT, SPINES.name, *sorted([P, A]), 3, 7),
    ]
    assert session.take_queries() == sorted(queries, key=repr)
    assert loader.fetch_ahead([S + 2]) == Size(1, None)
    assert len(session.take_queries()) == 3
    others = pd.concat([synapses_of("same spine", 4, 9), synapses_of("same spine", 11)])
    for number, shared in ((3, others), (7, others[:0])):
        rows = load(loader, number)
        expected = pd.concat([synapses_of("synapse", number), shared], ignore_index=True)
        pd.testing.assert_frame_equal(rows.frame, expected)
    loader.forget(S + 3)
    loader.forget(S + 5)  # nothing was fetched ahead for it
    assert above(load(loader, 1, 2).same_spine) == {1: [6], 2: []}
    assert session.take_queries() == []
    load(loader, 9)
    queries = [
        *ask_rows([9]),
        *ask_rows([3, 4, 11], [11]),
        ask("spines", SPINES.name, 9),
        ("on spines", STACK, AT, SPINES.name, P, 3),
    ]
    assert session.take_queries() == sorted(queries, key=repr)


def test_synapses_that_share_a_spine_keep_its_rows_until_both_have_their_link() -> None:
    """The second one asks nothing again; then all is forgotten."""
    session = expire()
    loader = NamedLoader(choose(multi_input=True), session)
    loader.fetch_ahead([S + 3, S + 4])
    session.take_queries()
    loader.forget(S + 3)
    assert above(load(loader, 4).same_spine) == {4: [3, 9, 11]}
    assert session.take_queries() == []
    loader.forget(S + 4)
    load(loader, 3)
    rows = [*ask_rows([3]), *ask_rows([4, 9, 11], [11])]
    assert [one for one in session.take_queries() if one[0] in {"predictions", "synapses"}] == rows


def test_rows_fetched_ahead_are_measured_and_cached() -> None:
    """The largest of all answers counts, here that of the synapses, which are on no spine. What a
    link used is cached for a later run."""
    session = Served()
    session.rows = session.rows.assign(group_id=-1)
    assert NamedLoader(choose(multi_input=True), session).fetch_ahead([S + 1, S + 2]) == Size(2)
    session.take_queries()
    settings = choose()
    loader = NamedLoader(settings, session)
    assert loader.fetch_ahead([S + 6, S + 1, S + 2, S + 7, S + 11]) == Size(3, None)
    assert session.take_queries() == ask_rows([6, 1, 2, 7, 11], [6, 7, 11])
    load(loader, 1, 6)
    loader.keep_tables()
    again = Served()
    rows = load(NamedLoader(settings, again), 1, 6)
    expected = pd.concat([synapses_of("synapse", 1), synapses_of("synapse", 6)], ignore_index=True)
    pd.testing.assert_frame_equal(rows.frame, expected)
    assert again.take_queries() + session.take_queries() == []
