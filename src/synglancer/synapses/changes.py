"""Compare two tables of a cell's synapses: gained, lost, retagged and kept ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.columns import DTYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

GAINED, LOST, RETAGGED, KEPT = "gained", "lost", "retagged", "kept"
"""The kinds of changes."""

COUNTED = (
    "before", "after", "gained", "lost", "retagged_to", "retagged_from", "kept", "confidence_moved",
)  # fmt: skip
"""Columns of the counts. For each direction and tag, ``before`` is ``kept + lost + retagged_from``,
and ``after`` is ``kept + gained + retagged_to``."""

_KEY = ["direction", "id"]


def find_changes(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Find the change of each synapse.

    Parameters
    ----------
    before, after
        Synapses; columns and dtypes as `synglancer.columns.DTYPES`, each synapse once in a
        direction.

    Returns
    -------
    pandas.DataFrame
        A row for each synapse of either table, sorted by direction and ID. Columns as
        `synglancer.columns.DTYPES`, with the values of ``after``, or of ``before`` for lost
        synapses; and ``change``, ``former_tag`` (str, empty for gained synapses) and
        ``former_confidence`` (float32, NaN for them).

    Raises
    ------
    ValueError
        When a table has a synapse twice in one direction.
    """
    old, new = (table[[*DTYPES]].set_index(_KEY) for table in (before, after))
    if not old.index.is_unique or not new.index.is_unique:
        raise ValueError("a synapse is in a table twice")
    former = old.reindex(new.index)[["tag", "confidence"]]
    known = new.index.isin(old.index)
    same = known & (former["tag"].to_numpy() == new["tag"].to_numpy())
    changed = new.assign(
        change=np.select([~known, same], [GAINED, KEPT], RETAGGED).astype(object),
        former_tag=np.where(known, former["tag"].to_numpy(), "").astype(object),
        former_confidence=former["confidence"].to_numpy(),
    )
    lost = old[~old.index.isin(new.index)]
    lost = lost.assign(change=LOST, former_tag=lost["tag"], former_confidence=lost["confidence"])
    parts = [part for part in (changed, lost) if len(part)] or [changed]
    joined = pd.concat(parts).reset_index().sort_values(_KEY, ignore_index=True)
    text = {"direction": object, "tag": object, "change": object, "former_tag": object}
    return joined.astype(text)[[*DTYPES, "change", "former_tag", "former_confidence"]]


def find_moved(changes: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Find the synapses with the same tag and a different confidence, shape (n,), bool."""
    now, then = changes["confidence"].to_numpy(), changes["former_confidence"].to_numpy()
    alike = (now == then) | (np.isnan(now) & np.isnan(then))
    return (changes["change"] == KEPT).to_numpy() & ~alike


def count_changes(
    changes: pd.DataFrame, directions: Sequence[str], tags: Sequence[str]
) -> pd.DataFrame:
    """Count changes.

    Parameters
    ----------
    changes
        As `find_changes` returns them.
    directions, tags
        The rows of the table, in their order.

    Returns
    -------
    pandas.DataFrame
        Columns ``direction`` and ``tag`` (str), then `COUNTED` (int64).
    """
    change, tag, former = changes["change"], changes["tag"], changes["former_tag"]
    moved = find_moved(changes)
    rows = []
    for direction in directions:
        here = changes["direction"] == direction
        for name in tags:
            now, then = here & (tag == name), here & (former == name)
            masks = {
                "before": then,
                "after": now & (change != LOST),
                "gained": now & (change == GAINED),
                "lost": then & (change == LOST),
                "retagged_to": now & (change == RETAGGED),
                "retagged_from": then & (change == RETAGGED),
                "kept": now & (change == KEPT),
                "confidence_moved": now & moved,
            }
            rows.append([direction, name, *(int(masks[column].sum()) for column in COUNTED)])
    counts = pd.DataFrame(rows, columns=["direction", "tag", *COUNTED])
    return counts.astype(dict.fromkeys(COUNTED, "int64"))
