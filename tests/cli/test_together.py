"""Several cells in one link: each synapse once, in the right layer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson
import pandas as pd
import pytest

from cave_sandbox.sample import identity as who
from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN
from synglancer import Link
from synglancer import make_link as api_make_link
from synglancer.states.layer_names import format_layer_name
from synglancer.states.urls import format_inline_link

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PYRAMID, BASKET = str(who.PARTNERS[2].root_id), str(who.PARTNERS[3].root_id)
CELLS = [CELL, BASKET, PYRAMID]
ENDS = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


@pytest.fixture(scope="module")
def synapses(sample: Path) -> pd.DataFrame:
    """All synapses of the sample; the tag is missing without a prediction."""
    tables = sample / who.MINNIE / "tables"
    predictions = pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet")
    return pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet").merge(
        predictions.drop(columns="id"), how="left", left_on="id", right_on="target_id"
    )


def expect(synapses: pd.DataFrame, cells: Sequence[str]) -> dict[str, set[str]]:
    """Return the synapses of each layer, in the order of the layers."""
    known = [int(cell) for cell in cells]
    into, out_of = (synapses[column].isin(known) for column in ENDS.values())
    across = into & out_of & (synapses["pre_pt_root_id"] != synapses["post_pt_root_id"])
    groups = {"inputs": into & ~across, "outputs": out_of & ~across, "between": across}
    layers = {
        format_layer_name(name, tag): set(
            synapses.loc[rows & (synapses["tag"] == tag), "id"].astype(str)
        )
        for name, rows in groups.items()
        for tag in ("spine", "shaft", "soma")
    }
    return {name: ids for name, ids in layers.items() if ids}


def read_layers(state: dict) -> dict[str, set[str]]:
    layers = [layer for layer in state["layers"] if layer["type"] == "annotation"]
    found = {layer["name"]: {note["id"] for note in layer["annotations"]} for layer in layers}
    assert sum(map(len, found.values())) == sum(len(layer["annotations"]) for layer in layers)
    return found


def ask(make_link, *words: object) -> dict:
    made = make_link("--together", *words, "--output", "json")
    assert made.code == 0, made.err
    return json.loads(made.out)


def test_several_cells_are_one_link(own_sandbox: Sandbox, make_link, synglancer, synapses) -> None:
    """One link shows each cell in its own colour and each synapse in its layer, with those between
    the cells once, at the cost of one cell; repeated, it costs one request."""
    assert make_link(CELL, "--no-cache", "--quiet").code == 0
    alone = len(own_sandbox.requests)
    made = make_link("--together", *CELLS, "--output", "json")
    assert len(own_sandbox.requests) - alone == alone == 8
    record = json.loads(made.out)
    link = Link.from_url(record["url"])
    expected = expect(synapses, CELLS)
    layers = read_layers(link.state)
    assert list(layers) == list(expected)
    assert layers == expected
    assert list(layers)[-3:] == ["◎ between: spine", "◎ between: shaft", "◎ between: soma"]
    counts = {name: sum(tags.values()) for name, tags in record["counts"].items()}
    assert counts["between"] == 5 + 17 + 7 + 2
    assert record["shown"] == record["total"] == sum(counts.values())
    assert (record["cell"], record["cells"]) == (CELL, CELLS)
    segmentation = link.state["layers"][1]
    assert segmentation["segments"] == CELLS
    assert len(set(segmentation["segmentColors"].values())) == 3
    middle = [at * size for at, size in zip(link.state["position"], (4, 4, 40), strict=True)]
    places = [note["point"] for layer in link.state["layers"][-3:] for note in layer["annotations"]]
    assert middle in places, "a section at a synapse between the cells shows two of them"
    shown = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    assert link.state["title"] == f"{', '.join(CELLS)} · minnie65_public v1718 · {shown}"
    assert f"between{'':>4}" in made.err
    assert f"{', '.join(CELLS)}  minnie65_public" in made.err

    before = len(own_sandbox.requests)
    assert make_link("--together", *CELLS, "--quiet").out.strip() == record["url"]
    assert len(own_sandbox.requests) - before == 1
    listed = synglancer("history", BASKET, "--output", "url").lines
    assert listed == [record["url"]] * 2
    assert f"{CELL} and 2 more" in synglancer("history", "--limit", 1).out
    assert json.loads(synglancer("check", record["url"], "--output", "json").out)["cells"] == CELLS


def test_a_cell_that_is_not_selected_any_more_is_noticed(sandbox, make_link, synglancer) -> None:
    """With several cells, check names a cell that is not selected and a layer that has lost
    synapses."""
    made = api_make_link(CELLS[:2], server=sandbox.origin, tag="soma")
    state = made.state
    state["layers"][1]["segments"].remove(BASKET)
    state["layers"][-1]["annotations"].pop()
    changed = format_inline_link(f"{sandbox.origin}/", orjson.dumps(state))
    checked = synglancer("check", changed)
    assert checked.code == 5
    assert f"The cell {BASKET} is not selected." in checked.out
    assert "'between: soma' has 11 synapses instead of 12." in checked.out


def test_cells_that_are_kept_are_not_asked_for_again(
    own_sandbox: Sandbox, make_link, synapses
) -> None:
    """Rows fetched together are cached by cell: other sets of the same cells, and each cell alone,
    query no synapses, and show the same as without a cache."""
    ask(make_link, *CELLS)
    before = len(own_sandbox.requests)
    pair = ask(make_link, PYRAMID, CELL)
    alone = json.loads(make_link(BASKET, "--output", "json").out)
    assert not [item for item in own_sandbox.requests[before:] if item.path.endswith("query")]
    assert read_layers(Link.from_url(pair["url"]).state) == expect(synapses, [PYRAMID, CELL])
    assert ask(make_link, PYRAMID, CELL, "--no-cache")["state_sha256"] == pair["state_sha256"]
    assert (
        alone["state_sha256"]
        == api_make_link(BASKET, server=own_sandbox.origin, no_cache=True).state_sha256
    )


def test_one_direction_and_totals(sandbox: Sandbox, make_link, synapses) -> None:
    """With --inputs, synapses from another of the cells are in `between`; --with-total counts all
    synapses of each kind, also for an expired version."""
    known = [int(cell) for cell in CELLS]
    into, out_of = (synapses[column].isin(known) for column in ENDS.values())
    across = into & out_of & (synapses["pre_pt_root_id"] != synapses["post_pt_root_id"])
    totals = {"inputs": int((into & ~across).sum()), "outputs": int((out_of & ~across).sum())}
    record = ask(make_link, *CELLS, "--with-total", "--with-unlabelled")
    assert record["all_synapses"] == {**totals, "between": int(across.sum())}
    assert record["shown"] == sum(record["all_synapses"].values())
    half = ask(make_link, *CELLS, "--inputs", "--with-total", "--min-confidence", "0.9")
    assert half["all_synapses"] == {"inputs": totals["inputs"], "between": int(across.sum())}
    sure = synapses["value"] >= pd.Series([0.9], dtype="float32")[0]
    assert list(half["counts"]) == ["inputs", "between"]
    assert sum(half["counts"]["inputs"].values()) == (into & ~across & sure).sum()
    assert sum(half["counts"]["between"].values()) == (across & sure).sum()

    old = ask(make_link, PYRAMID, BASKET, "--version", "661", "--with-total")
    assert (old["live"], old["counts"]["between"]) == (True, {})
    each = [(synapses[column].isin(known[1:])).sum() for column in ENDS.values()]
    assert old["all_synapses"] == {"inputs": each[0], "outputs": each[1], "between": 0}


def test_a_limit_on_rows_gives_the_same_link(
    options, loaded_sample, make_link, monkeypatch
) -> None:
    """A cut-off answer for all cells is completed, byte for byte."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    hashes, port = [], 0
    for limit in (None, 700):
        with Sandbox(replace(options, row_limit=limit, port=port), loaded_sample) as sandbox:
            port = int(sandbox.origin.rsplit(":", 1)[1])
            words = (*CELLS, "--no-cache", "--server", sandbox.origin)
            hashes.append(ask(make_link, *words)["state_sha256"])
    assert hashes[0] == hashes[1]


