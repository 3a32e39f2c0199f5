"""What there is to show and how: the records that the view is built from.

Plain values. It must not know Neuroglancer, nor where the data comes from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.viewing import check_choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from synglancer.annotations import AnnotationGroup
    from synglancer.datastack import Datastack, Materialization
    from synglancer.viewing import BackgroundName, ColorBy, Layout, PaletteName


@dataclass(frozen=True)
class Scene:
    """Everything that the view needs to know.

    Attributes
    ----------
    cell
        Root ID of the cell.
    datastack, materialization, table
        Where and when the predictions are from.
    groups
        The annotations, one group per layer, in the order of the layers.
    positions : array, shape (n, 3), nm
        Positions of all synapses shown.
    soma : (x, y, z), nm, or None
        Where the cell's soma is, when known.
    record
        Provenance, put into the state; JSON values, with 64-bit IDs as strings.
    """

    cell: int
    datastack: Datastack
    materialization: Materialization
    table: str
    groups: Sequence[AnnotationGroup]
    positions: np.ndarray[Any, Any]
    soma: tuple[float, float, float] | None
    record: Mapping[str, object]


@dataclass(frozen=True)
class ViewOptions:
    """How it is shown.

    Attributes
    ----------
    layout
        The viewer's panels.
    background
        ``dark`` or ``white``.
    figure
        A clean picture: 3D only, white, no axes, no panels.
    palette
        Name of the colours per tag.
    color_by
        ``tag``, or ``confidence`` for a ramp within each layer.
    min_confidence
        Where the confidence sliders start, 0 to 1; less confident synapses are in the state
        but hidden.
    show_panel
        Whether the first synapse layer's side panel is open.
    filter_by_selection
        Whether only synapses of the selected segments are drawn.
    partners
        Other cells to select, root ID -> colour.
    """

    layout: Layout = "xy-3d"
    background: BackgroundName = "dark"
    figure: bool = False
    palette: PaletteName = "paper"
    color_by: ColorBy = "tag"
    min_confidence: float = 0.0
    show_panel: bool = False
    filter_by_selection: bool = False
    partners: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 <= self.min_confidence <= 1:
            raise UsageError(
                f"A confidence of {self.min_confidence} does not exist.",
                "Give a number from 0 to 1.",
            )


def count_by_direction(groups: Sequence[AnnotationGroup]) -> dict[str, int]:
    """Count the annotations of each direction, in the order of the groups."""
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.direction] = counts.get(group.direction, 0) + group.count
    return counts


def format_title(scene: Scene) -> str:
    """Title of the page: cell, version and counts."""
    counts = count_by_direction(scene.groups)
    shown = ", ".join(f"{count:,} {direction}" for direction, count in counts.items())
    place = f"{scene.datastack.name} v{scene.materialization.version}"
    return f"{scene.cell} · {place} · {shown or 'no synapses'}"
