"""Build the sample's second datastack: other names, other tags, another voxel, no somata.

It serves to test that synglancer assumes nothing that holds only for minnie65.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cave_sandbox.sample import growth, tables, wiring
from cave_sandbox.sample import identity as who
from cave_sandbox.sample.geometry import Cell, sample_axes, side_sites
from cave_sandbox.sample.growth import UM
from cave_sandbox.sample.minnie import Sample

GRID = tables.Grid((8.0, 8.0, 33.0))
SOMA = np.array([420_000.0, 460_000.0, 700_000.0])

PLAN = growth.Plan(
    trunk=55.0,
    obliques=3,
    tuft=(30.0, 40.0),
    stems=5,
    basal=(20.0, 60.0),
    axon=110.0,
    collaterals=(0.4, 0.7),
    collateral=(60.0, 50.0),
    spines=150,
    boutons=40,
    soma_radius=6.0,
)

#: The tag that the prediction table uses for each location.
TAGS = {
    "spine": who.ODD_TAG,
    "shaft": "dendrite",
    "soma": "soma",
    "initial segment": "axon initial segment",
}

_INPUTS = {"spine": 140, "shaft": 52, "soma": 17}
_UNLABELLED = {"spine": 8, "shaft": 5, "soma": 1}
_INITIAL_SEGMENT = 11
_OUTPUTS = {"spine": 24, "shaft": 13, "soma": 2}
_ROOT_RANGE = (720_575_940_600_000_000, 720_575_940_660_000_000)
_TABLES = {
    who.SECOND_SYNAPSE_TABLE: ("synapse", "Synapses."),
    who.SECOND_PREDICTION_TABLE: ("reference_tag_float", "The compartment of each synapse."),
}


def build_second() -> Sample:
    """Grow the cells of the second datastack, wire them, and build the tables."""
    rng = np.random.default_rng(7)
    seed = growth.grow_cell(rng, who.SECOND_SEED_ROOT_ID, SOMA, PLAN)
    beside = SOMA + np.array([44.0, 12.0, -20.0]) * UM
    partner = growth.grow_cell(rng, who.SECOND_PARTNER_ROOT_ID, beside, growth.INTERNEURON)
    inputs = wiring.place_inputs(rng, seed, _INPUTS, _UNLABELLED)
    boutons = seed.boutons
    partner = wiring.innervate(rng, partner, inputs, {"shaft": 4, "soma": 3})
    axons = tables.draw_root_ids(rng, 500, *_ROOT_RANGE)
    free = np.flatnonzero(inputs.pre == 0)
    inputs.pre[free] = tables.draw_partners(rng, axons[100:], len(free))
    count = sum(_OUTPUTS.values()) + 2
    contacts = wiring.Contacts.join(
        [
            wiring.input_contacts(rng, seed, inputs),
            _onto_initial_segment(rng, seed, axons[400:]),
            wiring.output_contacts(
                rng,
                seed,
                boutons,
                tables.draw_partners(rng, axons[:100], count),
                _OUTPUTS,
                {"spine": 2},
            ),
        ]
    )
    synapses = tables.build_synapses(rng, contacts, GRID)
    tags = np.array([TAGS[place] for place in contacts.tags])
    built = {
        who.SECOND_SYNAPSE_TABLE: synapses.sort_values("id", ignore_index=True),
        who.SECOND_PREDICTION_TABLE: tables.build_predictions(rng, synapses, contacts, tags),
    }
    labels = {seed.root_id: ("sandbox cell", "pyramidal"), partner.root_id: ("partner", "basket")}
    return Sample(
        name=who.SECOND,
        description=_describe(),
        cells=[seed, partner],
        labels=labels,
        tables=built,
        roots=None,
        resolution=GRID.resolution,
        contacts=contacts,
        pia=0.0,
        detail=768,
    )


def _onto_initial_segment(rng: np.random.Generator, cell: Cell, axons: Any) -> wiring.Contacts:
    """List synapses onto the first stretch of the axon, as chandelier cells make them."""
    stem = next(b for b in cell.branches if b.kind == "axon" and b.parent == -1)
    near = cell.soma.depth(stem.points) < 45.0 * UM
    stretch = replace(stem, points=stem.points[near], radii=stem.radii[near])
    points, axes, radii = sample_axes(rng, [stretch], _INITIAL_SEGMENT, cell.soma, 8.0 * UM)
    inputs = wiring.Inputs(
        side_sites(rng, points, axes, radii),
        np.repeat("initial segment", _INITIAL_SEGMENT),
        np.ones(_INITIAL_SEGMENT, dtype=bool),
        axons[:_INITIAL_SEGMENT],
    )
    return wiring.input_contacts(rng, cell, inputs)


def _describe() -> dict[str, Any]:
    """Return the content of ``datastack.json``."""
    return {
        **who.describe_datastack(
            who.SECOND,
            (who.SECOND, "Second sandbox volume"),
            "A small datastack with its own names.",
            (who.SECOND_SYNAPSE_TABLE, None),
            GRID.resolution,
            [
                (6, "2026-01-12T09:30:00.000001", "2027-01-12T09:30:00.000001", "AVAILABLE", None),
                (7, "2026-05-04T12:00:00.250000", "2027-05-04T12:00:00.250000", "AVAILABLE", None),
            ],
        ),
        "tables": who.describe_tables(GRID.resolution, who.SECOND_SYNAPSE_TABLE, _TABLES),
    }
