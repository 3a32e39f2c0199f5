"""A link is made once for each question, and again when its state or its data are gone."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest

from links.shelf import TABLE, A, B, C, P, Q, Shelf, synapses
from synglancer.cache.answers import Store
from synglancer.cache.receipts import read_receipts
from synglancer.cave.records import Soma
from synglancer.cells.root_ids import RootIds
from synglancer.columns import CELL_COLUMN
from synglancer.errors import (
    CellError,
    DataChangedError,
    LoginError,
    RateLimitError,
    UnreachableError,
    UsageError,
)
from synglancer.links.make import LinkMaker, keep_receipt
from synglancer.settings import Settings
from synglancer.states.urls import format_inline_link
from synglancer.synapses.ahead import Size
from synglancer.synapses.loading import CellData
from synglancer.synapses.predictions import Checked, find_cells

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from synglancer.links.link_record import LinkRecord

ROWS = synapses(
    (1, "inputs", "spine", 0.9, 500, P, A),
    (2, "inputs", "shaft", 0.6, 300, Q, B),
    (3, "outputs", "spine", 0.7, 100, B, Q),
)
OLD, OLDER, NEVER = P - 2, P - 4, 12345
"""Outdated root IDs, whose successor is A, and a number that was never one."""
DAY = datetime(2024, 2, 29, tzinfo=timezone.utc)


class Graph(Shelf):
    """A session that also knows root IDs, and a nucleus in A."""

    def fetch_validity(self, cells: Sequence[int]) -> dict[int, bool]:
        self.asked.append("validity")
        return {cell: cell not in (OLD, OLDER, NEVER) for cell in cells}

    def fetch_first_timestamps(self, cells: list[int]) -> list[datetime]:
        return [DAY] if {*cells} - {NEVER} else []

    def fetch_lifetime(self, cell: int) -> tuple[datetime, datetime] | None:
        return None if cell == NEVER else (DAY, DAY)

    def fetch_related(self, cell: int) -> list[int]:
        return [A] if cell in (OLD, OLDER) else []

    def fetch_nuclei(self, column: str, values: list[int]) -> tuple[str, list[Soma]]:
        self.asked.append(f"nucleus by {column}")
        return "nuclei", [Soma(value, A, 7) for value in values]


class Tables:
    """The loader: the rows of each cell, and what it was asked for."""

    table, rows = TABLE, ROWS

    def __init__(self) -> None:
        self.loaded: list[list[int]] = []
        self.told: list[Any] = []
        self.errors: list[Exception] = []

    def load_cells(self, cells: Sequence[int], warm_up: Any) -> CellData:
        assert callable(warm_up)
        self.loaded.append([*cells])
        if self.errors:
            raise self.errors.pop()
        rows = self.rows
        parts = [
            rows[(rows["direction"] == side) & rows[column].isin(np.array(cells, "uint64"))]
            for side, column in CELL_COLUMN.items()
        ]
        found = {cell for part in parts for cell in find_cells(part)}
        nothing = rows[:0].assign(why="")
        return CellData([Checked(part, nothing) for part in parts], found, {})

    def keep_tables(self) -> None:
        self.told.append("kept")

    def expect(self, cells: Iterable[int]) -> None:
        self.told.append(("expect", [*cells]))

    def fetch_ahead(self, cells: Sequence[int]) -> Size:
        self.told.append(("ahead", [*cells]))
        return Size(len(cells), 9)

    def forget(self, cell: int) -> None:
        self.told.append(("forget", cell))


def open_maker(session: Shelf | None = None, **options: Any) -> tuple[LinkMaker, Any, Tables]:
    """Open a maker, and return it with its session and its loader."""
    maker: Any = LinkMaker(Settings(**options), ["make-link", "a-known-token"], "a-known-token")
    session, tables = session or Graph(), Tables()
    session.store = Store(enabled=not options.get("no_cache", False))
    maker._session, maker._loader, maker._root_ids = session, tables, RootIds(session)
    return maker, session, tables


def test_the_same_question_is_answered_once() -> None:
    """Another command gets the same link after a look at its state; what was typed and the time
    are its own."""
    first, shelf, tables = open_maker()
    link = first.make(A)
    assert (tables.loaded, tables.told) == ([[A]], ["kept"])
    assert shelf.asked == ["put /state", "get /nglstate/api/v1/5"]
    again, other, untouched = open_maker()
    other.kept = shelf.kept
    found = again.make(f" {A} ")
    assert (untouched.loaded, other.asked) == ([], ["get /nglstate/api/v1/5"])
    assert replace(found, given=link.given) == link
    assert found.state_json == link.state_json
    assert (link.given, found.given) == (str(A), f" {A} ")
    assert 0 <= found.elapsed_s < 1000


@pytest.mark.parametrize(
    ("cells", "selected", "given"),
    [
        ((A, str(A), f" {A}"), [A], f"{A} {A}  {A}"),
        ((A, B), [A, B], f"{A} {B}"),
        ((B, "nucleus:5", A), [B, A], f"{B} nucleus:5 {A}"),
    ],
)
def test_cells_are_shown_once_in_the_order_in_which_they_were_given(cells, selected, given) -> None:
    """In whatever form they were given; all words are kept."""
    maker, _, tables = open_maker()
    link = maker.make(*cells)
    assert (link.cells, link.given, tables.loaded) == ((*selected,), given, [selected])
    assert maker.make(*selected).cells == (*selected,)
    assert len(tables.loaded) == 1
    assert open_maker()[0].make(*reversed(selected)).cells == (*reversed(selected),)


def test_a_nucleus_and_its_cell_share_their_link() -> None:
    """Whichever was asked for first; the nucleus is looked up once."""
    maker, shelf, tables = open_maker()
    words = ["nucleus:5", str(A), "nucleus:5", "nucleus:6", "nucleus:6"]
    links = [maker.make(word) for word in words]
    assert {link.url for link in links} == {links[0].url}
    assert [link.given for link in links] == words
    assert (tables.loaded, shelf.asked.count("nucleus by id")) == ([[A]], 2)


@pytest.mark.parametrize(
    "options", [{}, {"no_cache": True}, {"inline": True}, {"annotations": ("points.csv",)}]
)
def test_other_options_ask_another_question(options, tmp_path, monkeypatch) -> None:
    """Without the cache each link is made anew, and one that carries its state needs no cache."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "points.csv").write_text("x_nm,y_nm,z_nm\n1,2,3\n")
    open_maker()[0].make(A)
    maker, shelf, tables = open_maker(**options)
    shelf.kept = {f"{shelf.server}/nglstate/api/v1/5": b'{"layers":[]}'}
    links = [maker.make(A) for _ in range(2)]
    names = [one.name for link in links for one in link.provenance.annotations]
    assert names == ["points.csv"] * (2 if "annotations" in options else 0)
    assert len(tables.loaded) == (2 if {*options} & {"no_cache", "inline"} else 1)
    if "annotations" in options:
        (tmp_path / "points.csv").write_text("x_nm,y_nm,z_nm\n1,2,4\n")
        changed, other, anew = open_maker(**options)
        other.kept = shelf.kept
        changed.make(A)
        assert len(anew.loaded) == 1


