"""Build the sample's tables of synapses, predictions, nuclei, cell types and spines.

Positions become voxels; synapses get IDs, sizes and, if predicted, a confidence. A spine is
identified by its location: the head that a synapse is on. The tables of spines and cell types do
not draw from the other tables' random generator, so that those tables stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from cave_sandbox.sample.geometry import Cell, Floats, Ints
    from cave_sandbox.sample.wiring import Contacts, Tags

_LAYER = 1 << 56
_CHUNK_ORIGIN = np.array([26385, 30308, 14850])
_CHUNK_SIZE = np.array([256, 256, 512])

_CONFIDENCE_TAIL = {"spine": 14.0, "shaft": 8.0, "soma": 30.0, "initial segment": 8.0}

_SHARED_EVERY = 8  # one in so many outputs of the seed cell onto spines has a neighbour there
_BESIDE = 260.0  # distance between the clefts of the output and its neighbour, in nm
_NUMBER = 1719
_FIRST_SYNAPSE_ID = 500_000_001  # above those of all other synapses
_FIRST_AXON = 864_691_137_300_000_000  # above the root IDs of all others

#: Cell type -> its morphological type.
_EXCITATORY = {"23P": "L2a", "4P": "L4a", "5P-IT": "L5a", "5P-ET": "L5ET", "6P-CT": "L6CT"}
_INHIBITORY = {"BC": "PTC", "MC": "DTC", "BPC": "ITC", "NGC": "STC"}


@dataclass(frozen=True)
class Grid:
    """The voxel of a table: its size in nm, (x, y, z)."""

    resolution: tuple[float, float, float]

    def columns(self, name: str, positions: Floats) -> dict[str, Ints]:
        """Return positions (n, 3) in nm as three columns of voxels, named after their axes."""
        voxels = np.rint(positions / np.array(self.resolution)).astype(np.int64)
        return {f"{name}_{axis}": voxels[:, place] for place, axis in enumerate("xyz")}


def draw_root_ids(rng: np.random.Generator, count: int, low: int, high: int) -> Ints:
    """Draw distinct root IDs from a range, in any order."""
    drawn = np.unique(rng.integers(low, high, size=2 * count + 64))
    return rng.permutation(drawn)[:count]


def draw_partners(rng: np.random.Generator, root_ids: Ints, count: int) -> Ints:
    """Choose a partner for each synapse: most make one synapse, some two or three."""
    repeats = rng.choice([1, 2, 3], size=len(root_ids), p=[0.9, 0.08, 0.02])
    return rng.permutation(np.repeat(root_ids, repeats)[:count])


def supervoxel_ids(rng: np.random.Generator, positions: Floats) -> Ints:
    """Make supervoxel IDs for positions in nm, shape (n, 3), as the chunked graph of minnie65 does.

    Layer in the highest 8 bits, then 10 bits for the chunk on each axis, then a drawn number.
    """
    voxels = np.floor(positions / np.array([8.0, 8.0, 40.0])).astype(np.int64)
    chunk = (voxels - _CHUNK_ORIGIN) // _CHUNK_SIZE
    numbers = rng.integers(1_000, 740_000, size=len(positions))
    return _LAYER | (chunk[:, 0] << 46) | (chunk[:, 1] << 36) | (chunk[:, 2] << 26) | numbers


def build_synapses(rng: np.random.Generator, contacts: Contacts, grid: Grid) -> pd.DataFrame:
    """Build a table of schema ``synapse``, its rows in the order of the contacts."""
    count = len(contacts.pre)
    columns: dict[str, Ints] = {"id": draw_root_ids(rng, count, 100_000_000, 500_000_000)}
    for name, positions in (
        ("pre", contacts.pre_pt),
        ("ctr", contacts.ctr_pt),
        ("post", contacts.post_pt),
    ):
        columns |= grid.columns(f"{name}_pt_position", positions)
    columns["size"] = _draw_sizes(rng, contacts)
    columns["pre_pt_supervoxel_id"] = supervoxel_ids(rng, contacts.pre_pt)
    columns["pre_pt_root_id"] = contacts.pre
    columns["post_pt_supervoxel_id"] = supervoxel_ids(rng, contacts.post_pt)
    columns["post_pt_root_id"] = contacts.post
    return pd.DataFrame(columns)


def build_predictions(
    rng: np.random.Generator, synapses: pd.DataFrame, contacts: Contacts, tags: Tags
) -> pd.DataFrame:
    """Build a table of schema ``reference_tag_float`` for the predicted synapses.

    Contacts and synapses have the same rows. The tags give the table's name for each location.
    """
    rows = np.flatnonzero(contacts.predicted)
    tail = np.array([_CONFIDENCE_TAIL[place] for place in contacts.tags[rows]])
    # A small head close to its shaft is where a classifier is least sure.
    small = (contacts.tags[rows] == "spine") & (contacts.calibre[rows] < 340.0)  # noqa: PLR2004
    doubt = rng.beta(1.0, np.where(small, tail * 0.3, tail))
    value = np.clip(1.0 - doubt, 0.34, 1.0).astype(np.float32)
    targets = synapses["id"].to_numpy()[rows]
    table = pd.DataFrame(
        {"target_id": targets, "tag": tags[rows].astype(object), "value": value}
    ).sample(frac=1.0, random_state=int(rng.integers(2**31)), ignore_index=True)
    table.insert(0, "id", np.arange(len(table), dtype=np.int64) + 1)
    return table


def add_synapses(
    rng: np.random.Generator,
    synapses: pd.DataFrame,
    predictions: pd.DataFrame,
    contacts: Contacts,
    first: int,
    grid: Grid,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return two tables with further synapses, whose IDs begin with ``first``, at their ends."""
    more = build_synapses(rng, contacts, grid)
    more["id"] = first + np.arange(len(more), dtype=np.int64)
    predicted = build_predictions(rng, more, contacts, contacts.tags)
    predicted["id"] += len(predictions)
    return (
        pd.concat([synapses, more], ignore_index=True),
        pd.concat([predictions, predicted], ignore_index=True),
    )


