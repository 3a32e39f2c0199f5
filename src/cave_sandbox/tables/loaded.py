"""A data folder, loaded: its rows in memory, its root IDs over time, and what stands for it."""

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
    """What a sandbox answers from; nothing in it changes, so that several may share it.

    Attributes
    ----------
    identity
        What stands for these data: another value once a file has changed.
    datasets
        The datastacks by name.
    tables
        Their rows; closed when they are no longer needed.
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
    identity = identify_folder(folder)  # before it is read: what is edited now is older
    datasets = read_datasets(folder)
    tables = Tables(datasets)
    lineages = {
        name: Lineage(
            item, partial(tables.known_roots, item), partial(tables.supervoxel_roots, item)
        )
        for name, item in datasets.items()
    }
    return LoadedFolder(identity, datasets, tables, lineages)
