"""Properties of segments: what the viewer's list of segments says of each partner.

The form is Neuroglancer's ``neuroglancer_segment_properties``: the partner's type as a tag, which
the list can be filtered by, and its numbers of synapses, which it can be sorted by.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from synglancer.settings import UNKNOWN_TYPE
from synglancer.synapses.partners import read_partners

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
        properties.append(
            {
                "id": name,
                "type": "number",
                "data_type": "uint32",
                "description": f"Synapses among the {name} shown",
                "values": [int(count) for count in number],
            }
        )
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
