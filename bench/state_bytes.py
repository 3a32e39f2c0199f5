"""Predictions to the bytes of a state: ours against nglui's layers with the same synapses.

Each measurement is a process of its own, which first imports everything and builds a small state,
so that imports count for neither side. The two states are read back and compared annotation by
annotation. Run as ``python bench/state_bytes.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import orjson
import pandas as pd
from nglui.statebuilder import AnnotationLayer, ImageLayer, SegmentationLayer, ViewerState

from synglancer.cave.records import Datastack, Materialization
from synglancer.states.layer_names import format_layer_name, split_layer_name
from synglancer.view.annotations import build_annotations
from synglancer.view.scene import Scene
from synglancer.view.state import build_state

CELL = 864691135276234469
COMPARED = 50_000
SIZES = (10_000, 50_000, 200_000, 1_000_000)
POINTS = [f"ctr_pt_position_{axis}" for axis in "xyz"]
PARTNER = {"inputs": "pre_pt_root_id", "outputs": "post_pt_root_id"}
DATASTACK = Datastack(
    name="minnie65_public",
    server="https://cave.example",
    image_source="precomputed://https://bucket.example/em",
    segmentation_source="graphene://https://cave.example/segmentation/table/minnie65_public",
    skeleton_source=None,
    viewer_resolution=(4.0, 4.0, 40.0),
    viewer_site=None,
    synapse_table=None,
    soma_table=None,
)
VERSION = Materialization(1718, datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc), None)


def draw_predictions(count: int) -> pd.DataFrame:
    """Draw a synthetic table with IDs, positions and sizes as large as those of minnie65."""
    rng = np.random.default_rng(count)
    inputs = np.arange(count) < 0.9 * count
    partner = rng.integers(864691132500000000, 864691137200000000, count, dtype="uint64")
    return pd.DataFrame(
        {
            "id": np.sort(rng.choice(337_000_000, count, replace=False)).astype("uint64"),
            "direction": pd.Series(np.where(inputs, "inputs", "outputs"), dtype="str"),
            "tag": pd.Series(
                rng.choice(["spine", "shaft", "soma"], count, p=[0.6, 0.36, 0.04]), dtype="str"
            ),
            "confidence": rng.beta(8, 1.2, count).astype("float32"),
            "size": np.rint(rng.lognormal(8.5, 0.9, count)).astype("float32"),
            "pre_pt_root_id": np.where(inputs, partner, np.uint64(CELL)),
            "post_pt_root_id": np.where(inputs, np.uint64(CELL), partner),
            POINTS[0]: rng.integers(200_000, 1_800_000, count),
            POINTS[1]: rng.integers(300_000, 1_300_000, count),
            POINTS[2]: rng.integers(590_000, 1_120_000, count),
        }
    )


def build_ours(predictions: pd.DataFrame) -> bytes:
    scene = Scene(
        cells=[CELL],
        datastack=DATASTACK,
        materialization=VERSION,
        groups=build_annotations(predictions),
        positions=predictions[POINTS].to_numpy(),
        somata=[],
        record={},
    )
    return build_state(scene).json


def build_theirs(predictions: pd.DataFrame) -> bytes:
    state = ViewerState(
        dimensions=[4, 4, 40], infer_coordinates=False, capabilities="legacy", position=[0, 0, 0]
    )
    state.add_layer(ImageLayer(name="imagery", source=DATASTACK.image_source))
    segmentation = SegmentationLayer(
        name="segmentation", source=DATASTACK.segmentation_source, segments=[CELL]
    )
    state.add_layer(segmentation)
    for (direction, tag), rows in predictions.groupby(["direction", "tag"]):
        layer = AnnotationLayer(
            name=format_layer_name(direction, tag),
            resolution=[1, 1, 1],
            linked_segmentation="segmentation",
            set_position=False,
        )
        layer.add_points(rows, point_column="ctr_pt_position", segment_column=PARTNER[direction])
        state.add_layer(layer)
    return state.to_json_string(compact=True).encode()


BUILDERS = {"ours": build_ours, "theirs": build_theirs}


def read_memory(field: str) -> int:
    """Return the kernel's count of this process's memory under a name, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(field)))


