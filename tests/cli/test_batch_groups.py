"""Batches in groups need few requests, and make the same links as one by one."""

from __future__ import annotations

import random
from dataclasses import replace

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN
from synglancer import Link, Skipped, make_links
from synglancer import make_link as make_one
from synglancer.cave.client import Cave
from synglancer.errors import SynglancerError

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


def test_40_cells_cost_few_requests(sandbox, make_link, small) -> None:
    """40 ordinary cells are one and two groups, of 10 and 29; they cost seven queries and 2.3
    requests each, and get the same links as one by one, a line each. When repeated, in Python as
    well, each costs one request, which finds its link.
    """
    cells = random.Random(11).sample(small, 40)
    made = make_link(*cells, "--quiet")
    assert (made.code, len(made.lines)) == (0, 40)
    told = made.err.splitlines()  # with --quiet, only of cells without a synapse
    assert all("has no synapse" in line and line.partition(":")[0] in cells for line in told)
    assert told
    assert count(sandbox, "/query") == 3 + 2 * 2  # the first one's soma as well
    assert len(sandbox.requests) <= 2.3 * len(cells)
    sandbox.take_requests()
    again = make_links(cells[::4], server=sandbox.origin)
    assert [link.url for link in again] == made.lines[::4]
    assert len(sandbox.requests) == 10
    for cell, link in [*zip(cells[::4], again, strict=True)][::6]:
        assert tell(link) == ask_alone(cell, server=sandbox.origin)


#: Inline links need no upload, which is half of the work; an upload sends the same bytes.
ASKED = {"inline": True}


@pytest.mark.parametrize(
    ("odd", "wanted"),
    [
        (ODD, {"with_unlabelled": True, "cell_types": True, "with_total": True}),
        (ODD[-3:], {"version": 661, "multi_input": True}),
    ],
)
def test_odd_cells_in_a_group(sandbox, small, odd, wanted) -> None:
    """In a group, cells with mutual synapses, autapses, edits or no rows get the same bytes, counts
    and warnings as alone; refused cells get the same reason."""
    asked = {**ASKED, "server": sandbox.origin, **wanted}
    cells = [small[0], *odd]  # the first one is not in a group
    made = make_links(cells, no_cache=True, **asked)
    assert [tell(link) for link in made] == [ask_alone(cell, **asked) for cell in cells]


def test_groups_at_a_row_limit_are_smaller(options, loaded_sample, monkeypatch, small) -> None:
    """After a cut-off answer, the next groups have at most half as many rows as the limit; its
    links are complete."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    large = [CELL, *(str(partner.root_id) for partner in who.PARTNERS)]
    sizes, fetch = [], Cave.fetch_predictions

    def note(self, datastack, at, table, some, direction):
        if direction == "inputs":
            sizes.append(len(some))
        return fetch(self, datastack, at, table, some, direction)

    monkeypatch.setattr(Cave, "fetch_predictions", note)
    with Sandbox(replace(options, row_limit=400), loaded_sample) as sandbox:
        made = make_links([small[0], *large, *small[1:9]], server=sandbox.origin)
        assert tell(made[2]) == ask_alone(large[1], server=sandbox.origin)
    assert all(isinstance(link, Link) for link in made)
    assert sizes[:2] == [1, 10]
    assert sizes[2] == 2
