"""Which new link replaces a bad one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from check.server import SERVER, SITE, STATES, Server, make, open_checker
from links.shelf import A, B
from synglancer.check.documents import read_document
from synglancer.check.repair import (
    Asked,
    Refreshed,
    _is_as_bad,
    _judge,
    _make,
    read_asked,
    refresh_links,
)
from synglancer.check.results import CheckResult
from synglancer.check.rewriting import replace_links
from synglancer.errors import CellError, NotServedError, UnreachableError, UsageError
from synglancer.links.link_record import Skipped
from synglancer.settings import Service, Settings
from synglancer.states.urls import format_inline_link, format_link
from view.test_state import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from synglancer.links.link_record import LinkRecord

OLD = "https://old.example.org/#!https://cave.example.org/nglstate/api/v1/1"
NEW = "https://old.example.org/#!https://cave.example.org/nglstate/api/v1/2"
STATE = "https://cave.example.org/nglstate/api/v1/"
MADE = Refreshed(OLD, NEW, SimpleNamespace())


RECORD = {
    "cell": "864691135276234469",
    "datastack": "another",
    "server": "https://cave.example.org",
    "version": 7,
    "table": "predictions",
    "counts": {"inputs": {"spine": 3}},
    "filters": {"tag": ["spine"]},
}
SOURCE = {"address": "https://example.org/published", "sha256": "0" * 64}
OWN = Service(server="https://cave.example.org", token_file="token.txt", timeout=7.0)


def bad(url: str = OLD, **source: Any) -> CheckResult:
    """A bad link with a record."""
    told = {"datastack": "another", "cells": (864691135276234469,), "problems": ("It is bad.",)}
    return CheckResult(url=url, source={**RECORD, **source}, **told)


def test_a_bad_link_is_asked_for_as_it_was_with_the_present_service() -> None:
    """Cells, options and the way to hold the state are the link's; server, token and timeout are
    the present ones."""
    asked = read_asked(bad(), OWN)
    assert asked.cells == (864691135276234469,)
    settings = asked.settings
    assert (settings.datastack, settings.version, settings.tag) == ("another", 7, ("spine",))
    assert (settings.inputs, settings.inline, settings.upload) == (True, False, False)
    assert (settings.token_file, settings.timeout) == ("token.txt", 7.0)
    assert str(asked) == "864691135276234469 in another at version 7"
    several = replace(asked, cells=(A, B, "synapse:7", "synapse:8"))
    assert str(several) == f"{A}, {B}, synapse:7 and 1 more in another at version 7"
    inline = read_asked(bad(format_inline_link("https://old.example.org", b"{}")), OWN).settings
    assert (inline.inline, inline.upload) == (True, False)
    stored = read_asked(bad(source=SOURCE), OWN).settings
    assert (stored.source, stored.inline, stored.upload) == (SOURCE["address"], False, True)


def test_a_receipt_tells_the_options_and_a_record_the_synapses() -> None:
    """A day in a receipt stands for the version that it meant; synapses are asked for by ID."""
    options = {"version": "2026-03-07", "figure": True, "timeout": 99.0, "tag": ["shaft"]}
    settings = read_asked(bad(options=options), OWN).settings
    assert (settings.version, settings.figure, settings.timeout) == (7, True, 7.0)
    assert tuple(settings.tag) == ("shaft",)
    one = {"id": str(2**64 - 1), "tag": "spine", "size": 5, "pre": "1", "post": "2"}
    assert read_asked(bad(synapses=[one]), OWN).cells == (f"synapse:{2**64 - 1}",)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (replace(bad(), problems=()), "On a second check it is good, so it is left unchanged."),
        (replace(bad(), source=None), "neither the history on this machine nor its state holds"),
        (bad(given_rows=True), "because its synapses were given as tables."),
        (replace(bad(), datastack=None), "because it was made with another CAVE server."),
        (
            bad(annotations=[{"name": "my.csv", "sha256": "1" * 64, "rows": 2}]),
            "It also shows points from my.csv, which are not available here",
        ),
        (bad(version=None), "because its receipt or record was changed."),
        (bad(filters={"tag": 5}), "because its receipt or record was changed."),
        (bad(options={"tag": [5]}), "because its receipt or record was changed."),
        (bad(options={"min_confidence": "high"}), "because its receipt or record was changed."),
        (replace(bad(), cells=()), "because its receipt or record was changed."),
    ],
)
def test_a_link_that_cannot_be_asked_for_again_says_why(result: CheckResult, said: str) -> None:
    """Each reason has its sentence, and the hint says what to do by hand."""
    with pytest.raises(UsageError) as caught:
        read_asked(result, OWN)
    assert said in str(caught.value)
    assert caught.value.hint


def test_the_record_of_a_new_link_has_its_own_address() -> None:
    """It also says which cells, version and synapses it shows, but not where its state is."""
    told = {name: name.upper() for name in ("cell", "cells", "version", "counts", "shown")}
    told |= {"state_sha256": "ab", "warnings": ["w"]}
    made = SimpleNamespace(to_record=lambda: {**told, "url": "x", "state_url": "y", "given": "z"})
    assert Refreshed(OLD, NEW, made).to_record() == {"url": NEW, **told}
    del told["cells"]  # of one cell
    assert Refreshed(OLD, NEW, made).to_record() == {"url": NEW, **told}


def test_a_new_link_is_taken_where_it_is_good() -> None:
    """A good new link replaces the old one; a skipped one stays skipped."""
    assert _judge(MADE, {NEW: CheckResult(url=NEW)}) is MADE
    skipped = Skipped(OLD, "No record.", "Make it again.", 2)
    assert _judge(skipped, {}) is skipped


@pytest.mark.parametrize(
    ("problems", "unknown", "why"),
    [
        (("A layer is missing.",), (), "A layer is missing."),
        ((), ("The server is silent.",), "The server is silent."),
        (("A layer is missing.",), ("The server is silent.",), "A layer is missing."),
    ],
)
def test_a_new_link_that_is_not_good_is_not_taken(problems, unknown, why) -> None:
    """If the new link is not good, its worst problem is named, and the old link stays."""
    found = _judge(MADE, {NEW: CheckResult(url=NEW, problems=problems, unknown=unknown)})
    assert isinstance(found, Skipped)
    assert (found.given, found.exit_code) == (OLD, 4)
    assert NEW in found.reason
    assert found.reason.endswith(why)
    assert found.hint == "Check the new link, and replace the old one by hand."


@pytest.mark.parametrize(
    ("state_url", "live", "served", "as_bad"),
    [
        (f"{STATE}1", False, True, True),  # the bad state itself
        (f"{STATE}2", False, True, False),
        (f"{STATE}2", False, None, False),
        (f"{STATE}2", False, False, True),  # cached while the version was available
        (f"{STATE}2", True, False, False),
        (None, False, True, False),
        (None, False, False, True),
    ],
)
def test_what_is_as_bad_as_the_old_link(state_url, live, served, as_bad) -> None:
    """A kept link is not used if it has the same bad state, or treats an expired version as
    available."""
    made = SimpleNamespace(state_url=state_url, live=live)
    inline = CheckResult(url="https://old.example.org/#!%7B%7D")
    assert _is_as_bad(made, [inline, CheckResult(url=OLD, served=served)]) is as_bad


@pytest.fixture
def makers(monkeypatch):
    """Makers whose first links are cached and whose later ones are new; and how each was opened."""
    opened = []

    def open_maker(settings, command):
        opened.append((settings.no_cache, command))
        made = SimpleNamespace(state_url=f"{STATE}{len(opened)}", live=False)
        return SimpleNamespace(make=lambda *cells: opened.append(cells) or made)

    monkeypatch.setattr("synglancer.check.repair.open_maker", open_maker)
    return opened


def ask(cells=(7, 8)):
    """The original request for a link."""
    return Asked(cells, Settings())


def test_a_kept_link_that_is_as_bad_is_made_without_what_was_kept(makers) -> None:
    """Everything is then queried again, with the same cells and the same command for the
    receipt."""
    command = ["synglancer", "check", "--fix"]
    other = OLD.replace("old.", "other.")
    found = _make(ask(), [CheckResult(url=OLD), CheckResult(url=other)], command)
    assert makers == [(False, command), (7, 8), (True, command), (7, 8)]
    assert {old: (one.old, one.url) for old, one in found.items()} == {
        OLD: (OLD, f"https://old.example.org/#!middleauth+{STATE}3"),
        other: (other, f"https://other.example.org/#!middleauth+{STATE}3"),
    }
    assert {one.made.state_url for one in found.values()} == {f"{STATE}3"}


def test_a_link_that_is_better_is_made_once(makers) -> None:
    """The cached link is used if it is not the bad one."""
    _make(ask(), [CheckResult(url=NEW)], None)
    assert makers == [(False, None), (7, 8)]


def test_a_link_that_holds_its_state_opens_in_the_old_viewer(monkeypatch) -> None:
    """An inline link has no state on a server: the new state is written into the link."""
    made = SimpleNamespace(state_url=None, state_json='{"layers":[]}', live=False)
    monkeypatch.setattr(
        "synglancer.check.repair.open_maker", lambda *_: SimpleNamespace(make=lambda *_: made)
    )
    [(old, one)] = _make(ask(), [CheckResult(url=OLD)], None).items()
    assert (old, one.old) == (OLD, OLD)
    assert one.url == format_inline_link("https://old.example.org/", made.state_json)


@pytest.mark.parametrize(
    "error", [CellError("No such cell.", "Look."), UnreachableError("Down.", "Wait.")]
)
def test_what_cannot_be_made_is_skipped_for_each_link(monkeypatch, error) -> None:
    """Each link with this request gets the error's own sentences and exit code."""

    def refuse(*_):
        raise error

    monkeypatch.setattr("synglancer.check.repair.open_maker", refuse)
    found = _make(ask(), [CheckResult(url=OLD), CheckResult(url=NEW)], None)
    assert found == {
        url: Skipped(url, str(error), error.advice, error.exit_code) for url in (OLD, NEW)
    }


