"""Agreement and calibration equal an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.report.agreement import (
    BINS,
    calibrate,
    compute_agreement,
    compute_kappa,
)
from synglancer.report.statistics import find_wilson_interval

labels = st.sampled_from(["spine", "shaft", "soma"])


def kappa_of_a_table(first: list[str], second: list[str]) -> float:
    """Compute Cohen's kappa from the confusion matrix, its margins and its diagonal."""
    counts = pd.crosstab(pd.Series(first), pd.Series(second))
    names = sorted({*first, *second})
    matrix = counts.reindex(index=names, columns=names, fill_value=0).to_numpy(float)
    total = matrix.sum()
    by_chance = (matrix.sum(axis=0) @ matrix.sum(axis=1)) / total**2
    return (np.trace(matrix) / total - by_chance) / (1 - by_chance)


def table_of(*reviewers: dict[int, str]) -> pd.DataFrame:
    rows = [
        {"reviewer": number, "id": str(synapse), "reviewed_tag": tag}
        for number, said in enumerate(reviewers, start=1)
        for synapse, tag in said.items()
    ]
    return pd.DataFrame(rows).assign(tag="spine", confidence=0.5)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=40))
def test_kappa_is_that_of_the_confusion_matrix(pairs) -> None:
    """For any two reviewers, kappa equals the one from the matrix of their labels."""
    first, second = map(list, zip(*pairs, strict=True))
    found = compute_kappa(np.array(first, object), np.array(second, object))
    if len({*first, *second}) == 1:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(kappa_of_a_table(first, second))
        assert found == pytest.approx(compute_kappa(np.array(second), np.array(first)))


def test_kappa_of_a_published_example() -> None:
    """Of 50 synapses, 20 yes, 5 yes-no, 10 no-yes and 15 no give 0.4, as in textbooks."""
    first = np.array(["yes"] * 25 + ["no"] * 25)
    second = np.array(["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15)
    assert compute_kappa(first, second) == pytest.approx(0.4)


def test_each_two_reviewers_are_compared_on_what_both_decided() -> None:
    """Three reviewers give three pairs; undecided synapses do not count."""
    table = table_of(
        {1: "spine", 2: "shaft", 3: "", 4: "spine", 9: ""},
        {1: "spine", 2: "spine", 3: "soma", 4: "shaft", 9: "spine"},
        {7: "spine", 9: ""},
    )
    found = compute_agreement(table)
    assert found[["reviewer_a", "reviewer_b", "both", "agreed"]].to_numpy().tolist() == [
        [1, 2, 3, 1],
        [1, 3, 0, 0],
        [2, 3, 0, 0],
    ]
    first, second = ["spine", "shaft", "spine"], ["spine", "spine", "shaft"]
    assert found["kappa"][0] == pytest.approx(kappa_of_a_table(first, second))
    assert found["share"][0] == pytest.approx(1 / 3)
    assert found[["share", "kappa"]][1:].isna().all(axis=None)


def test_of_one_reviewer_there_is_no_agreement() -> None:
    """One reviewer gives no row, but all columns."""
    found = compute_agreement(table_of({1: "spine"}))
    assert (len(found), list(found)[-1]) == (0, "kappa")


confidences = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.sampled_from(["spine", "shaft", ""])), max_size=60
)


@given(confidences)
def test_bins_are_those_of_pandas(rows) -> None:
    """Each bin's numbers equal pandas' counts, and every synapse is in a bin."""
    table = pd.DataFrame(
        {
            "id": [str(place) for place in range(len(rows))],
            "tag": "spine",
            "confidence": np.array([one for one, _ in rows], "float32"),
            "reviewed_tag": pd.Series([tag for _, tag in rows], dtype=object),
        }
    )
    found = calibrate(table)
    decided = table[table["reviewed_tag"] != ""]
    edges = [*(place / BINS for place in range(BINS)), 1.1]
    cut = pd.cut(decided["confidence"].astype(float), edges, right=False, labels=False)
    for place, row in enumerate(found.itertuples()):
        inside = decided[cut == place]
        assert row.judged == len(inside)
        assert row.right == (inside["reviewed_tag"] == "spine").sum()
        if len(inside):
            assert row.mean_confidence == pytest.approx(inside["confidence"].astype(float).mean())
            assert (row.low, row.high) == find_wilson_interval(row.right, row.judged)
        else:
            assert math.isnan(row.share_right)
            assert math.isnan(row.low)
    assert found["judged"].sum() == len(decided)


def test_synapses_on_which_reviewers_differ_are_left_out_of_calibration() -> None:
    """A synapse counts once if reviewers agree, and not at all if they do not."""
    table = table_of({1: "spine", 2: "shaft", 3: ""}, {1: "spine", 2: "spine", 3: "shaft"})
    found = calibrate(table)
    assert (found["judged"].sum(), found["right"].sum()) == (2, 1)
    assert found["judged"].iloc[5] == 2
