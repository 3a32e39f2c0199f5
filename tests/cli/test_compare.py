"""synglancer compare: how a cell's synapses changed between two versions or two links."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import orjson
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cli.outcome import TOKEN
from edits import NEW, OLD, divide, join_sides
from synglancer import Link
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cave_sandbox.server import Sandbox
    from cli.outcome import Outcome

SITE = "https://spelunker.cave-explorer.org/#!"


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache."""
    return lasting_sandbox


@pytest.fixture(scope="module")
def both(sample: Path) -> pd.DataFrame:
    """The synapses of the edited cell at both versions."""
    return join_sides(sample)


@pytest.fixture(scope="module")
def expected(both: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """The changes, counted with an outer join."""
    tags = set(both["tag_old"].dropna()) | set(both["tag_new"].dropna())
    told: dict[str, dict[str, dict[str, int]]] = {}
    for side, rows in both.groupby("side"):
        old, new = rows["tag_old"], rows["tag_new"]
        for tag in tags:
            counts = {
                "before": (old == tag).sum(),
                "after": (new == tag).sum(),
                "gained": ((new == tag) & old.isna()).sum(),
                "lost": ((old == tag) & new.isna()).sum(),
                "retagged_to": ((new == tag) & old.notna() & (old != tag)).sum(),
                "retagged_from": ((old == tag) & new.notna() & (new != tag)).sum(),
                "kept": ((old == tag) & (new == tag)).sum(),
                "confidence_moved": (
                    (old == tag) & (new == tag) & (rows["value_old"] != rows["value_new"])
                ).sum(),
            }
            told.setdefault(side, {})[tag] = {name: int(count) for name, count in counts.items()}
    return told


def test_a_cell_is_followed_and_its_changes_are_counted(
    sandbox, synglancer: Callable[..., Outcome], expected
) -> None:
    """The counts of an edited cell equal those of a join of both versions' tables."""
    done = synglancer("compare", OLD, "--from", 1718, "--to", "latest", "--output", "json")
    assert done.code == 0, done.err
    made = json.loads(done.out)
    assert (made["before"]["cell"], made["after"]["cell"]) == (str(OLD), str(NEW))
    assert made["counts"] == expected
    for kind in ("gained", "lost", "retagged_to", "confidence_moved"):
        assert sum(tag[kind] for side in expected.values() for tag in side.values()), kind
    assert f"{OLD} is not valid at version 1822" in done.err


def test_the_link_shows_each_change_over_two_pinned_meshes(
    sandbox, synglancer: Callable[..., Outcome], both: pd.DataFrame
) -> None:
    """The link has a layer for each change, with kept ones hidden, and both root IDs at their
    timestamps."""
    done = synglancer("compare", OLD, "--inline", "--output", "url")
    state = orjson.loads(parse_link(done.out.strip()).state or b"")
    layers = {layer["name"]: layer for layer in state["layers"]}
    before, now = layers["before: 2026-03-07"], layers["now: 2026-06-27"]
    assert (before["segments"], now["segments"]) == ([str(OLD)], [str(NEW)])
    assert (before["timestamp"], now["timestamp"]) == (1772871001190, 1782547801306)
    assert before["objectAlpha"] < now["objectAlpha"]
    wanted = divide(both)
    for name, rows in wanted.items():
        notes = layers[name]["annotations"]
        assert sorted(int(note["id"]) for note in notes) == sorted(set(rows["id"])), name
    names = [layer["name"] for layer in state["layers"] if layer["type"] == "annotation"]
    assert names == [*wanted]
    assert [name for name in names if layers[name].get("visible") is False] == ["kept"]
    assert layers["lost: spine"]["linkedSegmentationLayer"]["pre"] == "before: 2026-03-07"
    assert layers["gained: spine"]["linkedSegmentationLayer"]["pre"] == "now: 2026-06-27"
    assert all("spine → shaft" in note["description"] for note in layers["retagged"]["annotations"])


def test_links_are_compared_with_a_version_and_with_each_other(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome]
) -> None:
    """A link and a version, two links, and a cell at two versions give the same counts."""
    old = make_link(OLD, "--version", 1718).out.strip()
    new = make_link(OLD, "--version", 1822).out.strip()
    asked = [(old, new), (old, "--to", 1822), (OLD,)]
    told = [json.loads(synglancer("compare", *one, "--output", "json").out) for one in asked]
    assert told[0]["counts"] == told[1]["counts"] == told[2]["counts"]
    assert told[0]["state_sha256"] == told[1]["state_sha256"] == told[2]["state_sha256"]
    sides = [told[0][side] for side in ("before", "after")]
    assert [one["cell"] for one in sides] == [str(OLD), str(NEW)]
    assert [one["timestamp"] for one in sides] == [
        "2026-03-07T08:10:01.190228Z",
        "2026-06-27T08:10:01.306917Z",
    ]
    assert told[0]["state_url"] in told[0]["url"]


