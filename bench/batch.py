"""Measure what a cell costs in a batch: tables queried in groups, compared with cell by cell.

Both make the same links, in turn and in one process, of cells that are copies of every fourth
synapse of the sandbox's large cell (848 rows), under IDs of their own; requests are counted by the
sandbox, which waits 100 ms before each answer. Caches are off.

Usage: ``python bench/batch.py [CELLS] [REPEATS]``.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from cave_sandbox.sample.build import ensure_sample
from cave_sandbox.server import Sandbox, SandboxOptions
from first_link import LATENCY_MS, TOKEN
from report import write_cells
from synglancer import Link, make_links
from synglancer.links.make import LinkMaker
from synglancer.synapses.loading import CellLoader


@dataclass(frozen=True)
class Batch:
    """One batch: seconds, requests and queries per cell, and hashes of all states."""

    wall: float
    requests: float
    queries: float
    states: list[str]


def measure(sandbox: Sandbox, cells: list[str], *, grouped: bool) -> Batch:
    sandbox.take_requests()
    started = time.perf_counter()
    if grouped:
        made = make_links(cells, server=sandbox.origin, no_cache=True)
    else:
        with (
            patch.object(LinkMaker, "lacks_rows", lambda *_: False),
            patch.object(CellLoader, "expect", lambda *_: None),
        ):
            made = make_links(cells, server=sandbox.origin, no_cache=True)
    wall = time.perf_counter() - started
    requests = sandbox.take_requests()
    queries = sum(request.path.endswith("/query") for request in requests)
    states = [link.state_sha256 for link in made if isinstance(link, Link)]
    count = len(cells)
    return Batch(wall / count, len(requests) / count, queries / count, states)


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    count, repeats = [*given, *(100, 3)[len(given) :]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"HOME": name, "CAVE_TOKEN": TOKEN, "SYNGLANCER_DATA_DIR": name}
        cells = write_cells(ensure_sample(folder / "sample"), folder / "data", count)
        options = SandboxOptions(
            data=folder / "data",
            states=folder / "states.sqlite",
            token=TOKEN,
            latency_ms=LATENCY_MS,
        )
        runs: dict[bool, list[Batch]] = {True: [], False: []}
        with Sandbox(options) as sandbox:
            measure(sandbox, cells[:2], grouped=True)  # imports
            for _ in range(repeats):
                for grouped, found in runs.items():
                    found.append(measure(sandbox, cells, grouped=grouped))
    assert all(run.states == runs[True][0].states for found in runs.values() for run in found)
    assert len(runs[True][0].states) == count
    print(f"{count:,} cells, {repeats} runs each, all with the same states; medians for each cell")
    print(f"{'':12}{'wall':>10}{'requests':>10}{'queries':>10}")
    medians = {}
    for grouped, found in runs.items():
        medians[grouped] = [
            statistics.median(getattr(run, name) for run in found)
            for name in ("wall", "requests", "queries")
        ]
        wall, requests, queries = medians[grouped]
        words = "in groups" if grouped else "one by one"
        print(f"{words:12}{wall:8.3f} s{requests:10.2f}{queries:10.3f}")
    ratios = [one / many for many, one in zip(medians[True], medians[False], strict=True)]
    print(f"{'ratio':12}{ratios[0]:10.2f}{ratios[1]:10.2f}{ratios[2]:10.1f}")


if __name__ == "__main__":
    main()
