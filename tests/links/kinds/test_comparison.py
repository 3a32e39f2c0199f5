"""Two sides of a comparison: where they come from, and why they may not be compared."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
import orjson
import pytest

from links.shelf import A, B, P, Q, Shelf, load, stand_in, synapses
from synglancer.cave.records import Materialization
from synglancer.cave.session import Session
from synglancer.errors import CellError, LoginError, NotServedError, ServiceError, UsageError
from synglancer.links.building import Asking, build_link
from synglancer.links.kinds import comparison
from synglancer.links.kinds.comparison import compare
from synglancer.links.record import build_record
from synglancer.settings import Question, Settings
from synglancer.states.record_parts import NamedSynapse
from synglancer.states.urls import format_inline_link, format_link, hash_state, parse_link
from synglancer.synapses.loading import CellData
from synglancer.view.kinds.comparison import COMPARISON
from view.test_state import VERSION

SERVER = "https://cave.example.org"
MOMENT = datetime(2026, 6, 27, tzinfo=timezone.utc)
LATER = Materialization(1822, MOMENT, None)
OLD_ROWS = [
    (2**63 + 1, "inputs", "spine", 0.9, 500, P, A),
    (2**63 + 2, "inputs", "shaft", 0.6, 300, Q, A),
    (2**63 + 3, "outputs", "spine", 0.7, 100, A, Q),
]
NEW_ROWS = [
    (2**63 + 1, "inputs", "soma", 0.8, 500, P, A),
    (2**63 + 3, "outputs", "spine", 0.75, 100, A, Q),
    (2**63 + 4, "outputs", "shaft", 0.5, 90, A, P),
]
SOMA = {A: [(4000.0, 8000.0, 40000.0)]}


def make(rows: Any, version: Materialization = VERSION, cells: Any = (A,), **options: Any) -> str:
    """Make an inline link to compare."""
    server = options.pop("server", SERVER)
    settings = Settings(server=server, inline=True, version=version.version, **options)
    asking = Asking(settings, Shelf(server, version=version), "typed")
    shown = synapses(*(row for row in rows if row[1] in settings.directions))
    return build_link(asking, load(shown, cells, CellData([], {*cells}, SOMA))).url


def change(link: str, **changes: Any) -> str:
    """Change a link's state: its record, all of its annotations, or a layer more."""
    state = orjson.loads(parse_link(link).state or b"")
    state["synglancer"] |= changes.get("record", {})
    for layer in state["layers"]:
        if "annotations" in layer:
            layer["shader"] = ""  # which holds a copy of the record
            changed = [{**note, **changes.get("note", {})} for note in layer["annotations"]]
            layer["annotations"] = changed * changes.get("times", 1)
    state["layers"] += [changes["layer"]] if "layer" in changes else []
    return format_inline_link("https://a.org/", orjson.dumps(state))


@pytest.fixture
def shelf(monkeypatch) -> Shelf:
    """The session in which the comparison's link is made."""
    session = Shelf(SERVER, version=LATER)
    session.begun = stand_in(monkeypatch, session)
    return session


@pytest.fixture
def loaded(monkeypatch) -> list[Settings]:
    """The options of each side that is loaded instead of read; its cell is in `loaded`, too."""
    asked: list[Any] = []

    class Maker:
        def __init__(self, settings: Settings) -> None:
            self.settings = settings

        def load(self, cell: str) -> Any:
            asked.append((cell, self.settings))
            old = self.settings.version == 1718
            session = Shelf(SERVER, version=VERSION if old else LATER)
            found = load(synapses(*(OLD_ROWS if old else NEW_ROWS)), [A], CellData([], {A}, SOMA))
            told = f"From version {session.version}."
            return session, build_record(self.settings, session, found), found.shown, [told]

    monkeypatch.setattr(comparison, "LinkMaker", Maker)
    return asked


def ask(**options: Any) -> Question:
    return Question(server=SERVER, **options)


COUNTS = {
    "inputs": {
        "spine": [1, 0, 0, 0, 0, 1, 0, 0],
        "shaft": [1, 0, 0, 1, 0, 0, 0, 0],
        "soma": [0, 1, 0, 0, 1, 0, 0, 0],
    },
    "outputs": {
        "spine": [1, 1, 0, 0, 0, 0, 1, 1],
        "shaft": [0, 1, 1, 0, 0, 0, 0, 0],
        "soma": [0] * 8,
    },
}
NAMES = (
    "before", "after", "gained", "lost", "retagged_to", "retagged_from", "kept", "confidence_moved",
)  # fmt: skip


