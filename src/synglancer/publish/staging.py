"""Prepare inputs: convert CSV files, and join predictions with their synapses.

Both become Parquet files in the work folder.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import write_file
from synglancer.errors import UsageError
from synglancer.publish.inputs import (
    CONFIDENCE_COLUMNS,
    InputFile,
    check_same,
    list_names,
    match_columns,
    open_parquet,
    translated,
)
from synglancer.publish.rows import build_bad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = 1 << 23
_ROW_GROUP = 1 << 20
_JOIN_ROW_BYTES = 60
"""Measured memory of the join for each row of both sides, in bytes."""

_SYNAPSE_COLUMNS = ("id", "pre_pt_root_id", "post_pt_root_id")


@contextmanager
def finished(path: Path) -> Iterator[Path]:
    """Yield the name under which a file of work is written until it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    yield temporary
    temporary.replace(path)


def stage_csv(work: str, file: InputFile, number: int, tag: str | None) -> InputFile:
    """Write a CSV file as Parquet, all values as text so that no digit is lost.

    Parameters
    ----------
    work
        The work folder.
    file
        The CSV file.
    number
        Number of the staged file.
    tag
        The column of the tag, or None for a file without tags.

    Raises
    ------
    UsageError
        When it cannot be read as CSV (the error names the row), or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    path = Path(work) / "staged" / f"{number:05d}.parquet"
    staged = InputFile(str(path), "parquet", file.name)
    if path.exists():
        return staged
    with finished(path) as temporary, translated(file.name):
        with csv.open_csv(_open(file.path), csv.ReadOptions(use_threads=False)) as reader:
            names = reader.schema.names
        if len(set(names)) < len(names):
            raise UsageError(
                f"{file.name} has several columns of the same name.", "Rename one of them."
            )
        wanted = names if tag is None else match_columns(names, tag, file.name).names
        options = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            include_columns=wanted,
            strings_can_be_null=True,
            null_values=[""],
        )
        reading = csv.ReadOptions(block_size=_BLOCK, use_threads=False)
        # Quoted text may hold line ends: descriptions in notebooks' tables do.
        parsing = csv.ParseOptions(newlines_in_values=True)
        with (
            csv.open_csv(_open(file.path), reading, parsing, options) as reader,
            pq.ParquetWriter(temporary, reader.schema, compression="lz4") as writer,
        ):
            for batch in reader:
                writer.write_batch(batch)
    return staged


def _open(path: str) -> Any:
    import pyarrow as pa

    if "://" in path:
        import fsspec

        return fsspec.open(path, "rb", compression="infer").open()
    # pyarrow's own detection does not know .GZ.
    return pa.input_stream(path, compression="gzip" if path.lower().endswith(".gz") else None)


def plan_join(
    work: Path,
    predictions: Sequence[InputFile],
    synapses: Sequence[InputFile],
    tag: str,
    memory: int,
) -> list[tuple[int, int]]:
    """Write the plan of the join to the work folder; return parts that each fit into memory.

    Parameters
    ----------
    work
        The work folder.
    predictions, synapses
        Both sides of the join, as Parquet files.
    tag
        The column of the tag.
    memory
        Most memory for one part, in bytes.

    Raises
    ------
    UsageError
        When a file lacks a column.
    """
    _check_join(predictions, synapses, tag)
    for files, key in ((predictions, "target_id"), (synapses, "id")):
        for file in files:
            _check_ids(file, key)
    rows, names = 0, {}
    for file in (*predictions, *synapses):
        with translated(file.name), open_parquet(file.path) as parquet:
            rows += parquet.metadata.num_rows
            names[file] = parquet.schema_arrow.names
    values = [_list_values(names[file]) for file in predictions]
    check_same(predictions, values)
    kept = [_list_kept(names[file], tag, file.name) for file in synapses]
    check_same(synapses, kept)
    content = {
        "predictions": [file.path for file in predictions],
        "synapses": [file.path for file in synapses],
        "columns": ["pre_pt_root_id", "post_pt_root_id", *kept[0]],
        "value": next(iter(values[0]), None),
        "tag": tag,
    }
    write_file(work / "join.json", json.dumps(content).encode())
    parts = max(1, -(-rows * _JOIN_ROW_BYTES // memory))
    return [(part, parts) for part in range(parts)]


def _list_values(names: Sequence[str]) -> list[str]:
    """List the column of the confidence, if predictions have one."""
    return [name for name in CONFIDENCE_COLUMNS if name in names][:1]


def _list_kept(names: Sequence[str], tag: str, file: str) -> list[str]:
    """List the columns of synapses that a join keeps beside their root IDs."""
    columns = match_columns([*names, "target_id", tag], tag, file)
    return [*columns.position, *([columns.size] if columns.size else [])]


def _check_join(predictions: Sequence[InputFile], synapses: Sequence[InputFile], tag: str) -> None:
    """Check that both sides of a join have the columns that it needs.

    Raises
    ------
    UsageError
        The error names the file and the columns.
    """
    for files, wanted, option in (
        (predictions, ("target_id", tag), "the predictions"),
        (synapses, _SYNAPSE_COLUMNS, "--synapses"),
    ):
        for file in files:
            with translated(file.name):
                schema = open_parquet(file.path).schema_arrow
            missing = [name for name in wanted if name not in schema.names]
            if missing:
                raise UsageError(
                    f"{file.name} ({option}) has no column {', '.join(missing)}; "
                    f"it has {list_names(schema.names)}.",
                    "Predictions need target_id and the tag. Synapses need id and both root IDs.",
                )
            for name in wanted[:1]:
                if "float" in str(schema.field(name).type) or "double" in str(
                    schema.field(name).type
                ):
                    raise UsageError(
                        f"{file.name}: column {name!r} holds floating-point numbers, which "
                        "round IDs.",
                        "Write the column as integers or text.",
                    )


def _check_ids(file: InputFile, key: str) -> None:
    """Check that all keys of a join are IDs: DuckDB would round or trim texts, or name no file.

    Raises
    ------
    UsageError
        The error names the file, the column and the row.
    """
    import duckdb
    import pyarrow as pa

    with translated(file.name), duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        whole = pa.types.is_integer(open_parquet(file.path).schema_arrow.field(key).type)
        text = f"CAST({key} AS VARCHAR)"
        good = (
            f"{key} >= 0"
            if whole
            else (
                f"regexp_full_match({text}, '[0-9]+') AND TRY_CAST({text} AS UBIGINT) IS NOT NULL"
            )
        )
        bad = connection.execute(
            f"SELECT file_row_number + 1, {text} "
            f"FROM read_parquet({quote_sql(file.path)}, file_row_number = true) "
            f"WHERE {key} IS NOT NULL AND NOT ({good}) LIMIT 1"
        ).fetchone()
    if bad is not None:
        raise build_bad(file.name, key, "no ID", *bad)


def join_part(work: str, _mark: str, item: Sequence[Any]) -> dict[str, Any]:
    """Join one part of the predictions, selected by the remainder of the synapse's ID.

    Returns
    -------
    dict
        ``predictions`` and ``joined``: numbers of rows.
    """
    import duckdb

    part, parts = item
    folder = Path(work)
    asked = json.loads((folder / "join.json").read_bytes())
    path = folder / "staged" / f"joined-{part:05d}.parquet"
    with finished(path) as temporary, duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET preserve_insertion_order = false")
        predictions = _scan(asked["predictions"], "target_id", part, parts)
        synapses = _scan(asked["synapses"], "id", part, parts)
        counted = connection.execute(f"SELECT count(*) FROM {predictions}").fetchone()
        kept = ", ".join(f's."{name}"' for name in asked["columns"])
        value = f', p."{asked["value"]}" AS value' if asked["value"] else ""
        tag = asked["tag"].replace('"', '""')
        connection.execute(
            f'COPY (SELECT p.target_id, {kept}, p."{tag}"{value} FROM {predictions} p '
            f"JOIN {synapses} s ON CAST(p.target_id AS UBIGINT) = CAST(s.id AS UBIGINT)) "
            f"TO {quote_sql(str(temporary))} (FORMAT parquet, COMPRESSION lz4_raw)"
        )
        joined = connection.execute(
            f"SELECT count(*) FROM read_parquet({quote_sql(str(temporary))})"
        ).fetchone()
    return {"file": str(path), "predictions": counted[0], "joined": joined[0]}


def _scan(files: list[str], key: str, part: int, parts: int) -> str:
    names = ", ".join(map(quote_sql, files))
    scan = f"read_parquet([{names}], union_by_name = true)"
    # Rows without an ID belong to the first part, so that they are counted.
    return f"(SELECT * FROM {scan} WHERE coalesce(CAST({key} AS UBIGINT) % {parts}, 0) = {part})"


def quote_sql(text: str) -> str:
    """Write a text as a string of SQL."""
    return "'" + text.replace("'", "''") + "'"
