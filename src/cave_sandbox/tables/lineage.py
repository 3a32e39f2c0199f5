"""Root IDs over time: who came from whom, and which supervoxels each consists of.

A data folder says when root IDs began and ended and what took their place. Supervoxels are made
up to fit: each follows one line of descent and so belongs to exactly one root ID at a time.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from cave_sandbox.tables.dataset import Dataset

__all__ = ["Lineage"]

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

    Parameters
    ----------
    known
        Returns those of some root IDs that its tables hold; they are valid at all times.
    located
        Returns the root IDs of those of some supervoxels that its tables hold.
    """

    def __init__(
        self,
        dataset: Dataset,
        known: Callable[[Iterable[int]], set[int]],
        located: Callable[[Iterable[int]], dict[int, int]],
    ) -> None:
        self._roots = dataset.roots
        self._known = known
        self._located = located
        self._parents: dict[int, list[int]] = defaultdict(list)
        for root in dataset.roots.values():
            for successor in root.successors:
                self._parents[successor].append(root.root_id)
        starts = [root.created for root in dataset.roots.values()]
        self.oldest: datetime = min(
            [*starts, *(item.time_stamp for item in dataset.versions)]
        ) - timedelta(days=1)
        self._lines = self._draw_lines()
        self._leaves: dict[int, list[int]] = defaultdict(list)
        for supervoxel, line in self._lines.items():
            for root_id in line:
                self._leaves[root_id].append(supervoxel)

    def are_latest(self, roots: list[int], timestamp: datetime) -> list[bool]:
        """Return whether each is a root ID at a timestamp."""
        unlisted = self._known(root for root in roots if root not in self._roots)
        return [
            self._roots[root].valid_at(timestamp) if root in self._roots else root in unlisted
            for root in roots
        ]

    def keep_known(self, roots: list[int]) -> list[int]:
        """Return those that are or were root IDs, in their order."""
        unlisted = self._known(root for root in roots if root not in self._roots)
        return [root for root in roots if root in self._roots or root in unlisted]

    def created(self, root: int) -> datetime | None:
        """Return when a root ID began, or None when there is no such root ID."""
        if root in self._roots:
            return self._roots[root].created
        return self.oldest if self._known([root]) else None

    def ended(self, root: int, timestamp: datetime) -> datetime | None:
        """Return the last timestamp, up to the given one, at which it is a root ID, or None."""
        if root in self._roots:
            return min(self._roots[root].expired or timestamp, timestamp)
        return timestamp if self._known([root]) else None

    def leaves(self, root: int) -> list[int]:
        """Return the supervoxels of a root ID; none when there is no such root ID."""
        if root in self._roots:
            return list(self._leaves[root])
        return [root ^ MARK] if self._known([root]) else []

    def roots_at(self, supervoxels: Iterable[int], timestamp: datetime) -> list[int]:
        """Return the root ID that each supervoxel belongs to at a timestamp, 0 for none."""
        asked = list(supervoxels)
        unlisted = self._known(
            root for item in asked if item not in self._lines and (root := item ^ MARK)
        ) - set(self._roots)
        located = self._located(item for item in asked if item not in self._lines)
        found = []
        for item in asked:
            if item in self._lines or located.get(item) in self._roots:
                line = self._lines.get(item) or self._own_line(located[item])
                valid = (root for root in line if self._roots[root].valid_at(timestamp))
                found.append(next(valid, 0))
            else:
                known = item ^ MARK if item ^ MARK in unlisted else 0
                found.append(located.get(item) or known)
        return found

    def replaced_at(self, timestamp: datetime) -> dict[int, int]:
        """Return what the supervoxels that tables give ended or later root IDs belonged to then.

        Returns
        -------
        dict of int
            For each root ID that is not valid at the timestamp, the one in whose place it stands,
            as `roots_at` says of its supervoxels; 0 for none.
        """
        valid = {root for root, item in self._roots.items() if item.valid_at(timestamp)}
        return {
            root: next((item for item in self._own_line(root) if item in valid), 0)
            for root in self._roots
            if root not in valid
        }

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
        """Return the root IDs before and after some root IDs, and who came from whom.

        Parameters
        ----------
        roots
            Where to begin.
        past, future
            The last step that leads beyond one of these moments is part of the graph, those
            behind it are not; None for no bound.

        Returns
        -------
        tuple
            Root IDs, and pairs of a root ID and one that took its place.
        """
        nodes: set[int] = set(roots)
        links: set[tuple[int, int]] = set()
        ahead = [root for root in nodes if root in self._roots]
        back = list(ahead)
        while ahead:
            parent = ahead.pop()
            for child in self._listed_successors(parent):
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

    def _listed_successors(self, root: int) -> list[int]:
        return [item for item in self._roots[root].successors if item in self._roots]

    def _draw_lines(self) -> dict[int, tuple[int, ...]]:
        """Return lines of descent that together cover every step, each with its supervoxels."""
        lines: dict[tuple[int, ...], None] = {}
        for root in self._roots:
            steps = self._listed_successors(root)
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
        while steps := [item for item in self._listed_successors(line[-1]) if item not in line]:
            line.append(steps[0])
        return line

    def _is_main(self, line: tuple[int, ...]) -> bool:
        return all(self._listed_successors(parent)[0] == child for parent, child in pairwise(line))
