"""A data folder whose seed cell was edited, and predicted anew, between versions 1718 and 1822."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pandas as pd

from cave_sandbox.sample import identity as who

if TYPE_CHECKING:
    from pathlib import Path

OLD = who.SEED_ROOT_ID
SIDES = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}


def write_edited_sample(sample: Path, folder: Path, new: int) -> Path:
    """Write the sample with rows of its own for 1822, where the seed cell's root ID is ``new``.

    Some of its synapses are split off, others are merged to it, and predictions are tagged anew,
    have another confidence, or are gone.
    """
    source = sample / who.MINNIE
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("precomputed"))
    (folder / "precomputed").symlink_to(source / "precomputed")
    tables = folder / "tables"
    synapses = pd.read_parquet(tables / f"{who.SYNAPSE_TABLE}.parquet")
    for place, column in enumerate(SIDES.values()):
        own = synapses.index[synapses[column] == OLD]
        others = synapses.index[~synapses[[*SIDES.values()]].isin([OLD, new]).any(axis=1)]
        synapses.loc[own, column] = new
        synapses.loc[own[place::11], column] = who.SPLIT_FRAGMENT
        synapses.loc[others[place * 40 : place * 40 + 17], column] = new
    predictions = pd.read_parquet(tables / f"{who.PREDICTION_TABLE}.parquet")
    spines = predictions.index[predictions["tag"] == "spine"]
    predictions.loc[spines[::9], "tag"] = "shaft"
    predictions.loc[predictions.index[::5], "value"] *= 0.5
    predictions = predictions.drop(predictions.index[::13])
    nuclei = pd.read_parquet(tables / f"{who.NUCLEUS_TABLE}.parquet")
    nuclei.loc[nuclei["pt_root_id"] == OLD, "pt_root_id"] = new
    written = {
        who.SYNAPSE_TABLE: synapses,
        who.PREDICTION_TABLE: predictions,
        who.NUCLEUS_TABLE: nuclei,
    }
    for name, table in written.items():
        table.to_parquet(tables / f"{name}@1822.parquet", index=False)
    if new != OLD:
        _add_edit(folder, new)
    return folder


def _add_edit(folder: Path, new: int) -> None:
    roots = next(folder.rglob("roots.*"))
    read = pd.read_parquet if roots.suffix == ".parquet" else pd.read_csv
    lineage = read(roots).astype(str).replace({"None": "", "nan": ""})
    edit = [str(OLD), "2025-09-18T17:03:33Z", "2026-05-02T10:00:00Z", f"{new} {who.SPLIT_FRAGMENT}"]
    roots.unlink()
    joined = pd.concat([lineage, pd.DataFrame([edit], columns=lineage.columns)])
    joined.to_csv(folder / "roots.csv", index=False)


def read_side(folder: Path, cell: int, edition: str) -> pd.DataFrame:
    """Read tag and confidence of each synapse of a cell, by direction and ID, joined by pandas.

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


def join_sides(folder: Path, new: int) -> pd.DataFrame:
    """Join what the seed cell had and has: columns ``tag_old``, ``tag_new`` and the confidences."""
    old, now = read_side(folder, OLD, ""), read_side(folder, new, "@1822")
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
