"""Convert a state to the objects of nglui and neuroglancer, so that users can add layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

Library = Literal["nglui", "neuroglancer"]

_NM = 1e9


def build_viewer_state(state: Mapping[str, Any], library: str = "nglui") -> Any:
    """Build a ViewerState of nglui or neuroglancer from a complete state.

    Parameters
    ----------
    state
        A Neuroglancer state.
    library
        ``nglui`` or ``neuroglancer``.

    Raises
    ------
    UsageError
        When the library is not one of these.
    """
    if library == "neuroglancer":
        import neuroglancer

        return neuroglancer.ViewerState(dict(state))
    if library != "nglui":
        raise UsageError(
            f"library={library!r} is not supported.",
            f"Choose one of: {', '.join(get_args(Library))}.",
        )
    from nglui.statebuilder import ViewerState

    # Turn inference off, because the state is complete and inference needs the network.
    return ViewerState(
        base_state=dict(state), dimensions=_read_resolution(state), infer_coordinates=False
    )


def _read_resolution(state: Mapping[str, Any]) -> list[float] | None:
    """Read the voxel size in nm; None if the state has no size in metres."""
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
