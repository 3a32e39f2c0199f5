"""A user's tables make a link only if all of their rows belong to its cells and its version."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from links.shelf import A, B, C, P, Q, R, Shelf, stand_in, synapses
from synglancer.cache.receipts import read_receipts
from synglancer.errors import CellError, UsageError
from synglancer.links.kinds.given_rows import find_given_cells, make_given_link
from synglancer.settings import Settings
from synglancer.synapses.given import GivenRows, Pin
from synglancer.synapses.loading import CellLoader
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

PIN = Pin("minnie65_public", "predictions_v7", 1718, None, "The owner's notice.")


def give(direction: str, *rows: tuple[int, str, float, int, int, int], told: Any = ()) -> GivenRows:
    """Give a table of one direction."""
    frame = synapses(*((one, direction, *rest) for one, *rest in rows))
    raw = frame.rename(columns={"confidence": "value"}).drop(columns="direction")
    side: Any = direction
    return GivenRows(side, raw, PIN, told)


INPUTS = give("inputs", (1, "spine", 0.9, 500, P, A), (2, "shaft", 0.6, 300, Q, A))
OUTPUTS = give("outputs", (3, "spine", 0.7, 100, A, R))
OTHERS = give("inputs", *((9 + n, "spine", 0.5, 1, P, B + n) for n in range(6)))
BOTH = give("outputs", (1, "spine", 0.9, 500, B, P), (2, "shaft", 0.6, 300, A, P))


@pytest.mark.parametrize(
    ("given", "tables", "cells"),
    [
        ([], [INPUTS, OUTPUTS], [A]),
        ([f" {A}"], [INPUTS, OUTPUTS], [A]),
        ([A, str(A)], [OUTPUTS], [A]),
        ([B, A], [BOTH, INPUTS], [B, A]),
        ([C, A], [INPUTS], [C, A]),
        ([A], [give("inputs")], [A]),
        ([*range(A, A + 100)], [INPUTS], [*range(A, A + 100)]),
    ],
)
def test_the_cells_are_those_that_are_named_or_the_only_one(given, tables, cells) -> None:
    """In the order in which they were named; a named cell may have no row."""
    assert find_given_cells(given, tables) == cells


@pytest.mark.parametrize(
    ("given", "tables", "words"),
    [
        ([], [], "hold synapses of no cell."),
        ([], [give("outputs"), give("inputs")], "hold synapses of no cell."),
        ([], [BOTH], "hold synapses of 2 cells."),
        ([], [INPUTS, BOTH], "hold synapses of 2 cells."),
        ([*range(A, A + 101)], [INPUTS], "101 cells cannot be shown together"),
        (["nucleus:5"], [INPUTS], "must be given by its root ID"),
        ([A, f"synapse:{B}"], [INPUTS], "must be given by its root ID"),
        ([B], [OUTPUTS], f"outputs= also holds synapses of cells other than {B}: {A}."),
        ([B], [BOTH], f"outputs= also holds synapses of cells other than {B}: {A}."),
        ([A, C], [INPUTS, BOTH], f"outputs= also holds .* than {A}, {C}: {B}."),
        ([A], [OTHERS], f"inputs= also .* than {A}: {B}, {B + 1}, {B + 2}, {B + 3}, {B + 4}, …."),
        ([B], [OTHERS], f"inputs= also .* than {B}: {B + 1}, .*, {B + 5}[.]"),
    ],
)
def test_rows_of_other_cells_are_refused(given, tables, words) -> None:
    """The error names the table and at most five of its cells; none is left out silently."""
    with pytest.raises(UsageError, match=words) as caught:
        find_given_cells(given, tables)
    assert "…" in str(caught.value) or "…" not in words


@pytest.mark.parametrize(("table", "side"), [(INPUTS, "post"), (OUTPUTS, "pre")])
def test_the_hint_names_the_side_of_the_cell(table, side) -> None:
    """Swapped tables are the usual cause."""
    with pytest.raises(UsageError) as caught:
        find_given_cells([B], [table])
    assert (
        f"a table of {table.direction}, the cell must be in {side}_pt_root_id" in caught.value.hint
    )


class Graph(Shelf):
    """A session without somata that knows which root IDs are valid."""

    def __init__(self, *invalid: int, **more: Any) -> None:
        super().__init__(datastack=replace(DATASTACK, soma_table=None), **more)
        self.invalid = invalid

    def fetch_validity(self, cells: Sequence[int]) -> dict[int, bool]:
        self.asked.append("validity")
        return {cell: cell not in self.invalid for cell in cells}


def test_a_link_shows_the_given_rows(monkeypatch, tmp_path) -> None:
    """As if they had been queried, but the record says where they came from; own points and the
    tables' warnings are in it, too."""
    points = tmp_path / "points.csv"
    points.write_text("x_nm,y_nm,z_nm\n1,2,3\n")
    session = Graph(version=replace(VERSION, expired=True))
    begun, kept = stand_in(monkeypatch, session), []

    def keep(loader: CellLoader) -> None:
        kept.append(type(loader))

    monkeypatch.setattr(CellLoader, "keep_tables", keep)
    settings = Settings(table="my_table", min_confidence=0.65, annotations=(str(points),))
    tables = [replace(INPUTS, warnings=("Cut off.",)), replace(OUTPUTS, warnings=("Also cut.",))]
    link = make_given_link(settings, PIN, [], tables, "a-known-token")
    assert begun == [(settings, {"token": "a-known-token"})]
    assert kept == [CellLoader]
    told = link.provenance
    assert (told.given_rows, told.live, told.table) == (True, False, "my_table")
    assert (told.notice, told.cells) == ("The owner's notice.", (A,))
    assert told.counts == {"inputs": {"spine": 1}, "outputs": {"spine": 1}}
    assert (link.shown, link.total, link.given) == (2, 3, str(A))
    assert link.warnings == ["Cut off.", "Also cut."]
    assert [layer["name"] for layer in link.state["layers"][2:]] == [
        "● in: spine",
        "○ out: spine",
        "points",
    ]
    (receipt,) = read_receipts()
    assert (receipt.record["url"], receipt.record["command"]) == (link.url, None)
    assert session.asked[0] == "validity"


