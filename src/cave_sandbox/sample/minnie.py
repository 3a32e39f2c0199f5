"""Build the sample's first datastack: a synthetic seed cell and its partners.

This module decides which cells exist, how many synapses they make, and how the tables are named.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cave_sandbox.sample import edits as proofreading
from cave_sandbox.sample import growth, tables, wiring
from cave_sandbox.sample import identity as who
from cave_sandbox.sample.growth import UM

if TYPE_CHECKING:
    from cave_sandbox.sample.geometry import Boutons, Cell, Floats

_NEWEST = 1822  # the version whose predictions differ from those of all others

SOMA = np.array([744_000.0, 536_000.0, 836_000.0])  # centre of the seed cell's soma in nm
PIA = 316_000.0  # position along y, in nm
GRID = tables.Grid((4.0, 4.0, 40.0))

_SEED_NUMBER = 1718
_ROOT_RANGE = (864_691_132_500_000_000, 864_691_137_200_000_000)

_ONTO_SEED = (
    {"spine": 4},
    {"spine": 3},
    {"spine": 2},
    {"soma": 11, "shaft": 6},
    {"shaft": 7, "spine": 2},
    {"shaft": 3},
)
_FROM_SEED = (
    {"spine": 4, "shaft": 1},
    {"spine": 3},
    {"spine": 5, "shaft": 2},
    {"shaft": 4, "soma": 1},
    {"shaft": 4},
    {"shaft": 2},
)
_EXCITATORY_INPUTS = {"spine": 195, "shaft": 74, "soma": 22}
_INHIBITORY_INPUTS = {"spine": 22, "shaft": 168, "soma": 38}
_PARTNER_UNLABELLED = {"spine": 12, "shaft": 9, "soma": 2}
_EXCITATORY_OUTPUTS = {"spine": 33, "shaft": 15, "soma": 1}
_INHIBITORY_OUTPUTS = {"spine": 14, "shaft": 46, "soma": 31}

#: Schema and description of each table.
_TABLES = {
    who.SYNAPSE_TABLE: ("synapse", "Synapses of the sample's cells."),
    who.PREDICTION_TABLE: ("reference_tag_float", "Postsynaptic targets: soma, shaft or spine."),
    who.NUCLEUS_TABLE: ("nucleus_detection", "Nuclei of the sample's cells."),
    who.SPINE_TABLE: ("reference_simple_group_indexed", "The spine of each synapse."),
    who.MULTI_INPUT_TABLE: ("reference_simple_group", "Synapses that share a spine with another."),
}


@dataclass(frozen=True)
class Sample:
    """A datastack of the sample, in memory."""

    name: str
    description: dict[str, Any]  # the content of datastack.json
    cells: list[Cell]  # the cell to look at comes first
    labels: dict[int, tuple[str, str]]  # label and cell type of each cell, by root ID
    tables: dict[str, pd.DataFrame]
    roots: pd.DataFrame | None  # root IDs over time
    resolution: tuple[float, float, float]  # the viewer's voxel in nm
    contacts: wiring.Contacts  # its synapses
    pia: float  # position of the pia along y, nm
    detail: int  # side of the finest block of imagery in voxels
    views: dict[str, pd.DataFrame] = field(default_factory=dict)
    later: list[Cell] = field(default_factory=list)  # cells after edits, without voxels
    #: parts of cells that were once separate segments
    pieces: list[Cell] = field(default_factory=list)


def build_minnie() -> Sample:
    """Grow the cells of ``minnie65_public``, wire them, and build the tables."""
    rng = np.random.default_rng(_SEED_NUMBER)
    cells = _grow_cells(rng)
    inputs = _place_all_inputs(rng, cells)
    en_passant = [cell.boutons for cell in cells]
    cells = _wire(rng, cells, inputs)
    contacts = _list_contacts(rng, cells, inputs, en_passant)
    edits = proofreading.plan_edits(cells[0], contacts)
    labels = {p.root_id: (p.label, p.cell_type) for p in who.PARTNERS}
    labels[who.SEED_ROOT_ID] = ("L2/3 pyramidal, seed", "23P")
    built = _build_tables(rng, cells, contacts, edits)
    types = tables.build_cell_types(built[who.NUCLEUS_TABLE], contacts, labels)
    return Sample(
        name=who.MINNIE,
        description=_describe(),
        cells=cells,
        labels=labels | {root: labels[former] for former, root in proofreading.CELLS_NOW.items()},
        tables=built,
        roots=proofreading.list_root_ids(),
        resolution=GRID.resolution,
        contacts=contacts,
        pia=PIA,
        detail=1152,
        views={
            who.CELL_TYPE_VIEW: types,
            f"{who.CELL_TYPE_VIEW}@{_NEWEST}": proofreading.apply_edits(types, []),
        },
        later=[edits.seed, replace(cells[1], root_id=who.EDITED_PARTNER)],
        pieces=[edits.dendrite, edits.axon],
    )


def _build_tables(
    rng: np.random.Generator,
    cells: list[Cell],
    contacts: wiring.Contacts,
    edits: proofreading.Edits,
) -> dict[str, pd.DataFrame]:
    synapses = tables.build_synapses(rng, contacts, GRID)
    predictions = tables.build_predictions(rng, synapses, contacts, contacts.tags)
    numbers = [who.SEED_NUCLEUS_ID, *(p.nucleus_id for p in who.PARTNERS), who.NUCLEUS_WITHOUT_ROOT]
    stray: Floats = SOMA + np.array([-118.0, 61.0, 52.0]) * UM
    on_dendrite = synapses["id"].to_numpy()[edits.cut_rows]
    synapses, predictions, mapping, multi_input = tables.build_spine_tables(
        synapses, predictions, contacts, cells, GRID
    )
    synapses, predictions, mapping = proofreading.add_outputs(
        edits, synapses, predictions, mapping, GRID
    )
    ordered = synapses.sort_values("id", ignore_index=True)
    nuclei = tables.build_nuclei(rng, numbers, cells, stray, GRID)
    return {
        who.SYNAPSE_TABLE: ordered,
        who.PREDICTION_TABLE: predictions,
        who.NUCLEUS_TABLE: nuclei,
        who.SPINE_TABLE: mapping,
        who.MULTI_INPUT_TABLE: multi_input,
        f"{who.PREDICTION_TABLE}@{_NEWEST}": _predict_anew(predictions, synapses),
        f"{who.SYNAPSE_TABLE}@{_NEWEST}": proofreading.apply_edits(ordered, on_dendrite),
        f"{who.NUCLEUS_TABLE}@{_NEWEST}": proofreading.apply_edits(nuclei, []),
    }


def _grow_cells(rng: np.random.Generator) -> list[Cell]:
    plans = {"23P": growth.SMALL_LAYER_23, "5P-IT": growth.LAYER_5}
    cells = [growth.grow_cell(rng, who.SEED_ROOT_ID, SOMA, growth.LAYER_23)]
    for partner in who.PARTNERS:
        plan = plans.get(partner.cell_type, growth.INTERNEURON)
        centre = SOMA + np.array(partner.offset) * UM
        cells.append(growth.grow_cell(rng, partner.root_id, centre, plan))
    return cells


def _place_all_inputs(rng: np.random.Generator, cells: list[Cell]) -> list[wiring.Inputs]:
    inputs = [wiring.place_inputs(rng, cells[0], who.INPUT_PREDICTIONS, who.UNLABELLED_INPUTS)]
    for cell, partner in zip(cells[1:], who.PARTNERS, strict=True):
        counts = _EXCITATORY_INPUTS if partner.excitatory else _INHIBITORY_INPUTS
        inputs.append(wiring.place_inputs(rng, cell, counts, _PARTNER_UNLABELLED))
    return inputs


def _wire(rng: np.random.Generator, cells: list[Cell], inputs: list[wiring.Inputs]) -> list[Cell]:
    """Connect the seed cell with its partners in both directions, and with itself."""
    wired = [
        wiring.innervate(rng, cell, inputs[0], wanted)
        for cell, wanted in zip(cells[1:], _ONTO_SEED, strict=True)
    ]
    seed = wiring.innervate(rng, cells[0], inputs[0], {"shaft": 1})
    for target, wanted in zip(inputs[1:], _FROM_SEED, strict=True):
        seed = wiring.innervate(rng, seed, target, wanted)
    return [seed, *wired]


def _list_contacts(
    rng: np.random.Generator,
    cells: list[Cell],
    inputs: list[wiring.Inputs],
    en_passant: list[Boutons],
) -> wiring.Contacts:
    """Assign the remaining places to axons that exist only as a root ID."""
    axons = tables.draw_root_ids(rng, 6_000, *_ROOT_RANGE)
    known = [cell.root_id for cell in cells]
    axons = axons[~np.isin(axons, known)]
    parts = []
    for cell, received in zip(cells, inputs, strict=True):
        free = np.flatnonzero(received.pre == 0)
        received.pre[free] = tables.draw_partners(rng, axons[1000:], len(free))
        if cell.root_id == who.SEED_ROOT_ID:
            spine = free[(received.tags[free] == "spine") & received.predicted[free]]
            received.pre[spine[0]] = who.SPLIT_FRAGMENT
        parts.append(wiring.input_contacts(rng, cell, received))
    onto_cells = wiring.Contacts.join(parts)
    outputs = _count_outputs(onto_cells)
    for cell, boutons, (predicted, unlabelled) in zip(cells, en_passant, outputs, strict=True):
        count = sum(predicted.values()) + sum(unlabelled.values())
        post = tables.draw_partners(rng, axons[:1000], count)
        parts.append(wiring.output_contacts(rng, cell, boutons, post, predicted, unlabelled))
    return wiring.Contacts.join(parts)


def _count_outputs(made: wiring.Contacts) -> list[tuple[dict[str, int], dict[str, int]]]:
    """Count each cell's outputs onto cells outside the sample, with a prediction and without."""
    tags = made.tags[made.pre == who.SEED_ROOT_ID]
    seed = {tag: count - int(np.sum(tags == tag)) for tag, count in who.OUTPUT_PREDICTIONS.items()}
    others = (_EXCITATORY_OUTPUTS if p.excitatory else _INHIBITORY_OUTPUTS for p in who.PARTNERS)
    return [
        (seed, who.UNLABELLED_OUTPUTS),
        *((given, {"spine": 2, "shaft": 2}) for given in others),
    ]


