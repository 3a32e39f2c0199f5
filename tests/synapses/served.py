"""A session whose server is a shelf of eleven synapses, which answers as CAVE does."""

from __future__ import annotations

from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from links.shelf import TABLE, A, B, P, Q, Shelf, synapses
from synglancer.cave.records import PredictionTable
from synglancer.columns import ASKED_COLUMN, POSITION_COLUMNS
from synglancer.errors import NotServedError, ServiceError, UnreachableError
from synglancer.settings import Settings
from view.test_state import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest

    from synglancer.cave.records import Datastack, Direction, Materialization

S = 1_152_921_504_606_847_000
"""The synapses are S + 1 to S + 11; as floats, they are all the same."""
OUTDATED = A - 1000
"""A cell that is not valid at the version."""
SPINES = PredictionTable("spines_v2", TABLE.synapse_table, None)
VIEW = pd.DataFrame(
    {"id": [1, 2, 3], "pt_root_id": [P, B, Q], "cell_type": ["BC", "23P", "BC"], "mtype": "x"}
)
_PRE = [P, Q, A, B, A, Q, B, P, Q, A, A]
_TAGS = ["spine", "shaft", "spine", "soma", "shaft", "spine", "soma", "shaft"]
_POST = [A, A, P, P, B, A, Q, B, P, Q, P]
_NUMBERS = np.arange(1, len(_PRE) + 1)
# Spine 7 of A has synapses 1 and 6, spine 7 of B has 5 and 8, and spine 3 of P has 3, 4, 9
# and 11.
ROWS = pd.DataFrame(
    {
        "id": S + _NUMBERS,
        "size": 200 - 10 * _NUMBERS,
        "pre_pt_root_id": _PRE,
        "post_pt_root_id": _POST,
        **{
            name: voxel * _NUMBERS for name, voxel in zip(POSITION_COLUMNS, (4, 8, 80), strict=True)
        },
        "tag": [*_TAGS[:5], None, None, *_TAGS[5:], None],
        "value": [0.75, 0.5, 0.25, 1, 0.5, np.nan, np.nan, 1, 0.25, 0.5, np.nan],
        "group_id": [7, 8, 3, 3, 7, 7, -1, 7, 3, 4, 3],
    }
)
_OF_SYNAPSES = ["id", "size", "pre_pt_root_id", "post_pt_root_id", *POSITION_COLUMNS]
_OF_SPINES = ["id", "pre_pt_root_id", "post_pt_root_id", "group_id"]


