"""What Python holds as a cell is one cell, and a list of cells is several."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from synglancer import make_link, make_links
from synglancer.errors import UsageError
from synglancer.links.make import LinkMaker

CELL = 864691135276234469
OTHER = who.PARTNERS[0].root_id
POINT = (186000, 134000, 20900)


@pytest.fixture
def asked(monkeypatch):
    """What is asked of the maker of links; nothing is made."""
    found = []

    def make(self, *given):
        found.append(given)
        raise UsageError("Asked.", "No more.")

    monkeypatch.setattr(LinkMaker, "make", make)
    return found


def ask(cell) -> None:
    with pytest.raises(UsageError, match="Asked"):
        make_link(cell, server="https://a.org")


@pytest.mark.parametrize(
    "point", [POINT, np.array(POINT), np.array(POINT, dtype=float), tuple(map(np.int64, POINT))]
)
def test_coordinates_are_one_cell(asked, point):
    """A tuple or an array of three coordinates is a position, alone and in a list."""
    ask(point)
    ask([point, CELL])
    assert asked == [("186000,134000,20900",), ("186000,134000,20900", str(CELL))]


@pytest.mark.parametrize(
    "cells",
    [
        [CELL, OTHER, CELL],
        (CELL, OTHER, CELL),
        np.array([CELL, OTHER, CELL]),
        np.array([CELL, OTHER, CELL], dtype="uint64"),
        pd.Series([CELL, OTHER, CELL], dtype="Int64"),
        pd.array([CELL, OTHER, CELL], dtype="UInt64"),
    ],
)
def test_root_ids_are_several_cells(asked, cells):
    """Three root IDs in whatever holds them are three cells, digit by digit."""
    ask(cells)
    assert asked == [(str(CELL), str(OTHER), str(CELL))]


@pytest.mark.parametrize(
    "cell", [float(CELL), np.float64(CELL), [np.float64(CELL)], np.array([CELL], dtype=float)]
)
def test_floats_are_refused(cell):
    """An ID as a float has lost digits, and is refused before any server is asked."""
    with pytest.raises(UsageError, match="rounded number"):
        make_link(cell, server="https://a.org")


@pytest.mark.parametrize("cell", [str(CELL).encode(), True, b""])
def test_what_is_no_cell_at_all_is_refused(cell):
    """Bytes are not taken for a list of numbers, nor anything else for a cell."""
    with pytest.raises(UsageError, match="is not a root ID"):
        make_link(cell, server="https://a.org")


def test_a_batch_takes_coordinates_too(monkeypatch):
    """Each element of a batch may be a position."""
    found = []
    monkeypatch.setattr(
        "synglancer.links.batch.map_links", lambda cells, *_, **__: found.append(cells) or []
    )
    make_links([POINT, CELL, np.array(POINT)], server="https://a.org")
    assert found == [["186000,134000,20900", CELL, "186000,134000,20900"]]
