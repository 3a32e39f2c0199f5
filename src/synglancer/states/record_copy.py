"""Copy the provenance record into a shader, as a comment.

When a reader shares a state again, viewers drop unknown keys but keep shaders. A state without
annotation layers has no shader, and therefore no copy.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from synglancer.states.record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LARGEST_COPY = 4096
"""Most characters of a copy; if it would be longer, parts are left out."""

_LARGEST_READ = 65_536
_LINE = re.compile(rf"\s*// {RECORD}: (\{{[ -~]*\}})[ \t\r]*(?:\n|$)")
_DISPENSABLE = ("somata", "notice", "partners", "hidden", "followed", "synapses", "annotations")
_LONG_TYPES = ("synapses", "partners", "colours")
_LEFT_OUT = "left_out"
# Characters that the copy writes as escapes: those of directives, comments and markup, and one
# without its own escape in JSON.
_SIGNS = {sign: f"\\u{ord(sign):04x}" for sign in "#*<>&\x7f"}


def format_copy(record: Mapping[str, Any]) -> str:
    """Write a record as one line of comment in GLSL, with its line break.

    Parameters
    ----------
    record
        JSON values, as `synglancer.states.record.Provenance.to_json` gives them.

    Returns
    -------
    str
        ASCII. If the line would be longer than `LARGEST_COPY`, long parts are left out: first the
        numbers by type of the partners, then somata, notice, partners, hidden synapses, followed
        root IDs, requested synapses and files of points, until it fits. ``left_out`` lists them.
    """
    kept, left_out = dict(record), []
    text = format_comment(RECORD, kept)
    if len(text) > LARGEST_COPY and isinstance(kept.get("cell_types"), dict):
        types = kept["cell_types"]
        kept["cell_types"] = {name: types[name] for name in types if name not in _LONG_TYPES}
        left_out.append("cell_types")
        text = format_comment(RECORD, {**kept, _LEFT_OUT: left_out})
    for name in _DISPENSABLE:
        if len(text) > LARGEST_COPY and name in kept:
            del kept[name]
            left_out.append(name)
            text = format_comment(RECORD, {**kept, _LEFT_OUT: left_out})
    return text


def format_comment(word: str, content: Mapping[str, Any]) -> str:
    """Write JSON as one line of comment in GLSL, after a word, with its line break; ASCII."""
    text = json.dumps(content, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    for sign, escape in _SIGNS.items():
        text = text.replace(sign, escape)
    return f"// {word}: {text}\n"


def add_copy(layers: list[dict[str, Any]], record: Mapping[str, Any]) -> None:
    """Put the copy in front of the shader of the first annotation layer, if there is one."""
    for layer in layers:
        if layer.get("type") == "annotation" and isinstance(layer.get("shader"), str):
            layer["shader"] = format_copy(record) + layer["shader"]
            return


def read_record(state: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Read the record of a state, or else its copy in a shader.

    Returns
    -------
    tuple
        The record as unchecked JSON values, empty if there is none; and a warning if record and
        copy differ, otherwise an empty text.
    """
    own, copies = state.get(RECORD), list(_read_copies(state))
    if not isinstance(own, dict):
        return (copies[0] if copies else {}), ""
    if any(_differ(own, copy) for copy in copies):
        return own, (
            "The state has two different provenance records. The record under its own key is "
            "used, not the copy in a shader."
        )
    return own, ""


def _read_copies(state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    layers = state.get("layers")
    for layer in layers if isinstance(layers, list) else ():
        shader = layer.get("shader") if isinstance(layer, dict) else None
        found = _LINE.match(shader, 0, _LARGEST_READ) if isinstance(shader, str) else None
        if found:
            try:
                copy = json.loads(found[1])
            except (ValueError, RecursionError):
                continue
            yield copy


def _differ(own: Mapping[str, Any], copy: Mapping[str, Any]) -> bool:
    """Whether a complete part of a copy differs from the record."""
    skipped = copy.get(_LEFT_OUT)
    names = {name for name in skipped if isinstance(name, str)} if isinstance(skipped, list) else {}
    keys = {*own, *copy} - {*names, _LEFT_OUT}
    return any(own.get(name) != copy.get(name) for name in keys)
