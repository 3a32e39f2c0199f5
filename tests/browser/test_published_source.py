"""A published source in the viewer: exact counts for selected cells of any size."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from blank import _write_blank_volume
from proof import Complaints, near, poll, show, take_screenshot

from cave_sandbox.server import Sandbox, SandboxOptions
from publish.sample import describe_sandbox, edit_manifest, serve
from publish.tables import make_rows, run, write_parquet
from synglancer import make_link
from synglancer.states.layer_names import format_layer_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page


pytestmark = pytest.mark.browser

BASE = 864691135988251651
SIZES = {BASE: 19, BASE + 2: 3_392, BASE + 4: 200_000}
"""Number of inputs of each cell; 500 more synapses are outputs of the second cell."""

WITHOUT_ROWS = BASE + 6
COLORS = {"spine": "#fb49b0", "shaft": "#ddb310", "soma": "#00beff"}
RELATIONSHIP = {"inputs": "post", "outputs": "pre"}

COUNT = """() => Object.fromEntries(viewer.layerManager.managedLayers
  .filter(({name}) => name.includes(": ")).map(({name, layer}) => {
    const source = layer?.annotationStates.states[0]?.source;
    if (source?.segmentFilteredSources === undefined) return [name, null];
    const group = viewer.layerManager.getLayerByName("segmentation").layer
      .displayState.segmentationGroupState.value;
    const side = name.startsWith("● in") ? "post" : "pre";
    const {chunks} = source.segmentFilteredSources[source.relationships.indexOf(side)];
    const counts = [...group.visibleSegments].map((cell) => {
      const chunk = chunks.get(String(cell));
      return chunk === undefined ? null
        : chunk.data === undefined ? 0 : chunk.data.serializedAnnotations.typeToIds[0].length;
    });
    return [name, counts.includes(null) ? null : counts.reduce((sum, one) => sum + one, 0)];
  }))"""

SELECT = """(cells) => {
  const group = viewer.layerManager.getLayerByName("segmentation").layer
    .displayState.segmentationGroupState.value;
  const parsed = viewer.state.toJSON();
  parsed.layers.find(({name}) => name === "segmentation").segments = cells;
  viewer.state.restoreState(parsed);
  return [...group.visibleSegments].length;
}"""


@pytest.fixture(scope="module")
def rows() -> dict[str, Any]:
    """The cells' synapses, in random order."""
    number = sum(SIZES.values()) + 500
    post = np.repeat([*SIZES, BASE + 1000], [*SIZES.values(), 500]).astype(np.uint64)
    pre = np.full(number, BASE + 2000, np.uint64) + np.arange(number, dtype=np.uint64) % 97
    pre[-500:] = BASE + 2
    order = np.random.default_rng(4).permutation(number)
    return make_rows(number, post_pt_root_id=post[order], pre_pt_root_id=pre[order])


