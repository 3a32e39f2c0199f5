"""Read a data folder (see `docs/data-folder.md`) into the records of `dataset`.

It reads `datastack.json`, the headers of the table files, and the root IDs.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from cave_sandbox.errors import InputError
from cave_sandbox.tables.database import filler, whole_position
from cave_sandbox.tables.dataset import Dataset, Root, Table, Version
from cave_sandbox.tables.schemas import Field, documents, fields_of, is_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: Part of the data's identity; increase it when the same data lead to other answers than before.
ANSWERS = 1

#: Columns that only a join of two tables has, because both tables have a column of that name.
JOINED = re.compile(r"(id|created|deleted|superceded_id|valid)_(ref|x|y)")

SUFFIXES = (".parquet", ".csv", ".csv.gz")
ROOTS_STEM = "roots"
#: Separates a table's name from the version in the name of a file with rows of one version.
EDITION = "@"
DEFAULT_NAME = "minnie65_public"
DEFAULT_VERSION = {"version": 1718, "time_stamp": "2026-03-07T08:10:01.190228"}
#: A version without an expiry is served for as long as CAVE serves a permanent one.
LIFETIME = timedelta(days=36500)

#: Columns of a file of root IDs, read as text.
ROOT_COLUMNS = ("root_id", "created", "expired", "successors")


def read_datasets(folder: Path) -> dict[str, Dataset]:
    """Read a folder with one datastack, or one sub-folder per datastack; return them by name."""
    if not folder.is_dir():
        raise _unusable(f"There is no data folder {folder}", "Name a folder")
    nested = sorted(path.parent for path in folder.glob("*/datastack.json"))
    places = [folder] if (folder / "datastack.json").is_file() or not nested else nested
    datasets: dict[str, Dataset] = {}
    for place in places:
        dataset = _read_dataset(place)
        if dataset.name in datasets:
            raise _unusable(
                f"Two sub-folders of {folder} hold datastack {dataset.name}",
                'Give each its own "name" in its datastack.json',
            )
        datasets[dataset.name] = dataset
    return datasets


def _unusable(what: str, remedy: str = "Correct it") -> InputError:
    return InputError(f"{what}.", f"{remedy}; the documentation has a page on data folders.")


def identify_folder(folder: Path) -> str:
    """Return an identity of the data in a folder, which differs once a file has changed.

    It is made of the files' names, sizes and times of modification, so that large volumes need not
    be read.
    """
    told = hashlib.sha256(f"answers {ANSWERS}".encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            name = path.relative_to(folder).as_posix()
            told.update(f"\0{name}\0{stat.st_size}\0{stat.st_mtime_ns}".encode("utf-8", "replace"))
    return told.hexdigest()[:32]


def _read_dataset(folder: Path) -> Dataset:
    path = folder / "datastack.json"
    described = _read_description(path)
    found = dict(_table_files(folder))
    roots = _read_roots(found.pop(ROOTS_STEM, None))
    drawn = {path.stem: path for path in sorted((folder / "views").glob("*.parquet"))}
    tables = _read_all(path, "table", found, described["tables"], _read_table)
    if not tables:
        raise _unusable(f"The data folder {folder} has no tables", "Add one")
    synapses = next((item.name for item in tables.values() if item.schema == "synapse"), None)
    for name, table in tables.items():
        if is_reference(table.schema) and table.reference_table is None:
            tables[name] = replace(table, reference_table=synapses)
    views = _read_all(path, "view", drawn, described["views"], _read_view)
    versions = tuple(_read_versions(path, described.get("versions")))
    editions = [
        _read_edition(name, file, held, versions)
        for held, files in ((tables, found), (views, drawn))
        for name, file in files.items()
        if EDITION in name
    ]
    precomputed = folder / "precomputed"
    return Dataset(
        name=str(described.get("name", DEFAULT_NAME)),
        info=described["info"],
        versions=versions,
        tables=tables,
        roots=_with_successors(roots),
        precomputed=precomputed if precomputed.is_dir() else None,
        views=views,
        editions={(item.edition or 0, item.name): item for item in editions},
    )


def _read_description(path: Path) -> dict[str, Any]:
    try:
        described = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as error:
        raise _unusable(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(described, dict):
        raise _unusable(f"{path} does not hold a JSON object")
    for key in ("info", "tables", "views"):
        described[key] = described.get(key) or {}
        if not isinstance(described[key], dict):
            raise _unusable(f'"{key}" in {path} is not an object')
    return described


def _table_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of each file that may hold a table or the root IDs."""
    for place in (folder, folder / "tables"):
        for path in sorted(place.glob("*")):
            suffix = next((end for end in SUFFIXES if path.name.endswith(end)), None)
            if suffix is not None and path.is_file():
                yield path.name.removesuffix(suffix), path


