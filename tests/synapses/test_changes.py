"""Laws that hold for the changes between any two tables of synapses."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synglancer.columns import DTYPES
from synglancer.synapses.changes import COUNTED, count_changes, find_changes, find_moved

DIRECTIONS = ("inputs", "outputs")
SURE = {0.25, 0.5, 0.75}
TAGS = ("spine", "shaft", "soma", "unlabelled")
MIRRORED = {
    "before": "after",
    "gained": "lost",
    "retagged_to": "retagged_from",
    "kept": "kept",
    "confidence_moved": "confidence_moved",
}
_SYNAPSES = st.dictionaries(
    st.tuples(st.sampled_from(DIRECTIONS), st.integers(2**63, 2**63 + 9) | st.integers(1, 9)),
    st.tuples(st.sampled_from(TAGS), st.sampled_from(sorted(SURE))),
    max_size=20,
)


def _build(synapses: dict[tuple[str, int], tuple[str, float]]) -> pd.DataFrame:
    rows = [
        [number, side, tag, np.nan if tag == "unlabelled" else sure, 1.0, 1, 2, 3, 4, 5]
        for (side, number), (tag, sure) in synapses.items()
    ]
    columns = list(zip(*rows, strict=True)) or [()] * len(DTYPES)
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=object if kind == "str" else kind)
            for (name, kind), values in zip(DTYPES.items(), columns, strict=True)
        }
    )


@settings(max_examples=40)
@given(_SYNAPSES, _SYNAPSES)
def test_any_two_tables_are_compared_completely(before, after) -> None:
    """Each synapse is in one row and is counted on the side of each table that has it, and the
    other way round, what was gained is lost."""
    old, new = _build(before), _build(after)
    changes = find_changes(old, new)
    check_rows(changes, before, after)
    counts = count_changes(changes, DIRECTIONS, TAGS)
    check_sums(counts, before, after)
    back = count_changes(find_changes(new, old), DIRECTIONS, TAGS)
    for one, other in MIRRORED.items():
        assert counts[one].tolist() == back[other].tolist(), one
        assert counts[other].tolist() == back[one].tolist(), other


def check_rows(changes: pd.DataFrame, before, after) -> None:
    """Every synapse of either table comes back once, with all 64 bits of its ID."""
    keys = list(zip(changes["direction"], changes["id"].tolist(), strict=True))
    assert keys == sorted(set(before) | set(after))
    assert changes.index.tolist() == [*range(len(keys))]
    former = changes.set_index(["direction", "id"])["former_tag"].to_dict()
    assert former == {both: before.get(both, ("",))[0] for both in former}
    assert str(changes["id"].dtype) == "uint64"
    assert str(changes["confidence"].dtype) == "float32"


def check_sums(counts: pd.DataFrame, before, after) -> None:
    """Kept, lost and retagged synapses are the old ones; kept, gained and retagged are the new
    ones."""
    moved = Counter(
        (side, tag)
        for (side, number), (tag, sure) in after.items()
        if tag != "unlabelled"
        and before.get((side, number)) in {(tag, one) for one in SURE - {sure}}
    )
    for row in counts.to_dict("records"):
        key = (row["direction"], row["tag"])
        was = sum((side, tag) == key for (side, _), (tag, _) in before.items())
        now = sum((side, tag) == key for (side, _), (tag, _) in after.items())
        assert row["before"] == was == row["kept"] + row["lost"] + row["retagged_from"]
        assert row["after"] == now == row["kept"] + row["gained"] + row["retagged_to"]
        assert row["confidence_moved"] == moved[key]
    everywhere = counts[[*COUNTED]].sum()
    assert everywhere["retagged_to"] == everywhere["retagged_from"]
    assert everywhere["lost"] == len(set(before) - set(after))
    assert everywhere["gained"] == len(set(after) - set(before))


def test_changes_are_counted_by_direction_and_tag() -> None:
    """All counts are whole numbers, also those of no synapses."""
    big = 2**63
    before = {
        ("inputs", big): ("spine", 0.25),
        ("inputs", big + 1): ("spine", 0.5),
        ("inputs", big + 2): ("spine", 0.5),
        ("inputs", 4): ("shaft", 0.75),
        ("outputs", big): ("soma", 0.5),
    }
    after = {
        ("inputs", big): ("spine", 0.5),
        ("inputs", big + 1): ("shaft", 0.5),
        ("inputs", big + 3): ("spine", 0.5),
        ("inputs", 4): ("shaft", 0.75),
    }
    changes = find_changes(_build(before), _build(after))
    assert str(changes["former_confidence"].dtype) == "float32"
    expected = pd.DataFrame(
        [
            ["inputs", "shaft", 1, 2, 0, 0, 1, 0, 1, 0],
            ["inputs", "spine", 3, 2, 1, 1, 0, 1, 1, 1],
            ["outputs", "shaft", 0, 0, 0, 0, 0, 0, 0, 0],
            ["outputs", "spine", 0, 0, 0, 0, 0, 0, 0, 0],
        ],
        columns=["direction", "tag", *COUNTED],
    )
    counts = count_changes(changes, DIRECTIONS, ["shaft", "spine"])
    pd.testing.assert_frame_equal(counts, expected)
    none = count_changes(changes, [], [])
    pd.testing.assert_frame_equal(none, expected[:0], check_index_type=False)


def test_a_confidence_that_appears_has_moved() -> None:
    """Only two missing confidences are alike."""
    changes = pd.DataFrame(
        {
            "confidence": np.float32([0.5, np.nan, 0.5, np.nan, 0.25, 0.25]),
            "former_confidence": np.float32([np.nan, 0.5, 0.5, np.nan, 0.5, 0.5]),
            "change": ["kept", "kept", "kept", "kept", "kept", "gained"],
        }
    )
    assert find_moved(changes).tolist() == [True, True, False, False, True, False]


def test_a_synapse_that_stands_twice_is_refused() -> None:
    """A table that lists a synapse twice in a direction cannot be compared."""
    once = _build({("inputs", 1): ("spine", 0.5)})
    with pytest.raises(ValueError, match="twice"):
        find_changes(pd.concat([once, once]), once)
