"""Which new link replaces a bad one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from synglancer.check.repair import Refreshed, _is_as_bad, _judge, _make, read_asked
from synglancer.check.results import CheckResult
from synglancer.errors import CellError, UnreachableError, UsageError
from synglancer.links.link_record import Skipped
from synglancer.settings import Service
from synglancer.states.urls import format_inline_link

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
    from synglancer.check.repair import Asked
    from synglancer.settings import Settings

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
