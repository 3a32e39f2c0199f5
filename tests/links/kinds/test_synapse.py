"""Links to single synapses: which cells they select, what they tell, and what they refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from links.shelf import TABLE, A, B, P, Q, Shelf, synapses
from links.test_make import Tables
from synglancer.cache.receipts import read_receipts
from synglancer.cells.root_ids import RootIds
from synglancer.errors import CellError, UsageError
from synglancer.links.kinds.synapse import SynapseMaker
from synglancer.settings import Settings
from synglancer.states.record_parts import CellTypes, MultiInput, NamedSynapse
from synglancer.synapses import cell_types
from synglancer.synapses.ahead import Size
from synglancer.synapses.named import NamedRows
from view.test_state import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.links.link_record import LinkRecord

S, T, U = 2**53 + 1, 2**53 + 2, 7
"""Synapses; as floats, the first one is no number."""
ROWS = {
    S: (S, "synapse", "spine", 0.75, 400, P, A),
    T: (T, "synapse", "shaft", 0.5, 300, P, B),
    U: (U, "synapse", "unlabelled", np.nan, 200, Q, A),
    8: (8, "synapse", "spine", 0.5, 1, A, A),
    9: (9, "synapse", "spine", 0.25, 1, 0, B),
    10: (10, "synapse", "soma", 0.25, 1, Q, 0),
    11: (11, "synapse", "spine", 0.25, 1, 0, 0),
    12: (12, "same spine", "shaft", 0.25, 50, Q, A),
}
TYPES = cell_types.CellTypes(
    "my_view", "mtype", pd.Series({P: "BC", A: "L2 IT"}, dtype=object), frozenset({Q, 5})
)


class Rows:
    """The loader of synapses: their rows, with what `more` says, and what it was asked for."""

    def __init__(self, further: Sequence[int] = (), **more: Any) -> None:
        self.further, self.more = further, more
        self.told: list[Any] = []

    def load(self, named: Sequence[int], warm_up: Any) -> NamedRows:
        assert callable(warm_up)
        self.told.append([*named])
        return NamedRows(
            TABLE, synapses(*(ROWS[one] for one in [*named, *self.further])), **self.more
        )

    def keep_tables(self) -> None:
        self.told.append("kept")

    def fetch_ahead(self, named: Sequence[int]) -> Size:
        self.told.append(("ahead", [*named]))
        return Size(20, 90)

    def forget(self, synapse: int) -> None:
        self.told.append(("forget", synapse))


def open_maker(rows: Rows | None = None, session: Shelf | None = None, **options: Any) -> Any:
    maker: Any = SynapseMaker(Settings(**options), ["make-link"], "a-known-token")
    maker._session, maker._named = session or Shelf(), rows or Rows()
    return maker


def make(*named: int, rows: Rows | None = None, **options: Any) -> LinkRecord:
    return open_maker(rows, **options).make(*(f"synapse:{one}" for one in named))


@pytest.mark.parametrize(
    ("named", "cells"),
    [
        ([S], [A, P]),
        ([S, T], [P, A, B]),
        ([T, S], [P, B, A]),
        ([S, U], [A, P, Q]),
        ([T, U], [B, P, A, Q]),
        ([T, S, U], [B, P, A, Q]),
        ([8], [A]),
        ([8, S], [A, P]),
        ([9], [B]),
        ([10], [Q]),
        ([10, U], [Q, A]),
    ],
)
def test_the_cell_of_all_synapses_comes_first(named, cells) -> None:
    """Otherwise the first postsynaptic one does; each cell is selected once, and no cell is 0."""
    link = make(*named, inline=True)
    assert link.cells == (*cells,)
    mesh = next(layer for layer in link.state["layers"] if layer["type"] == "segmentation")
    assert {*mesh["segments"]} == {*mesh["segmentColors"]} == {*map(str, cells)}
    light = [cell for cell, colour in mesh["segmentColors"].items() if colour == "#e8e8dc"]
    assert light == [str(cells[0])]


def test_a_synapse_in_no_cell_is_refused() -> None:
    """There is nothing to select, even if another synapse lies in cells."""
    with pytest.raises(CellError, match="Synapse 11 lies in no cell"):
        make(S, 11)


def test_a_link_tells_all_of_its_synapses() -> None:
    """Their tags, confidences, sizes and cells; one without a prediction has no confidence."""
    rows = Rows(warnings=["From the rows."])
    link = make(S, U, T, rows=rows)
    assert rows.told == [[S, U, T], "kept"]
    told = link.provenance
    assert told.synapses == (
        NamedSynapse(S, "spine", 0.75, 400, P, A),
        NamedSynapse(U, "unlabelled", None, 200, Q, A),
        NamedSynapse(T, "shaft", 0.5, 300, P, B),
    )
    assert told.counts == {"synapse": {"shaft": 1, "spine": 1, "unlabelled": 1}}
    assert (told.shown, told.total, told.autapses, told.table) == (3, 3, 0, "predictions_v7")
    assert (told.multi_input, told.cell_types, told.somata) == (None, None, {})
    assert link.state["synglancer"] == told.to_json()
    assert link.warnings == ["From the rows."]
    assert link.given == f"synapse:{S} synapse:{U} synapse:{T}"


@pytest.mark.parametrize("figure", [False, True])
def test_the_view_is_centred_on_the_first_synapse(figure) -> None:
    """Which is also selected, wherever it stands in the table; a figure has colours for white."""
    rows = Rows()
    shuffled = synapses(ROWS[S], ROWS[T], ROWS[U])
    rows.load = lambda *_: NamedRows(TABLE, shuffled)
    dark, link = (make(T, S, U, rows=rows, inline=True, figure=one) for one in (False, figure))
    place = shuffled.loc[1, [f"ctr_pt_position_{axis}" for axis in "xyz"]].tolist()
    assert dark.state["position"] == [place[0] / 4, place[1] / 4, place[2] / 40]
    picked = link.state.get("selection", {"layers": {"": {"annotationId": None}}})["layers"]
    assert [one["annotationId"] for one in picked.values()] == [None if figure else str(T)]
    names = [layer["name"] for layer in link.state["layers"][2:]]
    assert names == ["○ synapse: spine", "○ synapse: shaft", "○ synapse: unlabelled"]
    meshes = [next(x for x in one.state["layers"] if "segmentColors" in x) for one in (dark, link)]
    assert (meshes[0]["segmentColors"] == meshes[1]["segmentColors"]) != figure


@pytest.mark.parametrize("wanted", [True, False])
def test_synapses_on_the_same_spine_are_shown_and_named(wanted) -> None:
    """The two are multi-input, with their former tags in the record; only if it was asked for."""
    more = {"same_spine": {S: [12], T: []}} if wanted else {}
    rows = Rows([12] if wanted else [], **more)
    link = make(S, T, rows=rows, multi_input=wanted)
    told = link.provenance
    assert [one.same_spine for one in told.synapses] == [(12,) if wanted else (), ()]
    if not wanted:
        assert told.counts == {"synapse": {"shaft": 1, "spine": 1}}
        assert told.multi_input is None
        return
    assert told.counts == {
        "synapse": {"multi-input": 1, "shaft": 1},
        "same spine": {"multi-input": 1},
    }
    former = {"synapse": {"spine": 1}, "same spine": {"shaft": 1}}
    assert told.multi_input == MultiInput("synapse_spine_mapping_v2", former)
    assert (told.shown, told.total) == (3, 3)
    assert link.cells == (P, A, B)
    (sentence,) = link.warnings
    assert "2 synapses are on a spine with several inputs and counted as multi-input" in sentence


def test_neighbouring_synapses_are_told_apart() -> None:
    """As doubles, the two IDs are the same; only one of them shares its spine."""
    assert float(S) == float(S - 1)
    rows = Rows(same_spine={S: [12]})
    rows.load = lambda *_: NamedRows(
        TABLE, synapses(ROWS[S], (S - 1, *ROWS[S][1:])), same_spine={S: [12], S - 1: []}
    )
    told = make(S, S - 1, rows=rows, multi_input=True).provenance
    assert told.counts == {"synapse": {"multi-input": 1, "spine": 1}}


def test_spines_without_other_synapses_are_told() -> None:
    """The table of spines is named, and no tag is changed."""
    told = make(S, rows=Rows(same_spine={S: []}), multi_input=True).provenance
    assert told.counts == {"synapse": {"spine": 1}}
    assert told.multi_input == MultiInput("synapse_spine_mapping_v2", {"synapse": {}})


def test_the_types_of_both_cells_are_told() -> None:
    """Each cell counts once; one with several types in the view has none here."""
    asked = {"cell_types": True, "cell_type_view": "v", "cell_type_column": "mtype"}
    link = make(S, T, U, 9, rows=Rows(cell_types=TYPES), **asked)
    told = link.provenance
    types = [(one.pre_type, one.post_type) for one in told.synapses]
    assert types == [("BC", "L2 IT"), ("BC", ""), ("", "L2 IT"), ("", "")]
    assert told.cell_types == CellTypes(
        "v", "mtype", partners={"BC": 1, "L2 IT": 1, "unknown": 2}, known=2, ambiguous=1
    )
    assert [*(told.cell_types or CellTypes("", "")).partners] == ["BC", "L2 IT", "unknown"]
    assert "2 of 4 cells have a type in v (mtype)" in link.warnings[-1]
    told = make(S, rows=Rows(cell_types=TYPES), **asked).provenance
    partners = {"BC": 1, "L2 IT": 1}
    assert told.cell_types == CellTypes("v", "mtype", partners=partners, known=2, ambiguous=0)


def test_warnings_come_in_the_order_of_their_weight(tmp_path) -> None:
    """An expired version, then ends without a cell, an autapse, the rows, and own points."""
    path = tmp_path / "points.csv"
    path.write_text("x_nm,y_nm,z_nm,layer\n1,2,3,○ synapse: spine\n")
    live = Shelf(version=replace(VERSION, expired=True))
    maker = open_maker(Rows(warnings=["From the rows."]), live, annotations=(str(path),))
    link = maker.make("synapse:9", "synapse:8", "synapse:10")
    assert [told.partition(" (2")[0] for told in link.warnings] == [
        "Version 1718",
        "The segmentation has no presynaptic cell at synapse 9.",
        "Synapse 8 is from a cell onto itself (an autapse).",
        "The segmentation has no postsynaptic cell at synapse 10.",
        "From the rows.",
        "The layer '○ synapse: spine' of points.csv is shown as '○ synapse: spine",
    ]
    assert (link.provenance.live, link.provenance.autapses) == (True, 0)
    assert [one.rows for one in link.provenance.annotations] == [1]
    assert link.state["layers"][-1]["name"] == "○ synapse: spine (2)"
    assert not make(S).provenance.live


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ({"inputs": True}, "--inputs"),
        ({"outputs": True}, "--outputs"),
        ({"tag": ("spine",)}, "--tag"),
        ({"min_confidence": 0.5}, "--min-confidence"),
        ({"max_confidence": 0.5}, "--max-confidence"),
        ({"min_size": 5.0}, "--min-size"),
        ({"partners": 3}, "--partners"),
        ({"review": True}, "--review"),
        ({"color_by": "confidence"}, "--color-by"),
        ({"color_by": "partner-type"}, "--color-by"),
    ],
)
def test_options_for_the_synapses_of_a_cell_are_refused(asked, option) -> None:
    """Before any request; cells take them."""
    rows = Rows()
    maker = open_maker(rows, **asked)
    for attempt in (maker.make, maker.lacks_rows):
        with pytest.raises(UsageError, match=f"{option} .*single synapse was given") as caught:
            attempt(f"synapse:{S}")
        assert f"Leave out {option}" in caught.value.hint
    assert rows.told == []
    assert maker.lacks_rows(str(A))


def test_cells_and_synapses_are_not_shown_together() -> None:
    """A mixture is refused before any request, in either order."""
    maker = open_maker()
    for words in ([f"synapse:{S}", A], [A, f"synapse:{S}"]):
        with pytest.raises(UsageError, match="both cells and single synapses"):
            maker.make(*words)
    assert (maker._named.told, maker._session.asked) == ([], [])


def test_the_same_synapses_are_answered_once() -> None:
    """The link is found by its synapses in their order; a cell with the number of a synapse is
    another question."""
    maker = open_maker()
    assert maker.lacks_rows(f"synapse:{S}")
    first = maker.make(f"synapse:{S}")
    assert maker.make(f" Synapse:{S}").url == first.url
    assert not maker.lacks_rows(f"synapse:{S}")
    assert maker.lacks_rows(f"synapse:{T}")
    assert maker.lacks_rows(str(S))
    links = [maker.make(f"synapse:{one}", f"synapse:{other}") for one, other in [(S, T), (T, S)]]
    assert links[0].url != links[1].url
    assert [told for told in maker._named.told if told != "kept"] == [[S], [S, T], [T, S]]


def test_cells_have_their_links_as_ever() -> None:
    """The same maker serves both, with the typed words and the time of the question."""
    maker = open_maker()
    maker._loader, maker._root_ids = Tables(), RootIds(maker._session)
    link = maker.make(f" {A}")
    assert (link.cells, link.given) == ((A,), f" {A}")
    assert 0 <= link.elapsed_s < 1000
    assert [receipt.record["command"] for receipt in read_receipts()] == [["make-link"]]


class Cells:
    """The loader of cells, whose answers may be cut off."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.told: list[Any] = []

    def fetch_ahead(self, cells: Sequence[int]) -> Size:
        self.told.append(("ahead", [*cells]))
        return self.size

    def forget(self, cell: int) -> None:
        self.told.append(("forget", cell))


