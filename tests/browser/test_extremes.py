"""Rows at the limits of what tables and viewers can hold, compared with what the viewer shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
import pytest
from blank import write_blank_datastack
from proof import prove
from rows import NAMED, POSITION, expect, read_rows
from selection import read_selection

from cave_sandbox.server import Sandbox, SandboxOptions
from synglancer import make_link
from synglancer.states.urls import format_inline_link
from synglancer.view.annotations import build_annotations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SYNAPSES, PREDICTIONS = "synapses_pni_2", "synapse_target_predictions_ssa_v2"
TOKEN = "extremes-token"

#: CAVE's tables store IDs as int64; segmentations and viewers use uint64.
LAST, LAST_UINT64 = 2**63 - 1, 2**64 - 1

#: Up to here, 16.8 mm from the origin, each nm has its own float32, which viewers use for drawing.
FAR = (4_194_303, 4_194_303, 419_430)
NEAR = (0, 0, 0)
#: Corners of minnie65, voxels.
FIRST_CORNER, LAST_CORNER = (52_770, 60_616, 14_850), (437_618, 322_718, 27_858)

ROWS = [
    # ID, pre, post, position in voxels, size, confidence
    (1, 1, LAST, NEAR, 1, 0.0),
    (LAST, LAST - 1, LAST, FAR, 2**24, 1.0),
    (2**53 + 1, 2**53 + 1, LAST, FIRST_CORNER, 2**24 - 1, 2**-149),
    (864691135988251651, LAST, 864691135988251651, LAST_CORNER, 3, 1 - 2**-24),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with these rows."""
    folder = tmp_path_factory.mktemp("extremes")
    ids, pre, post, places, sizes, confidences = zip(*ROWS, strict=True)
    synapses = pd.DataFrame({"id": ids, "pre_pt_root_id": pre, "post_pt_root_id": post})
    for side in ("pre", "ctr", "post"):
        for axis, values in zip("xyz", zip(*places, strict=True), strict=True):
            synapses[f"{side}_pt_position_{axis}"] = values
    synapses["size"] = sizes
    predictions = pd.DataFrame(
        {"id": range(1, 5), "target_id": ids, "tag": "spine", "value": confidences}
    ).astype({"value": "float32"})
    write_blank_datastack(folder, {SYNAPSES: synapses, PREDICTIONS: predictions})
    return folder


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox that serves it."""
    states = tmp_path_factory.mktemp("states") / "states.sqlite"
    with Sandbox(SandboxOptions(data=folder, states=states, token=TOKEN)) as sandbox:
        yield sandbox


def compare(page: Page, row: Any, layer: str) -> None:
    """Select a row's annotation and compare everything that the viewer says about it."""
    shown = read_selection(page, layer, str(row["id"]))
    assert shown.layer == layer
    assert shown.position == tuple(str(row[name]) for name in POSITION)
    assert shown.segments == {side: [str(row[f"{side}_pt_root_id"])] for side in ("pre", "post")}
    assert shown.properties["size"] == str(row["size"])
    assert float(shown.properties["confidence"]) == pytest.approx(row["value"], rel=1e-5, abs=1e-9)


def test_extremes_of_the_tables(
    page: Page, served: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smallest and largest IDs, positions, sizes and confidences of a table are shown
    unchanged, and read back from the link."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    rows = read_rows(folder, SYNAPSES, PREDICTIONS, LAST)
    assert len(rows) == len(ROWS)
    link = make_link(LAST, server=served.origin)
    prove(page, link.url, replace(expect(rows, LAST), colours={}))
    held = link.predictions.set_index("id")
    for _, row in rows.iterrows():
        compare(page, row, f"{NAMED[row['direction']]}: spine")
        assert held.loc[row["id"], "confidence"] == row["value"]


def test_extremes_of_the_viewer(
    page: Page, served: Sandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IDs up to 2^64 - 1 and sizes up to 2^32 - 1, which no CAVE table holds, pass through our
    annotations and the viewer unchanged."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    row = {
        "id": LAST_UINT64,
        "pre_pt_root_id": LAST_UINT64 - 1,
        "post_pt_root_id": LAST_UINT64,
        "size": 2**32 - 1,
        "value": 0.5,
        **dict(zip(POSITION, FAR, strict=True)),
    }
    nm = {name: row[name] * size for name, size in zip(POSITION, (4, 4, 40), strict=True)}
    frame = pd.DataFrame([{**row, **nm, "direction": "inputs", "tag": "spine", "confidence": 0.5}])
    state = make_link(LAST, server=served.origin, inputs=True).state
    state["layers"][1]["segments"] = [str(LAST_UINT64)]
    state["layers"][2]["annotations"] = orjson.loads(build_annotations(frame)[0].json)
    url = format_inline_link(f"{served.origin}/v/synglancer/", orjson.dumps(state))
    expected = expect(pd.DataFrame({"direction": ["inputs"], "tag": ["spine"]}), LAST_UINT64)
    prove(page, url, replace(expected, colours={}))
    compare(page, row, "● in: spine")
