"""Follow root IDs through edits: predecessors, successors and supervoxels.

A data folder gives the times when root IDs began and ended, and their successors. Supervoxels are
made up to fit: each follows one line of descent, so it belongs to exactly one root ID at a time.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from cave_sandbox.tables.dataset import Root

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cave_sandbox.tables.database import Tables
    from cave_sandbox.tables.dataset import Dataset

#: Number of supervoxels on the line of first successors, and on every other line. The first
#: successor is the largest part.
MAIN_SHARE = 3
OTHER_SHARE = 1

#: The highest byte of a node's ID is its layer: 1 for supervoxels. A root ID without a history in
#: the data folder has one supervoxel: the root ID with other highest bits. For CAVE's root IDs,
#: which have layer 12, this gives layer 1.
MARK = 0x0D << 56
LINE_BASE = 0x01 << 56


class Lineage:
    """The history of a datastack's root IDs; IDs that occur only in its tables are valid."""

    def __init__(self, dataset: Dataset, tables: Tables) -> None:
        self._roots = dataset.roots
        self._known = partial(tables.known_roots, dataset)
        self._located = partial(tables.supervoxel_roots, dataset)
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
        """Return whether each root ID is valid at a timestamp."""
        found = self.find(roots)
        return [root in found and found[root].valid_at(timestamp) for root in roots]

    def find(self, roots: Iterable[int]) -> dict[int, Root]:
        """Return the given IDs that are or were root IDs, in the same order.

        A root ID that occurs only in tables has been valid since the beginning.
        """
        asked = list(roots)
        unlisted = self._known(root for root in asked if root not in self._roots)
        return {
            root: self._roots.get(root) or Root(root, self.oldest, None, ())
            for root in asked
            if root in self._roots or root in unlisted
        }

    def leaves(self, root: int) -> list[int]:
        """Return the supervoxels of a root ID; the list is empty if the root ID is unknown."""
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
        """Return the root ID of a supervoxel, given its root IDs in the versions' tables.

        The newest root ID that existed at the timestamp is followed forwards; if there was none,
        the oldest is followed backwards.
        """
        known = sorted((self._roots[root].created, root) for root in named if root in self._roots)
        if not known:
            return next(iter(named))
        begun = [root for created, root in known if created <= timestamp]
        return self._valid_in(self._own_line(begun[-1] if begun else known[0][1]), timestamp)

    def replaced_at(self, timestamp: datetime) -> dict[int, int]:
        """Return the valid root IDs that replace the invalid root IDs of tables at a timestamp.

        Each invalid root ID is mapped to the root ID that `roots_at` gives for its supervoxels, or
        0 if there is none.
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
        """Return the line of descent of a supervoxel in a table, without parts merged in later.

        A root ID's predecessor is the root ID that ended when it began.
        """
        return self._upwards(root, unmerged=True) + self._downwards(root)[1:]

    def related(self, root: int, timestamp: datetime) -> list[int]:
        """Return the root IDs at a timestamp that contain parts of a root ID."""
        return sorted({found for found in self.roots_at(self.leaves(root), timestamp) if found})

    def graph(
        self, roots: Iterable[int], past: datetime | None, future: datetime | None
    ) -> tuple[set[int], set[tuple[int, int]]]:
        """Return the predecessors and successors of root IDs, and the edges between them.

        The graph includes the first step beyond ``past`` or ``future``, but no further steps; None
        means no bound.
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
            is_main = all(self._roots[a].successors[0] == b for a, b in pairwise(line))
            share = MAIN_SHARE if is_main else OTHER_SHARE
            for _ in range(share):
                drawn[LINE_BASE + 1 + len(drawn)] = line
        return drawn

    def _upwards(self, root: int, *, unmerged: bool = False) -> list[int]:
        line = [root]
        while parents := [
            item
            for item in self._parents[line[0]]
            if item not in line
            and not (unmerged and self._roots[item].expired != self._roots[line[0]].created)
        ]:
            line.insert(0, parents[0])
        return line

    def _downwards(self, root: int) -> list[int]:
        line = [root]
        while steps := [item for item in self._roots[line[-1]].successors if item not in line]:
            line.append(steps[0])
        return line
