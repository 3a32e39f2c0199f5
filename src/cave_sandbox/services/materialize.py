"""The materialization service without queries: the records of versions, tables and views.

Recorded from MaterializationEngine 5.26.4.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from cave_sandbox.services.info import build_record
from cave_sandbox.web.handler import ConstantHandler, Handler, NotFound, answers, failure

if TYPE_CHECKING:
    from datetime import datetime

    from cave_sandbox.tables.dataset import Dataset, Table, Version

logger = logging.getLogger(__name__)

VERSION = "5.26.4"
BASE = r"/materialize/api/v[23]"


class MaterializeHandler(Handler):
    """Base of the materialization service's handlers."""

    exposed_headers: ClassVar[str] = "WWW-Authenticate, column_names"

    def refuse_unknown(self, name: str) -> None:
        """Answer as the info service does for a datastack that does not exist."""
        address = f"{self.origin}/info/api/v2/datastack/full/{name}"
        self.send_failure(f"404 Client Error: NOT FOUND for url: {address}")


class MaterializeConstantHandler(ConstantHandler, MaterializeHandler):
    """The version of the service, or the versions of its API; no token is needed."""


@answers(MaterializeHandler)
def list_versions(handler: Handler, dataset: Dataset, kind: str) -> Any:
    """Return the available versions, or all versions if the request sets ``expired``."""
    expired = handler.get_query_argument("expired", "False").lower() == "true"
    versions = [item for item in dataset.versions if item.available or expired]
    if kind == "versions":
        return [item.version for item in versions]
    return [version_record(dataset, item) for item in versions]


@answers(MaterializeHandler)
def describe_version(_handler: Handler, dataset: Dataset, number: str) -> Any:
    """Return the record of a version."""
    version = dataset.version(int(number))
    return version_record(dataset, version) if version else ("No version found", 404)


@answers(MaterializeHandler)
def list_tables(handler: Handler, dataset: Dataset, number: str, described: str | None) -> Any:
    """Return the names of a version's tables, or their metadata."""
    version = dataset.version(int(number))
    if version is None:
        return failure(f"404 Not Found: version {number} not found in {dataset.name}"), 500
    found = [item for key in dataset.tables if (item := dataset.table(key, version))]
    if described is None:
        return [item.name for item in found]
    return [table_record(dataset, item, handler.origin) for item in found]


@answers(MaterializeHandler)
def describe_table(handler: Handler, dataset: Dataset, number: str, name: str, kind: str) -> Any:
    """Return the metadata of a version's table, or its number of rows."""
    version = dataset.version(int(number))
    table = dataset.table(name, version) if version is not None else None
    if table is None:
        where = f"for version '{number}' in datastack '{dataset.name}'"
        return f"No table named '{name}' found {where}", 404
    if kind == "metadata":
        return table_record(dataset, table, handler.origin)
    return handler.context.data.tables.count(dataset.name, table.rows)


@answers(MaterializeHandler)
def list_strings(handler: Handler, dataset: Dataset, name: str) -> Any:
    """Return the values of a table's text columns, by column."""
    table = dataset.table(name, None)
    if table is None:
        return f"No table named '{name}' found in datastack '{dataset.name}'", 404
    texts = [item.name for item in table.fields if item.sql_type == "VARCHAR"]
    distinct = handler.context.data.tables.distinct
    return {column: distinct(dataset.name, name, column) for column in texts}


@answers(MaterializeHandler)
def list_views(_handler: Handler, dataset: Dataset, number: str, schemas: str | None) -> Any:
    """Return the metadata of a version's views, or their columns, by name."""
    version = dataset.version(int(number))
    found = [view for key in dataset.views if (view := dataset.view(key, version))]
    describe = view_schema if schemas else view_record
    return {view.name: describe(view) for view in found} if version else {}


@answers(MaterializeHandler)
def describe_view(_handler: Handler, dataset: Dataset, number: str, name: str, kind: str) -> Any:
    """Return the metadata of a version's view, or its columns."""
    version = dataset.version(int(number))
    view = dataset.view(name, version) if version is not None else None
    if kind == "schema" and version is not None and not version.available:
        return failure(refuse_expired_view(name, version)), 500
    if kind == "schema" and view is None:
        return failure(not_reflected(dataset, number, name)), 500
    if view is None:
        return f"No view named '{name}' found in datastack '{dataset.name}'", 404
    return view_record(view) if kind == "metadata" else view_schema(view)


