"""Files of unfinished work: written with a checksum, and read back only as they were written."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import write_file
from synglancer.errors import UsageError
from synglancer.publish.plan import PLAN, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUEST = "request.json"
"""Name of the file with the settings that every process reads."""


def write_work(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of unfinished work: its SHA-256 on the first line, then JSON, in order."""
    text = json.dumps(content, indent=1).encode()
    write_file(path, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def read_work(path: Path, work: Path) -> dict[str, Any]:
    """Read a file of unfinished work.

    Parameters
    ----------
    path
        The file.
    work
        The folder of work, for messages.

    Raises
    ------
    UsageError
        When it is damaged or was edited.
    """
    digest, _, text = path.read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise build_damaged(path, work)
    return json.loads(text)


def build_damaged(path: Path, work: Path) -> UsageError:
    """Make the error for a file of unfinished work that is missing or damaged."""
    return UsageError(
        f"The earlier run cannot be continued, because {path} is damaged.",
        f"Remove {work}, then publish again without --resume.",
    )


@lru_cache(maxsize=4)
def load_request(work: str, _mark: str) -> dict[str, Any]:
    """Load the request in a work folder, once per process."""
    return read_work(Path(work) / REQUEST, Path(work))


@lru_cache(maxsize=4)
def load_plan(work: str, _mark: str) -> Plan:
    """Load the plan in a work folder, once per process."""
    return Plan.from_json(read_work(Path(work) / PLAN, Path(work)))
