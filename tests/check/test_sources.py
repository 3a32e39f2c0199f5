"""What the published source of a link holds, and whether it is still the one it was."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from links.published import publish
from links.shelf import A
from links.test_filling import draw, record_of, state_of
from publish.sample import serve
from synglancer.check.results import Finding
from synglancer.check.sources import read_held
from synglancer.publish.source import open_source
from synglancer.states.record_parts import PublishedSource

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a source."""
    folder = publish(tmp_path_factory.mktemp("source"), table="predictions_v7")
    with serve(folder) as url:
        yield url


def build_state(address: str, sha256: str | None = None, **changes: Any) -> dict[str, Any]:
    """Build a state whose one layer draws the spines that A receives."""
    source = PublishedSource(address, sha256 or open_source(address).manifest.digest)
    record = replace(record_of(address, **changes), source=source)
    state = state_of(address, draw(f"precomputed://{address}/spine", "post"))
    return {**state, "synglancer": record.to_json()}


def read(state: dict[str, Any] | None) -> tuple[Any, Finding]:
    """Read the synapses of a link, and return them with the finding."""
    finding = Finding("x", state=state)
    return read_held(finding), finding


@pytest.mark.parametrize("state", [None, {"layers": [], "synglancer": {"cell": str(A)}}])
def test_a_state_without_a_source_holds_its_synapses_itself(state) -> None:
    """Nothing is requested."""
    assert read(state) == (state, Finding("x", state=state))


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_the_rows_of_the_source_are_counted_as_the_links(address, sha256) -> None:
    """Partners, which would cost two requests each, are left out; that the source was published
    again is worth knowing."""
    state = build_state(address, sha256)
    held, finding = read(state)
    again = f"The source at {address} was published again after the link was made."
    assert finding == Finding("x", state=state, notes=[again] if sha256 else [])
    assert {**held, "layers": None} == {**state, "layers": None}
    assert held["layers"][:3] == state["layers"][:3]
    notes = [(note["id"], note["segments"]) for note in held["layers"][3]["annotations"]]
    assert notes == [(str(number), [["0"], [str(A)]]) for number in (2**53 + 1, 2**64 - 9)]


def test_other_data_at_the_address_are_a_problem(address) -> None:
    """The link no longer shows what it did."""
    state = build_state(address, version=1621)
    changed = f"The source at {address} now has the version 1718; the link was made with 1621."
    assert read(state) == (None, Finding("x", state=state, problems=[changed]))


def test_without_an_answer_nothing_is_known_of_the_source() -> None:
    """It may be there again in a moment."""
    state = build_state("http://127.0.0.1:9", "0" * 64)
    said = "http://127.0.0.1:9 does not answer."
    assert read(state) == (None, Finding("x", state=state, unknown=[said]))
