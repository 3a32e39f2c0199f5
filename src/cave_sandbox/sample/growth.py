"""Grow the cells of the sample: pyramidal cells and interneurons of mouse visual cortex.

The heading of a branch is a random walk with a slow pull, so it wanders as neurites do. Where a
branch forks, both daughters start along their parent and part gradually, so that tubes drawn
around them join smoothly. Lengths are in nm unless another unit is given. The y axis points from
the pia to the white matter, as in minnie65.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from cave_sandbox.sample.geometry import (
    Boutons,
    Branch,
    Cell,
    Floats,
    Soma,
    Spines,
    perpendicular,
    sample_axes,
    unit,
)

UM = 1000.0
NO_PULL = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Habit:
    """How a kind of neurite grows."""

    kind: str  # apical, basal or axon
    step: float  # distance between points of the centre line in nm
    wander: float  # how much the heading changes, per square root of a µm
    #: added to the unit heading from start to tip, growing evenly
    pull: tuple[float, float, float] = NO_PULL
    fork: float = 28.0  # angle between a daughter and its parent in degrees


@dataclass
class Tree:
    """The branches grown so far, and the random generator for the next ones."""

    rng: np.random.Generator
    branches: list[Branch] = field(default_factory=list)

    def stem(
        self,
        habit: Habit,
        origin: Floats,
        heading: Floats,
        length: float,
        radii: tuple[float, float, float],
    ) -> int:
        """Grow a branch out of the soma, whose centre is ``origin`` (nm), and return its index.

        Its radii (nm) are given where it leaves, after the hillock, and at its end.
        """
        points = self._walk(habit, origin, unit(heading), unit(heading), length)
        away = np.linalg.norm(points - origin, axis=1)
        hillock, after, end = radii
        taper = np.linspace(after, end, len(points))
        swelling = (hillock - after) * np.exp(-np.maximum(away - 7.0 * UM, 0.0) / (4.5 * UM))
        return self._add(Branch(habit.kind, points, taper + swelling))

    def side(
        self,
        habit: Habit,
        parent: int,
        place: float,
        heading: Floats,
        length: float,
        radii: tuple[float, float],
    ) -> int:
        """Grow a branch out of a parent's side at ``place`` (0 at its start, 1 at its tip)."""
        node = round(place * (len(self.branches[parent].points) - 1))
        along = unit(heading)
        points = self._walk(habit, self.branches[parent].points[node], along, along, length)
        shrinking = np.linspace(*radii, len(points))
        return self._add(Branch(habit.kind, points, shrinking, parent, node))

    def arbour(
        self,
        habit: Habit,
        parent: int,
        lengths: tuple[float, ...],
        radii: tuple[float, float],
    ) -> list[int]:
        """Fork a branch at its tip repeatedly, and return the indices of the new branches.

        The mean length (nm) is given for each generation, and the radius (nm) for the start of the
        first daughters and for the tips of the last ones.
        """
        if not lengths:
            return []
        mother = self.branches[parent]
        node = len(mother.points) - 2
        along = mother.tangents()[node]
        side = perpendicular(self.rng, along[None])[0]
        end = radii[0] + (radii[1] - radii[0]) / len(lengths)
        grown: list[int] = []
        for sign in (-1.0, 1.0):
            angle = np.deg2rad(habit.fork * self.rng.uniform(0.7, 1.3))
            heading = unit(along * np.cos(angle) + sign * side * np.sin(angle))
            length = lengths[0] * self.rng.uniform(0.7, 1.25)
            points = self._walk(habit, mother.points[node], along, heading, length)
            shrinking = np.linspace(radii[0], end, len(points))
            daughter = Branch(habit.kind, points, shrinking, parent, node)
            # It starts as wide as its parent's end, and tapers within a few µm.
            excess = max(0.97 * float(mother.radii[-1]) - radii[0], 0.0)
            daughter.radii[:] += excess * np.exp(-daughter.arc() / (3.5 * UM))
            index = self._add(daughter)
            deeper = self.arbour(habit, index, lengths[1:], (end * 0.92, radii[1]))
            grown += [index, *deeper]
        return grown

    def _add(self, branch: Branch) -> int:
        self.branches.append(branch)
        return len(self.branches) - 1

    def _walk(
        self, habit: Habit, start: Floats, along: Floats, heading: Floats, length: float
    ) -> Floats:
        """Walk from a start, first along the parent's heading and then along a drifting one."""
        count = max(4, round(length / habit.step))
        kicks = self.rng.normal(size=(count, 3)) * habit.wander * np.sqrt(habit.step / UM)
        travelled = (np.arange(count) + 1.0) / count
        own = heading + np.cumsum(kicks, axis=0) + np.array(habit.pull) * travelled[:, None]
        turned = np.minimum((np.arange(count) + 0.5) * habit.step / (8.0 * UM), 1.0)[:, None]
        headings = unit(along * (1.0 - turned) + own * turned)
        steps = headings * (length / count)
        return np.concatenate([start[None], start + np.cumsum(steps, axis=0)])


