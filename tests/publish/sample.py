"""The sandbox's sample as a published source, served on loopback."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from publish.tables import run
from synglancer.cave.records import Datastack
from synglancer.publish.manifest import describe_facts
from synglancer.publish.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = "synapse_target_predictions_ssa_v2"


def publish_sample(sample: Path, destination: Path, **options: Any) -> dict[str, Any]:
    """Publish the table of the sample's first datastack; return the manifest."""
    tables = sample / "minnie65_public" / "tables"
    return run(
        destination,
        str(tables / f"{TABLE}.parquet"),
        synapses=(str(tables / "synapses_pni_2.parquet"),),
        resolution=(4.0, 4.0, 40.0),
        **{"table": TABLE, "timestamp": "2026-03-07T08:10:01.190228+00:00", **options},
    )


def describe_sandbox(origin: str, **changes: Any) -> dict[str, Any]:
    """Return CAVE's description of the sandbox's first datastack, as in a manifest."""
    base = f"precomputed://{origin}/precomputed/minnie65_public"
    record = Datastack(
        name="minnie65_public",
        server=origin,
        image_source=f"{base}/em",
        segmentation_source=f"{base}/seg/minnie65_public",
        skeleton_source=f"{base}/skeleton/",
        viewer_resolution=(4.0, 4.0, 40.0),
        viewer_site=f"{origin}/v/synglancer/",
        synapse_table="synapses_pni_2",
        soma_table="nucleus_detection_v0",
    )
    notice = "Synthetic sample of the synglancer sandbox: no row of it was measured."
    return describe_facts(Datastack(**{**asdict(record), **changes}), notice, None)


def edit_manifest(folder: Path, **changes: Any) -> None:
    """Change entries in the manifest of a published folder."""
    path = folder / "synglancer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder; yield its address."""
    server = make_server(str(folder))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
