"""State → the table of synapses that it shows: the way back.

For our own states every value comes back as it was; for other Neuroglancer states as much as they
say.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.settings import PARTNER_TYPE, UNKNOWN_TYPE
from synglancer.states.provenance import annotation_layers, is_point, split_layer_name
from synglancer.synapses.predictions import DTYPES, POSITION_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

_NM_PER_METRE = 1e9
_ID_BITS = 64
_AXES = ("x", "y", "z")


def parse_predictions(state: Mapping[str, Any]) -> pd.DataFrame:
    """Read the synapses that a state shows.

    Parameters
    ----------
    state
        A Neuroglancer state. Its local annotation layers are read; a layer's name gives direction
        and tag (``inputs: spine``), or the tag alone. Points are read, other shapes are not.

    Returns
    -------
    pandas.DataFrame
        Columns and dtypes as `synglancer.synapses.predictions.DTYPES`: positions in nm, sizes in
        voxels. What a state does not say is NaN (confidence, size), 0 (IDs) or empty (direction).
        Where a layer names the partners' types, a further column ``partner_type`` (str) has them.
    """
    layers = [*annotation_layers(state)]
    parts = [_read_layer(layer, state) for layer in layers]
    rows = {name: [value for part in parts for value in part[name]] for name in DTYPES}
    frame = pd.DataFrame({name: _series(rows[name], kind) for name, kind in DTYPES.items()})
    types = [_read_types(layer) for layer in layers]
    if any(types):
        found = [
            labels.get(_property(note, names, PARTNER_TYPE), UNKNOWN_TYPE)
            for layer, labels in zip(layers, types, strict=True)
            for names in [_property_names(layer)]
            for note in layer["annotations"]
            if is_point(note)
        ]
        frame[PARTNER_TYPE] = pd.Series(found, dtype=object)
    return frame


def _series(values: list[Any], kind: str) -> pd.Series[Any]:
    if kind == "str":
        return pd.Series(values, dtype=object)
    return pd.Series(np.array(values, dtype=kind))


def _read_layer(layer: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, list[Any]]:
    points = [note for note in layer["annotations"] if is_point(note)]
    direction, tag = split_layer_name(str(layer.get("name", "")))
    properties = _property_names(layer)
    relations = layer.get("annotationRelationships", [])
    scale = _nm_per_unit(layer, state)
    positions = np.array([note["point"][:3] for note in points], dtype=float).reshape(-1, 3)
    nm = np.rint(positions * scale).astype("int64")
    columns: dict[str, list[Any]] = {
        "id": [_number(note.get("id")) for note in points],
        "direction": [direction] * len(points),
        "tag": [tag] * len(points),
        "confidence": [_property(note, properties, "confidence") for note in points],
        "size": [_property(note, properties, "size") for note in points],
        "pre_pt_root_id": [_segment(note, relations, "pre") for note in points],
        "post_pt_root_id": [_segment(note, relations, "post") for note in points],
    }
    columns.update({name: nm[:, axis].tolist() for axis, name in enumerate(POSITION_COLUMNS)})
    return columns


def _property_names(layer: Mapping[str, Any]) -> list[Any]:
    return [item.get("id") for item in layer.get("annotationProperties", [])]


def _read_types(layer: Mapping[str, Any]) -> dict[float, str]:
    """Read which numbers of a layer stand for which types of partners; empty where none do."""
    for item in layer.get("annotationProperties", []):
        values, labels = item.get("enum_values"), item.get("enum_labels")
        if item.get("id") == PARTNER_TYPE and isinstance(values, list) and isinstance(labels, list):
            numbered = zip(values, labels, strict=False)
            return {value: str(label) for value, label in numbered if isinstance(value, int)}
    return {}


def _nm_per_unit(layer: Mapping[str, Any], state: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Size of the unit in which a layer's points are given, (x, y, z) in nm."""
    source = layer.get("source")
    source = source[0] if isinstance(source, list) and source else source
    transform = source.get("transform", {}) if isinstance(source, dict) else {}
    dimensions = transform.get("outputDimensions") or state.get("dimensions", {})
    sizes = [dimensions.get(axis, [1e-9, "m"])[0] for axis in _AXES]
    return np.array([float(f"{size * _NM_PER_METRE:.9g}") for size in sizes])


def _number(given: object) -> int:
    """Read a 64-bit ID; 0 for what is none, such as the hexadecimal names that viewers make.

    Other tools write IDs as JSON numbers too. A viewer rounds those; Python reads them whole.
    """
    text = str(given) if isinstance(given, str | int) else ""
    if not re.fullmatch("[0-9]{1,20}", text):
        return 0
    number = int(text)
    return number if number < 2**_ID_BITS else 0


def _property(note: Mapping[str, Any], names: list[Any], name: str) -> float:
    values = note.get("props", [])
    position = names.index(name) if name in names else len(values)
    value = values[position] if position < len(values) else None
    return float(value) if isinstance(value, int | float) else float("nan")


def _segment(note: Mapping[str, Any], names: list[Any], name: str) -> int:
    lists = note.get("segments", [])
    position = names.index(name) if name in names else len(lists)
    ids = lists[position] if position < len(lists) else []
    return _number(ids[0]) if isinstance(ids, list) and ids else 0
