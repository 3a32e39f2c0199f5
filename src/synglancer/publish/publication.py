"""What is to be published, and where."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What is to be published, and where.

    Parameters
    ----------
    inputs
        Files, globs and Delta Lake folders.
    destination
        A folder, or an address such as ``s3://bucket/folder``.
    datastack, version
        What the rows belong to.
    timestamp
        When the version was made, ISO 8601 UTC, if it is known.
    table
        The table that they come from.
    tag_column
        The column of the predicted target.
    resolution
        Nanometres per unit of the positions, for each axis.
    synapses
        Files of synapses to join predictions with.
    memory
        Bytes that all processes together may take.
    counts
        Whether each cell's number of synapses is written as well, as `manifest.COUNTS`.
    facts
        What CAVE said of the datastack and the table, as `manifest.describe_facts` returns it.
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
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what can be checked without reading anything.

        Raises
        ------
        UsageError
            When the version is not a number of a version.
        """
        if self.version < 1:
            raise UsageError(
                f"--version {self.version} is not a materialization version.",
                "Give the number of the version, such as 1718.",
            )
