"""The chunked graph's service, as far as root IDs go: which are valid, and what became of others.

It answers what caveclient's ``chunkedgraph`` asks about root IDs.
"""

from __future__ import annotations

import json
import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tornado.web import HTTPError

from cave_sandbox.services.info import build_record
from cave_sandbox.web.handler import ConstantHandler, Handler

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cave_sandbox.tables.lineage import Lineage

__all__ = ["ROUTES"]

VERSION = "3.0.9"
#: What caveclient derives the layer of its suggestions from.
LAYERS = 10
#: Folder of the volume of supervoxels, where a data folder has one.
SUPERVOXELS = "supervoxels"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class GraphHandler(Handler):
    """Base of the service's handlers."""

    service: ClassVar[str] = "segmentation"

    def refuse_unknown(self, name: str) -> None:
        """Answer for a table that is not there."""
        message = f"Table {name} does not exist"
        self.send_json({"code": 404, "error": "Not Found", "message": message}, 404)

    def lineage(self, name: str) -> Lineage:
        """Return the history of a table's root IDs, or answer the request and raise `Finish`."""
        return self.context.lineages[self.admit(name).name]

    def timestamp(self, name: str) -> datetime | None:
        """Return a timestamp from the address (seconds since 1970), or None if it is absent."""
        given = self.get_query_argument(name, None)
        if given is None:
            return None
        try:
            return datetime.fromtimestamp(float(given), timezone.utc)
        except (ValueError, OverflowError, OSError) as error:
            raise HTTPError(400, "%s is no time", name) from error

    def numbers(self, key: str) -> list[int]:
        """Return the IDs in the body."""
        try:
            given = json.loads(self.request.body)[key]
            listed = given if isinstance(given, list) else [given]
            return [int(number) for number in listed]
        except (KeyError, TypeError, ValueError) as error:
            raise HTTPError(400, "%s is no list of IDs", key) from error


class InfoHandler(GraphHandler):
    """The segmentation's shape, and where the volume of its supervoxels is."""

    def get(self, name: str) -> None:
        """Answer the volume's own record, or else as much as caveclient asks for."""
        dataset = self.admit(name)
        graph = {"cv_mip": 0, "n_layers": LAYERS}
        volume = (dataset.precomputed or Path()) / SUPERVOXELS / "info"
        if dataset.precomputed and volume.is_file():
            place = f"{self.origin}/precomputed/{name}/{SUPERVOXELS}"
            described = json.loads(volume.read_text("utf-8"))
            self.send_json({**described, "data_dir": place, "graph": graph})
            return
        record = build_record(dataset, self.origin)
        size = [record[f"viewer_resolution_{axis}"] for axis in "xyz"]
        self.send_json({"graph": graph, "scales": [{"resolution": size}]})


class LatestHandler(GraphHandler):
    """Whether root IDs are valid at a timestamp."""

    async def post(self, name: str) -> None:
        """Answer a list of booleans."""
        lineage = self.lineage(name)
        timestamp = self.timestamp("timestamp") or now()
        latest = await self.outside(lineage.are_latest, self.numbers("node_ids"), timestamp)
        self.send_json({"is_latest": latest})


class TimestampsHandler(GraphHandler):
    """When root IDs began, or were last valid."""

    async def post(self, name: str) -> None:
        """Answer seconds since 1970, none for what never was a root ID."""
        lineage = self.lineage(name)
        roots = self.numbers("node_ids")
        timestamp = self.timestamp("timestamp") or now()
        latest = self.get_query_argument("latest", "False").lower() == "true"

        def look() -> list[float]:
            # The chunked graph passes over what never was a root ID.
            moments = (
                lineage.ended(root, timestamp) if latest else lineage.created(root)
                for root in lineage.keep_known(roots)
            )
            return [item.timestamp() for item in moments if item is not None]

        self.send_json({"timestamp": await self.outside(look)})


class LeavesHandler(GraphHandler):
    """The supervoxels of a root ID, which stand for its chunks on all layers."""

    async def get(self, name: str, root: str) -> None:
        """Answer them."""
        leaves = await self.outside(self.lineage(name).leaves, int(root))
        self.send_json({"leaf_ids": leaves})


