"""Find the seed cell's edits between 1718 and 1822 in the sample's tables, with pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from cave_sandbox.sample import identity as who

if TYPE_CHECKING:
    from pathlib import Path

OLD = who.SEED_ROOT_ID
NEW = who.EDITED_SEED
SIDES = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}


def read_side(folder: Path, cell: int, edition: str) -> pd.DataFrame:
    """Read tag and confidence of each synapse of a cell, by direction and ID.

    ``edition`` is empty, or ``@1822``.
    """
    tables = folder / "tables"
    joined = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}{edition}.parquet").merge(
        pd.read_parquet(tables / f"{who.PREDICTION_TABLE}{edition}.parquet").drop(columns="id"),
        left_on="id",
        right_on="target_id",
    )
    sides = [joined[joined[column] == cell].assign(side=side) for side, column in SIDES.items()]
    kept = pd.concat(sides)[["side", "id", "tag", "value"]]
    return kept.astype({"value": "float32"}).set_index(["side", "id"])


def join_sides(sample: Path) -> pd.DataFrame:
    """Join the seed cell's old and new synapses: columns ``tag_old``, ``tag_new`` and the
    confidences."""
    folder = sample / who.MINNIE
    old, now = read_side(folder, OLD, ""), read_side(folder, NEW, "@1822")
    return old.join(now, how="outer", lsuffix="_old", rsuffix="_new").reset_index()


def divide(both: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide joined rows among the layers that show them."""
    old, new, tags = both["tag_old"], both["tag_new"], ("spine", "shaft", "soma")
    layers = {
        **{f"gained: {tag}": both[(new == tag) & old.isna()] for tag in tags},
        **{f"lost: {tag}": both[(old == tag) & new.isna()] for tag in tags},
        "retagged": both[old.notna() & new.notna() & (old != new)],
        "kept": both[old == new],
    }
    return {name: rows for name, rows in layers.items() if len(rows)}
