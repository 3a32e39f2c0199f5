"""What the services' answers mean for a link."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from synglancer.cave.records import Datastack, Materialization
from synglancer.check.checker import _compare, _is_of, _judge_cells, _judge_version, _read_foreign
from synglancer.check.results import Finding
from synglancer.errors import NotServedError, UnreachableError

MADE = datetime(2026, 3, 7, tzinfo=timezone.utc)
UNTIL = datetime(2027, 3, 7, tzinfo=timezone.utc)
GRAPH = "graphene://https://cave.example.org/segmentation/table/minnie"
STACK = Datastack(
    name="minnie",
    server="https://cave.example.org",
    image_source="precomputed://gs://images/em",
    segmentation_source=GRAPH,
    skeleton_source=None,
    viewer_resolution=(4.0, 4.0, 40.0),
    viewer_site=None,
    synapse_table=None,
    soma_table=None,
)
DOWN = UnreachableError("The server is down.", "Try again later.")


def judge_version(answer, **source) -> Finding:
    """Judge a link of version 1718 by an answer about this version."""
    finding = Finding("x", facts={"source": source})
    _judge_version(finding, ("minnie", 1718), answer)
    return finding


def judge_cells(then, now, *, pinned: bool = True) -> Finding:
    """Judge a link to cells 1 and 2 by answers about these cells."""
    finding = Finding("x", facts={"cells": (1, 2)}, timestamp=MADE if pinned else None)
    _judge_cells(finding, then, now)
    return finding


def test_a_version_that_is_served_is_good_until_it_expires() -> None:
    """A link of an available version has no problem, and says until when it is available."""
    found = judge_version(Materialization(1718, MADE, UNTIL))
    assert (found.facts["served"], found.facts["served_until"]) == (True, UNTIL)
    assert found.problems == found.unknown == found.notes == []


@pytest.mark.parametrize("live", [None, False, "yes"])
def test_an_expired_version_is_a_problem(live) -> None:
    """A link whose version has since expired is bad, and `synglancer compare` is recommended."""
    found = judge_version(Materialization(1718, MADE, UNTIL, expired=True), live=live)
    assert found.facts["served"] is False
    [problem] = found.problems
    assert "1718 of minnie has expired" in problem
    assert "synglancer compare" in problem
    assert found.unknown == found.notes == []


def test_a_link_made_after_its_version_expired_is_as_good_as_then() -> None:
    """A link made with live queries is good even if its version has expired."""
    found = judge_version(Materialization(1718, MADE, UNTIL, expired=True), live=True)
    assert found.facts["served"] is False
    [note] = found.notes
    assert "1718 of minnie has expired" in note
    assert found.problems == found.unknown == []


def test_a_version_that_never_was_is_a_problem() -> None:
    """If the server does not know the version, the link is bad."""
    found = judge_version(NotServedError("There is no version 1718.", "Give another."))
    assert found.facts["served"] is False
    assert found.problems == ["There is no version 1718."]
    assert found.unknown == found.notes == []


def test_a_server_that_is_down_says_nothing_of_a_version() -> None:
    """Without an answer, it is unknown whether the version is available."""
    found = judge_version(DOWN)
    assert "served" not in found.facts
    [unknown] = found.unknown
    assert "1718" in unknown
    assert str(DOWN) in unknown
    assert found.problems == found.notes == []


def test_cells_that_are_valid_then_and_now() -> None:
    """Cells that were and are valid are not mentioned."""
    found = judge_cells({1: True, 2: True}, {1: True, 2: True})
    assert (found.facts["valid_then"], found.facts["valid_now"]) == (True, True)
    assert found.problems == found.unknown == found.notes == []


def test_a_cell_that_was_not_valid_at_the_links_timestamp_is_a_problem() -> None:
    """Only the cell at fault is named."""
    found = judge_cells({1: True, 2: False}, {1: True, 2: True})
    assert (found.facts["valid_then"], found.facts["valid_now"]) == (False, True)
    [problem] = found.problems
    assert problem.startswith("2 ")
    assert found.unknown == found.notes == []


@pytest.mark.parametrize("pinned", [True, False])
def test_a_cell_that_was_edited_since(pinned) -> None:
    """An edited cell is a note for a pinned link, and a problem for an unpinned one."""
    found = judge_cells({1: True, 2: True} if pinned else None, {1: False, 2: True}, pinned=pinned)
    assert found.facts["valid_now"] is False
    said, silent = (found.notes, found.problems) if pinned else (found.problems, found.notes)
    still_shown = "; the link still shows it as it was, so nothing needs doing" if pinned else ""
    assert said == [f"1 has been edited since and now has another root ID{still_shown}."]
    assert silent == found.unknown == []
    assert ("valid_then" in found.facts) is pinned


def test_a_link_without_cells_has_none_that_were_edited() -> None:
    """A state that selects no cell has no problem with its cells."""
    finding = Finding("x", timestamp=MADE)
    _judge_cells(finding, {}, {})
    assert (finding.facts["valid_then"], finding.facts["valid_now"]) == (True, True)
    assert finding.problems == finding.unknown == finding.notes == []


@pytest.mark.parametrize(("then", "now"), [(DOWN, {1: True, 2: True}), ({1: True, 2: True}, DOWN)])
def test_without_both_answers_nothing_is_known_of_cells(then, now) -> None:
    """If one answer is missing, the result is unknown, and the reason is given."""
    found = judge_cells(then, now)
    assert "valid_then" not in found.facts
    assert "valid_now" not in found.facts
    [unknown] = found.unknown
    assert str(DOWN) in unknown
    assert found.problems == found.notes == []


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"datastack": "minnie", "version": 1718}, ("minnie", 1718)),
        ({"datastack": "", "version": "1718"}, (None, None)),
        ({"datastack": 5, "version": True}, (None, None)),
    ],
)
def test_a_record_is_believed_where_it_has_the_right_form(record, found) -> None:
    """What is no name or no number of a version is not asked for."""
    finding = Finding("x", state={"layers": [], "synglancer": {"cell": "1", **record}})
    _compare(finding, None)
    assert (finding.facts["datastack"], finding.facts["version"]) == found


@pytest.mark.parametrize(
    ("url", "cells", "datastack"),
    [(GRAPH, (1,), "minnie"), ("precomputed://gs://other/seg", (), None)],
)
def test_only_segments_of_a_chunked_graph_are_cells(url, cells, datastack) -> None:
    """Of a foreign state, segments of other layers are not looked up as root IDs."""
    layer = {"type": "segmentation", "source": url, "segments": ["1"], "timestamp": 1772871001190}
    finding = Finding("x", state={"layers": [layer]})
    _read_foreign(finding, "minnie")
    assert (finding.facts["cells"], finding.facts["datastack"]) == (cells, datastack)
    assert (finding.timestamp is None) is not bool(cells)


@pytest.mark.parametrize(
    ("url", "facts", "stacks", "expected"),
    [
        (GRAPH, {}, {"minnie": STACK}, True),
        (GRAPH.replace("://https", "://middleauth+https"), {}, {"minnie": STACK}, True),
        ("precomputed://gs://other/seg", {}, {"minnie": STACK}, False),
        ("precomputed://gs://other/seg", {"source": {"cell": "1"}}, {"minnie": STACK}, True),
        ("precomputed://gs://other/seg", {}, {"minnie": DOWN}, True),
        ("precomputed://gs://other/seg", {"datastack": None}, {"minnie": STACK}, True),
    ],
)
def test_whose_cells_a_state_shows(url, facts, stacks, expected) -> None:
    """A foreign state has cells of the datastack unless it is over another segmentation."""
    state = {"layers": [{"type": "segmentation", "name": "s", "source": url, "segments": ["1"]}]}
    finding = Finding("x", state=state, facts={"datastack": "minnie", **facts})
    assert _is_of(finding, stacks) is expected
