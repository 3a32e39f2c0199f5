"""Publish generated tables, beside ngsidekick with the same rows, properties and relationships.

Rows are shaped like minnie65's: three tags in the real proportions, positions in its volume, few
cells with many inputs, and very many fragments of axons with few outputs. ngsidekick needs another
DuckDB than we do, so it gets an environment of its own, made on the first run. It is given Feather
files divided by tag already, which is what it reads fastest; making them is not counted. We are
given one Parquet file, as tables come.

Memory is the sum over all processes, sampled every 50 ms. Usage:
``python bench/publish.py [ROWS...] [--peer-up-to ROWS] [--dask] [--sample CSV] [--keep FOLDER]``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import psutil
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

PEER = ("ngsidekick==0.0.20", "duckdb<2")
TAGS = {"spine": 0.594, "shaft": 0.382, "soma": 0.024}
LOWER, UPPER = (211_000, 242_000, 594_000), (1_750_000, 1_290_000, 1_114_000)  # nm, of minnie65
FIRST_ROOT = 864691134884736000
REAL = 208_600_000
WORKERS = 2
ROWS_A_PART = 1 << 20

PUBLISH = "from synglancer.cli import main; main()"
NGSIDEKICK = """
import sys
from ngsidekick.annotations.precomputed import write_precomputed_annotations
for tag in sys.argv[3:]:
    write_precomputed_annotations(
        f"{sys.argv[1]}/{tag}.feather", "xyz", "point", ["confidence", "size"], ["pre", "post"],
        f"{sys.argv[2]}/{tag}", write_sharded=True, target_chunk_limit=5000,
    )
"""

DASK = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, processes=True,
                      dashboard_address=":0", host="127.0.0.1") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


@dataclass(frozen=True)
class Measured:
    """The cost of a run: wall and CPU seconds, bytes of memory and of files, and number of
    files."""

    wall: float
    cpu: float
    peak: int
    size: int
    files: int


def generate(rows: int, folder: Path, sample: Path | None, *, peer: bool) -> None:
    """Write a table as one Parquet file, and for ngsidekick as a Feather file per tag."""
    random = np.random.default_rng(7)
    # Numbers of rows: 92,000 cells with somata, and about 25 rows for each other segment.
    neurons = max(20, rows // 2300)
    weights = random.lognormal(0, 1.1, neurons)
    ends = np.cumsum(weights / weights.sum())
    near = np.loadtxt(sample, delimiter=",", usecols=(4, 5, 6)) * (4, 4, 40) if sample else None
    writer = None
    streams: dict[str, pa.RecordBatchFileWriter] = {}
    for first in range(0, rows, ROWS_A_PART):
        number = min(ROWS_A_PART, rows - first)
        points = random.uniform(LOWER, UPPER, (number, 3))
        if near is not None:
            points = near[random.integers(0, len(near), number)] + random.normal(
                0, 40_000, (number, 3)
            )
        points = np.clip(points, LOWER, UPPER).astype(np.int32)
        post = np.searchsorted(ends, random.random(number)) * 104_729
        fragment = (random.pareto(0.7, number) * rows / 3000).astype(np.int64) % max(rows // 25, 40)
        table = pa.table(
            {
                "id": random.permutation(number).astype(np.int64) + first + 1,
                "pre_pt_root_id": FIRST_ROOT + fragment * 7_919,
                "post_pt_root_id": FIRST_ROOT + post,
                **{f"ctr_pt_position_{axis}": points[:, place] for place, axis in enumerate("xyz")},
                "size": random.lognormal(8, 1, number).astype(np.int32),
                "value": random.beta(8, 1, number).astype(np.float32),
                "tag": random.choice(list(TAGS), number, p=list(TAGS.values())),
            }
        )
        writer = writer or pq.ParquetWriter(folder / "rows.parquet", table.schema)
        writer.write_table(table)
        for tag in TAGS if peer else ():
            _write_feather(table, tag, folder, streams)
    for stream in (writer, *streams.values()):
        if stream is not None:
            stream.close()


def _write_feather(table: pa.Table, tag: str, folder: Path, streams: dict) -> None:
    part = table.filter(pa.compute.equal(table["tag"], tag))
    part = pa.table(
        {
            "annotation_id": part["id"].cast(pa.uint64()),
            **{axis: part[f"ctr_pt_position_{axis}"].cast(pa.float32()) for axis in "xyz"},
            "confidence": part["value"],
            "size": part["size"].cast(pa.uint32()),
            "pre": part["pre_pt_root_id"].cast(pa.uint64()),
            "post": part["post_pt_root_id"].cast(pa.uint64()),
        }
    )
    if tag not in streams:
        streams[tag] = pa.ipc.new_file(str(folder / f"{tag}.feather"), part.schema)
    streams[tag].write_table(part)


def _list_processes(root: int) -> list[psutil.Process]:
    """List a process and its child processes."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.Error:  # it has ended
        return []


