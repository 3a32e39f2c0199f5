"""Root IDs are queried in groups, and each gets its own answer."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.cells.root_ids import RootIds
from synglancer.errors import LoginError, ServiceError


@dataclass
class Graph:
    """A chunked graph with valid, outdated and failing root IDs."""

    valid: set[int] = field(default_factory=set)
    outdated: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    asked: list[int] = field(default_factory=list)
    failing: dict[int, Exception] = field(default_factory=dict)
    """Root IDs whose existence cannot be queried."""

    def fetch_validity(self, cells: list[int]) -> dict[int, bool]:
        self.asked.append(len(cells))
        if self.refused.intersection(cells):
            raise ServiceError("It failed with status 500.", "Try again later.")
        return {cell: cell in self.valid for cell in cells}

    def fetch_first_timestamps(self, cells: list[int]) -> list[Any]:
        self.asked.append(len(cells))
        if error := next((self.failing[cell] for cell in cells if cell in self.failing), None):
            raise error
        known = self.valid | self.outdated
        return ["some time"] * len(cells) if known.intersection(cells) else []


def judge(root_ids: RootIds, cell: int) -> str:
    """Judge a root ID like `resolve_outdated`: individually if groups leave it open."""
    if root_ids.is_valid(cell):
        return "valid"
    if root_ids.never_existed(cell):
        return "never"
    if root_ids.session.fetch_first_timestamps([cell]):
        return "outdated"
    root_ids.note_never_existed(cell)
    return "never"


ids = st.integers(1, 400)


@given(st.lists(ids, max_size=120), st.sets(ids), st.sets(ids), st.booleans())
def test_groups_give_the_answers_that_each_alone_would_get(cells, valid, outdated, announced):
    """Valid, outdated and invented root IDs get the right answers in any order."""
    graph = Graph(valid, outdated)
    root_ids = RootIds(graph)  # type: ignore[arg-type]
    if announced:
        root_ids.expect(cells)
    for cell in cells:
        assert judge(root_ids, cell) == (
            "valid" if cell in valid else "outdated" if cell in outdated else "never"
        )


def test_a_list_of_wrong_root_ids_costs_two_questions_for_a_thousand():
    """4,000 root IDs that never existed take 4 queries for validity and 4 for existence."""
    graph = Graph()
    root_ids = RootIds(graph)  # type: ignore[arg-type]
    root_ids.expect(range(1, 4_001))
    assert {judge(root_ids, cell) for cell in range(1, 4_001)} == {"never"}
    assert graph.asked == [1_000] * 8


def test_outdated_root_ids_end_the_groups_about_existence_soon():
    """If all are outdated, there are at most three queries more than one by one."""
    graph = Graph(outdated=set(range(1, 1001)))
    root_ids = RootIds(graph)  # type: ignore[arg-type]
    root_ids.expect(range(1, 1001))
    assert {judge(root_ids, cell) for cell in range(1, 1001)} == {"outdated"}
    assert graph.asked[:4] == [1000, 1000, 100, 10]
    assert graph.asked[4:] == [1] * 1000


def test_one_that_the_service_refuses_does_not_spoil_the_others():
    """A failing group is queried one by one, and only the failing cell gets the error."""
    graph = Graph(valid={1, 3}, refused={2})
    root_ids = RootIds(graph)  # type: ignore[arg-type]
    root_ids.expect([1, 2, 3])
    assert root_ids.is_valid(1)
    with pytest.raises(ServiceError):
        root_ids.is_valid(2)
    assert root_ids.is_valid(3)


def test_a_refusal_that_is_about_all_goes_through(monkeypatch):
    """A missing login is not queried again one by one."""
    graph = Graph()
    asked = []

    def refuse(cells):
        asked.append(cells)
        raise LoginError("No token.", "Give one.")

    monkeypatch.setattr(graph, "fetch_validity", refuse)
    root_ids = RootIds(graph)  # type: ignore[arg-type]
    root_ids.expect([1, 2])
    with pytest.raises(LoginError):
        root_ids.is_valid(1)
    assert asked == [[1, 2]]


def test_what_was_learnt_of_other_data_is_forgotten():
    """After the data have changed, validity and existence are queried again."""
    graph = Graph()
    root_ids = RootIds(graph)  # type: ignore[arg-type]
    assert judge(root_ids, 1) == "never"
    assert root_ids.is_known_invalid(1)
    graph.valid.add(1)
    root_ids.forget()
    assert not root_ids.is_known_invalid(1)
    assert judge(root_ids, 1) == "valid"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ServiceError("It failed with status 500.", "Try again later."), False),
        (LoginError("No token.", "Give one."), True),
    ],
)
def test_a_failing_query_for_existence_leaves_it_open(error, raised):
    """If the service fails for one of a group, each is to be queried alone; an error about all is
    reported as it is."""
    root_ids = RootIds(Graph(failing={2: error}))  # type: ignore[arg-type]
    root_ids.expect(range(1, 30))
    assert not root_ids.is_valid(2)
    with pytest.raises(LoginError) if raised else nullcontext():
        assert not root_ids.never_existed(2)
