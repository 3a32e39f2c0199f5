"""The info service: the records of datastacks and aligned volumes.

Recorded from AnnotationFrameworkInfoService 4.3.3.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cave_sandbox.web.handler import ConstantHandler, Handler, answers

if TYPE_CHECKING:
    from cave_sandbox.tables.dataset import Dataset

VERSION = "4.3.3"
ORIGIN = "{origin}"

#: Default values for a datastack's record, where its data folder sets none.
DEFAULT_VOLUME: dict[str, Any] = {
    "id": 1,
    "name": "minnie65_phase3",
    "display_name": "MICrONS mm^3",
    "description": (
        "This is the second alignment of the IARPA 'minnie65' dataset, completed in the spring of "
        "2020 that used the seamless approach."
    ),
    "image_source": (
        "precomputed://https://bossdb-open-data.s3.amazonaws.com/iarpa_microns/minnie/minnie65/em"
    ),
}
#: In the service's order. ``{name}`` is the datastack. The segmentation source ends in it, because
#: caveclient takes the name of the chunked graph's table from there.
DEFAULT_RECORD: dict[str, Any] = {
    "aligned_volume": DEFAULT_VOLUME,
    "segmentation_source": "graphene://https://minnie.microns-daf.com/segmentation/table/{name}",
    "skeleton_source": (
        "precomputed://https://minnie.microns-daf.com/skeletoncache/api/v1/{name}/precomputed/"
        "skeleton/"
    ),
    "analysis_database": None,
    # The sandbox's own viewer, because a viewer on https may not read states over http.
    "viewer_site": f"{ORIGIN}/v/synglancer/",
    "synapse_table": None,
    "soma_table": None,
    "local_server": ORIGIN,
    "description": "Served by a synglancer sandbox.",
    "viewer_resolution_x": 4.0,
    "viewer_resolution_y": 4.0,
    "viewer_resolution_z": 40.0,
    "proofreading_status_table": None,
    "cell_identification_table": None,
    "proofreading_review_table": None,
}
UNKNOWN = (
    "The requested URL was not found on the server. If you entered the URL manually please check "
    "your spelling and try again. You have requested this URI [{path}] but did you mean "
    "/info/api/v2/datastack/full/<string:datastack> or "
    "/info/api/v2/datastack/<datastack>/image_sources or /info/api/v2/datastacks ?"
)


def build_record(dataset: Dataset, origin: str) -> dict[str, Any]:
    """Return the full record of a datastack, with the server's address for ``{origin}``."""
    record = {**DEFAULT_RECORD, **_usual_tables(dataset), **dataset.info}
    record["aligned_volume"] = {**DEFAULT_VOLUME, **(dataset.info.get("aligned_volume") or {})}
    text = json.dumps(record)
    for mark, value in ((ORIGIN, origin), ("{name}", dataset.name)):
        text = text.replace(mark, json.dumps(value)[1:-1])
    return json.loads(text)


def _usual_tables(dataset: Dataset) -> dict[str, str]:
    """Return the names of the first tables of synapses and of nuclei."""
    usual = {"synapse": "synapse_table", "nucleus_detection": "soma_table"}
    found: dict[str, str] = {}
    for table in dataset.tables.values():
        if table.schema in usual:
            found.setdefault(usual[table.schema], table.name)
    return found


class InfoHandler(Handler):
    """Base of the info service's handlers."""

    def refuse_unknown(self, _name: str) -> None:
        """Answer that a datastack or a volume does not exist."""
        self.send_json({"message": UNKNOWN.format(path=self.request.path)}, 404)


@answers(InfoHandler, of_datastack=False)
def list_datastacks(handler: Handler) -> Any:
    """Return the names of the datastacks."""
    return list(handler.context.data.datasets)


@answers(InfoHandler)
def describe_datastack(handler: Handler, dataset: Dataset) -> Any:
    """Return the full record of a datastack."""
    return build_record(dataset, handler.origin)


@answers(InfoHandler)
def describe_briefly(handler: Handler, dataset: Dataset) -> Any:
    """Return the short record of a datastack."""
    record = build_record(dataset, handler.origin)
    return record | {
        "aligned_volume": f"/info/api/v2/aligned_volume/id/{record['aligned_volume']['id']}",
        "id": 1 + list(handler.context.data.datasets).index(dataset.name),
        "name": dataset.name,
        # The full record does not have these keys.
        "display_name": None,
        "viewer_layer_name": None,
        "base_link_id": None,
    }


@answers(InfoHandler)
def list_image_sources(_handler: Handler, _dataset: Dataset) -> Any:
    """Return the further images of a datastack, which has none."""
    return []


def _volumes(handler: Handler) -> list[tuple[str, dict[str, Any]]]:
    """Return the name of each datastack and the record of its aligned volume."""
    datasets = handler.context.data.datasets.items()
    return [(name, build_record(item, handler.origin)["aligned_volume"]) for name, item in datasets]


@answers(InfoHandler, of_datastack=False)
def list_volumes(handler: Handler) -> Any:
    """Return the names of the aligned volumes."""
    return list(dict.fromkeys(volume["name"] for _, volume in _volumes(handler)))


@answers(InfoHandler, of_datastack=False)
def describe_volume(handler: Handler, key: str | None, name: str) -> Any:
    """Return the record of an aligned volume, given its name or ID."""
    by = "id" if key else "name"
    found = (volume for _, volume in _volumes(handler) if str(volume[by]) == name)
    return next(found, ({"message": UNKNOWN.format(path=handler.request.path)}, 404))


@answers(InfoHandler, of_datastack=False)
def list_volume_datastacks(handler: Handler, name: str) -> Any:
    """Return the names of an aligned volume's datastacks."""
    return [datastack for datastack, volume in _volumes(handler) if volume["name"] == name]


BASE = "/info/api/v2"
ROUTES = [
    (r"/info/version", ConstantHandler, {"value": VERSION}),
    (r"/info/api/versions", ConstantHandler, {"value": [2]}),
    (rf"{BASE}/datastacks", list_datastacks),
    (rf"{BASE}/datastack/([^/]+)/image_sources", list_image_sources),
    (rf"{BASE}/datastack/full/([^/]+)", describe_datastack),
    (rf"{BASE}/datastack/([^/]+)", describe_briefly),
    (rf"{BASE}/aligned_volume", list_volumes),
    (rf"{BASE}/aligned_volume/([^/]+)/datastacks", list_volume_datastacks),
    (rf"{BASE}/aligned_volume/(id/)?([^/]+)", describe_volume),
]
