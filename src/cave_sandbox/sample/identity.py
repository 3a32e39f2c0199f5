"""Root IDs, table names and descriptions of the synthetic sample.

Tests and the modules that write the sample use them.

Everything here except the seed cell's root ID and totals is made up: no row of the sample was
measured, and each text that a reader may see says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SYNTHETIC = "Synthetic sample of the synglancer sandbox: no row of it was measured."

MINNIE = "minnie65_public"
SYNAPSE_TABLE = "synapses_pni_2"
PREDICTION_TABLE = "synapse_target_predictions_ssa_v2"
NUCLEUS_TABLE = "nucleus_detection_v0"
SPINE_TABLE = "synapse_spine_mapping_v2"
MULTI_INPUT_TABLE = "multi_input_spine_predictions_ssa"
CELL_TYPE_VIEW = "aibs_cell_info"

#: The sample's main cell, with as many synapses as the real cell has at version 1718: 3,076 inputs
#: and 316 outputs with a prediction (its autapse among both), 214 and 23 without, by location.
SEED_ROOT_ID = 864691135276234469
SEED_NUCLEUS_ID = 264_824
INPUT_PREDICTIONS = {"spine": 2262, "shaft": 711, "soma": 103}
OUTPUT_PREDICTIONS = {"spine": 221, "shaft": 86, "soma": 9}
UNLABELLED_INPUTS = {"spine": 158, "shaft": 49, "soma": 7}
UNLABELLED_OUTPUTS = {"spine": 15, "shaft": 7, "soma": 1}

NUCLEUS_WITHOUT_ROOT = 491_002  # no segment holds it (``pt_root_id`` 0)

#: Root IDs that edits replaced before version 1718: by the seed cell; by the seed cell and a
#: fragment without a nucleus (an axon that makes a synapse onto the seed cell); by two cells.
OUTDATED_ONE_SUCCESSOR = 864691135190772513
OUTDATED_SPLIT = 864691134880361457
SPLIT_FRAGMENT = 864691136520114903
OUTDATED_MERGED_CELLS = 864691135404918287

#: Root IDs that edits made before version 1822: a dendrite was cut off the seed cell, then a piece
#: of axon was added to it, and `SPLIT_FRAGMENT` turned out to be axon of the first partner.
EDITED_SEED = 864691136194301772
CUT_DENDRITE = 864691135026471655
ADDED_AXON = 864691134712945120  # when it was still a separate segment
SEED_BETWEEN = 864691136041877356  # the seed cell between these two edits; no version has it
EDITED_PARTNER = 864691136437509811


@dataclass(frozen=True)
class Partner:
    """A cell of the sample other than the seed cell."""

    root_id: int
    nucleus_id: int
    label: str  # its description in the segment properties
    cell_type: str
    excitatory: bool  # whether it is a pyramidal cell
    offset: tuple[float, float, float]  # from the seed cell's soma to its own, in µm


PARTNERS = (
    Partner(864691135617152361, 264_901, "L2/3 pyramidal A", "23P", True, (66.0, 24.0, -38.0)),
    Partner(864691135937424949, 262_678, "L2/3 pyramidal B", "23P", True, (-92.0, -34.0, 46.0)),
    Partner(864691136334080603, 301_095, "L5 pyramidal", "5P-IT", True, (24.0, 268.0, 30.0)),
    Partner(864691135468905857, 258_319, "basket cell", "BC", False, (-41.0, 16.0, -24.0)),
    Partner(864691136108938168, 303_149, "Martinotti cell", "MC", False, (58.0, 176.0, 36.0)),
    Partner(864691135772309216, 266_512, "bipolar cell", "BPC", False, (31.0, -62.0, -44.0)),
)

SECOND = "sandbox_second"
SECOND_SYNAPSE_TABLE = "synapse_table_a"
SECOND_PREDICTION_TABLE = "synapse_compartment_v1"
SECOND_SEED_ROOT_ID = 720575940618238523
SECOND_PARTNER_ROOT_ID = 720575940631693610
ODD_TAG = '"odd" tag, ünïcode'


def describe_tables(
    voxel: Sequence[float], synapses: str, tables: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    """Return the records of tables, given by schema and text, for ``datastack.json``.

    A reference table has a notice, refers to the table of synapses, and has no positions.
    """
    return {
        name: {
            "schema": schema,
            "voxel_resolution": [1, 1, 1] if schema.startswith("reference") else list(voxel),
            "description": f"{text} {SYNTHETIC}",
            "notice_text": SYNTHETIC if schema.startswith("reference") else None,
            "reference_table": synapses if schema.startswith("reference") else None,
        }
        for name, (schema, text) in tables.items()
    }


def describe_datastack(
    name: str,
    volume: tuple[str, str],
    text: str,
    usual: tuple[str, str | None],
    voxel: tuple[float, float, float],
    versions: Sequence[tuple[int, str, str, str, Sequence[str] | None]],
) -> dict[str, Any]:
    """Return the content of ``datastack.json`` without tables and views.

    The volume has a name and a display name. The usual tables are the tables of synapses and
    somata. A version has a number, timestamp, expiry, status and tables (None for all).
    """
    base = f"precomputed://{{origin}}/precomputed/{name}"
    keys = ("version", "time_stamp", "expires_on", "status", "tables")
    return {
        "name": name,
        "info": {
            "description": f"{SYNTHETIC} {text}",
            "aligned_volume": {
                "name": volume[0],
                "display_name": f"{volume[1]} (synthetic sample)",
                "description": SYNTHETIC,
                "image_source": f"{base}/em",
            },
            "synapse_table": usual[0],
            "soma_table": usual[1],
            # caveclient takes the last part of this address for the segmentation's table.
            "segmentation_source": f"{base}/seg/{name}",
            "skeleton_source": f"{base}/skeleton/",
            **{f"viewer_resolution_{axis}": size for axis, size in zip("xyz", voxel, strict=True)},
        },
        "versions": [dict(zip(keys, version, strict=True)) for version in versions],
    }
