"""Apply the sample's proofreading edits between versions 1718 and 1822.

A basal dendrite of the seed cell was cut off, with the synapses onto it; a piece of axon was added,
with the synapses that it makes; and a fragment turned out to be axon of the first partner.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cave_sandbox.sample import identity as who
from cave_sandbox.sample.geometry import Boutons
from cave_sandbox.sample.growth import UM, Habit, Tree, grow_boutons, round_off_tips
from cave_sandbox.sample.tables import add_synapses, number_rows
from cave_sandbox.sample.wiring import output_contacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cave_sandbox.sample.geometry import Branch, Cell, Floats, Ints
    from cave_sandbox.sample.tables import Grid
    from cave_sandbox.sample.wiring import Contacts

_NUMBER = 1822
_FIRST_SYNAPSE_ID = 500_001_001  # above those of all other synapses
_NEAR = 3.0 * UM  # distance from a dendrite's centre line up to which a synapse is on it
_BOUTONS = 34
_OUTPUTS = {"spine": 23, "shaft": 12, "soma": 1}
_UNLABELLED = {"spine": 2, "shaft": 1}

#: Root IDs of the edited cells: at version 1718 -> at version 1822.
CELLS_NOW = {
    who.SEED_ROOT_ID: who.EDITED_SEED,
    who.PARTNERS[0].root_id: who.EDITED_PARTNER,
}
_ROOTS_NOW = {
    **CELLS_NOW,
    who.ADDED_AXON: who.EDITED_SEED,
    who.SPLIT_FRAGMENT: who.EDITED_PARTNER,
}


@dataclass(frozen=True)
class Edits:
    """The shapes after the edits, and the synapses that the edits affect."""

    seed: Cell  # the seed cell after the edits
    dendrite: Cell  # the piece that was cut off
    axon: Cell  # the piece that was added
    cut_rows: Ints  # rows of the contacts on the dendrite
    outputs: Contacts  # the synapses that the axon makes


def list_root_ids() -> pd.DataFrame:
    """List the root IDs that edits replaced, and some that edits made."""
    seed, partner = who.SEED_ROOT_ID, who.PARTNERS[0].root_id
    first, edit_1, edit_2, edit_3, cut, added, joined = (
        "2020-06-01T00:00:00Z",
        "2024-06-05T14:21:09Z",
        "2025-03-11T09:40:52Z",
        "2025-09-18T17:03:33Z",
        "2026-04-21T13:26:41Z",
        "2026-05-12T08:55:17Z",
        "2026-05-28T15:12:04Z",
    )
    rows: list[tuple[int, str, str, tuple[int, ...]]] = [
        (who.OUTDATED_ONE_SUCCESSOR, first, edit_3, (seed,)),
        (who.OUTDATED_SPLIT, first, edit_1, (seed, who.SPLIT_FRAGMENT)),
        (who.OUTDATED_MERGED_CELLS, first, edit_2, (partner, who.PARTNERS[1].root_id)),
        (seed, edit_1, cut, (who.SEED_BETWEEN, who.CUT_DENDRITE)),
        (who.SEED_BETWEEN, cut, added, (who.EDITED_SEED,)),
        (who.ADDED_AXON, first, added, (who.EDITED_SEED,)),
        (partner, edit_2, joined, (who.EDITED_PARTNER,)),
        (who.SPLIT_FRAGMENT, edit_1, joined, (who.EDITED_PARTNER,)),
    ]
    lineage = pd.DataFrame(rows, columns=["root_id", "created", "expired", "successors"])
    lineage["successors"] = [" ".join(map(str, roots)) for roots in lineage["successors"]]
    return lineage


def plan_edits(seed: Cell, contacts: Contacts) -> Edits:
    """Choose the dendrite to cut off, grow the axon to add, and build the edited seed cell."""
    rng = np.random.default_rng(_NUMBER)
    cut = _find_dendrite(seed.branches)
    inputs = np.flatnonzero(contacts.post == seed.root_id)
    off = _lie_on(cut, seed, seed.spines.base)
    spines = contacts.spine[inputs]
    places = np.where(spines[:, None] < 0, contacts.ctr_pt[inputs], seed.spines.base[spines])
    grown = _grow_axon(rng, seed)
    new = grown[len(seed.branches) :]
    boutons = grow_boutons(rng, new, seed.soma, _BOUTONS)
    none = np.array([], dtype=np.int64)
    piece = replace(seed, spines=seed.spines.take(none), boutons=boutons.take(none), whole=False)
    return Edits(
        seed=replace(
            seed,
            root_id=who.EDITED_SEED,
            branches=_renumber(grown, [row for row in range(len(grown)) if row not in cut]),
            spines=seed.spines.take(np.flatnonzero(~off)),
            boutons=Boutons.join([seed.boutons, boutons]),
        ),
        dendrite=replace(
            piece,
            root_id=who.CUT_DENDRITE,
            branches=_renumber(grown, cut),
            spines=seed.spines.take(np.flatnonzero(off)),
        ),
        axon=replace(piece, root_id=who.ADDED_AXON, branches=new, boutons=boutons),
        cut_rows=inputs[_lie_on(cut, seed, places)],
        outputs=_list_outputs(rng, seed, boutons, contacts),
    )


def add_outputs(
    edits: Edits,
    synapses: pd.DataFrame,
    predictions: pd.DataFrame,
    mapping: pd.DataFrame,
    grid: Grid,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Add the synapses of the added axon to the tables at 1718.

    They have the highest IDs, and each is on its own spine.
    """
    rng = np.random.default_rng(_NUMBER)
    synapses, predictions = add_synapses(
        rng, synapses, predictions, edits.outputs, _FIRST_SYNAPSE_ID, grid
    )
    rows = np.flatnonzero(edits.outputs.tags == "spine")
    spines = number_rows(
        np.concatenate([mapping["target_id"], _FIRST_SYNAPSE_ID + rows]),
        np.concatenate([mapping["group_id"], mapping["group_id"].max() + 1 + rows]),
    )
    return synapses, predictions, spines


