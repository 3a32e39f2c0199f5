"""Build the state of many cells, with properties in the list of segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.view.colors import choose_cell_colors
from synglancer.view.scene import Scene, ViewOptions
from synglancer.view.state import SEGMENTATION, State, build_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.cave.records import Datastack, Materialization

CELL_SET = "synglancer_cells"
"""The key of the record in a state of many cells."""


def build_cell_set(
    cells: Sequence[int],
    points: Sequence[tuple[float, float, float]],
    datastack: Datastack,
    materialization: Materialization,
    properties_url: str,
    record: Mapping[str, Any],
) -> State:
    """Build the state that shows many cells.

    Parameters
    ----------
    cells
        Root IDs of the selected cells.
    points
        Points that must be in view, in nm.
    datastack, materialization
        The source of the cells.
    properties_url
        Address of the properties of all cells.
    record
        The record in the state; JSON values.
    """
    scene = Scene(
        cells=cells,
        datastack=datastack,
        materialization=materialization,
        positions=np.array(points, dtype=float).reshape(-1, 3),
        properties_url=properties_url,
    )
    colors = choose_cell_colors(len(cells))
    frame = build_state(
        scene, ViewOptions(layout="3d", cells=dict(zip(cells, colors, strict=True)))
    ).to_dict()
    mesh = next(layer for layer in frame["layers"] if layer["name"] == SEGMENTATION)
    mesh["tab"] = "segments"
    frame |= {
        "title": f"{record['cells']:,} cells · {datastack.name} v{materialization.version}",
        "selectedLayer": {"layer": SEGMENTATION, "visible": True},
        CELL_SET: dict(record),
    }
    frame.pop("synglancer", None)
    return State.of(frame)
