"""The strongest partners follow from the synapses alone, in a unique order."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synglancer.synapses.partners import find_strongest_partners, read_partners
from synglancer.synapses.predictions import join_predictions
from synglancer.view.colors import choose_cell_colors

CELL = 2**64 - 1


def synapses(rows: list[tuple[str, int, float]]) -> pd.DataFrame:
    """Rows of direction, partner and size, as a table of predictions."""
    frame = pd.DataFrame(rows, columns=["direction", "partner", "size"])
    received = frame["direction"] == "inputs"
    partner = np.array([row[1] for row in rows], "uint64")
    return frame.assign(
        pre_pt_root_id=np.where(received, partner, np.uint64(CELL)).astype("uint64"),
        post_pt_root_id=np.where(received, np.uint64(CELL), partner).astype("uint64"),
    )


def test_both_directions_count_together() -> None:
    """A partner with two inputs and one output has three synapses, and comes first."""
    frame = synapses([("inputs", 7, 1), ("outputs", 7, 1), ("inputs", 7, 1), ("inputs", 8, 900)])
    assert find_strongest_partners(frame, [CELL], 2) == [(7, 3), (8, 1)]


def test_ties_go_to_the_larger_synapses_then_the_smaller_id() -> None:
    """With equal numbers, the total size decides, then the ID, so the order is unique."""
    frame = synapses([("inputs", 9, 5), ("inputs", 8, 5), ("outputs", 2**63 + 1, 6)])
    assert find_strongest_partners(frame, [CELL], 9) == [(2**63 + 1, 1), (8, 1), (9, 1)]


def test_no_more_partners_than_asked() -> None:
    """Of ten partners, the seven strongest are found."""
    frame = synapses([("inputs", 10 + number, number) for number in range(10)])
    expected = [(10 + number, 1) for number in range(9, 2, -1)]
    assert find_strongest_partners(frame, [CELL], 7) == expected


def test_sizes_are_added_exactly() -> None:
    """Sums of float32 would lose the small synapses beside a large one."""
    rows = [("inputs", 7, 2.0**24), ("inputs", 7, 1), ("inputs", 8, 2.0**24), ("inputs", 8, 0)]
    frame = synapses(rows).astype({"size": "float32"})
    assert find_strongest_partners(frame, [CELL], 1) == [(7, 2)]
    assert find_strongest_partners(frame[::-1], [CELL], 1) == [(7, 2)]


def test_neither_the_cell_nor_the_background_is_a_partner() -> None:
    """Autapses and synapses without a segment give no partner."""
    frame = synapses([("inputs", CELL, 5), ("outputs", 0, 5), ("outputs", 4, 1)])
    assert find_strongest_partners(frame, [CELL], 9) == [(4, 1)]


def test_no_synapses_no_partners() -> None:
    """An empty table has no partners and keeps its type."""
    empty = join_predictions([])
    assert find_strongest_partners(empty, [CELL], 3) == []
    assert read_partners(empty).dtype == "uint64"


def test_columns_of_different_types_lose_no_digit() -> None:
    """Signed and unsigned IDs together would become floats."""
    frame = synapses([("inputs", 864691135276234469, 1), ("outputs", 864691135276234471, 1)])
    frame = frame.assign(pre_pt_root_id=[864691135276234469, 5])
    assert read_partners(frame).tolist() == [864691135276234469, 864691135276234471]


def test_colours_of_cells_are_distinct_and_stable() -> None:
    """A hundred colours are all different, and a shorter list is the beginning of a longer one."""
    colours = choose_cell_colors(100)
    assert len(set(colours)) == 100
    assert colours[:7] == choose_cell_colors(7)