def test_two_links_are_compared(shelf) -> None:
    """The record has both sides, and the counts of each direction and tag; the link is in the
    version of the second one."""
    found = compare(make(OLD_ROWS), make(NEW_ROWS, LATER), question=ask(site="google"))
    counts = {
        side: {tag: dict(zip(NAMES, row, strict=True)) for tag, row in tags.items()}
        for side, tags in COUNTS.items()
    }
    sides = {
        name: {"cell": str(A), "version": number, "timestamp": moment, "shown": 3}
        for name, number, moment in [
            ("before", 1718, "2026-03-07T08:10:01.190228Z"),
            ("after", 1822, "2026-06-27T00:00:00.000000Z"),
        ]
    }
    record = found.to_record()
    assert {name: record[name] for name in ("before", "after")} == {
        name: {**side, "table": "predictions_v7"} for name, side in sides.items()
    }
    assert record["counts"] == counts
    assert (record["datastack"], record["filters"]) == ("minnie65_public", {})
    assert (record["url"], record["state_url"]) == (found.url, f"{SERVER}/nglstate/api/v1/5")
    assert record["state_sha256"] == hash_state(found.state_json)
    assert shelf.kept == {found.state_url: found.state_json}
    assert found.url == format_link("https://neuroglancer-demo.appspot.com", found.state_url)
    assert shelf.begun == [(found.after.settings, {"version": 1822})]
    state = orjson.loads(found.state_json)
    kept = {**record, "server": SERVER}
    names = ("before", "after", "counts", "server", "datastack", "filters")
    assert state[COMPARISON] == {name: kept[name] for name in names}
    assert state["title"] == f"{A} · minnie65_public v1718 → v1822"
    assert state["position"] == [1000, 2000, 1000]
    (pin,) = found.warnings
    assert "ignores the timestamp" in pin
    assert record["warnings"] == [pin]
    assert found.changes["id"].is_unique


def test_a_synapse_of_a_cell_onto_itself_is_one_point(shelf) -> None:
    """It is an input and an output, and is drawn once, with both in its description."""
    number = 2**63 + 5
    onto_itself = [(number, side, "shaft", 0.5, 90, A, A) for side in ("inputs", "outputs")]
    found = compare(make(OLD_ROWS), make([*NEW_ROWS, *onto_itself], LATER), question=ask())
    layers = {layer["name"]: layer for layer in orjson.loads(found.state_json)["layers"]}
    told = {note["id"]: note["description"] for note in layers["gained: shaft"]["annotations"]}
    assert told == {
        str(2**63 + 4): "output · shaft 0.50",
        str(number): "input and output · shaft 0.50",
    }


def test_stored_links_are_read_with_the_users_token(shelf, monkeypatch) -> None:
    """Which is for the user's own server."""
    asked = []

    def fetch(url: str, **given: Any) -> bytes:
        asked.append((url, given))
        return parse_link(make(OLD_ROWS)).state or b""

    monkeypatch.setattr("synglancer.cave.access.fetch_link_state", fetch)
    stored = f"{SERVER}/nglstate/api/v1/5"
    link = format_link("https://a.org/", stored)
    compare(link, make(NEW_ROWS, LATER), question=ask(token_file="/token"))
    assert asked == [(stored, {"server": SERVER, "token_file": "/token"})]


def test_a_cell_is_loaded_at_both_versions(shelf, loaded) -> None:
    """By default at the version of the question and at the latest; all other options hold."""
    found = compare(str(A), question=ask(tag=("spine", "soma"), timeout=7.0))
    (cell, old), (other, new) = loaded
    assert cell == other == str(A)
    assert (old.version, new.version) == (1718, "latest")
    assert {one.tag for one in (old, new)} == {("spine", "soma")}
    assert {(one.timeout, one.server) for one in (old, new)} == {(7.0, SERVER)}
    assert found.warnings == ["From version 1718.", "From version 1822."]
    assert found.to_record()["filters"] == {"tag": ["soma", "spine"]}
    compare(str(A), question=ask(), from_="1822", to="1718")
    assert [settings.version for _, settings in loaded[2:]] == [1822, 1718]


