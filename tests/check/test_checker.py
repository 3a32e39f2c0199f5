"""What the services' answers mean for a link."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from check.server import (
    AT_1718,
    EDITED,
    INFO,
    SERVER,
    SITE,
    STATES,
    UNTIL,
    Server,
    build_links,
    open_checker,
    versions,
)
from links.shelf import A, B
from synglancer.cache.receipts import add_receipt, history_file
from synglancer.cave.records import Datastack, Materialization
from synglancer.check import missing
from synglancer.check.checker import _compare, _is_of, _judge_cells, _judge_version, _read_foreign
from synglancer.check.results import CheckResult, Finding
from synglancer.errors import NotServedError, UnreachableError
from synglancer.settings import Service
from synglancer.states.urls import format_inline_link
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from synglancer.links.link_record import LinkRecord

MADE = datetime(2026, 3, 7, tzinfo=timezone.utc)
GRAPH = "graphene://https://cave.example.org/segmentation/table/minnie"
STACK = Datastack(
    name="minnie",
    server="https://cave.example.org",
    image_source="precomputed://gs://images/em",
    segmentation_source=GRAPH,
    skeleton_source=None,
    viewer_resolution=(4.0, 4.0, 40.0),
    viewer_site=None,
    synapse_table=None,
    soma_table=None,
)
DOWN = UnreachableError("The server is down.", "Try again later.")


def judge_version(answer, **source) -> Finding:
    """Judge a link of version 1718 by an answer about this version."""
    finding = Finding("x", facts={"source": source})
    _judge_version(finding, ("minnie", 1718), answer)
    return finding


def judge_cells(then, now, *, pinned: bool = True) -> Finding:
    """Judge a link to cells 1 and 2 by answers about these cells."""
    finding = Finding("x", facts={"cells": (1, 2)}, timestamp=MADE if pinned else None)
    _judge_cells(finding, then, now)
    return finding


def test_a_version_that_is_served_is_good_until_it_expires() -> None:
    """A link of an available version has no problem, and says until when it is available."""
    found = judge_version(Materialization(1718, MADE, UNTIL))
    assert (found.facts["served"], found.facts["served_until"]) == (True, UNTIL)
    assert found.problems == found.unknown == found.notes == []


@pytest.mark.parametrize("live", [None, False, "yes"])
def test_an_expired_version_is_a_problem(live) -> None:
    """A link whose version has since expired is bad, and `synglancer compare` is recommended."""
    found = judge_version(Materialization(1718, MADE, UNTIL, expired=True), live=live)
    assert found.facts["served"] is False
    [problem] = found.problems
    assert "1718 of minnie has expired" in problem
    assert "synglancer compare" in problem
    assert found.unknown == found.notes == []


def test_a_link_made_after_its_version_expired_is_as_good_as_then() -> None:
    """A link made with live queries is good even if its version has expired."""
    found = judge_version(Materialization(1718, MADE, UNTIL, expired=True), live=True)
    assert found.facts["served"] is False
    [note] = found.notes
    assert "1718 of minnie has expired" in note
    assert found.problems == found.unknown == []


def test_a_version_that_never_was_is_a_problem() -> None:
    """If the server does not know the version, the link is bad."""
    found = judge_version(NotServedError("There is no version 1718.", "Give another."))
    assert found.facts["served"] is False
    assert found.problems == ["There is no version 1718."]
    assert found.unknown == found.notes == []


def test_a_server_that_is_down_says_nothing_of_a_version() -> None:
    """Without an answer, it is unknown whether the version is available."""
    found = judge_version(DOWN)
    assert "served" not in found.facts
    [unknown] = found.unknown
    assert "1718" in unknown
    assert str(DOWN) in unknown
    assert found.problems == found.notes == []


def test_cells_that_are_valid_then_and_now() -> None:
    """Cells that were and are valid are not mentioned."""
    found = judge_cells({1: True, 2: True}, {1: True, 2: True})
    assert (found.facts["valid_then"], found.facts["valid_now"]) == (True, True)
    assert found.problems == found.unknown == found.notes == []


def test_a_cell_that_was_not_valid_at_the_links_timestamp_is_a_problem() -> None:
    """Only the cell at fault is named."""
    found = judge_cells({1: True, 2: False}, {1: True, 2: True})
    assert (found.facts["valid_then"], found.facts["valid_now"]) == (False, True)
    [problem] = found.problems
    assert problem.startswith("2 ")
    assert found.unknown == found.notes == []


@pytest.mark.parametrize("pinned", [True, False])
def test_a_cell_that_was_edited_since(pinned) -> None:
    """An edited cell is a note for a pinned link, and a problem for an unpinned one."""
    found = judge_cells({1: True, 2: True} if pinned else None, {1: False, 2: True}, pinned=pinned)
    assert found.facts["valid_now"] is False
    said, silent = (found.notes, found.problems) if pinned else (found.problems, found.notes)
    still_shown = "; the link still shows it as it was, so nothing needs doing" if pinned else ""
    assert said == [f"1 has been edited since and now has another root ID{still_shown}."]
    assert silent == found.unknown == []
    assert ("valid_then" in found.facts) is pinned


def test_a_link_without_cells_has_none_that_were_edited() -> None:
    """A state that selects no cell has no problem with its cells."""
    finding = Finding("x", timestamp=MADE)
    _judge_cells(finding, {}, {})
    assert (finding.facts["valid_then"], finding.facts["valid_now"]) == (True, True)
    assert finding.problems == finding.unknown == finding.notes == []


@pytest.mark.parametrize(("then", "now"), [(DOWN, {1: True, 2: True}), ({1: True, 2: True}, DOWN)])
def test_without_both_answers_nothing_is_known_of_cells(then, now) -> None:
    """If one answer is missing, the result is unknown, and the reason is given."""
    found = judge_cells(then, now)
    assert "valid_then" not in found.facts
    assert "valid_now" not in found.facts
    [unknown] = found.unknown
    assert str(DOWN) in unknown
    assert found.problems == found.notes == []


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"datastack": "minnie", "version": 1718}, ("minnie", 1718)),
        ({"datastack": "", "version": "1718"}, (None, None)),
        ({"datastack": 5, "version": True}, (None, None)),
    ],
)
def test_a_record_is_believed_where_it_has_the_right_form(record, found) -> None:
    """What is no name or no number of a version is not asked for."""
    finding = Finding("x", state={"layers": [], "synglancer": {"cell": "1", **record}})
    _compare(finding, None)
    assert (finding.facts["datastack"], finding.facts["version"]) == found


@pytest.mark.parametrize(
    ("url", "cells", "datastack"),
    [(GRAPH, (1,), "minnie"), ("precomputed://gs://other/seg", (), None)],
)
def test_only_segments_of_a_chunked_graph_are_cells(url, cells, datastack) -> None:
    """Of a foreign state, segments of other layers are not looked up as root IDs."""
    layer = {"type": "segmentation", "source": url, "segments": ["1"], "timestamp": 1772871001190}
    finding = Finding("x", state={"layers": [layer]})
    _read_foreign(finding, "minnie")
    assert (finding.facts["cells"], finding.facts["datastack"]) == (cells, datastack)
    assert (finding.timestamp is None) is not bool(cells)


@pytest.mark.parametrize(
    ("url", "facts", "stacks", "expected"),
    [
        (GRAPH, {}, {"minnie": STACK}, True),
        (GRAPH.replace("://https", "://middleauth+https"), {}, {"minnie": STACK}, True),
        ("precomputed://gs://other/seg", {}, {"minnie": STACK}, False),
        ("precomputed://gs://other/seg", {"source": {"cell": "1"}}, {"minnie": STACK}, True),
        ("precomputed://gs://other/seg", {}, {"minnie": DOWN}, True),
        ("precomputed://gs://other/seg", {"datastack": None}, {"minnie": STACK}, True),
    ],
)
def test_whose_cells_a_state_shows(url, facts, stacks, expected) -> None:
    """A foreign state has cells of the datastack unless it is over another segmentation."""
    state = {"layers": [{"type": "segmentation", "name": "s", "source": url, "segments": ["1"]}]}
    finding = Finding("x", state=state, facts={"datastack": "minnie", **facts})
    assert _is_of(finding, stacks) is expected


@pytest.fixture(scope="module")
def made() -> dict[int, LinkRecord]:
    """A link to A whose state is on the server, and one to B that holds its state."""
    return build_links()


@pytest.fixture
def server() -> Server:
    """A server that knows the datastack, its version and the cells."""
    return Server()


@pytest.fixture
def check(monkeypatch, server) -> Callable[..., list[CheckResult]]:
    """Check links on the server."""
    return lambda *links, **service: open_checker(
        monkeypatch, server, Service(server=SERVER, **service) if service else None
    ).check(links)


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """The pauses that are made, none of them waited for."""
    made: list[float] = []
    monkeypatch.setattr(missing.time, "sleep", made.append)
    return made


LAYERS = {
    "imagery": None, "segmentation": None, "inputs: spine": 2, "outputs: shaft": 1,
}  # fmt: skip
ASKED_OF_A = [
    f"get {STATES.removeprefix(SERVER)}/5",
    "get /info/api/v2/datastack/full/minnie65_public",
    f"get {versions(1718)}",
    f"minnie65_public of {DATASTACK.server}: [{A}] at {VERSION.timestamp}",
    f"minnie65_public of {DATASTACK.server}: [{A}] now",
]


def good(link: LinkRecord, url: str = f"{SITE}#!middleauth+{STATES}/5", **changes) -> CheckResult:
    """The result for a link of ours that shows what it did; or with other facts."""
    facts = {
        "reachable": True,
        "parses": True,
        "layers": LAYERS,
        "expected": {name: number for name, number in LAYERS.items() if number},
        "expected_from": "record",
        "cells": (A,),
        "valid_then": True,
        "valid_now": True,
        "datastack": "minnie65_public",
        "version": 1718,
        "served": True,
        "served_until": UNTIL,
        "source": link.state["synglancer"],
    }
    return CheckResult(url=url, **{**facts, **changes})


def test_links_that_show_what_they_did_are_good(made, server, check) -> None:
    """Results are in the order of the links; a state, a datastack, a version and the cells at a
    timestamp are asked for once for all links."""
    first = server.put(made[A].state_json, 5)
    second = first.replace(SITE, "https://other.example.org/")
    of_b = {"inputs: spine": 1}
    assert check(made[B].url, first, second) == [
        good(
            made[B],
            made[B].url,
            cells=(B,),
            layers={"imagery": None, "segmentation": None, **of_b},
            expected=of_b,
        ),
        good(made[A], first),
        good(made[A], second),
    ]
    assert sorted(server.asked) == sorted(
        one.replace(f"[{A}]", f"[{A}, {B}]") for one in ASKED_OF_A
    )
    assert server.credentials.are_for(DATASTACK.server)


def test_a_second_check_asks_again(monkeypatch, made, server) -> None:
    """A state that was there once may be gone, and a cell may be edited, in the meantime."""
    link = server.put(made[A].state_json, 5)
    checker = open_checker(monkeypatch, server)
    assert checker.check([link]) == checker.check([link]) == [good(made[A])]
    assert sorted(server.asked) == sorted(ASKED_OF_A * 2)


HAS_EXPIRED = "Version 1718 of minnie65_public has expired."
SINCE = f"{HAS_EXPIRED} `synglancer compare` shows what has changed since."
UNKNOWN_VERSION = f"It is not known whether version 1718 is available: {DOWN}"
UNKNOWN_CELL = f"It is not known whether the cell is valid: {DOWN}"
HAS_ENDED = "{} has been edited since and now has another root ID"
AS_IT_WAS = "; the link still shows it as it was, so nothing needs doing."
INVALID = f"{A} was not a valid root ID at the link's timestamp."
UNKNOWN_CELLS = {"valid_then": None, "valid_now": None}
NOT_SERVED = {"served": False, "served_until": None}
NOT_KNOWN = {"served": None, "served_until": None}
EXPIRED = {versions(1718): {**AT_1718, "status": "EXPIRED"}}
NO_VERSION = {
    versions(1718): NotServedError("There is no such version.", "Look."),
    versions(1718).replace("version/1718", "metadata?expired=False"): [],
}
DATASTACKS = f"{SERVER}/info/api/v2/datastack"


@pytest.mark.parametrize(
    ("answers", "ended", "changes"),
    [
        (EXPIRED, {}, {**NOT_SERVED, "problems": (SINCE,)}),
        (NO_VERSION, {}, {**NOT_SERVED, "problems": ("minnie65_public has no version 1718.",)}),
        ({versions(1718): DOWN}, {}, {**NOT_KNOWN, "unknown": (UNKNOWN_VERSION,)}),
        (
            {f"{DATASTACKS}/full/minnie65_public": DOWN},
            {},
            {**NOT_KNOWN, **UNKNOWN_CELLS, "unknown": (UNKNOWN_VERSION, UNKNOWN_CELL)},
        ),
        (
            {},
            {A: EDITED, B: VERSION.timestamp},
            {"valid_now": False, "notes": (HAS_ENDED.format(A) + AS_IT_WAS,)},
        ),
        (
            {},
            {A: VERSION.timestamp},
            {
                "valid_then": False,
                "valid_now": False,
                "problems": (INVALID,),
                "notes": (HAS_ENDED.format(A) + AS_IT_WAS,),
            },
        ),
    ],
)
def test_what_the_server_says_of_the_version_and_the_cells(
    answers, ended, changes, made, server, check
) -> None:
    """An expired or unknown version and an invalid root ID are problems, an edited cell is a note,
    and without an answer it is not known."""
    link = server.put(made[A].state_json, 5)
    server.kept |= answers
    server.ended = ended
    assert check(link) == [good(made[A], **changes)]


def test_without_an_answer_about_root_ids_the_rest_is_checked(made, server, check) -> None:
    """The version of the link is available all the same."""
    server.refusal = DOWN
    link = server.put(made[A].state_json, 5)
    assert check(link) == [good(made[A], **UNKNOWN_CELLS, unknown=(UNKNOWN_CELL,))]


def edit_state(made: dict[int, LinkRecord], edit: Callable[[Any], Any]) -> bytes:
    """Edit the state of the link to A."""
    state = orjson.loads(made[A].state_json)
    edit(state)
    return orjson.dumps(state)


NO_ID = "1 annotation of the layer '○ out: shaft' does not have an ID that is a whole number."


@pytest.mark.parametrize(
    ("edit", "changes"),
    [
        (
            lambda state: state["layers"][2]["annotations"].pop(),
            {
                "layers": {**LAYERS, "inputs: spine": 1},
                "problems": ("The layer 'inputs: spine' has 1 synapse instead of 2.",),
            },
        ),
        (
            lambda state: state["layers"].pop(),
            {
                "layers": {name: LAYERS[name] for name in [*LAYERS][:3]},
                "problems": ("The layer 'outputs: shaft' with its 1 synapse is missing.",),
            },
        ),
        (
            lambda state: state["layers"][1].update(segments=[str(B)]),
            {"problems": (f"The cell {A} is not selected.",)},
        ),
        (
            lambda state: state["layers"][3]["annotations"][0].update(id="x"),
            {"problems": (NO_ID,)},
        ),
    ],
)
def test_a_state_that_shows_less_than_its_record_says_is_bad(
    edit, changes, made, server, check
) -> None:
    """Lost synapses, layers and cells, and damaged synapses, are named."""
    assert check(server.put(edit_state(made, edit), 5)) == [good(made[A], **changes)]


def test_a_link_made_with_live_queries_is_good_when_its_version_has_expired(
    made, server, check
) -> None:
    """That the version has expired is told as a note, with the reason."""
    link = server.put(edit_state(made, lambda state: state["synglancer"].update(live=True)), 5)
    server.kept |= EXPIRED
    [found] = check(link)
    assert found.notes == (f"{HAS_EXPIRED} The link was made with live queries at its timestamp.",)
    assert (found.status, found.served) == ("good", False)


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (DOWN, {"unknown": ("The server is down.",)}),
        (
            b"<html>Log in</html>",
            {"unknown": (f"{STATES}/5 holds no Neuroglancer state.",)},
        ),
        (
            {"a": 1},
            {
                "reachable": True,
                "parses": False,
                "problems": (f"{STATES}/5 holds no Neuroglancer state.",),
            },
        ),
    ],
)
def test_a_state_that_cannot_be_read(content, facts, server, check) -> None:
    """It is bad where the server gives something else in JSON; a page of a proxy and silence say
    nothing of it."""
    link = server.put(content, 5)
    assert check(link) == [CheckResult(url=link, **facts)]
    assert server.asked == ASKED_OF_A[:1]


def test_what_is_no_link_and_what_holds_no_state_are_bad(server, check) -> None:
    """The sentences say which of the two it is, and the server is not asked."""
    inline = format_inline_link(SITE, b'{"a":1}')
    cut = inline.replace("1%7D", "")
    assert check("https://example.org/paper", inline, cut) == [
        CheckResult(
            url="https://example.org/paper",
            parses=False,
            problems=("'https://example.org/paper' is not a Neuroglancer link.",),
        ),
        *(
            CheckResult(
                url=url,
                reachable=True,
                parses=False,
                problems=("The link holds no Neuroglancer state.",),
            )
            for url in (inline, cut)
        ),
    ]
    assert server.asked == []


def build_foreign(source: str = DATASTACK.segmentation_source, **more: Any) -> dict[str, Any]:
    """Build a state of another tool that shows B and A."""
    layer = {"type": "segmentation", "name": "cells", "source": source, **more}
    return {"layers": [{"segments": [str(B), str(A)], **layer}]}


NO_RECORD = "There is no record of how many synapses it should show."
FOREIGN = {"reachable": True, "parses": True, "layers": {"cells": None}}


@pytest.mark.parametrize("name", ["minnie65_public", "other"])
def test_the_cells_of_another_tools_state_are_looked_up_in_the_users_datastack(
    name, server, check
) -> None:
    """An edited cell is a problem unless the state is pinned to a timestamp."""
    server.kept[f"{DATASTACKS}/full/other"] = INFO
    server.ended[B] = EDITED
    pinned = server.put(build_foreign(timestamp=1772871001190), 6)
    moving = server.put(build_foreign(), 7)
    facts = {**FOREIGN, "cells": (B, A), "datastack": name, "valid_now": False}
    edited = HAS_ENDED.format(B)
    assert check(pinned, moving, datastack=name) == [
        CheckResult(url=pinned, **facts, valid_then=True, notes=(NO_RECORD, edited + AS_IT_WAS)),
        CheckResult(url=moving, **facts, problems=(f"{edited}.",), notes=(NO_RECORD,)),
    ]
    cells = f"{name} of {DATASTACK.server}: {[A, B]}"
    assert sorted(server.asked)[-2:] == [
        f"{cells} at 2026-03-07 08:10:01.190000+00:00",
        f"{cells} now",
    ]


@pytest.mark.parametrize(
    ("state", "cells"),
    [
        (build_foreign(segments=[]), ()),
        (build_foreign("precomputed://gs://other/seg"), ()),
        (build_foreign(GRAPH), (B, A)),
    ],
)
def test_segments_of_other_segmentations_are_not_looked_up(state, cells, server, check) -> None:
    """Their numbers may be those of other cells in the user's datastack."""
    link = server.put(state, 6)
    assert check(link) == [CheckResult(url=link, **FOREIGN, cells=cells, notes=(NO_RECORD,))]
    assert [one for one in server.asked if " of " in one] == []


