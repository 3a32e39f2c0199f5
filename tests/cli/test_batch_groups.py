"""Batches in groups need few requests, and make the same links as one by one."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN
from synglancer import Link, Skipped, make_links
from synglancer import make_link as make_one
from synglancer.cave.client import Cave
from synglancer.columns import CELL_COLUMN
from synglancer.errors import BadAnswerError, ServiceError, SynglancerError, UnreachableError

UNKNOWN = "864691135000000001"
ODD = [
    CELL,
    UNKNOWN,
    str(who.OUTDATED_ONE_SUCCESSOR),
    str(who.OUTDATED_SPLIT),
    str(who.SPLIT_FRAGMENT),
    str(who.PARTNERS[0].root_id),
    "12x",
]
"""Large cells with synapses between them, followed and refused cells, and a typing error."""


@pytest.fixture(scope="module")
def small(sample) -> list[str]:
    """Root IDs with few rows, like most partners in the sample."""
    table = sample / who.MINNIE / "tables" / f"{who.SYNAPSE_TABLE}.parquet"
    synapses = pd.read_parquet(table, columns=["pre_pt_root_id", "post_pt_root_id"])
    ends = pd.concat([synapses["pre_pt_root_id"], synapses["post_pt_root_id"]])
    large = (str(partner.root_id) for partner in who.PARTNERS)
    known = {*ODD, *large, "0"}
    return sorted({str(cell) for cell in ends.unique()} - known)


def tell(made: Link | Skipped | SynglancerError) -> tuple:
    """Return the parts of a link or a reason that must be equal."""
    if isinstance(made, Link):
        return (made.state_sha256, made.counts_by_tag, made.warnings)
    if isinstance(made, Skipped):
        return (made.reason, made.hint, made.exit_code)
    return (str(made), made.hint, made.exit_code)


def ask_alone(cell: str, **options) -> tuple:
    """Make one link in a new session."""
    try:
        return tell(make_one(cell, no_cache=True, **options))
    except SynglancerError as error:
        return tell(error)


def count(sandbox, end: str) -> int:
    return sum(request.path.endswith(end) for request in sandbox.requests)


def test_100_cells_cost_few_requests(sandbox, small) -> None:
    """100 ordinary cells cost 0.1 queries and 2.2 requests each, and get the same links as one by
    one. When repeated, each costs one request, which finds its link.
    """
    cells = random.Random(11).sample(small, 100)
    links = make_links(cells, server=sandbox.origin)
    assert count(sandbox, "/query") <= 0.1 * len(cells)
    assert len(sandbox.requests) <= 2.2 * len(cells)
    for cell, link in [*zip(cells, links, strict=True)][::20]:
        assert tell(link) == ask_alone(cell, server=sandbox.origin)
    sandbox.take_requests()
    again = make_links(cells[:30], server=sandbox.origin)
    assert [link.url for link in again] == [link.url for link in links[:30]]
    assert len(sandbox.requests) == 30


def test_a_batch_that_stopped_asks_for_the_rest_only(sandbox, small) -> None:
    """If half of the links are known, only the rows of the others are queried."""
    cells = small[:20]
    make_links(cells[::2], server=sandbox.origin)
    asked = []
    fetch = Cave.fetch_predictions

    def note(self, datastack, at, table, some, direction):
        asked.extend(map(str, some))
        return fetch(self, datastack, at, table, some, direction)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cave, "fetch_predictions", note)
        make_links(cells, server=sandbox.origin)
    assert Counter(asked) == dict.fromkeys(cells[1::2], 2)


#: Inline links need no upload, which is half of the work; an upload sends the same bytes.
ASKED = {"inline": True}
OPTIONS = (
    {},
    {"with_unlabelled": True, "min_confidence": 0.8},
    {"with_total": True, "outputs": True},
    {"multi_input": True},
    {"cell_types": True, "with_unlabelled": True},
    {"version": 661},
    {"version": 661, "with_unlabelled": True},
    {"version": 661, "multi_input": True},
    {"strict": True},
)


def test_links_in_groups_are_those_of_single_cells(options, monkeypatch, small) -> None:
    """Any cells in any order, with any options, get the same bytes, counts and warnings as one by
    one, even if the server cuts long answers off; refused cells get the same reason."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    with Sandbox(replace(options, row_limit=700)) as sandbox:

        @cache
        def alone(cell: str, number: int) -> tuple:
            return ask_alone(cell, **ASKED, server=sandbox.origin, **OPTIONS[number])

        @settings(
            max_examples=5,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
        )
        @given(
            cells=st.lists(st.sampled_from([*ODD, *small[:12]]), min_size=3, max_size=6),
            number=st.sampled_from(range(len(OPTIONS))),
            no_cache=st.booleans(),
        )
        def compare(cells: list[str], number: int, *, no_cache: bool) -> None:
            asked = {**ASKED, "server": sandbox.origin, "no_cache": no_cache, **OPTIONS[number]}
            made = make_links(cells, **asked)
            assert [tell(link) for link in made] == [alone(cell, number) for cell in cells]

        compare()


