"""Find the files to publish, in folders, globs and Delta Lake folders, and their columns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import is_full
from synglancer.errors import SynglancerError, UsageError, needs_extra
from synglancer.text.printable import REPLACEMENT, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".gz": "csv"}
AXES = "xyz"

CONFIDENCE_COLUMNS = ("value", "confidence")
"""Names of the column of confidences, in order of preference."""

_EMPTY = ("Empty CSV file", "file size is 0 bytes")
_MOST_QUOTED, _MOST_NAME, _MOST_NAMES = 300, 60, 50


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Attributes
    ----------
    id, pre, post
        The synapse's ID and the root IDs on its two sides.
    position
        The three columns of the synapse's position, or one that holds three numbers.
    tag
        The predicted target.
    confidence, size
        None if there is none.
    """

    id: str
    pre: str
    post: str
    position: tuple[str, ...]
    tag: str
    confidence: str | None = None
    size: str | None = None

    @property
    def names(self) -> list[str]:
        """The columns to read."""
        found = (self.id, self.pre, self.post, *self.position, self.tag, self.confidence, self.size)
        return list(dict.fromkeys(name for name in found if name is not None))

    @property
    def properties(self) -> list[str]:
        """The numbers that annotations carry."""
        return [name for name in ("confidence", "size") if getattr(self, name) is not None]


@dataclass(frozen=True)
class InputFile:
    """A file to be read.

    Attributes
    ----------
    path
        A path, or the address of an object.
    kind
        ``parquet`` or ``csv``.
    name
        Its name in messages: for a staged file, the name of the user's file.
    """

    path: str
    kind: str
    name: str

    def find_place(self) -> str:
        """Return where it is, which is the same for all ways to write its path."""
        path = self.path.removeprefix("file://")
        return path if "://" in path else os.path.realpath(path)

    def identify(self) -> dict[str, Any]:
        """Return a description that changes when the file changes."""
        if "://" in self.path:
            import fsspec

            with translated(self.path):
                system, path = fsspec.core.url_to_fs(self.path)
                info = system.info(path)
            mark = info.get("ETag") or info.get("etag") or str(info.get("mtime", ""))
            return {"file": self.path, "bytes": int(info["size"]), "changed": str(mark)}
        with translated(self.path):
            stat = Path(self.path).stat()
        return {
            "file": os.path.abspath(self.path),  # noqa: PTH100  # pathlib keeps ".."
            "bytes": stat.st_size,
            "changed": str(stat.st_mtime_ns),
        }


def find_files(given: Sequence[str]) -> list[InputFile]:
    """Find the files that paths, globs, addresses and Delta Lake folders stand for.

    Raises
    ------
    UsageError
        When there is none, or a file has an unsupported format.
    """
    found = [file for item in given for file in _expand(item)]
    if not found:
        raise UsageError(
            "Nothing to publish was given.", "Give Parquet or CSV files, or a Delta Lake folder."
        )
    place, times = Counter(file.find_place() for file in found).most_common(1)[0]
    if times > 1:
        raise UsageError(
            f"{place} was given twice.", "Give each file once, so that no row is repeated."
        )
    return found


def _expand(item: str) -> Iterator[InputFile]:
    path = Path(item)
    if "://" in item:
        yield from _expand_address(item)
    elif (path / "_delta_log").is_dir():
        yield from _read_delta(item)
    elif path.is_dir():
        inside = sorted(
            str(one) for one in path.rglob("*") if one.is_file() and one.suffix.lower() in SUFFIXES
        )
        if not inside:
            raise UsageError(
                f"{item} holds neither Parquet nor CSV files.", "Give the files themselves."
            )
        yield from (_take(one) for one in inside)
    elif path.exists():
        yield _take(item)
    else:
        matches = sorted(glob.glob(item, recursive=True))  # noqa: PTH207  # absolute patterns too
        if not matches:
            raise UsageError(
                f"{item} does not exist.", "Give a file, a glob or a folder that exists."
            )
        for match in matches:
            yield from _expand(match)


def _expand_address(item: str) -> Iterator[InputFile]:
    import fsspec

    with translated(item):
        system, path = fsspec.core.url_to_fs(item)
        matches = sorted(system.glob(path)) if "*" in path else [path]
        if not matches or not all(system.exists(match) for match in matches):
            raise UsageError(f"{item} does not exist.", "Check the address and its permissions.")
        for match in matches:
            yield _take(str(system.unstrip_protocol(match)))


def _take(path: str) -> InputFile:
    name = path.lower()
    kind = SUFFIXES.get(Path(name).suffix)
    if kind is None or (name.endswith(".gz") and not name.endswith(".csv.gz")):
        raise UsageError(
            f"{path} is neither a Parquet nor a CSV file, by its name.",
            "Give files that end in .parquet, .csv or .csv.gz, or a Delta Lake folder.",
        )
    return InputFile(path, kind, path)


