"""Measure what a link costs: make-link, compared with the script that a user would write today.

Both are run as fresh processes against one sandbox, in turn, so that both meet the same machine.
Requests are counted by the sandbox; CPU and memory are the processes' own, from the kernel.
Run as ``python bench/first_link.py [REPEATS]``.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cave_sandbox.sample.build import ensure_sample
from cave_sandbox.server import Sandbox, SandboxOptions

TOKEN = "bench-token"
CELL = "864691135276234469"
LATENCY_MS = 100
NOTEBOOK = Path(__file__).parent / "notebook.py"

# A process begins with the peak memory of the one that started it, so a small one starts it.
STARTER = """
import os, subprocess, sys, time
started = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
wall = time.perf_counter() - started
print(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(status != 0)
"""


@dataclass(frozen=True)
class Run:
    """One process: wall and CPU time in seconds, peak memory in MiB, and HTTP requests."""

    wall: float
    cpu: float
    memory: float
    requests: int


def run(sandbox: Sandbox, command: list[str], home: Path) -> Run:
    environment = {
        **os.environ,
        "CAVE_TOKEN": TOKEN,
        "HOME": str(home),
        "SYNGLANCER_CACHE_DIR": str(home / "cache"),
        "SYNGLANCER_DATA_DIR": str(home / "data"),
    }
    before = len(sandbox.requests)
    wall, cpu, memory = measure_process(command, environment)
    return Run(wall, cpu, memory, len(sandbox.requests) - before)


def measure_process(command: list[str], environment: dict[str, str]) -> tuple[float, float, float]:
    """Run a command, and return its wall and CPU time in seconds and its peak memory in MiB."""
    starter = [sys.executable, "-S", "-c", STARTER, *command]
    done = subprocess.run(starter, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr}")
    wall, cpu, memory = map(float, done.stdout.split())
    return wall, cpu, memory


def new_home(folder: Path) -> Path:
    """Make a home folder as on a new machine, with the token where caveclient looks for it."""
    home = Path(tempfile.mkdtemp(dir=folder))
    secrets = home / ".cloudvolume" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "cave-secret.json").write_text(f'{{"token": "{TOKEN}"}}')
    return home


def measure(sandbox: Sandbox, folder: Path, repeats: int, next_cell: str) -> dict[str, list[Run]]:
    bin_folder = Path(sys.executable).parent
    make_link = [str(bin_folder / "make-link"), "--server", sandbox.origin, "--quiet"]
    notebook = [sys.executable, str(NOTEBOOK), sandbox.origin, CELL]
    runs: dict[str, list[Run]] = {"notebook": [], "first": [], "next": [], "again": []}
    for _ in range(repeats):
        runs["notebook"].append(run(sandbox, notebook, new_home(folder)))
        home = new_home(folder)
        runs["first"].append(run(sandbox, [*make_link, CELL], home))
        runs["next"].append(run(sandbox, [*make_link, next_cell], home))
        runs["again"].append(run(sandbox, [*make_link, CELL], home))
    return runs


def show(title: str, runs: dict[str, list[Run]]) -> None:
    def median(name: str, field: str) -> float:
        return statistics.median(getattr(item, field) for item in runs[name])

    names = {
        "notebook": "script of today",
        "first": "make-link, first link",
        "next": "make-link, next cell",
        "again": "make-link, same question",
    }
    print(f"\n{title} (medians of {len(runs['first'])}; share of the script of today in brackets)")
    print(f"{'':26}{'requests':>10}{'wall':>16}{'CPU':>16}{'peak memory':>18}")
    for name, label in names.items():
        cells = [f"{median(name, 'requests'):10.0f}"]
        for field, unit, width in (("wall", "s", 16), ("cpu", "s", 16), ("memory", "MiB", 18)):
            value = median(name, field)
            share = value / median("notebook", field)
            number = f"{value:.0f}" if unit == "MiB" else f"{value:.2f}"
            cells.append(f"{f'{number} {unit} ({share:.0%})':>{width}}")
        print(f"{label:26}{''.join(cells)}")


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = ensure_sample(folder / "sample")
        for latency in (LATENCY_MS, 0):
            options = SandboxOptions(
                data=data,
                states=folder / f"states-{latency}.sqlite",
                token=TOKEN,
                latency_ms=latency,
            )
            with Sandbox(options) as sandbox:
                runs = measure(sandbox, folder, repeats, find_next_cell(data))
            show(f"{latency} ms added to each request", runs)


def find_next_cell(data: Path) -> str:
    """Choose another cell of the sample that has predictions."""
    import pandas as pd

    tables = data / "minnie65_public" / "tables"
    synapses = pd.read_parquet(tables / "synapses_pni_2.parquet", columns=["id", "post_pt_root_id"])
    labelled = pd.read_parquet(
        tables / "synapse_target_predictions_ssa_v2.parquet", columns=["target_id"]
    )
    counts = synapses[synapses["id"].isin(labelled["target_id"])]["post_pt_root_id"].value_counts()
    return str(next(cell for cell in counts.index if str(cell) != CELL))


if __name__ == "__main__":
    main()