def test_several_cells_are_checked_and_named(monkeypatch) -> None:
    """Synapses between them are shown as such; warnings of the data come before the tables'."""
    stand_in(monkeypatch, Graph())
    between = give("outputs", (3, "spine", 0.7, 100, A, B), told=("From the table.",))
    link = make_given_link(Settings(outputs=True), PIN, [A, B, C], [between])
    assert link.given == f"{A}, {B}, {C}"
    assert link.provenance.counts == {"outputs": {}, "between": {"spine": 1}}
    silent = f"{C} has none of the requested synapses, but is still selected."
    assert link.warnings == [silent, "From the table."]


def test_cells_of_another_version_are_refused(monkeypatch) -> None:
    """All that are not valid are named, and nothing is uploaded."""
    session = Graph(A, C)
    stand_in(monkeypatch, session)
    with pytest.raises(CellError, match=f"^{A}, {C} is not the root ID of a cell in minnie65_pub"):
        make_given_link(Settings(), PIN, [A, B, C], [INPUTS])
    assert session.asked == ["validity"]


AT = VERSION.timestamp
AN_HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("pin", "words"),
    [
        (Pin(), None),
        (Pin(version=1718), None),
        (Pin(timestamp=AT), None),
        (Pin(timestamp=AT + timedelta(seconds=1)), None),
        (Pin(timestamp=AT - timedelta(seconds=1)), None),
        (Pin(version=1717, timestamp=AT), None),
        (Pin(version=1717), "The rows are of version 1717, but the link would show version 1718"),
        (Pin(timestamp=AT + timedelta(seconds=1.1)), "The rows are of 2026-03-07 08:10:02 UTC"),
        (Pin(timestamp=AT - AN_HOUR), "The rows are of 2026-03-07 07:10:01 UTC, but the link"),
        (Pin(version=1718, timestamp=AT + AN_HOUR), "The rows are of version 1718"),
    ],
)
def test_the_version_of_the_rows_is_that_of_the_link(monkeypatch, pin, words) -> None:
    """Two ways of writing a timestamp may differ by a second; rows of another moment are refused
    before any request."""
    session = Graph()
    stand_in(monkeypatch, session)
    if words is None:
        assert make_given_link(Settings(), pin, [], [INPUTS]).shown == 2
        return
    with pytest.raises(UsageError, match=words) as caught:
        make_given_link(Settings(), pin, [], [INPUTS])
    assert "(2026-03-07 08:10:01 UTC)" in str(caught.value)
    assert caught.value.hint.endswith("materialization_version=1718.")
    assert session.asked == []


def test_a_table_without_a_notice_has_none(monkeypatch) -> None:
    """Nothing is made up about the user's own tables."""
    stand_in(monkeypatch, Graph())
    assert make_given_link(Settings(), Pin(), [A], [INPUTS]).provenance.notice == ""
