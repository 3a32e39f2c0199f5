"""Problems that make a viewer show something else than intended."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from synglancer.check.results import (
    CheckResult,
    compare_layers,
    count_layers,
    find_flaws,
    read_expected,
    read_server,
)


def build_state(**more) -> dict:
    """A state that selects cell 864691135276234469."""
    layer = {"type": "segmentation", "source": "x", "segments": ["864691135276234469"]}
    return {"layers": [{**layer, **more}]}


@pytest.mark.parametrize(
    ("number", "flaws"),
    [(2**53 - 1, 0), (-(2**53) + 1, 0), (2**53, 1), (-(2**53), 1), (864691135276234469, 1)],
)
@pytest.mark.parametrize("place", [lambda one: one, lambda one: [[{"id": one}]]])
def test_numbers_that_viewers_round_are_flaws(number, flaws, place) -> None:
    """An integer above 2^53-1 anywhere in a state would be another ID in the viewer."""
    found = find_flaws(build_state(x=place(number)), [864691135276234469])
    assert len(found) == flaws
    assert all("round" in sentence for sentence in found)


@pytest.mark.parametrize("wrong", ["9" * 30, 1e29])
@pytest.mark.parametrize(
    ("segments", "said"), [(1, "1 selected segment has"), (2, "2 selected segments have")]
)
def test_what_is_no_64_bit_id_is_a_flaw(wrong, segments, said) -> None:
    """A number with 30 digits is no segment and no annotation's ID, in any tool's state."""
    note = {"type": "point", "id": wrong, "point": [1, 2, 3], "segments": [wrong]}
    points = {"type": "annotation", "name": "a", "annotations": [note]}
    points["annotationRelationships"] = ["cell"]
    cells = {
        "type": "segmentation",
        "name": "cells",
        "segments": ["7", *[wrong] * segments, "!8", "0"],
    }
    space = {axis: [1e-9, "m"] for axis in "xyz"}
    assert find_flaws({"dimensions": space, "layers": [points, cells]}, [7]) == [
        "1 annotation of the layer 'a' has an ID that is not a 64-bit ID.",
        "1 related segment of the layer 'a' has an ID that is not a 64-bit ID and is not read.",
        f"{said} an ID that is not a 64-bit ID.",
    ]


def test_each_cell_that_is_not_selected_is_named() -> None:
    """A state that does not select all of its cells is bad, and each missing cell is named."""
    found = find_flaws(build_state(), [864691135276234469, 7, 8])
    assert [sentence.split()[2] for sentence in found] == ["7", "8"]


def test_only_states_of_ours_must_have_lengths_and_whole_synapses() -> None:
    """Another program's state may be in any units; without lengths, ours would be misplaced."""
    assert find_flaws(build_state(), []) == []
    lengths = "The state's dimensions are not lengths of x, y and z."
    assert find_flaws(build_state(), [], ours=True) == [lengths]
    whole = {**build_state(), "dimensions": {axis: [1e-9, "m"] for axis in "xyz"}}
    assert find_flaws(whole, [], ours=True) == []


def test_a_state_without_layers_shows_nothing() -> None:
    """An empty state is a problem."""
    [flaw] = find_flaws({"layers": []}, [])
    assert "no layers" in flaw


def test_layers_are_compared_by_name_and_number() -> None:
    """A missing layer, a layer with another number of synapses, and one without any are named."""
    held = {"inputs: spine": 5, "inputs: shaft": 1, "outputs: soma": None}
    expected = {"inputs: spine": 5, "inputs: shaft": 1200, "outputs: soma": 2}
    assert compare_layers(held, {**expected, "outputs: spine": 1, "outputs: shaft": 4000}) == [
        "The layer 'inputs: shaft' has 1 synapse instead of 1,200.",
        "The layer 'outputs: soma' has 0 synapses instead of 2.",
        "The layer 'outputs: spine' with its 1 synapse is missing.",
        "The layer 'outputs: shaft' with its 4,000 synapses is missing.",
    ]


