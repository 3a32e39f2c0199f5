"""Root IDs over time: who came from whom, and which supervoxels each consists of.

A data folder says when root IDs began and ended and what took their place. Supervoxels are made
up to fit: each follows one line of descent and so belongs to exactly one root ID at a time.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from cave_sandbox.tables.dataset import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from cave_sandbox.tables.dataset import Dataset

#: Supervoxels of the line through first successors, and of every other line: the first successor
#: is the largest part.
MAIN_SHARE = 3
OTHER_SHARE = 1

#: Layer of a node is in the highest byte of its ID: 1 for supervoxels. Root IDs that the data
#: folder gives no history have one supervoxel, which is the root ID with other highest bits; for
#: CAVE's root IDs, of layer 12, that is layer 1.
MARK = 0x0D << 56
LINE_BASE = 0x01 << 56


class Lineage:
    """The history of a datastack's root IDs.

    ``known`` returns those of some root IDs that its tables hold, which are valid at all times;
    ``located`` the root IDs of those of some supervoxels that its tables hold.
    """

    def __init__(
        self,
        dataset: Dataset,
        known: Callable[[Iterable[int]], set[int]],
        located: Callable[[Iterable[int]], dict[int, set[int]]],
    ) -> None:
        self._roots = dataset.roots
        self._known = known
        self._located = located
        self._parents: dict[int, list[int]] = defaultdict(list)
        for root in dataset.roots.values():
            for successor in root.successors:
                self._parents[successor].append(root.root_id)
        starts = [root.created for root in dataset.roots.values()]
        first = min([*starts, *(item.time_stamp for item in dataset.versions)])
        self.oldest: datetime = first - timedelta(days=1)
        self._lines = self._draw_lines()
        self._leaves: dict[int, list[int]] = defaultdict(list)
        for supervoxel, line in self._lines.items():
            for root_id in line:
                self._leaves[root_id].append(supervoxel)

    def are_latest(self, roots: list[int], timestamp: datetime) -> list[bool]:
        """Return whether each is a root ID at a timestamp."""
        found = self.find(roots)
        return [root in found and found[root].valid_at(timestamp) for root in roots]

    def find(self, roots: Iterable[int]) -> dict[int, Root]:
        """Return those that are or were root IDs, in their order.

        One that only tables hold has been one for as long as anything is known.
        """
        asked = list(roots)
        unlisted = self._known(root for root in asked if root not in self._roots)
        return {
            root: self._roots.get(root) or Root(root, self.oldest, None, ())
            for root in asked
            if root in self._roots or root in unlisted
        }

    def leaves(self, root: int) -> list[int]:
        """Return the supervoxels of a root ID; none when there is no such root ID."""
        if root in self._roots:
            return list(self._leaves[root])
        return [root ^ MARK] if self._known([root]) else []

    def roots_at(self, supervoxels: Iterable[int], timestamp: datetime) -> list[int]:
        """Return the root ID that each supervoxel belongs to at a timestamp, 0 for none."""
        asked = list(supervoxels)
        others = [item for item in asked if item not in self._lines]
        located = self._located(others)
        unlisted = self._known(item ^ MARK for item in others) - set(self._roots)

        def find_root(item: int) -> int:
            if item in self._lines:
                return self._valid_in(self._lines[item], timestamp)
            if item in located:
                return self._follow(located[item], timestamp)
            return item ^ MARK if item ^ MARK in unlisted else 0

        return [find_root(item) for item in asked]

    def _follow(self, named: set[int], timestamp: datetime) -> int:
        """Return what a supervoxel belongs to, from the root IDs that versions give for it.

        The newest that had begun is followed on, or else the oldest is followed back.
        """
        known = sorted((self._roots[root].created, root) for root in named if root in self._roots)
        if not known:
            return next(iter(named))
        begun = [root for created, root in known if created <= timestamp]
        return self._valid_in(self._own_line(begun[-1] if begun else known[0][1]), timestamp)

    def replaced_at(self, timestamp: datetime) -> dict[int, int]:
        """Return what the supervoxels of root IDs in tables belonged to at a timestamp.

        For each root ID that is not valid then, that is the one in whose place it stands, as
        `roots_at` says of its supervoxels; 0 for none.
        """
        return {
            root: self._valid_in(self._own_line(root), timestamp)
            for root, item in self._roots.items()
            if not item.valid_at(timestamp)
        }

    def _valid_in(self, line: Iterable[int], timestamp: datetime) -> int:
        """Return the root ID of a line that is valid at a timestamp, 0 for none."""
        return next((root for root in line if self._roots[root].valid_at(timestamp)), 0)

    def _own_line(self, root: int) -> list[int]:
        """Return the line that a supervoxel in a table follows: what was merged in later is not it.

        A root ID came from the one whose end was its beginning.
        """
        line = [root]
        while earlier := [
            item
            for item in self._parents[line[0]]
            if item not in line and self._roots[item].expired == self._roots[line[0]].created
        ]:
            line.insert(0, earlier[0])
        return line + self._downwards(root)[1:]

    def related(self, root: int, timestamp: datetime) -> list[int]:
        """Return the root IDs that hold parts of a root ID at a timestamp."""
        return sorted({found for found in self.roots_at(self.leaves(root), timestamp) if found})

    def graph(
        self, roots: Iterable[int], past: datetime | None, future: datetime | None
    ) -> tuple[set[int], set[tuple[int, int]]]:
        """Return root IDs before and after some root IDs, and pairs of who came from whom.

        The last step that leads beyond ``past`` or ``future`` is part of the graph, those behind it
        are not; None for no bound.
        """
        nodes: set[int] = set(roots)
        links: set[tuple[int, int]] = set()
        ahead = [root for root in nodes if root in self._roots]
        back = list(ahead)
        while ahead:
            parent = ahead.pop()
            for child in self._roots[parent].successors:
                links.add((parent, child))
                if child not in nodes and (future is None or self._roots[child].created <= future):
                    ahead.append(child)
                nodes.add(child)
        while back:
            child = back.pop()
            for parent in self._parents[child]:
                links.add((parent, child))
                if parent not in nodes and (past is None or self._roots[parent].created >= past):
                    back.append(parent)
                nodes.add(parent)
        return nodes, links

    def _draw_lines(self) -> dict[int, tuple[int, ...]]:
        """Return lines of descent that together cover every step, each with its supervoxels."""
        lines: dict[tuple[int, ...], None] = {}
        for root in self._roots:
            steps = self._roots[root].successors
            if not steps and not self._parents[root]:
                lines[(root,)] = None
            for step in steps:
                line = (*self._upwards(root), *self._downwards(step))
                lines[line] = None
        drawn: dict[int, tuple[int, ...]] = {}
        for line in lines:
            share = MAIN_SHARE if self._is_main(line) else OTHER_SHARE
            for _ in range(share):
                drawn[LINE_BASE + 1 + len(drawn)] = line
        return drawn

    def _upwards(self, root: int) -> list[int]:
        line = [root]
        while parents := [item for item in self._parents[line[0]] if item not in line]:
            line.insert(0, parents[0])
        return line

    def _downwards(self, root: int) -> list[int]:
        line = [root]
        while steps := [item for item in self._roots[line[-1]].successors if item not in line]:
            line.append(steps[0])
        return line

    def _is_main(self, line: tuple[int, ...]) -> bool:
        return all(self._roots[parent].successors[0] == child for parent, child in pairwise(line))
