"""synglancer publish: a whole table as precomputed annotation sources, one for each tag."""

from __future__ import annotations

import re
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from synglancer.cli.options import CELLS, CONNECTION, OUTPUT, ServiceSettings, describe
from synglancer.cli.printing import complain, print_json, print_lines
from synglancer.errors import SOME_SKIPPED, ServiceError, UsageError
from synglancer.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from synglancer.publish.inputs import InputFile
    from synglancer.publish.writing.runner import Progress
    from synglancer.settings import Service

    Fetch = Callable[[Path, Progress | None], list[InputFile]]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_CAVE = "cave"
_SERVICE = ServiceSettings()
CaveService = Annotated[ServiceSettings, Parameter(name="*")]
_STAGES = {
    "join_part": "joining",
    "fetch_range": "fetching",
    "survey": "reading",
    "find_repeated": "comparing",
    "spill": "sorting",
    "write_shard": "writing",
    "write_counts": "counting",
}


def publish(
    *inputs: Annotated[str, describe(None, "FILE...")],
    dest: Annotated[str, describe(OUTPUT, "FOLDER|BUCKET", name=["--dest", "-o"])],
    version: Annotated[int, describe(CELLS, "N")],
    timestamp: Annotated[str | None, describe(CELLS, "TIME")] = None,
    table: Annotated[str | None, describe(CELLS, "NAME")] = None,
    tag_column: Annotated[str, describe(CELLS, "NAME")] = "tag",
    resolution: Annotated[str, describe(CELLS, "X,Y,Z")] = "1,1,1",
    synapses: Annotated[tuple[str, ...], describe(CELLS, "FILE")] = (),
    counts: Annotated[bool, describe(OUTPUT)] = False,
    resume: Annotated[bool, describe(OUTPUT)] = False,
    work: Annotated[str | None, describe(OUTPUT, "FOLDER")] = None,
    output: Annotated[Literal["text", "json"], describe(OUTPUT)] = "text",
    workers: Annotated[int | None, describe(CONNECTION, "N")] = None,
    scheduler: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None,
    memory: Annotated[str, describe(CONNECTION, "SIZE")] = "1GB",
    service: CaveService = _SERVICE,
) -> None:
    """Publish a table of predictions as precomputed annotation sources, one for each tag.

    The input has a row for each synapse. A layer on a source shows the synapses of the cells that
    are selected in the viewer. Viewers cannot open a source before it is complete; --resume
    finishes an interrupted run.

    Parameters
    ----------
    inputs
        Parquet or CSV files, globs or Delta Lake folders; or the word cave, to fetch --table.
    dest
        Folder, or an address such as s3://bucket/folder, gs://… or az://….
    version
        Materialization version of the rows.
    timestamp
        Timestamp of that version, such as 2026-03-07T08:10:01.190228Z.
    table
        Table of predictions that the rows come from.
    tag_column
        Column with the predicted target.
    resolution
        Nanometres per unit of the positions, such as 4,4,40 for voxels.
    synapses
        Synapse files to join with predictions (id, target_id, tag, value); can be repeated.
    workers
        Processes on this machine (otherwise one per core).
    scheduler
        Have a Dask cluster do the work: the address of its scheduler.
    memory
        Most memory for all processes together.
    counts
        Also write cells.parquet: each cell's number of synapses, by direction and tag.
    resume
        Finish an earlier run that was interrupted.
    work
        Folder for unfinished work (otherwise inside DEST; for object stores, in the cache).
    service
        Which datastack; and for the input cave, which server.
    output
        Print a summary, or the manifest as JSON.
    """
    from synglancer.publish.publication import Publication
    from synglancer.publish.publishing import publish as run
    from synglancer.publish.writing.runner import make_runner

    asked = Publication(
        inputs=inputs,
        destination=dest,
        datastack=service.datastack,
        version=version,
        timestamp=_read_timestamp(timestamp),
        table=table,
        tag_column=tag_column,
        resolution=_read_resolution(resolution),
        synapses=synapses,
        memory=_read_size(memory),
        counts=counts,
        timeout=service.timeout,
    )
    fetch = None
    if _CAVE in inputs:
        fetch, moment = _open_cave(inputs, synapses, service, version, table)
        asked = replace(asked, timestamp=moment)
    asked = replace(asked, facts=_find_facts(service, version, table))
    folder = Path(work).absolute() if work else None
    with closing(make_runner(workers, scheduler)) as runner, _show_stages() as show:
        manifest = run(asked, runner=runner, resume=resume, work=folder, progress=show, fetch=fetch)
    if output == "json":
        print_json(manifest)
    else:
        _say(manifest, dest)