def test_the_synapses_of_each_layer_are_counted() -> None:
    """Only local layers have a count; in a review, each direction and tag has its own."""
    sides = {"id": "direction", "type": "uint8", "enum_values": [0, 1]}
    tags = {"id": "tag", "type": "uint8", "enum_values": [0, 1], "enum_labels": ["spine", "soma"]}
    properties = [{**sides, "enum_labels": ["inputs", "outputs"]}, tags]
    values = [[0, 0], [0, 1], [0, 1], [1, 0]]
    review = [{"id": str(row), "point": [1, 2, 3], "props": one} for row, one in enumerate(values)]
    state = {
        "dimensions": {axis: [1e-9, "m"] for axis in "xyz"},
        "layers": [
            {"type": "annotation", "name": "● in: shaft", "annotations": [review[0]]},
            {"type": "annotation", "name": "review", "annotations": review}
            | {"annotationProperties": properties},
            {"type": "annotation", "name": "none", "annotations": []}
            | {"annotationProperties": properties},
            {"type": "annotation", "name": "published", "source": "precomputed://x"},
            {"type": "segmentation", "name": "cells", "annotations": review},
            {"type": "annotation", "annotations": [review[0]]},
        ],
    }
    assert count_layers(state) == {
        "inputs: spine": 1,
        "inputs: soma": 2,
        "outputs: spine": 1,
        "inputs: shaft": 1,
        "none": 0,
        "published": None,
        "cells": None,
        "": 1,
    }


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"inputs": {"spine": 3, "soma": 0}, "outputs": {}}, {"inputs: spine": 3}),
        ({"inputs": {"spine": "3", "soma": None, "shaft": -1}, "outputs": [4]}, {}),
        (None, None),
        ([1], None),
    ],
)
def test_a_record_tells_how_many_synapses_each_layer_has(counts, expected) -> None:
    """Tags without synapses have no layer, and what is no number is not expected."""
    assert read_expected({"counts": counts}) == expected


def test_a_result_has_these_names_in_json() -> None:
    """Scripts read them; root IDs are text, a time is in UTC, and what is unknown is null."""
    until = datetime(2026, 3, 7, 8, 10, tzinfo=timezone.utc)
    facts = {"parses": True, "layers": {"inputs: spine": 3, "published": None}, "valid_then": True}
    facts |= {"valid_now": False, "datastack": "d", "version": 7, "served": True, "notes": ("n",)}
    counted = {"expected": {"inputs: spine": 4}, "expected_from": "record"}
    whole = CheckResult(
        url="u",
        reachable=True,
        cells=(864691135276234469,),
        served_until=until,
        problems=("p",),
        unknown=("q",),
        source={"cell": "x"},
        **counted,
        **facts,
    )
    assert whole.to_record() == {
        "url": "u",
        "status": "bad",
        "reachable": True,
        "cells": ["864691135276234469"],
        "served_until": "2026-03-07T08:10:00Z",
        "problems": ["p"],
        "unknown": ["q"],
        **counted,
        **facts,
        "notes": ["n"],
    }
    nothing = CheckResult(url="u").to_record()
    empty = {"url": "u", "status": "good", "layers": {}, "cells": []}
    empty |= {"problems": [], "unknown": [], "notes": []}
    assert nothing == {**dict.fromkeys(whole.to_record()), **empty}
    assert CheckResult(url="u", unknown=("q",)).status == "unknown"


@pytest.mark.parametrize(
    ("source", "server"),
    [
        ({"server": "https://a.org", "options": {"server": "https://b.org"}}, "https://a.org"),
        ({"options": {"server": "https://b.org"}}, "https://b.org"),
        ({"server": 5}, None),
        ({"options": "https://b.org"}, None),
        ({}, None),
    ],
)
def test_the_server_of_a_link_is_in_its_record_or_in_the_options_of_its_receipt(
    source, server
) -> None:
    """A token is only ever sent there, so what is no text is no server."""
    assert read_server(source) == server