def test_cells_are_given_in_any_way(sandbox: Sandbox, make_link, tmp_path) -> None:
    """Outdated root IDs, nuclei, files and links name cells as for one cell; a cell named twice is
    shown once; followed root IDs are reported and recorded; one cell is as without --together."""
    file = tmp_path / "cells.txt"
    file.write_text(f"nucleus:{who.PARTNERS[3].nucleus_id}\n{CELL}\n")
    record = ask(make_link, who.OUTDATED_ONE_SUCCESSOR, file, PYRAMID, BASKET)
    assert record["cells"] == CELLS
    assert f"successor {CELL} is used instead" in record["warnings"][0]
    assert [one["used"] for one in record["followed"]] == [CELL]
    plain = ask(make_link, *CELLS)
    assert "followed" not in plain
    assert plain["counts"] == record["counts"]
    assert ask(make_link, plain["url"])["url"] == plain["url"]
    again = api_make_link([plain["url"], int(CELL)], server=sandbox.origin)
    assert again.url == plain["url"]

    single = json.loads(make_link(CELL, "--output", "json").out)
    assert ask(make_link, CELL, CELL)["url"] == single["url"]
    once = ask(make_link, who.OUTDATED_ONE_SUCCESSOR, CELL)
    assert once["followed"]["used"] == once["cell"] == CELL
    assert "cells" not in once


