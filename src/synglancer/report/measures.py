"""Measure the synapses of a link: confidence, distance, partners and their types."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.columns import PARTNER_TYPE, POSITION_COLUMNS
from synglancer.links.filling import fill_state
from synglancer.states.predictions import parse_predictions
from synglancer.synapses.partners import read_partners

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from synglancer.links.link_record import LinkRecord

    Distances = NDArray[np.float32]
    Point = tuple[float, float, float]
    MeasurePaths = Callable[[int, Point, pd.DataFrame], Mapping[str, Mapping[str, Distances]]]

BINS = 20
"""Bins of the confidence, 0 to 1."""

PARTNER_STEPS = ("1", "2", "3", "4", "5 or more")
"""Synapses that one partner has with the cell."""

STRONGEST = 10
"""Number of partners in each direction that are listed by name."""


@dataclass(frozen=True)
class Partner:
    """A cell on the other side.

    Attributes
    ----------
    root_id
        Its root ID, as text.
    count
        Synapses with it.
    tags
        Tag → number of synapses.
    type
        Its cell type; empty if unknown.
    """

    root_id: str
    count: int
    tags: Mapping[str, int]
    type: str = ""


@dataclass(frozen=True)
class Measures:
    """Measurements of a cell's synapses, by direction.

    Attributes
    ----------
    confidence
        Direction → tag → synapses in each of `BINS` bins.
    distances
        Direction → tag → Euclidean distance of each synapse from the soma, in µm, sorted; empty
        where the cell has no soma, or several.
    partners
        Direction → number of partners for each of `PARTNER_STEPS`.
    strongest
        Direction → the `STRONGEST` partners, most synapses first.
    types
        Direction → tag → the partner's type → synapses; empty unless types were requested.
    paths
        Direction → tag → length of the path along the skeleton from the soma to each synapse, in
        µm, sorted, NaN if there is no path; empty if not requested, or without a skeleton.
    soma
        Position of its soma in nm; None if it has none, or several.
    corners
        Two opposite corners of the box that holds its synapses, in nm; empty without synapses.
    """

    confidence: Mapping[str, Mapping[str, list[int]]] = field(default_factory=dict)
    distances: Mapping[str, Mapping[str, Distances]] = field(default_factory=dict)
    partners: Mapping[str, list[int]] = field(default_factory=dict)
    strongest: Mapping[str, list[Partner]] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    paths: Mapping[str, Mapping[str, Distances]] = field(default_factory=dict)
    soma: Point | None = None
    corners: Sequence[Point] = ()


def measure(link: LinkRecord, measure_paths: MeasurePaths | None = None) -> Measures:
    """Measure the synapses of a link, and their path lengths if there is a function for them."""
    shown = parse_predictions(fill_state(link.state))
    shown = shown.assign(partner=read_partners(shown))
    soma = link.provenance.somata.get(link.cell)
    sides = {name: shown[shown["direction"] == name] for name in link.counts_by_tag}
    foreign = {
        # 0 is not a segment, and a cell is not its own partner
        name: rows[~rows["partner"].isin([0, link.cell])]
        for name, rows in sides.items()
    }

    def by_tag(measure_part: Callable[[pd.DataFrame], Any]) -> dict[str, dict[str, Any]]:
        return {
            name: {str(tag): measure_part(part) for tag, part in rows.groupby("tag")}
            for name, rows in sides.items()
        }

    return Measures(
        confidence=by_tag(_count_bins),
        distances=by_tag(partial(_measure_distances, soma=soma)) if soma else {},
        partners={name: _count_steps(rows) for name, rows in foreign.items()},
        strongest={name: _find_strongest(rows) for name, rows in foreign.items()},
        types=by_tag(_count_types) if PARTNER_TYPE in shown else {},
        paths=measure_paths(link.cell, soma, shown) if measure_paths and soma else {},
        soma=soma,
        corners=_find_corners(shown),
    )


def _count_bins(rows: pd.DataFrame) -> list[int]:
    values = rows["confidence"].to_numpy(dtype=float)
    counts, _ = np.histogram(values[np.isfinite(values)], bins=BINS, range=(0, 1))
    return counts.tolist()


def _count_types(rows: pd.DataFrame) -> dict[str, int]:
    return {str(kind): int(n) for kind, n in rows[PARTNER_TYPE].value_counts().items()}


def _measure_distances(rows: pd.DataFrame, soma: Point) -> Distances:
    away = rows[POSITION_COLUMNS].to_numpy(dtype=float) - np.array(soma)
    return np.sort(np.linalg.norm(away, axis=1) / 1000).astype(np.float32)


def _find_corners(rows: pd.DataFrame) -> list[Point]:
    points = rows[POSITION_COLUMNS].to_numpy(dtype=float)
    ends = [points.min(axis=0), points.max(axis=0)] if len(points) else []
    return [(float(x), float(y), float(z)) for x, y, z in ends]


def _count_steps(rows: pd.DataFrame) -> list[int]:
    steps = np.minimum(rows["partner"].value_counts().to_numpy(), len(PARTNER_STEPS))
    return np.bincount(steps, minlength=len(PARTNER_STEPS) + 1)[1:].tolist()


def _find_strongest(rows: pd.DataFrame) -> list[Partner]:
    counts = rows["partner"].value_counts()
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:STRONGEST]
    partners = []
    for root_id, count in ranked:
        own = rows[rows["partner"] == root_id]
        tags = {str(tag): int(number) for tag, number in own["tag"].value_counts().items()}
        kind = str(own[PARTNER_TYPE].iloc[0]) if PARTNER_TYPE in own else ""
        partners.append(Partner(str(root_id), int(count), tags, kind))
    return partners
