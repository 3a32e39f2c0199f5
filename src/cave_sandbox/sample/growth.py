"""Grow neurites: from a start and a heading to trees of branches.

A branch is a random walk of its heading with a slow pull, so it wanders as neurites do; where a
branch forks, both daughters set out along their parent and part gradually, so that tubes drawn
around them join smoothly. All lengths are in nm.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from cave_sandbox.sample.geometry import Branch, Floats, perpendicular, unit

UM = 1000.0
NO_PULL = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Habit:
    """How a kind of neurite grows."""

    kind: str  # apical, basal or axon
    step: float  # distance between points of the centre line in nm
    wander: float  # how much the heading changes, per square root of a µm
    #: added to the unit heading from start to tip, growing evenly
    #: added to the unit heading from start to tip, growing evenly
    #: added to the unit heading from start to tip, growing evenly
    pull: tuple[float, float, float] = NO_PULL
    fork: float = 28.0  # angle between a daughter and its parent in degrees


@dataclass
class Tree:
    """The branches grown so far, and the randomness that shapes the next ones."""

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

        Its radii (nm) are those where it leaves, after the hillock, and at its end.
        """
        points = self._walk(habit, origin, unit(heading), unit(heading), length)
        away = np.linalg.norm(points - origin, axis=1)
        hillock, after, end = radii
        taper = np.linspace(after, end, len(points))
        swelling = (hillock - after) * np.exp(-np.maximum(away - 7.0 * UM, 0.0) / (4.5 * UM))
        return self._add(Branch(habit.kind, points, taper + swelling, -1, -1))

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
        start = self.branches[parent].points[node]
        return self._grown(
            habit, (parent, node), start, unit(heading), unit(heading), length, radii
        )

    def arbour(
        self,
        habit: Habit,
        parent: int,
        lengths: tuple[float, ...],
        radii: tuple[float, float],
    ) -> list[int]:
        """Fork a branch at its tip, again and again, and return the indices of the new branches.

        There is a mean length (nm) for each generation, and the radius (nm) of the first daughters
        at their start and of the last ones at their tips.
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
            start = mother.points[node]
            index = self._grown(
                habit, (parent, node), start, along, heading, length, (radii[0], end)
            )
            self._widen_start(index, float(mother.radii[-1]))
            deeper = self.arbour(habit, index, lengths[1:], (end * 0.92, radii[1]))
            grown += [index, *deeper]
        return grown

    def _grown(
        self,
        habit: Habit,
        leaves: tuple[int, int],
        start: Floats,
        along: Floats,
        heading: Floats,
        length: float,
        radii: tuple[float, float],
    ) -> int:
        points = self._walk(habit, start, along, heading, length)
        shrinking = np.linspace(radii[0], radii[1], len(points))
        return self._add(Branch(habit.kind, points, shrinking, *leaves))

    def _add(self, branch: Branch) -> int:
        self.branches.append(branch)
        return len(self.branches) - 1

    def _widen_start(self, index: int, radius: float) -> None:
        """Let a daughter begin as wide as its mother ends, and thin within a few µm."""
        branch = self.branches[index]
        excess = max(0.97 * radius - float(branch.radii[0]), 0.0)
        branch.radii[:] += excess * np.exp(-branch.arc() / (3.5 * UM))

    def _walk(
        self, habit: Habit, start: Floats, along: Floats, heading: Floats, length: float
    ) -> Floats:
        """Walk from a start: first along the parent, then along the own, drifting, heading."""
        count = max(4, round(length / habit.step))
        kicks = self.rng.normal(size=(count, 3)) * habit.wander * np.sqrt(habit.step / UM)
        travelled = (np.arange(count) + 1.0) / count
        own = heading + np.cumsum(kicks, axis=0) + np.array(habit.pull) * travelled[:, None]
        turned = np.minimum((np.arange(count) + 0.5) * habit.step / (8.0 * UM), 1.0)[:, None]
        headings = unit(along * (1.0 - turned) + own * turned)
        steps = headings * (length / count)
        return np.concatenate([start[None], start + np.cumsum(steps, axis=0)])


def round_off_tips(branches: list[Branch]) -> tuple[Branch, ...]:
    """Thin the last points of branches from which no other leaves at the tip."""
    forked = {branch.parent for branch in branches}
    finished = []
    for index, branch in enumerate(branches):
        radii = branch.radii.copy()
        if index not in forked:
            radii[-2:] *= (0.85, 0.5)
        finished.append(replace(branch, radii=radii))
    return tuple(finished)
