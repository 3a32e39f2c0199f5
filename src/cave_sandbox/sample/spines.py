"""Which synapses of the sample share a spine, and the two tables that say so.

A spine is told by its place: the head that a synapse lies on. Some spines onto which the seed cell
makes a synapse belong to cells of which only the root ID exists; a few of those get a second
synapse here, of another axon. Nothing is drawn from the randomness that the other tables come from,
so that those stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cave_sandbox.sample.tables import Grid, build_predictions, build_synapses

if TYPE_CHECKING:
    from cave_sandbox.sample.geometry import Cell, Ints
    from cave_sandbox.sample.wiring import Contacts

_SHARED_EVERY = 8
"""One in so many of the seed cell's outputs onto spines has a neighbour on the same spine."""

_BESIDE = 260.0
"""How far that neighbour's cleft is from the output's, in nm."""

_NUMBER = 1719
_FIRST_SYNAPSE_ID = 500_000_001  # above those of all other synapses
_FIRST_AXON = 864_691_137_300_000_000  # above the root IDs of all others


@dataclass(frozen=True)
class SpineTables:
    """The tables that spines add to, and those that they make.

    Attributes
    ----------
    synapses, predictions
        What was given, with the neighbours' rows below.
    mapping
        The spine of each synapse that is on one; schema ``reference_simple_group_indexed``.
    multi_input
        The same for spines with several synapses alone, under other numbers; schema
        ``reference_simple_group``.
    """

    synapses: pd.DataFrame
    predictions: pd.DataFrame
    mapping: pd.DataFrame
    multi_input: pd.DataFrame


def build_spine_tables(
    synapses: pd.DataFrame,
    predictions: pd.DataFrame,
    contacts: Contacts,
    cells: list[Cell],
    grid: Grid,
) -> SpineTables:
    """Build the tables of spines.

    Parameters
    ----------
    synapses
        Row by row the contacts.
    predictions
        The predictions, numbered from 1.
    contacts
        The synapses.
    cells
        The cells that have a shape, the seed cell first.
    grid
        The synapse table's voxel.
    """
    spines = find_spines(contacts, cells)
    seed = cells[0].root_id
    shapeless = ~np.isin(contacts.post, [cell.root_id for cell in cells])
    shared = np.flatnonzero((contacts.pre == seed) & shapeless & (spines >= 0))[::_SHARED_EVERY]
    neighbours = _place_neighbours(contacts, shared)
    rng = np.random.default_rng(_NUMBER)
    more = build_synapses(rng, neighbours, grid)
    more["id"] = _FIRST_SYNAPSE_ID + np.arange(len(more), dtype=np.int64)
    more_predictions = build_predictions(rng, more, neighbours, neighbours.tags)
    more_predictions["id"] += len(predictions)
    ids = np.concatenate([synapses["id"].to_numpy(), more["id"].to_numpy()])
    groups = np.concatenate([spines, spines[shared]])
    on_spine = groups >= 0
    mapping = _number_rows(ids[on_spine], groups[on_spine])
    several = mapping[mapping.groupby("group_id")["id"].transform("size") > 1]
    renumbered = np.unique(several["group_id"], return_inverse=True)[1]
    return SpineTables(
        synapses=pd.concat([synapses, more], ignore_index=True),
        predictions=pd.concat([predictions, more_predictions], ignore_index=True),
        mapping=mapping,
        multi_input=_number_rows(several["target_id"].to_numpy(), renumbered),
    )


def find_spines(contacts: Contacts, cells: list[Cell]) -> Ints:
    """Find the spine that each synapse is on.

    Returns
    -------
    Ints
        A number for each spine, -1 where a synapse is on none; shape (n,). On cells that have no
        shape, each synapse has a spine of its own.
    """
    found = np.full(len(contacts.pre), -1, dtype=np.int64)
    on_spine = contacts.tags == "spine"
    first = 0
    for cell in cells:
        rows = np.flatnonzero(on_spine & (contacts.post == cell.root_id))
        away = contacts.post_pt[rows][:, None] - cell.spines.heads()[None]
        above = np.linalg.norm(away, axis=2) - cell.spines.head_radius[None]
        found[rows] = first + above.argmin(axis=1)
        first += len(cell.spines.length)
    rest = np.flatnonzero(on_spine & (found < 0))
    found[rest] = first + np.arange(len(rest))
    return found


def _place_neighbours(contacts: Contacts, rows: Ints) -> Contacts:
    """Place a second synapse beside each of these, on the other side of the spine's head."""
    across = contacts.post_pt[rows] - contacts.ctr_pt[rows]
    along = across / np.linalg.norm(across, axis=1, keepdims=True)
    shift = along * _BESIDE
    return replace(
        contacts,
        pre=_FIRST_AXON + 1_009 * np.arange(len(rows), dtype=np.int64),
        post=contacts.post[rows],
        pre_pt=contacts.post_pt[rows] + shift,
        ctr_pt=contacts.ctr_pt[rows] + shift,
        post_pt=contacts.post_pt[rows],
        tags=contacts.tags[rows],
        predicted=np.ones(len(rows), dtype=bool),
        calibre=contacts.calibre[rows],
    )


def _number_rows(targets: Ints, groups: Ints) -> pd.DataFrame:
    table = pd.DataFrame({"target_id": targets, "group_id": groups.astype(np.int64)})
    table = table.sort_values("target_id", ignore_index=True)
    table.insert(0, "id", np.arange(len(table), dtype=np.int64) + 1)
    return table