class RootHandler(GraphHandler):
    """The root ID of one supervoxel."""

    async def get(self, name: str, supervoxel: str) -> None:
        """Answer it."""
        lineage = self.lineage(name)
        timestamp = self.timestamp("timestamp") or now()
        found = await self.outside(lineage.roots_at, [int(supervoxel)], timestamp)
        self.send_json({"root_id": found[0]})


class RootsHandler(GraphHandler):
    """The root IDs of many supervoxels, in binary."""

    async def post(self, name: str) -> None:
        """Answer little-endian uint64s in the order of those in the body."""
        lineage = self.lineage(name)
        body = self.request.body
        if len(body) % 8:
            raise HTTPError(400, "the body is no list of uint64")
        timestamp = self.timestamp("timestamp") or now()
        asked = struct.unpack(f"<{len(body) // 8}Q", body)
        found = await self.outside(lineage.roots_at, asked, timestamp)
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(struct.pack(f"<{len(found)}Q", *found))


class LineageHandler(GraphHandler):
    """The graph of what became of root IDs, and what they came from."""

    async def post(self, name: str) -> None:
        """Answer it in NetworkX's node-link form."""
        lineage = self.lineage(name)
        roots = self.numbers("root_ids")
        past, future = self.timestamp("timestamp_past"), self.timestamp("timestamp_future")
        self.send_json(await self.outside(_node_link, lineage, roots, past, future))


class PastHandler(GraphHandler):
    """The root IDs that held, or will hold, parts of root IDs."""

    async def get(self, name: str) -> None:
        """Answer them by root ID, for each timestamp that is asked for."""
        lineage = self.lineage(name)
        roots = self.numbers("root_ids")
        maps: dict[str, dict[str, list[int]]] = {}
        for when in ("past", "future"):
            timestamp = self.timestamp(f"timestamp_{when}")
            maps[f"{when}_id_map"] = (
                await self.outside(_related, lineage, roots, timestamp) if timestamp else {}
            )
        self.send_json(maps)


class OldestHandler(GraphHandler):
    """The first timestamp that is known."""

    def get(self, name: str) -> None:
        """Answer it in ISO 8601."""
        self.send_json({"iso": self.lineage(name).oldest.isoformat()})


def _node_link(
    lineage: Lineage, roots: list[int], past: datetime | None, future: datetime | None
) -> dict[str, Any]:
    nodes, links = lineage.graph(roots, past, future)
    described = [
        {"id": root, "timestamp": (lineage.created(root) or EPOCH).timestamp(), "operation_id": 0}
        for root in sorted(nodes)
    ]
    return {
        "directed": True,
        "multigraph": False,
        "graph": {},
        "nodes": described,
        "links": [{"source": parent, "target": child} for parent, child in sorted(links)],
    }


def _related(lineage: Lineage, roots: Iterable[int], timestamp: datetime) -> dict[str, list[int]]:
    return {str(root): lineage.related(root, timestamp) for root in roots}


def now() -> datetime:
    """Return the present timestamp, UTC."""
    return datetime.now(timezone.utc)


ONE = r"/segmentation/api/v1/table/([^/]+)"
ROUTES = [
    (r"/segmentation/api/version", ConstantHandler, {"value": VERSION}),
    (r"/segmentation/api/versions", ConstantHandler, {"value": [0, 1]}),
    (r"/segmentation/(?:api/v1/)?table/([^/]+)/info", InfoHandler),
    (rf"{ONE}/is_latest_roots", LatestHandler),
    (rf"{ONE}/root_timestamps", TimestampsHandler),
    (rf"{ONE}/node/(\d+)/leaves", LeavesHandler),
    (rf"{ONE}/node/(\d+)/root", RootHandler),
    (rf"{ONE}/roots_binary", RootsHandler),
    (rf"{ONE}/lineage_graph_multiple", LineageHandler),
    (rf"{ONE}/past_id_mapping", PastHandler),
    (rf"{ONE}/oldest_timestamp", OldestHandler),
]
