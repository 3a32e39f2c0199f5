"""One link shows many cells, and lists the numbers of each."""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd
import pytest

from links.shelf import A, Shelf, stand_in
from synglancer.errors import NotServedError, UsageError
from synglancer.links.kinds import cell_set
from synglancer.links.kinds.cell_set import link_cells
from synglancer.settings import Settings
from synglancer.synapses.cell_types import CellTypes
from synglancer.view.kinds.cell_set import CELL_SET
from synglancer.view.segment_properties import CellNumbers
from view.test_state import DATASTACK

MANY = [
    CellNumbers(A + 2 * n, "young" if n % 2 else "", {"inputs": {"spine": n, "shaft": 1}})
    for n in range(101)
]
TYPES = CellTypes("my_view", "mtype", pd.Series({A: "BC"}, dtype=object), frozenset())


@pytest.fixture
def shelf(monkeypatch) -> Shelf:
    """The session, with the types of cells in `types`, or the error that they give."""
    session = Shelf()
    session.begun, session.types, session.kept_tables = stand_in(monkeypatch, session), TYPES, 0

    class Loader:
        def __init__(self, settings: Settings, asked: Any, tables: Any) -> None:
            assert (settings.cell_types, settings.multi_input) == (True, False)
            assert asked is tables._session is tables._ahead._session is session
            assert settings.datastack == "minnie65_public"

        def load_shared(self) -> None:
            if isinstance(session.types, Exception):
                raise session.types

        def load_types(self) -> CellTypes:
            return session.types

    def keep(_: Any) -> None:
        session.kept_tables += 1

    monkeypatch.setattr(cell_set, "ContextLoader", Loader)
    monkeypatch.setattr(cell_set.CellTables, "keep", keep)
    return session


def link(cells: Any = MANY, points: Any = ((4000.0, 8000.0, 40000.0),), **options: Any) -> str:
    given = {"version": 1718, "table": "predictions_v7", "tags": ["spine"], "group_by": "age"}
    return link_cells(cells, points, Settings(**options), **given)


def read(shelf: Shelf, url: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the state and the properties behind a link."""
    address = url.partition("#!middleauth+")[2]
    infos = [content for name, content in shelf.kept.items() if name.endswith("/info")]
    return orjson.loads(shelf.kept[address]), orjson.loads(infos[-1])["inline"]


def test_the_first_hundred_cells_are_selected_and_all_are_listed(shelf) -> None:
    """With their groups, types, numbers and shares; the record says what the numbers are of."""
    url = link(multi_input=True, site="google")
    state, listed = read(shelf, url)
    assert url.startswith("https://neuroglancer-demo.appspot.com/#!")
    mesh = next(layer for layer in state["layers"] if layer["type"] == "segmentation")
    assert mesh["segments"] == [str(one.cell) for one in MANY[:100]]
    assert f"{shelf.server}/nglstate/api/v1/property/5" in str(mesh["source"])
    assert listed["ids"] == [str(one.cell) for one in MANY]
    names = [one["id"] for one in listed["properties"]]
    assert names == ["cell_type", "inputs", "inputs_spine", "outputs", "outputs_spine"]
    assert listed["properties"][0]["tags"] == ["BC", "young"]
    assert listed["properties"][1]["values"] == [n + 1 for n in range(101)]
    assert state[CELL_SET] == {
        "cells": 101,
        "datastack": "minnie65_public",
        "version": 1718,
        "table": "predictions_v7",
    }
    assert state["position"] == [1000, 2000, 1000]
    ((settings, more),) = shelf.begun
    assert (settings.multi_input, more, shelf.kept_tables) == (True, {"version": 1718}, 1)


def test_the_same_cells_are_uploaded_once(shelf) -> None:
    """Another run gets the same link; other options get another one."""
    assert link() == link() != link(inputs=True)
    assert shelf.asked.count("put /state") == shelf.asked.count("put /property") == 2
    url = link(inputs=True)
    _, listed = read(shelf, url)
    assert url.startswith(f"{DATASTACK.viewer_site}/#!middleauth+")
    assert [one["id"] for one in listed["properties"]] == ["cell_type", "inputs", "inputs_spine"]


@pytest.mark.parametrize("error", [UsageError("No.", "Leave."), NotServedError("No.", "Leave.")])
def test_without_a_view_of_types_the_groups_are_listed(shelf, error) -> None:
    """A datastack or a version need not have one."""
    shelf.types = error
    _, listed = read(shelf, link(MANY[:2], ()))
    assert listed["properties"][0]["id"] == "group"
    assert listed["properties"][0]["values"] == [[], [0]]
    assert shelf.kept_tables == 0
