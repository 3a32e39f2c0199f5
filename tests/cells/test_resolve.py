"""An outdated root ID is followed to one cell, or refused with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from synglancer.cave.records import Soma
from synglancer.cells.resolve import resolve_outdated
from synglancer.cells.root_ids import RootIds
from synglancer.errors import BadAnswerError, CellError, LoginError, NotServedError, ServiceError

OLD, FIRST, SECOND = 1, 2, 3
THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
FAILED = ServiceError("It failed with status 500.", "Try again later.")


@dataclass
class Graph:
    """A chunked graph with an outdated root ID and its successors."""

    lifetime: Any = (THEN, THEN)
    related: Any = (OLD, FIRST, SECOND)
    valid: tuple[int, ...] = (FIRST, SECOND)
    nuclei: Any = ()
    materialization: Any = field(default_factory=lambda: SimpleNamespace(version=5, timestamp=THEN))

    def name_version(self) -> str:
        return "version 5"

    def fetch_validity(self, root_ids: list[int]) -> dict[int, bool]:
        return {one: one in self.valid for one in root_ids}

    def fetch_first_timestamps(self, root_ids: list[int]) -> list[datetime]:
        return [THEN for _ in root_ids]

    def fetch_lifetime(self, _: int) -> Any:
        return _give(self.lifetime)

    def fetch_related(self, _: int) -> Any:
        return _give(self.related)

    def fetch_nuclei(self, *_: object) -> Any:
        return "nuclei", _give(self.nuclei)

    def fetch_roots(self, supervoxels: list[int], _: datetime) -> list[int]:
        return [OLD for _ in supervoxels]


def _give(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def follow(graph: Graph) -> Any:
    return resolve_outdated(RootIds(graph), OLD, strict=False)  # type: ignore[arg-type]


def test_the_nucleus_decides_between_successors():
    """The successor with the nucleus that lay in the root ID is used."""
    followed = follow(Graph(nuclei=[Soma(7, FIRST, 0), Soma(8, SECOND, 20)]))
    assert (followed.used, followed.why) == (SECOND, "nucleus")


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (Graph(lifetime=FAILED), "1 is not the root ID of a cell in version 5."),
        (Graph(related=NotServedError("No.", "No.")), "1 is not the root ID of a cell"),
        (Graph(valid=()), "1 is not the root ID of a cell in version 5."),
        (Graph(nuclei=NotServedError("No.", "No.")), "several cells: 2, 3."),
        (Graph(nuclei=[Soma(7, FIRST, 0)]), "several cells: 2, 3."),
    ],
)
def test_what_is_not_certain_is_refused(graph, reason):
    """A number whose history fails, one without a valid successor, and one whose parts have no
    nucleus to decide between them are refused."""
    with pytest.raises(CellError, match=reason):
        follow(graph)


@pytest.mark.parametrize(
    "error", [LoginError("No token.", "Give one."), BadAnswerError("No.", "No.")]
)
def test_errors_about_all_cells_are_not_about_this_one(error):
    """A missing login and an answer that is not CAVE's are reported as they are."""
    with pytest.raises(type(error)):
        follow(Graph(lifetime=error))