def apply_edits(table: pd.DataFrame, on_dendrite: Ints | list[int]) -> pd.DataFrame:
    """Return a table with the root IDs of version 1822, including the cut-off dendrite's."""
    columns = [name for name in table.columns if name.endswith("_root_id")]
    edited = table.assign(**{name: table[name].replace(_ROOTS_NOW) for name in columns})
    edited.loc[table["id"].isin(on_dendrite), columns[-1]] = who.CUT_DENDRITE
    return edited


def _find_dendrite(branches: tuple[Branch, ...]) -> list[int]:
    """Return a daughter of a basal dendrite's stem, with all its descendants."""
    stem = next(row for row, branch in enumerate(branches) if branch.kind == "basal")
    found = [next(row for row, branch in enumerate(branches) if branch.parent == stem)]
    # Parents come before their daughters in the list.
    return found + [row for row, branch in enumerate(branches) if branch.parent in found]


def _lie_on(cut: list[int], cell: Cell, places: Floats) -> NDArray[np.bool_]:
    """Return for each place whether the nearest branch of the cell is one of the cut branches."""
    rows = [row for row, branch in enumerate(cell.branches) if branch.kind != "axon"]
    points = np.concatenate([cell.branches[row].points for row in rows])
    own = np.concatenate([np.full(len(cell.branches[row].points), row in cut) for row in rows])
    low, high = points[own].min(axis=0) - _NEAR, points[own].max(axis=0) + _NEAR
    points_in, places_in = (
        np.flatnonzero(np.all((found > low) & (found < high), axis=1)) for found in (points, places)
    )
    away = np.linalg.norm(places[places_in][:, None] - points[points_in][None], axis=2)
    on = np.zeros(len(places), dtype=bool)
    on[places_in] = own[points_in][away.argmin(axis=1)]
    return on


def _renumber(branches: tuple[Branch, ...], kept: list[int]) -> tuple[Branch, ...]:
    """Return the kept branches; a branch whose parent is not kept gets no parent."""
    places = {row: place for place, row in enumerate(kept)}
    return tuple(
        replace(branches[row], parent=places.get(branches[row].parent, -1)) for row in kept
    )


def _grow_axon(rng: np.random.Generator, seed: Cell) -> tuple[Branch, ...]:
    """Grow a piece of axon from the tip of the trunk of the seed cell's axon."""
    tree = Tree(rng, list(seed.branches))
    trunk = next(row for row, branch in enumerate(seed.branches) if branch.kind == "axon")
    habit = Habit("axon", 2.5 * UM, 0.05)
    ahead = seed.branches[trunk].tangents()[-1]
    stem = tree.side(habit, trunk, 1.0, ahead, 60.0 * UM, (240.0, 220.0))
    tree.arbour(habit, stem, (75.0 * UM, 60.0 * UM), (215.0, 180.0))
    new = round_off_tips(tree.branches)[len(seed.branches) :]
    return (*seed.branches, *new)


def _list_outputs(
    rng: np.random.Generator, seed: Cell, boutons: Boutons, contacts: Contacts
) -> Contacts:
    """List the synapses of the added axon, onto cells that the seed cell also innervates."""
    known = np.unique(contacts.post[contacts.pre == seed.root_id])
    post = rng.permutation(known[known != seed.root_id])
    axon = replace(seed, root_id=who.ADDED_AXON)
    return output_contacts(rng, axon, boutons, post, _OUTPUTS, _UNLABELLED)
