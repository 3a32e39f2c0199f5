"""Tables of predictions to publish, and helpers to read them back."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synglancer.publish.manifest import ABOUT
from synglancer.publish.publication import Publication
from synglancer.publish.publishing import publish

if TYPE_CHECKING:
    from pathlib import Path

CELL = 864691135276234469


def make_rows(number: int, seed: int = 1, **changes: Any) -> dict[str, Any]:
    """Make columns with this many rows: IDs in random order, a few cells, three tags."""
    random = np.random.default_rng(seed)
    cells = CELL + np.arange(max(2, number // 20)) * 1_000_003
    rows = {
        "id": random.permutation(np.arange(number, dtype=np.uint64) * 7 + 3),
        "pre_pt_root_id": random.choice(cells, number).astype(np.uint64),
        "post_pt_root_id": random.choice(cells, number).astype(np.uint64),
        "ctr_pt_position_x": random.integers(200_000, 1_500_000, number),
        "ctr_pt_position_y": random.integers(300_000, 1_200_000, number),
        "ctr_pt_position_z": random.integers(600_000, 1_000_000, number),
        "size": random.integers(10, 20_000, number),
        "value": random.random(number).astype(np.float32),
        "tag": random.choice(["spine", "shaft", "soma"], number, p=[0.6, 0.35, 0.05]),
    }
    return {**rows, **changes}


def write_parquet(path: Path, rows: dict[str, Any], **options: Any) -> str:
    """Write columns as a Parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), path, **options)
    return str(path)


def run(destination: Path, *inputs: str, **options: Any) -> dict[str, Any]:
    """Publish, and return the manifest."""
    asked = {
        name: options.pop(name)
        for name in (*ABOUT, "synapses", "memory", "counts", "facts")
        if name in options
    }
    publication = Publication(
        inputs=inputs,
        destination=str(destination),
        **{"datastack": "minnie65_public", "version": 1718, **asked},
    )
    return publish(publication, **options)


def group_ids(rows: dict[str, Any], column: str) -> dict[tuple[str, int], list[int]]:
    """Return the sorted IDs for each tag and value of a column; root 0 is not a cell."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for tag, key, id_ in zip(rows["tag"], rows[column], rows["id"], strict=True):
        if int(key):
            groups[str(tag), int(key)].append(int(id_))
    return {place: sorted(ids) for place, ids in groups.items()}


def read_files(folder: Path) -> dict[str, bytes]:
    """Read all files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
