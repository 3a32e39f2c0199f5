"""Views of the sandbox answer caveclient as tables do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from caveclient import CAVEclient
from requests import HTTPError

from synglancer.sandbox.server import Sandbox, SandboxOptions

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
    """query_view gives the rows of the file, filtered, with positions in the unit asked for."""
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
    """The list of views, a view's metadata and its schema name what there is."""
    assert list(client.materialize.get_views(1718)) == ["aibs_cell_info"]
    assert "ynthetic" in client.materialize.get_view_metadata("aibs_cell_info")["description"]
    assert client.materialize.get_view_schema("aibs_cell_info")["cell_type"] == {"type": "string"}


@pytest.mark.filterwarnings("ignore")
def test_a_view_that_is_not_there_is_refused(client: CAVEclient) -> None:
    """A query of an unknown view is an error that names it."""
    with pytest.raises(HTTPError, match="no_such_view"):
        client.materialize.query_view("no_such_view")
