"""Read the table of synapses in a state.

States made by synglancer give every value exactly, other Neuroglancer states as much as they hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.columns import DTYPES, PARTNER_TYPE, POSITION_COLUMNS
from synglancer.settings import UNKNOWN_TYPE
from synglancer.states.annotations import find_label, read_labels, read_synapse_layers
from synglancer.states.fields import read_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.states.annotations import LayerAnnotations


def parse_predictions(state: Mapping[str, Any]) -> pd.DataFrame:
    """Read the synapses in a state.

    Parameters
    ----------
    state
        A Neuroglancer state. Its local annotation layers are read. A layer's name gives direction
        and tag (``● in: spine``), or only the tag. Only points are read, without points that a user
        added.

    Returns
    -------
    pandas.DataFrame
        Columns and dtypes as `synglancer.columns.DTYPES`: positions in nm, sizes in voxels. Missing
        values are NaN (confidence, size), 0 (IDs) or empty (direction). If a layer names the
        partners' types, they are in the column ``partner_type`` (str). Annotations that cannot be
        placed are left out; `explain_unread` in `states.annotations` names them.
    """
    layers = [layer.keep_points() for layer in read_synapse_layers(state)]
    parts = [_read_layer(layer) for layer in layers]
    rows = {name: [value for part in parts for value in part[name]] for name in DTYPES}
    frame = pd.DataFrame({name: _series(rows[name], kind) for name, kind in DTYPES.items()})
    labels = [read_labels(layer.layer, PARTNER_TYPE) for layer in layers]
    if any(labels):
        found = [
            find_label(named, value, UNKNOWN_TYPE)
            for layer, named in zip(layers, labels, strict=True)
            for value in layer.read_property(PARTNER_TYPE)
        ]
        frame[PARTNER_TYPE] = pd.Series(found, dtype=object)
    return frame


def _series(values: list[Any], kind: str) -> pd.Series[Any]:
    if kind == "str":
        return pd.Series(values, dtype=object)
    with np.errstate(over="ignore"):  # values too large for a float32 become infinite
        return pd.Series(np.array(values, dtype=kind))


def _read_layer(layer: LayerAnnotations) -> dict[str, Sequence[Any]]:
    nm = np.rint(layer.positions)
    columns: dict[str, Sequence[Any]] = {
        "id": [read_id(note.get("id")) for note in layer.notes],
        "direction": layer.read_directions(),
        "tag": layer.read_tags(),
        "confidence": [_read_number(value) for value in layer.read_property("confidence")],
        "size": [_read_number(value) for value in layer.read_property("size")],
        "pre_pt_root_id": [_read_first(ids) for ids in layer.read_related("pre")],
        "post_pt_root_id": [_read_first(ids) for ids in layer.read_related("post")],
    }
    places = {name: nm[:, axis].tolist() for axis, name in enumerate(POSITION_COLUMNS)}
    return {**columns, **places}


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return float("nan")
    try:
        return float(value)
    except OverflowError:  # an integer beyond the largest float
        return float("nan")


def _read_first(ids: Sequence[Any]) -> int:
    return read_id(ids[0]) if ids else 0