def _read_versions(path: Path, listed: Any) -> Iterator[Version]:
    try:
        for place, item in enumerate([DEFAULT_VERSION] if listed is None else listed, start=1):
            shown = read_time(item["time_stamp"])
            expires = item.get("expires_on")
            tables = item.get("tables")
            yield Version(
                version=int(item["version"]),
                time_stamp=shown,
                expires_on=read_time(expires) if expires else shown + LIFETIME,
                status=str(item.get("status", "AVAILABLE")),
                tables=None if tables is None else frozenset(tables),
                row=int(item.get("id", place)),
                merged=bool(item.get("is_merged", False)),
            )
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(f'"versions" in {path} is not as documented ({error!r})') from error


def _read_all(
    path: Path,
    kind: str,
    files: Mapping[str, Path],
    described: Mapping[str, Any],
    read: Callable[[str, Path, dict[str, Any]], Table],
) -> dict[str, Table]:
    """Read the tables or views, and refuse a description that names one without a file."""
    plain = {name: file for name, file in files.items() if EDITION not in name}
    for name in sorted(set(described) - set(plain)):
        raise _unusable(
            f"{path} names {kind} {name}, but there is no file for it",
            f"Add {kind}s/{name}.parquet, or take the name out",
        )
    return {name: read(name, file, dict(described.get(name) or {})) for name, file in plain.items()}


def _read_edition(
    name: str, path: Path, tables: Mapping[str, Table], versions: Sequence[Version]
) -> Table:
    """Describe the file with the rows that a table or view has only at one version."""
    base, _, number = name.partition(EDITION)
    if base not in tables or number not in {str(version.version) for version in versions}:
        raise _unusable(
            f"{path} belongs to no table and version of the data folder",
            f"Name it <table>{EDITION}<version>, after a table and a version in it",
        )
    return replace(tables[base], path=path, stored=_stored_columns(path), edition=int(number))


def _read_view(name: str, path: Path, described: dict[str, Any]) -> Table:
    return Table(
        name=name,
        schema="view",
        path=path,
        voxel_resolution=_resolution(name, described.pop("voxel_resolution", (4, 4, 40))),
        stored=_stored_columns(path),
        details=described,
        columns=tuple(_view_columns(path)),
    )


def _view_columns(path: Path) -> Iterator[Field]:
    """Yield the columns of a view's file; three that end in _x, _y and _z are a position."""
    schema = pq.read_schema(path)
    for item in schema:
        stem, _, axis = item.name.rpartition("_")
        if stem.endswith("_position") and {f"{stem}_{end}" for end in "xyz"} <= set(schema.names):
            if axis == "x":
                yield Field(stem, "POINT")
        elif pa.types.is_integer(item.type):
            yield Field(item.name, "BIGINT")
        elif pa.types.is_floating(item.type):
            yield Field(item.name, "DOUBLE")
        else:
            yield Field(item.name, "VARCHAR")


