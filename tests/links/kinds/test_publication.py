"""Cells are published whole, and linked to where viewers can read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest

from links.shelf import A, B, P, Q, stand_in, synapses
from links.test_make import ROWS, Graph, Tables
from synglancer.cells.root_ids import RootIds
from synglancer.columns import DTYPES
from synglancer.errors import NotServedError, ServiceError, UsageError
from synglancer.links.kinds import publication
from synglancer.links.kinds.publication import PublishingMaker
from synglancer.publish.destinations import open_destination
from synglancer.publish.publishing import choose_work, publish
from synglancer.publish.source import open_source
from synglancer.settings import Settings
from view.test_state import DATASTACK, VERSION

PUBLIC = "https://data.example.org/source"


@pytest.fixture
def open_maker(tmp_path, monkeypatch):
    """Open a maker that publishes to a folder, unless it is told otherwise."""

    def open_maker(**options: Any) -> Any:
        session = Graph()
        stand_in(monkeypatch, session)
        asked = {"publish_to": str(tmp_path / "out"), **options}
        maker: Any = PublishingMaker(Settings(**asked), ["make-link"], "a-known-token")
        maker._loader, maker._root_ids = Tables(), RootIds(session)
        return maker

    return open_maker


@pytest.fixture
def opened(monkeypatch) -> list[Any]:
    """How the maker of the link on the source was opened, and what it made."""
    opened: list[Any] = []

    class Maker:
        def __init__(self, *given: Any) -> None:
            opened.append(given)

        def make(self, *given: Any) -> str:
            opened.append(given)
            return "the link"

    monkeypatch.setattr(publication, "SourceMaker", Maker)
    return opened


def test_all_synapses_of_the_cells_are_published(open_maker, tmp_path, opened) -> None:
    """Whichever are shown at first, and each once; the manifest has what links need of CAVE."""
    asked = {"inputs": True, "tag": ("spine",), "min_confidence": 0.8, "partners": 2}
    maker = open_maker(**asked, public_url=PUBLIC, table="predictions_v7")
    assert maker.make(A, str(B)) == "the link"
    source = open_source(str(tmp_path / "out"))
    told = source.manifest
    assert {cell: source.count_rows(cell) for cell in (A, B)} == {
        A: {"inputs": {"spine": 1, "shaft": 0}, "outputs": {"spine": 0, "shaft": 0}},
        B: {"inputs": {"spine": 0, "shaft": 1}, "outputs": {"spine": 1, "shaft": 0}},
    }
    rows = source.read_rows(B, "outputs", "spine")
    assert (rows["id"].tolist(), rows["size"].tolist()) == ([3], [100])
    assert rows["confidence"].tolist() == pytest.approx([0.7])
    assert source.read_partners(rows["id"], "outputs", "spine").tolist() == [Q]
    assert source.read_rows(A, "inputs", "spine")["point"].tolist() == [[4, 8, 80]]
    assert source.count_rows(P)["outputs"]["spine"] == 1
    assert (told.datastack, told.version, told.table) == ("minnie65_public", 1718, "predictions_v7")
    assert (told.record, told.notice, told.cells) == (DATASTACK, "The owner's notice.", (A, B))
    assert told.timestamp == VERSION.timestamp.isoformat()
    (settings, *rest), given = opened
    assert rest == [["make-link"], "a-known-token"]
    assert given == (A, str(B))
    original = maker._asked
    assert settings == replace(original, publish_to=None, source=str(tmp_path / "out"))
    assert (settings.tag, settings.inputs) == (("spine",), True)
    for options in ({"inputs": True}, {"outputs": True}):
        assert open_maker(**options)._settings.directions == ("inputs", "outputs")


def test_a_synapse_between_the_cells_is_published_once(
    open_maker, tmp_path, opened, monkeypatch
) -> None:
    """It is among the outputs of one and the inputs of another; a synapse of a cell onto itself is
    among both of one."""
    maker = open_maker(public_url=PUBLIC)
    own = [(9, side, "shaft", 0.5, 90, B, B) for side in ("inputs", "outputs")]
    maker._loader.rows = pd.concat([ROWS, synapses(*own)], ignore_index=True)
    given: list[Any] = []

    def spy(asked: Any) -> None:
        given.append(pyarrow.parquet.read_table(asked.inputs[0]).to_pydict())
        publish(asked)

    monkeypatch.setattr("synglancer.publish.publishing.publish", spy)
    maker.make(B, Q)
    assert [[*columns] for columns in given] == [[name for name in DTYPES if name != "direction"]]
    assert sorted(given[0]["id"]) == [2, 3, 9]
    source = open_source(str(tmp_path / "out"))
    assert source.manifest.find("spine").rows == 1
    assert source.count_rows(Q)["inputs"] == {"spine": 1, "shaft": 0}
    assert source.read_rows(B, "inputs", "shaft")["id"].tolist() == [2, 9]


def test_a_folder_alone_is_published_and_has_no_link(open_maker, tmp_path, opened) -> None:
    """The error says how to serve what was published."""
    with pytest.raises(UsageError, match="but viewers cannot read a folder") as caught:
        open_maker(publish_to=f"file://{tmp_path / 'out'}").make(A)
    assert f"`synglancer serve {tmp_path / 'out'}`" in caught.value.hint
    assert open_source(str(tmp_path / "out")).manifest.cells == (A,)
    assert opened == []


@pytest.mark.parametrize(
    ("destination", "public", "found"),
    [
        ("gs://bucket/path", None, "https://storage.googleapis.com/bucket/path"),
        ("gs://bucket/path", PUBLIC, PUBLIC),
        ("abfs://bucket/path", PUBLIC, PUBLIC),
        ("abfs://bucket/path", None, None),
    ],
)
def test_a_store_has_its_own_address_or_a_public_one(destination, public, found) -> None:
    """If neither is known, the error says that the synapses are published all the same."""
    settings = Settings(publish_to=destination, public_url=public, partners=2)
    if found is None:
        with pytest.raises(UsageError, match=f"published to {destination}, but the address"):
            publication._find_source(settings, destination)
        return
    assert publication._find_source(settings, destination) == Settings(
        source=found, partners=2, version=1718, table=settings.table
    )


def test_the_limit_of_time_holds_for_the_place(open_maker, tmp_path, monkeypatch) -> None:
    """A store may be slow to say whether it is empty."""
    opened: list[Any] = []

    def spy(*given: Any) -> Any:
        opened.append(given)
        return open_destination(*given)

    monkeypatch.setattr("synglancer.publish.destinations.open_destination", spy)
    with pytest.raises(UsageError, match="viewers cannot read a folder"):
        open_maker(timeout=7.0).make(A)
    assert opened[0] == (str(tmp_path / "out"), 7.0)


@pytest.mark.parametrize(
    ("name", "words"),
    [("notes.txt", "out is not empty"), ("synglancer.json", "out already holds a published")],
)
def test_a_place_that_is_taken_is_refused_before_any_request(
    open_maker, tmp_path, name, words
) -> None:
    """Nothing is overwritten."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("{}")
    maker = open_maker(public_url=PUBLIC)
    with pytest.raises(UsageError, match=words):
        maker.make(A)
    assert maker._loader.loaded == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_cell_without_synapses_is_not_published(open_maker, tmp_path) -> None:
    """There would be nothing to draw."""
    with pytest.raises(UsageError, match="no synapses to publish"):
        open_maker(public_url=PUBLIC).make(P - 100)
    assert not (tmp_path / "out").exists()


