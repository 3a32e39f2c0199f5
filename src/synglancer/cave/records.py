"""The records of datastacks, versions and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

Direction = Literal["inputs", "outputs", "synapse"]
"""The side of the synapses on which the requested cells are; or the synapses themselves."""


@dataclass(frozen=True)
class Datastack:
    """A datastack, as the info service describes it.

    Attributes
    ----------
    name
        The datastack's name, e.g. ``minnie65_public``.
    server
        Address of the server that answers its queries, without a trailing slash.
    image_source, segmentation_source
        Neuroglancer source URLs, as the info service gives them.
    skeleton_source
        Neuroglancer source URL of its skeletons, or None.
    viewer_resolution
        Size of the viewer's voxel in nm, (x, y, z).
    viewer_site
        Address of the viewer that its users open, or None.
    synapse_table, soma_table
        Names of its tables of synapses and of somata, or None.
    """

    name: str
    server: str
    image_source: str
    segmentation_source: str
    skeleton_source: str | None
    viewer_resolution: tuple[float, float, float]
    viewer_site: str | None
    synapse_table: str | None
    soma_table: str | None


@dataclass(frozen=True)
class Materialization:
    """A materialization version of a datastack.

    Attributes
    ----------
    version
        The version's number.
    timestamp
        The timestamp of its data (UTC).
    expires_on
        When it expires (UTC), or None if the service does not say.
    expired
        Whether it has expired, so that only live queries at its timestamp are possible.
    """

    version: int
    timestamp: datetime
    expires_on: datetime | None
    expired: bool = False


@dataclass(frozen=True)
class Soma:
    """A row of a datastack's table of somata.

    Attributes
    ----------
    nucleus
        The ID of its nucleus.
    root_id, supervoxel
        The cell and the supervoxel that it lies in, 0 for none.
    """

    nucleus: int
    root_id: int
    supervoxel: int


@dataclass(frozen=True)
class PredictionTable:
    """A table of predictions that refers to a table of synapses.

    Attributes
    ----------
    name
        The prediction table, schema ``reference_tag_float``.
    synapse_table
        The table that its ``target_id`` refers to.
    notice
        The notice of its owner, or None.
    """

    name: str
    synapse_table: str
    notice: str | None
