"""Write and read the names of synapse layers.

A layer's name shows the markers' look and meaning: ``● in: spine`` are discs, ``○ out: spine`` and
``○ synapse: spine`` rings, ``◎ between: spine`` targets. It is short because viewers write values
behind the names when the mouse is on a synapse: with longer names, the bar at the top of a window
of 1,440 pixels would then break into a second line, and everything below it would jump. ``inputs:
spine``, the form in earlier versions, means the same.
"""

from __future__ import annotations

_SHORT = {
    "inputs": "● in",
    "outputs": "○ out",
    "between": "◎ between",
    "synapse": "○ synapse",
    "same spine": "○ same spine",
}
_DIRECTIONS = {
    **{short: direction for direction, short in _SHORT.items()},
    **{f"{short[0]} {direction}": direction for direction, short in _SHORT.items()},
}


def format_layer_name(direction: str, tag: str) -> str:
    """Write the name of a layer of synapses.

    Parameters
    ----------
    direction
        ``inputs``, ``outputs``, ``between``, ``synapse`` or ``same spine``.
    tag
        Predicted postsynaptic target, or another name in its place.

    Examples
    --------
    >>> format_layer_name("inputs", "spine")
    '● in: spine'
    """
    return f"{_SHORT[direction]}: {tag}"


def get_sign(direction: str) -> str:
    """Return the sign for the markers of a direction; empty for any other word.

    Examples
    --------
    >>> get_sign("outputs")
    '○'
    """
    return _SHORT.get(direction, "")[:1]


def split_layer_name(name: str) -> tuple[str, str]:
    """Return direction and tag of a layer; the direction is empty if the name has none.

    Examples
    --------
    >>> split_layer_name("● in: spine"), split_layer_name("inputs: spine")
    (('inputs', 'spine'), ('inputs', 'spine'))
    >>> split_layer_name("my notes")
    ('', 'my notes')
    """
    direction, mark, tag = name.partition(": ")  # the first one, because a tag may contain more
    return (_DIRECTIONS.get(direction, direction), tag) if mark else ("", name)


def split_known_name(name: str) -> tuple[str, str]:
    """Return direction and tag of a layer named like ours; otherwise two empty texts.

    Examples
    --------
    >>> split_known_name("○ out: soma"), split_known_name("gained: soma")
    (('outputs', 'soma'), ('', ''))
    """
    direction, tag = split_layer_name(name)
    return (direction, tag) if direction in _SHORT else ("", "")


def spell_out(name: str) -> str:
    """Write a layer's name in words, as used in counts and messages.

    Examples
    --------
    >>> spell_out("○ out: soma"), spell_out("my notes")
    ('outputs: soma', 'my notes')
    """
    direction, tag = split_layer_name(name)
    return f"{direction}: {tag}" if direction else name
