"""Load a data folder: its rows, its root IDs over time, and an identity of its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cave_sandbox.tables.data_folder import identify_folder, read_datasets
from cave_sandbox.tables.database import Tables
from cave_sandbox.tables.lineage import Lineage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cave_sandbox.tables.dataset import Dataset


@dataclass(frozen=True)
class LoadedFolder:
    """The data that a sandbox serves; they never change, so several sandboxes can share them."""

    identity: str  # differs once a file has changed
    datasets: Mapping[str, Dataset]  # by name
    tables: Tables  # their rows; close them when they are no longer needed
    lineages: Mapping[str, Lineage]  # the history of each datastack's root IDs


def load_folder(folder: Path) -> LoadedFolder:
    """Load a data folder, or raise `InputError` if its data cannot be served."""
    identity = identify_folder(folder)  # before reading, so that a later edit changes it
    datasets = read_datasets(folder)
    tables = Tables(datasets)
    lineages = {name: Lineage(item, tables) for name, item in datasets.items()}
    return LoadedFolder(identity, datasets, tables, lineages)