def test_filters_hold_on_both_sides(sandbox, synglancer: Callable[..., Outcome]) -> None:
    """With --tag, synapses that received the tag are gained, and synapses that had it are lost."""
    done = synglancer("compare", OLD, "--tag", "shaft", "--outputs", "--output", "json")
    made = json.loads(done.out)
    assert set(made["counts"]) == {"outputs"}
    assert set(made["counts"]["outputs"]) == {"shaft"}
    assert made["filters"] == {"tag": ["shaft"]}


@pytest.mark.parametrize("output", ["table", "markdown", "csv"])
def test_tables_have_a_row_for_each_direction_and_tag(
    sandbox, synglancer: Callable[..., Outcome], expected, output: str
) -> None:
    """The output names every count, with the link below it or on standard error."""
    done = synglancer("compare", OLD, "--output", output)
    counts = expected["outputs"]["spine"]
    row = next(line for line in done.lines if "outputs" in line and "spine" in line)
    numbers = [part for part in row.replace("|", " ").replace(",", " ").split() if part.isdigit()]
    numbers = numbers[2:] if output == "csv" else numbers  # the cell's root IDs before and after
    assert "".join(numbers) == "".join(str(count) for count in counts.values())
    assert "/nglstate/api/v1/" in done.out


def test_what_cannot_be_compared_is_refused(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Different cells, filters, datastacks and foreign views are refused with an error and a
    hint."""
    mine = make_link(OLD, "--inputs", "--tag", "soma", "--inline").out.strip()
    partner = make_link(who.PARTNERS[1].root_id, "--inputs", "--tag", "soma", "--inline")
    synglancer("compare", mine, partner.out.strip()).refuses(3, "not the same cell")
    all_of_it = make_link(OLD, "--inputs", "--inline").out.strip()
    synglancer("compare", mine, all_of_it).refuses(2, "different filters")
    state = orjson.loads(parse_link(mine).state or b"")
    state["synglancer"]["datastack"] = "elsewhere"
    for layer in state["layers"]:
        layer["shader"] = ""
    other = tmp_path / "other.json"
    other.write_bytes(orjson.dumps(state))
    synglancer("compare", mine, other).refuses(2, "different datastacks")
    next(layer for layer in state["layers"] if "annotations" in layer)["annotations"].pop()
    other.write_bytes(orjson.dumps(state))
    synglancer("compare", other, "--to", 1822).refuses(2, "state was changed")
    foreign = tmp_path / "foreign.json"
    foreign.write_text('{"layers": []}')
    synglancer("compare", foreign).refuses(2, "no record of a cell")


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"id": None}, "do not have an ID that is a whole number."),
        ({"segments": [["abc"], [1.5]]}, "do not have the root ID of each side."),
        ({"props": [None, {}, "NaN", []]}, "do not have a valid number for each property."),
        ({"point": [1e308, -1e308, 1e-320]}, "cannot be placed: their positions are beyond"),
    ],
)
def test_a_damaged_state_is_bad_and_is_not_compared(
    sandbox, make_link, synglancer, tmp_path, values, named
) -> None:
    """check and compare name synapses that cannot be read completely."""
    path = tmp_path / "state.json"
    make_link(OLD, "--inputs", "--tag", "soma", "--save-state", path)
    state = json.loads(path.read_text())
    [layer] = [one for one in state["layers"] if one["type"] == "annotation"]
    for note in layer["annotations"]:
        note.update(values)
    path.write_text(json.dumps(state))
    synglancer("compare", path, "--to", "latest").refuses(2, named)
    checked = synglancer("check", SITE + json.dumps(state, separators=(",", ":")))
    assert checked.code == 5
    assert named in checked.out


def test_links_of_several_cells_and_of_other_servers_are_refused(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome]
) -> None:
    """A link to two cells, a link of another server, and options given with a link are refused."""
    two = make_link(OLD, who.PARTNERS[1].root_id, "--together", "--inline").out.strip()
    advice = f"synglancer compare {OLD} {who.PARTNERS[1].root_id} --from 1718 --to latest."
    synglancer("compare", two).refuses(2, "2 cells", advice)
    one = make_link(OLD, "--tag", "soma", "--inline").out.strip()
    elsewhere = ("--server", "https://cave.example.org")
    synglancer("compare", one, *elsewhere).refuses(2, "not with https://cave.example.org")
    synglancer("compare", one, "--tag", "spine").refuses(2, "--tag")
    synglancer("compare", one, one, "--to", 1822).refuses(2, "--to")
    synglancer("compare", one, OLD).refuses(2, "two links")


TOO_MANY: dict[tuple[str | int, ...], str] = {
    ("old", "new", "old"): "3 links were given",
    ("old", "old", "old"): "3 links were given",
    ("old", "new", OLD): "2 links and 1 cell were given",
    (OLD, NEW, "old"): "1 link and 2 cells were given",
}


def test_no_more_than_two_links_are_compared(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path,
) -> None:  # fmt: skip
    """Links have versions of their own, so several are never added up, and none is left out; two
    are compared in their order."""
    links = {
        name: make_link(OLD, "--version", version, "--tag", "soma").out.strip()
        for name, version in (("old", 1718), ("new", 1822))
    }
    listed = tmp_path / "links.txt"
    for given, said in TOO_MANY.items():
        words = [links.get(str(one), str(one)) for one in given]
        listed.write_text("\n".join(words))
        synglancer("compare", *words).refuses(2, said, "LINK LINK")
        synglancer("compare", listed).refuses(2, said, "LINK LINK")
    listed.write_text("\n".join([links["old"], links["new"]]))
    asked = ((links["old"], links["new"]), (listed,), (links["new"], links["old"]))
    typed, read, turned = (
        json.loads(synglancer("compare", *pair, "--output", "json").out) for pair in asked
    )
    assert typed["state_sha256"] == read["state_sha256"]
    assert [typed[side]["version"] for side in ("before", "after")] == [1718, 1822]
    assert [turned[side]["version"] for side in ("before", "after")] == [1822, 1718]
    assert [turned[side]["cell"] for side in ("before", "after")] == [str(NEW), str(OLD)]


def test_what_shows_a_part_of_a_cell_is_not_compared(
    sandbox, make_link: Callable[..., Outcome], synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """A review or a link to one synapse is refused, and the hint gives a command that compares its
    cell."""
    advice = f"synglancer compare {OLD} --from 1718 --to latest."
    review = tmp_path / "review.json"
    made = make_link(OLD, "--review", "--tag", "soma", "--save-state", review)
    synglancer("compare", review).refuses(2, "least confident", advice)
    whole = make_link(OLD, "--tag", "soma").out.strip()
    synglancer("compare", whole, made.out.strip()).refuses(2, "least confident", advice)
    synapse = Link.from_url(whole, token=TOKEN).predictions["id"].iloc[0]
    named = make_link(f"synapse:{synapse}").out.strip()
    synglancer("compare", named, "--to", 1822).refuses(2, "a single synapse", f"compare {OLD} ")
    assert synglancer(*advice.split()[1:-1], "latest", "--output", "json").code == 0


OTHERS = [str(partner.root_id) for partner in who.PARTNERS[:2]]


def test_many_cells_make_one_table_and_a_page(
    sandbox, synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """The counts of several cells are the sums of each cell's; each has a link, and one page has
    all. An unknown cell is named, and the others are there; a cell in two forms is there once.
    """
    cells = tmp_path / "cells.txt"
    twice = [str(OLD), f"nucleus:{who.SEED_NUCLEUS_ID}"]
    cells.write_text("\n".join([str(OLD), OTHERS[0], "864691135999999999", *twice]))
    page = tmp_path / "page.html"
    done = synglancer("compare", cells, "--output", "json", "--report", page)
    assert done.code == 5
    assert "864691135999999999 is not the root ID of a cell" in done.err
    told = [json.loads(line) for line in done.lines]
    assert [one["before"]["cell"] for one in told] == [str(OLD), OTHERS[0]]
    alone = json.loads(synglancer("compare", OTHERS[0], "--output", "json").out)
    assert (alone["counts"], alone["state_sha256"]) == (told[1]["counts"], told[1]["state_sha256"])
    two = ("compare", OLD, OTHERS[0])
    table = pd.read_csv(io.StringIO(synglancer(*two, "--output", "csv").out), dtype=str)
    assert table["cell_before"].unique().tolist() == [str(OLD), OTHERS[0]]
    gained = pd.to_numeric(table["gained"]).sum()
    assert gained == sum(
        tag["gained"] for one in told for side in one["counts"].values() for tag in side.values()
    )
    shown = synglancer(*two)
    assert f"2 cells  {told[0]['datastack']}: version 1718" in shown.out
    row = next(line for line in shown.lines if line.startswith("inputs") and "spine" in line)
    assert row.split()[2].replace(",", "") == str(
        sum(one["counts"]["inputs"]["spine"]["before"] for one in told)
    )
    text = page.read_text("utf-8")
    assert all(one["url"] in text for one in told)
    assert "864691135999999999 is not the root ID" in text


def test_a_page_of_what_changed_is_html_or_markdown(
    sandbox, synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Another extension is refused before any request."""
    done = synglancer("compare", OLD, "--report", tmp_path / "page.pdf")
    done.refuses(2, "cannot be written as '.pdf'")
    assert not sandbox.requests


def test_a_version_that_is_not_there_is_said_once(
    sandbox, synglancer: Callable[..., Outcome]
) -> None:
    """An error in the question is not repeated for each cell."""
    synglancer("compare", OLD, *OTHERS, "--to", 99999).refuses(4, "99999")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], 2),
        ([OLD, "--to", "99999"], 4),
        ([OLD, "--from", "99999"], 4),
        ([OLD, "--to", "soon"], 2),
        ([OLD, "--cell-types"], 2),
        (["864691135999999999"], 3),
        (["nonsense"], 2),
    ],
)
def test_bad_questions_are_refused(
    sandbox, synglancer: Callable[..., Outcome], words, code
) -> None:
    """A missing cell, an unavailable version and an invalid cell are refused."""
    synglancer("compare", *words).refuses(code)


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_wrong_version_is_refused_by_its_option_before_any_request(
    sandbox, synglancer: Callable[..., Outcome], option: str
) -> None:
    """A token in the place of a version is said of the option that was typed."""
    asked = len(sandbox.requests)
    synglancer("compare", OLD, option, "0123456789abcdef" * 2).refuses(
        2, f"{option} was given what looks like a token"
    )
    synglancer("compare", OLD, option, "soon").refuses(2, "'soon' is not a materialization version")
    assert len(sandbox.requests) == asked


