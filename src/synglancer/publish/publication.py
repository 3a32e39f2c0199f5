"""The request for a publication: what to publish, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.publish.destinations import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Publication:
    """The request for a publication: what to publish, and where.

    Parameters
    ----------
    inputs
        Files, globs and Delta Lake folders.
    destination
        A folder, or an address such as ``s3://bucket/folder``.
    datastack, version
        The datastack and version of the rows.
    timestamp
        Timestamp of the version, ISO 8601 UTC, if known.
    table
        The table of predictions.
    tag_column
        The column of the predicted target.
    resolution
        Nanometres per unit of the positions, for each axis.
    synapses
        Files of synapses, to be joined with the predictions.
    memory
        Most memory for all processes together, in bytes.
    counts
        Whether each cell's number of synapses is written as well, as `manifest.COUNTS`.
    timeout
        Seconds that one answer of an object store may take.
    facts
        CAVE's description of the datastack and the table, from `manifest.describe_facts`.
    """

    inputs: tuple[str, ...]
    destination: str
    datastack: str
    version: int
    timestamp: str | None = None
    table: str | None = None
    tag_column: str = "tag"
    resolution: tuple[float, float, float] = (1.0, 1.0, 1.0)
    synapses: tuple[str, ...] = ()
    memory: int = 1_000_000_000
    counts: bool = False
    timeout: float = TIMEOUT
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the request before anything is read.

        Raises
        ------
        UsageError
            When the version is not a version number.
        """
        if not 0 < self.version < 2**31:
            raise UsageError(
                f"--version {self.version} is not a materialization version.",
                "Give the number of the version, such as 1718.",
            )
