"""Properties of segments: what the viewer's list of segments says of each partner.

The form is Neuroglancer's ``neuroglancer_segment_properties``: the partner's type as a tag, which
the list can be filtered by, and its numbers of synapses, which it can be sorted by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from synglancer.settings import UNKNOWN_TYPE
from synglancer.synapses.partners import read_partners

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from synglancer.synapses.cell_types import CellTypes


def build_segment_properties(
    shown: pd.DataFrame,
    cells: Collection[int],
    types: CellTypes,
    directions: Sequence[str],
) -> bytes:
    """Build the properties of the cells shown and of all their partners.

    Parameters
    ----------
    shown : DataFrame, shape (n,)
        The synapses shown; see `synglancer.columns.DTYPES`.
    cells
        Root IDs of the cells shown.
    types
        Types of cells; those without one have no tag.
    directions
        Directions whose synapses are counted.

    Returns
    -------
    bytes
        Canonical JSON; IDs are strings.
    """
    partner = read_partners(shown)
    counts = {name: partner[shown["direction"] == name].value_counts() for name in directions}
    # Sorted: the viewer merges these with a segmentation's own properties as sorted lists.
    roots = sorted({*partner.tolist(), *map(int, cells)} - {0})
    index = np.array(roots, dtype="uint64")
    named = types.types.reindex(index, fill_value=UNKNOWN_TYPE).tolist()
    tags = sorted({name for name in named if name != UNKNOWN_TYPE})
    places = {name: place for place, name in enumerate(tags)}
    properties: list[dict[str, Any]] = [
        {
            "id": "cell_type",
            "type": "tags",
            "tags": [format_tag(name) for name in tags],
            "tag_descriptions": [f"{name} in {types.view} ({types.column})" for name in tags],
            "values": [[places[name]] if name in places else [] for name in named],
        }
    ]
    for name in directions:
        number = counts[name].reindex(index, fill_value=0)
        about = f"Synapses among the {name} shown"
        properties.append(_describe_number(name, "uint32", about, [int(one) for one in number]))
    return _format_properties(roots, properties)


@dataclass(frozen=True)
class CellNumbers:
    """What the list of segments says of a cell.

    Attributes
    ----------
    cell
        Its root ID.
    group
        The group that it is of, or empty.
    counts
        Direction → tag → synapses shown.
    """

    cell: int
    group: str
    counts: Mapping[str, Mapping[str, int]]


def build_cell_properties(
    cells: Sequence[CellNumbers], directions: Sequence[str], tags: Sequence[str], group_by: str
) -> bytes:
    """Build the properties of many cells: group, synapses by direction, and share of each tag.

    Parameters
    ----------
    cells
        The cells, each once.
    directions, tags
        What is listed of each, in this order.
    group_by
        What the groups are called, or empty where there are none.

    Returns
    -------
    bytes
        Canonical JSON; IDs are strings.
    """
    ordered = sorted(cells, key=lambda one: one.cell)
    properties: list[dict[str, Any]] = []
    if group_by:
        names = sorted({one.group for one in ordered if one.group.strip()})
        properties.append(
            {
                "id": "group",
                "type": "tags",
                "tags": [format_tag(name) for name in names],
                "tag_descriptions": [f"{group_by}: {name}" for name in names],
                "values": [
                    [names.index(one.group)] if one.group in names else [] for one in ordered
                ],
            }
        )
    for side in directions:
        totals = [sum(one.counts.get(side, {}).values()) for one in ordered]
        properties.append(
            _describe_number(side, "uint32", f"Synapses among the {side} shown", totals)
        )
        for tag in tags:
            shares = [
                round(100 * one.counts.get(side, {}).get(tag, 0) / total, 1) if total else 0.0
                for one, total in zip(ordered, totals, strict=True)
            ]
            name = re.sub(r"[^0-9A-Za-z]+", "_", f"{side}_{tag}")
            about = f"Percentage of the {side} shown that are {tag}"
            properties.append(_describe_number(name, "float32", about, shares))
    return _format_properties([one.cell for one in ordered], properties)


def _describe_number(
    name: str, kind: str, description: str, values: Sequence[float]
) -> dict[str, Any]:
    about = {"id": name, "type": "number", "data_type": kind, "description": description}
    return {**about, "values": [*values]}


def _format_properties(roots: Sequence[int], properties: Sequence[Mapping[str, Any]]) -> bytes:
    inline = {"ids": [str(root) for root in roots], "properties": properties}
    content = {"@type": "neuroglancer_segment_properties", "inline": inline}
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def format_tag(name: str) -> str:
    """Write a type as a tag: viewers end a tag at white space, and mark it with ``#``.

    Examples
    --------
    >>> format_tag("L2/3 IT")
    'L2/3_IT'
    """
    return re.sub(r"\s+", "_", name.strip()).lstrip("#") or "_"
