"""The tool palette with the sliders of all synapse layers.

It is ``toolPalettes`` in a Neuroglancer state, as plain JSON; viewers without palettes ignore it.
No keys are bound, because the viewer lists each key in its top bar, and six layers with two sliders
would fill it.
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
        Whether it is open from the start, or only after a click on its name. It is on the right,
        below a layer's panel.

    Returns
    -------
    dict
        For the state's ``toolPalettes``.
    """
    tools = [
        {"layer": layer, "type": "shaderControl", "control": name}
        for layer, names in sliders.items()
        for name in names
    ]
    return {PALETTE: {"row": 1, "tools": tools, "visible": shown}}
