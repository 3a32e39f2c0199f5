"""Live queries: the root IDs of rows at a timestamp, and which of them can be requested."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import requests

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox, SandboxOptions

TOKEN = {"Authorization": "Bearer right"}
ENDS = ("pre_pt", "post_pt")
POSITIONS = [f"{pt}_pt_position_{axis}" for pt in ("pre", "ctr", "post") for axis in "xyz"]
AT_661 = "2023-04-06T20:17:09.199182"


def ask_live(sandbox, table, timestamp, arguments="", **conditions):
    """Return the status of a live query and its rows, or its message."""
    address = f"{sandbox.origin}/materialize/api/v3/datastack/{who.MINNIE}/query"
    asked = {"table": table, "timestamp": timestamp}
    asked |= {key: {table: value} for key, value in conditions.items()}
    answer = requests.post(
        f"{address}?return_pyarrow=False&direct_sql_pandas=True{arguments}",
        data=json.dumps(asked), headers=TOKEN, timeout=60,
    )  # fmt: skip
    given = answer.json()
    return answer.status_code, given if answer.ok else given.get("message", given)


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    """A sandbox with two synapses, and a root ID that replaced another one."""
    folder = tmp_path_factory.mktemp("edited")
    rows = [[1, *range(9), 1.0, 10, 20], [2, *range(9), 1.0, 20, 10]]
    columns = ["id", *POSITIONS, "size", "pre_pt_root_id", "post_pt_root_id"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "synapses.csv", index=False)
    history = "root_id,created,expired,successors\n5,2020-01-01,2021-01-01,20\n"
    (folder / "roots.csv").write_text(history)
    options = SandboxOptions(data=folder, states=folder / "s.db", token="right")
    with Sandbox(options) as running:
        yield running


@pytest.mark.parametrize(
    ("timestamp", "asked", "refused", "found"),
    [
        ("2026-01-01T00:00:00Z", [5], [5], []),
        ("2020-06-01", [20], [20], []),
        ("2020-06-01", [5, 7, 0], [0, 7], [1]),
    ],
)
def test_root_ids_that_are_not_valid_then_are_refused(edited, timestamp, asked, refused, found):
    """Expired, future and unknown root IDs are refused, unless invalid ones are allowed."""
    wanted = {"post_pt_root_id": asked}
    status, message = ask_live(edited, "synapses", timestamp, filter_in_dict=wanted)
    end = f"not valid at the query timestamp: {refused}"
    assert status == 500
    assert message.endswith(end)
    allowed = "&allow_invalid_root_ids=True"
    status, rows = ask_live(edited, "synapses", timestamp, allowed, filter_in_dict=wanted)
    assert (status, [row["id"] for row in rows]) == (200, found)


def test_what_is_no_timestamp_is_refused(edited):
    """An invalid timestamp in the body is a client error."""
    status, answer = ask_live(edited, "synapses", "soon")
    assert status == 500
    assert "timestamp" in answer["schema_errors"]


def test_rows_have_the_root_ids_of_their_timestamp(edited):
    """A replaced root ID in the rows becomes its replacement, and filters use the replacement."""
    early = "2020-06-01T00:00:00"

    def ends(**conditions):
        status, rows = ask_live(edited, "synapses", early, **conditions)
        assert status == 200
        return [(row["id"], *(row[f"{end}_root_id"] for end in ENDS)) for row in rows]

    assert ends() == [(1, 10, 5), (2, 5, 10)]
    assert ends(filter_equal_dict={"post_pt_root_id": 5}) == [(1, 10, 5)]
    assert ends(filter_notin_dict={"pre_pt_root_id": [5, 20]}) == [(1, 10, 5)]
    assert ends(filter_greater_dict={"pre_pt_root_id": 9}) == [(1, 10, 5)]
    later = ask_live(edited, "synapses", "2021-06-01")[1]
    assert [row["post_pt_root_id"] for row in later] == [20, 10]


@pytest.mark.parametrize(
    ("moment", "seed"),
    [
        (AT_661, who.OUTDATED_SPLIT),
        ("2026-03-07T08:10:02", who.SEED_ROOT_ID),
        ("2026-06-28T00:00:00", who.EDITED_SEED),
    ],
)
def test_rows_and_the_chunked_graph_agree(sample, tmp_path, moment, seed):
    """In a live query, each synapse of the sample has the root IDs of its supervoxels."""
    options = SandboxOptions(data=sample, states=tmp_path / "s.db", token="right")
    with Sandbox(options) as sandbox:
        rows = pd.DataFrame(ask_live(sandbox, who.SYNAPSE_TABLE, moment)[1])
        address = f"{sandbox.origin}/segmentation/api/v1/table/{who.MINNIE}/roots_binary"
        seconds = pd.Timestamp(moment, tz="UTC").timestamp()
        for end in ENDS:
            asked = rows[f"{end}_supervoxel_id"].to_numpy("<u8")
            found = requests.post(
                address, asked.tobytes(), params={"timestamp": seconds}, headers=TOKEN, timeout=60
            )
            assert (rows[f"{end}_root_id"] == np.frombuffer(found.content, "<u8")).all()
        own = {"post_pt_root_id": seed}
        inputs = ask_live(sandbox, who.SYNAPSE_TABLE, moment, filter_equal_dict=own)[1]
    assert len(rows) > 3_000
    every = sum(who.INPUT_PREDICTIONS.values()) + sum(who.UNLABELLED_INPUTS.values())
    cut = int((rows["post_pt_root_id"] == who.CUT_DENDRITE).sum())
    assert len(inputs) == every - cut
    assert bool(cut) == (seed == who.EDITED_SEED)


def test_a_merged_piece_was_a_segment_of_its_own(sample, tmp_path):
    """Between two edits, a supervoxel belongs to the result of the first one."""
    tables = sample / who.MINNIE / "tables"
    before = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet").set_index("id")
    after = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}@1822.parquet").set_index("id")
    seconds = pd.Timestamp("2026-05-01", tz="UTC").timestamp()
    ends = {
        ("post", who.SEED_ROOT_ID, who.EDITED_SEED): who.SEED_BETWEEN,
        ("post", who.SEED_ROOT_ID, who.CUT_DENDRITE): who.CUT_DENDRITE,
        ("pre", who.ADDED_AXON, who.EDITED_SEED): who.ADDED_AXON,
    }
    options = SandboxOptions(data=sample, states=tmp_path / "s.db", token="right")
    with Sandbox(options) as sandbox:
        address = f"{sandbox.origin}/segmentation/api/v1/table/{who.MINNIE}/node"
        for (end, old, new), between in ends.items():
            own, root = f"{end}_pt_supervoxel_id", f"{end}_pt_root_id"
            one = before[(before[root] == old) & (after[root] == new)].iloc[0]
            asked = {"timestamp": seconds}
            found = requests.get(
                f"{address}/{one[own]}/root", params=asked, headers=TOKEN, timeout=60
            )
            assert found.json() == {"root_id": between}
