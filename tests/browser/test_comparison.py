"""The link of a comparison, opened in the viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from proof import LOADING, LOOK, PYTHON_SERVER, Complaints, poll

from cave_sandbox.server import Sandbox, SandboxOptions
from edits import NEW, OLD, divide, join_sides
from synglancer.links.kinds.comparison import compare
from synglancer.settings import Question

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_each_change_is_a_layer_over_two_meshes(
    page: Page, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The viewer shows the synapses of each kind of change, and both versions of the cell."""
    monkeypatch.setenv("CAVE_TOKEN", "a-token")
    complaints = Complaints()
    complaints.listen(page)
    options = SandboxOptions(data=sample, states=tmp_path / "states.sqlite", token="a-token")
    with Sandbox(options) as sandbox:
        page.goto(compare(str(OLD), question=Question(server=sandbox.origin)).url)
        meshes = ["before: 2026-03-07", "now: 2026-06-27"]
        wanted = divide(join_sides(sample))
        names = ["imagery", *meshes, *wanted]

        def is_settled() -> bool:
            look = page.evaluate(LOOK)
            layers = look["layers"] if look else []
            return bool(look and look["ready"]) and [one["name"] for one in layers] == names

        assert poll(page, is_settled, LOADING)
        layer = "viewer.layerManager.getLayerByName('kept')"
        assert page.evaluate(f"{layer}.visible") is False
        page.evaluate(f"{layer}.setVisible(true)")
        assert poll(page, lambda: None not in _list_sources(page), LOADING)
        look = page.evaluate(LOOK)
    assert not [text for text in (*look["status"], *look["modal"]) if PYTHON_SERVER not in text]
    layers = {one["name"]: one for one in look["layers"]}
    assert not any(source for one in look["layers"] for source in one["sources"])
    assert [layers[mesh]["segments"] for mesh in meshes] == [[str(OLD)], [str(NEW)]]
    for name, rows in wanted.items():
        assert layers[name]["count"] == len(set(rows["id"])), name
        assert not layers[name]["shader"], layers[name]["shader"]
    assert complaints.said == []


def _list_sources(page: Page) -> list[str | None]:
    return [source for layer in page.evaluate(LOOK)["layers"] for source in layer["sources"]]
