"""CAVE's description of minnie65_public, for users without access; copied from the info service."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from synglancer.cave.records import Datastack, Materialization
from synglancer.settings import DEFAULT_DATASTACK, DEFAULT_SERVER, DEFAULT_VERSION

if TYPE_CHECKING:
    from synglancer.cave.session import Session

_MINNIE65 = Datastack(
    name=DEFAULT_DATASTACK,
    server="https://minnie.microns-daf.com",
    image_source="precomputed://https://bossdb-open-data.s3.amazonaws.com/iarpa_microns/minnie/minnie65/em",
    segmentation_source="graphene://https://minnie.microns-daf.com/segmentation/table/minnie65_public",
    skeleton_source=(
        "precomputed://https://minnie.microns-daf.com/skeletoncache/api/v1/minnie65_public/"
        "precomputed/skeleton/"
    ),
    viewer_resolution=(4.0, 4.0, 40.0),
    viewer_site="https://spelunker.cave-explorer.org",
    synapse_table="synapses_pni_2",
    soma_table="nucleus_detection_v0",
)
_VERSION = Materialization(
    DEFAULT_VERSION, datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc), None
)


def find_profile(session: Session, datastack: str) -> Datastack | None:
    """Find what is known of a datastack without a request; None for another datastack or server."""
    known = session.server == DEFAULT_SERVER and datastack == DEFAULT_DATASTACK
    return _MINNIE65 if known else None


def find_version(session: Session, datastack: str, version: int) -> Materialization | None:
    """Find what is known of a version without a request; None for any but the default one."""
    known = find_profile(session, datastack) is not None and version == DEFAULT_VERSION
    return _VERSION if known else None
