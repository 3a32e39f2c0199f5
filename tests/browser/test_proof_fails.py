"""The proof of a link can fail: each thing that it checks is broken once."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pytest
from proof import (
    LOADING,
    PANELS,
    NotProvedError,
    await_loaded,
    decode_picture,
    find_failures,
    near,
    prove,
    show,
    take_screenshot,
)
from rows import expect, read_rows

from cave_sandbox.sample import identity as who
from synglancer import make_link
from synglancer.states.urls import format_inline_link

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page
    from proof import Expected

    from cave_sandbox.server import Sandbox

    Break = Callable[[dict[str, Any]], None]

pytestmark = pytest.mark.browser

CELL = who.SEED_ROOT_ID
OTHER_CELL = who.PARTNERS[0].root_id
LAYER = "○ out: soma"


@pytest.fixture(scope="module")
def state(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small state that can be proved: the cell and the nine outputs onto somata."""
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text(sandbox.options.token)
    asked = {"server": sandbox.origin, "token_file": str(token), "no_cache": True}
    return make_link(CELL, tag="soma", outputs=True, inline=True, **asked).state


@pytest.fixture(scope="module")
def expected(sample: Path) -> Expected:
    """What it shows."""
    rows = read_rows(sample / who.MINNIE, who.SYNAPSE_TABLE, who.PREDICTION_TABLE, CELL)
    return expect(rows[(rows["tag"] == "soma") & (rows["direction"] == "outputs")], CELL)


@pytest.fixture
def link(sandbox: Sandbox, state: dict[str, Any]) -> Callable[..., str]:
    """Break something in the state, and make a link of it."""

    def build(*broken: Break) -> str:
        changed = copy.deepcopy(state)
        for spoil in broken:
            spoil(changed)
        return format_inline_link(f"{sandbox.origin}/v/broken/", orjson.dumps(changed))

    return build


def _synapses(state: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in state["layers"] if layer["name"] == LAYER)


def _spoil_annotation(state: dict[str, Any]) -> None:
    _synapses(state)["annotations"][4]["props"].append(1)


def _lose_annotation(state: dict[str, Any]) -> None:
    _synapses(state)["annotations"].pop()


def _repeat_id(state: dict[str, Any]) -> None:
    first, second, *_ = _synapses(state)["annotations"]
    second["id"] = first["id"]


def _spoil_shader(state: dict[str, Any]) -> None:
    _synapses(state)["shader"] = "void main() { setPointMarkerSize(no_such_name); }"


def _lose_imagery(state: dict[str, Any]) -> None:
    source = state["layers"][0]["source"][0]
    source["url"] = source["url"].removesuffix("/em") + "/nothing"


def _take_another_cell(state: dict[str, Any]) -> None:
    state["layers"][1]["segments"] = [str(OTHER_CELL)]


def _lose_layer(state: dict[str, Any]) -> None:
    state["layers"].remove(_synapses(state))


def _make_transparent(state: dict[str, Any]) -> None:
    _synapses(state)["shaderControls"] = {"opacity": 0}


def _change_color(state: dict[str, Any]) -> None:
    _synapses(state)["annotationColor"] = "#ddb310"


def _add_layer(state: dict[str, Any]) -> None:
    state["layers"].append({**_synapses(state), "name": "twin"})


#: What is broken in one state, and the failures that must be named.
BROKEN: dict[str, tuple[tuple[Break, ...], tuple[str, ...]]] = {
    "malformed annotation, no source, another cell, further layer": (
        (_spoil_annotation, _lose_imagery, _take_another_cell, _add_layer),
        (
            r"annotations: '○ out: soma' has 4 instead of 9",
            r"source: 'imagery' failed: .*[\s\S]*console: request: status 404 for .*/nothing/",
            rf"selected: \['{OTHER_CELL}'\] instead of \['{CELL}'\]",
            r"layers: \[.*'twin'\] instead of \[",
        ),
    ),
    "lost annotation, repeated ID, shader with an error": (
        (_lose_annotation, _repeat_id, _spoil_shader),
        (
            r"annotations: '○ out: soma' has 7 instead of 9",
            r"shader: '○ out: soma' failed: .*no_such_name",
        ),
    ),
    "lost layer": (
        (_lose_layer,),
        (r"layers: \['imagery', 'segmentation'\] instead of \[",),
    ),
    "nothing drawn": ((_make_transparent,), (r"colour: '○ out: soma' alone draws no #00beff",)),
    "another colour": ((_change_color,), (r"colour: '○ out: soma' alone draws no #00beff",)),
}


def test_whole_state_is_proved(page: Page, link: Callable[..., str], expected: Expected) -> None:
    """Unbroken, the state that the others break is proved, by pictures of what users see, but not
    if another number of annotations is expected."""
    proof = prove(page, link(), expected)
    assert proof.alone[LAYER] > 0
    assert proof.among_others[LAYER] > 0
    show(page, [LAYER])
    seen = decode_picture(page.screenshot(clip=page.evaluate(PANELS)))
    drawn = take_screenshot(page)
    np.testing.assert_array_equal(near(drawn, "#00beff"), near(seen, "#00beff"))
    more = replace(expected, counts={LAYER: 10})
    failures = find_failures(await_loaded(page, more, LOADING), more)
    assert [*failures] == ["annotations: '○ out: soma' has 9 instead of 10"]


@pytest.mark.parametrize("what", BROKEN)
def test_broken_link_is_not_proved(
    page: Page, link: Callable[..., str], expected: Expected, what: str
) -> None:
    """A link with broken things is not proved, and each of them is named."""
    broken, failures = BROKEN[what]
    with pytest.raises(NotProvedError) as refused:
        prove(page, link(*broken), expected, drawing=0.3)
    for words in failures:
        assert re.search(words, str(refused.value))
