"""Versions given by number, by day and as latest; and expired versions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN

OLD = str(who.PARTNERS[2].root_id)
"""A cell that was never edited, so it was valid at every version."""


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ("latest", 1822),
        ("1822", 1822),
        ("v1822", 1822),
        ("2026-06-28", 1822),
        ("2026-06-27", 1822),
        ("2026-06-26", 1718),
        ("2026-03-07", 1718),
    ],
)
def test_a_version_is_a_number_a_day_or_the_latest(
    lasting_sandbox, make_link, given, version
) -> None:
    """A day means the version made on it (UTC), or else the newest one before it."""
    record = json.loads(make_link(CELL, "--version", given, "--output", "json").out)
    assert record["version"] == version


def test_the_day_of_an_expired_version_means_that_version(sandbox, make_link) -> None:
    """A day that was printed beside a version means that version, even if it has expired."""
    record = json.loads(make_link(OLD, "--version", "2023-04-06", "--output", "json").out)
    assert (record["version"], record["live"]) == (661, True)


def test_a_day_before_all_versions_is_refused(sandbox, make_link) -> None:
    """If no version is old enough, the error names the available versions and a permanent one."""
    make_link(CELL, "--version", "2021-06-10").refuses(4, "117, 943, 1300", "117 (2021-06-11)")


def test_an_unknown_version_names_those_that_are_there(sandbox, make_link) -> None:
    """The hint lists the available versions and the nearest permanent one."""
    make_link(CELL, "--version", "1000").refuses(4, "no version 1000", "1718", "943 (2024-01-22)")


def test_an_expired_version_is_asked_for_live(sandbox, make_link, sample) -> None:
    """An expired version gives the rows of a live query at its timestamp, and a warning."""
    made = make_link(OLD, "--version", "661", "--with-total", "--output", "json")
    assert made.code == 0, made.err
    record = json.loads(made.out)
    tables = sample / who.MINNIE / "tables"
    synapses = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet")
    predictions = pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet")
    joined = synapses.merge(predictions, left_on="id", right_on="target_id", suffixes=("", "_ref"))
    for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id")):
        mine = joined[joined[column] == int(OLD)]
        assert record["counts"][direction] == mine["tag"].value_counts().sort_index().to_dict()
        assert record["all_synapses"][direction] == (synapses[column] == int(OLD)).sum()
    assert (record["version"], record["live"]) == (661, True)
    assert record["timestamp"] == "2023-04-06T20:17:09.199182Z"
    assert "has expired" in record["warnings"][0]
    assert "Deprecation" not in made.err
    live = [item for item in sandbox.requests if item.path.endswith(f"{who.MINNIE}/query")]
    assert live
    state = make_link(OLD, "--version", "661", "--quiet")
    assert state.out.strip() != record["url"], "another question: without the total"
    assert "has expired" in state.err


def test_live_rows_lie_where_the_versions_rows_lie(sandbox, make_link) -> None:
    """Live rows are the same synapses at the same positions in nm, with the root IDs of that
    time."""
    from synglancer import make_link as api

    now = api(OLD, server=sandbox.origin).predictions.set_index("id")
    live = api(OLD, server=sandbox.origin, version=661).predictions.set_index("id")
    ends = ["pre_pt_root_id", "post_pt_root_id"]
    merged = [partner.root_id for partner in who.PARTNERS[:2]]
    then = dict.fromkeys(merged, who.OUTDATED_MERGED_CELLS) | {int(CELL): who.OUTDATED_SPLIT}
    assert now[ends].isin(list(then)).to_numpy().any()
    now[ends] = now[ends].replace(then)
    pd.testing.assert_frame_equal(live.sort_index(), now.sort_index())


def test_a_root_id_is_checked_at_an_expired_version(sandbox, make_link) -> None:
    """A root ID that was not valid at an expired version is followed back, or refused with
    --strict."""
    asked = (CELL, "--version", "661")
    make_link(*asked, "--strict").refuses(3, "not valid", str(who.OUTDATED_SPLIT))
    made = make_link(*asked, "--with-total", "--output", "json")
    record = json.loads(made.out)
    assert record["cell"] == str(who.OUTDATED_SPLIT)
    assert f"predecessor {who.OUTDATED_SPLIT}, which holds its nucleus, is used" in made.err
    every = (who.UNLABELLED_INPUTS, who.INPUT_PREDICTIONS)
    assert record["counts"]["inputs"] == who.INPUT_PREDICTIONS
    assert record["all_synapses"]["inputs"] == sum(sum(tags.values()) for tags in every)


def test_refused_live_queries_name_other_versions(
    options, loaded_sample, make_link, monkeypatch
) -> None:
    """If live queries are refused, the available versions are named; exit code 4."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    broken = replace(options, fault="POST /materialize/api/v3/datastack/minnie65_public/query=500")
    with Sandbox(broken, loaded_sample) as sandbox:
        outcome = make_link(OLD, "--version", "661", "--server", sandbox.origin)
    outcome.refuses(4, "live query at its timestamp was refused", "1718", "943 (2024-01-22)")


def test_a_private_table_is_named_as_such(
    options, sample, tmp_path, make_link, monkeypatch
) -> None:
    """A table that the token may not read is an error that names it, and does not ask for a
    login."""
    folder = tmp_path / "private"
    shutil.copytree(sample / who.MINNIE, folder)
    path = folder / "datastack.json"
    described = json.loads(path.read_text("utf-8"))
    described["tables"][who.PREDICTION_TABLE]["read_permission"] = "PRIVATE"
    path.write_text(json.dumps(described), encoding="utf-8")
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    with Sandbox(replace(options, data=folder)) as sandbox:
        made = make_link(CELL, "--server", sandbox.origin)
    made.refuses(4, "is private", who.PREDICTION_TABLE, "ask its owner")
    assert "later" not in made.err


def test_what_never_was_a_root_id_is_no_cell(sandbox, make_link) -> None:
    """If a chunked graph gives no timestamp for a root ID, the ID is unknown; exit code 3."""
    make_link("864691135000000007").refuses(3, "864691135000000007")
    asked = [item.path.rsplit("/", 1)[-1] for item in sandbox.requests]
    assert "root_timestamps" in asked


@pytest.mark.parametrize(
    "words",
    [
        ("link", CELL, "--version", "99999"),
        ("link", CELL, CELL, "--together", "--version", "99999"),
        ("report", CELL, "-o", "report.csv", "--version", "99999"),
        ("compare", CELL, "--from", "99999"),
        ("compare", CELL, "--to", "99999"),
        ("compare", CELL, "--version", "99999"),
        ("publish", "cave", "--table", "x", "--version", "99999", "-o", "source"),
        ("link", CELL, "--publish-to", "source", "--version", "99999"),
    ],
)
def test_a_version_that_is_not_there_has_one_exit_code(
    sandbox, synglancer, monkeypatch, tmp_path, words
) -> None:
    """Every command exits with 4 where the service has no such version, and names those it has."""
    monkeypatch.chdir(tmp_path)
    synglancer(*words).refuses(4, "no version 99999", "1718")