def build_nuclei(
    rng: np.random.Generator, numbers: list[int], cells: list[Cell], stray: Floats, grid: Grid
) -> pd.DataFrame:
    """Build a table of schema ``nucleus_detection``, from the IDs of the cells' nuclei.

    The last ID is that of a nucleus in no segment, whose position is ``stray``, in nm.
    """
    radii = np.array([*(cell.soma.nucleus_radius for cell in cells), 4_600.0])
    centres = np.stack([*(cell.soma.centre for cell in cells), stray])
    reach = radii[:, None] * 1.08
    columns: dict[str, Ints | Floats] = {"id": np.array(numbers)}
    for name, positions in (
        ("pt_position", centres),
        ("bb_start_position", centres - reach),
        ("bb_end_position", centres + reach),
    ):
        columns |= grid.columns(name, positions)
    columns["volume"] = 4.0 / 3.0 * np.pi * (radii / 1000.0) ** 3
    columns["pt_root_id"] = np.array([*(cell.root_id for cell in cells), 0])
    columns["pt_supervoxel_id"] = supervoxel_ids(rng, centres)
    columns["pt_supervoxel_id"][-1] = 0
    return pd.DataFrame(columns)


def build_cell_types(
    nuclei: pd.DataFrame, contacts: Contacts, labels: dict[int, tuple[str, str]]
) -> pd.DataFrame:
    """Build a view with the cell types of the cells and of two thirds of the other axons.

    The type of an axon that exists only as a root ID follows from its targets: excitatory if they
    are spines, inhibitory if they are somata. Nothing is random. The labels and types of the cells
    are given by root ID.
    """
    known = nuclei[nuclei["pt_root_id"].isin(labels)]
    columns = ["id", "pt_root_id", *(f"pt_position_{axis}" for axis in "xyz")]
    view = known[columns].copy()
    view["cell_type"] = [labels[root][1] for root in view["pt_root_id"]]
    roots, first = np.unique(contacts.pre, return_index=True)
    typed = (roots % 3 != 0) & ~np.isin(roots, nuclei["pt_root_id"])
    roots, first = roots[typed], first[typed]
    names = np.where(
        contacts.tags[first] == "spine",
        np.array([*_EXCITATORY])[roots % len(_EXCITATORY)],
        np.array([*_INHIBITORY])[roots % len(_INHIBITORY)],
    )
    others = pd.DataFrame(
        {
            "id": 600_000 + np.arange(len(roots), dtype=np.int64),
            "pt_root_id": roots,
            **Grid((4.0, 4.0, 40.0)).columns("pt_position", contacts.pre_pt[first]),
            "cell_type": names.astype(object),
        }
    )
    joined = pd.concat([view, others], ignore_index=True)
    excitatory = joined["cell_type"].isin(_EXCITATORY)
    joined["broad_type"] = np.where(excitatory, "excitatory", "inhibitory").astype(object)
    joined["mtype"] = joined["cell_type"].map(_EXCITATORY | _INHIBITORY)
    joined["cell_type_source"] = "synthetic"
    return _spoil(joined)