def _predict_anew(predictions: pd.DataFrame, synapses: pd.DataFrame) -> pd.DataFrame:
    """Predict again, as a retrained classifier would.

    Some confidences are lower, and the least confident spines become shafts. Some synapses lose
    their prediction, and a few that had none get one.
    """
    rng = np.random.default_rng(_NEWEST)
    kept = predictions[rng.random(len(predictions)) > 0.01]  # noqa: PLR2004
    doubt = rng.beta(1.0, 30.0, len(kept)) * (rng.random(len(kept)) < 0.3)  # noqa: PLR2004
    value = np.clip(kept["value"].to_numpy() - doubt, 0.34, 1.0).astype(np.float32)
    turned = (kept["tag"] == "spine").to_numpy() & (value < 0.6)  # noqa: PLR2004
    kept = kept.assign(value=value, tag=np.where(turned, "shaft", kept["tag"]).astype(object))
    unseen = synapses["id"][~synapses["id"].isin(predictions["target_id"])]
    found = rng.permutation(unseen.to_numpy())[: len(unseen) // 8]
    added = pd.DataFrame(
        {
            "id": predictions["id"].max() + 1 + np.arange(len(found)),
            "target_id": found,
            "tag": np.where(rng.random(len(found)) < 0.7, "spine", "shaft").astype(object),  # noqa: PLR2004
            "value": rng.uniform(0.4, 0.8, len(found)).astype(np.float32),
        }
    )
    return pd.concat([kept, added], ignore_index=True)


def _describe() -> dict[str, Any]:
    """Return the content of ``datastack.json``."""
    early = [who.SYNAPSE_TABLE, who.NUCLEUS_TABLE]
    # As in the real release, the mapping of spines replaces the older table from then on.
    late = [*early, who.PREDICTION_TABLE, who.SPINE_TABLE, who.CELL_TYPE_VIEW]
    kept, gone = "AVAILABLE", "EXPIRED"
    versions = [
        (117, "2021-06-11T08:10:00.215114", "2121-05-18T08:10:00.215114", kept, early),
        (661, "2023-04-06T20:17:09.199182", "2024-03-29T20:17:09.199182", gone, early),
        (943, "2024-01-22T08:10:01.497934", "2123-12-29T08:10:01.497934", kept, early),
        (1300, "2025-01-13T10:10:01.286229", "2124-12-20T10:10:01.286229", kept, early),
        (1718, "2026-03-07T08:10:01.190228", "2027-03-01T08:10:01.190228", kept, None),
        (_NEWEST, "2026-06-27T08:10:01.306917", "2027-06-21T08:10:01.306917", kept, late),
    ]
    return {
        **who.describe_datastack(
            who.MINNIE,
            ("minnie65_phase3", "MICrONS mm^3"),
            "It stands in for minnie65_public.",
            (who.SYNAPSE_TABLE, who.NUCLEUS_TABLE),
            GRID.resolution,
            versions,
        ),
        "tables": who.describe_tables(GRID.resolution, who.SYNAPSE_TABLE, _TABLES),
        "views": {
            who.CELL_TYPE_VIEW: {
                "voxel_resolution": list(GRID.resolution),
                "description": f"Cell types of cells and of many axons. {who.SYNTHETIC}",
                "notice_text": who.SYNTHETIC,
            }
        },
    }
