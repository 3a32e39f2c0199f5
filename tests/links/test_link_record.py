"""What a link is called, and what its record says only where it applies."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from links.shelf import A, B, C, P
from links.test_link import KEYS, STATES, example_link
from synglancer.errors import CellError, ServiceError
from synglancer.link import Link
from synglancer.links.link_record import LinkRecord, Skipped
from synglancer.states.record import Provenance
from synglancer.states.record_parts import CellTypes, MultiInput, NamedSynapse, Replacement

NAMED = tuple(NamedSynapse(2**53 + n, "spine", 0.5, 10, pre=A, post=B) for n in range(5))


@pytest.mark.parametrize(
    ("changes", "further"),
    [
        ({"live": True}, {"live": True}),
        ({"live": False}, {}),
        ({"cells": (A, B)}, {"cells": [str(A), str(B)]}),
        ({"given_rows": True}, {"given_rows": True}),
        ({"all_synapses": {"inputs": 9}}, {"all_synapses": {"inputs": 9}}),
        ({"synapses": NAMED[:1]}, {"synapses": [NAMED[0].to_json()]}),
    ],
)
def test_a_record_tells_only_what_applies(changes, further) -> None:
    """Further keys come after the others, and make the same link again."""
    link = example_link(**changes)
    record = link.to_record()
    assert {name: record[name] for name in [*record][len(KEYS) :]} == further
    again = LinkRecord.from_record(orjson.loads(orjson.dumps(record)), link.state_json)
    assert again.provenance == replace(link.provenance, **changes)


@pytest.mark.parametrize(
    ("changes", "heading", "file_name"),
    [
        ({}, f"Synapses of {A}", f"{A}"),
        ({"cells": (A, B)}, f"Synapses of {A}, {B}", f"{A}-and-1-more"),
        (
            {"cells": (A, B, C, P)},
            f"Synapses of {A}, {B}, {C} and 1 more",
            f"{A}-and-3-more",
        ),
        ({"synapses": NAMED[:1]}, f"Synapse {2**53}", f"synapse-{2**53}"),
        (
            {"synapses": NAMED},
            f"Synapses {2**53}, {2**53 + 1}, {2**53 + 2} and 2 more",
            f"synapse-{2**53}-and-4-more",
        ),
    ],
)
def test_a_link_is_named_after_its_cells_or_synapses(changes, heading, file_name) -> None:
    """At most three are named in a heading, and one in the name of a file."""
    link = example_link(**changes)
    assert (link.heading, link.file_name) == (heading, file_name)
    named = heading.removeprefix("Synapses of ")
    assert link.subject == f"{named[0].lower()}{named[1:]}"


def test_a_state_of_no_known_cell_has_a_name_all_the_same() -> None:
    """Its cell is 0."""
    link = replace(example_link(), provenance=Provenance())
    assert (link.cells, link.subject, link.file_name) == ((), "0", "view")


def test_what_a_link_says_is_what_its_provenance_says() -> None:
    """Parts that were not asked for are None, and tags are in the order of the layers."""
    plain = example_link()
    assert (plain.multi_input, plain.cell_types, plain.all_synapses) == (None, None, None)
    assert (plain.followed, plain.live) == ((), False)
    link = example_link(
        multi_input=MultiInput("spines", {"inputs": {"soma": 1}}),
        cell_types=CellTypes("view", "column", known=1),
        followed=(Replacement(P, A),),
        live=True,
        all_synapses={"inputs": 9},
        counts={"inputs": {"unlabelled": 1, "odd": 2, "spine": 3}},
    )
    assert link.multi_input == {"table": "spines", "former_tags": {"inputs": {"soma": 1}}}
    assert (link.cell_types or {})["view"] == "view"
    assert link.followed == ({"given": str(P), "used": str(A)},)
    assert (link.live, link.all_synapses) == (True, {"inputs": 9})
    assert [*link.counts_by_tag["inputs"].items()] == [("spine", 3), ("odd", 2), ("unlabelled", 1)]


def test_equal_links_have_equal_hashes_whatever_time_they_took() -> None:
    """The address and the state tell links apart."""
    link = example_link()
    later = replace(link, elapsed_s=9.0)
    assert (later == link, hash(later) == hash(link)) == (True, True)
    others = [replace(link, url="https://other.org/"), replace(link, state_sha256="cd" * 32)]
    assert len({link, later, *others}) == 3


def test_a_link_is_opened_without_a_request() -> None:
    """With its own state and the viewer of its address."""
    link = example_link()
    opened = link.opened()
    assert (opened.url, opened.state) == (link.url, {"layers": []})
    assert opened.site == "https://spelunker.cave-explorer.org/"
    assert opened.login_host == STATES.split("/")[2]


def test_a_changed_record_is_not_a_link() -> None:
    """Whoever changed the file of a cache does not change what a link shows."""
    link = example_link()
    with pytest.raises(ValueError, match="shown"):
        Link.from_record({**link.to_record(), "shown": "many"}, link.state_json)
    with pytest.raises(KeyError):
        Link.from_record({"cell": "5"}, link.state_json)


LONG = "https://viewer.org/#!" + "x" * 300


@pytest.mark.parametrize(
    ("given", "reason", "sentence"),
    [
        ("12x", "'12x' is not a cell.", "'12x' is not a cell."),
        ("nucleus:5", "No cell.", "nucleus:5: No cell."),
        (LONG, "No cell.", f"{LONG[:199]}…: No cell."),
        (LONG, f"The link {LONG[:199]}… is wrong.", f"The link {LONG[:199]}… is wrong."),
        ("a\x1bb", "No cell.", "a b: No cell."),
    ],
)
def test_a_skipped_cell_is_named_once(given, reason, sentence) -> None:
    """Cut if it is long, and without control characters."""
    assert Skipped(given, reason, "Look.", 3).sentence == sentence


def test_a_skipped_cell_has_the_advice_of_its_error() -> None:
    """With the pointer to `synglancer doctor` where that helps."""
    assert Skipped.from_error("5", CellError("No.", "Look.")) == Skipped("5", "No.", "Look.", 3)
    error = ServiceError("No.", "Wait.")
    assert Skipped.from_error("5", error) == Skipped("5", "No.", error.advice, 4)
