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
from cave_sandbox.tables.dataset import Dataset, Root, Table, Version
from cave_sandbox.tables.schemas import Field, documents, fields_of, is_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

#: Part of the data's identity; increase it when the same data lead to other answers than before.
ANSWERS = 1

#: Columns that only a join of two tables has, because both tables have a column of that name.
JOINED = re.compile(r"(id|created|deleted|superceded_id|valid)_(ref|x|y)")

FORM = "the documentation has a page on data folders"
SUFFIXES = (".parquet", ".csv", ".csv.gz")
ROOTS_STEM = "roots"
#: Separates a table's name from the version in the name of a file with rows of one version.
EDITION = "@"
DEFAULT_NAME = "minnie65_public"
DEFAULT_VERSION = 1718
DEFAULT_TIME = datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc)
#: A version without an expiry is served for as long as CAVE serves a permanent one.
LIFETIME = timedelta(days=36500)

#: Columns of a file of root IDs, read as text.
ROOT_COLUMNS = ("root_id", "created", "expired", "successors")


def read_datasets(folder: Path) -> dict[str, Dataset]:
    """Read a folder with one datastack, or one sub-folder per datastack; return them by name.

    Raises
    ------
    InputError
        When the folder is absent, empty, or does not have the documented form.
    """
    if not folder.is_dir():
        raise InputError(f"There is no data folder {folder}.", f"Name a folder; {FORM}.")
    nested = sorted(path.parent for path in folder.glob("*/datastack.json"))
    places = [folder] if (folder / "datastack.json").is_file() or not nested else nested
    datasets: dict[str, Dataset] = {}
    for place in places:
        dataset = _read_dataset(place)
        if dataset.name in datasets:
            raise InputError(
                f"Two sub-folders of {folder} hold datastack {dataset.name}.",
                'Give each its own "name" in its datastack.json.',
            )
        datasets[dataset.name] = dataset
    return datasets


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
    described = _read_description(folder)
    found = dict(_table_files(folder))
    files = {name: path for name, path in found.items() if EDITION not in name}
    roots_path = files.pop(ROOTS_STEM, None)
    if not files:
        raise InputError(f"The data folder {folder} has no tables.", f"Add one; {FORM}.")
    versions = tuple(_read_versions(folder, described.get("versions")))
    precomputed = folder / "precomputed"
    tables = _read_tables(folder, files, _mapping(folder, described, "tables"))
    drawn = {path.stem: path for path in sorted((folder / "views").glob("*.parquet"))}
    views = _read_views(folder, drawn, _mapping(folder, described, "views"))
    return Dataset(
        name=str(described.get("name", DEFAULT_NAME)),
        info=_mapping(folder, described, "info"),
        versions=versions,
        tables=tables,
        roots=_with_successors(_read_roots(roots_path)),
        precomputed=precomputed if precomputed.is_dir() else None,
        views=views,
        editions={
            (one.edition or 0, one.name): one
            for held, paths in ((tables, found), (views, drawn))
            for name, path in paths.items()
            if EDITION in name
            for one in [_read_edition(name, path, held, versions)]
        },
    )


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / "datastack.json"
    if not path.is_file():
        return {}
    try:
        described = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as JSON: {error}.", f"Correct it; {FORM}."
        ) from error
    if not isinstance(described, dict):
        raise InputError(f"{path} does not hold a JSON object.", f"Correct it; {FORM}.")
    return described