def _spoil(view: pd.DataFrame) -> pd.DataFrame:
    """Add irregularities of real views: a merged cell, untyped cells, a nucleus in no cell."""
    view.loc[view.index % 50 == 49, "cell_type"] = None  # noqa: PLR2004  # one in fifty
    merged = view[view["cell_type"] == "BC"].tail(3).assign(cell_type="MC")
    nowhere = view.tail(1).assign(pt_root_id=0)
    more = pd.concat([merged, nowhere], ignore_index=True)
    more["id"] = 700_000 + np.arange(len(more), dtype=np.int64)
    return pd.concat([view, more], ignore_index=True)


def _draw_sizes(rng: np.random.Generator, contacts: Contacts) -> Ints:
    """Draw sizes in voxels, lognormal as in minnie65; big heads have big synapses."""
    count = len(contacts.pre)
    spine = contacts.tags == "spine"
    with_head = 8.45 + 2.6 * np.log(contacts.calibre / 460.0) + rng.normal(scale=0.7, size=count)
    without = 8.3 + rng.normal(scale=0.95, size=count)
    drawn = np.exp(np.where(spine, with_head, without))
    return 4 * np.rint(np.clip(drawn, 160.0, 98_000.0) / 4.0).astype(np.int64)


def build_spine_tables(
    synapses: pd.DataFrame,
    predictions: pd.DataFrame,
    contacts: Contacts,
    cells: list[Cell],
    grid: Grid,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Build the tables of spines, and add synapses that share a spine with a seed cell's output.

    Returns the synapses and predictions with the added rows at the end; the spine of each synapse
    on a spine (schema ``reference_simple_group_indexed``); and, under other numbers, the same for
    spines with several synapses only (schema ``reference_simple_group``). Synapses and contacts
    have the same rows. Cells are the cells with a shape, the seed cell first.
    """
    spines = _number_spines(contacts, cells)
    seed = cells[0].root_id
    shapeless = ~np.isin(contacts.post, [cell.root_id for cell in cells])
    shared = np.flatnonzero((contacts.pre == seed) & shapeless & (spines >= 0))[::_SHARED_EVERY]
    neighbours = _place_neighbours(contacts, shared)
    rng = np.random.default_rng(_NUMBER)
    synapses, predictions = add_synapses(
        rng, synapses, predictions, neighbours, _FIRST_SYNAPSE_ID, grid
    )
    groups = np.concatenate([spines, spines[shared]])
    on_spine = groups >= 0
    mapping = number_rows(synapses["id"].to_numpy()[on_spine], groups[on_spine])
    several = mapping[mapping.groupby("group_id")["id"].transform("size") > 1]
    renumbered = np.unique(several["group_id"], return_inverse=True)[1]
    multi_input = number_rows(several["target_id"].to_numpy(), renumbered)
    return synapses, predictions, mapping, multi_input


def _number_spines(contacts: Contacts, cells: list[Cell]) -> Ints:
    """Return the number of each synapse's spine, or -1 if it is not on a spine; shape (n,).

    On cells without a shape, each synapse has its own spine.
    """
    numbers = contacts.spine.copy()
    first = 0
    for cell in cells:
        numbers[(contacts.spine >= 0) & (contacts.post == cell.root_id)] += first
        first += len(cell.spines.length)
    rest = np.flatnonzero((contacts.tags == "spine") & (contacts.spine < 0))
    numbers[rest] = first + np.arange(len(rest))
    return numbers


def _place_neighbours(contacts: Contacts, rows: Ints) -> Contacts:
    """Place a second synapse beside each given one, on the other side of the spine's head."""
    across = contacts.post_pt[rows] - contacts.ctr_pt[rows]
    along = across / np.linalg.norm(across, axis=1, keepdims=True)
    shift = along * _BESIDE
    beside = contacts.take(rows)
    return replace(
        beside,
        pre=_FIRST_AXON + 1_009 * np.arange(len(rows), dtype=np.int64),
        pre_pt=beside.post_pt + shift,
        ctr_pt=beside.ctr_pt + shift,
        predicted=np.ones(len(rows), dtype=bool),
    )


def number_rows(targets: Ints, groups: Ints) -> pd.DataFrame:
    """Build a table of groups, its rows numbered in the order of their targets."""
    table = pd.DataFrame({"target_id": targets, "group_id": groups.astype(np.int64)})
    table = table.sort_values("target_id", ignore_index=True)
    table.insert(0, "id", np.arange(len(table), dtype=np.int64) + 1)
    return table