class Served(Shelf):
    """A session whose client answers from `rows`, `somata` and `view`.

    `asked` lists each query with its arguments, in any order if threads ask; `trouble` may raise
    an error for a query before it is answered.
    """

    def __init__(self, given: int | str = VERSION.version, **shelf: Any) -> None:
        super().__init__(**shelf)
        self._given = given
        self.identity.value = "first data"
        self._lock = Lock()
        self.asked: list[Any] = []
        self.trouble: Callable[..., None] = lambda *_: None
        self.rows = ROWS
        self.somata = {A: [(1.0, 2.0, 3.0)], B: [(4.0, 5.0, 6.0), (7.0, 8.0, 9.0)]}
        self.view = VIEW
        self.tables = {(TABLE.name, ""): TABLE, (SPINES.name, "reference_simple_group"): SPINES}

    @property
    def client(self) -> Any:
        return self

    def note(self, *question: Any) -> None:
        with self._lock:
            self.asked.append(question)
        self.trouble(*question)

    def take(self) -> list[Any]:
        """List what was asked since the last time, sorted."""
        asked, self.asked = sorted(self.asked, key=repr), []
        return asked

    def take_queries(self) -> list[Any]:
        """List the queries since the last time, without those for records."""
        records = {"datastack", "version", "table", "columns"}
        return [question for question in self.take() if question[0] not in records]

    def _load_datastack(self) -> Datastack:
        self.note("datastack")
        return super()._load_datastack()

    def _load_materialization(self) -> Materialization:
        self.note("version", self.datastack.name)
        return super()._load_materialization()

    def _load_table(self, name: str, kind: Any) -> PredictionTable:
        self.note("table", self.datastack.name, self.version, name)
        if (name, kind.schema) not in self.tables:
            raise NotServedError(f"There is no table {name!r}.", "Name another.")
        return self.tables[name, kind.schema]

    def load_view_columns(self, name: str) -> list[str]:
        self.note("columns", name)
        return [*self.view.columns]

    def _find(
        self, columns: list[str], wanted: dict[str, Sequence[int]], *, among: Any = True
    ) -> pd.DataFrame:
        keep = np.logical_and.reduce([self.rows[name].isin([*ids]) for name, ids in wanted.items()])
        return self.rows.loc[keep & among, columns].reset_index(drop=True)

    def fetch_predictions(
        self, stack: Datastack, at: Materialization, table: Any, cells: Any, direction: Direction
    ) -> pd.DataFrame:
        self.note("predictions", stack.name, at.version, table.name, direction, *cells)
        columns, known = [*_OF_SYNAPSES, "tag", "value"], self.rows["tag"].notna()
        return self._find(columns, {ASKED_COLUMN[direction]: cells}, among=known)

    def fetch_synapses(
        self, stack: Datastack, at: Materialization, table: str, cells: Any, direction: Direction
    ) -> pd.DataFrame:
        self.note("synapses", stack.name, at.version, table, direction, *cells)
        return self._find(_OF_SYNAPSES, {ASKED_COLUMN[direction]: cells})

    def fetch_synapse_count(
        self, stack: Datastack, at: Materialization, table: str, cells: Any, direction: Direction
    ) -> int:
        self.note("count", stack.name, at.version, table, direction, *cells)
        return len(self._find(["id"], {ASKED_COLUMN[direction]: cells}))

    def fetch_count_between(
        self, stack: Datastack, at: Materialization, table: str, cells: Any
    ) -> int:
        self.note("between", stack.name, at.version, table, *cells)
        inside = self._find(_OF_SPINES, {"pre_pt_root_id": cells, "post_pt_root_id": cells})
        return int((inside["pre_pt_root_id"] != inside["post_pt_root_id"]).sum())

    def fetch_spines(
        self, stack: Datastack, at: Materialization, table: Any, cells: Any, direction: Direction
    ) -> pd.DataFrame:
        self.note("spines", stack.name, at.version, table.name, direction, *cells)
        wanted = {ASKED_COLUMN[direction]: cells}
        return self._find(_OF_SPINES, wanted, among=self.rows["group_id"] >= 0)

    def fetch_synapses_on(
        self, stack: Datastack, at: Materialization, table: Any, cells: Any, spines: Any
    ) -> pd.DataFrame:
        self.note("on spines", stack.name, at.version, table.name, *cells, *spines)
        return self._find(_OF_SPINES, {"post_pt_root_id": cells, "group_id": spines})

    def fetch_cell_types(
        self, stack: Datastack, at: Materialization, view: str, column: str
    ) -> pd.DataFrame:
        self.note("types", stack.name, at.version, view, column)
        return self.view[["id", "pt_root_id", column]]

    def fetch_somata(
        self, stack: Datastack, at: Materialization, table: str, cells: Any
    ) -> dict[int, list[tuple[float, float, float]]]:
        self.note("somata", stack.name, at.version, table, *cells)
        return {cell: self.somata.get(cell, []) for cell in cells}

    def fetch_validity(self, cells: Sequence[int]) -> dict[int, bool]:
        self.note("validity", *cells)
        return {cell: cell != OUTDATED for cell in cells}


def expire() -> Served:
    """Begin a session with a version that has expired."""
    return Served(version=replace(VERSION, expired=True))


def fail_at(
    kind: str, *about: int | str, error: type[ServiceError] = UnreachableError
) -> Callable[..., None]:
    """Fail for a kind of query, about one of these if there are any."""

    def fail(asked: str, *rest: Any) -> None:
        if asked == kind and (not about or {*about} & {*rest}):
            raise error("No answer.", "Try again.")

    return fail


def serve_only(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """Let this be the only version that has not expired."""
    left = replace(VERSION, version=version)
    monkeypatch.setattr("synglancer.cave.session.fetch_served", lambda *_: [left])
    monkeypatch.setattr(Served, "fetcher", None)


def choose(**more: Any) -> Settings:
    """Choose the tables of this server."""
    usual = {"table": TABLE.name, "multi_input_table": SPINES.name, "cell_type_view": "cells_v3"}
    return Settings(version=VERSION.version, **{**usual, **more})


def synapses_of(direction: str, *numbers: int) -> pd.DataFrame:
    """Make the table of some synapses, by their numbers above `S`."""
    chosen = ROWS.iloc[[number - 1 for number in numbers]].fillna({"tag": "unlabelled"})
    names = ["id", "tag", "value", "size", "pre_pt_root_id", "post_pt_root_id"]
    rows = zip(*(chosen[name].tolist() for name in names), strict=True)
    return synapses(*((row[0], direction, *row[1:]) for row in rows))