def test_a_link_of_another_server_is_not_looked_up(made, server, check) -> None:
    """A server named in a state never gets the token, and the same IDs mean other cells here."""
    link = server.put(
        edit_state(made, lambda state: state["synglancer"].update(server="https://other.org/")), 5
    )
    source = {**made[A].state["synglancer"], "server": "https://other.org/"}
    told = (
        f"It was made with the CAVE server https://other.org/, but {SERVER} was used for this "
        "check."
    )
    unknown = {**NOT_KNOWN, **UNKNOWN_CELLS}
    assert check(link) == [good(made[A], **unknown, datastack=None, unknown=(told,), source=source)]
    assert server.asked == ASKED_OF_A[:1]


def keep_receipt(link: LinkRecord, url: str, **changes: Any) -> dict[str, Any]:
    """Add a receipt of a link to the history."""
    receipt = {**link.to_record(), "url": url, "when": "2026-03-08T23:59:59+00:00", **changes}
    add_receipt(receipt)
    return receipt


def test_a_state_is_compared_with_the_receipt_first(made, server, check) -> None:
    """The newest receipt counts; what is not as it was made is named, and so is a record that
    tells something else."""
    link = server.put(made[A].state_json, 5)
    keep_receipt(made[A], link, state_sha256="0" * 64)
    receipt = keep_receipt(made[A], link)
    told = {"expected_from": "receipt", "source": receipt}
    assert check(link) == [good(made[A], **told)]
    told["source"] = keep_receipt(made[A], link, state_sha256="0" * 64)
    changed = "The state differs from the one that was made here (2026-03-08)."
    assert check(link) == [good(made[A], **told, problems=(changed,))]
    told["source"] = keep_receipt(made[A], link, counts={"inputs": {"spine": 3}})
    assert check(link) == [
        good(
            made[A],
            **told,
            expected={"inputs: spine": 3},
            problems=(
                "The layer 'inputs: spine' has 2 synapses instead of 3.",
                "The record in the state differs from the receipt on this machine.",
            ),
        )
    ]


