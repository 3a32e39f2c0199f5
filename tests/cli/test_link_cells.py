"""Cells selected in a Neuroglancer link or a state file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cave_sandbox.server import Sandbox
    from cli.outcome import Outcome

CELL = "864691135276234469"
ELSEWHERE = "graphene://https://example.org/segmentation/table/another"


def link(*segments: str, source: str = ELSEWHERE) -> str:
    layer = {"type": "segmentation", "name": "seg", "source": source, "segments": [*segments]}
    return f"https://viewer.example.org/#!{quote(json.dumps({'layers': [layer]}))}"


def test_a_link_over_another_dataset_is_named_once(
    sandbox: Sandbox, make_link: Callable[..., Outcome]
) -> None:
    """However many segments are selected, a foreign segmentation is named in one sentence."""
    foreign = [str(864691135900000000 + number) for number in range(1_842)]
    done = make_link(link(*foreign))
    done.refuses(3, "1,842 cells of another segmentation", ELSEWHERE, "--datastack")
    assert len(sandbox.requests) < 10


def test_a_copy_of_the_segmentation_has_its_cells(
    sandbox: Sandbox, make_link: Callable[..., Outcome]
) -> None:
    """If the datastack knows the root IDs, the link may be over a copy of its segmentation."""
    made = make_link(link(CELL), "--output", "json", "--tag", "soma")
    assert made.code == 0, made.err
    assert json.loads(made.out)["cell"] == CELL


def test_the_file_of_a_state_is_a_cell(
    sandbox: Sandbox, make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """A file from --save-state is accepted wherever a cell is."""
    file = tmp_path / "state.json"
    first = make_link(CELL, "--tag", "soma", "--save-state", file)
    again = make_link(file, "--tag", "soma")
    assert (again.code, again.out) == (0, first.out)


def test_a_state_nested_too_deep_is_refused(
    sandbox: Sandbox, make_link: Callable[..., Outcome], tmp_path: Path
) -> None:
    """Deep nesting is a usage error, not a bug."""
    file = tmp_path / "deep.json"
    file.write_text('{"layers": [], "a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    make_link(file).refuses(2, f"The file {file} holds no Neuroglancer state")
