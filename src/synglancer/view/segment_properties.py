"""Properties of segments, for the viewer's list of segments.

The format is Neuroglancer's ``neuroglancer_segment_properties``, with the cell type as a tag to
filter by, and numbers of synapses to sort by.
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
        Types of cells; cells without a type have no tag.
    directions
        Directions whose synapses are counted.

    Returns
    -------
    bytes
        Canonical JSON; IDs are strings.
    """
    partner = read_partners(shown)
    counts = {name: partner[shown["direction"] == name].value_counts() for name in directions}
    # Sorted, because the viewer merges these with a segmentation's own properties as sorted lists.
    roots = sorted({*partner.tolist(), *map(int, cells)} - {0})
    index = np.array(roots, dtype="uint64")
    properties = [_describe_tags("cell_type", _tag_types(roots, types))]
    for name in directions:
        number = counts[name].reindex(index, fill_value=0)
        about = f"Number of {name} shown"
        properties.append(_describe_number(name, "uint32", about, [int(one) for one in number]))
    return _format_properties(roots, properties)


@dataclass(frozen=True)
class CellNumbers:
    """The entry of a cell in the list of segments.

    Attributes
    ----------
    cell
        Its root ID.
    group
        Its group, or empty.
    counts
        Direction → tag → synapses shown.
    """

    cell: int
    group: str
    counts: Mapping[str, Mapping[str, int]]


def build_cell_properties(
    cells: Sequence[CellNumbers],
    directions: Sequence[str],
    tags: Sequence[str],
    group_by: str = "",
    types: CellTypes | None = None,
) -> bytes:
    """Build the properties of many cells: type, group, synapses, and the share of each tag.

    Parameters
    ----------
    cells
        The cells, each once.
    directions, tags
        Directions and tags to list, in this order.
    group_by
        Name of the column with groups, or empty.
    types
        Types of cells, or None if they are unknown.

    Returns
    -------
    bytes
        Canonical JSON; IDs are strings.
    """
    ordered = sorted(cells, key=lambda one: one.cell)
    properties: list[dict[str, Any]] = []
    if group_by or types is not None:
        typed = _tag_types([one.cell for one in ordered], types)
        taken = {tag for each in typed for tag in each}
        tagged = [
            each | _tag_group(one.group, group_by, taken)
            for each, one in zip(typed, ordered, strict=True)
        ]
        properties.append(_describe_tags("group" if types is None else "cell_type", tagged))
    for side in directions:
        totals = [sum(one.counts.get(side, {}).values()) for one in ordered]
        properties.append(_describe_number(side, "uint32", f"Number of {side} shown", totals))
        for tag in tags:
            shares = [
                round(100 * one.counts.get(side, {}).get(tag, 0) / total, 1) if total else 0.0
                for one, total in zip(ordered, totals, strict=True)
            ]
            name = re.sub(r"[^0-9A-Za-z]+", "_", f"{side}_{tag}")
            about = f"Percentage of the {side} shown that are {tag}"
            properties.append(_describe_number(name, "float32", about, shares))
    return _format_properties([one.cell for one in ordered], properties)


def _tag_types(roots: Sequence[int], types: CellTypes | None) -> list[dict[str, str]]:
    """Write each cell's type as a tag with a description; empty for cells without a type."""
    if types is None:
        return [{} for _ in roots]
    named = types.types.reindex(np.array(roots, dtype="uint64"), fill_value=UNKNOWN_TYPE)
    return [
        {}
        if name == UNKNOWN_TYPE
        else {format_tag(name): f"{name} in {types.view} ({types.column})"}
        for name in named
    ]


def _tag_group(group: str, group_by: str, taken: Collection[str]) -> dict[str, str]:
    """Write a cell's group as a tag, with the column's name if a type has the same name."""
    if not group_by or not group.strip():
        return {}
    tag, about = format_tag(group), f"{group_by}: {group}"
    return {format_tag(f"{group_by}:{group}") if tag in taken else tag: about}


def _describe_tags(name: str, tagged: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Describe each segment's tags, with their descriptions, as the one property that is read."""
    described = {tag: about for each in tagged for tag, about in each.items()}
    tags = sorted(described)
    places = {tag: place for place, tag in enumerate(tags)}
    return {
        "id": name,
        "type": "tags",
        "tags": tags,
        "tag_descriptions": [described[tag] for tag in tags],
        "values": [sorted(places[tag] for tag in each) for each in tagged],
    }


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
    """Write a type as a tag without spaces, because in viewers a tag ends at white space.

    Examples
    --------
    >>> format_tag("L2/3 IT")
    'L2/3_IT'
    """
    return re.sub(r"\s+", "_", name.strip()).lstrip("#") or "_"
