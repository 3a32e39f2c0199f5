"""The sample cell's state has not changed since somebody last looked at it."""

from __future__ import annotations

from cli.golden import GOLDEN, summarise
from cli.outcome import CELL
from synglancer import make_link as api_make_link


def test_the_state_of_the_sample_cell_is_the_golden_one(sandbox) -> None:
    """The default state equals the one in git, annotation by annotation; `make golden` renews it
    after an intended change."""
    made = api_make_link(int(CELL), server=sandbox.origin)
    assert summarise(made.state, sandbox.origin) == GOLDEN.read_text(encoding="utf-8")


def test_the_summary_sees_every_change(sandbox) -> None:
    """A change of one digit in one annotation changes the summary."""
    made = api_make_link(int(CELL), server=sandbox.origin, tag="soma", outputs=True)
    state = made.state
    before = summarise(state, sandbox.origin)
    state["layers"][-1]["annotations"][-1]["point"][2] += 1
    assert summarise(state, sandbox.origin) != before
