"""Names, order, dtypes and units of the columns of a table of synapses."""

from __future__ import annotations

POSITION_COLUMNS = ["ctr_pt_position_x", "ctr_pt_position_y", "ctr_pt_position_z"]

DTYPES = {
    "id": "uint64",
    "direction": "str",
    "tag": "str",
    "confidence": "float32",
    "size": "float32",
    "pre_pt_root_id": "uint64",
    "post_pt_root_id": "uint64",
    "ctr_pt_position_x": "int64",
    "ctr_pt_position_y": "int64",
    "ctr_pt_position_z": "int64",
}
"""Columns of a table of predictions, in order. Positions are in nm, sizes in voxels."""

CELL_COLUMN = {"inputs": "post_pt_root_id", "outputs": "pre_pt_root_id"}
"""The column with the cell's own root ID, for each direction."""

ASKED_COLUMN = {**CELL_COLUMN, "synapse": "id"}
"""The column with the requested ID: of the cell in one direction, or of the synapse."""

SHARING_COLUMN = "asked_id"
"""The column with the requested synapse, in rows of other synapses on its spine."""

PARTNER_COLUMN = {"inputs": "pre_pt_root_id", "outputs": "post_pt_root_id"}
"""The column with the root ID of the cell on the other side, for each direction."""

PARTNER_TYPE = "partner_type"
"""The column with the type of the cell on the other side; present only if requested."""