def _read_delta(folder: str) -> Iterator[InputFile]:
    """List the current files of a Delta Lake folder, without removed ones."""
    told = f"{folder} is a Delta Lake folder, but deltalake is not installed."
    with needs_extra("delta", told):
        from deltalake import DeltaTable
    with translated(folder):
        table = DeltaTable(folder)
        features = {str(name) for name in table.protocol().reader_features or ()}
        partitions = table.metadata().partition_columns
        files = sorted(table.file_uris())
    unread = features & {"deletionVectors", "columnMapping"}
    if unread or partitions:
        what = (
            f"uses {', '.join(sorted(unread))}"
            if unread
            else f"is partitioned by {', '.join(partitions)}"
        )
        raise UsageError(
            f"{folder} {what}, which synglancer cannot read.",
            "First write it to plain Parquet files, for instance with polars or DuckDB.",
        )
    yield from (InputFile(path, "parquet", path) for path in files)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Translate what libraries raise about a file into an error that names it."""
    try:
        yield
    except SynglancerError:
        raise
    except Exception as error:
        if is_full(error):
            raise  # it concerns the work folder; the caller explains that error
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        if any(said in reason for said in _EMPTY):
            raise UsageError(f"{name} is empty.", "Give a file with rows.") from error
        raise UsageError(
            f"{name} cannot be read: {_without_bytes(reason)}.",
            "Check the file and its permissions.",
        ) from error


def _without_bytes(reason: str) -> str:
    """Leave out the line that pyarrow quotes at the end, if it is not text."""
    if not reason.isprintable() or REPLACEMENT in reason:
        reason = reason.rpartition(": ")[0] or reason
    return printable(reason.replace(REPLACEMENT, " "))[:_MOST_QUOTED]


def list_names(names: Sequence[str]) -> str:
    """List the columns of a file on one line, even if there are many or some are not text."""
    some = [printable(name)[:_MOST_NAME] for name in names[:_MOST_NAMES]]
    more = len(names) - len(some)
    return ", ".join(some) + (f" and {more:,} more" if more else "")


def open_parquet(path: str, **options: Any) -> Any:
    """Open a Parquet file at a path or an address."""
    import pyarrow.parquet as pq

    if "://" in path:
        import fsspec

        return pq.ParquetFile(fsspec.open(path, "rb").open(), **options)
    return pq.ParquetFile(path, **options)


def match_columns(names: Sequence[str], tag: str, file: str) -> Columns:
    """Find the columns by their names.

    Parameters
    ----------
    names
        The file's columns: as returned by queries, by a join of predictions with their synapses, or
        by `synglancer table`.
    tag
        The column of the tag.
    file
        The file's name, for messages.

    Raises
    ------
    UsageError
        The error names the file, the missing columns and the existing ones.
    """
    there = set(names)

    def pick(*wanted: str) -> str | None:
        return next((name for name in wanted if name in there), None)

    split = tuple(f"ctr_pt_position_{axis}" for axis in AXES)
    position = split if there.issuperset(split) else ("ctr_pt_position",)
    found = {
        # In rows of predictions, target_id is the ID of the synapse, and id may be that of either.
        "id": pick("target_id", "id"),
        "pre_pt_root_id": pick("pre_pt_root_id"),
        "post_pt_root_id": pick("post_pt_root_id"),
        "ctr_pt_position_x, _y, _z": position[0] if position[0] in there else None,
        tag: pick(tag),
    }
    missing = [what for what, name in found.items() if name is None]
    if missing:
        hint = "Give another --tag-column." if missing == [tag] else "Rename the columns."
        if {"target_id", "id"} <= there and len(missing) > 1:
            hint = "These look like predictions without their synapses: add --synapses FILE."
        raise UsageError(
            f"{file} has no column {' or '.join(missing)}; it has {list_names(names)}.",
            hint,
        )
    return Columns(
        id=str(found["id"]),
        pre="pre_pt_root_id",
        post="post_pt_root_id",
        position=position,
        tag=tag,
        confidence=pick(*CONFIDENCE_COLUMNS),
        size=pick("size"),
    )


def check_same(files: Sequence[InputFile], found: Sequence[Sequence[str]]) -> None:
    """Check that all files have the same optional columns.

    Parameters
    ----------
    files
        The files.
    found
        The names of the optional columns that each file has.

    Raises
    ------
    UsageError
        The error names two files that differ, and the columns.
    """
    given = [(file.name, names) for file, names in zip(files, found, strict=True)]
    for other in given[1:]:
        for (less, lacking), (more, having) in ((other, given[0]), (given[0], other)):
            if missing := [name for name in having if name not in lacking]:
                raise UsageError(
                    f"{less} has no {' and no '.join(missing)}, unlike {more}.",
                    "Give files with the same columns.",
                )