def _mapping(folder: Path, described: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = described.get(key) or {}
    if not isinstance(value, dict):
        raise InputError(
            f'"{key}" in {folder / "datastack.json"} is not an object.', f"Correct it; {FORM}."
        )
    return value


def _table_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the name and path of each file that may hold a table or the root IDs."""
    for place in (folder, folder / "tables"):
        for path in sorted(place.glob("*")):
            suffix = next((end for end in SUFFIXES if path.name.endswith(end)), None)
            if suffix is not None and path.is_file():
                yield path.name.removesuffix(suffix), path


def _read_versions(folder: Path, listed: Any) -> Iterator[Version]:
    if listed is None:
        yield Version(DEFAULT_VERSION, DEFAULT_TIME, DEFAULT_TIME + LIFETIME)
        return
    try:
        for place, item in enumerate(listed, start=1):
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
        raise InputError(
            f'"versions" in {folder / "datastack.json"} is not as documented ({error!r}).',
            f"Correct it; {FORM}.",
        ) from error


def _read_tables(
    folder: Path, files: Mapping[str, Path], described: Mapping[str, Any]
) -> dict[str, Table]:
    _check_files(folder, "table", described, files)
    tables = {name: _read_table(name, files[name], described.get(name) or {}) for name in files}
    synapses = next((item.name for item in tables.values() if item.schema == "synapse"), None)
    for name, table in tables.items():
        if is_reference(table.schema) and table.reference_table is None and synapses is not None:
            tables[name] = replace(table, reference_table=synapses)
    return tables


def _read_edition(
    name: str, path: Path, tables: Mapping[str, Table], versions: Sequence[Version]
) -> Table:
    """Describe the file with the rows that a table or view has only at one version."""
    base, _, number = name.partition(EDITION)
    if base not in tables or number not in {str(version.version) for version in versions}:
        raise InputError(
            f"{path} belongs to no table and version of the data folder.",
            f"Name it <table>{EDITION}<version>, after a table and a version in it; {FORM}.",
        )
    return replace(tables[base], path=path, stored=_stored_columns(path), edition=int(number))


def _read_views(
    folder: Path, files: Mapping[str, Path], described: Mapping[str, Any]
) -> dict[str, Table]:
    _check_files(folder, "view", described, files)
    views = {}
    for name, path in files.items():
        if EDITION in name:
            continue
        details = dict(described.get(name) or {})
        size = details.pop("voxel_resolution", (4, 4, 40))
        views[name] = Table(
            name=name,
            schema="view",
            path=path,
            voxel_resolution=_resolution(name, size),
            stored=_stored_columns(path),
            details=details,
            columns=tuple(_view_columns(path)),
        )
    return views


def _check_files(
    folder: Path, kind: str, described: Mapping[str, Any], files: Mapping[str, Path]
) -> None:
    """Refuse a description that names a table or view without a file."""
    for name in sorted(set(described) - set(files)):
        raise InputError(
            f"{folder / 'datastack.json'} names {kind} {name}, but there is no file for it.",
            f"Add {kind}s/{name}.parquet, or take the name out.",
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


def _read_table(name: str, path: Path, described: Mapping[str, Any]) -> Table:
    stored = _stored_columns(path)
    schema = described.get("schema") or _guess_schema(path, stored)
    if schema not in documents():
        raise InputError(
            f"Table {name} has schema {schema}, which the sandbox does not serve.",
            f"Use one of {', '.join(documents())}.",
        )
    if "id" not in stored:
        raise InputError(f"{path} has no column id.", f"Add it, unique for each row; {FORM}.")
    usual = (1, 1, 1) if is_reference(schema) else (4, 4, 40)
    own = {"schema", "voxel_resolution", "reference_table"}
    return Table(
        name=name,
        schema=schema,
        path=path,
        voxel_resolution=_resolution(name, described.get("voxel_resolution", usual)),
        stored=stored,
        reference_table=described.get("reference_table"),
        details={key: value for key, value in described.items() if key not in own},
    )


def _resolution(name: str, given: Any) -> tuple[float, float, float]:
    try:
        x, y, z = (float(size) for size in given)
    except (TypeError, ValueError):
        x = y = z = 0.0
    if not all(0 < size < math.inf for size in (x, y, z)):
        raise InputError(
            f"The voxel_resolution of table {name} is not three sizes in nm.",
            f"Correct it; {FORM}.",
        )
    return x, y, z


def _guess_schema(path: Path, stored: tuple[str, ...]) -> str:
    """Return the schema with the most columns, among those whose columns the file all has."""
    joined = next((name for name in stored if JOINED.fullmatch(name)), None)
    if joined is not None:
        raise InputError(
            f"{path}, column {joined}: the columns of two tables are joined in this file.",
            f"Write each table to its own file; {FORM}.",
        )
    fitting: dict[str, int] = {}
    filled = {"created", "deleted", "superceded_id", "valid"}
    for schema in documents():
        wanted = {
            column
            for item in fields_of(schema)
            if not item.name.endswith("_supervoxel_id")
            for column in item.columns
        } - filled
        if wanted <= set(stored):
            fitting[schema] = len(wanted)
    whole = [name for name in stored if name.endswith("_position")]
    if not fitting and whole:
        raise InputError(
            f"{path}, column {whole[0]}: each row holds a whole position.",
            f"Split it into {whole[0]}_x, _y and _z, as caveclient does with split_positions=True.",
        )
    if not fitting:
        raise InputError(
            f"The columns of {path} match no schema that the sandbox serves.",
            f"Name the schema in datastack.json, or complete the columns; {FORM}.",
        )
    return max(fitting, key=lambda schema: fitting[schema])


def _stored_columns(path: Path) -> tuple[str, ...]:
    try:
        if path.suffix == ".parquet":
            return tuple(pq.read_schema(path).names)
        return tuple(pc.open_csv(path).schema.names)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {error}.", f"Write it again; {FORM}.") from error


def _read_roots(path: Path | None) -> Iterator[Root]:
    if path is None:
        return
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
        else:
            kinds = dict.fromkeys(ROOT_COLUMNS, pa.string())
            table = pc.read_csv(path, convert_options=pc.ConvertOptions(column_types=kinds))
        for row in table.to_pylist():
            successors = str(row.get("successors") or "").split()
            yield Root(
                root_id=int(row["root_id"]),
                created=read_time(row["created"]),
                expired=read_time(row["expired"]) if row.get("expired") else None,
                successors=tuple(int(text) for text in successors),
            )
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise InputError(
            f"The root IDs in {path} cannot be read ({error!r}).", f"Correct them; {FORM}."
        ) from error


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
