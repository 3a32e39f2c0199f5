"""What the sandbox serves, as plain records: datastacks, versions, tables and root IDs over time.

`data_folder` fills these records from files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cave_sandbox.tables.schemas import fields_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from cave_sandbox.tables.schemas import Field


@dataclass(frozen=True)
class Version:
    """A materialization version."""

    version: int
    time_stamp: datetime  # the moment that it shows, UTC
    expires_on: datetime  # when it stops being served, UTC
    status: str = "AVAILABLE"  # AVAILABLE or EXPIRED
    #: names of its tables and views; None for all of the datastack's
    tables: frozenset[str] | None = None
    row: int = 1  # the ID that the service gives it
    merged: bool = False  # whether its tables are said to be merged with their segmentation

    @property
    def available(self) -> bool:
        """Whether its tables are served."""
        return self.status == "AVAILABLE"


@dataclass(frozen=True)
class Table:
    """A table or a view: where its rows are, and what the services say about it."""

    name: str
    schema: str  # name of its annotation schema
    path: Path  # the file that holds its rows
    #: size of the voxel that its positions count, in nm, (x, y, z)
    voxel_resolution: tuple[float, float, float]
    stored: tuple[str, ...]  # the columns that the file has
    reference_table: str | None = None  # the table that its target_id refers to
    #: further metadata, from datastack.json
    details: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Field, ...] = ()  # of a view, which has no schema
    edition: int | None = None  # the version that these rows are of, where it has its own

    @property
    def rows(self) -> str:
        """What its rows are called in the database."""
        return self.name if self.edition is None else f"{self.name}@{self.edition}"

    @property
    def is_view(self) -> bool:
        """Whether it is a view: rows without IDs of their own that are never deleted."""
        return bool(self.columns)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Its columns, as a query names them."""
        return self.columns or fields_of(self.schema)


@dataclass(frozen=True)
class Root:
    """A root ID in time."""

    root_id: int
    created: datetime  # UTC
    expired: datetime | None  # UTC; None while it is valid
    successors: tuple[int, ...]  # what took its place, the largest part first

    def valid_at(self, timestamp: datetime) -> bool:
        """Whether it is a root ID at a timestamp."""
        return self.created <= timestamp and (self.expired is None or timestamp < self.expired)


@dataclass(frozen=True)
class Dataset:
    """A datastack with all that the sandbox serves of it."""

    name: str
    info: Mapping[str, Any]  # what datastack.json sets of the info service's record
    versions: tuple[Version, ...]  # in the order of the file
    tables: Mapping[str, Table]
    roots: Mapping[int, Root]  # those whose history is known, by ID
    precomputed: Path | None  # folder of its imagery and segmentation
    views: Mapping[str, Table] = field(default_factory=dict)
    #: tables and views whose rows differ at a version, by version and name
    editions: Mapping[tuple[int, str], Table] = field(default_factory=dict)

    def version(self, number: int) -> Version | None:
        """Return a version by its number, or None."""
        return next((item for item in self.versions if item.version == number), None)

    def table(self, name: str, version: Version | None) -> Table | None:
        """Return a table if the version has it, or None."""
        return self._served(self.tables, name, version)

    def view(self, name: str, version: Version | None) -> Table | None:
        """Return a view if the version has it, or None."""
        return self._served(self.views, name, version)

    def table_at(self, name: str, timestamp: datetime) -> Table | None:
        """Return a table with the rows of the newest version before a timestamp, or None."""
        older = sorted(
            (version.time_stamp, version.version)
            for version in self.versions
            if version.time_stamp <= timestamp and (version.version, name) in self.editions
        )
        return self.editions[older[-1][1], name] if older else self.tables.get(name)

    def _served(
        self, held: Mapping[str, Table], name: str, version: Version | None
    ) -> Table | None:
        if version is None:
            return held.get(name)
        if not version.available or (version.tables is not None and name not in version.tables):
            return None
        return self.editions.get((version.version, name), held.get(name))