@pytest.fixture(scope="module")
def served(
    rows: dict[str, Any], sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the published rows, with empty volumes."""
    folder: Path = tmp_path_factory.mktemp("published")
    run(
        folder / "out", write_parquet(folder / "rows.parquet", rows),
        timestamp="2026-03-07T08:10:01.190228+00:00",
    )  # fmt: skip
    _write_blank_volume(folder / "out" / "em", "image", "uint8")
    _write_blank_volume(folder / "out" / "seg", "segmentation", "uint64")
    with serve(folder / "out") as address:
        told = describe_sandbox(
            sandbox.origin,
            image_source=f"precomputed://{address}/em",
            segmentation_source=f"precomputed://{address}/seg",
            skeleton_source=None,
        )
        edit_manifest(folder / "out", **told)
        yield address


def make_url(sandbox: Sandbox, served: str, cell: int) -> str:
    """Make the link that shows a cell on the source, as users do."""
    return make_link(cell, source=served, server=sandbox.origin, background="dark").url


def expect(rows: dict[str, Any], *cells: int) -> dict[str, int]:
    """Count the annotations that each layer must hold for these cells."""
    return {
        format_layer_name(direction, tag): int(
            (
                np.isin(rows[f"{side}_pt_root_id"], np.array(cells, np.uint64))
                & (rows["tag"] == tag)
            ).sum()
        )
        for direction, side in RELATIONSHIP.items()
        for tag in COLORS
    }


def await_counts(page: Page, expected: dict[str, int]) -> None:
    """Wait until the page holds exactly these annotations."""
    seen: list[Any] = []

    def are_there() -> bool:
        seen.append(page.evaluate("() => window.viewer !== undefined") and page.evaluate(COUNT))
        return seen[-1] == expected

    assert poll(page, are_there, 90), f"{seen[-1]} instead of {expected}"


@pytest.mark.parametrize("cell", [*SIZES])
def test_a_cell_of_any_size_is_whole(
    page: Page, sandbox: Sandbox, served: str, rows: dict[str, Any], cell: int
) -> None:
    """Cells with 19, 3,392 and 200,000 rows show exactly these rows, each layer in its own
    colour."""
    complaints = Complaints()
    complaints.listen(page)
    page.goto(make_url(sandbox, served, cell))
    expected = expect(rows, cell)
    assert sum(expected.values()) == SIZES[cell] + (500 if cell == BASE + 2 else 0)
    await_counts(page, expected)
    for name, count in expected.items():
        show(page, [name])
        colour = COLORS[name.partition(": ")[2]]

        def is_right(count: int = count, colour: str = colour) -> bool:
            return bool(near(take_screenshot(page), colour).any()) == (count > 0)

        assert poll(page, is_right, 20), f"{name} of {count}"
    assert complaints.said == []


def test_the_layers_follow_the_selection(
    page: Page, sandbox: Sandbox, served: str, rows: dict[str, Any]
) -> None:
    """Selecting a second cell adds its rows; a cell without rows, or no selection, shows no
    rows."""
    complaints = Complaints()
    complaints.listen(page)
    small, middle = BASE, BASE + 2
    page.goto(make_url(sandbox, served, small))
    await_counts(page, expect(rows, small))
    page.evaluate(SELECT, [str(small), str(middle)])
    await_counts(page, expect(rows, small, middle))
    page.evaluate(SELECT, [str(WITHOUT_ROWS)])
    await_counts(page, dict.fromkeys(expect(rows), 0))
    page.evaluate(SELECT, [])
    await_counts(page, dict.fromkeys(expect(rows), 0))
    colours = COLORS.values()
    assert poll(
        page, lambda: not any(near(take_screenshot(page), colour).any() for colour in colours), 20
    )
    assert complaints.said == []


def test_the_sandboxes_own_source_is_drawn(
    page: Page, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link made with `--sandbox --source sample` needs no network and shows exactly the sample's
    rows."""
    states, published = tmp_path / "states.sqlite", tmp_path / "published"
    monkeypatch.setattr("synglancer.cave.sandbox.find_published", lambda: published)
    options = SandboxOptions(data=sample, states=states, token="t", published=published)
    with Sandbox(options) as own:
        running = SimpleNamespace(origin=own.origin, token="t")
        monkeypatch.setattr("synglancer.cave.sandbox.start_sandbox", lambda: running)
        link = make_link(864691135276234469, sandbox=True, source="sample")
        assert link.provenance.source.address.startswith(f"{own.origin}/published/")
        complaints = Complaints()
        complaints.listen(page)
        page.goto(link.url)
        await_counts(
            page,
            {
                format_layer_name(direction, tag): link.counts_by_tag[direction][tag]
                for direction in RELATIONSHIP
                for tag in COLORS
            },
        )
        for direction in RELATIONSHIP:
            show(page, [format_layer_name(direction, "spine")])
            assert poll(page, lambda: bool(near(take_screenshot(page), COLORS["spine"]).any()), 20)
        assert complaints.said == []