@pytest.mark.parametrize("loss", ["gone", "changed", "other data", "damaged", "foreign"])
def test_a_link_whose_state_is_not_the_same_is_made_again(loss) -> None:
    """A link that is found opens what it says."""
    maker, shelf, tables = open_maker()
    old = maker.make(A)
    key = [maker._question(maker._parse_cells([A]))]
    if loss == "gone":
        shelf.kept.clear()
        shelf.kept["another"] = b""
    elif loss == "changed":
        shelf.kept[old.state_url] = b'{"layers":[]}'
    elif loss == "other data":
        shelf.identity.value = "edited"
    else:
        kept = shelf.store.load("links", key)
        kept["link"]["shown"] = "many"
        if loss == "foreign":
            del kept["link"]["warnings"]
        shelf.store.save("links", key, kept)
    new = maker.make(A)
    assert new.url != old.url
    assert len(tables.loaded) == 2
    assert shelf.store.load("links", key)["link"]["url"] == new.url


@pytest.mark.parametrize("error", [LoginError, UnreachableError, RateLimitError])
def test_a_server_that_cannot_be_asked_is_no_lost_state(error) -> None:
    """The link is not made a second time while its server is away."""
    maker, shelf, tables = open_maker()
    maker.make(A)
    shelf.fetch_state = _raise(error("No.", "Wait."))
    with pytest.raises(error):
        maker.make(A)
    assert len(tables.loaded) == 1
    assert len(shelf.kept) == 1


def _raise(error: Exception) -> Any:
    def fail(*_: Any) -> None:
        raise error

    return fail


def test_a_link_that_another_process_makes_meanwhile_is_found(monkeypatch) -> None:
    """Whoever waits for it looks again, and loads nothing; whoever finds a link does not wait."""
    maker, shelf, tables = open_maker(timeout=7.0)
    other, theirs, _ = open_maker()
    waited = []

    @contextmanager
    def alone(self: Store, question: Any, seconds: float) -> Any:
        waited.append((question["cells"], seconds))
        if len(waited) == 1:
            other.make(A)
            shelf.kept = theirs.kept
        yield True

    monkeypatch.setattr(Store, "alone", alone)
    assert maker.make(f" {A}").given == f" {A}"
    assert tables.loaded == []
    assert waited[0] == ([str(A)], 7.0)
    waited.clear()
    assert maker.make(A).given == str(A)
    assert waited == []


