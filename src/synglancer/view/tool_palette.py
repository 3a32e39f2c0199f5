"""The palette through which the viewer's own tools change the synapse layers.

It is ``toolPalettes`` of a Neuroglancer state, as plain JSON; a viewer that does not know it passes
over it. No keys are bound: the viewer lists each key in the bar at its top, and six layers with two
sliders fill that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PALETTE = "Synapses"
"""Name of the palette in the viewer."""


def build_palette(sliders: Mapping[str, Iterable[str]], *, shown: bool) -> dict[str, Any]:
    """Gather the sliders of all layers in one palette.

    Parameters
    ----------
    sliders
        Name of each layer -> names of its sliders.
    shown
        Whether it is open from the start, else at the click of its name. It is at the right,
        below the panel of a layer.

    Returns
    -------
    dict
        For the state's ``toolPalettes``.
    """
    tools = [{"layer": layer, **_tool(name)} for layer, names in sliders.items() for name in names]
    return {PALETTE: {"row": 1, "tools": tools, "visible": shown}}


def _tool(slider: str) -> dict[str, str]:
    return {"type": "shaderControl", "control": slider}