def _read_table(name: str, path: Path, described: dict[str, Any]) -> Table:
    stored = _stored_columns(path)
    schema = described.pop("schema", None) or _guess_schema(path, stored)
    if schema not in documents():
        raise _unusable(
            f"Table {name} has schema {schema}, which the sandbox does not serve",
            f"Use one of {', '.join(documents())}",
        )
    if "id" not in stored:
        raise _unusable(f"{path} has no column id", "Add it, unique for each row")
    usual = (1, 1, 1) if is_reference(schema) else (4, 4, 40)
    return Table(
        name=name,
        schema=schema,
        path=path,
        voxel_resolution=_resolution(name, described.pop("voxel_resolution", usual)),
        stored=stored,
        reference_table=described.pop("reference_table", None),
        details=described,
    )


def _resolution(name: str, given: Any) -> tuple[float, float, float]:
    try:
        x, y, z = (float(size) for size in given)
    except (TypeError, ValueError):
        x = y = z = 0.0
    if not all(0 < size < math.inf for size in (x, y, z)):
        raise _unusable(f"The voxel_resolution of table {name} is not three sizes in nm")
    return x, y, z


def _guess_schema(path: Path, stored: tuple[str, ...]) -> str:
    """Return the schema with the most columns, among those whose columns the file all has."""
    joined = next((name for name in stored if JOINED.fullmatch(name)), None)
    if joined is not None:
        raise _unusable(
            f"{path}, column {joined}: the columns of two tables are joined in this file",
            "Write each table to its own file",
        )
    needed = {
        schema: {name for item in fields_of(schema) for name in item.columns if not filler(name)}
        for schema in documents()
    }
    fitting = [schema for schema, columns in needed.items() if columns <= set(stored)]
    whole = [name for name in stored if name.endswith("_position")]
    if not fitting and whole:
        raise whole_position(path, whole[0])
    if not fitting:
        raise _unusable(
            f"The columns of {path} match no schema that the sandbox serves",
            "Name the schema in datastack.json, or complete the columns",
        )
    return max(fitting, key=lambda schema: len(needed[schema]))


def _stored_columns(path: Path) -> tuple[str, ...]:
    try:
        if path.suffix == ".parquet":
            return tuple(pq.read_schema(path).names)
        return tuple(pc.open_csv(path).schema.names)
    except (OSError, pa.ArrowException) as error:
        raise _unusable(f"{path} cannot be read: {error}", "Write it again") from error


def _read_roots(path: Path | None) -> list[Root]:
    if path is None:
        return []
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
        else:
            kinds = dict.fromkeys(ROOT_COLUMNS, pa.string())
            table = pc.read_csv(path, convert_options=pc.ConvertOptions(column_types=kinds))
        return [
            Root(
                root_id=int(row["root_id"]),
                created=read_time(row["created"]),
                expired=read_time(row["expired"]) if row.get("expired") else None,
                successors=tuple(map(int, str(row.get("successors") or "").split())),
            )
            for row in table.to_pylist()
        ]
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise _unusable(f"The list of root IDs in {path} cannot be read ({error!r})") from error


def _with_successors(roots: Iterable[Root]) -> dict[int, Root]:
    """Return root IDs by ID, including successors without their own row.

    Such a successor began when the first of its predecessors ended, and is still valid.
    """
    listed = {root.root_id: root for root in roots}
    begun: dict[int, datetime] = {}
    for root in listed.values():
        for successor in root.successors:
            if successor not in listed:
                end = root.expired or root.created
                begun[successor] = min(end, begun.get(successor, end))
    implied = {root_id: Root(root_id, created, None, ()) for root_id, created in begun.items()}
    return {**listed, **implied}


def read_time(value: Any) -> datetime:
    """Read a timestamp in ISO 8601; it is UTC if it has no time zone."""
    if not isinstance(value, datetime):
        # Python 3.10 does not read a ``Z``.
        text = str(value)
        value = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value
