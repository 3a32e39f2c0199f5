"""Links on a published source: their record and layers, and what is asked of CAVE."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from links.published import make_rows, publish
from links.shelf import A, B, C, P, Q, R, Shelf, layer_names, stand_in
from links.test_make import DAY, NEVER, OLD, Graph
from publish.sample import edit_manifest, serve
from synglancer import __version__
from synglancer.cache.receipts import read_receipts
from synglancer.cells.resolve import Followed
from synglancer.errors import BadAnswerError, CellError, NotServedError, UsageError
from synglancer.links.kinds.source import SourceMaker
from synglancer.publish.manifest import describe_facts
from synglancer.settings import Settings
from synglancer.states.record import Provenance
from synglancer.states.record_parts import PublishedSource
from synglancer.synapses.ahead import Size
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = make_rows(
    (1, "spine", 0.9, 500, P, A),
    (2, "spine", 0.6, 300, P, A),
    (3, "shaft", 0.8, 200, Q, A),
    (4, "spine", 0.7, 100, A, R),
    (5, "unlabelled", 0.2, 900, A, A),
    (6, "shaft", 0.3, 50, A, B),
    (7, "soma", 0.5, 50, A, A),
)
FACTS = {
    "table": "predictions_v7",
    "facts": describe_facts(DATASTACK, "The owner's notice.", VERSION.timestamp),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("source"), ROWS, **FACTS)


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serve(folder) as url:
        yield url


@pytest.fixture
def open_maker(folder, address, monkeypatch):
    """Open a maker of links on the source, with a session that CAVE answers."""

    def open_maker(session: Shelf | None = None, source: Any = None, **options: Any) -> Any:
        stand_in(monkeypatch, session or Graph())
        asked = {"source": str(source or folder), "public_url": address, **options}
        return SourceMaker(Settings(**asked), ["make-link"], "a-known-token")

    return open_maker


def test_a_link_on_a_source_needs_no_request_to_cave(open_maker, address) -> None:
    """The record is the manifest's and the rows' own; the layers are on the source."""
    session = Graph("http://127.0.0.1:9000")
    maker = open_maker(session)
    link = maker.make(A)
    assert session.asked == []
    assert maker._view.materialization == VERSION
    assert link.provenance == Provenance(
        cell=A,
        datastack="minnie65_public",
        server="http://127.0.0.1:9000",
        version=1718,
        timestamp=VERSION.timestamp,
        table="predictions_v7",
        counts={
            "inputs": {"shaft": 1, "soma": 1, "spine": 2},
            "outputs": {"shaft": 1, "soma": 1, "spine": 1},
        },
        shown=7,
        total=7,
        autapses=1,
        generator=f"synglancer {__version__}",
        notice="The owner's notice.",
        source=PublishedSource(address, maker._manifest.digest),
    )
    assert link.state["synglancer"] == link.provenance.to_json()
    assert (link.state_url, link.given) == (None, str(A))
    assert [receipt.record["command"] for receipt in read_receipts()] == [["make-link"]]
    assert layer_names(link) == [
        "imagery", "segmentation",
        "● in: spine", "● in: shaft", "● in: soma", "○ out: spine", "○ out: shaft", "○ out: soma",
    ]  # fmt: skip
    received = link.state["layers"][2]
    assert received["source"] == [{"url": f"precomputed://{address}/spine"}]
    assert received["filterBySegmentation"] == ["post"]
    autapses, reach, damage = link.warnings
    assert autapses.startswith("1 synapse of the cell onto itself")
    assert reach.startswith(f"Only browsers on this machine can read the source at {address},")
    assert damage.endswith("or make it with --upload.")


def test_options_decide_the_layers_the_sliders_and_the_partners(open_maker) -> None:
    """A least confidence is where sliders start, and hides synapses without leaving them out."""
    asked = {"min_confidence": 0.65, "partners": 2, "tag": ("spine", "shaft"), "inputs": True}
    link = open_maker(**asked, with_unlabelled=True, palette="safe").make(A)
    told = link.provenance
    assert told.counts == {"inputs": {"shaft": 1, "spine": 2, "unlabelled": 1}}
    assert (told.shown, told.total) == (4, 5)
    assert told.hidden == {"inputs": {"spine": 1, "unlabelled": 1}}
    assert told.partners == ((P, 2), (Q, 1))
    assert (told.with_unlabelled, told.filters["tag"]) == (True, ["shaft", "spine"])
    assert told.filters["min_confidence"] == 0.65
    assert told.view == {"palette": "safe", "partners": 2, "soft_filter": True}
    sliders, _, _, hidden = link.warnings
    assert "only sets where the confidence sliders start" in sliders
    assert hidden.startswith("2 of the 4 synapses are hidden")
    partners = link.state["layers"][2]
    assert (partners["name"], partners["segments"]) == ("partners", [str(P), str(Q)])
    plain = open_maker(inputs=True).make(A)
    assert (plain.provenance.hidden, plain.provenance.partners) == (None, None)
    assert len(plain.warnings) == 2


def test_several_cells_say_what_counts_twice(open_maker) -> None:
    """Synapses between them and onto themselves are told where both directions are shown."""
    link = open_maker(with_unlabelled=True).make(A, B)
    assert (link.cells, link.shown, link.total) == ((A, B), 10, 10)
    autapses, shared, *_ = link.warnings
    assert autapses.startswith("2 synapses of a cell onto itself")
    assert shared.startswith("1 synapse from one of the cells onto another is both")
    assert (link.provenance.autapses, link.state["position"]) == (2, [15, 15, 1.5])
    for side in ("inputs", "outputs"):
        told = open_maker(**{side: True}).make(A, B).warnings
        assert [one.split()[0] for one in told] == ["Only", "On"]


def test_a_cell_without_rows_is_looked_up(open_maker) -> None:
    """An outdated root ID is followed, one that never existed is refused, and others are empty."""
    session = Graph()
    maker = open_maker(session)
    link = maker.make(OLD, A, C)
    assert link.cells == (A, C)
    assert link.warnings[0] == str(Followed(OLD, A, DAY, DAY, "only", 1718, earlier=False))
    assert [one["used"] for one in link.followed] == [str(A)]
    with pytest.raises(CellError, match=f"{NEVER} is not the root ID"):
        maker.make(NEVER)
    with pytest.raises(CellError, match="would be used instead"):
        open_maker(Graph(), strict=True).make(OLD)
    empty = open_maker(Graph()).make(C)
    assert empty.warnings[-1] == "The cell has no synapse with a prediction in this table."


def test_without_cave_a_cell_without_rows_is_refused(open_maker, address) -> None:
    """It may be a typing error; the hint says what CAVE said."""
    session = Graph()

    def fail(_: Any) -> None:
        raise NotServedError("CAVE is away.", "Wait a minute.")

    session.fetch_validity = fail
    with pytest.raises(CellError) as caught:
        open_maker(session).make(C)
    assert str(caught.value) == (
        f"{C} has no synapses in the source {address}, and CAVE could not be asked whether it is "
        "the root ID of a cell: CAVE is away."
    )
    assert caught.value.hint == "Check the root ID; or wait a minute."


def test_the_time_of_a_link_counts_from_its_question(open_maker, monkeypatch) -> None:
    """Reading the source is part of it."""
    maker, clock = open_maker(), iter(range(0, 10_000, 100))
    read = maker._source.read_cells
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    maker._source.read_cells = lambda cells: next(clock) and read(cells)
    assert maker.make(A).elapsed_s >= 200


def test_a_source_of_some_cells_shows_only_those(tmp_path, monkeypatch) -> None:
    """Of others, it holds only the synapses with its own cells."""
    cells = {**FACTS, "facts": {**FACTS["facts"], "cells": [str(one) for one in (A, B, C, R)]}}
    folder = publish(tmp_path, ROWS, **cells)
    with serve(folder) as address:
        stand_in(monkeypatch, Graph())
        maker = SourceMaker(Settings(source=address))
        assert maker.make(B, A).cells == (B, A)
        words = f"only the synapses of {A}, {B}, {C} and 1 more, not those of {P}."
        with pytest.raises(CellError, match=words):
            maker.make(A, P)


@pytest.mark.parametrize(
    ("site", "own", "told"),
    [
        (None, "http://localhost:9000/v/", 0),
        (None, "https://viewer.org/", 1),
        ("http://localhost:9000/v/", "https://viewer.org/", 0),
        ("https://viewer.org/", "http://localhost:9000/v/", 1),
    ],
)
def test_the_viewer_decides_who_can_read_the_source(open_maker, tmp_path, site, own, told) -> None:
    """The datastack's own, or the one that was asked for."""
    folder = publish(tmp_path, ROWS)
    session = Graph("https://cave.lab.org", replace(DATASTACK, viewer_site=own))
    with serve(folder) as address:
        link = open_maker(session, folder, public_url=address, site=site).make(A)
    assert sum("Only browsers on this machine" in one for one in link.warnings) == told


