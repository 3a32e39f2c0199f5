"""Path lengths along simple skeletons with known answers."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from synglancer.cells.skeletons import Skeleton
from synglancer.errors import BadAnswerError, LoginError, NotServedError, ServiceError
from synglancer.report.numbers import _list_distances
from synglancer.report.path_lengths import find_path_lengths, measure_paths
from synglancer.settings import Settings


def test_a_path_follows_the_branches() -> None:
    """A bent branch is longer than the straight line, and a separate piece has no path."""
    vertices = np.array(
        [[0, 0, 0], [3_000, 0, 0], [3_000, 4_000, 0], [-2_000, 0, 0], [9_000, 9_000, 0]], float
    )
    edges = np.array([[0, 1], [1, 2], [3, 0]])
    points = np.array([[3_100, 3_900, 50], [-2_100, 0, 0], [10, 0, 0], [9_000, 9_100, 0]], float)
    found = find_path_lengths(Skeleton(vertices, edges), (100.0, 0.0, 0.0), points)
    assert found[:3] == pytest.approx([7.0, 2.0, 0.0])
    assert np.isnan(found[3])


def test_many_synapses_on_a_long_axon() -> None:
    """Each synapse has its distance along a chain of 3,000 vertices, in any order."""
    rng = np.random.default_rng(3)
    along = np.arange(3_000) * 100.0
    order = rng.permutation(3_000)
    places = np.empty(3_000, int)
    places[order] = np.arange(3_000)
    vertices = np.stack([along, np.zeros(3_000), np.zeros(3_000)], axis=1)[order]
    edges = np.stack([places[:-1], places[1:]], axis=1)
    points = np.stack([rng.uniform(0, 299_900, 2_000), *np.zeros((2, 2_000))], axis=1)
    found = find_path_lengths(Skeleton(vertices, edges), (0.0, 0.0, 0.0), points)
    assert found == pytest.approx(np.round(points[:, 0] / 100) / 10, abs=1e-6)


def test_lengths_that_are_not_known_have_no_row() -> None:
    """A tag whose synapses all lie on pieces apart from the soma has no distribution."""
    lengths = {"inputs": {"spine": np.array([1, 2, 3]), "shaft": np.array([np.nan])}}
    (row,) = _list_distances("path length", lengths)
    assert (row["tag"], row["count"], row["value"]) == ("spine", 3, 2)


@pytest.mark.parametrize("error", [ServiceError, NotServedError, BadAnswerError, LoginError])
def test_a_cell_without_a_skeleton_has_no_lengths(monkeypatch, error) -> None:
    """A skeleton that is missing or damaged leaves the path lengths out; a refused login does
    not."""

    def refuse(_: int) -> None:
        raise error("No.", "Try again later.")

    source = SimpleNamespace(fetch=refuse)
    monkeypatch.setattr("synglancer.report.path_lengths.open_skeletons", lambda _: source)
    with pytest.raises(LoginError) if error is LoginError else nullcontext():
        assert measure_paths(Settings(), 5, (0.0, 0.0, 0.0), pd.DataFrame()) == {}
