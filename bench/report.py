"""Time, memory and size of a report of 10, 100 and 1,000 cells, and how soon a browser shows it.

Each cell is a copy of every fourth synapse of the sandbox's large cell, 848 of them, under IDs of
its own, and none of them is known beforehand. Prints what one cell more costs: as much among a
thousand as among ten, where cost is linear.

Usage: ``python bench/report.py [CELLS...]``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from playwright.sync_api import sync_playwright

from cave_sandbox.sample.build import ensure_sample
from cave_sandbox.server import Sandbox, SandboxOptions
from first_link import CELL, TOKEN, Run, new_home, run
from synglancer.render.browser import find_browser

SIZES = (10, 100, 1000)
EVERY = 4
FIRST = 864691130000000000  # far from the root IDs that the sample has
STEP = 10**7  # between the IDs of one cell's synapses and those of the next
SHOWN = """() => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => done(document.images.length))))"""


@dataclass(frozen=True)
class Measured:
    """The cost of a report: the command, the size of the page, and the seconds until a browser
    shows it."""

    run: Run
    size: int
    opened: float
    filtered: float


def write_cells(sample: Path, folder: Path, count: int) -> list[str]:
    """Write a data folder with this many cells, and return their root IDs."""
    here = sample / "minnie65_public"
    synapses = pd.read_parquet(here / "tables" / "synapses_pni_2.parquet")
    labels = pd.read_parquet(here / "tables" / "synapse_target_predictions_ssa_v2.parquet")
    sides = ["pre_pt_root_id", "post_pt_root_id"]
    mine = synapses[(synapses[sides] == int(CELL)).any(axis=1)]
    mine = mine[mine["id"].isin(labels["target_id"])][::EVERY]
    labels = labels[labels["target_id"].isin(mine["id"])]
    start = {"id": mine["id"].min(), "label": labels["id"].min()}
    cells = [FIRST + number for number in range(count)]
    copies, tags = [], []
    for number, cell in enumerate(cells):
        shift = number * STEP
        copy = mine.replace({side: {int(CELL): cell} for side in sides})
        copies.append(copy.assign(id=mine["id"] - start["id"] + shift + 1))
        moved = labels["target_id"] - start["id"] + shift + 1
        tags.append(labels.assign(id=labels["id"] - start["label"] + shift + 1, target_id=moved))
    (folder / "tables").mkdir(parents=True)
    described = json.loads((here / "datastack.json").read_text())
    written = ("synapses_pni_2", "synapse_target_predictions_ssa_v2", "nucleus_detection_v0")
    tables = {name: described["tables"][name] for name in written}
    versions = [{**version, "tables": None} for version in described["versions"]]
    present = {**described, "views": {}, "tables": tables, "versions": versions}
    (folder / "datastack.json").write_text(json.dumps(present))
    shutil.copy(here / "tables" / "nucleus_detection_v0.parquet", folder / "tables")
    pd.concat(copies).to_parquet(folder / "tables" / "synapses_pni_2.parquet")
    pd.concat(tags).to_parquet(folder / "tables" / "synapse_target_predictions_ssa_v2.parquet")
    return [str(cell) for cell in cells]


def measure(sandbox: Sandbox, cells: list[str], folder: Path) -> Measured:
    table, page = folder / "cells.csv", folder / f"report-{len(cells)}.html"
    pd.DataFrame({"pt_root_id": cells}).to_csv(table, index=False)
    command = [str(Path(sys.executable).parent / "synglancer"), "report", str(table)]
    done = run(sandbox, [*command, "--server", sandbox.origin, "-o", str(page)], new_home(folder))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_browser(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        tab = browser.new_page()
        started = time.perf_counter()
        tab.goto(page.as_uri())
        tab.evaluate(SHOWN)
        opened = time.perf_counter() - started
        started = time.perf_counter()
        tab.fill("#filter", cells[0])
        tab.evaluate(SHOWN)
        filtered = time.perf_counter() - started
        assert tab.get_by_role("status").inner_text() == f"1 of {len(cells)} cells"
        browser.close()
    return Measured(done, page.stat().st_size, opened, filtered)


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or list(SIZES)
    measured: dict[int, Measured] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells = write_cells(ensure_sample(folder / "sample"), folder / "data", max(sizes))
        options = SandboxOptions(data=folder / "data", states=folder / "states.sqlite", token=TOKEN)
        with Sandbox(options) as sandbox:
            for size in sizes:
                measured[size] = measure(sandbox, cells[:size], folder)
    few, many = measured[min(sizes)], measured[max(sizes)]
    if few is not many:
        more = max(sizes) - min(sizes)
        print(
            f"One cell more: {(many.run.wall - few.run.wall) / more:.2f} s, "
            f"{(many.run.memory - few.run.memory) / more:.2f} MiB, "
            f"{(many.size - few.size) / more / 1000:.0f} kB of page"
        )
    print(
        f"{'cells':>6}{'wall':>10}{'CPU':>10}{'memory':>12}{'page':>12}{'opened':>10}{'filtered':>10}"
    )
    for size, one in measured.items():
        print(
            f"{size:6,}{one.run.wall:8.1f} s{one.run.cpu:8.1f} s{one.run.memory:8.0f} MiB"
            f"{one.size / 1e6:9.2f} MB{one.opened:8.2f} s{one.filtered:8.2f} s"
        )


if __name__ == "__main__":
    main()
