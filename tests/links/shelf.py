"""Loaded synapses, and a session whose server is a shelf in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.cache.answers import Store
from synglancer.cave.records import PredictionTable
from synglancer.cave.session import Session
from synglancer.columns import DTYPES
from synglancer.errors import NotServedError
from synglancer.links.loaded import Loaded
from synglancer.settings import Service, Settings
from synglancer.synapses.loading import CellData
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from synglancer.cave.records import Datastack, Materialization

A, B, C = 864691135276234469, 864691135276234471, 2**64 - 3
"""Cells that are shown; as floats, the first two are the same."""
P, Q, R = 864691136000000001, 864691136000000003, 2**64 - 1
"""Their partners."""
TABLE = PredictionTable("predictions_v7", "synapses_pni_2", "The owner's notice.")


def synapses(*rows: tuple[int, str, str, float, int, int, int]) -> pd.DataFrame:
    """Make a table of predictions from IDs, directions, tags, confidences, sizes, and both ends."""
    whole = [(*row, *(side * (row[0] % 1000) for side in (4, 8, 80))) for row in rows]
    columns = zip(*whole, strict=True) if whole else [()] * len(DTYPES)
    kinds = {name: "object" if kind == "str" else kind for name, kind in DTYPES.items()}
    named = zip(kinds.items(), columns, strict=True)
    return pd.DataFrame({name: np.array(column, kind) for (name, kind), column in named})


def load(
    frame: pd.DataFrame, cells: Sequence[int] = (A,), data: CellData | None = None, **more: Any
) -> Loaded:
    """Load synapses; all of them are shown unless `more` names others as shown."""
    data = data or CellData([], {*cells}, {})
    parts = {"table": TABLE, "frame": frame, "shown": frame, "data": data, **more}
    return Loaded(cells, **parts)


def layer_names(link: Any) -> list[str]:
    """List the names of a link's layers, in their order."""
    return [layer["name"] for layer in link.state["layers"]]


class Shelf(Session):
    """A session that keeps what is uploaded in `kept`, by its address, and lists the requests."""

    def __init__(
        self,
        server: str = "https://cave.example.org",
        datastack: Datastack = DATASTACK,
        version: Materialization = VERSION,
        **service: Any,
    ) -> None:
        super().__init__(
            Service(server=server, **service), Store(), version.version, "a-known-token"
        )
        self._known = datastack, version
        self.kept: dict[str, bytes] = {}
        self.asked: list[str] = []

    def _load_datastack(self) -> Datastack:
        return self._known[0]

    def _load_materialization(self) -> Materialization:
        return self._known[1]

    def fetch_datastack(self, name: str) -> Datastack:
        self.asked.append(f"confirm {name}")
        return self._known[0]

    def _put(self, content: bytes, place: str, end: str) -> str:
        self.asked.append(f"put {place or '/state'}")
        url = f"{self.server}/nglstate/api/v1{place}/{len(self.kept) + 5}"
        self.kept[url + end] = content
        return url

    def upload_state(self, state: bytes) -> str:
        return self._put(state, "", "")

    def upload_properties(self, properties: bytes) -> str:
        return self._put(properties, "/property", "/info")

    def fetch_state(self, state_url: str) -> bytes:
        self.asked.append(f"get {state_url.removeprefix(self.server)}")
        if state_url not in self.kept:
            raise NotServedError(f"There is nothing at {state_url}.", "Store it again.")
        return self.kept[state_url]


def stand_in(monkeypatch: pytest.MonkeyPatch, session: Shelf) -> list[tuple[Any, ...]]:
    """Let every session that begins be this shelf; return what each was begun with."""
    begun: list[tuple[Any, ...]] = []

    def begin(settings: Settings, **more: Any) -> Shelf:
        begun.append((settings, more))
        return session

    monkeypatch.setattr(Session, "begin", begin)
    return begun
