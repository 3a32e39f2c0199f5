"""Choose how links are made: from CAVE's tables, or on a published source."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.links.make import LinkMaker
    from synglancer.settings import Settings


def open_maker(
    settings: Settings, command: Sequence[str] | None = None, token: str | None = None
) -> LinkMaker:
    """Open the maker of links for several cells with the same settings.

    Raises
    ------
    UsageError
        When a source does not support the options, or has another datastack, version or table.
    ServiceError
        When a source cannot be read.
    """
    if settings.publish_to is not None:
        from synglancer.links.kinds.publication import PublishingMaker

        return PublishingMaker(settings, command, token)
    if settings.source is None:
        from synglancer.links.kinds.synapse import SynapseMaker

        return SynapseMaker(settings, command, token)
    from synglancer.links.kinds.sample_source import SAMPLE, publish_sample
    from synglancer.links.kinds.source import SourceMaker  # reads with numpy

    if settings.sandbox and settings.source == SAMPLE:
        settings = replace(settings, source=publish_sample(settings))

    return SourceMaker(settings, command, token)
