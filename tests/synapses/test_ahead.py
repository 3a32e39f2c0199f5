"""Answers for groups are held by cell and question, while the server's data stay the same."""

from __future__ import annotations

import pytest

from links.shelf import A, B, Shelf
from synglancer.synapses.ahead import NOTHING, Ahead, Size


@pytest.mark.parametrize(
    ("sizes", "largest"),
    [
        ([Size()], Size(0, None)),
        ([Size(3, None), Size(5, 9), Size(4, 7), Size(2, None)], Size(5, 7)),
        ([Size(3, 9), Size(2, None)], Size(3, 9)),
        ([Size(1), Size(2)], Size(2, None)),
    ],
)
def test_the_largest_answer_and_the_lowest_limit_count(sizes: list[Size], largest: Size) -> None:
    """They need not be of the same answer."""
    assert Size.of_largest(sizes) == largest


def test_answers_are_found_by_cell_and_question() -> None:
    """None is an answer, too; a forgotten cell has none, and forgetting it again does nothing."""
    session = Shelf()
    session.identity.value = "first data"
    ahead = Ahead(session)
    ahead.hold("somata", {A: [1], B: None}, "first data")
    ahead.hold("validity", {A: True}, "first data")
    assert [ahead.find("somata", A), ahead.find("validity", A)] == [[1], True]
    assert ahead.find("somata", B) is None
    assert ahead.find("validity", B) is NOTHING
    ahead.forget(A)
    ahead.forget(A)
    assert [ahead.find(question, A) for question in ("somata", "validity")] == [NOTHING] * 2
    assert ahead.find("somata", B) is None


@pytest.mark.parametrize(("before", "now"), [("first", "second"), (None, "first"), ("first", None)])
def test_answers_from_other_data_are_not_found(before: str | None, now: str | None) -> None:
    """A sandbox may have been started again with other tables meanwhile; what was never held is
    not found either way."""
    session = Shelf()
    ahead = Ahead(session)
    session.identity.value = before
    ahead.hold("somata", {A: [1]}, before)
    session.identity.value = now
    assert ahead.find("somata", A) is NOTHING
    assert ahead.find("somata", B) is NOTHING
    session.identity.value = before
    assert ahead.find("somata", A) == [1]
