"""Find partners: the cells on the other side of the shown synapses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from synglancer.columns import PARTNER_COLUMN

if TYPE_CHECKING:
    from collections.abc import Collection


def read_partners(frame: pd.DataFrame) -> pd.Series[int]:
    """Read each synapse's partner: the cell on its other side.

    For a synapse between cells that are shown together, it is the postsynaptic cell.

    Parameters
    ----------
    frame : DataFrame, shape (n,)
        A table of predictions; see `synglancer.columns.DTYPES`.

    Returns
    -------
    pandas.Series, shape (n,), uint64
        Root IDs; 0 if the segmentation has no cell there.
    """
    received = (frame["direction"] == "inputs").to_numpy()
    columns = {name: frame[column].to_numpy("uint64") for name, column in PARTNER_COLUMN.items()}
    chosen = np.where(received, columns["inputs"], columns["outputs"])
    return pd.Series(chosen, index=frame.index, dtype="uint64")


def find_strongest_partners(
    frame: pd.DataFrame, cells: Collection[int], count: int
) -> list[tuple[int, int]]:
    """Find the partners with the most synapses, both directions taken together.

    Parameters
    ----------
    frame : DataFrame, shape (n,)
        A table of predictions; see `synglancer.columns.DTYPES`.
    cells
        Root IDs of the cells shown, which do not count as partners, even by autapses.
    count
        Most partners to find.

    Returns
    -------
    list of (int, int)
        Root ID and number of synapses, the strongest first; ties are broken by the total size of
        the synapses (the largest first), then by root ID.
    """
    if not count:
        return []
    partner = read_partners(frame)
    others = ~partner.isin([0, *cells])
    sizes = frame["size"].astype("float64")[others]  # float32 sums would depend on the order
    strength = sizes.groupby(partner[others]).agg(["size", "sum"]).reset_index(names="partner")
    ranked = strength.sort_values(["size", "sum", "partner"], ascending=[False, False, True])
    best = ranked.head(count)
    return [
        (int(root), int(synapses))
        for root, synapses in zip(best["partner"], best["size"], strict=True)
    ]
