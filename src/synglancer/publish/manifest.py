"""The manifest of a published source: what it holds, and where it came from."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cave.records import Datastack
from synglancer.errors import BadAnswerError
from synglancer.publish.encoding import PROPERTIES
from synglancer.publish.reading.fields import (
    WrongFieldError,
    read_list,
    read_name,
    read_point,
    read_positive,
    read_size,
    take,
    take_optional,
)
from synglancer.states.fields import read_cell, read_count, read_text, read_timestamp

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from synglancer.publish.plan import Plan

MANIFEST = "synglancer.json"
FORM = "synglancer_source_v1"

COUNTS = "cells.parquet"
"""Name of the table of cells, if one was requested."""

ABOUT = ("datastack", "version", "timestamp", "table", "tag_column", "resolution")
"""Facts about a publication that are copied into the manifest."""

_RECORD = "datastack_record"
_FOLDER = re.compile(r"[a-z][a-z0-9_-]{0,99}")

_KEPT = ("with root 0 as pre", "with root 0 as post", "without a tag")


@dataclass(frozen=True)
class TagSource:
    """The source of one tag.

    Attributes
    ----------
    tag, folder, rows
        The tag, its folder in the source, and its number of annotations.
    """

    tag: str
    folder: str
    rows: int


@dataclass(frozen=True)
class Manifest:
    """The manifest of a source.

    Attributes
    ----------
    datastack, version, timestamp, table
        The source of its rows; the timestamp is ISO 8601 in UTC, or None.
    tags
        Its tags, by name.
    properties
        Numbers that each annotation carries: ``confidence``, ``size``.
    lower_bound, upper_bound
        Of all points, in nm.
    record
        CAVE's description of the datastack, or None if CAVE was not queried.
    notice
        The notice of the table's owner, or empty.
    cells
        Root IDs of its cells; empty if it holds a whole table.
    digest
        SHA-256 of the manifest, in hexadecimal: it identifies what was published.
    """

    datastack: str
    version: int
    timestamp: str | None
    table: str | None
    tags: tuple[TagSource, ...]
    properties: tuple[str, ...]
    lower_bound: tuple[float, ...]
    upper_bound: tuple[float, ...]
    record: Datastack | None = None
    notice: str = ""
    cells: tuple[int, ...] = ()
    digest: str = ""

    def find(self, tag: str) -> TagSource:
        """Return the source of a tag.

        Raises
        ------
        KeyError
            When there is none.
        """
        return {one.tag: one for one in self.tags}[tag]


def build_manifest(
    plan: Plan, rows: Counter[str], counts: Counter[str], said: Mapping[str, Any]
) -> dict[str, Any]:
    """Build the manifest.

    Parameters
    ----------
    plan
        How rows are spread over files.
    rows
        Number of rows of each tag.
    counts
        Numbers of rows that were read, left out, or kept although they are incomplete.
    said
        The entries named in `ABOUT`, ``properties``, ``bytes``, ``input`` (the identity of its
        files), ``facts`` (from `describe_facts`) and ``counts`` (the table of cells, or None).
    """
    from synglancer import __version__

    counted = {reason: number for reason, number in sorted(counts.items()) if number}
    read = counted.pop("read", 0)
    kept = {reason: counted.pop(reason) for reason in _KEPT if reason in counted}
    upper = [low + far for low, far in zip(plan.lower, plan.extent, strict=True)]
    # Folders of the publishing machine are left out.
    files = [{"file": Path(one["file"]).name, "bytes": one["bytes"]} for one in said["input"]]
    return {
        "@type": FORM,
        "datastack": said["datastack"],
        "version": said["version"],
        "table": said["table"],
        **said["facts"],
        "timestamp": said["timestamp"] or said["facts"].get("timestamp"),
        "rows": sum(rows.values()),
        "tags": [
            {"tag": source.tag, "folder": source.folder, "rows": rows[source.tag]}
            for source in plan.sources
        ],
        "properties": said["properties"],
        "lower_bound_nm": plan.lower,
        "upper_bound_nm": upper,
        "rows_read": read,
        "left_out": counted,
        "kept": kept,
        "input": {"files": files, "sha256": digest_inputs(said["input"])},
        "tag_column": said["tag_column"],
        "resolution_nm": [*said["resolution"]],
        "bytes": said["bytes"],
        **({"counts": said["counts"]} if said["counts"] else {}),
        "made_by": f"synglancer {__version__}",
    }


def digest_inputs(identity: list[dict[str, Any]]) -> str:
    """Return the SHA-256 of the input files' identity, in hexadecimal."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def name_counts(tags: Iterable[str]) -> list[str]:
    """Name the columns of the table of cells, after the cell itself.

    Examples
    --------
    >>> name_counts(["spine", "soma"])
    ['inputs_spine', 'inputs_soma', 'outputs_spine', 'outputs_soma']
    """
    every = list(tags)
    return [f"{direction}_{tag}" for direction in ("inputs", "outputs") for tag in every]