def round_off_tips(branches: list[Branch]) -> tuple[Branch, ...]:
    """Taper the last points of branches that do not fork at the tip."""
    forked = {branch.parent for branch in branches}
    finished = []
    for index, branch in enumerate(branches):
        radii = branch.radii.copy()
        if index not in forked:
            radii[-2:] *= (0.85, 0.5)
        finished.append(replace(branch, radii=radii))
    return tuple(finished)


@dataclass(frozen=True)
class Plan:
    """The dimensions of a pyramidal cell or interneuron; lengths in µm."""

    trunk: float  # length of the apical trunk, 0 for an interneuron
    obliques: int  # number of side branches of the trunk
    tuft: tuple[float, ...]  # mean length of each of the tuft's generations
    stems: int  # number of basal dendrites
    basal: tuple[float, ...]  # mean length of each of their generations, the stem first
    axon: float  # length of the axon's trunk
    collaterals: tuple[float, ...]  # where they leave the axon's trunk, 0 to 1
    collateral: tuple[float, ...]  # mean length of each of their generations
    spines: int
    boutons: int
    soma_radius: float
    axon_up: bool = False


LAYER_23 = Plan(
    trunk=92.0,
    obliques=7,
    tuft=(38.0, 44.0, 52.0),
    stems=7,
    basal=(24.0, 36.0, 78.0),
    axon=235.0,
    collaterals=(0.16, 0.22, 0.29, 0.36, 0.7, 0.8, 0.9),
    collateral=(95.0, 80.0, 70.0),
    spines=2375,
    boutons=310,
    soma_radius=6.6,
)

SMALL_LAYER_23 = Plan(
    trunk=85.0,
    obliques=4,
    tuft=(40.0, 60.0),
    stems=5,
    basal=(25.0, 85.0),
    axon=220.0,
    collaterals=(0.2, 0.4, 0.8),
    collateral=(110.0, 90.0),
    spines=210,
    boutons=60,
    soma_radius=6.3,
)

LAYER_5 = Plan(
    trunk=370.0,
    obliques=6,
    tuft=(50.0, 70.0),
    stems=6,
    basal=(30.0, 110.0),
    axon=110.0,
    collaterals=(0.3, 0.5, 0.7),
    collateral=(120.0, 110.0),
    spines=230,
    boutons=60,
    soma_radius=7.6,
)

INTERNEURON = Plan(
    trunk=0.0,
    obliques=0,
    tuft=(),
    stems=6,
    basal=(45.0, 75.0),
    axon=40.0,
    axon_up=True,
    collaterals=(0.5, 0.7, 0.85, 1.0),
    collateral=(60.0, 60.0, 50.0),
    spines=24,
    boutons=110,
    soma_radius=6.0,
)


def grow_cell(rng: np.random.Generator, root_id: int, centre: Floats, plan: Plan) -> Cell:
    """Grow a cell around the centre of its soma, in nm, shape (3,)."""
    tree = Tree(rng)
    apical = _grow_apical(tree, centre, plan) if plan.trunk else []
    basal = _grow_basal(tree, centre, plan)
    axon = _grow_axon(tree, centre, plan)
    branches = round_off_tips(tree.branches)
    stems = [branches[index] for index in (*apical, *basal, axon)]
    soma = _shape_soma(centre, plan, stems, pyramidal=bool(apical))
    dendrites = [branch for branch in branches if branch.kind != "axon"]
    spines = _grow_spines(rng, dendrites, soma, plan.spines)
    boutons = grow_boutons(rng, branches, soma, plan.boutons)
    return Cell(root_id, soma, branches, spines, boutons)


def _grow_apical(tree: Tree, centre: Floats, plan: Plan) -> list[int]:
    rng = tree.rng
    lean = np.array([rng.normal(scale=0.06), -1.0, rng.normal(scale=0.06)])
    trunk_habit = Habit("apical", 2.0 * UM, 0.012)
    trunk = tree.stem(trunk_habit, centre, lean, plan.trunk * UM, (2700.0, 1300.0, 950.0))
    # The tuft flattens under the pia: its branches are pulled sideways rather than up.
    tuft = Habit("apical", 2.0 * UM, 0.028, (0.0, -0.15, 0.0), 36.0)
    tree.arbour(tuft, trunk, tuple(length * UM for length in plan.tuft), (720.0, 300.0))
    oblique = Habit("apical", 2.0 * UM, 0.03, (0.0, -0.25, 0.0), 26.0)
    turn = rng.uniform(0.0, 2.0 * np.pi)
    for number in range(plan.obliques):
        angle = turn + number * 2.4
        out = np.array([np.cos(angle), rng.uniform(-0.5, 0.05), np.sin(angle)])
        place = 0.22 + 0.7 * number / plan.obliques
        length = rng.uniform(30.0, 55.0) * UM
        side = tree.side(oblique, trunk, place, out, length, (520.0, 420.0))
        if number % 3 != 2:  # noqa: PLR2004 - two of three obliques fork
            tree.arbour(oblique, side, (rng.uniform(45.0, 70.0) * UM,), (400.0, 280.0))
    return [trunk]


