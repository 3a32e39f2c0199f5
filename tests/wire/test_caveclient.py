"""The real caveclient, against a sandbox with the recorded rows."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from cave_sandbox.server import Sandbox, SandboxOptions

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

DATA = Path(__file__).parent.parent / "data" / "wire"
SEED = 864691135276234469
EMPTY = 864691135111111111
SYNAPSES = "synapses_pni_2"
PREDICTIONS = "synapse_target_predictions_ssa_v2"


def connect(origin, **given):
    from caveclient import CAVEclient

    options = {"auth_token": "GOOD_TOKEN", "version": 1718, **given}
    return CAVEclient("minnie65_public", server_address=origin, write_server_cache=False, **options)


@pytest.fixture(scope="module")
def client(serve):
    return connect(serve().origin)


def read_recorded(name):
    return pa.ipc.open_stream((DATA / "bodies" / name).read_bytes()).read_all().to_pandas()


def sort_rows(frame):
    return frame.sort_values("id").reset_index(drop=True)


@pytest.mark.parametrize(
    ("side", "body"), [("post", "1b5f4daf412d.arrow"), ("pre", "48a046265af6.arrow")]
)
def test_the_notebook_gets_from_the_sandbox_what_it_gets_from_cave(client, side, body):
    """The notebook's own query returns the recorded columns, dtypes and rows."""
    table = client.materialize.tables.synapse_target_predictions_ssa_v2
    query = table(**{f"{side}_pt_root_id": SEED})
    found = query.query(desired_resolution=[1, 1, 1], split_positions=True)
    pd.testing.assert_frame_equal(sort_rows(found), sort_rows(read_recorded(body)))


def test_an_empty_answer_has_the_recorded_columns_and_dtypes(client):
    """A cell without synapses gives no rows, with the columns and dtypes of CAVE's empty answer."""
    table = client.materialize.tables.synapse_target_predictions_ssa_v2
    found = table(post_pt_root_id=EMPTY).query(desired_resolution=[1, 1, 1], split_positions=True)
    assert len(found) == 0
    pd.testing.assert_frame_equal(found, read_recorded("96c4885387ac.arrow"), check_dtype=True)


def test_positions_come_joined_unless_they_are_asked_for_apart(client):
    """Without split positions, caveclient makes one column of three numbers each."""
    found = client.materialize.query_table(SYNAPSES, limit=2, log_warning=False)
    assert [len(point) for point in found["ctr_pt_position"]] == [3, 3]


def query_ids(client, **filters):
    found = client.materialize.query_table(
        SYNAPSES, split_positions=True, log_warning=False, metadata=False, **filters
    )
    return found.set_index("id")


def test_each_filter_keeps_the_rows_that_meet_it(client):
    """All nine filters of a single-table query keep exactly the rows that pandas keeps."""
    rows = query_ids(client)
    size = rows["size"]
    some = [int(rows.index[0]), int(rows.index[5])]
    low = rows[[f"ctr_pt_position_{axis}" for axis in "xyz"]].iloc[:40].min()
    high = rows[[f"ctr_pt_position_{axis}" for axis in "xyz"]].iloc[:40].max()
    box = [low.astype(int).tolist(), high.astype(int).tolist()]
    centre = rows[[f"ctr_pt_position_{axis}" for axis in "xyz"]].to_numpy()
    inside = ((centre >= box[0]) & (centre <= box[1])).all(axis=1)
    threshold = float(size.iloc[3])
    cases = {
        "filter_in_dict": ({"id": some}, rows.index.isin(some)),
        "filter_out_dict": ({"id": some}, ~rows.index.isin(some)),
        "filter_equal_dict": ({"post_pt_root_id": SEED}, rows["post_pt_root_id"] == SEED),
        "filter_greater_dict": ({"size": threshold}, size > threshold),
        "filter_less_dict": ({"size": threshold}, size < threshold),
        "filter_greater_equal_dict": ({"size": threshold}, size >= threshold),
        "filter_less_equal_dict": ({"size": threshold}, size <= threshold),
        "filter_spatial_dict": ({"ctr_pt_position": box}, inside),
    }
    for name, (condition, kept) in cases.items():
        found = query_ids(client, **{name: condition})
        assert set(found.index) == set(rows.index[np.asarray(kept, bool)]), name
        assert 0 < len(found) < len(rows), name


def test_a_regular_expression_keeps_the_texts_that_it_matches(client):
    """A regular expression may match anywhere in a text."""
    found = client.materialize.query_table(
        PREDICTIONS, filter_regex_dict={"tag": "^s.*[ae]"}, merge_reference=False, metadata=False,
        log_warning=False,
    )  # fmt: skip
    assert set(found["tag"]) == {"spine", "shaft", "soma"}
    found = client.materialize.query_table(
        PREDICTIONS, filter_regex_dict={"tag": "ine$"}, merge_reference=False, metadata=False,
        log_warning=False,
    )  # fmt: skip
    assert set(found["tag"]) == {"spine"}


