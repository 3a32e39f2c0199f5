"""Printed links, opened in the browser and proved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pytest
from commands import run_make_link, run_make_link_alone
from pages import open_page
from proof import prove
from rows import NAMED, PAPER, POSITION, SIDES, expect, read_rows
from selection import read_selection

from cave_sandbox.sample import identity as who
from synglancer import Link, make_link
from synglancer.states.record import RECORD
from synglancer.states.urls import format_inline_link
from synglancer.view.colors import PALETTES, choose_colors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from playwright.sync_api import Browser, Page
    from proof import Proof

    from cave_sandbox.server import Sandbox

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID


@pytest.fixture(scope="module")
def rows(sample: Path) -> pd.DataFrame:
    """All predicted synapses of the seed cell."""
    return read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, CELL)


@pytest.fixture
def _token(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the sandbox's token known to the Python API."""
    monkeypatch.setenv("CAVE_TOKEN", sandbox.options.token)


@pytest.fixture(scope="module")
def printed(
    browser: Browser, sandbox: Sandbox, rows: pd.DataFrame
) -> Iterator[tuple[Page, str, Proof]]:
    """Open and prove the link that make-link prints, for several tests."""
    url = run_make_link_alone(sandbox, CELL)
    with open_page(browser) as page:
        yield page, url, prove(page, url, expect(rows, CELL))


def test_printed_link_opens(
    printed: tuple[Page, str, Proof], sandbox: Sandbox, rows: pd.DataFrame
) -> None:
    """A link from make-link shows the cell with each tag's synapses, as in the tables."""
    assert rows["direction"].value_counts().to_dict() == {"inputs": 3076, "outputs": 316}
    _, url, proof = printed
    assert url.startswith(f"{sandbox.origin}/v/synglancer/#!{sandbox.origin}/nglstate/api/v1/")
    title = f"{CELL} · minnie65_public v1718 · 3,076 inputs, 316 outputs"
    assert proof.title == f"{title} - neuroglancer"


def test_inline_link_opens(page: Page, sandbox: Sandbox, rows: pd.DataFrame) -> None:
    """A link made with --inline shows the same, without a request to a state server."""
    before = len(sandbox.requests)
    url = run_make_link(sandbox, CELL, "--inline")
    # It holds the same bytes that the test above proves, according to tests/cli/test_make_link.py.
    prove(page, url, replace(expect(rows, CELL), colours={}))
    asked = [request.path for request in sandbox.requests[before:]]
    assert not [path for path in asked if path.startswith("/nglstate")]


def test_filtered_link_opens(page: Page, sandbox: Sandbox, rows: pd.DataFrame) -> None:
    """A link with --tag and --min-confidence shows exactly the synapses that pass."""
    sure = rows["value"] >= np.float32(0.9)
    kept = rows[(rows["tag"] == "spine") & sure]
    assert 0 < len(kept) < (rows["tag"] == "spine").sum()
    url = run_make_link(sandbox, CELL, "--tag", "spine", "--min-confidence", "0.9")
    prove(page, url, expect(kept, CELL))


def test_link_of_several_cells_opens(page: Page, sandbox: Sandbox, sample: Path) -> None:
    """A link made with --together shows all cells, and the synapses between them in separate
    layers."""
    cells = (CELL, who.PARTNERS[3].root_id)
    rows = read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, *cells)
    kept = rows[rows["tag"] != "spine"]
    assert (kept["direction"] == "between").sum() == 22
    options = ("--together", "--tag", "shaft", "--tag", "soma")
    url = run_make_link(sandbox, cells[0], str(cells[1]), *options)
    proof = prove(page, url, expect(kept, cells))
    assert "22 between" in proof.title


@pytest.mark.usefixtures("_token")
def test_sections_alone_open(page: Page, sandbox: Sandbox, rows: pd.DataFrame) -> None:
    """--layout xy shows one section and the synapses in it."""
    kept = rows[rows["tag"] == "soma"]
    link = make_link(CELL, server=sandbox.origin, tag="soma", layout="xy")
    prove(page, link.url, expect(kept, CELL, in_sections=True))
    assert page.evaluate("() => viewer.layout.toJSON()") == "xy"


@pytest.mark.usefixtures("_token")
def test_a_state_shared_again_says_where_it_comes_from(
    page: Page, sandbox: Sandbox, rows: pd.DataFrame
) -> None:
    """--layout 4panel shows its panels and the synapses in them. A state rewritten by the viewer
    lacks the record's key, but its shader still holds the record."""
    link = make_link(CELL, server=sandbox.origin, tag="soma", layout="4panel")
    prove(page, link.url, expect(rows[rows["tag"] == "soma"], CELL))
    shared = page.evaluate("() => viewer.state.toJSON()")
    layout = shared["layout"]
    assert (layout if isinstance(layout, str) else layout["type"]) == "4panel"
    assert RECORD not in shared
    again = Link.from_url(format_inline_link(sandbox.origin, orjson.dumps(shared)))
    assert again.provenance == link.provenance
    assert again.settings == link.settings
    assert again.warnings == []


def test_second_datastack_opens(page: Page, sandbox: Sandbox, sample: Path) -> None:
    """A datastack with other names, tags and voxels needs only options."""
    cell = who.SECOND_SEED_ROOT_ID
    folder = sample / who.SECOND
    rows = read_rows(folder, who.SECOND_SYNAPSE_TABLE, who.SECOND_PREDICTION_TABLE, cell)
    tags = sorted(rows["tag"].unique(), key=lambda tag: (tag not in PAPER, tag))
    colours = choose_colors(tags, PALETTES["paper"])
    url = run_make_link(
        sandbox,
        cell,
        *("--datastack", who.SECOND, "--version", "7", "--table", who.SECOND_PREDICTION_TABLE),
    )
    prove(page, url, expect(rows, cell, colours))


def test_selected_synapse_is_the_row(printed: tuple[Page, str, Proof], rows: pd.DataFrame) -> None:
    """For synapses at every extreme, the viewer's panel agrees with the row of the table."""
    extremes = set()
    for column in ["id", "size", "value", *SIDES.values(), *POSITION]:
        extremes |= {int(rows[column].argmin()), int(rows[column].argmax())}
    page, _, _ = printed
    for number in sorted(extremes):
        row = rows.iloc[number]
        layer = f"{NAMED[row['direction']]}: {row['tag']}"
        shown = read_selection(page, layer, str(row["id"]))
        assert shown.layer == layer
        assert shown.position == tuple(str(row[name]) for name in POSITION)
        assert shown.segments == {
            "pre": [str(row["pre_pt_root_id"])],
            "post": [str(row["post_pt_root_id"])],
        }
        assert shown.properties["size"] == str(row["size"])
        assert float(shown.properties["confidence"]) == pytest.approx(row["value"], rel=1e-5)
