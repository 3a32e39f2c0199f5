"""The sandbox's table as a published source, which is written when it is first used."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from synglancer.cave.session import Session
from synglancer.settings import Question

if TYPE_CHECKING:
    from pathlib import Path

    from synglancer.settings import Settings

SAMPLE = "sample"
"""Value of --source for the sandbox's own source."""

_PATIENCE = 300.0
"""Seconds to wait while another process publishes it."""


def publish_sample(settings: Settings) -> str:
    """Publish the sandbox's table unless it is already published, and return its address.

    Raises
    ------
    UsageError
        When no table is given.
    ServiceError
        When the sandbox does not serve it.
    """
    from synglancer.cache.locks import locked
    from synglancer.cave.sandbox import find_published
    from synglancer.publish.manifest import MANIFEST

    datastack = settings.datastack
    asked = Question(datastack=datastack, version=settings.version, table=settings.table)
    table = str(asked.table)
    session = Session.begin(settings, version=asked.version)
    session.confirm_data()
    told = [session.identity.value, datastack, session.version, table]
    name = hashlib.sha256(repr(told).encode()).hexdigest()[:16]
    folder = find_published() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f".{name}.lock"), _PATIENCE):
        if not (folder / MANIFEST).exists():
            _publish(session, table, folder)
    return f"{session.server}/published/{name}"


def _publish(session: Session, table: str, folder: Path) -> None:
    """Publish a table while it is fetched; links ask the sandbox for the address of the images."""
    from synglancer.cave.metadata import PREDICTIONS
    from synglancer.publish.cave_input import fetch_table
    from synglancer.publish.manifest import describe_facts
    from synglancer.publish.publication import Publication
    from synglancer.publish.publishing import choose_work, publish

    notice, at = session.load_table(table, PREDICTIONS).notice, session.materialization
    asked = Publication(
        inputs=(),
        destination=str(folder),
        datastack=session.datastack.name,
        version=at.version,
        table=table,
        facts=describe_facts(None, notice, at.timestamp),
    )
    begun = choose_work(str(folder)).exists()
    publish(
        asked,
        resume=begun,
        fetch=lambda work, progress: fetch_table(session, table, work, progress),
    )
