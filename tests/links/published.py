"""A small published source, whose rows are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from links.shelf import A, B, P, Q
from publish.tables import run, write_parquet

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {
    "id": np.array([2**64 - 9, 2**53 + 1, 7, 8, 9], "uint64"),
    "pre_pt_root_id": np.array([P, Q, A, 0, B], "uint64"),
    "post_pt_root_id": np.array([A, A, Q, A, B], "uint64"),
    "ctr_pt_position_x": [10, 20, 30, 40, 50],
    "ctr_pt_position_y": [11, 21, 31, 41, 51],
    "ctr_pt_position_z": [12, 22, 32, 42, 52],
    "size": [100, 200, 300, 400, 500],
    "value": np.array([0.5, 0.75, 0.25, 1.0, 0.125], "float32"),
    "tag": ["spine", "spine", "spine", "shaft", "shaft"],
}


def make_rows(*rows: tuple[int, str, float, int, int, int]) -> dict[str, Any]:
    """Make columns to publish from IDs, tags, confidences, sizes, and both ends."""
    names = ("id", "tag", "value", "size", "pre_pt_root_id", "post_pt_root_id")
    kinds = {"id": "uint64", "value": "float32", names[4]: "uint64", names[5]: "uint64"}
    columns = zip(names, zip(*rows, strict=True), strict=True)
    places = {f"ctr_pt_position_{axis}": [10 * one[0] for one in rows] for axis in "xyz"}
    return {
        **{name: np.array(one, kinds[name]) if name in kinds else [*one] for name, one in columns},
        **places,
    }


def publish(folder: Path, rows: dict[str, Any] = ROWS, **facts: Any) -> Path:
    """Publish rows in a folder."""
    run(folder / "source", write_parquet(folder / "rows.parquet", rows), **facts)
    return folder / "source"
