"""Read skeletons of cells from the datastack's source, in the precomputed format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import BadAnswerError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synglancer.cave.session import Session


@dataclass(frozen=True)
class Skeleton:
    """A skeleton.

    Attributes
    ----------
    vertices : array, shape (n, 3), float64, nm
        Its points.
    edges : array, shape (m, 2), int64
        Pairs of joined points.
    """

    vertices: NDArray[np.float64]
    edges: NDArray[np.int64]


class SkeletonSource:
    """The skeletons of a session's datastack.

    Parameters
    ----------
    session
        The session with CAVE.

    Raises
    ------
    UsageError
        When the datastack has no source of skeletons.
    ServiceError
        When that cannot be read (1 request).
    """

    def __init__(self, session: Session) -> None:
        source = session.datastack.skeleton_source
        if source is None:
            raise UsageError(
                f"The datastack {session.datastack.name} has no source of skeletons.",
                "Leave path lengths out.",
            )
        scheme = "https" if "https://" in source else "http"  # behind precomputed://middleauth+
        self._address = f"{scheme}://{source.rpartition('://')[2].rstrip('/')}"
        self._fetcher = session.fetcher
        self._transform = self._read_transform()

    def _read_transform(self) -> NDArray[np.float64]:
        try:
            info = json.loads(self._fetcher.fetch(f"{self._address}/info"))
            rows = np.array(info.get("transform", [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]), float)
            return rows.reshape(3, 4)
        except (ValueError, AttributeError, TypeError) as error:
            raise self._broken("info") from error

    def fetch(self, cell: int) -> Skeleton:
        """Fetch the skeleton of a cell (1 request).

        Raises
        ------
        ServiceError
            When there is none, or it is not in the precomputed format.
        """
        content = self._fetcher.fetch(f"{self._address}/{cell}")
        try:
            count, pairs = (int(number) for number in np.frombuffer(content, "<u4", 2))
            vertices = np.frombuffer(content, "<f4", 3 * count, 8).reshape(-1, 3)
            edges = np.frombuffer(content, "<u4", 2 * pairs, 8 + 12 * count).reshape(-1, 2)
        except ValueError as error:
            raise self._broken(cell) from error
        if not count or (pairs and int(edges.max()) >= count):
            raise self._broken(cell)
        placed = vertices.astype(float) @ self._transform[:, :3].T + self._transform[:, 3]
        return Skeleton(placed, edges.astype(np.int64))

    def _broken(self, name: Any) -> BadAnswerError:
        return BadAnswerError(
            f"{self._address}/{name} is not a valid skeleton.",
            "Leave path lengths out, or try again later.",
        )
