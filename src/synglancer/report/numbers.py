"""Write all numbers of a report into one table, so that readers can recompute them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.report.measures import BINS
from synglancer.report.statistics import keep_finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from synglancer.report.measures import Distances
    from synglancer.report.summary import CellSummary, Report

_TEXTS = ("what", "group", "cell", "direction", "tag", "partner", "partner_type")
_ABSENT = {"cell": "all", "partner": "all"}  # so that no program reads these columns as floats
_COUNTS = ("count", "total")
_NUMBERS = ("value", "low", "high", "baseline")


def build_numbers(report: Report) -> pd.DataFrame:
    """Build the table of all numbers in a report.

    Returns
    -------
    pandas.DataFrame
        ``what`` (str) says what a row is: the ``proportion`` of a tag (``value``, with its interval
        ``low`` to ``high`` and the ``baseline``); the ``count`` of a cell's synapses with a tag, of
        its ``total``; those with a ``confidence`` of ``low`` to ``high``; their ``distance`` from
        the soma, or their ``path length`` along the skeleton (median in ``value``, quartiles in
        ``low`` and ``high``, µm), for a cell, or for all of them together (``cell`` is ``all``);
        those with a ``partner``; and those with partners of a ``partner type``. IDs are text;
        ``count`` and ``total`` are Int64, the other numbers float64.
    """
    import pandas as pd

    rows = [*_list_pooled(report)]
    groups = {row.summary.link["cell"]: row.group for row in report.rows if row.summary}
    for cell in report.whole_cells:
        own = {"cell": cell.link["cell"], "group": groups[cell.link["cell"]]}
        rows += [{**own, **row} for row in _list_own(cell)]
    frame = pd.DataFrame(rows, columns=[*_TEXTS, *_COUNTS, *_NUMBERS])
    texts = {name: frame[name].fillna(_ABSENT.get(name, "")).astype(object) for name in _TEXTS}
    counts = {name: frame[name].astype("Int64") for name in _COUNTS}
    numbers = {name: frame[name].astype("float64") for name in _NUMBERS}
    return frame.assign(**texts, **counts, **numbers)


def _list_pooled(report: Report) -> Iterator[dict[str, Any]]:
    """List the numbers of all cells, or of a group."""
    numbers = report.statistics
    for one in numbers.proportions:
        yield {"what": "proportion", "value": one.share, **vars(one)}
    kinds = {"distance": numbers.distances, "path length": numbers.paths}
    for what, away in [(what, one) for what, found in kinds.items() for one in found]:
        which = {"what": what, "direction": away.direction, "tag": away.tag, "count": away.count}
        yield {**which, "value": away.median, "low": away.low, "high": away.high}
    for side, types in numbers.types.items():
        for kind, tags in types.items():
            for tag, count in tags.items():
                which = {"direction": side, "tag": tag, "partner_type": kind}
                yield {"what": "partner type", **which, "count": count}


def _list_own(cell: CellSummary) -> Iterator[dict[str, Any]]:
    """List the numbers of one cell."""
    for side, tags in cell.counts.items():
        for tag, count in tags.items():
            which = {"direction": side, "tag": tag}
            yield {"what": "count", **which, "count": count, "total": cell.total(side)}
    for side, partners in cell.measures.strongest.items():
        for one in partners:
            which = {"direction": side, "partner": one.root_id, "partner_type": one.type}
            for tag, count in one.tags.items():
                yield {"what": "partner", **which, "tag": tag, "count": count}
    yield from _list_distributions(cell)


def _list_distributions(cell: CellSummary) -> Iterator[dict[str, Any]]:
    """List the distributions of confidence and distance of a cell's synapses."""
    for side, bins in cell.measures.confidence.items():
        for tag, counts in bins.items():
            which = {"what": "confidence", "direction": side, "tag": tag}
            filled = [(place, count) for place, count in enumerate(counts) if count]
            for place, count in filled:
                yield {**which, "count": count, "low": place / BINS, "high": (place + 1) / BINS}
    yield from _list_distances("distance", cell.measures.distances)
    yield from _list_distances("path length", cell.measures.paths)


def _list_distances(
    what: str, distances: Mapping[str, Mapping[str, Distances]]
) -> Iterator[dict[str, Any]]:
    for side, found in distances.items():
        for tag, values in found.items():
            known = keep_finite(values)
            if len(known):
                low, median, high = np.percentile(known, [25, 50, 75])
                which = {"what": what, "direction": side, "tag": tag}
                yield {**which, "count": len(known), "value": median, "low": low, "high": high}