def test_a_question_that_does_not_fit_the_source_is_refused(open_maker, address) -> None:
    """A source is read by cell, and has one version."""
    with pytest.raises(UsageError, match=f"The source {address} has the version 1718, but 943"):
        open_maker(version=943)
    with pytest.raises(UsageError, match="A single synapse was given"):
        open_maker().make("synapse:1")


def test_only_uploaded_links_are_remembered(open_maker, address) -> None:
    """A short link is found again while the source is the same; an inline one is made anew."""
    session = Graph()
    short = open_maker(session, upload=True).make(A)
    assert short.state_url is not None
    assert open_maker(session, upload=True).make(A).url == short.url
    assert session.asked.count("put /state") == 1
    key = open_maker(session, upload=True)._question((A,))
    assert key["source"] == address
    inline = open_maker(session).make(A)
    assert session.store.load("links", [{**key, "inline": True}]) is None
    assert inline.state == short.state
    changed = open_maker(session, upload=True)
    changed._manifest = replace(changed._manifest, digest="00")
    assert changed.make(A).url != short.url


def test_the_rows_of_a_group_are_read_once(open_maker) -> None:
    """They are held until each cell has its link."""
    maker = open_maker()
    read = maker._source.read_cells
    asked: list[list[int]] = []
    maker._source.read_cells = lambda cells: asked.append([*cells]) or read(cells)
    size = maker.fetch_ahead([str(A), f" {B}", "nucleus:5"])
    assert size == Size(rows=(10 * 28) // 200)
    assert asked == [[A, B]]
    assert maker.make(A).shown == 7
    maker.forget(str(A))
    maker.forget("nucleus:5")
    assert maker.make(A, B).shown == 8
    assert [cells for cells in asked[1:] if cells] == [[A]]
    maker.forget(str(A))
    maker.forget(str(A))


@pytest.mark.parametrize(
    "told", ["2026-03-07T08:10:01.190228", "2026-03-07T08:10:01.190228Z", VERSION.timestamp]
)
def test_a_timestamp_is_in_utc(open_maker, tmp_path, monkeypatch, told) -> None:
    """Also one that was written without a zone, whatever the clock of this machine."""
    folder = publish(tmp_path, ROWS, **FACTS)
    edit_manifest(folder, timestamp=str(told))
    with serve(folder) as address:
        link = open_maker(source=folder, public_url=address).make(A)
        assert link.timestamp == VERSION.timestamp
        assert link.state["layers"][1]["timestamp"] == 1772871001190
        edit_manifest(folder, timestamp="yesterday")
        with pytest.raises(BadAnswerError, match="no valid value of timestamp"):
            open_maker(source=folder, public_url=address)


def test_what_the_manifest_lacks_comes_from_cave(open_maker, tmp_path) -> None:
    """The datastack and the timestamp; of the default server's default version, both are known."""
    folder = publish(tmp_path, ROWS)
    moment = datetime(2024, 1, 2, tzinfo=timezone.utc)
    own = replace(DATASTACK, viewer_site="https://own.lab.org/")
    with serve(folder) as address:
        asked = {"source": folder, "public_url": address}
        lab = Graph("https://cave.lab.org", own, replace(VERSION, timestamp=moment))
        link = open_maker(lab, **asked).make(A)
        assert (link.timestamp, link.url.split("#")[0]) == (moment, "https://own.lab.org/")
        assert link.table == ""
        public = Graph("https://global.daf-apis.com", own, replace(VERSION, timestamp=moment))
        known = open_maker(public, **asked).make(A)
        assert known.timestamp == VERSION.timestamp
        assert known.url.startswith("https://spelunker.cave-explorer.org/")
        assert lab.asked == public.asked == []


def test_a_source_of_unlabelled_synapses_alone_is_an_empty_link(open_maker, tmp_path) -> None:
    """Unless they were asked for."""
    rows = make_rows((1, "unlabelled", 0.5, 10, P, A))
    folder = publish(tmp_path, rows, **FACTS)
    with serve(folder) as address:
        asked = {"source": folder, "public_url": address, "partners": 2}
        link = open_maker(**asked).make(A)
        assert link.counts_by_tag == {"inputs": {}, "outputs": {}}
        assert link.warnings[-1] == "The cell has no synapse with a prediction in this table."
        for wanted in ({"with_unlabelled": True}, {"tag": ("unlabelled",)}):
            assert open_maker(**asked, **wanted).make(A).shown == 1


def test_own_points_are_shown_on_a_source(open_maker, tmp_path) -> None:
    """They keep clear of the names of the source's layers."""
    path = tmp_path / "points.csv"
    path.write_text("x_nm,y_nm,z_nm,layer\n1,2,3,● in: soma\n")
    link = open_maker(annotations=(str(path),), inputs=True).make(B)
    assert layer_names(link)[-1] == "● in: soma (2)"
    assert [one.rows for one in link.provenance.annotations] == [1]
    assert "is shown as" in link.warnings[0]
