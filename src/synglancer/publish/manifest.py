"""The manifest of a published source: what it holds, and where it came from."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cave.records import Datastack
from synglancer.errors import BadAnswerError
from synglancer.publish.encoding import PROPERTIES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from synglancer.publish.plan import Plan

MANIFEST = "synglancer.json"
FORM = "synglancer_source_v1"

COUNTS = "cells.parquet"
"""Name of the table of cells, if one was requested."""

ABOUT = ("datastack", "version", "timestamp", "table", "tag_column", "resolution")
"""Facts about a publication that are copied into the manifest."""

_COMPARED = {"rows", "tag_column", "resolution_nm"}
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
        When it is not a manifest, or has another format.
    """
    try:
        text = orjson.loads(content)
        if text["@type"] != FORM:
            raise KeyError(text["@type"])  # noqa: TRY301
        return Manifest(
            datastack=str(text["datastack"]),
            version=int(text["version"]),
            timestamp=None if text["timestamp"] is None else str(text["timestamp"]),
            table=None if text["table"] is None else str(text["table"]),
            tags=tuple(
                TagSource(str(one["tag"]), _read_folder(one["folder"]), int(one["rows"]))
                for one in text["tags"]
            ),
            properties=tuple(name for name in PROPERTIES if name in text["properties"]),
            lower_bound=tuple(map(float, text["lower_bound_nm"])),
            upper_bound=tuple(map(float, text["upper_bound_nm"])),
            record=_read_datastack(text.get(_RECORD)),
            notice=str(text.get("notice") or ""),
            cells=tuple(map(int, text.get("cells", ()))),
            digest=hashlib.sha256(content).hexdigest(),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _build_unreadable(address) from error


def load_manifest(content: bytes, address: str) -> dict[str, Any]:
    """Load a whole manifest, to compare it with the source or with another run.

    Raises
    ------
    BadAnswerError
        When it is not a manifest, or has another format.
    """
    parse_manifest(content, address)
    said: dict[str, Any] = orjson.loads(content)
    if not isinstance(said.get("input"), dict) or not said.keys() >= _COMPARED:
        raise _build_unreadable(address)
    return said


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


def _read_folder(given: object) -> str:
    """Read the name of a tag's folder, which must lie inside the source."""
    if not isinstance(given, str) or not _FOLDER.fullmatch(given):
        raise ValueError(given)
    return given


def _read_datastack(given: Any) -> Datastack | None:
    if given is None:
        return None
    x, y, z = map(float, given["viewer_resolution"])
    texts = ("name", "server", "image_source", "segmentation_source")
    optional = ("skeleton_source", "viewer_site", "synapse_table", "soma_table")
    named = {
        **{name: given[name] for name in texts},
        **{name: given.get(name) for name in optional},
    }
    for name, value in named.items():
        if not (isinstance(value, str) or (value is None and name in optional)):
            raise TypeError(name)
    return Datastack(**named, viewer_resolution=(x, y, z))