def verify(
    dest: Annotated[str, describe(None, "FOLDER|BUCKET")],
    *,
    inputs: Annotated[tuple[str, ...], describe(None, "FILE", name="--input")] = (),
    cells: Annotated[int, describe(None, "N")] = 20,
    output: Literal["text", "json"] = "text",
) -> int:
    """Check the structure, counts and annotations of a published source.

    The exit code is 0 if the source is good, and 5 if it has problems.

    Parameters
    ----------
    dest
        Folder or address of the source.
    inputs
        File that was published, to compare random cells and IDs with; can be repeated.
    cells
        Number of random cells and IDs to read for each tag.
    output
        Print the problems that were found, or JSON.
    """
    from synglancer.publish.verify import verify as run

    findings = run(dest, inputs, cells)
    if output == "json":
        print_json(findings.to_record())
    else:
        print_lines(findings.checked)
        for line in findings.problems:
            print(printable(line))  # noqa: T201
    return SOME_SKIPPED if findings.problems else 0


def _open_cave(
    inputs: tuple[str, ...],
    synapses: tuple[str, ...],
    service: Service,
    version: int,
    table: str | None,
) -> tuple[Fetch, str]:
    """Return the object that fetches the table, and the version's timestamp."""
    from synglancer.cache.answers import Store
    from synglancer.cave.session import Session
    from synglancer.publish.cave_input import fetch_table

    if len(inputs) > 1 or synapses:
        raise UsageError(
            "Both files and the input cave were given.", "Give files, or cave with --table."
        )
    if table is None:
        raise UsageError(
            "The input cave needs a table.",
            "Give --table, such as synapse_target_predictions_ssa_v2.",
        )
    session = Session(service, Store(), version)
    timestamp = session.materialization.timestamp.isoformat()
    return lambda work, progress: fetch_table(session, table, work, progress), timestamp


def _find_facts(service: Service, version: int, table: str | None) -> dict[str, Any]:
    """Fetch the data that links on the source need; if CAVE fails, each link will ask again."""
    from synglancer.cache.answers import Store
    from synglancer.cave.session import Session
    from synglancer.publish.cave_input import find_facts

    try:
        return find_facts(Session(service, Store(), version), table)
    except ServiceError as error:
        complain(
            f"The manifest will not hold the address of the images of {service.datastack}: {error}",
            "Links on the source will query CAVE for it.",
        )
        return {}


def _read_resolution(text: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float(one) for one in text.split(","))
    except ValueError:
        x = y = z = 0.0
    if not all(0 < one < 1e6 for one in (x, y, z)):  # noqa: PLR2004  # a voxel of a millimetre
        raise UsageError(
            f"--resolution {text!r} is not a voxel size.", "Give nanometres such as 4,4,40."
        )
    return x, y, z


def _read_size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", text.strip().lower())
    size = int(float(match[1]) * _UNITS[match[2]]) if match else 0
    if size < 10**8:
        raise UsageError(
            f"--memory {text!r} is not a size, or is too small.",
            "Give at least 100MB, such as 1GB.",
        )
    return size


def _read_timestamp(text: str | None) -> str | None:
    from synglancer.states.fields import read_timestamp

    if text is None:
        return None
    try:
        return read_timestamp(text).astimezone(timezone.utc).isoformat()
    except ValueError as error:
        raise UsageError(
            f"--timestamp {text!r} is not a timestamp.", "Give a time such as 2026-03-07T08:10:01Z."
        ) from error


@contextmanager
def _show_stages() -> Iterator[Progress]:
    """Show a progress bar on stderr, if that is a terminal; yield the function that moves it."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    tasks: dict[str, Any] = {}
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(_STAGES.get(stage, stage), total=total)
            bar.update(tasks[stage], completed=done)

        yield show


def _say(manifest: dict[str, Any], dest: str) -> None:
    lines = []
    for one in manifest["tags"]:
        line = f"{one['rows']:,} {'synapse' if one['rows'] == 1 else 'synapses'} in {one['folder']}"
        lines.append(line if one["folder"] == one["tag"] else f"{line} (tag {one['tag']!r})")
    if "counts" in manifest:
        cells = manifest["counts"]["cells"]
        what = "cell" if cells == 1 else "cells"
        lines.append(f"{cells:,} {what} in {manifest['counts']['file']}")
    lines += [f"{number:,} left out: {reason}" for reason, number in manifest["left_out"].items()]
    lines += [f"{number:,} kept, {reason}" for reason, number in manifest["kept"].items()]
    print_lines(lines)
    print(printable(dest))  # noqa: T201
