"""Fetch the records of datastacks, versions and tables, without caveclient.

caveclient takes a second to import, and these answers arrive meanwhile. Each function makes one
request unless it says otherwise.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from synglancer.cave.records import Datastack, Materialization, PredictionTable
from synglancer.errors import (
    BadAnswerError,
    NotServedError,
    SynglancerError,
    build_not_cave_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synglancer.cave.http import Fetcher

_FINISHED = ("AVAILABLE", "EXPIRED")
_PERMANENT = timedelta(days=20 * 365)


@dataclass(frozen=True)
class TableKind:
    """A kind of table that refers to synapses.

    Attributes
    ----------
    option
        The option that names such a table.
    lacks
        What tables of other kinds lack.
    hint
        Which table to choose.
    schema
        Prefix of its schemas' names, if its columns depend on the schema.
    """

    option: str
    lacks: str
    hint: str
    schema: str = ""


PREDICTIONS = TableKind(
    "--table",
    "refer to a table of synapses",
    "one that labels synapses, with the schema reference_tag_float",
)
SPINES = TableKind(
    "--multi-input-table",
    "say which synapses share a spine",
    "one that groups synapses by spine, with the schema reference_simple_group",
    "reference_simple_group",
)


def fetch_datastack(fetcher: Fetcher, server: str, name: str) -> Datastack:
    """Fetch a datastack's record from the info service (1 request).

    Raises
    ------
    NotServedError
        When the server does not know the datastack.
    BadAnswerError
        When the server is not a CAVE server.
    ServiceError
        When it refuses or fails.
    """
    with _strange_answers(server):
        try:
            info = _fetch(fetcher, server, f"info/api/v2/datastack/full/{_quoted(name)}")
        except NotServedError as error:
            raise _unknown_datastack(fetcher, server, name) from error
        return Datastack(
            name=name,
            server=_text(info.get("local_server") or server).rstrip("/"),
            image_source=_text(info["aligned_volume"]["image_source"]),
            segmentation_source=_text(info["segmentation_source"]),
            skeleton_source=_optional_text(info.get("skeleton_source")),
            viewer_resolution=(
                float(info["viewer_resolution_x"]),
                float(info["viewer_resolution_y"]),
                float(info["viewer_resolution_z"]),
            ),
            viewer_site=_optional_text(info.get("viewer_site")),
            synapse_table=_optional_text(info.get("synapse_table")),
            soma_table=_optional_text(info.get("soma_table")),
        )


def fetch_datastack_names(fetcher: Fetcher, server: str) -> list[str]:
    """Fetch the names of all datastacks, which need only a valid token (1 request)."""
    with _strange_answers(server):
        return sorted(map(_text, _fetch(fetcher, server, "info/api/v2/datastacks")))


def fetch_service_version(fetcher: Fetcher, server: str, service: str) -> str:
    """Fetch the version of a service, such as ``info``, which needs no login (1 request)."""
    with _strange_answers(server):
        return _text(_fetch(fetcher, server, f"{service}/version"))


def _unknown_datastack(fetcher: Fetcher, server: str, name: str) -> SynglancerError:
    try:
        names = fetch_datastack_names(fetcher, server)
    except (NotServedError, BadAnswerError):  # nor is there a list of datastacks
        return build_not_cave_error(server)
    return NotServedError(
        f"{server} has no datastack {name!r}.",
        f"Choose one with --datastack: {_enumerate(names)}.",
    )


def fetch_materialization(
    fetcher: Fetcher, datastack: Datastack, version: int | str
) -> Materialization:
    """Fetch a version's record (1 request; 2 for one that does not exist).

    Parameters
    ----------
    fetcher, datastack
        The HTTP client and the datastack.
    version
        Its number, ``latest``, or a day in ISO 8601 (UTC): the newest version made on that day,
        even if expired, or else the newest available version made before it.

    Raises
    ------
    NotServedError
        When there is no such version.
    ServiceError
        When it refuses or fails.
    """
    if isinstance(version, str):
        return _fetch_newest(fetcher, datastack, None if version == "latest" else version)
    with _strange_answers(datastack.server):
        path = f"{_materialize(datastack)}/version/{version}"
        try:
            return _read_version(_fetch(fetcher, datastack.server, path))
        except NotServedError as error:
            served = fetch_served(fetcher, datastack)
            problem = f"{datastack.name} has no version {version}."
            raise NotServedError(problem, advise_version(served, number=version)) from error


def _fetch_newest(fetcher: Fetcher, datastack: Datastack, day: str | None) -> Materialization:
    known = _fetch_versions(fetcher, datastack, expired=day is not None)
    served = [item for item in known if not item.expired]
    if not served:
        raise NotServedError(
            f"{datastack.name} has no available version.",
            "Choose another datastack with --datastack.",
        )
    if day is None:
        return max(served, key=lambda item: item.timestamp)
    on_that_day = [item for item in known if f"{item.timestamp:%Y-%m-%d}" == day]
    if on_that_day:  # as it is printed beside a version
        return max(on_that_day, key=lambda item: (not item.expired, item.timestamp))
    end = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    before = [item for item in served if item.timestamp < end]
    if not before:
        raise NotServedError(
            f"{datastack.name} has no version before {day} that is still available.",
            advise_version(served, timestamp=end),
        )
    return max(before, key=lambda item: item.timestamp)


def fetch_served(fetcher: Fetcher, datastack: Datastack) -> list[Materialization]:
    """Fetch the available versions, in the order of their timestamps (1 request)."""
    versions = _fetch_versions(fetcher, datastack, expired=False)
    return [item for item in versions if not item.expired]


def _fetch_versions(
    fetcher: Fetcher, datastack: Datastack, *, expired: bool
) -> list[Materialization]:
    """Fetch versions in the order of their timestamps, with or without expired ones."""
    with _strange_answers(datastack.server):
        path = f"{_materialize(datastack)}/metadata?expired={expired}"
        records = [
            _read_version(item)
            for item in _fetch(fetcher, datastack.server, path)
            if item.get("status", "AVAILABLE") in _FINISHED  # others failed, or are being made
        ]
        return sorted(records, key=lambda item: item.timestamp)


def advise_version(
    served: list[Materialization], *, timestamp: datetime | None = None, number: int | None = None
) -> str:
    """List the available versions, and recommend the nearest permanent one.

    Parameters
    ----------
    served
        The available versions.
    timestamp, number
        The requested timestamp or number.
    """
    versions = _enumerate([item.version for item in served])
    advice = f"Choose one of its versions: {versions}, or latest"
    staying = [item for item in served if is_permanent(item)]
    if not staying:
        return f"{advice}."

    def distance(item: Materialization) -> float:
        if timestamp is not None:
            return abs((item.timestamp - timestamp).total_seconds())
        return abs(item.version - (number or 0))

    nearest = min(staying, key=distance)
    return (
        f"{advice}; the nearest permanent version is {nearest.version} "
        f"({nearest.timestamp:%Y-%m-%d})."
    )


def is_permanent(version: Materialization) -> bool:
    """Whether a version is permanent; others are available for about a year."""
    if version.expires_on is None:
        return False
    return version.expires_on - version.timestamp > _PERMANENT


def _read_version(record: Any) -> Materialization:
    expires = record.get("expires_on")
    return Materialization(
        version=int(record["version"]),
        timestamp=_read_utc(record["time_stamp"]),
        expires_on=_read_utc(expires) if expires else None,
        expired=record.get("status") == "EXPIRED" or record.get("valid") is False,
    )


def fetch_prediction_table(
    fetcher: Fetcher,
    datastack: Datastack,
    version: int,
    name: str,
    kind: TableKind = PREDICTIONS,
) -> PredictionTable:
    """Fetch the record of a table that refers to synapses (1 request).

    Raises
    ------
    NotServedError
        When the version has no such table, or it is not of that kind.
    ServiceError
        When it refuses or fails.
    """
    path = f"{_materialize(datastack)}/version/{version}/table/{_quoted(name)}/metadata"
    with _strange_answers(datastack.server):
        try:
            record = _fetch(fetcher, datastack.server, path)
        except NotServedError as error:
            raise NotServedError(
                f"Version {version} of {datastack.name} has no table {name!r}.",
                f"Check the table's name (see {kind.option}), or choose another version.",
            ) from error
        known = _text(record["schema_type"]).startswith(kind.schema)
        if not known or not record["reference_table"]:
            raise NotServedError(
                f"The table {name!r} does not {kind.lacks}.",
                f"Choose another table with {kind.option}: {kind.hint}.",
            )
        notice = _optional_text(record.get("notice_text"))
        return PredictionTable(name, _text(record["reference_table"]), notice)


def fetch_view_columns(
    fetcher: Fetcher, datastack: Datastack, version: int, name: str
) -> list[str]:
    """Fetch the names of the columns of a view of cell types (1 request).

    Raises
    ------
    NotServedError
        When the version has no such view.
    ServiceError
        When it refuses or fails.
    """
    path = f"{_materialize(datastack)}/version/{version}/views/{_quoted(name)}/schema"
    with _strange_answers(datastack.server):
        try:
            return [_text(column) for column in dict(_fetch(fetcher, datastack.server, path))]
        except NotServedError as error:
            raise NotServedError(
                f"Version {version} of {datastack.name} has no view {name!r} of cell types.",
                "Check the view's name (see --cell-type-view), or choose another version.",
            ) from error


def _fetch(fetcher: Fetcher, server: str, path: str) -> Any:
    return orjson.loads(fetcher.fetch(f"{server}/{path}"))


def _materialize(datastack: Datastack) -> str:
    return f"materialize/api/v3/datastack/{_quoted(datastack.name)}"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _text(value: Any) -> str:
    """Return a text; raise an error for any other type, which CAVE never sends."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _read_utc(text: str) -> datetime:
    timestamp = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return timestamp.replace(tzinfo=timestamp.tzinfo or timezone.utc).astimezone(timezone.utc)


def _enumerate(names: list[Any]) -> str:
    return ", ".join(str(name) for name in names) or "(none)"


@contextmanager
def _strange_answers(server: str) -> Iterator[None]:
    """Report answers that are not the JSON of CAVE's services."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise build_not_cave_error(server) from error
