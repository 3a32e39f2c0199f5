"""Batches of synapses in groups need few requests, and make the same links as one by one."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cli.test_batch_groups import ASKED, ask_alone, count, tell
from synglancer import make_links

UNKNOWN = "synapse:5"


@pytest.fixture(scope="module")
def tables(sample) -> tuple[pd.DataFrame, set[int], pd.DataFrame]:
    """All synapses, the IDs of predicted ones, and the spines."""
    folder = sample / who.MINNIE / "tables"
    names = (who.SYNAPSE_TABLE, who.PREDICTION_TABLE, who.SPINE_TABLE)
    synapses, tags, spines = (pd.read_parquet(folder / f"{name}.parquet") for name in names)
    return synapses, {*tags["target_id"]}, spines


def choose(tables, number: int) -> list[str]:
    """Choose synapses with and without a prediction, and all synapses on some shared spines."""
    synapses, labelled, spines = tables
    known = synapses[(synapses["pre_pt_root_id"] != 0) & (synapses["post_pt_root_id"] != 0)]["id"]
    shared = spines[spines["group_id"] >= 0].groupby("group_id")["target_id"]
    several = [one for _, ids in shared if len(ids) > 1 for one in ids][: number // 4]
    rest = random.Random(5).sample([*known[known.isin(labelled)]], number - 2 * (number // 4))
    without = [*known[~known.isin(labelled)]][: number // 4]
    chosen = [f"synapse:{one}" for one in dict.fromkeys([*rest, *several, *without])]
    random.Random(6).shuffle(chosen)
    return chosen


def test_40_synapses_cost_few_requests(sandbox, make_link, tables) -> None:
    """40 synapses cost six queries and 2.3 requests each, and one request each when repeated."""
    synapses = choose(tables, 40)
    made = make_link(*synapses, "--quiet")
    assert (made.code, len(made.lines), made.err) == (0, 40, "")
    assert count(sandbox, "/query") == 6
    assert len(sandbox.requests) <= 2.3 * len(synapses)
    sandbox.take_requests()
    again = make_link(*synapses[:15], "--quiet")
    assert again.lines == made.lines[:15]
    assert len(sandbox.requests) == 15


def test_others_on_spines_are_asked_for_in_groups(sandbox, tables) -> None:
    """With the other synapses on their spines, each of the three groups costs five queries."""
    synapses = choose(tables, 24)
    links = make_links(synapses, server=sandbox.origin, multi_input=True, **ASKED)
    assert any(one.same_spine for link in links for one in link.provenance.synapses)
    assert count(sandbox, "/query") <= 3 * 5


OPTIONS = ({"cell_types": True}, {"version": 661})


@pytest.mark.parametrize("wanted", OPTIONS)
def test_links_in_groups_are_those_of_single_synapses(sandbox, tables, wanted) -> None:
    """Synapses among cells and invalid words get the same bytes and reasons as alone."""
    given = [*choose(tables, 4), UNKNOWN, "synapse:x", str(who.PARTNERS[0].root_id)]
    random.Random(7).shuffle(given)
    asked = {**ASKED, "server": sandbox.origin, "multi_input": True, **wanted}
    alone = [ask_alone(one, **asked) for one in given]
    made = make_links(given, no_cache=True, **asked)
    assert [tell(link) for link in made] == alone
