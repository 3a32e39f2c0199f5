"""Write the table of cells: their numbers of synapses as published, by direction and tag."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synglancer.publish.destinations import open_destination
from synglancer.publish.manifest import COUNTS, name_counts
from synglancer.publish.source import RELATIONSHIP_OF
from synglancer.publish.staging import finished, quote_sql
from synglancer.publish.writing.work import load_plan, load_request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from synglancer.publish.sharding import Keys

_BATCH = 1 << 16
_PIECE = 1 << 23
_LEAST_MEMORY = 100_000_000


def keep_counts(
    work: Path, index: str, source: int, shard: int, cells: Keys, rows: NDArray[Any]
) -> None:
    """Store the number of rows of each cell in a shard, for `write_counts`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with finished(work / f"counts-{index}-{source}-{shard}.parquet") as path:
        pq.write_table(pa.table({"cell": cells, "rows": rows}), path, compression="lz4")


def write_counts(work: str, mark: str, name: str) -> dict[str, Any]:
    """Write the table of cells, sorted by root ID, without holding it in memory.

    Returns
    -------
    dict
        The record for the manifest: ``file``, ``cells``, ``bytes``, ``sha256``.
    """
    folder = Path(work)
    request = load_request(work, mark)
    tags = [source.tag for source in load_plan(work, mark).sources]
    staged = folder / "cells-staged.parquet"
    _gather(folder, staged, len(tags), request["memory"])
    table = folder / COUNTS
    cells = _rename(staged, table, ["cell", *name_counts(tags)])
    digest = hashlib.sha256()

    def read() -> Iterator[bytes]:
        with table.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
                yield piece

    destination = open_destination(request["destination"], request["timeout"])
    size = destination.write(name, read())
    return {"file": name, "cells": cells, "bytes": size, "sha256": digest.hexdigest()}


def _gather(folder: Path, staged: Path, tags: int, memory: int) -> None:
    """Sum up the numbers of all shards; columns are named by their position."""
    import duckdb

    scans = []
    for place, (side, tag) in enumerate(
        (side, tag) for side in RELATIONSHIP_OF.values() for tag in range(tags)
    ):
        files = [str(path) for path in sorted(folder.glob(f"counts-{side}-{tag}-*.parquet"))]
        names = ", ".join(map(quote_sql, files))
        scans.append(f"SELECT cell, rows, {place} AS place FROM read_parquet([{names}])")
    columns = ", ".join(
        f"CAST(coalesce(sum(rows) FILTER (place = {place}), 0) AS BIGINT) AS c{place}"
        for place in range(len(scans))
    )
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute(f"SET memory_limit = '{max(memory, _LEAST_MEMORY)}B'")
        connection.execute(f"SET temp_directory = {quote_sql(str(folder / 'counting'))}")
        connection.execute(
            f"COPY (SELECT cell, {columns} FROM ({' UNION ALL '.join(scans)}) GROUP BY cell "
            f"ORDER BY cell) TO {quote_sql(str(staged))} (FORMAT parquet, COMPRESSION lz4_raw)"
        )


def _rename(staged: Path, path: Path, names: list[str]) -> int:
    """Write the table with its final column names and return its number of rows.

    DuckDB cannot write these names, because it does not distinguish upper and lower case.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(names[0], pa.string()), *((name, pa.int64()) for name in names[1:])])
    with (
        pq.ParquetFile(staged) as given,
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
    ):
        for batch in given.iter_batches(_BATCH, use_threads=False):
            cells, *counts = batch.columns
            writer.write_batch(pa.record_batch([cells.cast(pa.string()), *counts], schema=schema))
        return int(given.metadata.num_rows)