def test_a_link_is_compared_with_a_version(shelf, loaded) -> None:
    """With the link's own options, and the connection of the question."""
    link = make(OLD_ROWS, min_size=5.0)
    found = compare(link, question=ask(timeout=7.0, site="spelunker", inline=True))
    compare(link, question=ask(), to="1822")
    (cell, latest), (_, newer) = loaded
    assert (cell, latest.version, newer.version) == (str(A), "latest", 1822)
    assert (latest.min_size, latest.timeout, latest.site, latest.inline) == (
        5.0, 7.0, "spelunker", True,
    )  # fmt: skip
    assert found.state_url is None
    assert found.before.settings.version == 1718


@pytest.mark.parametrize(
    ("words", "options", "versions", "told"),
    [
        ([], {}, {}, "You can compare one cell at two versions"),
        ([str(A), str(B)], {}, {}, "You can compare one cell at two versions"),
        (["https://a.org/#!{}", str(B)], {}, {}, "You can compare one cell at two versions"),
        (["https://a.org/#!{}"] * 3, {}, {}, "You can compare one cell at two versions"),
        ([str(A)], {"with_total": True}, {}, "Totals and cell types are not compared"),
        ([str(A)], {"cell_types": True}, {}, "Totals and cell types are not compared"),
        (["https://a.org/#!{}"], {}, {"from_": "1718"}, "Links have their own version"),
        (["https://a.org/#!{}"] * 2, {}, {"to": "1822"}, "Links have their own version"),
        (
            ["https://a.org/#!{}"],
            {"tag": ("spine",), "min_size": 5.0},
            {},
            "own options, but --tag, --min-size was given",
        ),
        (["nonsense"], {}, {}, "'nonsense'"),
        ([str(A)], {}, {"from_": "0f" * 16}, "--from was given what looks like a token"),
        ([str(A)], {}, {"to": "0f" * 16}, "--to was given what looks like a token"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    shelf, loaded, words, options, versions, told
) -> None:
    """Before anything is read or loaded."""
    with pytest.raises(UsageError, match=told):
        compare(*words, question=ask(**options), **versions)
    assert (loaded, shelf.asked) == ([], [])


def test_links_that_show_a_part_or_several_cells_are_refused(shelf) -> None:
    """The hint gives the command that compares their cells."""
    six = [*range(A, A + 6)]
    named = [NamedSynapse(5, "spine", 0.5, 1, P, A).to_json()]
    for link, words, cells in [
        (make(OLD_ROWS, cells=[A, B]), "The link shows 2 cells", f"{A} {B}"),
        (make(OLD_ROWS, cells=six[:5]), "shows 5 cells", " ".join(map(str, six[:5]))),
        (make(OLD_ROWS, cells=six), "shows 6 cells", "CELL..."),
        (make(OLD_ROWS, review=True, site="spelunker"), "The link is a review", str(A)),
        (change(make(OLD_ROWS), record={"synapses": named}), "a single synapse", str(A)),
    ]:
        with pytest.raises(UsageError, match=words) as caught:
            compare(link, make(OLD_ROWS), question=ask())
        assert f"synglancer compare {cells} --from 1718 --to latest." in caught.value.hint


def test_links_of_others_are_refused(shelf) -> None:
    """A link of another server, and one that is not ours."""
    other = make(OLD_ROWS, server="https://other.example.org")
    words = "with the CAVE server https://other.example.org, not with https://cave.example.org."
    with pytest.raises(UsageError, match=words):
        compare(other, question=ask())
    with pytest.raises(UsageError, match="no record of a cell"):
        compare("https://a.org/#!{%22layers%22:[]}", question=ask())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"record": {"shown": 4}}, "it holds 3 of 4 synapses."),
        ({"times": 0}, "it holds 0 of 3 synapses."),
        ({"note": {"id": "0"}}, "1 annotation of the layer '● in: spine' does not have an ID"),
        ({"record": {"shown": 6}, "times": 2}, "it holds a synapse twice in one direction."),
    ],
)
def test_a_state_that_was_changed_is_refused(shelf, changes, told) -> None:
    """A synapse that is missing would seem lost."""
    with pytest.raises(UsageError, match=f"A?[Tt]?h?e? ?link's state was changed: {told}"):
        compare(change(make(OLD_ROWS), **changes), make(NEW_ROWS, LATER), question=ask())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"inputs": True}, "different directions, so that"),
        ({"with_unlabelled": True}, "different synapses without a prediction, so that"),
        ({"min_size": 5.0}, "different filters, so that"),
        ({"outputs": True, "tag": ("spine",)}, "different directions, filters, so that"),
    ],
)
def test_links_with_different_options_are_refused(shelf, options, told) -> None:
    """Synapses would seem gained or lost for another reason than time."""
    with pytest.raises(UsageError, match=told):
        compare(make(OLD_ROWS), make(NEW_ROWS, LATER, **options), question=ask())


