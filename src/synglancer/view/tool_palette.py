"""Keys and a palette through which the viewer's own tools change the synapse layers.

Parts of a Neuroglancer state as plain JSON: a layer's ``toolBindings``, and ``toolPalettes``. A
viewer that does not know one of them passes over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synglancer.view.shaders import MARKER_SIZE, MIN_CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PALETTE = "Synapses"
"""Name of the palette in the viewer."""

# The keys below the digits 1 to 9, which show and hide the layers of those numbers. The viewer
# goes by a key's place, so that this holds for keyboards of all languages.
_KEYS_BELOW = {MIN_CONFIDENCE: "QWERTYUIO", MARKER_SIZE: "ASDFGHJKL"}


def bind_keys(number: int, sliders: Iterable[str]) -> dict[str, Any]:
    """Bind sliders of a layer to the keys below its number; held with Shift, they show the slider.

    Parameters
    ----------
    number
        Number of the layer in the viewer, from 1. Above 9 there are no keys.
    sliders
        Names of the layer's sliders.

    Returns
    -------
    dict
        For the layer's ``toolBindings``.

    Examples
    --------
    >>> bind_keys(3, ["min_confidence"])
    {'E': {'type': 'shaderControl', 'control': 'min_confidence'}}
    """
    rows = ((_KEYS_BELOW.get(name, ""), name) for name in sliders)
    return {keys[number - 1]: _tool(name) for keys, name in rows if number <= len(keys)}


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
