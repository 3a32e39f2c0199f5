"""Path lengths along simple skeletons with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from synglancer.cells.skeletons import Skeleton
from synglancer.report.path_lengths import find_path_lengths


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
