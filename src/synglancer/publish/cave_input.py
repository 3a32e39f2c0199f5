"""Fetch a whole table of predictions from CAVE in ranges of synapse IDs.

One range is fetched at a time, so that the server gets only one query at a time. Fetched ranges are
kept, and an interrupted run continues after them.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from synglancer.cave.metadata import PREDICTIONS
from synglancer.cave.pagination import Span
from synglancer.errors import NotServedError
from synglancer.publish.inputs import InputFile
from synglancer.publish.manifest import describe_facts
from synglancer.publish.reading.profile import find_profile, find_version
from synglancer.publish.staging import finished
from synglancer.publish.writing.work import read_work, write_work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from synglancer.cave.session import Session

_ROWS = 100_000
"""Approximate number of rows in a range: half of the servers' row limit."""

_STATE = "state.json"
_FIRST_STEP = 100_000
_LAST_ID = 2**63
_WIDER = 4


def fetch_table(
    session: Session,
    table: str,
    work: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[InputFile]:
    """Fetch a table of predictions with their synapses, as Parquet files.

    Parameters
    ----------
    session
        The session with CAVE.
    table
        The table's name.
    work
        The work folder.
    progress
        Called with the number of fetched ranges; the total is unknown.

    Raises
    ------
    NotServedError
        When the version has no such table, or it is empty.
    ServiceError
        When the server fails; the ranges fetched so far are kept.
    """
    folder = work / "fetched"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _STATE
    state: dict[str, Any] = {"next": 0, "step": _FIRST_STEP, "files": []}
    if path.exists():
        state = read_work(path, work)
    record = session.load_table(table, PREDICTIONS)
    at, datastack = session.materialization, session.datastack
    while state["next"] < _LAST_ID:
        first, step = state["next"], state["step"]
        span = Span(first, min(first + step, _LAST_ID))
        with session.explain_refused_live():
            frame = session.client.fetch_range(datastack, at, record, span)
        rows = len(frame)
        if rows:
            state["files"].append(_save(frame, folder, len(state["files"])))
        # An empty range may be a gap or the end of the table; larger and larger steps tell which.
        if not rows:
            step *= _WIDER
        elif rows < _ROWS // 2 or rows > 2 * _ROWS:
            step = max(1, min(step * _ROWS // rows, step * _WIDER))
        state |= {"next": span.end, "step": step}
        write_work(path, state)
        if progress:
            progress("fetch_range", len(state["files"]), 0)
    if not state["files"]:
        raise NotServedError(
            f"The table {table!r} has no rows at version {at.version}.", "Give another --table."
        )
    return [
        InputFile(str(folder / name), "parquet", f"{table} ({name})") for name in state["files"]
    ]


def find_facts(session: Session, table: str | None) -> dict[str, Any]:
    """Find the facts on datastack and version that links on a source need.

    CAVE is queried (at most 3 requests) only with a token, or if a server was named.

    Parameters
    ----------
    session
        The session with CAVE.
    table
        The table whose notice is requested, or None.

    Returns
    -------
    dict
        For the manifest, as `describe_facts` returns it, with the version's timestamp (ISO 8601).

    Raises
    ------
    ServiceError
        When CAVE is queried, and refuses or fails.
    """
    name, version = session.datastack_name, session.version
    if not (session.token or session.is_named):
        known, at = find_profile(session, name), find_version(session, name, version)
        return describe_facts(known, None, at.timestamp if at else None)
    datastack, timestamp = session.datastack, session.materialization.timestamp
    notice = None
    if table is not None:
        with suppress(NotServedError):
            notice = session.load_table(table, PREDICTIONS).notice
    return describe_facts(datastack, notice, timestamp)


def _save(frame: Any, folder: Path, number: int) -> str:
    """Save rows under a fixed name, which an interrupted run would have used too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = f"{number:06d}.parquet"
    # The server returns rows in any order, but the same rows must give the same file.
    ordered = frame.sort_values(["id", "value", "tag"])[sorted(frame.columns)]
    with finished(folder / name) as path:
        pq.write_table(pa.Table.from_pandas(ordered, preserve_index=False), path)
    return name