def test_links_of_two_datastacks_are_refused(shelf) -> None:
    """Their root IDs have nothing to do with each other."""
    other = change(make(NEW_ROWS, LATER), record={"datastack": "other"})
    with pytest.raises(UsageError, match="datastacks: minnie65_public and other"):
        compare(make(OLD_ROWS), other, question=ask())


@pytest.mark.parametrize(
    ("related", "good"),
    [
        ([A, B, P], True),
        ([A, P], False),
        (ServiceError("No.", "Wait."), False),
        (NotServedError("No.", "Wait."), False),
        (LoginError("No.", "Log in."), None),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_two_root_ids_must_be_one_cell(shelf, monkeypatch, related, good, turned) -> None:
    """The chunked graph is asked at the later version whether edits lead from one to the other."""
    asked = []

    def fetch_related(self: Session, cell: int) -> list[int]:
        asked.append((self._given, cell))
        if isinstance(related, Exception):
            raise related
        return related

    monkeypatch.setattr(Session, "fetch_related", fetch_related)
    rows = [(one, *rest, 7, B) for one, *rest, _, _ in NEW_ROWS if rest[0] == "inputs"]
    links = [make(OLD_ROWS[:2]), make(rows, LATER, [B])][:: -1 if turned else 1]
    if good:
        found = compare(*links, question=ask())
        sides = [found.before.provenance.cell, found.after.provenance.cell]
        assert sides == ([B, A] if turned else [A, B])
        layers = orjson.loads(found.state_json)["layers"]
        meshes = [layer for layer in layers if layer["type"] == "segmentation"]
        pins = {layer["timestamp"]: layer["segments"] for layer in meshes}
        assert pins == {1772871001190: [str(A)], 1782518400000: [str(B)]}
    else:
        with pytest.raises(LoginError if good is None else CellError) as caught:
            compare(*links, question=ask())
        assert good is None or "are not the same cell" in str(caught.value)
    assert asked == [(1822, A)]


def test_what_is_odd_about_two_sides_is_told(shelf) -> None:
    """The same version, two tables, and the reverse order."""
    old, new = make(OLD_ROWS), make(NEW_ROWS, LATER)
    assert compare(old, old, question=ask()).warnings == ["Both sides are version 1718."]
    (told,) = compare(new, old, question=ask()).warnings
    assert "version 1822 (2026-06-27) is compared with the earlier version 1718 (2026-0" in told
    lines = [{"type": "line", "id": "1", "pointA": [0, 0, 0], "pointB": [1, 1, 1]}]
    added = change(old, layer={"type": "annotation", "name": "mine", "annotations": lines})
    for links in [(added, new), (new, added)]:
        assert compare(*links, question=ask()).warnings[0] == (
            "1 annotation is not a point and is not read."
        )
    other = change(old, record={"table": "other_v8"})
    assert compare(old, other, question=ask()).warnings == [
        "The predictions are from two tables: predictions_v7 and other_v8."
    ]


def test_synapses_without_a_prediction_are_compared(shelf) -> None:
    """They have no confidence that could move."""
    rows = [(7, "inputs", "unlabelled", np.nan, 5, P, A)]
    links = [make(rows, version, with_unlabelled=True) for version in (VERSION, LATER)]
    counts = compare(*links, question=ask()).to_record()["counts"]["inputs"]["unlabelled"]
    assert (counts["kept"], counts["confidence_moved"]) == (1, 0)
