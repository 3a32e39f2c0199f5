"""Compute the statistics of a report from the measurements of many cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from synglancer.columns import CELL_COLUMN
from synglancer.report.measures import BINS, STRONGEST
from synglancer.settings import UNLABELLED
from synglancer.synapses.cell_types import sort_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.report.measures import Distances, Partner
    from synglancer.report.summary import CellSummary, Report

CONFIDENCE_LEVEL = 0.95
MOST_CONNECTIONS = STRONGEST  # no cell has a longer list, so these are exact

_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE_LEVEL / 2)


@dataclass(frozen=True)
class Proportion:
    """The share of a tag among the synapses with a prediction.

    Attributes
    ----------
    group
        The group of cells, or None for all of them.
    direction, tag
        The synapses.
    count, total
        Synapses with the tag, and with any tag, of all cells of the group.
    low, high
        Wilson's interval of the share, 0 to 1.
    baseline
        The share that it is compared with, or None.
    """

    group: str | None
    direction: str
    tag: str
    count: int
    total: int
    low: float
    high: float
    baseline: float | None = None

    @property
    def share(self) -> float:
        """The share, 0 to 1."""
        return self.count / self.total


@dataclass(frozen=True)
class Distance:
    """The distances of the synapses of a tag from their cell's soma, in µm.

    Attributes
    ----------
    direction, tag
        Direction and tag of the synapses.
    count, cells
        The number of synapses, and of cells.
    low, median, high
        The quartiles.
    """

    direction: str
    tag: str
    count: int
    cells: int
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Connection:
    """Two cells and the synapses between them in one direction."""

    cell: str
    direction: str
    partner: Partner


@dataclass(frozen=True)
class Statistics:
    """The numbers of a report.

    Attributes
    ----------
    proportions
        Of all cells, then of each group.
    baseline
        Name of the baseline, or empty.
    thresholds
        Direction → tag → synapses with at least a confidence of 0, 0.05, … 0.95.
    distances
        Straight-line distances by direction and tag; empty if no cell has a soma.
    paths
        Path lengths along skeletons; empty unless requested.
    types
        Direction → the partner's type → tag → synapses; empty unless cell types were requested.
    connections
        The strongest connections, most synapses first.
    """

    proportions: list[Proportion]
    baseline: str
    thresholds: dict[str, dict[str, list[int]]]
    distances: list[Distance]
    paths: list[Distance]
    types: dict[str, dict[str, dict[str, int]]]
    connections: list[Connection]


def build_statistics(report: Report) -> Statistics:
    """Build the numbers of a report from its cells, groups, directions, tags and baseline."""
    cells, tags = report.whole_cells, report.tags
    sides = [side for side in report.directions if side in CELL_COLUMN]
    parts: dict[str | None, list[CellSummary]] = {None: cells} | {
        group.name: group.members for group in report.groups
    }
    proportions = [
        one
        for name, members in parts.items()
        for side in sides
        for one in _find_proportions(name, side, members, tags, _find_counts(report, side))
    ]
    return Statistics(
        proportions=proportions,
        baseline=report.baseline.name if report.baseline else "",
        thresholds={side: _count_thresholds(cells, side, tags) for side in sides},
        distances=_find_distances([cell.measures.distances for cell in cells], sides, tags),
        paths=_find_distances([cell.measures.paths for cell in cells], sides, tags),
        types={side: found for side in sides if (found := _count_types(cells, side))},
        connections=_find_connections(cells, sides),
    )


def _find_counts(report: Report, side: str) -> Mapping[str, int]:
    """Find the baseline's counts by tag for a direction."""
    baseline = report.baseline
    if baseline is None:
        return {}
    if baseline.group is None:
        return baseline.counts or {}
    members = next(group.members for group in report.groups if group.name == baseline.group)
    return _sum_counts(members, side, report.tags)


def _sum_counts(cells: Sequence[CellSummary], side: str, tags: Sequence[str]) -> dict[str, int]:
    return {tag: sum(cell.count(side, tag) for cell in cells) for tag in tags if tag != UNLABELLED}


def _find_proportions(
    group: str | None,
    side: str,
    cells: Sequence[CellSummary],
    tags: Sequence[str],
    baseline: Mapping[str, int],
) -> list[Proportion]:
    counts = _sum_counts(cells, side, tags)
    compared = sum(baseline.values())
    total = sum(counts.values())
    if not total:
        return []
    return [
        Proportion(
            group,
            side,
            tag,
            count,
            total,
            *find_wilson_interval(count, total),
            baseline=baseline.get(tag, 0) / compared if compared else None,
        )
        for tag, count in counts.items()
    ]


def find_wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Compute Wilson's interval (1927) of a proportion, at `CONFIDENCE_LEVEL`.

    Examples
    --------
    >>> [round(end, 4) for end in find_wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    share, z2 = count / total, _Z**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z / (1 + z2 / total) * (share * (1 - share) / total + z2 / (4 * total**2)) ** 0.5
    return min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)


def _count_thresholds(
    cells: Sequence[CellSummary], side: str, tags: Sequence[str]
) -> dict[str, list[int]]:
    """Count the synapses with at least the confidence at the lower end of each bin."""
    thresholds = {}
    for tag in tags:
        bins = np.zeros(BINS, dtype=int)
        for cell in cells:
            bins += np.array(cell.measures.confidence.get(side, {}).get(tag, [0] * BINS))
        if bins.any():
            thresholds[tag] = np.cumsum(bins[::-1])[::-1].tolist()
    return thresholds


def _find_distances(
    measured: Sequence[Mapping[str, Mapping[str, Distances]]],
    sides: Sequence[str],
    tags: Sequence[str],
) -> list[Distance]:
    found = []
    for side in sides:
        for tag in tags:
            each = [own.get(side, {}).get(tag, ()) for own in measured]
            known = [values for values in map(keep_finite, each) if len(values)]
            if known:
                values = np.concatenate(known)
                low, median, high = map(float, np.percentile(values, [25, 50, 75]))
                found.append(Distance(side, tag, len(values), len(known), low, median, high))
    return found


def keep_finite(values: Distances | Sequence[float]) -> Distances:
    """Keep only the known distances."""
    array = np.asarray(values, dtype=np.float32)
    return array[np.isfinite(array)]


def _count_types(cells: Sequence[CellSummary], side: str) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for cell in cells:
        for tag, types in cell.measures.types.get(side, {}).items():
            for kind, number in types.items():
                counts.setdefault(kind, Counter())[tag] += number
    return {kind: dict(counts[kind]) for kind in sort_types(counts)}


def _find_connections(cells: Sequence[CellSummary], sides: Sequence[str]) -> list[Connection]:
    """Find the strongest connections; a connection between two of the cells is listed once."""
    connections: dict[tuple[str, str], Connection] = {}
    for cell in cells:
        for side in sides:
            for partner in cell.measures.strongest.get(side, []):
                own = cell.link["cell"]
                pair = (partner.root_id, own) if side == "inputs" else (own, partner.root_id)
                connections.setdefault(pair, Connection(own, side, partner))
    ranked = sorted(
        connections.values(), key=lambda one: (-one.partner.count, one.cell, one.partner.root_id)
    )
    return ranked[:MOST_CONNECTIONS]