def test_a_source_that_viewers_cannot_read_yet_stays(open_maker, tmp_path, monkeypatch) -> None:
    """The hint says how to make the link later."""

    def fail(*_: Any) -> None:
        raise NotServedError("There is nothing.", "Look.")

    monkeypatch.setattr(publication, "SourceMaker", fail)
    with pytest.raises(ServiceError, match="cannot read them yet: There is nothing") as caught:
        open_maker(public_url=PUBLIC).make(A)
    assert "--source instead of --publish-to" in caught.value.hint
    assert open_source(str(tmp_path / "out")).manifest.cells == (A,)


@pytest.mark.parametrize("begun", [True, False])
def test_publishing_that_failed_is_not_continued(open_maker, tmp_path, monkeypatch, begun) -> None:
    """Its file of synapses is gone, so the unfinished work is removed, if there is any."""
    out = str(tmp_path / "out")

    def fail(asked: Any) -> None:
        if begun:
            work = choose_work(out)
            work.mkdir(parents=True)
            (work / "part").touch()
        assert (asked.destination, asked.timeout) == (out, 7.0)
        raise ServiceError("The disk is full.", "Make room.")

    monkeypatch.setattr("synglancer.publish.publishing.publish", fail)
    with pytest.raises(ServiceError, match="disk is full"):
        open_maker(public_url=PUBLIC, timeout=7.0).make(A)
    assert not choose_work(out).exists()


def test_options_and_batches_that_a_source_cannot_hold_are_refused(open_maker) -> None:
    """Before anything is loaded."""
    with pytest.raises(UsageError, match="--min-size") as caught:
        open_maker(min_size=5.0)
    assert "without --publish-to" in caught.value.hint
    with pytest.raises(UsageError, match="but 1,200 links were requested") as caught:
        open_maker().expect(["1"] * 1_200)
    assert "--together" in caught.value.hint
