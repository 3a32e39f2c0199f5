"""The options of the view, from the command line to the state, against the sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import requests

from cli.outcome import CELL
from synglancer import make_link as api_make_link

if TYPE_CHECKING:
    from pathlib import Path

    from cave_sandbox.server import Sandbox


def read_state(made) -> dict:
    assert made.code == 0, made.err
    state: dict = requests.get(made.out.strip().split("#!")[1], timeout=30).json()
    return state


def synapse_layers(state: dict) -> dict[str, dict]:
    return {layer["name"]: layer for layer in state["layers"] if layer["type"] == "annotation"}


def read_synapses(sample: Path) -> pd.DataFrame:
    tables = sample / "minnie65_public" / "tables"
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet")
    predictions = pd.read_parquet(tables / "synapse_target_predictions_ssa_v2.parquet")
    return synapses.merge(predictions, left_on="id", right_on="target_id", suffixes=("", "_ref"))


@pytest.fixture
def sandbox(lasting_sandbox):
    """All tests of this file share a sandbox and a cache, unless they need `own_sandbox`."""
    return lasting_sandbox


def test_background_white(sandbox: Sandbox, make_link) -> None:
    """--background white makes the 3D view and the sections white."""
    state = read_state(make_link(CELL, "--background", "white"))
    assert state["projectionBackgroundColor"] == "#ffffff"
    assert state["crossSectionBackgroundColor"] == "#ffffff"


def test_figure_is_3d_alone_without_axes_or_panels(sandbox: Sandbox, make_link) -> None:
    """--figure shows only 3D, on white, without axis lines, even with --panel."""
    state = read_state(make_link(CELL, "--figure", "--panel"))
    assert state["layout"] == {"type": "3d", "orthographicProjection": True}
    assert state["projectionBackgroundColor"] == "#ffffff"
    assert state["showAxisLines"] is False
    assert not state["selectedLayer"].get("visible")


def test_palette_safe_changes_the_layers_colours(sandbox: Sandbox, make_link) -> None:
    """--palette safe gives each tag another colour than the paper's, for inputs and outputs
    alike."""
    paper = synapse_layers(read_state(make_link(CELL)))
    safe = synapse_layers(read_state(make_link(CELL, "--palette", "safe")))
    for name, layer in safe.items():
        assert layer["annotationColor"] != paper[name]["annotationColor"]
    assert safe["● in: spine"]["annotationColor"] == safe["○ out: spine"]["annotationColor"]


def test_color_by_confidence_is_in_the_shader(sandbox: Sandbox, make_link) -> None:
    """--color-by confidence colours by each annotation's confidence, not by layer."""
    for layer in synapse_layers(read_state(make_link(CELL, "--color-by", "confidence"))).values():
        assert "confidenceColor(prop_confidence())" in layer["shader"]


def test_panel_is_closed_unless_asked_for(sandbox: Sandbox, make_link) -> None:
    """The side panel is closed by default; --panel opens it on the first synapse layer."""
    assert not read_state(make_link(CELL))["selectedLayer"].get("visible")
    assert read_state(make_link(CELL, "--panel"))["selectedLayer"] == {
        "layer": "● in: spine",
        "visible": True,
    }


def test_filter_by_selection_reaches_every_layer(sandbox: Sandbox, make_link) -> None:
    """--filter-by-selection links each layer to the selection of both of its segments."""
    for layer in synapse_layers(read_state(make_link(CELL, "--filter-by-selection"))).values():
        assert layer["filterBySegmentation"] == ["pre", "post"]