@pytest.mark.parametrize(
    ("words", "size", "largest", "synapses_asked", "cells_asked"),
    [
        ([f"synapse:{S}", str(A), f" SYNAPSE:{T}"], Size(10, 90), Size(20, 90), [S, T], [A]),
        ([f"synapse:{S}", str(A)], Size(30, None), Size(20, 90), [S], [A]),
        ([f"synapse:{S}", str(A)], Size(30, 50), Size(30, 50), [S], [A]),
        ([f"synapse:{S}", f"synapse:{S}"], Size(30, 50), None, [S], None),
        ([f"synapse:{S}"], Size(30, 50), Size(20, 90), [S], None),
        ([str(A), "nucleus:5", "synapse:x"], Size(3, None), Size(3, None), None, [A]),
    ],
)
def test_a_group_fetches_cells_and_synapses(
    words, size, largest, synapses_asked, cells_asked
) -> None:
    """An answer that was cut off decides the size of the next group, else the larger one."""
    maker = open_maker()
    maker._loader = Cells(size)
    found = maker.fetch_ahead(words)
    assert largest is None or found == largest
    assert maker._named.told == ([("ahead", synapses_asked)] if synapses_asked else [])
    if largest is not None:
        assert maker._loader.told == ([("ahead", cells_asked)] if cells_asked else [])


def test_what_was_fetched_ahead_is_let_go() -> None:
    """Of a synapse or of a cell."""
    maker = open_maker()
    maker._loader = Cells(Size())
    for word in (f"synapse:{S}", str(A), "synapse:x", "nucleus:5"):
        maker.forget(word)
    assert maker._named.told == [("forget", S)]
    assert maker._loader.told == [("forget", A)]
