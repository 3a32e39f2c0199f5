"""Keep the predictions of a review as a comment in the layer's shader.

Reviewers can edit and delete annotations in the viewer, but the viewer keeps the shader when the
view is shared. So the predictions are read from the comment.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synglancer.states.fields import read_cell, read_text
from synglancer.states.record_copy import format_comment

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = "synglancer_rows"
"""The word before the comment."""

SIDES = {"inputs": "input", "outputs": "output", "between": "between"}
"""The word for each direction in descriptions."""

_LINE = re.compile(rf"^[ \t]*// {ROWS}: (\{{[ -~]*\}})[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """A synapse to review.

    Attributes
    ----------
    id
        Of the synapse.
    direction
        ``inputs`` or ``outputs`` of the cells, or ``between`` them.
    tag
        The predicted tag.
    confidence
        Of the prediction, 0 to 1.
    """

    id: int
    direction: str
    tag: str
    confidence: float


@dataclass(frozen=True)
class Listing:
    """All synapses of a review.

    Attributes
    ----------
    rows
        In their order.
    tags
        All tags with a mark, in the order of the marks, including all predicted tags.
    """

    rows: Sequence[Row]
    tags: Sequence[str]

    def describe(self, place: int) -> str:
        """Describe a synapse: its number, the total, and the prediction.

        Examples
        --------
        >>> Listing([Row(5, "inputs", "spine", 0.341)], ["spine"]).describe(0)
        '1/1 input · spine 0.34'
        """
        row = self.rows[place]
        said = f"{SIDES[row.direction]} · {row.tag} {row.confidence:.2f}"
        return f"{place + 1}/{len(self.rows)} {said}"


def format_rows(listing: Listing) -> str:
    """Write the synapses as one line of comment in GLSL, with its line break."""
    rows, tags, directions = listing.rows, list(listing.tags), list(SIDES)
    columns = {
        "tags": tags,
        "id": [str(row.id) for row in rows],
        "direction": [directions.index(row.direction) for row in rows],
        "tag": [tags.index(row.tag) for row in rows],
        "confidence": [row.confidence for row in rows],
    }
    return format_comment(ROWS, columns)


def read_rows(shader: object) -> Listing | None:
    """Read the synapses from a shader; None if the comment is missing or damaged."""
    found = _LINE.search(shader) if isinstance(shader, str) else None
    if found is None:
        return None
    try:
        return _build_listing(json.loads(found[1]))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None


def _build_listing(columns: dict[str, Any]) -> Listing:
    directions, tags = list(SIDES), [read_text(tag) for tag in columns["tags"]]
    rows = [
        Row(read_cell(synapse), directions[side], tags[tag], _read_share(confidence))
        for synapse, side, tag, confidence in zip(
            columns["id"],
            columns["direction"],
            columns["tag"],
            columns["confidence"],
            strict=True,
        )
    ]
    return Listing(rows, tags)


def _read_share(given: object) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError(given)
    return float(given)
