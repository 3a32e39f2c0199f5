"""The info service: what there is of datastacks and aligned volumes, and where.

Recorded from AnnotationFrameworkInfoService 4.3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cave_sandbox.web.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cave_sandbox.services.auth import Auth
    from cave_sandbox.tables.dataset import Dataset

__all__ = ["build_record", "routes"]

VERSION = "4.3.3"
ORIGIN = "{origin}"

#: What the service says of a datastack whose data folder does not say it.
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
#: In the service's order. ``{name}`` is the datastack: a segmentation source ends in it, because
#: caveclient takes the chunked graph's table from there.
DEFAULT_RECORD: dict[str, Any] = {
    "aligned_volume": DEFAULT_VOLUME,
    "segmentation_source": "graphene://https://minnie.microns-daf.com/segmentation/table/{name}",
    "skeleton_source": (
        "precomputed://https://minnie.microns-daf.com/skeletoncache/api/v1/{name}/precomputed/"
        "skeleton/"
    ),
    "analysis_database": None,
    # The sandbox's own viewer: one that is served over https may not read states over http.
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
#: Keys of the short record that the full one does not have.
SHORT_EXTRAS: dict[str, Any] = {"display_name": None, "viewer_layer_name": None}

UNKNOWN = (
    "The requested URL was not found on the server. If you entered the URL manually please check "
    "your spelling and try again. You have requested this URI [{path}] but did you mean "
    "/info/api/v2/datastack/full/<string:datastack> or "
    "/info/api/v2/datastack/<datastack>/image_sources or /info/api/v2/datastacks ?"
)


@dataclass(frozen=True)
class InfoSource:
    """What the handlers answer from."""

    datasets: Mapping[str, Dataset]
    auth: Auth

    def volumes(self, origin: str) -> dict[str, dict[str, Any]]:
        """Return the aligned volumes by name."""
        records = (build_record(item, origin) for item in self.datasets.values())
        return {record["aligned_volume"]["name"]: record["aligned_volume"] for record in records}


def build_record(dataset: Dataset, origin: str) -> dict[str, Any]:
    """Return the full record of a datastack.

    Parameters
    ----------
    dataset
        The datastack.
    origin
        The server's address, which takes the place of ``{origin}``.
    """
    record = {**DEFAULT_RECORD, **_usual_tables(dataset), **dataset.info}
    record["aligned_volume"] = {**DEFAULT_VOLUME, **(dataset.info.get("aligned_volume") or {})}
    filled: dict[str, Any] = _fill(record, {ORIGIN: origin, "{name}": dataset.name})
    return filled


def _usual_tables(dataset: Dataset) -> dict[str, str]:
    """Return the names of the first tables of synapses and of nuclei."""
    usual = {"synapse": "synapse_table", "nucleus_detection": "soma_table"}
    found: dict[str, str] = {}
    for table in dataset.tables.values():
        if table.schema in usual:
            found.setdefault(usual[table.schema], table.name)
    return found


def _fill(value: Any, replacements: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for mark, text in replacements.items():
            value = value.replace(mark, text)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, replacements) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, replacements) for item in value]
    return value


class InfoHandler(Handler):
    """Base of the info service's handlers."""

    service: ClassVar[str] = "info"

    def initialize(self, source: InfoSource) -> None:
        """Take what is answered from."""
        self.source = source

    def send_unknown(self) -> None:
        """Answer for a datastack that is not there."""
        self.send_json({"message": UNKNOWN.format(path=self.request.path)}, 404)


class VersionHandler(InfoHandler):
    """``/info/version`` and ``/info/api/versions``, open to all."""

    def get(self, kind: str) -> None:
        """Answer the service's version, or those of its interface."""
        self.send_json([2] if kind == "api/versions" else VERSION)


class DatastacksHandler(InfoHandler):
    """The names of the datastacks."""

    def get(self) -> None:
        """Answer the names."""
        if self.source.auth.check(self, self.service):
            self.send_json(list(self.source.datasets))


class DatastackHandler(InfoHandler):
    """One datastack: its full record, or the short one."""

    def get(self, full: str | None, name: str) -> None:
        """Answer the record."""
        dataset = self.source.datasets.get(name)
        if not self.source.auth.check(self, self.service, name if dataset else None):
            return
        if dataset is None:
            self.send_unknown()
            return
        record = build_record(dataset, self.origin)
        if full is None:
            volume = record["aligned_volume"]
            record |= {
                "aligned_volume": f"/info/api/v2/aligned_volume/id/{volume['id']}",
                "id": 1 + list(self.source.datasets).index(name),
                "name": name,
                **SHORT_EXTRAS,
                "base_link_id": None,
            }
        self.send_json(record)


class ImageSourcesHandler(InfoHandler):
    """Further images of a datastack: there are none."""

    def get(self, name: str) -> None:
        """Answer an empty list."""
        if name not in self.source.datasets:
            if self.source.auth.check(self, self.service):
                self.send_unknown()
        elif self.source.auth.check(self, self.service, name):
            self.send_json([])


class VolumesHandler(InfoHandler):
    """The aligned volumes: their names, one by name or by ID, or its datastacks."""

    def get(self, key: str | None = None, name: str | None = None) -> None:
        """Answer names or a record."""
        if not self.source.auth.check(self, self.service):
            return
        volumes = self.source.volumes(self.origin)
        if name is None:
            self.send_json(list(volumes))
            return
        by = "id" if key else "name"
        found = next((item for item in volumes.values() if str(item[by]) == name), None)
        if found is None:
            self.send_unknown()
        else:
            self.send_json(found)


class VolumeDatastacksHandler(InfoHandler):
    """The datastacks of an aligned volume."""

    def get(self, name: str) -> None:
        """Answer their names."""
        if self.source.auth.check(self, self.service):
            records = {
                key: build_record(item, self.origin) for key, item in self.source.datasets.items()
            }
            self.send_json(
                [key for key, item in records.items() if item["aligned_volume"]["name"] == name]
            )


def routes(datasets: Mapping[str, Dataset], auth: Auth) -> list[Any]:
    """Return the service's routes.

    Parameters
    ----------
    datasets
        The datastacks by name.
    auth
        The token checks.
    """
    shared = {"source": InfoSource(datasets, auth)}
    base = "/info/api/v2"
    return [
        (r"/info/(version|api/versions)", VersionHandler, shared),
        (rf"{base}/datastacks", DatastacksHandler, shared),
        (rf"{base}/datastack/([^/]+)/image_sources", ImageSourcesHandler, shared),
        (rf"{base}/datastack/(full/)?([^/]+)", DatastackHandler, shared),
        (rf"{base}/aligned_volume", VolumesHandler, shared),
        (rf"{base}/aligned_volume/([^/]+)/datastacks", VolumeDatastacksHandler, shared),
        (rf"{base}/aligned_volume/(id/)?([^/]+)", VolumesHandler, shared),
    ]