def test_a_random_sample_has_the_size_that_was_asked_for(client):
    """A random sample of ten rows consists of ten rows of the table."""
    found = query_ids(client, random_sample=10)
    assert len(found) == 10


def test_a_truncated_answer_says_so(serve):
    """A query that reaches the row limit has the recorded warning."""
    limited = connect(serve(row_limit=50).origin).materialize
    warned = []
    limited.session.hooks["response"].append(
        lambda response, **_: warned.append(response.headers.get("Warning"))
    )
    found = limited.query_table(
        SYNAPSES, filter_equal_dict={"post_pt_root_id": SEED}, log_warning=False, metadata=False
    )
    assert len(found) == 50
    assert '201 - "Limited query to 50 rows' in warned


def test_two_clients_may_ask_at_the_same_time(serve):
    """Queries that run in parallel all get complete answers."""
    from concurrent.futures import ThreadPoolExecutor

    origin = serve().origin
    clients = [connect(origin) for _ in range(4)]

    def ask(client):
        return len(query_ids(client, filter_equal_dict={"post_pt_root_id": SEED}))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, clients)) == [341] * 4


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A datastack in which root 10 became 20, and root 30 became 40 and 50."""
    folder = tmp_path_factory.mktemp("history")
    columns = [f"{pt}_pt_position_{axis}" for pt in ("pre", "ctr", "post") for axis in "xyz"]
    head = ["id", *columns, "size", "pre_pt_root_id", "post_pt_root_id"]
    rows = [[1, *range(9), 5.0, 20, 40], [2, *range(9), 6.0, 50, 60]]
    pd.DataFrame(rows, columns=head).to_csv(folder / "synapses.csv", index=False)
    (folder / "roots.csv").write_text(
        "root_id,created,expired,successors\n"
        "10,2021-01-01T00:00:00Z,2023-01-01T00:00:00Z,20\n"
        "30,2021-01-01T00:00:00Z,2024-01-01T00:00:00Z,40 50\n"
    )
    (folder / "datastack.json").write_text(json.dumps({"name": "small"}))
    options = SandboxOptions(data=folder, states=folder / "states.db", token="t")
    with Sandbox(options) as sandbox:
        from caveclient import CAVEclient

        yield CAVEclient(
            "small", server_address=sandbox.origin, auth_token="t", write_server_cache=False,
            version=1718,
        ).chunkedgraph  # fmt: skip


def timestamp(year):
    return dt.datetime(year, 6, 1, tzinfo=dt.timezone.utc)


def test_root_ids_are_latest_only_while_they_are_valid(history):
    """An expired root ID is not the latest, its successor is, and an unknown one never is."""
    ids = [10, 20, 30, 40, 50, 60, 99]
    latest = history.is_latest_roots(ids, timestamp=timestamp(2026))
    assert latest.tolist() == [False, True, False, True, True, True, False]
    latest = history.is_latest_roots(ids, timestamp=timestamp(2022))
    assert latest.tolist() == [True, False, True, False, False, True, False]


def test_suggestions_name_the_largest_part_first(history):
    """For a split root ID, the first successor is suggested, and the second with a smaller
    share."""
    assert history.suggest_latest_roots(10, timestamp=timestamp(2026)) == 20
    roots, shares = history.suggest_latest_roots(
        30, timestamp=timestamp(2026), return_all=True, return_fraction_overlap=True
    )
    assert roots.tolist() == [40, 50]
    assert shares.tolist() == [0.75, 0.25]


def test_latest_roots_follow_time_forwards_and_backwards(history):
    """The successors are found from the expired root ID, and the root ID from each of them."""
    assert sorted(history.get_latest_roots(30, timestamp=timestamp(2026))) == [40, 50]
    assert history.get_latest_roots(10, timestamp=timestamp(2022)).tolist() == [10]
    assert history.get_latest_roots(40, timestamp=timestamp(2022)).tolist() == [30]


def test_root_timestamps_say_when_root_ids_began(history):
    """A root ID begins when the file says so, and its successor when it ends."""
    began = history.get_root_timestamps([10, 20])
    assert [item.year for item in began] == [2021, 2023]
    ended = history.get_root_timestamps([10], latest=True, timestamp=timestamp(2026))
    assert ended[0].year == 2022


def test_past_ids_are_those_that_held_the_same_parts(history):
    """Both successors of a root ID have it as their past."""
    found = history.get_past_ids([40, 50], timestamp_past=timestamp(2022))
    assert found["past_id_map"] == {40: [30], 50: [30]}


def test_supervoxels_lead_back_to_their_root_id(history):
    """Every supervoxel of a root ID belongs to it, and later to its replacement."""
    leaves = history.get_leaves(30)
    assert set(history.get_roots(leaves, timestamp=timestamp(2022))) == {30}
    assert set(history.get_roots(leaves, timestamp=timestamp(2026))) == {40, 50}
    assert history.get_root_id(int(history.get_leaves(60)[0]), timestamp=timestamp(2026)) == 60
    assert history.get_oldest_timestamp().year == 2020
