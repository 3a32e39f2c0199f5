"""What CAVE says of a datastack, a version and a table: small questions, asked without caveclient.

caveclient takes a second to import; these answers arrive meanwhile. It must not know what they are
for. Each function is one request, or says how many.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from synglancer.datastack import Datastack, Materialization, PredictionTable
from synglancer.errors import NotServedError, SynglancerError, build_not_cave_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synglancer.transport import Fetcher


def fetch_datastack(fetcher: Fetcher, server: str, name: str) -> Datastack:
    """Fetch a datastack's record from the info service (1 request).

    Raises
    ------
    NotServedError
        When the server does not know the datastack.
    BadAnswerError
        When the server is not a CAVE server.
    ServiceError
        When it cannot be asked.
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


def _unknown_datastack(fetcher: Fetcher, server: str, name: str) -> SynglancerError:
    try:
        names = sorted(_fetch(fetcher, server, "info/api/v2/datastacks"))
    except (SynglancerError, ValueError, TypeError):
        return build_not_cave_error(server)
    return NotServedError(
        f"The datastack {name!r} is not known at {server}.",
        f"Choose one with --datastack: {_enumerate(names)}.",
    )


def fetch_materialization(
    fetcher: Fetcher, datastack: Datastack, version: int | None = None
) -> Materialization:
    """Fetch a version's record (1 request), or the newest one's (2 requests).

    Raises
    ------
    NotServedError
        When there is no such version, or it is served no more.
    ServiceError
        When it cannot be asked.
    """
    with _strange_answers(datastack.server):
        if version is None:
            version = max(_fetch_versions(fetcher, datastack))
        path = f"{_materialize(datastack)}/version/{version}"
        try:
            record = _fetch(fetcher, datastack.server, path)
        except NotServedError as error:
            problem = f"{datastack.name} has no version {version}."
            raise _unserved_version(fetcher, datastack, problem) from error
        moment = _read_utc(record["time_stamp"])
        if record.get("status") == "EXPIRED" or record.get("valid") is False:
            problem = (
                f"Version {version} of {datastack.name} ({moment:%Y-%m-%d}) is not served any more."
            )
            raise _unserved_version(fetcher, datastack, problem)
        expires = record.get("expires_on")
        return Materialization(version, moment, _read_utc(expires) if expires else None)


def _unserved_version(fetcher: Fetcher, datastack: Datastack, problem: str) -> NotServedError:
    served = sorted(_fetch_versions(fetcher, datastack))
    return NotServedError(problem, f"Choose one with --version: {_enumerate(served)}, or latest.")


def _fetch_versions(fetcher: Fetcher, datastack: Datastack) -> list[int]:
    path = f"{_materialize(datastack)}/versions?expired=False"
    return [int(number) for number in _fetch(fetcher, datastack.server, path)]


def fetch_prediction_table(
    fetcher: Fetcher, datastack: Datastack, version: int, name: str
) -> PredictionTable:
    """Fetch what the server says of a prediction table (1 request).

    Raises
    ------
    NotServedError
        When the version has no such table, or it does not refer to a table of synapses.
    ServiceError
        When it cannot be asked.
    """
    path = f"{_materialize(datastack)}/version/{version}/table/{_quoted(name)}/metadata"
    with _strange_answers(datastack.server):
        try:
            record = _fetch(fetcher, datastack.server, path)
        except NotServedError as error:
            raise NotServedError(
                f"Version {version} of {datastack.name} has no table {name!r}.",
                "Check the name given with --table, or choose another --version.",
            ) from error
        if not record["reference_table"]:
            raise NotServedError(
                f"The table {name!r} does not refer to a table of synapses.",
                "Choose with --table one that labels synapses, of the schema reference_tag_float.",
            )
        notice = _optional_text(record.get("notice_text"))
        return PredictionTable(name, _text(record["reference_table"]), notice)


def _fetch(fetcher: Fetcher, server: str, path: str) -> Any:
    return orjson.loads(fetcher.fetch(f"{server}/{path}"))


def _materialize(datastack: Datastack) -> str:
    return f"materialize/api/v3/datastack/{_quoted(datastack.name)}"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _text(value: Any) -> str:
    """Return a text as it is; anything else in its place is no answer of CAVE."""
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of a text")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _read_utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _enumerate(names: list[Any]) -> str:
    return ", ".join(str(name) for name in names) or "it names none"


@contextmanager
def _strange_answers(server: str) -> Iterator[None]:
    """Say so where an answer is not the JSON that CAVE's services give."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise build_not_cave_error(server) from error