COMMAND = ["synglancer", "check", "--fix"]


class Makers:
    """Makers whose links are stored on the server; and what each of them was asked for."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.asked: list[tuple[Any, ...]] = []

    def open(self, settings: Settings, command: Sequence[str] | None) -> Any:
        def make_link(cell: int) -> LinkRecord:
            self.asked.append((cell, settings.table, settings.inline, settings.timeout, command))
            if settings.table == "gone":
                raise NotServedError("There is no such table.", "Choose another.")
            return make(self.server, cell, settings)

        return SimpleNamespace(make=make_link)


@pytest.fixture
def server() -> Server:
    """A server that knows the datastack, its version and the cells."""
    return Server()


@pytest.fixture
def makers_of_all(monkeypatch, server) -> Makers:
    """The makers that `refresh_links` opens."""
    opened = Makers(server)
    monkeypatch.setattr("synglancer.check.repair.open_maker", opened.open)
    return opened


@pytest.fixture
def refresh(monkeypatch, server, makers_of_all) -> Callable[..., Any]:
    """Check links on the server, and make bad ones again."""
    own = Service(server=SERVER, timeout=7.0)
    checker = open_checker(monkeypatch, server, own)
    return lambda *links: refresh_links(checker, checker.check(links), own, COMMAND)


def write_state(cell: int) -> bytes:
    """Write the state of a link to a cell, as it is made."""
    return make(Server(), cell).state_json


def spoil(cell: int, **record: Any) -> bytes:
    """Take the last synapse out of the state of a link to a cell, and change its record."""
    state = orjson.loads(write_state(cell))
    state["layers"][-1]["annotations"].pop()
    state["layers"][2]["shader"] = ""  # without the copy of the record
    state["synglancer"] |= record
    return orjson.dumps(state)


def test_bad_links_are_made_again_and_no_others(server, makers_of_all, refresh, tmp_path) -> None:
    """Equal links are made once, each for its own viewer, and an inline link stays inline; in a
    document, only bad links are replaced."""
    elsewhere = "https://other.example.org/"
    bad, inline = server.put(spoil(A), 50), format_inline_link(SITE, spoil(B))
    twin, good = bad.replace(SITE, elsewhere), server.put(write_state(A), 51)
    silent = server.put(UnreachableError("The server is down.", "Try again later."), 52)
    anew = refresh(silent, bad, twin, good, inline)
    new = f"{STATES}/10"
    assert server.kept[new] == write_state(A)
    expected = {
        bad: format_link(SITE, new),
        twin: format_link(elsewhere, new),
        inline: format_inline_link(SITE, write_state(B)),
    }
    assert {old: (one.old, one.url) for old, one in anew.items()} == {
        old: (old, url) for old, url in expected.items()
    }
    assert sorted(makers_of_all.asked) == [
        (A, "predictions_v7", False, 7.0, COMMAND),
        (B, "predictions_v7", True, 7.0, COMMAND),
    ]
    paper, text = tmp_path / "paper.md", "[a]({}) <{}>, \n{} and ({})\n"
    paper.write_text(text.format(bad, good, silent, twin))
    written = replace_links(read_document(paper), {old: one.url for old, one in anew.items()})
    assert written.decode() == text.format(expected[bad], good, silent, expected[twin])


def test_links_that_cannot_be_made_again_say_why(server, makers_of_all, refresh) -> None:
    """Each has its own reason: no record, an error, or a new link that is not good either."""
    foreign = server.put({"layers": []}, 50)
    gone = server.put(spoil(A, table="gone"), 51)
    old = server.put(spoil(B), 52)
    server.ended[B] = VERSION.timestamp
    new = format_link(SITE, f"{STATES}/10")
    assert refresh(foreign, gone, old) == {
        foreign: Skipped(
            foreign,
            "It cannot be made again, because neither the history on this machine nor its state "
            "holds its options.",
            "Make it again with make-link, and replace it by hand.",
            2,
        ),
        gone: Skipped(gone, "There is no such table.", "Choose another.", 4),
        old: Skipped(
            old,
            f"It was made again as {new}, but the new link is not good either: {B} was not a "
            "valid root ID at the link's timestamp.",
            "Check the new link, and replace the old one by hand.",
            4,
        ),
    }
    asked = [(cell, table) for cell, table, *_ in makers_of_all.asked]
    assert sorted(asked) == [(A, "gone"), (B, "predictions_v7")]


def test_a_link_that_is_good_after_all_is_left_unchanged(
    server, makers_of_all, monkeypatch
) -> None:
    """A bad link is checked again first, because its server may have failed only for a moment."""
    own = Service(server=SERVER)
    checker = open_checker(monkeypatch, server, own)
    bad = server.put(spoil(A), 50)
    checked = checker.check([bad])
    server.put(write_state(A), 50)
    said = "On a second check it is good, so it is left unchanged."
    assert refresh_links(checker, checked, own) == {bad: Skipped(bad, said, "Check it again.", 2)}
    assert makers_of_all.asked == []


def test_good_links_are_not_checked_again(server, refresh) -> None:
    """Without a bad link there is nothing to do."""
    assert refresh(server.put(write_state(A), 50)) == {}
    assert [one for one in server.asked if "nglstate" in one] == ["get /nglstate/api/v1/50"]
