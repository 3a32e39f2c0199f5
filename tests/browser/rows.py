"""Read a cell's rows from the tables of a data folder, without the code under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
from proof import Expected

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Colours of the paper, Pedigo et al. 2026.
PAPER = {"spine": "#fb49b0", "shaft": "#ddb310", "soma": "#00beff"}

#: The name of each side in layers.
NAMED = {"inputs": "● in", "outputs": "○ out", "between": "◎ between"}

SIDES = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}
POSITION = [f"ctr_pt_position_{axis}" for axis in "xyz"]


def read_rows(folder: Path, synapses: str, predictions: str, *cells: int) -> pd.DataFrame:
    """Join the synapses of one or several cells with their predictions.

    Returns
    -------
    pandas.DataFrame
        The synapse table's columns (positions in voxels), ``tag``, ``value``, and ``direction``:
        an autapse is in it twice, a synapse from one of the cells onto another once, as
        ``between``. Sorted by direction and synapse ID.
    """
    tables = folder / "tables"
    joined = pd.read_parquet(tables / f"{synapses}.parquet").merge(
        pd.read_parquet(tables / f"{predictions}.parquet").drop(columns="id"),
        left_on="id",
        right_on="target_id",
    )
    ends = joined[[*SIDES.values()]]
    across = ends.isin(cells).all(axis=1) & (ends.iloc[:, 0] != ends.iloc[:, 1])
    sides = [
        joined[joined[side].isin(cells) & ~across].assign(direction=direction)
        for direction, side in SIDES.items()
    ]
    sides.append(joined[across].assign(direction="between"))
    return pd.concat(sides).sort_values(["direction", "id"], ignore_index=True)


def expect(
    rows: pd.DataFrame,
    cell: int | tuple[int, ...],
    colours: Mapping[str, str] = PAPER,
    *,
    in_sections: bool = False,
) -> Expected:
    """Return what a link must show for these rows of one or several cells. ``colours`` also gives
    the order of the tags.
    """
    found = rows.groupby(["direction", "tag"]).size()
    sides = [*SIDES, "between"]
    layers = [(side, tag) for side in sides for tag in colours if (side, tag) in found.index]
    assert len(layers) == len(found), "a tag without a colour"
    return Expected(
        cells=cell if isinstance(cell, tuple) else (cell,),
        counts={f"{NAMED[side]}: {tag}": int(found[side, tag]) for side, tag in layers},
        colours={f"{NAMED[side]}: {tag}": colours[tag] for side, tag in layers},
        in_sections=in_sections,
    )
