"""Read all annotations of any state into one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.states.annotations import find_label, read_labels, read_layers
from synglancer.states.coordinates import AXES, read_state_resolution
from synglancer.states.fields import read_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.states.annotations import LayerAnnotations

FIRST_COLUMNS = (
    "layer", "id", "shape", "direction", "tag",
    "x_nm", "y_nm", "z_nm", "x_voxel", "y_voxel", "z_voxel", "description",
)  # fmt: skip
"""Columns of every table, in order; relationships and properties follow."""


def build_annotation_table(state: Mapping[str, Any]) -> pd.DataFrame:
    """Build the table of all annotations in a state.

    Parameters
    ----------
    state
        A Neuroglancer state.

    Returns
    -------
    pandas.DataFrame
        The columns of `FIRST_COLUMNS`: texts, positions in nm and in voxels of the state (float64;
        NaN where the state has no voxel size). Then a column ``<relationship>_segment`` for each
        relationship: the ID of the related segment, 0 for none (several are separated by spaces).
        Then a column for each property, with the labels of enums in place of their numbers. A
        property whose name is already taken gets ``property_`` in front.
    """
    layers = read_layers(state)
    parts = [_build_part(layer, read_state_resolution(state)) for layer in layers if layer.notes]
    if not parts:
        texts = {"layer", "id", "shape", "direction", "tag", "description"}
        kinds = {name: object if name in texts else float for name in FIRST_COLUMNS}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    joined = pd.concat(parts, ignore_index=True)
    related = [name for name in joined.columns if str(name).endswith("_segment")]
    return joined.assign(**{name: joined[name].fillna("0") for name in related})


def _build_part(
    layer: LayerAnnotations, resolution: tuple[float, float, float] | None
) -> pd.DataFrame:
    with np.errstate(over="ignore"):
        voxels = layer.positions / np.array(resolution or (np.nan,) * len(AXES))
    columns: dict[str, Any] = {
        "layer": layer.name,
        "id": [_read_note_id(note.get("id")) for note in layer.notes],
        "shape": layer.shapes,
        "direction": layer.read_directions(),
        "tag": layer.read_tags(),
        **{f"{axis}_nm": layer.positions[:, i] for i, axis in enumerate(AXES)},
        **{f"{axis}_voxel": voxels[:, i] for i, axis in enumerate(AXES)},
        "description": [_read_text(note.get("description")) for note in layer.notes],
    }
    for name in layer.relationships:
        columns[f"{name}_segment"] = [_join_ids(ids) for ids in layer.read_related(name)]
    for spec in layer.properties:
        name = str(spec.get("id", ""))
        if name in {"tag", "direction"} and layer.read_own(name) is not None:
            continue  # it already has its own column
        labels = read_labels(layer.layer, name)
        values = [find_label(labels, value, value) for value in layer.read_property(name)]
        columns[f"property_{name}" if name in columns else name] = values
    return pd.DataFrame(columns)


def _read_text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _read_note_id(given: object) -> str:
    return str(given) if isinstance(given, str | int) else ""


def _join_ids(ids: list[Any]) -> str:
    return " ".join(str(cell) for given in ids if (cell := read_id(given))) or "0"
