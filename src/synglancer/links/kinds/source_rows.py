"""Read and count the rows of cells in a published source, as its layers show them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.publish.source import PARTNER_OF, RELATIONSHIP_OF
from synglancer.view.camera import find_middle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from synglancer.publish.source import Layer, Rows, Source
    from synglancer.view.annotations import AnnotationGroup

_SOMA = "soma"
_ENOUGH = 10
"""The number of synapses onto a soma that is enough for their middle to lie inside it."""

_NO_ROWS = np.zeros(0, [("id", "<u8"), ("point", "<f4", 3)])


class CellRows:
    """The rows of the cells that one link shows.

    Parameters
    ----------
    rows
        Root ID → direction and tag → rows, for all directions and tags of the source.
    directions, tags
        Which of them are shown, in the order of the layers.
    """

    def __init__(
        self,
        rows: Mapping[int, Mapping[Layer, Rows]],
        directions: Sequence[str],
        tags: Sequence[str],
    ) -> None:
        from synglancer.view.tag_order import sort_tags

        self.cells = [*rows]
        self._rows = rows
        self._directions = directions
        self._tags = sort_tags(tags)
        self._layers = {
            (direction, tag): _join([own[direction, tag] for own in rows.values()])
            for direction in directions
            for tag in self._tags
        }

    def count(self) -> dict[str, dict[str, int]]:
        """Count the rows of each layer that has any: direction → tag → count, tags sorted."""
        return {
            direction: {
                tag: len(self._layers[direction, tag])
                for tag in sorted(self._tags)
                if len(self._layers[direction, tag])
            }
            for direction in self._directions
        }

    @property
    def shown(self) -> int:
        """The rows of all shown layers."""
        return sum(map(len, self._layers.values()))

    @property
    def total(self) -> int:
        """The rows of the shown directions, with any tag."""
        return sum(
            len(rows)
            for own in self._rows.values()
            for (direction, _), rows in own.items()
            if direction in self._directions
        )

    @property
    def positions(self) -> NDArray[Any]:
        """Positions of the shown rows, shape (n, 3), in nm."""
        return _join([*self._layers.values()])["point"]

    def count_below(self, confidence: float) -> dict[str, dict[str, int]]:
        """Count the rows that a slider hides, compared in float32 as in the shader."""
        counts: dict[str, dict[str, int]] = {}
        for direction, tags in self.count().items():
            below = {
                tag: int(
                    (self._layers[direction, tag]["confidence"] < np.float32(confidence)).sum()
                )
                for tag in tags
            }
            counts[direction] = {tag: number for tag, number in below.items() if number}
        return counts

    @cached_property
    def autapses(self) -> NDArray[np.uint64]:
        """IDs of the synapses of cells onto themselves, with the shown tags."""
        own = []
        for cell in self.cells:
            received, made = (self._gather(cell, name)["id"] for name in RELATIONSHIP_OF)
            own.append(np.intersect1d(received, made, assume_unique=True))  # each occurs once
        return np.concatenate(own)

    @cached_property
    def shared(self) -> Rows:
        """The synapses from one of the cells onto another, with the shown tags."""
        if len(self.cells) == 1:
            return self._gather(self.cells[0], "inputs")[:0]
        made = _join([self._gather(cell, "outputs") for cell in self.cells])
        received = _join([self._gather(cell, "inputs") for cell in self.cells])
        inside = np.isin(made["id"], received["id"])
        return made[inside & ~np.isin(made["id"], self.autapses)]

    def find_focus(self) -> tuple[float, float, float] | None:
        """Find the centre of the view: a synapse between the cells, or the middle of a soma."""
        if len(self.shared):
            return find_middle(self.shared["point"])
        around = self._rows[self.cells[0]].get(("inputs", _SOMA))
        if around is None or len(around) < _ENOUGH:
            return None
        x, y, z = np.median(around["point"], axis=0).tolist()
        return x, y, z

    def _gather(self, cell: int, direction: str) -> Rows:
        """Gather a cell's rows of a direction with the shown tags."""
        return _join([self._rows[cell][direction, tag] for tag in self._tags])

    def build_groups(self, properties: Sequence[str]) -> list[AnnotationGroup]:
        """Describe each layer for the view, including layers without rows."""
        from synglancer.view.annotations import CONFIDENCE, SIZE, AnnotationGroup

        carried = tuple(one for one in (CONFIDENCE, SIZE) if one.id in properties)
        return [
            AnnotationGroup(
                direction=direction,
                tag=tag,
                count=len(rows),
                json=b"",
                properties=carried,
                median_size=float(np.median(rows["size"]))
                if len(rows) and "size" in properties
                else 0.0,
            )
            for (direction, tag), rows in self._layers.items()
        ]

    def find_partners(self, count: int, source: Source) -> list[tuple[int, int]]:
        """Find the partners with the most synapses, as `find_strongest_partners` does."""
        if not count or not self._layers:
            return []
        import pandas as pd

        from synglancer.synapses.partners import find_strongest_partners

        parts = []
        for cell, own in self._rows.items():
            for place in self._layers:
                rows, (direction, _) = own[place], place
                sides = {
                    RELATIONSHIP_OF[direction]: np.full(len(rows), cell, np.uint64),
                    PARTNER_OF[direction]: source.read_partners(rows["id"], *place),
                }
                columns = {f"{side}_pt_root_id": cells for side, cells in sides.items()}
                size = rows["size"] if "size" in (rows.dtype.names or ()) else 0
                parts.append(pd.DataFrame({"direction": direction, "size": size, **columns}))
        return find_strongest_partners(pd.concat(parts), self.cells, count)


def _join(parts: Sequence[Rows]) -> Rows:
    """Join rows of the same kind; a single part stays unchanged, and there may be none."""
    if not parts:
        return _NO_ROWS
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
