"""The sandbox's table is published once for each of its data, versions and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from links.shelf import TABLE, Shelf, stand_in
from synglancer.cave.sandbox import find_published
from synglancer.errors import UsageError
from synglancer.links.kinds.sample_source import publish_sample
from synglancer.publish.manifest import MANIFEST
from synglancer.publish.publishing import choose_work
from synglancer.settings import Settings
from view.test_state import VERSION

if TYPE_CHECKING:
    from pathlib import Path

SERVER = "http://127.0.0.1:9000"


class Sandbox(Shelf):
    """A sandbox, which describes any of its tables."""

    def load_table(self, name: str, kind: Any) -> Any:
        self.asked.append(f"describe {name} {kind.schema or ''}".strip())
        return TABLE


@pytest.fixture
def published(monkeypatch) -> list[Any]:
    """What was published, and whether an earlier run was continued."""
    published: list[Any] = []

    def publish(asked: Any, *, resume: bool, fetch: Any) -> None:
        published.append((asked, resume))
        session, *given = fetch("its work", "its progress")
        assert session.asked[0].startswith("confirm ")
        assert (given, asked.inputs) == ([asked.table, "its work", "its progress"], ())
        folder = find_published() / asked.destination.rpartition("/")[2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).touch()

    monkeypatch.setattr("synglancer.publish.publishing.publish", publish)
    monkeypatch.setattr("synglancer.publish.cave_input.fetch_table", lambda *given: given)
    return published


def find_folder(address: str) -> Path:
    return find_published() / address.rpartition("/")[2]


def test_the_table_is_published_when_it_is_first_used(monkeypatch, published) -> None:
    """At the default version and table, and with the notice that the data are synthetic."""
    session = Sandbox(SERVER)
    begun = stand_in(monkeypatch, session)
    settings = Settings(source="sample", sandbox=True)
    address = publish_sample(settings)
    assert begun == [(settings, {"version": 1718})]
    assert address.startswith(f"{SERVER}/published/")
    ((asked, resume),) = published
    assert (asked.destination, resume) == (str(find_folder(address)), False)
    assert (asked.datastack, asked.version) == ("minnie65_public", 1718)
    assert asked.table == "synapse_target_predictions_ssa_v2"
    told = {"notice": "The owner's notice.", "timestamp": VERSION.timestamp.isoformat()}
    assert asked.facts == told
    confirmed, described = session.asked
    assert confirmed == "confirm minnie65_public"
    assert described.startswith("describe synapse_target_predictions_ssa_v2")
    assert publish_sample(settings) == address
    assert len(published) == 1


def test_other_data_have_a_source_of_their_own(monkeypatch, published) -> None:
    """An edited sandbox, another table, version or datastack never shows the old rows."""
    session = Sandbox(SERVER)
    stand_in(monkeypatch, session)
    plain = publish_sample(Settings(source="sample"))
    others = [publish_sample(Settings(source="sample", table="other"))]
    session.identity.value = "edited"
    others.append(publish_sample(Settings(source="sample")))
    begun = stand_in(monkeypatch, newer := Sandbox(SERVER))
    newer._given = 1822
    others.append(publish_sample(Settings(source="sample", version=1822)))
    asked = Settings(source="sample", datastack="other", version=1718, table="other")
    others.append(publish_sample(asked))
    assert len({plain, *others}) == 5
    assert [more["version"] for _, more in begun] == [1822, 1718]
    assert [one.table for one, _ in published][1] == "other"


def test_a_datastack_without_a_usual_table_needs_one(monkeypatch, published) -> None:
    """As for any link; nothing is published."""
    stand_in(monkeypatch, Sandbox(SERVER))
    with pytest.raises(UsageError, match="other"):
        publish_sample(Settings(source="sample", datastack="other"))
    assert published == []


def test_an_interrupted_run_is_continued(monkeypatch, published) -> None:
    """Its unfinished work lies beside the source, and what is finished is not fetched again."""
    stand_in(monkeypatch, Sandbox(SERVER))
    settings = Settings(source="sample")
    folder = find_folder(publish_sample(settings))
    (folder / MANIFEST).unlink()
    choose_work(str(folder)).mkdir()
    publish_sample(settings)
    assert [resume for _, resume in published] == [False, True]