class NotServedHandler(NotFound, MaterializeHandler):
    """Any other address of the service, which does not exist."""


def refuse_expired_view(view: str, version: Version) -> str:
    """Return the message, also logged, for a request for a view of an expired version.

    On such a request, the real service creates an empty database, so clients must never send it.
    """
    message = (
        f"View {view} was asked for at version {version.version}, which has expired: the real "
        "service would create an empty database. Clients must not send this request."
    )
    logger.error(message)
    return message


def not_reflected(dataset: Dataset, number: str, name: str) -> str:
    """Return the service's message for a view that does not exist."""
    return (
        "Could not reflect: requested table(s) not available in "
        f"Engine(postgresql://(server)/{dataset.name}__mat{number}): ({name})"
    )


def version_record(dataset: Dataset, version: Version) -> dict[str, Any]:
    """Return the service's record of a version."""
    return {
        "version": version.version,
        "is_merged": version.merged,
        "status": version.status,
        "valid": version.available,
        "datastack": dataset.name,
        "time_stamp": _timestamp(version.time_stamp),
        "expires_on": _timestamp(version.expires_on),
        "id": version.row,
    }


def table_record(dataset: Dataset, table: Table, origin: str) -> dict[str, Any]:
    """Return the service's record of a table."""
    first = _timestamp(min(item.time_stamp for item in dataset.versions))
    record = {
        "table_name": table.name,
        "schema": table.schema,
        "aligned_volume": build_record(dataset, origin)["aligned_volume"]["name"],
        "created": first,
        "valid": True,
        "id": 1 + list(dataset.tables).index(table.name),
        "schema_type": table.schema,
        "user_id": "1",
        "description": "",
        "notice_text": None,
        "reference_table": table.reference_table,
        "flat_segmentation_source": None,
        **_voxel(table),
        "write_permission": "PRIVATE",
        "read_permission": "PUBLIC",
        "last_modified": first,
    }
    if any(item.from_segmentation for item in table.fields):
        last = _timestamp(max(item.time_stamp for item in dataset.versions))
        record |= {
            "segmentation_source": None,
            "pcg_table_name": dataset.name,
            "last_updated": last,
        }
    return record | dict(table.details)


def view_record(view: Table) -> dict[str, Any]:
    """Return the service's record of a view."""
    record = {
        "table_name": view.name,
        "description": "",
        "notice_text": None,
        "live_compatible": False,
        **_voxel(view),
    }
    return record | dict(view.details)


_VIEW_TYPES = {"BIGINT": "integer", "DOUBLE": "float", "VARCHAR": "string", "POINT": "SpatialPoint"}


def view_schema(view: Table) -> dict[str, Any]:
    """Return the columns of a view with their types."""
    return {item.name: {"type": _VIEW_TYPES[item.sql_type]} for item in view.fields}


def _voxel(table: Table) -> dict[str, float]:
    sizes = zip("xyz", table.voxel_resolution, strict=True)
    return {f"voxel_resolution_{axis}": size for axis, size in sizes}


def _timestamp(timestamp: datetime) -> str:
    """Format a timestamp as the service does: in UTC, without a time zone."""
    return timestamp.replace(tzinfo=None).isoformat()


ONE = rf"{BASE}/datastack/([^/]+)"
AT_VERSION = rf"{ONE}/version/(-?\d+)"

#: The routes of everything but queries; they come after the routes of queries.
ROUTES = [
    (r"/materialize/version", MaterializeConstantHandler, {"value": VERSION}),
    (r"/materialize/api/versions", MaterializeConstantHandler, {"value": [2, 3]}),
    (rf"{ONE}/(versions|metadata)", list_versions),
    (AT_VERSION, describe_version),
    (rf"{AT_VERSION}/tables(/metadata)?", list_tables),
    (rf"{AT_VERSION}/table/([^/]+)/(metadata|count)", describe_table),
    (rf"{ONE}/table/([^/]+)/unique_string_values", list_strings),
    (rf"{AT_VERSION}/views(/schemas)?", list_views),
    (rf"{AT_VERSION}/views/([^/]+)/(metadata|schema)", describe_view),
    (r"/materialize/.*", NotServedHandler),
]