def test_an_outdated_root_id_is_followed_and_its_link_remembered() -> None:
    """Its cell is loaded in its place, once; --strict refuses it, even one with a link."""
    maker, lax, tables = open_maker()
    link = maker.make(OLD, A, OLDER, B)
    assert link.cells == (A, B)
    assert [one["given"] for one in link.followed] == [str(OLD), str(OLDER)]
    assert tables.loaded == [[OLD, A, OLDER, B], [A, B]]
    assert [told.split()[0] for told in link.warnings] == [str(OLD), str(OLDER)]
    maker.make(OLD, A, OLDER, B)
    assert len(tables.loaded) == 2
    assert maker.make(A, B).followed == ()
    strict, shelf, anew = open_maker(strict=True)
    shelf.kept = lax.kept
    with pytest.raises(CellError, match=f"{A} would be used instead"):
        strict.make(OLD, A, OLDER, B)
    assert strict.make(A, B).followed == ()
    assert anew.loaded == [[OLD, A, OLDER, B]]


def test_root_ids_that_are_known_to_be_invalid_are_not_loaded() -> None:
    """Their rows are not queried in vain; one that never existed has no link, and earlier answers
    say so."""
    maker, shelf, tables = open_maker()
    assert maker.find_unknown(str(NEVER)) is None
    with pytest.raises(CellError, match=f"{NEVER} is not the root ID of a cell in minnie65"):
        maker.make(NEVER)
    assert tables.loaded == [[NEVER]]
    with pytest.raises(CellError):
        maker.make(NEVER)
    assert tables.loaded == [[NEVER]]
    assert shelf.asked.count("validity") == 1
    assert str(NEVER) in str(maker.find_unknown(f" {NEVER} "))
    assert maker.find_unknown(str(A)) is maker.find_unknown("nucleus:5") is None
    maker.make(OLD)
    maker.make(OLD, C)
    assert tables.loaded[1:] == [[OLD], [A], [OLD, C], [A, C]]


def test_a_valid_cell_without_rows_is_an_empty_link() -> None:
    """It is not followed, and of several cells, it is named."""
    maker, _, tables = open_maker()
    assert maker.make(C).warnings == ["The cell has no synapse with a prediction in this table."]
    assert maker.make(C, A).warnings == [
        f"{C} has none of the requested synapses, but is still selected."
    ]
    assert tables.loaded == [[C], [C, A]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "0 cells cannot be shown together"),
        (range(A, A + 1001), "1,001 cells cannot be shown together"),
        (range(A, A + 101), "101 cells cannot be shown together"),
        ((f"nucleus:{A}", "x"), "'x'"),
        (("synapse:5",), "is a synapse"),
    ],
)
def test_what_cannot_be_shown_is_refused_without_a_request(given, words) -> None:
    """Up to 100 cells can be; a typing error in the last one costs nothing."""
    maker, shelf, tables = open_maker()
    with pytest.raises(UsageError, match=words):
        maker.make(*given)
    assert (shelf.asked, tables.loaded) == ([], [])
    assert len(maker._parse_cells(range(A, A + 100))) == 100


def test_a_link_stands_for_the_cells_that_it_selects() -> None:
    """One cell gives its link, which answers the same question by root ID; several are listed, and
    any other form stands for itself."""
    source = Shelf().datastack.segmentation_source
    layer = b'{"type":"segmentation","source":"%s","segments":["%d"%s]}'
    one, two = (
        format_inline_link(
            "https://a.org/", b'{"layers":[%s]}' % (layer % (source.encode(), A, more))
        )
        for more in (b"", b',"%d"' % B)
    )
    maker, shelf, tables = open_maker()
    assert maker.expand(two) == [str(A), str(B)]
    assert maker.expand(A) == [str(A)]
    assert maker.expand(" nucleus:5") == [" nucleus:5"]
    assert shelf.asked == []
    assert maker.make(one, B).cells == maker.make(A, one, B).cells == (A, B)
    with pytest.raises(CellError, match="selects 2 cells"):
        maker.make(two)
    assert tables.loaded == [[A, B]]


def test_a_link_is_read_again_each_time() -> None:
    """The state at an address may select another cell later, and is never answered from the
    cache."""
    maker, shelf, _ = open_maker()
    source, address = shelf.datastack.segmentation_source, f"{shelf.server}/nglstate/api/v1/77"
    for cell in (A, B):
        layer = {"type": "segmentation", "source": source, "segments": [str(cell)]}
        shelf.kept[address] = orjson.dumps({"layers": [layer]})
        assert maker.make(f"https://a.org/#!{address}").cells == (cell,)


