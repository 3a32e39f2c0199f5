"""Views of the sandbox answer caveclient as tables do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from caveclient import CAVEclient
from requests import HTTPError

from cave_sandbox.server import Sandbox, SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CELL = 864691135276234469
PARTNER = 864691135468905857


@pytest.fixture(scope="module")
def client(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CAVEclient]:
    states = tmp_path_factory.mktemp("states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=sample, states=states, token="good")) as sandbox:
        yield CAVEclient(
            "minnie65_public",
            version=1718,
            server_address=sandbox.origin,
            auth_token="good",
            write_server_cache=False,
        )


@pytest.mark.filterwarnings("ignore")
def test_a_view_is_queried_as_a_table(client: CAVEclient, sample: Path) -> None:
    """query_view returns the rows of the file, filtered, with positions in the requested unit."""
    roots = [CELL, PARTNER]
    found = client.materialize.query_view(
        "aibs_cell_info",
        filter_in_dict={"pt_root_id": roots},
        split_positions=True,
        desired_resolution=[1, 1, 1],
    ).sort_values("pt_root_id", ignore_index=True)
    view = pd.read_parquet(sample / "minnie65_public" / "views" / "aibs_cell_info.parquet")
    rows = view[view["pt_root_id"].isin(roots)].sort_values("pt_root_id", ignore_index=True)
    assert len(rows) == 2
    assert found["pt_root_id"].tolist() == rows["pt_root_id"].tolist() == roots
    assert found["cell_type"].tolist() == rows["cell_type"].tolist() == ["23P", "BC"]
    for axis, size in zip("xyz", (4, 4, 40), strict=True):
        column = f"pt_position_{axis}"
        assert (found[column] == rows[column] * size).all()


@pytest.mark.filterwarnings("ignore")
def test_views_are_listed_with_their_columns(client: CAVEclient) -> None:
    """The list of views, a view's metadata and its schema describe what exists."""
    assert list(client.materialize.get_views(1718)) == ["aibs_cell_info"]
    assert "ynthetic" in client.materialize.get_view_metadata("aibs_cell_info")["description"]
    assert client.materialize.get_view_schema("aibs_cell_info")["cell_type"] == {"type": "string"}


@pytest.mark.filterwarnings("ignore")
def test_a_view_that_is_not_there_is_refused(client: CAVEclient) -> None:
    """A query of an unknown view is an error that names it."""
    with pytest.raises(HTTPError, match="no_such_view"):
        client.materialize.query_view("no_such_view")


@pytest.mark.filterwarnings("ignore")
def test_spines_are_queried_as_the_synapses_that_they_refer_to(
    client: CAVEclient, sample: Path
) -> None:
    """Both tables of spines answer joins with the synapses, filtered by cell (with a ``group_id``
    of 32 bits) and by group."""
    tables = sample / "minnie65_public" / "tables"
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet").set_index("id")
    for name in ("synapse_spine_mapping_v2", "multi_input_spine_predictions_ssa"):
        rows = pd.read_parquet(tables / f"{name}.parquet").set_index("target_id")
        own = rows[synapses.loc[rows.index, "post_pt_root_id"] == CELL].sort_index()
        asked = {
            "tables": [[name, "target_id"], ["synapses_pni_2", "id"]],
            "select_columns": {"synapses_pni_2": ["id", "post_pt_root_id"], name: ["group_id"]},
            "suffixes": {name: "_ref", "synapses_pni_2": ""},
        }
        equal = {"synapses_pni_2": {"post_pt_root_id": CELL}}
        found = client.materialize.join_query(filter_equal_dict=equal, **asked)
        assert str(found["group_id"].dtype) == "Int32"
        assert found.set_index("id")["group_id"].sort_index().to_dict() == (
            own["group_id"].to_dict()
        )
        group = int(own["group_id"].mode()[0])
        within = {name: {"group_id": [group]}, "synapses_pni_2": {"post_pt_root_id": [CELL]}}
        shared = client.materialize.join_query(filter_in_dict=within, **asked)
        assert sorted(shared["id"]) == sorted(rows.index[rows["group_id"] == group])
        assert client.materialize.get_table_metadata(name)["reference_table"] == "synapses_pni_2"


@pytest.mark.filterwarnings("ignore")
def test_a_table_that_was_replaced_is_gone(client: CAVEclient) -> None:
    """As in the real releases, version 1822 has the mapping of spines, and not the older table."""
    served = client.materialize.get_tables(version=1822)
    assert "synapse_spine_mapping_v2" in served
    assert "multi_input_spine_predictions_ssa" not in served