def measure_here(side: str, count: int, path: str) -> None:
    """Build one state; print its CPU seconds, its peak memory beyond the table's, and its size."""
    build = BUILDERS[side]
    build(draw_predictions(100))
    predictions = draw_predictions(count)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the peak so far
    before = read_memory("VmRSS")
    started = time.process_time()
    state = build(predictions)
    cpu = time.process_time() - started
    peak = read_memory("VmHWM") - before
    Path(path).write_bytes(state)
    print(json.dumps({"cpu": cpu, "peak": peak, "bytes": len(state)}))


def measure(side: str, count: int, path: Path) -> dict[str, float]:
    """Run a measurement three times in separate processes; keep the one with the least CPU time."""
    command = [sys.executable, __file__, side, str(count), str(path)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    return min(runs, key=lambda run: run["cpu"])


def read_layers(state: bytes) -> dict[str, list[dict]]:
    layers = json.loads(state)["layers"]
    return {layer["name"]: layer["annotations"] for layer in layers if "annotations" in layer}


def compare(ours: bytes, theirs: bytes, predictions: pd.DataFrame) -> int:
    """Check that both states hold the same annotations, and ours the whole rows; count them.

    nglui's points carry a position and one segment; ours the synapse ID, both segments,
    confidence and size as well, which are compared with the table.
    """
    rows = {(row["direction"], row["id"]): row for row in predictions.to_dict("records")}
    found, expected = read_layers(ours), read_layers(theirs)
    assert set(found) == set(expected)
    for name, items in found.items():
        direction, _ = split_layer_name(name)
        partner = 0 if direction == "inputs" else 1
        for mine, other in zip(items, expected[name], strict=True):
            row = rows.pop((direction, int(mine["id"])))
            segments = [int(segment) for (segment,) in mine["segments"]]
            assert mine["type"] == other["type"] == "point"
            assert mine["point"] == other["point"] == [row[column] for column in POINTS]
            assert [segments[partner]] == [int(i) for i in np.ravel(other["segments"])]
            assert segments == [row["pre_pt_root_id"], row["post_pt_root_id"]]
            assert np.float32(mine["props"][0]) == np.float32(row["confidence"])
            assert mine["props"][1] == row["size"]
    assert not rows
    assert orjson.dumps(orjson.loads(ours), option=orjson.OPT_SORT_KEYS) == ours
    return sum(len(items) for items in found.values())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {side: Path(folder, side) for side in BUILDERS}
        sides = {side: measure(side, COMPARED, path) for side, path in paths.items()}
        same = compare(
            paths["ours"].read_bytes(), paths["theirs"].read_bytes(), draw_predictions(COMPARED)
        )
        grown = {count: measure("ours", count, Path(folder, "grown")) for count in SIZES}
    ours, theirs = sides["ours"], sides["theirs"]
    print(f"CPU ratio at {COMPARED:,} annotations: 1/{theirs['cpu'] / ours['cpu']:.0f} of nglui's")
    print(f"  the same {same:,} annotations in both, compared one by one")
    for side, run in sides.items():
        print(
            f"  {side:6} {run['cpu']:7.3f} s CPU, {run['bytes'] / COMPARED:5.1f} B/annotation, "
            f"peak memory {run['peak'] / run['bytes']:5.1f} x the state"
        )
    print("annotations   us each   B each   peak memory / state")
    for count, run in grown.items():
        print(
            f"{count:>11,} {1e6 * run['cpu'] / count:9.2f} {run['bytes'] / count:8.1f}"
            f" {run['peak'] / run['bytes']:21.2f}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure_here(sys.argv[1], int(sys.argv[2]), sys.argv[3])
    else:
        main()
