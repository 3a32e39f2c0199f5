"""Load a data folder: its rows, its root IDs over time, and an identity of its data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from cave_sandbox.tables.data_folder import identify_folder, read_datasets
from cave_sandbox.tables.database import Tables
from cave_sandbox.tables.lineage import Lineage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cave_sandbox.tables.dataset import Dataset

__all__ = ["LoadedFolder", "load_folder"]


@dataclass(frozen=True)
class LoadedFolder:
    """The data that a sandbox serves; they never change, so several sandboxes can share them.

    Attributes
    ----------
    identity
        An identity of the data, which differs once a file has changed.
    datasets
        The datastacks by name.
    tables
        The rows of their tables; close them when they are no longer needed.
    lineages
        The history of each datastack's root IDs.
    """

    identity: str
    datasets: Mapping[str, Dataset]
    tables: Tables
    lineages: Mapping[str, Lineage]


def load_folder(folder: Path) -> LoadedFolder:
    """Load a data folder.

    Raises
    ------
    InputError
        When the data cannot be served.
    """
    identity = identify_folder(folder)  # before reading, so that a later edit changes it
    datasets = read_datasets(folder)
    tables = Tables(datasets)
    lineages = {
        name: Lineage(
            item, partial(tables.known_roots, item), partial(tables.supervoxel_roots, item)
        )
        for name, item in datasets.items()
    }
    return LoadedFolder(identity, datasets, tables, lineages)