def test_a_history_that_cannot_be_read_is_left_out(made, server, check) -> None:
    """The record in the state is used instead."""
    history_file().mkdir(parents=True)
    assert check(server.put(made[A].state_json, 5)) == [good(made[A])]


def test_of_a_lost_state_the_receipt_is_still_checked(made, server, check, pauses) -> None:
    """The state counts as missing because the server still has another one."""
    lost, other = f"{SITE}#!middleauth+{STATES}/4", server.put(made[A].state_json, 5)
    receipt = keep_receipt(made[A], lost)
    found, kept = check(lost, other)
    facts = {"reachable": False, "parses": None, "layers": {}}
    facts |= {"expected": None, "expected_from": None}
    gone = f"The state no longer exists: {STATES}/4 failed with status 500."
    assert found == good(made[A], lost, **facts, source=receipt, problems=(gone,))
    assert kept == good(made[A], other)
    assert pauses == []


STATE_OF = {number: f"get /nglstate/api/v1/{number}" for number in range(3, 9)}


def test_a_state_is_lost_if_its_server_still_has_others(made, server, check, pauses) -> None:
    """Others are the states of links that are checked, then those of receipts, the newest first;
    only the missing state is requested again."""
    keep_receipt(made[A], server.put(b"{}", 6), state_url=f"{STATES}/6")
    keep_receipt(made[A], server.put(b"{}", 7), state_url=f"{STATES}/7")
    keep_receipt(made[A], "inline", state_url=None)
    lost, silent = f"{SITE}#!{STATES}/4", server.put(DOWN, 8)
    keep_receipt(made[A], f"{SITE}#!{STATES}/3", state_url=f"{STATES}/4")
    found = check(lost, silent)
    gone = f"The state no longer exists: {STATES}/4 failed with status 500."
    assert found == [
        CheckResult(url=lost, reachable=False, problems=(gone,)),
        CheckResult(url=silent, unknown=("The server is down.",)),
    ]
    assert pauses == []
    asked = [STATE_OF[number] for number in (4, 8)]
    again = [STATE_OF[number] for number in (7, 4, 7, 4)]
    assert (sorted(server.asked[:2]), server.asked[2:]) == (asked, again)
    server.asked.clear()
    whole = server.put(made[A].state_json, 5)
    assert check(lost, whole)[0] == found[0]
    again = [STATE_OF[number] for number in (5, 4, 5, 4)]
    assert server.asked[2:6] == again


def test_a_lost_state_and_a_server_that_fails_are_not_told_apart(
    monkeypatch, made, server, check, pauses
) -> None:
    """Without another state of the server there is a pause before the second request, and the
    result is unknown."""
    lost = f"{SITE}#!{STATES}/4"
    failed = f"{STATES}/4 failed with status 500."
    either = (
        "Either its state is gone or its server fails: no other state could be read from that "
        "server."
    )
    assert check(lost) == [CheckResult(url=lost, unknown=(failed, either))]
    assert (pauses, server.asked) == ([missing.PAUSE], [STATE_OF[4]] * 2)
    link = f"{SITE}#!middleauth+{STATES}/5"
    monkeypatch.setattr(missing.time, "sleep", lambda _: server.put(made[A].state_json, 5))
    assert check(link) == [good(made[A])]