def test_a_cell_that_cannot_be_shown_fails_the_link(sandbox: Sandbox, make_link) -> None:
    """There is one link or none: an unknown cell is named, and nothing uploaded; too many cells are
    refused before any request; a cell without synapses is shown and named."""
    many = [str(int(CELL) + number) for number in range(101)]
    make_link("--together", *many).refuses(2, "101 cells", "at most 100")
    assert not sandbox.requests
    unknown = "864691135000000001"
    make_link("--together", CELL, unknown).refuses(3, f"{unknown} is not the root ID")
    make_link("--together", CELL, who.OUTDATED_MERGED_CELLS).refuses(
        3, "its parts now belong to several cells"
    )
    make_link("--together", CELL, who.OUTDATED_ONE_SUCCESSOR, "--strict").refuses(3, "--strict")
    assert not [request for request in sandbox.requests if request.path.endswith("/post")]
    silent = ask(make_link, BASKET, who.SPLIT_FRAGMENT, "--inputs")
    assert silent["cells"] == [BASKET, str(who.SPLIT_FRAGMENT)]
    assert [
        text for text in silent["warnings"] if text.startswith(f"{who.SPLIT_FRAGMENT} has none")
    ]
    assert not ask(make_link, CELL, who.SPLIT_FRAGMENT, "--inputs")["warnings"]


def test_a_link_of_several_cells_comes_back(sandbox: Sandbox) -> None:
    """Cells, settings, counts and each synapse are read back from the link, and give the same state
    again; partners have other colours than the cells, which keep theirs."""
    asked = {"min_confidence": 0.8, "soft_filter": True, "partners": 3, "background": "white"}
    made = api_make_link([int(cell) for cell in CELLS], server=sandbox.origin, **asked)
    back = Link.from_url(made.url)
    assert back.cells == made.cells == tuple(int(cell) for cell in CELLS)
    assert (back.cell, back.counts_by_tag, back.warnings) == (int(CELL), made.counts_by_tag, [])
    assert back.predictions.equals(made.predictions)
    assert set(back.predictions["direction"]) == {"inputs", "outputs", "between"}
    again = api_make_link(back.cells, replace(back.settings, no_cache=True))
    assert again.state_sha256 == made.state_sha256
    assert made.state["synglancer"]["hidden"]["between"]

    colours = made.state["layers"][1]["segmentColors"]
    assert len(colours) == len(set(colours.values())) == 6
    pair = api_make_link(CELLS[:2], server=sandbox.origin).state["layers"][1]["segmentColors"]
    assert pair.items() <= colours.items()