def _read_times(process: psutil.Process) -> float:
    """Return the CPU time of a process in seconds."""
    times = process.cpu_times()
    return times.user + times.system


def measure(words: list[str], out: Path, others: tuple[int, ...] = ()) -> Measured:
    """Run a command, and measure it, all of its child processes, and some other processes."""
    shutil.rmtree(out, ignore_errors=True)
    peak, cpu = 0, {}
    before = sum(_read_times(one) for root in others for one in _list_processes(root))
    done = threading.Event()
    began = time.monotonic()
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            total = 0
            for root in (running.pid, *others):
                for one in _list_processes(root):
                    with suppress(psutil.Error):  # it has ended
                        total += one.memory_info().rss
                        cpu[one.pid] = _read_times(one)
            peak = max(peak, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = running.communicate()[1]
    wall = time.monotonic() - began
    done.set()
    watcher.join()
    if running.returncode:
        raise SystemExit(f"{words[0]} failed:\n{said.decode()[-2000:]}")
    files = [path for path in out.rglob("*") if path.is_file()]
    return Measured(
        wall,
        sum(cpu.values()) - before,
        peak,
        sum(path.stat().st_size for path in files),
        len(files),
    )


def make_peer() -> str:
    """Create ngsidekick's environment if needed; return its Python."""
    folder = platformdirs.user_cache_path("synglancer-bench") / PEER[0]
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PEER], check=True)
        (folder / "ready").touch()
    return str(python)


def run_ours(folder: Path, *more: str, others: tuple[int, ...] = ()) -> Measured:
    """Publish the table."""
    out = folder / "ours"
    words = [sys.executable, "-c", PUBLISH, "publish", str(folder / "rows.parquet"), "-o", str(out)]
    return measure([*words, "--version", "1718", *more], out, others)


def run_on_dask(folder: Path) -> Measured:
    """Publish the table with a scheduler and two workers on this machine."""
    words = [sys.executable, "-c", DASK, str(WORKERS)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as dask:
        address = dask.stdout.readline().strip()
        try:
            return run_ours(folder, "--scheduler", address, others=(dask.pid,))
        finally:
            dask.stdin.close()


def report(rows: int, who: str, found: Measured, peer: Measured | None = None) -> None:
    """Print a line of the table."""
    ratio = f"{peer.wall / found.wall:.1f}" if peer else ""
    print(
        f"| {rows / 1e6:g} M | {who} | {found.wall:.1f} | {rows / found.wall / 1e6:.3f} | {ratio} "
        f"| {found.cpu:.1f} | {found.peak / 1e6:,.0f} | {found.size / 1e6:,.0f} | {found.files} |",
        flush=True,
    )


def main() -> None:
    """Run the measurements, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=[300_000, 3_000_000])
    parser.add_argument("--peer-up-to", type=int, default=3_000_000)
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--sample", type=Path)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| rows | writer | s | M rows/s | times ngsidekick | CPU s | peak MB | MB | files |")
    print("|---|---|---|---|---|---|---|---|---|")
    last = None
    for rows in asked.rows:
        with tempfile.TemporaryDirectory(dir=asked.keep) as name:
            folder = Path(name)
            generate(rows, folder, asked.sample, peer=rows <= asked.peer_up_to)
            peer = None
            if rows <= asked.peer_up_to:
                words = [make_peer(), "-c", NGSIDEKICK, str(folder), str(folder / "peer"), *TAGS]
                peer = measure(words, folder / "peer")
                report(rows, PEER[0], peer)
            last = run_ours(folder, "--workers", str(WORKERS))
            report(rows, "synglancer, 2 processes", last, peer)
            manifest = json.loads((folder / "ours" / "synglancer.json").read_bytes())
            if manifest["rows"] != rows:
                raise SystemExit(f"{manifest['rows']} rows instead of {rows}")
            if asked.dask:
                report(rows, "synglancer, 2 Dask workers", run_on_dask(folder), peer)
    if last is not None:
        wall, cpu = (REAL / asked.rows[-1] * each / 60 for each in (last.wall, last.cpu))
        print(
            f"\nAt the last rate, {REAL / 1e6:g} M rows take {wall:.0f} minutes, "
            f"{cpu:.1f} minutes of the CPU."
        )


if __name__ == "__main__":
    main()
