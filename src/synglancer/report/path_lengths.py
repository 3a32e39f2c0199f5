"""Measure the path length from synapses to the soma along the cell's skeleton."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from synglancer.cave.session import Session
from synglancer.cells.skeletons import SkeletonSource
from synglancer.columns import POSITION_COLUMNS
from synglancer.errors import BadAnswerError, NotServedError, ServiceError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from synglancer.cells.skeletons import Skeleton
    from synglancer.settings import Settings

_BLOCK = 2_000_000  # distances between synapses and vertices that are held at a time
_ABSENT = (ServiceError, NotServedError, BadAnswerError)


def measure_paths(
    settings: Settings, cell: int, soma: tuple[float, float, float], shown: pd.DataFrame
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Measure the path lengths of a cell's synapses along its skeleton (1 request).

    Parameters
    ----------
    settings
        The options.
    cell
        Its root ID.
    soma
        Position of its soma, in nm.
    shown : DataFrame, shape (n,)
        Its synapses; see `synglancer.columns.DTYPES`.

    Returns
    -------
    dict
        Direction → tag → lengths in µm, sorted; empty if the cell has no skeleton.
    """
    try:
        skeleton = open_skeletons(settings).fetch(cell)
    except ServiceError as error:
        if type(error) not in _ABSENT:
            raise
        return {}
    points = shown[POSITION_COLUMNS].to_numpy(dtype=float)
    shown = shown.assign(path=find_path_lengths(skeleton, soma, points))
    return {
        str(side): {
            str(tag): np.sort(part["path"].to_numpy(dtype=np.float32))
            for tag, part in rows.groupby("tag")
        }
        for side, rows in shown.groupby("direction")
    }


@lru_cache(maxsize=1)
def open_skeletons(settings: Settings) -> SkeletonSource:
    """Open the datastack's source of skeletons, once for all cells.

    Raises
    ------
    UsageError
        When the datastack has none.
    ServiceError
        When it cannot be read.
    """
    return SkeletonSource(Session.begin(settings))


def find_path_lengths(
    skeleton: Skeleton, soma: tuple[float, float, float], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Find the length of the path from the soma to the vertex nearest each point.

    Parameters
    ----------
    skeleton
        The cell's skeleton.
    soma : (x, y, z), nm
        Position of the soma; the path begins at the nearest vertex.
    points : array, shape (n, 3), nm
        The synapses.

    Returns
    -------
    ndarray, shape (n,), float64, µm
        NaN where no path leads from the soma.
    """
    import networkx as nx

    vertices, edges = skeleton.vertices, skeleton.edges
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1) / 1000
    graph = nx.Graph()
    graph.add_nodes_from(range(len(vertices)))
    graph.add_weighted_edges_from(zip(*edges.T.tolist(), lengths.tolist(), strict=True))
    root = int(_find_nearest(vertices, np.array([soma]))[0])
    reached = nx.single_source_dijkstra_path_length(graph, root)
    paths = np.full(len(vertices), np.nan)
    paths[list(reached)] = list(reached.values())
    return paths[_find_nearest(vertices, points)]


def _find_nearest(vertices: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the vertex nearest each point, shape (n,)."""
    nearest = np.zeros(len(points), np.int64)
    step = max(1, _BLOCK // len(vertices))
    for start in range(0, len(points), step):
        away = points[start : start + step, None] - vertices[None]
        nearest[start : start + step] = np.einsum("ijk,ijk->ij", away, away).argmin(axis=1)
    return nearest