def test_a_reverse_order_is_said(sandbox, synglancer: Callable[..., Outcome]) -> None:
    """From newer to older is compared as asked, and it is said once; the usual order is not."""
    words = ("compare", *OTHERS, "--output", "json")
    back = synglancer(*words, "--from", 1822, "--to", 1718)
    made = [json.loads(line) for line in back.out.splitlines()]
    assert {one["before"]["version"] for one in made} == {1822}
    said = [line for line in back.err.splitlines() if "from newer to older" in line]
    assert len(said) == 1
    assert "version 1822 (2026-06-27)" in said[0]
    assert "earlier version 1718 (2026-03-07)" in said[0]
    assert all(said[0] in one["warnings"] for one in made)
    assert (
        "newer to older" not in synglancer("compare", OTHERS[0], "--from", 1718, "--to", 1822).err
    )


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ((OLD, "--from", 1718, "--version", 5), "Both --version and --from", "with --to"),
        ((OLD, "--from=1718", "--version=5"), "Both --version and --from", "with --to"),
        ((f"{SITE}{{}}", "--version", 5), "Links have their own version", "with --to"),
        ((f"{SITE}{{}}", "--table=t"), "Links have their own table", "Leave out --table."),
        ((f"{SITE}{{}}", "--datastack", who.MINNIE), "own datastack", "Leave out --datastack."),
    ],
)
def test_a_typed_option_is_never_ignored(
    sandbox: Sandbox,
    synglancer: Callable[..., Outcome],
    words: tuple[object, ...],
    said: str,
    hint: str,
) -> None:
    """--version beside --from, and what a link says itself, are refused before any request."""
    synglancer("compare", *words).refuses(2, said, hint)
    assert not sandbox.requests


def test_the_default_version_of_a_lab_is_overridden(
    sandbox: Sandbox, synglancer: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version from the environment is only a default, which --from overrides."""
    monkeypatch.setenv("SYNGLANCER_VERSION", "1822")
    done = synglancer("compare", OLD, "--from", 1718, "--output", "json")
    assert json.loads(done.out)["before"]["version"] == 1718


def test_unknown_cells_alone_make_no_page(
    sandbox, synglancer: Callable[..., Outcome], tmp_path: Path
) -> None:
    """If no cell can be compared, each is named, with exit code 3, and nothing is written."""
    page = tmp_path / "page.html"
    unknown = ("864691135999999999", "864691135999999998")
    done = synglancer("compare", *unknown, "--report", page)
    assert (done.code, done.out, page.exists()) == (3, "", False)
    assert all(f"{one} is not the root ID of a cell" in done.err for one in unknown)
