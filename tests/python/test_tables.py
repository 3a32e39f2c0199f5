"""Tables returned by a notebook's queries give the same link as querying again."""

from __future__ import annotations

import logging
import traceback

import numpy as np
import pandas as pd
import pytest
from caveclient import CAVEclient
from pandas.testing import assert_frame_equal

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import TOKEN
from synglancer import Link, make_link
from synglancer.cache.receipts import history_file, read_receipts
from synglancer.errors import CellError, SynglancerWarning, UsageError
from synglancer.links.kinds.given_rows import UNNAMED
from synglancer.python.tables import _check
from synglancer.settings import Settings
from synglancer.synapses.given import Pin

CELL = 864691135276234469
TABLE = "synapse_target_predictions_ssa_v2"
SIDES = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}
SPLIT = {"split_positions": True, "desired_resolution": [1, 1, 1]}


@pytest.fixture(autouse=True)
def _without_notices(caplog):
    caplog.set_level(logging.ERROR)


def query(client, direction="inputs", cell=CELL, **options) -> pd.DataFrame:
    """Query as in a notebook."""
    table = client.materialize.tables[TABLE]
    return table(**{SIDES[direction]: cell}).query(**options)


@pytest.fixture(scope="module")
def sandbox(sample, loaded_sample, tmp_path_factory):
    """One sandbox for all tests of this file."""
    states = tmp_path_factory.mktemp("states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=sample, states=states, token=TOKEN), loaded_sample) as running:
        yield running


@pytest.fixture(scope="module")
def first_client(sandbox):
    return CAVEclient(
        "minnie65_public", server_address=sandbox.origin, auth_token=TOKEN, version=1718,
        write_server_cache=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def queried(first_client) -> dict[str, pd.DataFrame]:
    """The tables as they were queried, for all tests."""
    return {direction: query(first_client, direction) for direction in SIDES}


@pytest.fixture(scope="module")
def outputs(first_client) -> Link:
    """The link to the cell's outputs that is asked for by the root ID."""
    return make_link(CELL, client=first_client, outputs=True)


@pytest.fixture
def tables(queried) -> dict[str, pd.DataFrame]:
    return {direction: table.copy() for direction, table in queried.items()}


@pytest.fixture
def own(tables) -> pd.DataFrame:
    """The outputs, which are fewer, for tests that change them."""
    return tables["outputs"]


def compare(link: Link, asked: Link) -> None:
    """Assert that two links show the same, except for the source of the rows."""
    assert_frame_equal(link.predictions, asked.predictions)
    layers = [{**layer, "shader": None} for layer in link.state["layers"]]
    assert layers == [{**layer, "shader": None} for layer in asked.state["layers"]]


def test_the_rows_are_shown_as_if_they_had_been_asked_for(client, tables, sandbox):
    """The layers, positions and pin are the same; no row is queried, and the record claims no
    query."""
    before = len(sandbox.requests)
    link = make_link(client=client, **tables)
    asked = [request.path for request in sandbox.requests[before:]]
    assert not [path for path in asked if TABLE in path]
    compare(link, make_link(CELL, client=client))
    told = link.provenance
    assert (told.cell, told.version, told.table) == (CELL, 1718, TABLE)
    assert told.given_rows
    assert link.to_record()["given_rows"] is True
    assert "rows given as tables" in link._repr_html_()
    with pytest.raises(UsageError, match="given as tables") as caught:
        link.settings  # noqa: B018  # a property that refuses
    assert len(traceback.extract_tb(caught.value.__traceback__)) <= 3
    again = Link.from_url(link.url)
    assert again.provenance.given_rows


def test_it_is_in_the_history(client, own, monkeypatch, tmp_path):
    """A link of tables is in the history, with a warning if that cannot be written."""
    link = make_link(outputs=own, client=client)
    (receipt,) = read_receipts()
    assert (receipt.record["url"], receipt.record["given_rows"]) == (link.url, True)
    assert (receipt.record["command"], receipt.record["options"]["outputs"]) == (None, True)
    assert TOKEN not in history_file().read_text()
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(tmp_path / "file" / "within"))
    (tmp_path / "file").touch()
    with pytest.warns(SynglancerWarning, match="history"):
        assert make_link(outputs=own, client=client).url != link.url


@pytest.mark.parametrize(
    "form",
    [
        "split in nm",
        "predictions first",
        "a join of our own",
        "a join without suffixes",
        "text IDs",
        "Python integers",
        "shuffled and indexed",
    ],
)
def test_all_forms_of_the_same_query_make_the_same_link(client, own, outputs, form):
    """Positions may be whole or split, in voxels or nm, and IDs and suffixes may have any form."""
    tables = [[TABLE, "target_id"], ["synapses_pni_2", "id"]]
    at = {"filter_equal_dict": {"synapses_pni_2": {"pre_pt_root_id": CELL}}}
    if form == "split in nm":
        df = query(client, "outputs", **SPLIT)
    elif form == "predictions first":
        df = own.rename(columns={"id": "id_ref", "id_ref": "id", "size": "size_ref"})
    elif form == "a join of our own":
        suffixes = {TABLE: "_ref", "synapses_pni_2": ""}
        df = client.materialize.join_query(tables, suffixes=suffixes, **at, **SPLIT)
    elif form == "a join without suffixes":
        df = client.materialize.join_query(tables, **at)
        assert {"idx", "idy"} < {*df.columns}
    elif form == "text IDs":
        texts = dict.fromkeys(["target_id", "pre_pt_root_id", "value", "size"], str)
        df = own.astype({**texts, "post_pt_root_id": "string"})
    elif form == "Python integers":
        df = own.assign(
            pre_pt_root_id=own["pre_pt_root_id"].astype(object), value=own["value"] * 1.0
        )
    else:
        df = own.sample(frac=1, random_state=1).set_index("created")
    compare(make_link(outputs=df, client=client), outputs)


def test_a_table_without_attrs_needs_its_unit_and_its_version(client, own, outputs):
    """Values that caveclient does not store must be given, and are never guessed."""
    bare = pd.DataFrame(own.to_dict("list"))
    assert not bare.attrs
    with pytest.raises(UsageError, match="unit"):
        make_link(outputs=bare, client=client)
    with pytest.raises(UsageError, match="not a voxel size"):
        make_link(outputs=bare, client=client, resolution=[4, 4])
    given = {"outputs": bare, "resolution": [4, 4, 40], "server": client.server_address}
    with pytest.raises(UsageError, match="version of the rows") as caught:
        make_link(**given)
    assert "version=" in caught.value.hint
    link = make_link(outputs=bare, client=client, resolution=[4, 4, 40])
    compare(link, outputs)
    assert link.table == "a table of the user's"
    named = make_link(outputs=bare, client=client, resolution=[4, 4, 40], table=TABLE)
    assert named.table == TABLE


def test_positions_in_nm_are_taken_as_such(client, own, outputs):
    """resolution=1 means that the positions are in nm, whatever attrs say."""
    nm = own.assign(ctr_pt_position=[np.array(p) * [4, 4, 40] for p in own["ctr_pt_position"]])
    link = make_link(outputs=nm, client=client, resolution=1)
    compare(link, outputs)


def test_filters_and_context_work_on_given_rows(client, tables):
    """Filters, partners and cell types are the same as with a query."""
    options = {"tag": "spine", "min_confidence": 0.9, "partners": 3, "cell_types": True}
    link = make_link(client=client, **tables, **options)
    asked = make_link(CELL, client=client, **options)
    assert link.counts_by_tag == asked.counts_by_tag
    assert link.cell_types == asked.cell_types
    assert (link.total, link.filters) == (asked.total, asked.filters)
    spines = make_link(client=client, inputs=tables["inputs"], multi_input=True)
    asked = make_link(CELL, client=client, inputs=True, multi_input=True)
    assert spines.counts_by_tag == asked.counts_by_tag


def test_several_cells_are_shown_when_they_are_named(client, own):
    """Rows of two cells need both names, and give the same link as querying both."""
    other = int(own["post_pt_root_id"].value_counts().index[0])
    both = pd.concat([own, query(client, "outputs", other)])
    with pytest.raises(UsageError, match="synapses of 2 cells"):
        make_link(outputs=both, client=client, resolution=[4, 4, 40], version=1718)
    both.attrs = own.attrs
    link = make_link([CELL, other], outputs=both, client=client)
    compare(link, make_link([CELL, other], client=client, outputs=True))


def test_what_a_link_shows_can_be_given_back(client):
    """A subset of link.predictions makes a link again."""
    link = make_link(CELL, client=client, outputs=True)
    some = link.predictions[link.predictions["confidence"] > 0.95]
    again = make_link(outputs=some, client=client)
    assert_frame_equal(again.predictions, some.reset_index(drop=True), check_dtype=True)
    assert again.table == TABLE


def edit(df, **columns) -> pd.DataFrame:
    changed = df.assign(**columns)
    changed.attrs = df.attrs
    return changed


def test_what_cannot_be_shown_rightly_is_refused(client, own, sandbox):
    """A table with a wrong column is refused before anything is requested or stored."""
    before = len(sandbox.requests)
    floats = edit(own, post_pt_root_id=own["post_pt_root_id"].astype(float))
    with pytest.raises(UsageError, match="as floats, which round") as caught:
        make_link(outputs=floats, inputs=own[:0], client=client)
    assert caught.value.hint
    assert len(sandbox.requests) == before


def test_rows_of_another_cell_are_refused(client, tables, own):
    """Swapped tables, another cell's name, and an empty table without a name give no link."""
    with pytest.raises(UsageError, match="synapses of"):
        make_link(inputs=tables["outputs"], outputs=tables["inputs"], client=client)
    other = int(own["post_pt_root_id"].iloc[0])
    with pytest.raises(UsageError, match=f"cells other than {other}"):
        make_link(other, outputs=own, client=client)
    with pytest.raises(UsageError, match="synapses of no cell"):
        make_link(outputs=own[:0], client=client)
    with pytest.raises(UsageError, match="by its root ID"):
        make_link("nucleus:5", outputs=own, client=client)
    link = make_link(CELL, inputs=own[:0], outputs=own, client=client)
    assert link.counts_by_tag["inputs"] == {}


def test_rows_of_another_version_are_refused(client, connect, own):
    """Options that contradict the rows are named, and so are cells that are not valid at their
    version."""
    with pytest.raises(UsageError, match="rows are of version 1718"):
        make_link(outputs=own, client=client, version=1822)
    with pytest.raises(UsageError, match="the table"):
        make_link(outputs=own, client=client, table="other")
    with pytest.raises(UsageError, match="datastack"):
        make_link(outputs=own, server=client.server_address, datastack="other")
    newer = connect(version=1822)
    assert make_link(outputs=own, client=newer).version == 1718
    older = edit(own, post_pt_root_id=own["post_pt_root_id"])
    older.attrs = {**own.attrs, "materialization_version": 1718}
    mixed = own[:0].copy()
    mixed.attrs = {**own.attrs, "materialization_version": 1822}
    with pytest.raises(UsageError, match="different values of version"):
        make_link(inputs=mixed, outputs=older, client=client)
    unknown = edit(own, pre_pt_root_id=864691135000000001)
    with pytest.raises(CellError, match="864691135000000001 is not the root ID"):
        make_link(outputs=unknown, client=client)


def test_rows_of_a_live_query_are_pinned_to_the_version_of_its_moment(client, own):
    """The timestamp of a version means that version; another timestamp has no version to pin to."""
    table = client.materialize.tables[TABLE]
    live = table(pre_pt_root_id=CELL).live_query(timestamp=client.timestamp)
    assert live.attrs["materialization_version"] is None
    live.attrs["table_name"] = TABLE
    assert make_link(outputs=live, client=client).version == 1718
    live.attrs["timestamp"] = "2026-03-07T12:00:00"
    with pytest.raises(UsageError, match="rows are of 2026-03-07 12:00:00 UTC"):
        make_link(outputs=live, client=client)


def test_a_table_that_was_cut_off_says_so(client):
    """As many rows as the limit of the query may be incomplete, and a warning says so."""
    link = make_link(outputs=query(client, "outputs", limit=10), client=client)
    assert "exactly 10 rows" in " ".join(link.warnings)
    assert link.shown == 10


def test_options_that_need_a_query_are_refused_beside_tables(client, own):
    """Options that need a query, and a unit without a table, are refused with an error and a
    hint."""
    for option in ("with_unlabelled", "with_total"):
        with pytest.raises(UsageError, match=option):
            make_link(outputs=own, client=client, **{option: True})
    with pytest.raises(UsageError, match="no table was given"):
        make_link(CELL, client=client, resolution=1)
    with pytest.raises(UsageError, match="No cell was given"):
        make_link(client=client)
    with pytest.raises(UsageError, match="inputs= is not a table"):
        make_link(outputs=own, inputs=True, client=client)


def test_own_points_stand_beside_given_rows(client, own):
    """annotations= also works if the rows are given as tables."""
    points = pd.DataFrame({"x_nm": [1], "y_nm": [2], "z_nm": [3], "note": ["here"]})
    link = make_link(client=client, outputs=own, annotations=points)
    assert link.state["layers"][-1]["name"] == "my points"
    assert link.shown == len(link.predictions)
    assert link.provenance.annotations[0].rows == 1


@pytest.mark.parametrize(
    ("options", "said", "hint"),
    [
        (
            {"datastack": "other", "table": "predictions"},
            "The rows have the datastack minnie65_public, but other was",
            "datastack=",
        ),
        ({"source": "https://a.org"}, "Both tables and a published source were given.", "source="),
        ({"table": UNNAMED, "multi_input": True}, "must know the table of predictions", "table="),
    ],
)
def test_options_that_contradict_the_tables_are_refused(options, said, hint):
    """Another datastack, a published source, and spines of an unknown table are refused."""
    pin = Pin(datastack="minnie65_public", table=None, version=5, timestamp=None, notice=None)
    with pytest.raises(UsageError, match=said) as refused:
        _check(Settings(**options), pin)
    assert hint in refused.value.hint
