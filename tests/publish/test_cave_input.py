"""A whole table is fetched from CAVE in ranges of synapse IDs, one at a time, and can be
continued."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from cave_sandbox.server import Sandbox, SandboxOptions
from cli.outcome import TOKEN
from synglancer.cave.session import Session
from synglancer.errors import NotServedError, ServiceError, UsageError
from synglancer.publish import cave_input
from synglancer.publish.cave_input import fetch_table
from synglancer.publish.publication import Publication
from synglancer.publish.publishing import publish
from synglancer.publish.tag_reader import TagReader
from synglancer.publish.verify import verify
from synglancer.settings import Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from synglancer.cave.pagination import Span

TABLE = "synapse_target_predictions_ssa_v2"
LIMIT = 900
LATER = 15
"""Number of a request after the first ones, which find no rows yet."""


@pytest.fixture(scope="module")
def sandbox(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that returns at most 900 rows."""
    states = tmp_path_factory.mktemp("states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=sample, states=states, token=TOKEN, row_limit=LIMIT)) as one:
        yield one


@pytest.fixture
def session(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    monkeypatch.setattr(cave_input, "_ROWS", LIMIT // 2)
    monkeypatch.setattr(cave_input, "_FIRST_STEP", 1_000)
    return Session(Service(server=sandbox.origin), None, 1718)


@pytest.fixture(scope="module")
def expected(sample: Path) -> pd.DataFrame:
    """The sample's predictions with their synapses."""
    tables = sample / "minnie65_public" / "tables"
    predictions = pd.read_parquet(tables / f"{TABLE}.parquet")
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet")
    return predictions.merge(synapses, left_on="target_id", right_on="id")


def run(session: Session, out: Path, **options: object) -> dict[str, object]:
    asked = Publication(
        inputs=("cave",),
        destination=str(out),
        datastack="minnie65_public",
        version=1718,
        table=TABLE,
    )
    return publish(
        asked, fetch=lambda work, told: fetch_table(session, TABLE, work, told), **options
    )


@pytest.fixture
def asked(session, monkeypatch) -> list[Span]:
    """The fetched ranges of a service that fails once, at the question `LATER`."""
    asked: list[Span] = []
    fetch = type(session.client).fetch_range

    def fail_once(self, datastack, at, table, span):
        asked.append(span)
        if len(asked) == LATER:
            raise ServiceError("The server is away.", "Try again.")
        return fetch(self, datastack, at, table, span)

    monkeypatch.setattr(type(session.client), "fetch_range", fail_once)
    return asked


def test_the_whole_table_is_published(session, expected, tmp_path):
    """Every prediction with a synapse is there, with its tag and its cells."""
    manifest = run(session, tmp_path / "out")
    assert verify(str(tmp_path / "out")).problems == []
    counts = expected.drop_duplicates("target_id")["tag"].value_counts().to_dict()
    assert {one["tag"]: one["rows"] for one in manifest["tags"]} == counts
    reader = TagReader(f"{tmp_path}/out/spine", ["confidence", "size"])
    for row in expected[expected["tag"] == "spine"].head(20).itertuples():
        one = reader.read_single(row.target_id)
        assert (one["pre"], one["post"]) == ([row.pre_pt_root_id], [row.post_pt_root_id])


def test_a_fetch_that_failed_goes_on_where_it_was(session, expected, tmp_path, asked):
    """After a failure, fetched ranges are not queried again."""
    with pytest.raises(ServiceError, match="is away"):
        run(session, tmp_path / "out")
    manifest = run(session, tmp_path / "out", resume=True)
    assert manifest["rows"] == expected["target_id"].nunique()
    assert asked[LATER - 1] == asked[LATER]
    once = [*asked[: LATER - 1], *asked[LATER:]]
    assert all(one.end == other.first for one, other in pairwise(once))


def test_a_table_that_is_not_there_is_refused(session, tmp_path):
    """If the version does not have the table, nothing is published."""
    with pytest.raises(NotServedError):
        fetch_table(session, "no_such_table", tmp_path)


def test_a_fetch_that_fails_before_the_first_row_leaves_nothing(session, tmp_path, monkeypatch):
    """There is nothing to continue: the next run begins without --resume."""

    def fail(*_):
        raise ServiceError("The server is away.", "Try again.")

    monkeypatch.setattr(type(session.client), "fetch_range", fail)
    for _ in range(2):
        with pytest.raises(ServiceError, match="is away"):
            run(session, tmp_path / "new/out")
        assert not (tmp_path / "new").exists()


def test_a_table_without_rows_is_refused(session, expected, tmp_path, monkeypatch):
    """A table that is there but empty at the version gives no source."""
    monkeypatch.setattr(type(session.client), "fetch_range", lambda *_: expected.head(0))
    with pytest.raises(NotServedError) as caught:
        run(session, tmp_path / "out")
    assert str(caught.value) == f"The table {TABLE!r} has no rows at version 1718."
    assert caught.value.hint == "Give another --table."
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("asked")
def test_a_damaged_state_of_a_fetch_is_named(session, tmp_path):
    """What was fetched is not continued from a place that nobody knows."""
    with pytest.raises(ServiceError, match="is away"):
        run(session, tmp_path / "out")
    state = tmp_path / "out/.publishing/fetched/state.json"
    assert state.exists()
    for content in (b"{", b"[]", b'{"next": 5}'):
        state.write_bytes(content)
        with pytest.raises(UsageError, match=r"fetched/state\.json is damaged") as caught:
            run(session, tmp_path / "out", resume=True)
        assert caught.value.hint.startswith(f"Remove {tmp_path}/out/.publishing")
        assert state.read_bytes() == content
