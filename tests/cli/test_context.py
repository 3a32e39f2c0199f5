"""Spines with several inputs and partners' types, from the command line against the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import requests

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN
from synglancer import Link
from synglancer import make_link as api_make_link
from synglancer.states.layer_names import format_layer_name
from synglancer.view.type_colors import choose_type_color

if TYPE_CHECKING:
    from pathlib import Path

SIDES = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}
PARTNERS = {"inputs": "pre_pt_root_id", "outputs": "post_pt_root_id"}


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture(scope="session")
def rows(sample: Path) -> pd.DataFrame:
    """The sample's tables of the cell's synapses, joined without the code under test.

    Columns of the synapse table, ``tag``, ``value``, ``direction``, ``shared`` (whether another
    synapse is on the same spine) and ``type`` (of the partner). Indexed by direction and ID.
    """
    tables = sample / who.MINNIE / "tables"
    synapses, predictions, spines = (
        pd.read_parquet(tables / f"{name}.parquet")
        for name in (who.SYNAPSE_TABLE, who.PREDICTION_TABLE, who.SPINE_TABLE)
    )
    shared = spines.loc[spines.groupby("group_id")["id"].transform("size") > 1, "target_id"]
    view = pd.read_parquet(sample / who.MINNIE / "views" / f"{who.CELL_TYPE_VIEW}.parquet")
    view = view[(view["pt_root_id"] != 0) & view["cell_type"].notna()]
    single = view.groupby("pt_root_id")["cell_type"].agg(["first", "nunique"])
    types = single.loc[single["nunique"] == 1, "first"]
    joined = synapses.merge(predictions.drop(columns="id"), left_on="id", right_on="target_id")
    sides = [
        joined[joined[side] == int(CELL)].assign(
            direction=direction,
            type=lambda frame, column=PARTNERS[direction]: frame[column].map(types),
        )
        for direction, side in SIDES.items()
    ]
    both = pd.concat(sides)
    both["shared"] = both["id"].isin(shared)
    both["type"] = both["type"].fillna("unknown")
    return both.set_index(["direction", "id"]).sort_index()


def by_synapse(link: Link) -> pd.DataFrame:
    frame = link.predictions.astype({"id": "int64"})
    return frame.set_index(["direction", "id"]).sort_index()


def count(rows: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    return {
        direction: {str(tag): int(n) for tag, n in part[column].value_counts().items()}
        for direction, part in rows.groupby(level="direction")
    }


def test_a_synapse_on_a_shared_spine_is_in_that_layer_alone(
    sandbox: Sandbox, rows: pd.DataFrame
) -> None:
    """With --multi-input, each synapse is shown once: on shared spines in separate layers in the
    paper's colour, otherwise under its tag; counts, record, warnings and the table read back
    agree."""
    link = api_make_link(int(CELL), server=sandbox.origin, multi_input=True)
    expected = rows["tag"].where(~rows["shared"], "multi-input")
    shown = by_synapse(link)
    pd.testing.assert_series_equal(shown["tag"], expected, check_names=False)
    assert link.counts_by_tag == count(rows.assign(tag=expected), "tag")
    assert (link.shown, link.total) == (3392, 3392)
    layers = {layer["name"]: layer for layer in link.state["layers"]}
    for direction, number in (("inputs", 79), ("outputs", 26)):
        layer = layers[format_layer_name(direction, "multi-input")]
        assert layer["annotationColor"] == "#9113cc"
        assert len(layer["annotations"]) == number
    assert link.multi_input == {
        "table": who.SPINE_TABLE,
        "former_tags": {"inputs": {"spine": 79}, "outputs": {"spine": 26}},
    }
    assert [text for text in link.warnings if "105 synapses are on a spine" in text]
    back = Link.from_url(link.url)
    assert back.settings == replace(back.settings, multi_input=True)
    assert back.settings.multi_input_table == who.SPINE_TABLE
    assert (back.multi_input, back.counts_by_tag) == (link.multi_input, link.counts_by_tag)
    assert "partner_type" not in shown


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        (("--tag", "multi-input"), {"multi-input"}),
        (("--tag", "spine", "--inputs"), {"multi-input", "spine"}),
        (("--tag", "shaft", "--outputs", "--min-confidence", "0.9"), {"shaft"}),
    ],
)
def test_filters_know_shared_spines_by_both_names(
    sandbox: Sandbox, make_link, rows: pd.DataFrame, words: tuple[str, ...], tags: set[str]
) -> None:
    """--tag spine also keeps synapses on shared spines, --tag multi-input keeps only those, and
    filtered synapses are counted."""
    made = make_link(CELL, "--multi-input", *words, "--output", "json")
    record = json.loads(made.out)
    kept = rows.assign(tag=rows["tag"].where(~rows["shared"], "multi-input"))
    directions = ["inputs"] if "--inputs" in words else ["outputs"] if "--outputs" in words else []
    kept = kept.loc[directions] if directions else kept
    total = len(kept)
    kept = kept[kept["tag"].isin(tags)]
    if "--min-confidence" in words:
        kept = kept[kept["value"] >= pd.Series([0.9], dtype="float32")[0]]
    assert record["counts"] == count(kept, "tag")
    assert (record["shown"], record["total"]) == (len(kept), total)
    assert not [text for text in record["warnings"] if "has the tag" in text]


def test_the_older_table_is_read_alike(sandbox: Sandbox) -> None:
    """The table that lists only shared spines, under other numbers, gives the same layers; synapses
    without a prediction keep their own layer."""
    options: dict[str, Any] = {"server": sandbox.origin, "multi_input": True}
    new = api_make_link(int(CELL), **options, with_unlabelled=True)
    old = api_make_link(
        int(CELL), **options, with_unlabelled=True, multi_input_table=who.MULTI_INPUT_TABLE
    )
    assert old.counts_by_tag == new.counts_by_tag
    assert old.counts_by_tag["inputs"]["unlabelled"] == 214
    assert old.predictions.equals(new.predictions)
    assert old.state_sha256 != new.state_sha256, "they say where it is known from"


def test_partners_have_the_types_of_the_view(sandbox: Sandbox, rows: pd.DataFrame) -> None:
    """With --color-by partner-type, every synapse has its partner's type, an uploaded list has the
    segments' types, and colours, counts and the table read back agree."""
    link = api_make_link(int(CELL), server=sandbox.origin, color_by="partner-type")
    shown = by_synapse(link)
    pd.testing.assert_series_equal(shown["partner_type"], rows["type"], check_names=False)
    assert link.counts_by_tag == count(rows, "tag")
    described = link.cell_types
    assert described is not None
    assert described["synapses"] == count(rows, "type")
    assert described["colours"] == {
        name: choose_type_color(name) for name in sorted(set(rows["type"]))
    }
    partners = pd.concat(
        [
            rows.loc[[direction]].rename(columns={column: "root"})[["root", "type"]]
            for direction, column in PARTNERS.items()
        ]
    )
    partners = partners[~partners["root"].isin([0, int(CELL)])].drop_duplicates()
    assert described["partners"] == partners["type"].value_counts().to_dict()
    assert described["ambiguous"] == 3
    back = Link.from_url(link.url)
    assert (back.settings.cell_types, back.settings.color_by) == (True, "partner-type")
    assert (back.settings.cell_type_view, back.settings.cell_type_column) == (
        *(who.CELL_TYPE_VIEW, "cell_type"),
    )
    assert back.cell_types == described
    source = link.state["layers"][1]["source"][0]["url"]
    stored = requests.get(f"{source.removeprefix('precomputed://')}/info", timeout=30).json()
    inline = stored["inline"]
    assert inline["ids"] == [str(root) for root in sorted({*partners["root"], int(CELL)})]
    tags = inline["properties"][0]
    listed = [[tags["tags"][place] for place in row] for row in tags["values"]]
    known = dict(partners[["root", "type"]].to_numpy()) | {int(CELL): "23P"}
    named = [known[int(root)] for root in inline["ids"]]
    assert listed == [[] if name == "unknown" else [name] for name in named]


