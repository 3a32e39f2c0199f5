"""What links on a published source cost: from its folder, and over HTTP from `synglancer serve`.

Generated rows: cells with about 1,000 synapses each, among a million of other segments, so that
their indexes are as far apart as in a real table. Each batch runs in its own process, with cells
that are near and far in turn. Only the batch's own requests are counted. Then one cell: a link, and
a link with its partners.

Usage: ``python bench/source.py [CELLS] [REPEATS]``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from first_link import Run, measure_process
from publish import FIRST_ROOT, LOWER, TAGS, UPPER

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_A_CELL = 1_000
OTHERS = 1_000_000
COMMAND = "from synglancer.cli import main; main()"

# Runs the command line, and prints the number of requests for files of the source.
COUNTING = """
import sys
from synglancer.publish.reading.access import Server
counted, asked, read = sys.argv.pop(), [], Server.read
def count(self, name, *place):
    asked.append(name)
    return read(self, name, *place)
Server.read = count
from synglancer.cli import main
try:
    main()
finally:
    print(len(asked), file=open(counted, "w"))
"""


def generate(path: Path, cells: int) -> list[str]:
    """Write a table in which half of the rows belong to one of the cells; return their root IDs."""
    random = np.random.default_rng(7)
    number = cells * ROWS_A_CELL
    rows = 2 * number
    own = FIRST_ROOT + np.arange(cells) * 104_729
    weights = random.lognormal(0, 1.1, cells)
    chosen = own[random.choice(cells, number, p=weights / weights.sum())]
    chosen[:cells] = own
    sides = FIRST_ROOT + 10**12 + random.integers(0, OTHERS, (2, rows)) * 7_919
    sides[1, : 2 * number // 3] = chosen[: 2 * number // 3]  # inputs, and the rest are outputs
    sides[0, 2 * number // 3 : number] = chosen[2 * number // 3 :]
    points = random.uniform(LOWER, UPPER, (rows, 3)).astype(np.int32)
    table = pa.table(
        {
            "id": random.permutation(rows).astype(np.int64) + 1,
            "pre_pt_root_id": sides[0],
            "post_pt_root_id": sides[1],
            **{f"ctr_pt_position_{axis}": points[:, place] for place, axis in enumerate("xyz")},
            "size": random.lognormal(8, 1, rows).astype(np.int32),
            "value": random.beta(8, 1, rows).astype(np.float32),
            "tag": random.choice(list(TAGS), rows, p=list(TAGS.values())),
        }
    )
    pq.write_table(table.take(random.permutation(rows)), path)
    return [str(cell) for cell in own]


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder in a separate process; yield its address."""
    words = [sys.executable, "-c", COMMAND, "serve", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            yield server.stdout.readline().decode().strip()
        finally:
            server.kill()


def run(words: list[str], folder: Path) -> Run:
    """Run the command with its own home folder, and ignore its output."""
    home = tempfile.mkdtemp(dir=folder)
    counted = Path(home) / "requests"
    command = [sys.executable, "-c", COUNTING, *words, str(counted)]
    environment = {**os.environ, "HOME": home, "SYNGLANCER_DATA_DIR": home}
    wall, cpu, memory = measure_process(command, environment)
    return Run(wall, cpu, memory, int(counted.read_text()))


def show(label: str, runs: list[Run], links: int = 1) -> None:
    """Print a line: medians, and requests per link."""
    wall, cpu, memory, requests = (
        statistics.median(getattr(one, name) for one in runs)
        for name in ("wall", "cpu", "memory", "requests")
    )
    print(f"{label:34}{wall:8.1f} s{cpu:8.1f} s{memory:8.0f} MiB{requests / links:10.1f}")


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    count, repeats = [*given, *(1_000, 3)[len(given) :]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = generate(folder / "rows.parquet", count)
        words = [str(folder / "rows.parquet"), "-o", str(folder / "out"), "--version", "1718"]
        subprocess.run(
            [sys.executable, "-c", COMMAND, "publish", *words], check=True, capture_output=True
        )
        (folder / "cells.txt").write_text("\n".join(cells))
        with serve(folder / "out") as address:
            near = ["--source", str(folder / "out"), "--public-url", address]
            far = ["--source", address]
            batch = ["link", str(folder / "cells.txt"), "--quiet"]
            one = ["link", cells[0], "--quiet"]
            asked = {
                f"{count:,} links, from the folder": [*batch, *near],
                f"{count:,} links, over HTTP": [*batch, *far],
                "one link, over HTTP": [*one, *far],
                "one link with partners, over HTTP": [*one, *far, "--partners", "10"],
            }
            runs: dict[str, list[Run]] = {label: [] for label in asked}
            for _ in range(repeats):
                for label, words in asked.items():
                    runs[label].append(run(words, folder))
    print(f"{os.cpu_count()} cores; medians of {repeats}")
    print(f"{'':34}{'wall':>10}{'CPU':>10}{'memory':>12}{'requests':>10}")
    for label, found in runs.items():
        show(label, found, count if "links" in label else 1)


if __name__ == "__main__":
    main()