def _grow_basal(tree: Tree, centre: Floats, plan: Plan) -> list[int]:
    rng = tree.rng
    habit = Habit("basal", 2.0 * UM, 0.026, (0.0, 0.1, 0.0), 27.0)
    stems = []
    turn = rng.uniform(0.0, 2.0 * np.pi)
    for number in range(plan.stems):
        angle = turn + number * 2.0 * np.pi / plan.stems + rng.normal(scale=0.18)
        # A pyramidal cell's basal skirt spreads sideways and down; other cells spread evenly.
        fall = rng.uniform(0.05, 0.75) if plan.trunk else rng.uniform(-1.0, 1.0)
        out = np.array([np.cos(angle), fall, np.sin(angle)])
        first = plan.basal[0] * UM * rng.uniform(0.75, 1.3)
        stem = tree.stem(habit, centre, out, first + 7.0 * UM, (1500.0, 820.0, 680.0))
        later = tuple(length * UM for length in plan.basal[1:])
        tree.arbour(habit, stem, later, (590.0, 280.0))
        stems.append(stem)
    return stems


def _grow_axon(tree: Tree, centre: Floats, plan: Plan) -> int:
    rng = tree.rng
    down = np.array([rng.normal(scale=0.12), -1.0 if plan.axon_up else 1.0, 0.15])
    trunk_habit = Habit("axon", 2.5 * UM, 0.03)
    trunk = tree.stem(trunk_habit, centre, down, plan.axon * UM, (1000.0, 400.0, 260.0))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    for number, place in enumerate(plan.collaterals):
        angle = turn + number * 2.4
        out = np.array([np.cos(angle), rng.uniform(-0.35, 0.55), np.sin(angle)])
        rise = (0.0, rng.uniform(-0.6, 0.3), 0.0)
        habit = Habit("axon", 2.5 * UM, 0.055, rise, 35.0)
        first, *later = (length * UM for length in plan.collateral)
        side = tree.side(habit, trunk, place, out, first, (240.0, 215.0))
        tree.arbour(habit, side, tuple(later), (210.0, 175.0))
    return trunk


def _shape_soma(centre: Floats, plan: Plan, stems: list[Branch], *, pyramidal: bool) -> Soma:
    lobes = unit(np.array([stem.points[2] - stem.points[0] for stem in stems]))
    heights = np.full(len(stems), 0.4)
    sharpness = np.full(len(stems), 26.0)
    heights[-1], sharpness[-1] = 0.2, 30.0
    if pyramidal:
        heights[0], sharpness[0] = 0.58, 10.0
    radius = plan.soma_radius * UM
    return Soma(centre, radius, radius * 0.74, lobes, heights, sharpness)


def _grow_spines(
    rng: np.random.Generator, dendrites: list[Branch], soma: Soma, count: int
) -> Spines:
    """Place spines along the dendrites, except on the first 12 µm."""
    points, tangents, shaft = sample_axes(rng, dendrites, count, soma, 12.0 * UM)
    out = perpendicular(rng, tangents)
    direction = unit(out + rng.normal(scale=0.3, size=(count, 1)) * tangents)
    head = np.clip(230.0 * np.exp(rng.normal(scale=0.28, size=count)), 150.0, 460.0)
    neck = np.clip(620.0 * np.exp(rng.normal(scale=0.5, size=count)), 220.0, 1700.0)
    thin = np.clip(rng.normal(75.0, 15.0, size=count), 50.0, 120.0)
    return Spines(points, direction, shaft + neck + head, shaft, thin, head)


def grow_boutons(
    rng: np.random.Generator, branches: tuple[Branch, ...], soma: Soma, count: int
) -> Boutons:
    """Place boutons along the axon, except on its first 45 µm."""
    axon = [branch for branch in branches if branch.kind == "axon"]
    points, tangents, _ = sample_axes(rng, axon, count, soma, 45.0 * UM)
    radii = np.clip(370.0 * np.exp(rng.normal(scale=0.22, size=count)), 260.0, 620.0)
    return Boutons(points, radii, tangents)