def test_extras_cost_requests_once(own_sandbox: Sandbox, make_link) -> None:
    """Without these options, there are no further requests; the first time, they cost their own
    queries; another view of the same cell only costs its upload."""

    def ask(*words: str) -> list[str]:
        before = len(own_sandbox.requests)
        assert make_link(CELL, "--quiet", *words).code == 0
        return [request.path for request in own_sandbox.requests[before:]]

    assert len(ask()) == 8
    extra = ask("--multi-input", "--cell-types")
    assert sum(path.endswith("/query") for path in extra) == 4
    assert sum("/nglstate/" in path for path in extra) == 4
    assert len(extra) == 10
    again = ask("--multi-input", "--color-by", "partner-type")
    assert [path.rsplit("/", 1)[0] for path in again[1:]] == ["/nglstate/api/v1"] * 2
    assert "/property/" in again[0]
    assert len(ask("--multi-input", "--color-by", "partner-type")) == 1


def test_types_are_in_the_summary_the_card_and_the_check(
    sandbox: Sandbox, make_link, synglancer
) -> None:
    """The legend with all types and counts is printed; the card shows it in colour; and `synglancer
    check` counts the layers correctly."""
    words = (CELL, "--multi-input", "--color-by", "partner-type")
    made = make_link(*words)
    for name, numbers in (("23P", ("272", "308", "9")), ("unknown", ("1,200", "1,034", "289"))):
        [line] = [line for line in made.err.splitlines() if name in line.split()]
        assert tuple(line.split()[-3:]) == numbers
    assert "1,792 of 2,992 partners have a type in aibs_cell_info (cell_type)" in made.err
    assert "Table Owner Notice" not in made.err
    card = make_link(*words, "--output", "html", "--quiet").out
    assert f"color: {choose_type_color('BC')}" in card
    assert "unknown 1,200." in card
    checked = synglancer("check", made.out.strip(), "--output", "json")
    verdict = json.loads(checked.out)
    assert (checked.code, verdict["status"]) == (0, "good")
    assert verdict["expected"]["inputs: multi-input"] == 79


