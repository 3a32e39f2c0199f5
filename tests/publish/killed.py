"""Publish in a process that kills itself before or after a rename, as in a power cut."""

from __future__ import annotations

import os
import signal
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.publish.publication import Publication
from synglancer.publish.publishing import publish

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: Processes that begin with all modules imported: there are many, and none is about imports.
_PROCESSES = get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    ["synglancer.publish.publishing", "duckdb", "pandas", "pyarrow.compute", "pyarrow.parquet",
     "tensorstore", "isal.igzip"]
)  # fmt: skip

_replace = Path.replace


def publish_killed(asked: dict[str, Any], at: int, when: str) -> tuple[int | None, int | None]:
    """Publish in a process that dies at the rename with the given number.

    An unfinished publication is resumed. Returns the exit code, and the number of renames if the
    publication was finished.
    """
    told, tell = _PROCESSES.Pipe(duplex=False)
    process = _PROCESSES.Process(target=_publish, args=(asked, at, when, tell))
    process.start()
    tell.close()
    try:
        renames = told.recv()
    except EOFError:
        renames = None
    process.join()
    told.close()
    return process.exitcode, renames


def _publish(asked: dict[str, Any], at: int, when: str, tell: Connection) -> None:
    seen = 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal seen
        seen += 1
        if seen == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = _replace(self, target)
        if seen == at and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = replace  # type: ignore[method-assign,assignment]
    publish(Publication(**asked), resume=(Path(asked["destination"]) / ".publishing").exists())
    tell.send(seen)
