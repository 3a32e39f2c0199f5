"""Name the synapses of a state made by synglancer that were damaged after it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synglancer.states.annotations import DIRECTION, read_labels, read_synapse_layers
from synglancer.states.fields import read_id
from synglancer.states.layer_names import split_layer_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from synglancer.states.annotations import LayerAnnotations, Note

_FLOAT32 = (-3.4028235e38, 3.4028235e38)
_RANGES = {
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32)},
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32)},
}


def explain_damage(state: Mapping[str, Any]) -> list[str]:
    """List what cannot be read of the synapses in a state made by synglancer, one sentence each.

    Layers that a user added beside ours have a name without a direction and are not examined.
    """
    sentences = []
    for layer in read_synapse_layers(state):
        if split_layer_name(layer.name)[0] or read_labels(layer.layer, DIRECTION):
            sentences += [*layer.problems, *_examine(layer)]
    return sentences


def _examine(layer: LayerAnnotations) -> list[str]:
    """Count the annotations of a layer that lack an ID, root IDs or numbers."""
    related = [layer.read_related(name) for name in layer.relationships]
    whole = [
        all(len(ids) == 1 and (read_id(ids[0]) or ids[0] == "0") for ids in lists)
        for lists in zip(*related, strict=True)
    ]
    kinds = [str(spec.get("type")) for spec in layer.properties]
    tests: dict[str, Callable[[Note], bool]] = {
        "an ID that is a whole number": lambda note: bool(read_id(note.get("id"))),
        "a valid number for each property": lambda note: _has_values(note.get("props"), kinds),
    }
    lacking = {what: sum(not test(note) for note in layer.notes) for what, test in tests.items()}
    lacking["the root ID of each side"] = len(whole) - sum(whole)
    verb = {True: "does", False: "do"}
    return [
        f"{count:,} annotation{'' if count == 1 else 's'} of the layer {layer.name!r} "
        f"{verb[count == 1]} not have {what}."
        for what, count in lacking.items()
        if count
    ]


def _has_values(values: object, kinds: list[str]) -> bool:
    given = values if isinstance(values, list) else []
    return len(given) >= len(kinds) and all(map(_is_valid, given, kinds))


def _is_valid(value: object, kind: str) -> bool:
    """Whether a value is a number that its type can hold; colours are not examined."""
    if kind in {"rgb", "rgba"}:
        return True
    if isinstance(value, str) and value.isascii() and value.isdigit():  # as some viewers write it
        value = float(value)
    lowest, highest = _RANGES.get(kind, _FLOAT32)
    return isinstance(value, int | float) and lowest <= value <= highest
