"""Filters choose the shown synapses, and the context gives them tags and types."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from links.shelf import A, P, Q, synapses
from synapses.served import VIEW, S
from synglancer.columns import PARTNER_TYPE
from synglancer.settings import MULTI_INPUT, UNLABELLED, Settings
from synglancer.synapses.cell_types import build_cell_types
from synglancer.synapses.context import Context
from synglancer.synapses.loading import CellData
from synglancer.synapses.shown import select_shown

ROWS = [
    (S + 1, "inputs", "spine", 0.25, 100, P, A),
    (S + 2, "inputs", "shaft", 0.5, 90, Q, A),
    (S + 3, "inputs", "soma", 0.75, 80, A - 2, A),
    (S + 4, "outputs", "spine", 1.0, 70, A, P),
    (S + 5, "outputs", UNLABELLED, np.nan, 60, A, Q),
]
SHARED = np.array([S + 2, S + 4, S + 5], dtype="uint64")


def show(context: Context, **options: Any) -> pd.DataFrame:
    data = CellData([], {A}, context=context)
    return select_shown(Settings(**options), synapses(*ROWS), data)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"tag": ("spine",)}, [1, 4, 5]),
        ({"min_confidence": 0.5}, [2, 3, 4, 5]),
        ({"min_confidence": 0.5, "soft_filter": True}, [1, 2, 3, 4, 5]),
        ({"max_confidence": 0.75}, [1, 2, 3, 5]),
        ({"min_size": 80}, [1, 2, 3]),
        ({"tag": ("spine", "soma"), "min_confidence": 0.3, "min_size": 75}, [3]),
    ],
)
def test_each_filter_keeps_its_synapses(options: dict[str, Any], numbers: list[int]) -> None:
    """Filters add up, and only the viewer applies a soft one; rows stay as they are."""
    expected = synapses(*(ROWS[number - 1] for number in numbers))
    pd.testing.assert_frame_equal(show(Context(), **options), expected)


@pytest.mark.parametrize(
    ("tag", "numbers"),
    [((), [1, 2, 3, 4, 5]), (("spine",), [1, 4, 5]), ((MULTI_INPUT,), [2, 4, 5])],
)
def test_synapses_on_shared_spines_have_their_own_tag(tag: Any, numbers: list[int]) -> None:
    """A filter finds them by it or by the table's tag."""
    tags = {2: MULTI_INPUT, 4: MULTI_INPUT}
    rows = [(*ROWS[n - 1][:2], tags.get(n, ROWS[n - 1][2]), *ROWS[n - 1][3:]) for n in numbers]
    shown = show(Context(SHARED), tag=tag, multi_input=True)
    pd.testing.assert_frame_equal(shown, synapses(*rows))


def test_partners_are_labelled_with_their_types() -> None:
    """The types stand beside the shown synapses."""
    types = build_cell_types(VIEW, "cells_v3", "cell_type")
    shown = show(Context(None, types), min_confidence=0.4)
    expected = synapses(*ROWS[1:]).assign(**{PARTNER_TYPE: ["BC", "unknown", "BC", "BC"]})
    pd.testing.assert_frame_equal(shown, expected)