@pytest.mark.parametrize(
    "wanted", [OPTIONS[2], {**OPTIONS[1], **OPTIONS[4]}, OPTIONS[7], OPTIONS[8]]
)
def test_odd_cells_in_a_group(sandbox, small, wanted) -> None:
    """In a group, cells with mutual synapses, autapses, edits or no rows get the same links as
    alone."""
    asked = {**ASKED, "server": sandbox.origin, **wanted}
    cells = [small[0], *ODD, small[1]]
    made = make_links(cells, no_cache=True, **asked)
    assert [tell(link) for link in made] == [ask_alone(cell, **asked) for cell in cells]


@pytest.mark.parametrize("error", [ServiceError, BadAnswerError, UnreachableError])
def test_a_cell_that_spoils_its_group_is_named(sandbox, small, monkeypatch, error) -> None:
    """If a service fails for one cell of a group, only that cell is skipped."""
    cells, fetch = small[:9], Cave.fetch_predictions

    def stumble(self, datastack, at, table, some, direction):
        if int(cells[5]) in some:
            raise error("The service stumbled.", "Try again.")
        return fetch(self, datastack, at, table, some, direction)

    monkeypatch.setattr(Cave, "fetch_predictions", stumble)
    made = make_links(cells, server=sandbox.origin)
    reasons = [link.reason if isinstance(link, Skipped) else None for link in made]
    assert reasons == [None] * 5 + ["The service stumbled."] + [None] * 3


def test_a_missing_number_stays_its_own_cell_s(sandbox, small, monkeypatch) -> None:
    """A missing ID in one cell's rows, which turns all IDs into floats, rounds no other cell's
    IDs."""
    cells, fetch = small[:9], Cave.fetch_predictions

    def lose(self, datastack, at, table, some, direction):
        raw = fetch(self, datastack, at, table, some, direction)
        if int(cells[5]) not in some:
            return raw
        column = CELL_COLUMN[direction]
        return raw.assign(id=raw["id"].astype(float).where(raw[column] != int(cells[5])))

    monkeypatch.setattr(Cave, "fetch_predictions", lose)
    made = make_links(cells, server=sandbox.origin)
    good = [link for cell, link in zip(cells, made, strict=True) if cell != cells[5]]
    assert [tell(link) for link in good] == [
        ask_alone(cell, server=sandbox.origin) for cell in cells if cell != cells[5]
    ]


def test_groups_at_a_row_limit_are_smaller(options, monkeypatch, small) -> None:
    """After a cut-off answer, the next groups have at most half as many rows as the limit."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    large = [CELL, *(str(partner.root_id) for partner in who.PARTNERS)]
    sizes, fetch = [], Cave.fetch_predictions

    def note(self, datastack, at, table, some, direction):
        if direction == "inputs":
            sizes.append(len(some))
        return fetch(self, datastack, at, table, some, direction)

    monkeypatch.setattr(Cave, "fetch_predictions", note)
    with Sandbox(replace(options, row_limit=400)) as sandbox:
        made = make_links([small[0], *large, *small[1:30]], server=sandbox.origin)
    assert all(isinstance(link, Link) for link in made)
    assert sizes[:2] == [1, 10]
    assert sizes[2] == 2


def test_make_link_asks_for_its_cells_in_groups(sandbox, make_link, small) -> None:
    """The command needs no more requests than a batch in Python, and prints one link per line."""
    cells = random.Random(12).sample(small, 60)
    made = make_link(*cells, "--quiet")
    links = made.out.split()
    assert (made.code, len(links)) == (0, 60)
    told = made.err.splitlines()  # with --quiet, only of cells without a synapse
    assert all("has no synapse" in line and line.partition(":")[0] in cells for line in told)
    assert told
    assert len(sandbox.requests) <= 2.3 * len(cells)
    again = make_link(*cells, cells[0], "12345", "--quiet", "--workers", "2")
    assert again.code == 5
    assert again.out.split() == [*links, links[0]]
    assert "12345" in again.err