def test_the_list_of_segments_alone_has_a_number_of_its_own(sandbox: Sandbox, make_link) -> None:
    """Without a cache, two runs give the same state with types, except for the server's number of
    the list of segments; the list is also the same, and inline states have the same bytes."""
    words = (CELL, "--cell-types", "--no-cache", "--quiet")
    states, lists = [], []
    for _ in range(2):
        made = make_link(*words).out.strip()
        state = Link.from_url(made).state
        address = state["layers"][1]["source"][0].pop("url").removeprefix("precomputed://")
        lists.append((address, requests.get(f"{address}/info", timeout=30).content))
        states.append(state)
    (first, content), (second, again) = lists
    assert first.rpartition("/")[0] == second.rpartition("/")[0]
    assert first != second
    assert content == again
    assert states[0] == states[1]
    inline = {make_link(*words, "--inline").out for _ in range(2)}
    assert len(inline) == 1


def test_an_inline_link_uploads_nothing(own_sandbox: Sandbox, make_link) -> None:
    """With --inline, only the annotations hold types, because nothing is uploaded; another column
    of the view gives other types."""
    words = ("--inline", "--cell-types", "--cell-type-column", "broad_type", "--outputs")
    made = make_link(CELL, *words, "--quiet")
    assert not [item for item in own_sandbox.requests if item.path.startswith("/nglstate")]
    back = Link.from_url(made.out.strip())
    assert set(back.predictions["partner_type"]) == {"excitatory", "inhibitory", "unknown"}
    assert "property" not in json.dumps(back.state["layers"][1]["source"])
    assert back.settings.cell_type_column == "broad_type"


