"""Skeletons in the precomputed format are read, and damaged ones are refused."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from synglancer.cells.skeletons import SkeletonSource
from synglancer.errors import BadAnswerError, UsageError

CELL = 864691135276234469
TWO_POINTS = (
    np.array([2, 1], "<u4").tobytes()
    + np.array([0, 0, 0, 1, 2, 3], "<f4").tobytes()
    + np.array([0, 1], "<u4").tobytes()
)


def open_source(info: bytes, skeleton: bytes = b"") -> SkeletonSource:
    answers = {"https://a.org/s/info": info, f"https://a.org/s/{CELL}": skeleton}
    session: Any = SimpleNamespace(
        datastack=SimpleNamespace(name="x", skeleton_source="precomputed://https://a.org/s/"),
        fetcher=SimpleNamespace(fetch=answers.__getitem__),
    )
    return SkeletonSource(session)


def test_vertices_are_placed_by_the_transform():
    """The source's transform gives positions in nm; without one, vertices are in nm."""
    assert open_source(b"{}", TWO_POINTS).fetch(CELL).vertices.tolist() == [[0, 0, 0], [1, 2, 3]]
    info = json.dumps({"transform": [2, 0, 0, 5, 0, 2, 0, 0, 0, 0, 2, 0]}).encode()
    read = open_source(info, TWO_POINTS).fetch(CELL)
    assert read.vertices.tolist() == [[5, 0, 0], [7, 4, 6]]
    assert read.edges.tolist() == [[0, 1]]


@pytest.mark.parametrize("info", [b"<html>", b"[]", b'{"transform": [1]}', b'{"transform": [{}]}'])
def test_an_info_that_is_not_one_is_refused(info):
    """An info that is not JSON, not an object, or has no transform of 3 x 4 is named."""
    with pytest.raises(BadAnswerError, match="info is not a valid skeleton"):
        open_source(info)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, TWO_POINTS[:-1], TWO_POINTS[:-4] + b"\2\0\0\0", b"\xff" * 8]
)
def test_a_damaged_skeleton_is_refused(content):
    """An empty or cut skeleton, and one whose edges lead to vertices that it lacks, are named."""
    with pytest.raises(BadAnswerError, match=f"^https://a.org/s/{CELL} is not a valid skeleton"):
        open_source(b"{}", content).fetch(CELL)


def test_a_datastack_without_skeletons_is_named():
    """Path lengths need a source of skeletons."""
    session: Any = SimpleNamespace(datastack=SimpleNamespace(name="x", skeleton_source=None))
    with pytest.raises(UsageError, match="The datastack x has no source of") as refused:
        SkeletonSource(session)
    assert refused.value.hint == "Leave path lengths out."
