"""A view is converted to nglui's and neuroglancer's objects and back, digit by digit."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer import Link, Settings, make_link
from synglancer.errors import UsageError
from synglancer.python.own_state import make_exact, read_own_state

CELL = 864691135276234469
LIBRARIES = {"nglui": "nglui.statebuilder", "neuroglancer": "neuroglancer"}
"""Where each library has its viewer states. Loading nglui takes a second of all workers."""


@pytest.fixture
def link(sandbox) -> Link:
    return make_link(CELL, server=sandbox.origin, tag="soma")


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_view_comes_back_as_it_was(link, sandbox, library):
    """Through each library and back, state, record and predictions are the same."""
    view = link.viewer_state(library)
    assert isinstance(view, importlib.import_module(LIBRARIES[library]).ViewerState)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = Link.from_state(view, server=sandbox.origin)
    assert again.state == link.state
    assert again.state_sha256 == link.state_sha256
    assert again.provenance == link.provenance
    assert again.state_url != link.state_url
    assert not again.warnings
    assert Link.from_url(again.url).state == link.state


def test_layers_added_with_nglui_are_in_the_link(link, client):
    """Points with their cells are stored with exact IDs, which nglui holds as numbers."""
    view = link.viewer_state()
    points = pd.DataFrame(
        {"pt_position": [[186000, 134000, 20900]], "root": pd.array([CELL], dtype="UInt64")}
    )
    view.add_points(
        points,
        point_column="pt_position",
        segment_column="root",
        name="mine",
        data_resolution=[4, 4, 40],
    )
    made = Link.from_state(view, client=client)
    added = made.state["layers"][-1]
    assert added["name"] == "mine"
    assert added["annotations"][0]["segments"] == [[str(CELL)]]
    assert made.state["layers"][:-1] == link.state["layers"]
    assert [*made.counts["count"]] == [*link.counts["count"], 1]
    assert made.warnings == []


def test_layers_added_with_neuroglancer_are_in_the_link(link, sandbox):
    """nglui's types, and the viewer that holds them, are accepted directly."""
    import neuroglancer

    view = link.viewer_state("neuroglancer")
    view.layers.append(
        name="mine", layer=neuroglancer.SegmentationLayer(source="precomputed://a", segments=[CELL])
    )
    made = Link.from_state(view, server=sandbox.origin)
    assert made.state["layers"][-1]["segments"] == [str(CELL)]
    viewer = neuroglancer.UnsynchronizedViewer()
    viewer.set_state(view)
    assert Link.from_state(viewer, server=sandbox.origin).state == made.state


def test_each_form_of_a_state_is_read(link, sandbox, tmp_path):
    """A dict, JSON text, a file by its path or name, and the result of save() are accepted."""
    file = link.save(tmp_path / "state.json")
    text = json.dumps(link.state)
    for form in (link.state, text, text.encode(), file, str(file)):
        made = Link.from_state(form, Settings(server=sandbox.origin))
        assert made.state_sha256 == link.state_sha256
    inline = Link.from_state(file, server=sandbox.origin, inline=True)
    assert inline.state_url is None
    assert Link.from_url(inline.url).state == link.state


def nest(levels: int) -> dict[str, Any]:
    """Build a state with this many levels."""
    state: dict[str, Any] = {}
    for _ in range(levels):
        state = {"a": state}
    return {"layers": [], "a": state}


ENDLESS: dict[str, Any] = {"layers": []}
ENDLESS["layers"].append(ENDLESS)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"layers": [{"name": "a", "x": 10**5000}]}, "integer at /layers/0/x .* larger"),
        ({"layers": [], 10**5000: 1}, "larger than any ID"),
        ({"layers": [], "x": -(2**64)}, "larger than any ID"),
        (nest(5000), "200 levels"),
        (ENDLESS, "200 levels"),
        ({"layers": [{"name": "a"}], "title": "\ud800"}, "text at /title .* not Unicode"),
        ({"layers": [{"name": "a", "\ud800": 1}]}, "text at /layers/0 .* not Unicode"),
        (5, "int is not a Neuroglancer state"),
        ({}, "holds no Neuroglancer state"),
        ({"layers": 5}, "holds no Neuroglancer state"),
        ({"layers": [{"name": "a", "segments": [8.6e17]}]}, "at /layers/0/segments/0 .* rounds"),
        ({"layers": [], "crossSectionScale": float("nan")}, "nan at /crossSectionScale"),
        ({"layers": [object()]}, "object at /layers/0"),
        ("{", "does not hold JSON"),
        ("no-such-file.json", "cannot be read"),
        ("a\0b", "cannot be read"),
        (Path(), "cannot be read"),
        ("https://viewer.org/#!{}", "a link, not a state"),
    ],
)
def test_what_is_no_state_is_refused_before_anything_is_stored(sandbox, state, words):
    """Invalid states are refused with an error and a hint, without a request."""
    with pytest.raises(UsageError, match=words) as caught:
        Link.from_state(state, server=sandbox.origin)
    assert caught.value.hint
    assert not sandbox.requests


def test_options_that_a_state_does_not_take_are_refused(link):
    """A filter would be ignored, and is refused like a mistyped option."""
    with pytest.raises(UsageError, match="tag= has no effect"):
        Link.from_state(link.state, tag="spine")
    with pytest.raises(UsageError, match="no option 'sandbx'"):
        Link.from_state(link.state, sandbx=True)
    with pytest.raises(UsageError, match="'plotly'") as caught:
        link.viewer_state("plotly")
    assert "nglui, neuroglancer" in caught.value.hint


@given(st.integers(0, 2**64 - 1), st.floats(-(2.0**52), 2.0**52))
def test_numbers_stay_exact(number, real):
    """Integers that viewers would round become text, other numbers stay; numpy's are handled
    alike."""
    exact = number if number < 2**53 else str(number)
    given_state = {"layers": [], "ids": [number, np.uint64(number)], "x": np.float64(real)}
    read = read_own_state(given_state)
    assert read["ids"] == [exact, exact]
    assert read["x"] == real
    assert read_own_state(orjson.dumps(read)) == read
    assert make_exact(np.array([number], dtype="uint64")) == [exact]


@pytest.mark.parametrize("empty", ["", " ", b""])
def test_an_empty_text_is_no_state(empty: str | bytes) -> None:
    """An empty text is refused as such, and is not taken for the current folder."""
    with pytest.raises(UsageError, match="The text is empty, so it holds no state"):
        Link.from_state(empty)
