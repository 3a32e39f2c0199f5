"""The chunked graph's service for root IDs: their validity, edit history and supervoxels.

It answers the requests about root IDs that caveclient's ``chunkedgraph`` makes.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.web import HTTPError

from cave_sandbox.services.info import build_record
from cave_sandbox.web.handler import ConstantHandler, Handler, answers

if TYPE_CHECKING:
    from cave_sandbox.tables.dataset import Dataset
    from cave_sandbox.tables.lineage import Lineage

VERSION = "3.0.9"
#: caveclient derives the layer of its suggestions from this.
LAYERS = 10
#: Folder of the volume of supervoxels, if a data folder has one.
SUPERVOXELS = "supervoxels"


class GraphHandler(Handler):
    """Base of the service's handlers."""

    def refuse_unknown(self, name: str) -> None:
        """Answer that a table does not exist."""
        message = f"Table {name} does not exist"
        self.send_json({"code": 404, "error": "Not Found", "message": message}, 404)

    def lineage(self, dataset: Dataset) -> Lineage:
        """Return the history of a datastack's root IDs."""
        return self.context.data.lineages[dataset.name]

    def timestamp(self, name: str) -> datetime | None:
        """Return a timestamp in the address (seconds since 1970), or None if it has none."""
        given = self.get_query_argument(name, None)
        if given is None:
            return None
        try:
            return datetime.fromtimestamp(float(given), timezone.utc)
        except (ValueError, OverflowError, OSError) as error:
            raise HTTPError(400, "%s is not a time", name) from error

    @property
    def moment(self) -> datetime:
        """The timestamp in the address; by default now."""
        return self.timestamp("timestamp") or datetime.now(timezone.utc)

    def numbers(self, key: str) -> list[int]:
        """Return the IDs in the body."""
        try:
            given = json.loads(self.request.body)[key]
            listed = given if isinstance(given, list) else [given]
            return [int(number) for number in listed]
        except (KeyError, TypeError, ValueError) as error:
            raise HTTPError(400, "%s is not a list of IDs", key) from error


@answers(GraphHandler)
def describe(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return the record of the supervoxels' volume, or at least the parts that caveclient reads."""
    graph = {"cv_mip": 0, "n_layers": LAYERS}
    volume = (dataset.precomputed or Path()) / SUPERVOXELS / "info"
    if dataset.precomputed and volume.is_file():
        place = f"{handler.origin}/precomputed/{dataset.name}/{SUPERVOXELS}"
        return {**json.loads(volume.read_text("utf-8")), "data_dir": place, "graph": graph}
    record = build_record(dataset, handler.origin)
    size = [record[f"viewer_resolution_{axis}"] for axis in "xyz"]
    return {"graph": graph, "scales": [{"resolution": size}]}


@answers(GraphHandler, "post")
def are_latest(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return whether root IDs are valid at a timestamp."""
    lineage = handler.lineage(dataset)
    return {"is_latest": lineage.are_latest(handler.numbers("node_ids"), handler.moment)}


@answers(GraphHandler, "post")
def list_timestamps(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return when root IDs began, or were last valid (seconds since 1970)."""
    asked, timestamp = handler.numbers("node_ids"), handler.moment
    latest = handler.get_query_argument("latest", "False").lower() == "true"
    found = handler.lineage(dataset).find(asked)
    # The chunked graph ignores IDs that were never root IDs.
    roots = [found[root] for root in asked if root in found]
    moments = [
        min(root.expired or timestamp, timestamp) if latest else root.created for root in roots
    ]
    return {"timestamp": [moment.timestamp() for moment in moments]}


@answers(GraphHandler)
def list_leaves(handler: GraphHandler, dataset: Dataset, root: str) -> Any:
    """Return the supervoxels of a root ID, which also serve as its chunks on other layers."""
    return {"leaf_ids": handler.lineage(dataset).leaves(int(root))}


@answers(GraphHandler)
def find_root(handler: GraphHandler, dataset: Dataset, supervoxel: str) -> Any:
    """Return the root ID of one supervoxel."""
    (root,) = handler.lineage(dataset).roots_at([int(supervoxel)], handler.moment)
    return {"root_id": root}


@answers(GraphHandler, "post")
def find_roots(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return the root IDs of many supervoxels: little-endian uint64s, in the body's order."""
    try:
        asked = [number for (number,) in struct.iter_unpack("<Q", handler.request.body)]
    except struct.error as error:
        raise HTTPError(400, "the body is not a list of uint64") from error
    found = handler.lineage(dataset).roots_at(asked, handler.moment)
    return struct.pack(f"<{len(found)}Q", *found)


@answers(GraphHandler, "post")
def draw_lineage(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return the predecessors and successors of root IDs, in NetworkX's node-link format."""
    lineage = handler.lineage(dataset)
    past, future = handler.timestamp("timestamp_past"), handler.timestamp("timestamp_future")
    nodes, links = lineage.graph(handler.numbers("root_ids"), past, future)
    begun = {root: found.created.timestamp() for root, found in lineage.find(nodes).items()}
    described = [
        {"id": root, "timestamp": begun.get(root, 0.0), "operation_id": 0} for root in sorted(nodes)
    ]
    return {
        "directed": True,
        "multigraph": False,
        "graph": {},
        "nodes": described,
        "links": [{"source": parent, "target": child} for parent, child in sorted(links)],
    }


@answers(GraphHandler)
def map_roots(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return the root IDs that contain parts of the given root IDs at the given timestamps."""
    lineage, roots = handler.lineage(dataset), handler.numbers("root_ids")
    maps: dict[str, dict[str, list[int]]] = {}
    for when in ("past", "future"):
        timestamp = handler.timestamp(f"timestamp_{when}")
        maps[f"{when}_id_map"] = (
            {str(root): lineage.related(root, timestamp) for root in roots} if timestamp else {}
        )
    return maps


@answers(GraphHandler)
def find_oldest(handler: GraphHandler, dataset: Dataset) -> Any:
    """Return the first known timestamp."""
    return {"iso": handler.lineage(dataset).oldest.isoformat()}


ONE = r"/segmentation/api/v1/table/([^/]+)"
ROUTES = [
    (r"/segmentation/api/version", ConstantHandler, {"value": VERSION}),
    (r"/segmentation/api/versions", ConstantHandler, {"value": [0, 1]}),
    (r"/segmentation/(?:api/v1/)?table/([^/]+)/info", describe),
    (rf"{ONE}/is_latest_roots", are_latest),
    (rf"{ONE}/root_timestamps", list_timestamps),
    (rf"{ONE}/node/(\d+)/leaves", list_leaves),
    (rf"{ONE}/node/(\d+)/root", find_root),
    (rf"{ONE}/roots_binary", find_roots),
    (rf"{ONE}/lineage_graph_multiple", draw_lineage),
    (rf"{ONE}/past_id_mapping", map_roots),
    (rf"{ONE}/oldest_timestamp", find_oldest),
]
