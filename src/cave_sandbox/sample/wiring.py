"""Wire the cells of the sample: choose pre- and postsynaptic cells, positions and targets.

Each input of a cell has a place on its surface. Cells of the sample grow a twig with a bouton to
each place that they innervate; all other inputs come from axons that exist only as a root ID.
All lengths are in nm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cave_sandbox.sample.geometry import (
    Boutons,
    Branch,
    Cell,
    Floats,
    Ints,
    Rows,
    Sites,
    sample_axes,
    side_sites,
    soma_sites,
    spine_sites,
    unit,
)
from cave_sandbox.sample.growth import UM

Tags = NDArray[np.str_]
Flags = NDArray[np.bool_]

TWIG_RADIUS = 160.0
BOUTON_RADIUS = 360.0


@dataclass
class Inputs:
    """The n places on a cell that receive a synapse."""

    sites: Sites
    tags: Tags  # target of each: spine, shaft or soma, (n,)
    predicted: Flags  # whether the prediction table has a row for it, (n,)
    pre: Ints  # root ID of the presynaptic cell, 0 until it is known, (n,)


@dataclass(frozen=True)
class Contacts(Rows):
    """Synapses, one per row."""

    pre: Ints
    post: Ints
    pre_pt: Floats  # inside the presynaptic cell, nm, (n, 3)
    ctr_pt: Floats  # at the cleft
    post_pt: Floats  # inside the postsynaptic cell
    tags: Tags  # target of the synapse
    predicted: Flags  # whether the prediction table has a row for it
    calibre: Floats  # thickness of the postsynaptic structure below it, nm
    spine: Ints  # the postsynaptic cell's spine that it is on; -1 if none or unknown


def place_inputs(
    rng: np.random.Generator,
    cell: Cell,
    predicted: dict[str, int],
    unlabelled: dict[str, int],
) -> Inputs:
    """Choose where a cell receives synapses; the numbers are given by tag and prediction.

    Each spine gets a synapse; if there are more synapses than spines, some get a second one.
    """
    counts = {tag: predicted[tag] + unlabelled[tag] for tag in ("spine", "shaft", "soma")}
    heads = _spread(rng, len(cell.spines.length), counts["spine"])
    dendrites = [branch for branch in cell.branches if branch.kind != "axon"]
    points, axes, radii = sample_axes(rng, dendrites, counts["shaft"], cell.soma, 1.5 * UM)
    groups = (
        spine_sites(rng, cell.spines, heads),
        side_sites(rng, points, axes, radii),
        soma_sites(rng, cell.soma, counts["soma"]),
    )
    tags = np.repeat(list(counts), list(counts.values()))
    flags = [np.argsort(rng.permutation(n)) < predicted[tag] for tag, n in counts.items()]
    pre = np.zeros(len(tags), dtype=np.int64)
    return Inputs(Sites.join(groups), tags, np.concatenate(flags), pre)


def innervate(rng: np.random.Generator, axon: Cell, inputs: Inputs, wanted: dict[str, int]) -> Cell:
    """Connect a cell's axon to places on another cell or on itself; the numbers are given by tag.

    It takes the free places nearest to the axon (written into ``inputs.pre``) and grows a twig
    that ends in a bouton to each. Returns the presynaptic cell with its twigs and boutons.
    """
    nodes = _axon_nodes(axon)
    where = np.stack([axon.branches[branch].points[node] for branch, node in nodes])
    busy = np.zeros(len(nodes), dtype=bool)
    taken: list[int] = []
    twigs: list[Branch] = []
    for tag, count in wanted.items():
        free = np.flatnonzero((inputs.pre == 0) & inputs.predicted & (inputs.tags == tag))
        aims = inputs.sites.points[free] + inputs.sites.normals[free] * BOUTON_RADIUS
        far = np.linalg.norm(aims[:, None] - where[None], axis=2)
        for row in np.argsort(far.min(axis=1), kind="stable")[:count]:
            node = int(np.argmin(np.where(busy, np.inf, far[row])))
            # No second twig leaves a neighbouring node, since boutons are some distance apart.
            busy[max(node - 1, 0) : node + 2] = True
            taken.append(int(free[row]))
            twigs.append(_grow_twig(rng, where[node], aims[row], nodes[node]))
    inputs.pre[taken] = axon.root_id
    return _with_twigs(axon, twigs)


def input_contacts(rng: np.random.Generator, cell: Cell, inputs: Inputs) -> Contacts:
    """List the synapses onto a cell."""
    sites, count = inputs.sites, len(inputs.pre)
    inside = np.minimum(0.3 * sites.thickness, 420.0)[:, None]
    outside = rng.uniform(140.0, 240.0, size=(count, 1))
    return Contacts(
        pre=inputs.pre,
        post=np.full(count, cell.root_id, dtype=np.int64),
        pre_pt=sites.points + sites.normals * outside,
        ctr_pt=sites.points,
        post_pt=sites.points - sites.normals * inside,
        tags=inputs.tags,
        predicted=inputs.predicted,
        calibre=sites.thickness,
        spine=sites.spine,
    )


def output_contacts(
    rng: np.random.Generator,
    cell: Cell,
    boutons: Boutons,
    post: Ints,
    predicted: dict[str, int],
    unlabelled: dict[str, int],
) -> Contacts:
    """List synapses of a cell's boutons onto cells that exist only as the first IDs in ``post``.

    If there are more synapses than boutons, some boutons get a second synapse.
    """
    tags = np.repeat([*predicted, *unlabelled], [*predicted.values(), *unlabelled.values()])
    order = rng.permutation(len(tags))
    used = boutons.take(_spread(rng, len(boutons.radii), len(tags)))
    sites = side_sites(rng, used.centres, used.axes, used.radii)
    outside = rng.uniform(140.0, 240.0, size=(len(tags), 1))
    return Contacts(
        pre=np.full(len(tags), cell.root_id, dtype=np.int64),
        post=post[: len(tags)],
        pre_pt=sites.points - sites.normals * np.minimum(0.3 * sites.thickness, 300.0)[:, None],
        ctr_pt=sites.points,
        post_pt=sites.points + sites.normals * outside,
        tags=tags[order],
        predicted=order < sum(predicted.values()),
        calibre=460.0 * np.exp(rng.normal(scale=0.28, size=len(tags))),
        spine=sites.spine,
    )


def _spread(rng: np.random.Generator, places: int, count: int) -> Ints:
    """Choose places for synapses in random order; none is used twice before all are used once."""
    rounds = [rng.permutation(places) for _ in range(-(-count // places))]
    return np.concatenate(rounds)[:count]


def _axon_nodes(cell: Cell) -> list[tuple[int, int]]:
    """List every second (branch, node) of an axon, away from the soma."""
    found = []
    for index, branch in enumerate(cell.branches):
        if branch.kind == "axon":
            far = cell.soma.depth(branch.points) > 25.0 * UM
            found += [(index, int(node)) for node in np.flatnonzero(far)[1:-1:2]]
    return found


def _grow_twig(
    rng: np.random.Generator, start: Floats, end: Floats, leaves: tuple[int, int]
) -> Branch:
    """Grow a twig along a slightly bent line."""
    reach = float(np.linalg.norm(end - start))
    along = np.linspace(0.0, 1.0, max(4, round(reach / (2.0 * UM))))[:, None]
    bend = rng.normal(size=3) * 0.1 * reach
    points = start + (end - start) * along + np.sin(np.pi * along) * bend
    return Branch("axon", points, np.full(len(points), TWIG_RADIUS), *leaves)


def _with_twigs(cell: Cell, twigs: list[Branch]) -> Cell:
    ends = np.stack([twig.points[-1] for twig in twigs])
    axes = unit(ends - np.stack([twig.points[-2] for twig in twigs]))
    boutons = Boutons(ends, np.full(len(twigs), BOUTON_RADIUS), axes)
    joined = Boutons.join([cell.boutons, boutons])
    return replace(cell, branches=(*cell.branches, *twigs), boutons=joined)