def test_soft_filter_keeps_all_synapses_and_says_what_it_hides(
    sandbox: Sandbox, make_link, sample
) -> None:
    """With --soft-filter, all synapses are in the state, the sliders start at the confidence, and
    record, warnings and filters say how many are hidden at first."""
    words = (CELL, "--min-confidence", "0.9", "--soft-filter", "--output", "json")
    record = json.loads(make_link(*words).out)
    state = requests.get(record["state_url"], timeout=30).json()
    table = read_synapses(sample)
    low = table["value"] < pd.Series([0.9], dtype="float32")[0]
    hidden = {
        direction: table[low & (table[column] == int(CELL))]["tag"].value_counts().to_dict()
        for direction, column in (("inputs", "post_pt_root_id"), ("outputs", "pre_pt_root_id"))
    }
    assert state["synglancer"]["hidden"] == hidden
    total = sum(sum(tags.values()) for tags in hidden.values())
    assert total > 100
    assert (record["shown"], record["total"]) == (3392, 3392)
    assert record["filters"] == {"min_confidence": 0.9, "soft_filter": True}
    assert [warning for warning in record["warnings"] if warning.startswith(f"{total:,} of the")]
    layers = synapse_layers(state)
    assert sum(len(layer["annotations"]) for layer in layers.values()) == 3392
    for layer in layers.values():
        assert layer["shaderControls"] == {"min_confidence": 0.9}


def test_soft_filter_needs_a_confidence(make_link) -> None:
    """--soft-filter without --min-confidence would do nothing, and is refused."""
    make_link(CELL, "--soft-filter").refuses(2, "--min-confidence")


@pytest.mark.parametrize("count", [1, 5])
def test_partners_are_the_strongest_in_distinct_colours(
    sandbox: Sandbox, make_link, sample, count: int
) -> None:
    """--partners N selects the N partners with the most synapses, in both directions together."""
    state = read_state(make_link(CELL, "--partners", count))
    table = read_synapses(sample)
    ends = table[["pre_pt_root_id", "post_pt_root_id"]]
    inputs = table[ends["post_pt_root_id"] == int(CELL)].assign(partner=ends["pre_pt_root_id"])
    outputs = table[ends["pre_pt_root_id"] == int(CELL)].assign(partner=ends["post_pt_root_id"])
    both = pd.concat([inputs, outputs])
    both = both[~both["partner"].isin([0, int(CELL)])]
    ranking = sorted(
        both.groupby("partner")["size"].agg(["size", "sum"]).itertuples(),
        key=lambda row: (-row[1], -row[2], row[0]),
    )
    expected = [str(row[0]) for row in ranking[:count]]
    segmentation = state["layers"][1]
    assert sorted(segmentation["segments"]) == sorted([CELL, *expected])
    assert set(segmentation["segmentColors"]) == {CELL, *expected}
    assert len(set(segmentation["segmentColors"].values())) == count + 1
    assert state["synglancer"]["partners"] == [[str(row[0]), row[1]] for row in ranking[:count]]


def test_partners_keep_their_colours_when_more_are_asked_for(sandbox: Sandbox, make_link) -> None:
    """The strongest partner has the same colour whether one or six partners are selected."""
    few = read_state(make_link(CELL, "--partners", 2))["layers"][1]["segmentColors"]
    many = read_state(make_link(CELL, "--partners", 6))["layers"][1]["segmentColors"]
    assert few.items() <= many.items()


@pytest.mark.parametrize("count", [-1, 101])
def test_impossible_numbers_of_partners_are_refused(make_link, count: int) -> None:
    """A negative number of partners, or more than a viewer can load, is a usage error."""
    make_link(CELL, f"--partners={count}").refuses(2, "--partners")


def test_another_view_is_another_question(own_sandbox: Sandbox) -> None:
    """A link with other view options is never the cached one."""
    plain = api_make_link(int(CELL), server=own_sandbox.origin)
    for options in (
        {"background": "white"},
        {"figure": True},
        {"palette": "safe"},
        {"color_by": "confidence"},
        {"color_by": "partner-type"},
        {"panel": True},
        {"filter_by_selection": True},
        {"partners": 1},
        {"min_confidence": 0.5, "soft_filter": True},
    ):
        made = api_make_link(int(CELL), server=own_sandbox.origin, **options)
        assert made.state_sha256 != plain.state_sha256, options
        assert made.state["synglancer"]["view"] == {
            name: value for name, value in options.items() if name != "min_confidence"
        }
    assert "view" not in plain.state["synglancer"]
