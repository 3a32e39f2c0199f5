"""The records from which the view is built: what to show, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synglancer.cells.naming import name_cells
from synglancer.errors import UsageError
from synglancer.view_settings import check_choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from synglancer.cave.records import Datastack, Materialization
    from synglancer.states.record_parts import PointSource
    from synglancer.view.annotations import AnnotationGroup
    from synglancer.view_settings import BackgroundName, ColorBy, Layout, PaletteName


@dataclass(frozen=True)
class Scene:
    """The content of a view.

    Attributes
    ----------
    cells
        Root IDs of the cells that are shown, in their order.
    datastack, materialization
        The source of the predictions.
    positions : array, shape (n, 3), nm
        Positions of all synapses shown.
    groups
        The annotations, one group per layer, in the order of the layers.
    somata : array, shape (m, 3), nm
        Positions of the cells' somata, as far as they are known.
    record
        Provenance, put into the state; JSON values, with 64-bit IDs as strings.
    focus : (x, y, z), nm, or None
        Position at the centre of the view; by default the first soma.
    properties_url
        Address of the segments' properties, or None.
    further
        Layers that come after those of the synapses, as JSON values.
    """

    cells: Sequence[int]
    datastack: Datastack
    materialization: Materialization
    positions: np.ndarray[Any, Any]
    groups: Sequence[AnnotationGroup] = ()
    somata: Sequence[tuple[float, float, float]] = ()
    record: Mapping[str, object] = field(default_factory=dict)
    focus: tuple[float, float, float] | None = None
    properties_url: str | None = None
    further: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class ViewOptions:
    """The options of a view.

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
        ``tag``; ``confidence`` for a ramp within each layer; or ``partner-type``.
    min_confidence
        Start of the confidence sliders, 0 to 1; less confident synapses are in the state, but
        hidden.
    show_panel
        Whether the first synapse layer's side panel is open.
    filter_by_selection
        Whether only synapses of the selected segments are drawn.
    cells
        Colour of each cell; empty for a single cell, whose colour depends on the background.
    partners
        Other cells to select, root ID -> colour.
    type_colors
        Colour of each type of partner, if the view is coloured by type.
    """

    layout: Layout = "xy-3d"
    background: BackgroundName = "dark"
    figure: bool = False
    palette: PaletteName = "paper"
    color_by: ColorBy = "tag"
    min_confidence: float = 0.0
    show_panel: bool = False
    filter_by_selection: bool = False
    cells: Mapping[int, str] = field(default_factory=dict)
    partners: Mapping[int, str] = field(default_factory=dict)
    type_colors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 <= self.min_confidence <= 1:
            raise UsageError(
                f"A confidence of {self.min_confidence} is out of range.",
                "Give a number from 0 to 1.",
            )


def count_by_direction(groups: Sequence[AnnotationGroup]) -> dict[str, int]:
    """Count the annotations of each direction, in the order of the groups."""
    counts: dict[str, int] = {}
    for group in groups:
        counts[group.direction] = counts.get(group.direction, 0) + group.count
    return counts


def format_title(scene: Scene) -> str:
    """Title of the page: cells, version and counts."""
    counts = count_by_direction(scene.groups)
    shown = ", ".join(f"{count:,} {direction}" for direction, count in counts.items())
    place = f"{scene.datastack.name} v{scene.materialization.version}"
    return f"{name_cells(scene.cells)} · {place} · {shown or 'no synapses'}"


@dataclass(frozen=True)
class OwnPoints:
    """Layers of a user's own points.

    Attributes
    ----------
    layers
        As a state has them.
    positions
        Positions of the points, (x, y, z) in nm, for the camera.
    sources
        The files of the points.
    warnings
        What readers should know, one sentence each.
    """

    layers: Sequence[dict[str, Any]] = ()
    positions: Sequence[tuple[float, float, float]] = ()
    sources: tuple[PointSource, ...] = ()
    warnings: Sequence[str] = field(default_factory=list)


NO_POINTS = OwnPoints()
"""An empty set of layers."""
