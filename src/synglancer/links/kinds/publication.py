"""Publish large cells as their own source, and make a link on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from synglancer.errors import ServiceError, SynglancerError, UsageError
from synglancer.links.kinds.source import SourceMaker
from synglancer.links.kinds.source_checks import check_options
from synglancer.links.make import LinkMaker
from synglancer.states.urls import find_bucket_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.cave.session import Session
    from synglancer.links.link_record import LinkRecord
    from synglancer.links.loaded import Loaded
    from synglancer.settings import Settings


class PublishingMaker(LinkMaker):
    """Publishes the synapses of cells, and makes one link for them on that source.

    Raises
    ------
    UsageError
        When layers on a source do not support an option.
    """

    def __init__(
        self, settings: Settings, command: Sequence[str] | None = None, token: str | None = None
    ) -> None:
        check_options(settings)
        self._asked = settings
        self._known_token = token
        # Both directions are published, and all tags, whichever are shown at first.
        super().__init__(replace(settings, inputs=False, outputs=False), command, token)

    def expect(self, cells: Sequence[str]) -> None:
        """Refuse a batch, because all of its links would be published to the same place."""
        raise UsageError(
            f"--publish-to publishes the cells of one link, but {len(cells):,} links were "
            "requested.",
            "Add --together, or publish the table with `synglancer publish` and give it with "
            "--source.",
        )

    def make(self, *given: int | str) -> LinkRecord:
        """Publish the synapses of one cell or several together, and make a link on them.

        Raises
        ------
        SynglancerError
            One of its subclasses. The published files stay, and the error says so.
        """
        destination = str(self._asked.publish_to).removeprefix("file://")
        _check_place(destination, self._settings.timeout)
        session, loaded = self.load_together(*given)
        _publish(session, loaded, destination, self._settings.timeout)
        settings = _find_source(self._asked, destination)
        try:
            maker = SourceMaker(settings, self._command, self._known_token)
        except ServiceError as error:
            raise ServiceError(
                f"The synapses were published to {destination}, but viewers cannot read them "
                f"yet: {error}",
                f"Serve {destination} at that address, with range requests and CORS. Then give "
                "the address with --source instead of --publish-to.",
            ) from error
        return maker.make(*given)


def _check_place(destination: str, timeout: float) -> None:
    """Refuse a place that already holds files, before any request."""
    from synglancer.publish.destinations import open_destination
    from synglancer.publish.manifest import MANIFEST

    place = open_destination(destination, timeout)
    if place.read(MANIFEST) is not None:
        raise UsageError(
            f"{destination} already holds a published source.",
            "Use it with --source, or choose another place with --publish-to.",
        )
    if not place.is_empty():
        raise UsageError(f"{destination} is not empty.", "Choose another place with --publish-to.")


def _publish(session: Session, loaded: Loaded, destination: str, timeout: float) -> None:
    """Publish the synapses of cells, each once."""
    from synglancer.publish.manifest import describe_facts
    from synglancer.publish.publication import Publication
    from synglancer.publish.publishing import choose_work, publish

    at, table = session.materialization, loaded.table
    if not len(loaded.frame):
        raise UsageError(
            "There are no synapses to publish.", "Give another cell, or leave out --publish-to."
        )
    facts = {
        **describe_facts(session.datastack, table.notice, at.timestamp),
        "cells": [str(cell) for cell in loaded.cells],
    }
    rows = loaded.frame.drop_duplicates("id")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "synapses.parquet"
        rows.drop(columns="direction").to_parquet(file, index=False)
        asked = Publication(
            inputs=(str(file),),
            destination=destination,
            datastack=session.datastack.name,
            version=at.version,
            table=table.name,
            timeout=timeout,
            facts=facts,
        )
        try:
            publish(asked)
        except SynglancerError:  # no later link can continue with a file that is gone
            rmtree(choose_work(destination), ignore_errors=True)
            raise


def _find_source(settings: Settings, destination: str) -> Settings:
    """Find the address at which viewers read the published source."""
    if "://" not in destination:
        if settings.public_url is not None:
            return replace(settings, publish_to=None, source=destination)
        raise UsageError(
            f"The synapses were published to {destination}, but viewers cannot read a folder.",
            f"Run `synglancer serve {destination}`, and give the address that it prints with "
            "--source instead of --publish-to.",
        )
    address = settings.public_url or find_bucket_url(destination)
    if address is None:
        raise UsageError(
            f"The synapses were published to {destination}, but the address at which viewers "
            "can read them is not known.",
            "Give that address with --source instead of --publish-to.",
        )
    return replace(settings, publish_to=None, source=address, public_url=None)
