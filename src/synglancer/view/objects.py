"""A state → the objects of nglui and neuroglancer that hold it, to add layers to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Library = Literal["nglui", "neuroglancer"]

_NM = 1e9


def build_viewer_state(state: Mapping[str, Any], library: str = "nglui") -> Any:
    """Build the ViewerState of nglui or neuroglancer that holds a state, whole.

    Parameters
    ----------
    state
        A Neuroglancer state.
    library
        ``nglui`` or ``neuroglancer``.

    Raises
    ------
    UsageError
        When the library is another one.
    """
    if library == "neuroglancer":
        import neuroglancer

        return neuroglancer.ViewerState(dict(state))
    if library != "nglui":
        raise UsageError(
            f"library={library!r} has no ViewerState that is known here.",
            f"Choose one of: {', '.join(get_args(Library))}.",
        )
    from nglui.statebuilder import ViewerState

    # Without what it would infer: the state says all of it, and inferring asks the network.
    return ViewerState(
        base_state=dict(state), dimensions=_read_resolution(state), infer_coordinates=False
    )


def _read_resolution(state: Mapping[str, Any]) -> list[float] | None:
    """Read the size of a voxel in nm; None where a state has none in metres."""
    dimensions = state.get("dimensions")
    if not isinstance(dimensions, dict) or not {*"xyz"} <= {*dimensions}:
        return None
    sizes = [dimensions[axis] for axis in "xyz"]
    try:
        if any(unit != "m" for _, unit in sizes):
            return None
        return [round(float(size) * _NM, 9) for size, _ in sizes]
    except (TypeError, ValueError):
        return None
