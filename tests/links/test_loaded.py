"""Tables of cells are combined into what a link shows, with the warnings that its readers need."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest

from links.shelf import TABLE, A, B, C, P, Q, R, Shelf, load, synapses
from synglancer.cells.resolve import Followed
from synglancer.links.loaded import combine
from synglancer.settings import Settings
from synglancer.synapses.context import Context
from synglancer.synapses.loading import CellData
from synglancer.synapses.predictions import build_predictions
from view.test_state import VERSION

DAY = datetime(2024, 2, 29, tzinfo=timezone.utc)
FOLLOWED = Followed(P, A, DAY, DAY, "only", 1718, earlier=False)


def gather(*rows, somata=None, context=None) -> CellData:
    """Make the data of cells from checked tables, one for each direction."""
    frame = synapses(*rows)
    raw = frame.rename(columns={"confidence": "value"})
    tables = [
        build_predictions(raw[raw["direction"] == name].reset_index(drop=True), [A, B, C], name)
        for name in ("inputs", "outputs")
    ]
    return CellData(tables, set(), somata, context=context or Context())


INPUT = (2**63, "inputs", "spine", 0.9, 500, P, A)
OUTPUT = (2**63 + 1, "outputs", "shaft", 0.4, 700, A, Q)
SOMATA = {A: [(1.0, 2.0, 3.0)]}


def test_a_plain_cell_has_no_warnings() -> None:
    """Its rows are those of both tables, and all of them are shown."""
    data = gather(INPUT, OUTPUT, somata=SOMATA)
    loaded = combine(Settings(), Shelf(), TABLE, [A], data)
    assert loaded.warnings == []
    assert loaded.frame["id"].tolist() == loaded.shown["id"].tolist() == [2**63, 2**63 + 1]
    assert (loaded.cells, loaded.table, loaded.data) == ([A], TABLE, data)
    assert (loaded.followed, loaded.given, loaded.somata) == ((), False, {A: (1.0, 2.0, 3.0)})


@pytest.mark.parametrize(("expired", "given"), [(True, False), (True, True), (False, False)])
def test_the_warnings_come_in_the_order_of_their_weight(expired, given) -> None:
    """Followed root IDs come first, because readers take the first warnings for these; rows that
    the user gave come from no live query."""
    session = Shelf(version=replace(VERSION, expired=expired))
    settings = Settings(tag=("spin", "shaft", "spin"))
    invalid = (2**63 + 2, "outputs", "shaft", np.nan, 700, A, Q)
    own = (2**63 + 3, "inputs", "shaft", 0.5, 10, A, A)
    again = (2**63 + 3, "outputs", "shaft", 0.5, 10, A, A)
    data = gather(INPUT, OUTPUT, invalid, own, again)
    loaded = combine(settings, session, TABLE, [A, B], data, [FOLLOWED], given=given)
    assert [" ".join(told.split()[:6]) for told in loaded.warnings] == [
        f"{P} is not valid at version",
        *(["Version 1718 (2026-03-07) has expired. The"] if expired and not given else []),
        "The soma's position is not available",
        "1 output has no confidence between",
        f"{B} has none of the requested",
        "1 synapse of a cell onto",
        "No synapse here has the tag",
    ]
    assert (loaded.followed, loaded.given) == ([FOLLOWED], given)
    assert loaded.shown["id"].tolist() == [2**63 + 3, 2**63 + 1, 2**63 + 3]
    assert len(loaded.frame) == 4


def test_a_cell_that_has_only_synapses_with_another_one_is_not_silent() -> None:
    """The synapse between two cells is one of both, and stands in the table once."""
    between = [(7, side, "soma", 0.9, 10, A, C) for side in ("outputs", "inputs")]
    loaded = combine(Settings(), Shelf(), TABLE, [A, B, C], gather(*between, somata={}))
    assert loaded.frame["direction"].tolist() == ["between"]
    assert loaded.warnings == [f"{B} has none of the requested synapses, but is still selected."]


def test_cells_without_any_synapse_are_not_named_one_by_one() -> None:
    """One sentence of the link covers all of them, and no tag can be a typing error."""
    settings = Settings(tag=("spin",))
    loaded = combine(settings, Shelf(), TABLE, [A, B], gather(somata={}))
    assert loaded.warnings == []
    assert len(loaded.frame) == len(loaded.shown) == 0


@pytest.mark.parametrize("options", [{"inputs": True}, {"outputs": True}, {"review": True}])
def test_an_autapse_that_is_shown_once_needs_no_explanation(options) -> None:
    """In one direction, and in a review, it counts once."""
    own = (9, "outputs" if "outputs" in options else "inputs", "spine", 0.5, 10, A, A)
    loaded = combine(Settings(**options), Shelf(), TABLE, [A], gather(own, somata={}))
    assert loaded.warnings == []


def test_an_autapse_that_is_filtered_out_needs_no_explanation() -> None:
    """Only what is shown is explained; of a single cell, it is an autapse of the cell."""
    own = [(9, side, "spine", 0.5, 10, A, A) for side in ("inputs", "outputs")]
    data = gather(*own, INPUT, somata={})
    assert combine(Settings(min_size=100), Shelf(), TABLE, [A], data).warnings == []
    (told,) = combine(Settings(), Shelf(), TABLE, [A], data).warnings
    assert told.startswith("1 synapse of the cell onto itself (autapse) ")


@pytest.mark.parametrize("shared", [None, [2**63], []])
def test_multi_input_is_a_tag_only_where_spines_were_asked_for(shared) -> None:
    """Without the table of spines, --tag multi-input is told to match nothing; with it, it is a
    tag even if no spine has several inputs."""
    context = Context(None if shared is None else np.array(shared, "uint64"))
    settings = Settings(tag=("multi-input",), multi_input=shared is not None)
    data = gather(INPUT, OUTPUT, somata={}, context=context)
    loaded = combine(settings, Shelf(), TABLE, [A], data)
    assert loaded.shown["id"].tolist() == (shared or [])
    told = ["No synapse here has the tag 'multi-input'. The tags are 'shaft', 'spine'."]
    assert loaded.warnings == (told if shared is None else [])
    assert loaded.frame["tag"].tolist() == ["spine", "shaft"]


def test_only_a_cell_with_exactly_one_soma_has_one() -> None:
    """Merged cells have several somata, others none, and some versions have no table of them."""
    points = [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]
    somata = {A: points, B: points[1:], C: []}
    frame = synapses((1, "inputs", "spine", 0.5, 1, R, B))
    assert load(frame, [A, B, C], CellData([], set(), somata)).somata == {B: points[1]}
    assert load(frame, [A], CellData([], set(), None)).somata == {}
