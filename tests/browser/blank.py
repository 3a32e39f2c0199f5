"""Data folders with a test's own tables and empty volumes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

#: Size of a voxel, nm.
VOXEL = (4, 4, 40)


def write_blank_datastack(folder: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write a data folder with tables (positions in voxels) and empty volumes."""
    (folder / "tables").mkdir()
    for name, table in tables.items():
        table.to_parquet(folder / "tables" / f"{name}.parquet")
    _write_blank_volume(folder / "precomputed" / "em", "image", "uint8")
    _write_blank_volume(folder / "precomputed" / "seg", "segmentation", "uint64")
    base = "precomputed://{origin}/precomputed/minnie65_public"
    info = {
        "description": "Tables of a test; the volumes are blank.",
        "aligned_volume": {"image_source": f"{base}/em"},
        "segmentation_source": f"{base}/seg",
        "skeleton_source": None,
    }
    (folder / "datastack.json").write_text(json.dumps({"info": info}))


def _write_blank_volume(folder: Path, kind: str, dtype: str) -> None:
    """Write an empty volume of one block."""
    size = [64, 64, 16]
    scale = {
        "key": "4_4_40",
        "size": size,
        "resolution": list(VOXEL),
        "voxel_offset": [0, 0, 0],
        "chunk_sizes": [size],
        "encoding": "raw",
    }
    info = {"type": kind, "data_type": dtype, "num_channels": 1, "scales": [scale]}
    (folder / "4_4_40").mkdir(parents=True)
    (folder / "info").write_text(json.dumps(info))
    block = np.zeros(int(np.prod(size)), dtype=dtype)
    (folder / "4_4_40" / "0-64_0-64_0-16").write_bytes(block.tobytes())
