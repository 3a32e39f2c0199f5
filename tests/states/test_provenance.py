"""The provenance in a state is read, and nothing beyond it is assumed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.cave.tokens import find_saved_token
from synglancer.errors import UsageError
from synglancer.link import Link
from synglancer.states.provenance import (
    parse_provenance,
    read_recorded,
    read_recorded_cells,
    read_recorded_synapses,
    read_shown_cells,
)
from synglancer.states.record import Provenance
from synglancer.states.record_parts import NamedSynapse
from synglancer.states.urls import format_inline_link
from synglancer.view.state import format_timestamp

SITE = "https://example.org/"
MOMENT = datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc)


def note(**more: Any) -> dict[str, Any]:
    return {"id": "1", "type": "point", "point": [1, 2, 3], **more}


def read(state: dict[str, Any]) -> Link:
    return Link.from_url(format_inline_link(SITE, orjson.dumps(state)))


def nglui_like(cell: int) -> dict[str, Any]:
    """A state as nglui writes it: points in voxels, one list of segments, IDs as numbers."""
    return {
        "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
        "layers": [
            {"type": "image", "source": "precomputed://https://e.org/em", "name": "img"},
            {
                "type": "segmentation",
                "name": "seg",
                "source": "graphene://https://e.org/table/x",
                "segments": [str(cell), "!7"],
                "timestamp": 1772871001190,
            },
            {
                "type": "annotation",
                "name": "post",
                "annotationRelationships": ["pre"],
                "annotations": [
                    note(id="5", point=[231231, 178001, 21999], segments=[[cell]]),
                    note(id="a1b2", type="line", pointA=[0, 0, 0], pointB=[1, 1, 1]),
                ],
            },
        ],
    }


@given(st.integers(1, 2**64 - 1))
def test_links_of_other_tools_are_read_as_far_as_they_say(cell: int) -> None:
    """Cell, timestamp, positions in nm and IDs are read; missing values are listed."""
    link = read(nglui_like(cell))
    assert link.cell == cell
    assert link.timestamp == datetime(2026, 3, 7, 8, 10, 1, 190000, tzinfo=timezone.utc)
    assert (link.version, link.datastack, link.table) == (0, "", "")
    assert (link.shown, link.total) == (1, 1)
    (row,) = link.predictions.to_dict("records")
    assert (row["id"], row["tag"], row["direction"]) == (5, "post", "")
    assert row["pre_pt_root_id"] == cell
    assert [row[f"ctr_pt_position_{axis}"] for axis in "xyz"] == [924924, 712004, 879960]
    assert link.warnings == [
        "The state does not say which version it shows.",
        "1 annotation is not a point and is not read.",
    ]
    with pytest.raises(UsageError, match="no provenance record"):
        _ = link.settings


@given(st.integers(-(2**31), 2**31 - 1), st.sampled_from([4, 8, 9, 16, 32, 40, 45, 50]))
def test_voxels_and_nm_are_exact_both_ways(voxel: int, size: int) -> None:
    """A position in voxels gives the exact nm, over the whole range of a volume."""
    state = {
        "dimensions": {axis: [size * 1e-9, "m"] for axis in "xyz"},
        "layers": [
            {"type": "annotation", "name": "n", "annotations": [note(point=[voxel, 0, voxel])]}
        ],
    }
    frame = read(state).predictions
    assert frame["ctr_pt_position_x"].tolist() == [voxel * size]
    assert frame["ctr_pt_position_z"].tolist() == [voxel * size]


@given(st.timedeltas(min_value=timedelta(days=1_200), max_value=timedelta(days=80_000)))
def test_the_pin_is_exact_to_the_millisecond(age: timedelta) -> None:
    """A pinned timestamp is read as its exact millisecond."""
    timestamp = datetime(1970, 1, 1, tzinfo=timezone.utc) + age
    layer = {"type": "segmentation", "timestamp": format_timestamp(timestamp)}
    read_back = parse_provenance({"layers": [layer]})[0].timestamp
    assert timedelta(0) <= timestamp - read_back < timedelta(milliseconds=1)
    assert read_back.microsecond % 1000 == 0


def test_several_selected_cells_are_no_one_cell() -> None:
    """If a foreign state selects several cells, none of them is called *the* cell."""
    state = {"layers": [{"type": "segmentation", "segments": ["5", "6"]}]}
    link = read(state)
    assert (link.cell, link.cells) == (0, (5, 6))
    assert link.warnings == ["The state does not say which cell, version, timestamp it shows."]


@pytest.mark.parametrize(
    ("listed", "cells"),
    [(["5", "7"], (5, 7)), (["7", "5"], (5,)), (["5", "x"], (5,)), ([], (5,)), ("57", (5,))],
)
def test_cells_are_those_of_the_record(listed: object, cells: tuple[int, ...]) -> None:
    """A record of several cells is a list that begins with its cell; any other is ignored."""
    link = read({"layers": [], "synglancer": {"cell": "5", "cells": listed}})
    assert (link.cell, link.cells) == (5, cells)


def test_a_state_changed_by_hand_says_so() -> None:
    """If the state and its record have different numbers of annotations, a warning gives both."""
    state = {
        "dimensions": {axis: [1e-9, "m"] for axis in "xyz"},
        "layers": [{"type": "annotation", "name": "inputs: spine", "annotations": [note()]}],
        "synglancer": {"cell": "5", "version": 3, "timestamp": MOMENT.isoformat(), "shown": 2},
    }
    link = read(state)
    assert link.warnings == [
        (
            "The state was changed after it was made: the number of synapses is 1 in the state but "
            "2 in its record."
        )
    ]
    assert link.counts_by_tag == {"inputs": {"spine": 1}}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


RECORD_KEYS = (
    "cell",
    "cells",
    "followed",
    "version",
    "timestamp",
    "table",
    "counts",
    "filters",
    "view",
)


@given(st.fixed_dictionaries(dict.fromkeys(RECORD_KEYS, json_values)))
def test_any_record_is_read_or_refused(record: dict[str, Any]) -> None:
    """Whatever replaces the record, a link can be read, and settings are complete or refused."""
    link = read({"layers": [], "synglancer": record})
    assert link.shown == 0
    with pytest.raises(UsageError):
        _ = link.settings


@pytest.mark.parametrize("content", ['{"layers": 5}', "{}", '{"layers": [NaN]}', "{broken"])
def test_what_is_no_state_is_refused(content: str) -> None:
    """JSON in a link that is not a Neuroglancer state is one of our errors."""
    said = "is not valid JSON: 'NaN'" if "NaN" in content else "holds no Neuroglancer state"
    with pytest.raises(UsageError, match=said):
        Link.from_url(f"{SITE}#!{quote(content)}")


def test_a_token_goes_to_no_host_that_a_link_chooses(monkeypatch, tmp_path) -> None:
    """A saved token is only for its own host; the environment's token is for none of these
    hosts."""
    monkeypatch.setenv("CAVE_TOKEN", "secret-of-the-environment")
    secrets = tmp_path / "home" / ".cloudvolume" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "cave-secret.json").write_text('{"token": "for-all"}')
    (secrets / "cave.org-cave-secret.json").write_text('{"token": "for-cave-org"}')
    assert find_saved_token("global.daf-apis.com") == "for-all"
    assert find_saved_token("cave.org") == "for-cave-org"
    for host in ("evil.org", "cave.org.evil.org", "cave.org:444", "../secrets/cave.org", ""):
        assert find_saved_token(host) is None


def test_the_record_of_a_state_is_read_by_itself() -> None:
    """Its cells and synapses are the recorded ones; without a record, the selected cells are
    shown."""
    synapse = NamedSynapse(2**64 - 1, "spine", 0.5, 300, 5, 6)
    record = Provenance(cell=5, cells=(5, 7), version=3, synapses=(synapse,))
    layers = [{"type": "segmentation", "segments": ["6", "8"]}]
    state = {"layers": layers, "synglancer": record.to_json()}
    assert read_recorded(state) == record
    assert read_recorded_cells(record.to_json()) == (5, 7)
    assert read_recorded_synapses(record.to_json()) == (2**64 - 1,)
    assert read_shown_cells(state) == (5, 7)
    assert read_recorded({"layers": layers}) == Provenance()
    assert read_shown_cells({"layers": layers}) == (6, 8)
