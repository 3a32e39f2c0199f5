"""The voxel size that nglui gets is that of the state, or none."""

from __future__ import annotations

from typing import Any

import pytest

from synglancer.errors import UsageError
from synglancer.view.objects import _read_resolution, build_viewer_state


@pytest.mark.parametrize(
    ("dimensions", "nm"),
    [
        ({axis: [4e-9, "m"] for axis in "zyx"}, [4.0, 4.0, 4.0]),
        (None, None),
        ([4, 4, 40], None),
        ({"x": [4e-9, "m"], "y": [4e-9, "m"]}, None),
        ({axis: [1, ""] for axis in "xyz"}, None),
        ({axis: ["four", "m"] for axis in "xyz"}, None),
        (dict.fromkeys("xyz", 5), None),
    ],
)
def test_a_size_that_is_not_in_metres_is_left_open(dimensions: Any, nm: list[float] | None) -> None:
    """Dimensions that are missing, or not three lengths, give no voxel size and no error."""
    assert _read_resolution({"dimensions": dimensions}) == nm


def test_another_library_is_refused() -> None:
    """The libraries that are supported are listed."""
    with pytest.raises(UsageError, match="library='vtk' is not supported") as refused:
        build_viewer_state({}, "vtk")  # type: ignore[arg-type]
    assert refused.value.hint == "Choose one of: nglui, neuroglancer."
