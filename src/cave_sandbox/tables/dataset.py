"""Records of datastacks, versions, tables and root IDs over time.

`data_folder` reads them from files.
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
    time_stamp: datetime  # the time of its data, UTC
    expires_on: datetime  # when it expires, UTC
    status: str = "AVAILABLE"  # AVAILABLE or EXPIRED
    #: names of its tables and views; None for all in the datastack
    tables: frozenset[str] | None = None
    row: int = 1  # its ID in the service's database
    merged: bool = False  # whether its record says that tables and segmentation are merged

    @property
    def available(self) -> bool:
        """Whether its tables are served."""
        return self.status == "AVAILABLE"


@dataclass(frozen=True)
class Table:
    """A table or a view: the file with its rows, and its metadata."""

    name: str
    schema: str  # name of its annotation schema
    path: Path  # the file that holds its rows
    #: voxel size of its positions in nm, (x, y, z)
    voxel_resolution: tuple[float, float, float]
    stored: tuple[str, ...]  # the columns that the file has
    reference_table: str | None = None  # the table that its target_id refers to
    #: further metadata, from datastack.json
    details: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[Field, ...] = ()  # a view's columns, since it has no schema
    edition: int | None = None  # the version of these rows, if that version has its own rows

    @property
    def rows(self) -> str:
        """The name of its rows in the database."""
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
    """A root ID, and when it was valid."""

    root_id: int
    created: datetime  # UTC
    expired: datetime | None  # UTC; None while it is valid
    successors: tuple[int, ...]  # the root IDs that replaced it, the largest part first

    def valid_at(self, timestamp: datetime) -> bool:
        """Whether it is valid at a timestamp."""
        return self.created <= timestamp and (self.expired is None or timestamp < self.expired)


@dataclass(frozen=True)
class Dataset:
    """A datastack with all its versions, tables, views and root IDs."""

    name: str
    info: Mapping[str, Any]  # the fields of the info service's record that datastack.json sets
    versions: tuple[Version, ...]  # in the order of the file
    tables: Mapping[str, Table]
    roots: Mapping[int, Root]  # root IDs with a known history
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