def parse_manifest(content: bytes, address: str) -> Manifest:
    """Read a manifest.

    Raises
    ------
    BadAnswerError
        When it is not a manifest, has another format, or a value is missing or wrong.
    """
    return _build(_parse(content, address), content, address)


def _build(text: Mapping[str, Any], content: bytes, address: str) -> Manifest:
    with _naming_fields(address):
        return Manifest(
            datastack=take(text, "datastack", read_name),
            version=take(text, "version", read_positive),
            timestamp=take(text, "timestamp", _read_timestamp),
            table=take(text, "table", _read_optional_name),
            tags=take(text, "tags", _read_tags),
            properties=take(text, "properties", _read_properties),
            lower_bound=take(text, "lower_bound_nm", read_point),
            upper_bound=take(text, "upper_bound_nm", read_point),
            record=take_optional(text, _RECORD, _read_datastack),
            notice=take_optional(text, "notice", read_text) or "",
            cells=tuple(take_optional(text, "cells", read_list(read_cell)) or ()),
            digest=hashlib.sha256(content).hexdigest(),
        )


def load_manifest(content: bytes, address: str) -> dict[str, Any]:
    """Load a whole manifest, to compare it with the source or with another run.

    Raises
    ------
    BadAnswerError
        When it is not a manifest, has another format, or a value is missing or wrong.
    """
    text = _parse(content, address)
    _build(text, content, address)
    with _naming_fields(address):
        take(text, "rows", read_count)
        take(text, "tag_column", read_text)
        take(text, "resolution_nm", read_size)
        take(text, "input", lambda given: take(given, "sha256", read_name))
        take_optional(text, "counts", _check_counts)
    return text


def _parse(content: bytes, address: str) -> dict[str, Any]:
    try:
        text = orjson.loads(content)
    except ValueError as error:
        raise _build_unreadable(address) from error
    if not isinstance(text, dict) or text.get("@type") != FORM:
        raise _build_unreadable(address)
    return text


@contextmanager
def _naming_fields(address: str) -> Iterator[None]:
    try:
        yield
    except WrongFieldError as error:
        raise BadAnswerError(
            f"{address}/{MANIFEST} has no valid value of {error}.",
            "Restore the file as `synglancer publish` wrote it, or publish again.",
        ) from error


def _build_unreadable(address: str) -> BadAnswerError:
    return BadAnswerError(
        f"{address}/{MANIFEST} is not a manifest that this version of synglancer can read.",
        "Check that `synglancer publish` wrote to this address, or upgrade synglancer.",
    )


def describe_facts(
    datastack: Datastack | None, notice: str | None, timestamp: datetime | None
) -> dict[str, Any]:
    """Return the facts from CAVE in a manifest, so that links need not query CAVE again."""
    return {
        **({} if datastack is None else {_RECORD: asdict(datastack)}),
        **({"notice": notice} if notice else {}),
        **({} if timestamp is None else {"timestamp": timestamp.isoformat()}),
    }


def _read_timestamp(given: str | None) -> str | None:
    if given is not None:
        read_timestamp(given)
    return given


def _read_optional_name(given: Any) -> str | None:
    return None if given is None else read_name(given)


def _read_tags(given: Any) -> tuple[TagSource, ...]:
    """Read the tags, each with a folder of its own."""
    tags = read_list(_read_tag)(given)
    for name in ("tag", "folder"):
        if len({getattr(one, name) for one in tags}) < len(tags):
            raise WrongFieldError(name)
    return tuple(tags)


def _read_tag(given: Any) -> TagSource:
    return TagSource(
        take(given, "tag", read_text),
        take(given, "folder", _read_folder),
        take(given, "rows", read_count),
    )


def _read_folder(given: Any) -> str:
    """Read the name of a tag's folder, which must lie inside the source."""
    if not _FOLDER.fullmatch(given):
        raise ValueError(given)
    return str(given)


def _read_properties(given: Any) -> tuple[str, ...]:
    names = read_list(read_name)(given)
    found = tuple(name for name in PROPERTIES if name in names)
    if len(found) < len(names):
        raise ValueError(given)
    return found


def _read_datastack(given: Any) -> Datastack:
    return Datastack(
        name=take(given, "name", read_name),
        server=take(given, "server", read_name),
        image_source=take(given, "image_source", read_name),
        segmentation_source=take(given, "segmentation_source", read_name),
        skeleton_source=take_optional(given, "skeleton_source", read_text),
        viewer_resolution=take(given, "viewer_resolution", read_size),
        viewer_site=take_optional(given, "viewer_site", read_text),
        synapse_table=take_optional(given, "synapse_table", read_text),
        soma_table=take_optional(given, "soma_table", read_text),
    )


def _check_counts(given: Any) -> None:
    """Check the record of the table of cells."""
    if take(given, "file", read_text) != COUNTS:
        raise WrongFieldError("file")
    take(given, "cells", read_count)
    take(given, "sha256", read_name)
