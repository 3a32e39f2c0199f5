"""In Python, one cell may have any form, and a list of cells is several cells."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from synglancer import Link, add_links, make_link, make_links
from synglancer.errors import UsageError
from synglancer.links.make import LinkMaker
from synglancer.python.options import build_settings

CELL = 864691135276234469
OTHER = who.PARTNERS[0].root_id
POINT = (186000, 134000, 20900)


@pytest.fixture
def asked(monkeypatch):
    """Record the arguments of the maker of links, without making one."""
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
    """Three root IDs in any container are three cells, digit by digit."""
    ask(cells)
    assert asked == [(str(CELL), str(OTHER), str(CELL))]


@pytest.mark.parametrize(
    "cell", [float(CELL), np.float64(CELL), [np.float64(CELL)], np.array([CELL], dtype=float)]
)
def test_floats_are_refused(cell):
    """An ID as a float has lost digits, and is refused before any request."""
    with pytest.raises(UsageError, match="rounded number"):
        make_link(cell, server="https://a.org")


@pytest.mark.parametrize("cell", [str(CELL).encode(), True, b""])
def test_what_is_no_cell_at_all_is_refused(cell):
    """Bytes are not read as a list of numbers, and other objects are not cells."""
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


TABLE = pd.DataFrame({"pt_root_id": [CELL]})


@pytest.mark.parametrize(
    ("call", "message", "hint"),
    [
        (lambda: make_link(CELL, 1718), "1718 is not a Settings", "version=1718"),
        (lambda: make_link(CELL, "latest"), "'latest' is not a Settings", "sandbox=True"),
        (lambda: make_link(CELL, [OTHER]), "is not a Settings", "in a list"),
        (lambda: make_link(TABLE), "A table", 'df["pt_root_id"]'),
        (lambda: make_link({CELL: 1}), "not a list of cells", "make_links(["),
        (lambda: make_links(CELL), "not a list of cells", "make_links(["),
        (lambda: make_links(np.array(CELL)), "not a list of cells", "make_links(["),
        (lambda: make_links(None), "None is not a list of cells", "make_links(["),
        (lambda: make_links(str(CELL)), "not a list of cells", "make_links(["),
        (lambda: make_links(POINT), "not a list of cells", "make_links(["),
        (lambda: make_links("cells.txt"), "reads no files", "pandas.read_csv"),
        (lambda: make_links(TABLE), "A table", "add_links"),
        (lambda: make_links([CELL], workers="2"), "workers='2'", "whole number"),
        (lambda: make_links([CELL], workers=10**20), "workers=", "of processes"),
        (lambda: make_links([CELL], scheduler=5), "scheduler=5", "tcp://"),
        (lambda: make_link(CELL, min_size=10**400), "min_size=1000", "number"),
        (lambda: make_link(CELL, version=10**5000), "thousands of digits", "whole number"),
        (lambda: add_links([CELL]), "not list", "make_links"),
        (lambda: add_links(None), "not NoneType", "make_links"),
        (lambda: add_links(TABLE, link_column=[1]), "link_column=[1]", "text"),
        (lambda: Link.from_url(None), "None is not a link", "Neuroglancer link"),
        (lambda: Link.from_url(5), "5 is not a link", "Neuroglancer link"),
        (lambda: Link.from_url({}), "{} is not a link", "Neuroglancer link"),
        (lambda: Link.from_url(b"x"), "b'x' is not a link", "Neuroglancer link"),
        (lambda: Link.from_url("https://s.org/#!{}", timeout="x"), "timeout='x'", "seconds"),
    ],
)
def test_an_argument_of_another_kind_is_refused_before_anything_is_asked(call, message, hint):
    """An invalid argument is named, with what to give instead."""
    with pytest.raises(UsageError) as caught:
        call()
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_number_in_an_array_is_that_number(asked):
    """An array without dimensions is one root ID, alone and in a list."""
    ask(np.array(CELL))
    ask([np.array(CELL), OTHER])
    assert asked == [(CELL,), (str(CELL), str(OTHER))]


def test_a_date_is_a_version():
    """A Python date means the version of that day."""
    assert build_settings({"version": date(2026, 3, 7)}).version == "2026-03-07"