def test_extras_are_whole_below_a_row_limit(make_link, options, loaded_sample, monkeypatch) -> None:
    """If the server cuts answers off, spines and types are completed, and the state is the same."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    words = ("--multi-input", "--cell-types", "--inline", "--no-cache", "--output", "json")
    made, port = [], 0
    for limit in (None, 400):
        with Sandbox(replace(options, row_limit=limit, port=port), loaded_sample) as sandbox:
            port = int(sandbox.origin.rsplit(":", 1)[1])
            made.append(json.loads(make_link(CELL, "--server", sandbox.origin, *words).out))
    assert made[0]["counts"]["inputs"]["multi-input"] == 79
    assert made[0]["state_sha256"] == made[1]["state_sha256"]


def test_an_expired_version_has_spines_and_no_types(own_sandbox: Sandbox, make_link) -> None:
    """For an expired version, spines use live queries at its timestamp; views cannot, and are
    refused with a hint."""
    old = str(who.PARTNERS[3].root_id)
    record = json.loads(make_link(old, "--version", "661", "--multi-input", "--output", "json").out)
    assert record["live"] is True
    assert record["counts"]["inputs"]["multi-input"] > 0
    made = make_link(old, "--version", "661", "--cell-types")
    made.refuses(4, "does not support live queries", "leave out --cell-types")
    assert not [item for item in own_sandbox.requests if "/views/" in item.path]


def test_several_cells_share_spines_and_partners(sandbox: Sandbox, sample: Path) -> None:
    """With several cells, each synapse is also shown once, and a synapse between them has the type
    of the postsynaptic cell."""
    tables = sample / who.MINNIE / "tables"
    shared = set(pd.read_parquet(tables / f"{who.MULTI_INPUT_TABLE}.parquet")["target_id"])
    cells = [int(CELL), who.PARTNERS[3].root_id]
    options: dict[str, Any] = {"server": sandbox.origin}
    plain = api_make_link(cells, **options)
    link = api_make_link(cells, **options, multi_input=True, cell_types=True)
    before, after = (one.predictions.set_index("id").sort_index() for one in (plain, link))
    assert before.index.equals(after.index)
    on_shared = after.index.isin(shared)
    assert after["tag"].equals(before["tag"].where(~on_shared, "multi-input"))
    assert (link.shown, link.total) == (plain.shown, plain.total)
    between = after[after["direction"] == "between"]
    expected = between["post_pt_root_id"].map({cells[0]: "23P", cells[1]: "BC"})
    assert len(between) > 0
    assert between["partner_type"].tolist() == expected.tolist()


SECOND = ("--datastack", who.SECOND, "--table", who.SECOND_PREDICTION_TABLE)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (
            ("--multi-input", *SECOND),
            2,
            ("'sandbox_second' has no table of spines", "--multi-input"),
        ),
        (("--cell-types", *SECOND), 2, ("no view of cell types", "--cell-type-view")),
        (
            ("--version", "1822", "--multi-input", "--multi-input-table", who.MULTI_INPUT_TABLE),
            4,
            ("Version 1822", f"no table '{who.MULTI_INPUT_TABLE}'", "--multi-input-table"),
        ),
        (
            ("--multi-input", "--multi-input-table", who.PREDICTION_TABLE),
            4,
            ("does not say which synapses share a spine", "reference_simple_group"),
        ),
        (
            ("--cell-types", "--cell-type-view", "no_such_view"),
            4,
            ("no view 'no_such_view'", "--cell-type-view"),
        ),
        (
            ("--cell-types", "--cell-type-column", "genus"),
            4,
            ("no column 'genus'", "cell_type, broad_type, mtype"),
        ),
    ],
)
def test_what_is_not_there_is_refused(
    own_sandbox: Sandbox, make_link, words: tuple[str, ...], code: int, said: tuple[str, ...]
) -> None:
    """If a datastack or version lacks the table, the view or its column, the error names it and the
    option, and no link is made."""
    make_link(CELL, *words).refuses(code, *said)
    assert not [item for item in own_sandbox.requests if item.path.startswith("/nglstate")]