@pytest.mark.parametrize("renewed", [True, False])
def test_data_that_changed_are_fetched_again_once(renewed) -> None:
    """If only the cache held other data; what was known of root IDs is forgotten."""
    maker, shelf, tables = open_maker()
    with pytest.raises(CellError):
        maker.make(NEVER)
    shelf.renew = lambda: renewed
    tables.errors = [DataChangedError("Other data.", "Again.")]
    if not renewed:
        with pytest.raises(DataChangedError):
            maker.make(A)
        assert maker.find_unknown(str(NEVER)) is not None
        return
    assert maker.make(A).cell == A
    assert tables.loaded == [[NEVER], [A], [A]]
    assert maker.find_unknown(str(NEVER)) is None
    tables.errors = [DataChangedError("Other data.", "Again.")] * 2
    with pytest.raises(DataChangedError):
        maker.make(B)


def test_a_batch_queries_the_rows_that_no_link_and_no_answer_makes_needless() -> None:
    """Words that are no root IDs wait for their turn."""
    maker, shelf, tables = open_maker()
    words = [str(A), f" {B}", "nucleus:5", "wrong", str(A)]
    maker.expect(words)
    assert maker.fetch_ahead(words) == Size(2, 9)
    maker.forget(words[1])
    maker.forget("nucleus:5")
    assert tables.told == [("expect", [A, B]), ("ahead", [A, B]), ("forget", B)]
    assert [maker.lacks_rows(word) for word in words] == [True, True, False, False, True]
    maker.make(A)
    assert [maker.lacks_rows(word) for word in (str(A), str(B))] == [False, True]
    with pytest.raises(CellError):
        maker.make(NEVER)
    assert not maker.lacks_rows(str(NEVER))
    assert maker.find_unknown(str(NEVER)) is not None
    assert shelf.asked.count("validity") == 1


def test_the_expected_root_ids_are_asked_about_together() -> None:
    """A list of wrong root IDs costs one query, not one each."""
    maker, shelf, _ = open_maker()
    maker.expect([str(NEVER), str(OLD), str(C)])
    maker.make(OLD)
    maker.make(C)
    with pytest.raises(CellError):
        maker.make(NEVER)
    assert shelf.asked.count("validity") == 2  # and one for the successors


def test_data_are_loaded_without_a_link() -> None:
    """Tables and tests of the server are as for a link; nothing is uploaded."""
    local = Graph("http://127.0.0.1:9000")
    maker, shelf, tables = open_maker(local, min_size=200.0, inputs=True)
    session, record, shown, warnings = maker.load(f" {OLD}")
    assert session is shelf
    assert (record.cells, record.shown, record.total) == ((A,), 1, 1)
    assert shown["id"].tolist() == [1]
    assert [told.split()[0] for told in warnings] == [str(OLD)]
    assert tables.told == ["kept"]
    assert shelf.asked[-1] == "confirm minnie65_public"
    session, loaded = maker.load_together(B, "nucleus:5", A)
    assert session is shelf
    assert (loaded.cells, loaded.shown["id"].tolist()) == ([B, A], [1, 2])
    assert "put /state" not in shelf.asked


def made(**options: Any) -> tuple[LinkRecord, Shelf]:
    maker, shelf, _ = open_maker(**options)
    return maker.make(A), shelf


def test_each_link_is_in_the_history_without_the_token() -> None:
    """With its command, the options that differ from their defaults, and the server."""
    link, shelf = made(outputs=True)
    keep_receipt(link, Settings(outputs=True), shelf)
    typed, python = [receipt.record for receipt in read_receipts()]
    assert typed["url"] == python["url"] == link.url
    assert (typed["command"], python["command"]) == (["make-link", "(token)"], None)
    assert typed["options"] == python["options"] == {"outputs": True, "server": shelf.server}


def test_a_link_that_the_history_cannot_hold_has_a_warning(monkeypatch, tmp_path) -> None:
    """It is a good link all the same."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("SYNGLANCER_DATA_DIR", str(tmp_path / "file" / "within"))
    link, shelf = made()
    (told,) = link.warnings
    assert told.startswith("This link could not be added to the history: ")
    kept = shelf.store.load("links", [open_maker()[0]._question((A,))])
    assert kept["link"]["warnings"] == []


def test_the_time_of_a_link_counts_from_its_question(monkeypatch) -> None:
    """Loading is part of it."""
    maker, _, tables = open_maker()
    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    tables.load_cells = lambda *given: next(clock) and Tables().load_cells(*given)
    link = maker.make(A)
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    assert (link.elapsed_s >= 200, maker.make(A).elapsed_s) == (True, 0)
