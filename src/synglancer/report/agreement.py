"""Measure how far reviewers agree, and how well confidence predicts right predictions."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.report.statistics import find_wilson_interval

if TYPE_CHECKING:
    import pandas as pd

BINS = 10
"""Bins of the confidence, 0 to 1."""


def compute_agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Compute the agreement of each pair of reviewers.

    Parameters
    ----------
    table
        ``reviewer``, ``id`` and ``reviewed_tag``, which is empty if a reviewer did not decide.

    Returns
    -------
    pandas.DataFrame
        A row for each pair: ``reviewer_a``, ``reviewer_b``, ``both`` (synapses on which both
        decided), ``agreed`` (the number of these with the same tag from both), ``share``, and
        Cohen's ``kappa``. Kappa is NaN if it is undefined: without such synapses, or if both gave
        all of them the same tag.
    """
    import pandas as pd

    decided = table[table["reviewed_tag"] != ""]
    said = {
        reviewer: rows.set_index("id")["reviewed_tag"]
        for reviewer, rows in decided.groupby("reviewer")
    }
    rows = []
    for a, b in combinations(list(dict.fromkeys(table["reviewer"])), 2):
        empty = decided.set_index("id")["reviewed_tag"].iloc[:0]
        both = pd.concat([said.get(a, empty), said.get(b, empty)], axis=1, join="inner")
        first, second = (both.iloc[:, side].to_numpy() for side in (0, 1))
        agreed = int((first == second).sum())
        count = len(both)
        rows.append(
            {
                "reviewer_a": a,
                "reviewer_b": b,
                "both": count,
                "agreed": agreed,
                "share": agreed / count if count else math.nan,
                "kappa": compute_kappa(first, second),
            }
        )
    kinds = {"both": "int64", "agreed": "int64", "share": float, "kappa": float}
    names = ["reviewer_a", "reviewer_b", *kinds]
    return pd.DataFrame(rows, columns=names).astype(kinds)


def compute_kappa(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """Compute Cohen's kappa of two sequences of labels; NaN if chance alone gives full agreement.

    Cohen (1960): the share of equal labels beyond what two raters with these frequencies of labels
    reach by chance, as a part of what is possible beyond it.
    """
    labels = sorted({*first, *second})
    if len(labels) <= 1:
        return math.nan
    expected = sum(float(np.mean(first == one)) * float(np.mean(second == one)) for one in labels)
    observed = float(np.mean(first == second))
    return (observed - expected) / (1 - expected)


def calibrate(table: pd.DataFrame) -> pd.DataFrame:
    """Compare the confidence of predictions with the share that is right.

    A synapse counts once, if all reviewers who decided on it agree; others are left out.

    Parameters
    ----------
    table
        ``id``, ``tag``, ``confidence`` and ``reviewed_tag``, as `compute_agreement` takes it.

    Returns
    -------
    pandas.DataFrame
        A row for each of `BINS` bins of confidence, of equal width; the last bin includes 1:
        ``confidence_from``, ``confidence_to``, ``judged`` (synapses), ``right`` (how many have the
        predicted tag), ``mean_confidence``, ``share_right``, and ``low`` and ``high``, its 95 %
        interval (Wilson). The last four are NaN in a bin without synapses.
    """
    import pandas as pd

    agreed = list_agreed(table)
    confidence = agreed["confidence"].to_numpy(float)
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    right = (agreed["tag"] == agreed["reviewed_tag"]).to_numpy()
    rows = []
    for place in range(BINS):
        inside = places == place
        judged, good = int(inside.sum()), int(right[inside].sum())
        low, high = find_wilson_interval(good, judged) if judged else (math.nan, math.nan)
        rows.append(
            {
                "confidence_from": place / BINS,
                "confidence_to": (place + 1) / BINS,
                "judged": judged,
                "right": good,
                "mean_confidence": float(confidence[inside].mean()) if judged else math.nan,
                "share_right": good / judged if judged else math.nan,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def list_agreed(table: pd.DataFrame) -> pd.DataFrame:
    """List each synapse on which at least one reviewer decided and no other disagreed, once."""
    decided = table[table["reviewed_tag"] != ""]
    opinions = decided.groupby("id")["reviewed_tag"].transform("nunique")
    return decided[opinions == 1].drop_duplicates("id")
