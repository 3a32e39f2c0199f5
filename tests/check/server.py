"""A CAVE server in memory that knows states, datastacks, versions and root IDs; and its links."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from links.shelf import A, B, P, Q, R, Shelf, load, synapses
from synglancer.check import checker
from synglancer.errors import ServiceError, SynglancerError
from synglancer.links.building import Asking, build_link
from synglancer.settings import Service, Settings
from synglancer.states.urls import format_link
from view.test_state import DATASTACK, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from synglancer.cave.records import Datastack
    from synglancer.links.link_record import LinkRecord

SERVER = "https://cave.example.org"
STATES = f"{SERVER}/nglstate/api/v1"
SITE = "https://viewer.example.org/"
UNTIL = datetime(2027, 3, 7, 8, 10, tzinfo=timezone.utc)
EDITED = datetime(2026, 5, 1, tzinfo=timezone.utc)
"""A time after the version's own, at which a root ID ended."""
INFO = {
    "local_server": DATASTACK.server,
    "aligned_volume": {"image_source": DATASTACK.image_source},
    "segmentation_source": DATASTACK.segmentation_source,
    **{f"viewer_resolution_{axis}": 4 for axis in "xyz"},
}
AT_1718 = {"version": 1718, "time_stamp": VERSION.timestamp.isoformat(), "status": "AVAILABLE"}


class Server(Shelf):
    """A shelf that also answers what CAVE knows.

    `kept` holds the answer at each address: JSON, bytes or an error. Root IDs are valid from the
    beginning until the time in `ended`.
    """

    def __init__(self, **service: Any) -> None:
        super().__init__(SERVER, **service)
        self.kept: dict[str, Any] = {
            f"{SERVER}/info/api/v2/datastack/full/minnie65_public": INFO,
            versions(1718): {**AT_1718, "expires_on": UNTIL.isoformat()},
        }
        self.ended: dict[int, datetime] = {}
        self.refusal: SynglancerError | None = None

    @property
    def fetcher(self) -> Any:
        return self

    def fetch(self, url: str) -> bytes:
        self.asked.append(f"get {url.removeprefix(SERVER)}")
        answer = self.kept.get(url)
        if answer is None:
            raise ServiceError(f"{url} failed with status 500.", "Try again.")
        if isinstance(answer, SynglancerError):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    fetch_state = fetch

    def build_client(self, datastack: str) -> Any:
        def fetch_validity(stack: Datastack, cells: Sequence[int], at: datetime) -> Any:
            when = f"at {at}" if at < EDITED else "now"
            self.asked.append(f"{datastack} of {stack.server}: {[*cells]} {when}")
            if self.refusal is not None:
                raise self.refusal
            return {cell: cell not in self.ended or at < self.ended[cell] for cell in cells}

        return SimpleNamespace(fetch_validity=fetch_validity)

    def put(self, content: Any, number: int) -> str:
        """Keep a state, or an error, under a number; return a link to it."""
        self.kept[f"{STATES}/{number}"] = content
        return format_link(SITE, f"{STATES}/{number}")


def versions(number: int, datastack: str = "minnie65_public") -> str:
    """Return the address of a version's record."""
    path = f"materialize/api/v3/datastack/{datastack}/version/{number}"
    return f"{DATASTACK.server}/{path}"


def open_checker(
    monkeypatch: pytest.MonkeyPatch, server: Server, service: Service | None = None
) -> checker.Checker:
    """Open a checker whose access is to this server."""
    service = service or Service(server=SERVER)

    def access(given: Service) -> Server:
        assert given is service
        return server

    monkeypatch.setattr(checker, "Access", access)
    return checker.Checker(service)


ROWS = {
    A: [
        (2**63 + 1, "inputs", "spine", 0.9, 500, P, A),
        (2**63 + 2, "inputs", "spine", 0.6, 300, Q, A),
        (2**63 + 3, "outputs", "shaft", 0.7, 100, A, R),
    ],
    B: [(2**63 + 4, "inputs", "spine", 0.8, 200, P, B)],
}


def make(server: Shelf, cell: int, settings: Settings | None = None) -> LinkRecord:
    """Make a link to A with three synapses, or to B with one."""
    settings = settings or Settings(server=SERVER, site=SITE)
    return build_link(Asking(settings, server, str(cell)), load(synapses(*ROWS[cell]), [cell]))


def build_links() -> dict[int, LinkRecord]:
    """Make a link to A, and one to B that holds its state."""
    inline = Settings(server=SERVER, site=SITE, inline=True)
    return {A: make(Shelf(SERVER), A), B: make(Shelf(SERVER), B, inline)}
