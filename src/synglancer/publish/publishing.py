"""The steps of a publication, and the manifest that ends it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from synglancer.cache.files import cache_folder, write_file
from synglancer.cache.locks import locked
from synglancer.errors import UsageError, needs_extra
from synglancer.publish.destinations import WORK, dump_json, open_destination
from synglancer.publish.encoding import build_info
from synglancer.publish.inputs import (
    InputFile,
    check_same,
    find_files,
    match_columns,
    open_parquet,
)
from synglancer.publish.manifest import ABOUT, COUNTS, MANIFEST, build_manifest, load_manifest
from synglancer.publish.plan import PLAN, Plan, describe_levels, make_plan
from synglancer.publish.staging import join_part, plan_join, stage_csv
from synglancer.publish.writing.counts import write_counts
from synglancer.publish.writing.resuming import (
    check_finished,
    check_unfinished,
    explained,
    no_empty_folders,
    nothing_left_of_a_failed_start,
)
from synglancer.publish.writing.runner import Processes, run_stage
from synglancer.publish.writing.shards import list_shards, write_shard
from synglancer.publish.writing.spill import save_spans, spill
from synglancer.publish.writing.survey import find_repeated, make_units, survey
from synglancer.publish.writing.work import REQUEST, read_work, write_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from synglancer.publish.destinations import Folder, ObjectStore
    from synglancer.publish.publication import Publication
    from synglancer.publish.writing.runner import Progress, Runner
    from synglancer.publish.writing.shards import Task

_ASKED = "asked.json"

_OWN = 160_000_000
"""Memory of an idle process, in bytes."""

_ROW_MEMORY = 220
"""Memory for each row in progress, in bytes: the row, its place in the order, and its encoding."""

_LEAST_ROWS = 50_000
_LEAST_SAMPLE, _MOST_SAMPLE = 500_000, 2_000_000  # rows; between them, 1 in 100

_REPEAT_ROWS = 4_000_000
_LOCK_PATIENCE = 1.0


def publish(
    asked: Publication,
    *,
    runner: Runner | None = None,
    resume: bool = False,
    work: Path | None = None,
    progress: Progress | None = None,
    fetch: Callable[[Path, Progress | None], list[InputFile]] | None = None,
) -> dict[str, Any]:
    """Publish a table as precomputed annotation sources, one for each tag.

    Parameters
    ----------
    asked
        The request.
    runner
        Runs the tasks; by default in this process.
    resume
        Continue an interrupted run.
    work
        Folder for unfinished work; by default inside the destination, if that is a folder.
    progress
        Called with the stage, the number of its finished tasks, and the number of all its tasks.
    fetch
        Creates the input files in the work folder, instead of ``asked.inputs``.

    Returns
    -------
    dict
        The manifest, as in the file ``synglancer.json`` of the destination.

    Raises
    ------
    UsageError
        When a file cannot be read or written, or the destination is in use.
    ServiceError
        When an object store or a cluster fails.
    """
    _name_compressor()  # first: without the extra `publish`, other libraries are missing as well
    runner = runner or Processes(1)
    destination = open_destination(asked.destination, asked.timeout)
    folder = work or choose_work(asked.destination)
    lock = folder.with_name(f"{folder.name}.lock")
    existing = destination.read(MANIFEST)
    if existing is not None:
        if not resume:
            raise UsageError(
                f"{asked.destination} already holds a published source.",
                "Choose another destination, or remove it first.",
            )
        manifest = load_manifest(existing, asked.destination)
        check_finished(asked, [] if fetch else _identify(*_find_given(asked)), manifest)
        # The manifest is written last, so the remaining work was being removed when that run ended.
        # Holding its lock also removes the lock file, which that run may have left.
        with locked(lock, _LOCK_PATIENCE):
            _clear(folder, destination)
        return manifest
    if not resume and _is_begun(folder):
        raise UsageError(
            f"An earlier run for {asked.destination} was not finished.",
            f"Add --resume to continue it, or remove {folder} to start again.",
        )
    if not resume and not destination.is_empty():
        raise UsageError(f"{asked.destination} is not empty.", "Choose another destination.")
    discardable = None if _is_begun(folder) else folder
    with no_empty_folders(folder):
        _prepare(folder, "Choose another --work." if work else "Choose another destination.")
        with locked(lock, _LOCK_PATIENCE) as held:
            if not held:
                raise UsageError(
                    f"Another run is publishing to {asked.destination}.",
                    "Wait until it has finished.",
                )
            starting = nothing_left_of_a_failed_start(discardable, fetching=fetch is not None)
            with starting, explained(folder):
                manifest = _Run(asked, runner, folder, progress, fetch).run()
    _clear(folder, destination)
    return manifest


def _find_given(asked: Publication) -> tuple[list[InputFile], list[InputFile]]:
    """Find the given files of predictions and of synapses."""
    return find_files(asked.inputs), find_files(asked.synapses) if asked.synapses else []


def _identify(*lists: list[InputFile]) -> list[dict[str, Any]]:
    return [file.identify() for files in lists for file in files]


def _name_files(files: list[InputFile]) -> str:
    more = len(files) - 1
    return files[0].name + (f" (and {more:,} more)" if more else "")


def _clear(folder: Path, destination: Folder | ObjectStore) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    destination.remove_leftovers()


def choose_work(destination: str) -> Path:
    """Choose the folder for temporary files of a run."""
    if "://" in destination.removeprefix("file://"):
        digest = hashlib.sha256(destination.encode()).hexdigest()[:16]
        return cache_folder() / "publish" / digest
    return Path(destination.removeprefix("file://")).absolute() / WORK


def _is_begun(folder: Path) -> bool:
    return (folder / _ASKED).exists()


def _prepare(folder: Path, hint: str) -> None:
    try:
        (folder / "done").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be created: {error.strerror or error}.", hint) from error


@dataclass
class _Run:
    """One run, with the arguments of `publish`."""

    asked: Publication
    runner: Runner
    work: Path
    progress: Progress | None
    fetch: Callable[[Path, Progress | None], list[InputFile]] | None
    # Of this run: what processes keep of another one is no good.
    _mark: str = field(default_factory=lambda: uuid4().hex)
    _identity: list[dict[str, Any]] = field(default_factory=list)
    _unjoined: int = 0

    def run(self) -> dict[str, Any]:
        """Run all steps in order."""
        files = self._find_inputs()
        request = self._settle_request(files)
        surveyed = self._stage(survey, range(len(request["units"])))
        counts: Counter[str] = Counter()
        for outcome in surveyed:
            counts.update(outcome["counts"])
        slabs = [slab for outcome in surveyed for slab in outcome["slabs"]]
        counts["without a synapse"] = self._unjoined
        if not slabs:
            raise _build_nothing_left(counts)
        plan = self._settle_plan(slabs, request, counts)
        spilled = self._stage(spill, range(len(plan.slabs)))
        for slab in plan.slabs:  # they are in the spilled files now
            for suffix in (".rows", ".mixed", ".confidence"):
                (self.work / f"{slab['file']}{suffix}").unlink(missing_ok=True)
        rows: Counter[str] = Counter()
        for outcome in spilled:
            rows.update(outcome["rows"])
        shards = list_shards(plan, save_spans(self.work, spilled))
        written = list(zip(shards, self._stage(write_shard, shards), strict=True))
        tables = self._stage(write_counts, [COUNTS] if request["counts"] else [])
        return self._finish(plan, rows, counts, written, tables, request)

    def _stage(self, task: Any, items: Any) -> list[dict[str, Any]]:
        return run_stage(self.runner, task, items, self.work, self._mark, self.progress)

    def _find_inputs(self) -> list[InputFile]:
        """Find the input files, staged where they are not Parquet."""
        asked = self.asked
        if self.fetch is not None:
            self._check_same(0)
            return self.fetch(self.work, self.progress)
        given, synapses = _find_given(asked)
        self._identity = _identify(given, synapses)
        self._check_same(len(given))
        tag = None if synapses else asked.tag_column
        ready = [
            file if file.kind == "parquet" else stage_csv(str(self.work), file, number, tag)
            for number, file in enumerate([*given, *synapses])
        ]
        return self._join(ready[: len(given)], ready[len(given) :]) if synapses else ready

    def _join(self, predictions: list[InputFile], synapses: list[InputFile]) -> list[InputFile]:
        parts = plan_join(
            self.work, predictions, synapses, self.asked.tag_column, self._share_of_memory()
        )
        outcomes = self._stage(join_part, parts)
        self._unjoined = sum(one["predictions"] - one["joined"] for one in outcomes)
        name = f"the join of {_name_files(predictions)} and {_name_files(synapses)}"
        return [InputFile(one["file"], "parquet", name) for one in outcomes]

    def _share_of_memory(self) -> int:
        """Return the bytes that one process may use for rows."""
        workers = self.runner.workers
        own = _OWN * (workers + (workers > 1))
        return max((self.asked.memory - own) // workers, _LEAST_ROWS * _ROW_MEMORY)

    def _check_same(self, inputs: int) -> None:
        """Check that a resumed run has the same inputs and options as before.

        Parameters
        ----------
        inputs
            How many of the identified files are inputs; the others are synapses.

        Raises
        ------
        UsageError
            When the inputs or options have changed.
        """
        asked = {**asdict(self.asked), "identity": self._identity, "inputs": inputs}
        del asked["synapses"]  # the files are identified, however they were given
        # A run may continue with less memory, and if CAVE does not answer.
        for name in ("memory", "facts", "timeout"):
            del asked[name]
        path = self.work / _ASKED
        if path.exists():
            check_unfinished(asked, path, self.work)
        else:
            write_work(path, asked)

    def _settle_request(self, files: list[InputFile]) -> dict[str, Any]:
        """Write the settings that every process reads, unless an earlier run wrote them."""
        path = self.work / REQUEST
        if not path.exists():
            asked = self.asked
            most = int(self._share_of_memory() // _ROW_MEMORY)
            units, rows = make_units(files, asked.tag_column)
            properties = self._settle_properties(files)
            request = {
                "destination": open_destination(asked.destination).address,
                "files": [asdict(file) for file in files],
                "counts": asked.counts,
                "timeout": asked.timeout,
                "memory": self._share_of_memory(),
                "tag_column": asked.tag_column,
                "resolution": asked.resolution,
                "properties": properties,
                "units": units,
                "slab_rows": most,
                "share": min(1.0, max(_LEAST_SAMPLE, min(rows / 100, _MOST_SAMPLE)) / max(rows, 1)),
                "repeat_parts": max(1, -(-rows // _REPEAT_ROWS)),
                "compressor": _name_compressor(),
            }
            write_work(path, request)
        request = read_work(path, self.work)
        if request["timeout"] != self.asked.timeout:
            request["timeout"] = self.asked.timeout
            write_work(path, request)
        if request["compressor"] != _name_compressor():
            raise UsageError(
                f"The earlier run used {request['compressor']}, not {_name_compressor()}.",
                f"Install that version, or remove {self.work} to start again.",
            )
        return request

    def _settle_properties(self, files: list[InputFile]) -> list[str]:
        """Return the numeric properties of annotations; all files must have them."""
        found = []
        for file in files:
            names = open_parquet(file.path).schema_arrow.names
            found.append(match_columns(names, self.asked.tag_column, file.name).properties)
        check_same(files, found)
        return found[0] if found else []

    def _settle_plan(
        self, slabs: list[dict[str, Any]], request: dict[str, Any], counts: Counter[str]
    ) -> Plan:
        write_file(self.work / "slabs.json", json.dumps(slabs).encode())
        dropped: list[int] = []
        if len(slabs) > 1:
            outcomes = self._stage(find_repeated, range(request["repeat_parts"]))
            dropped = [number for number, one in enumerate(outcomes) if one["dropped"]]
            counts["repeating a synapse"] += sum(one["dropped"] for one in outcomes)
        path = self.work / PLAN
        if not path.exists():
            plan = make_plan(self.work, slabs, dropped, request["slab_rows"])
            write_work(path, plan.to_json())
        return Plan.from_json(read_work(path, self.work))

    def _finish(
        self,
        plan: Plan,
        rows: Counter[str],
        counts: Counter[str],
        written: list[tuple[Task, dict[str, Any]]],
        tables: list[dict[str, Any]],
        request: dict[str, Any],
    ) -> dict[str, Any]:
        """Write the info files, which complete the sources, and then the manifest."""
        destination = open_destination(self.asked.destination, self.asked.timeout)
        for number, source in enumerate(plan.sources):
            limits = [0] * len(source.levels)
            for (index, owner, level, _), outcome in written:
                if index == "spatial" and owner == number:
                    limits[level] = max(limits[level], outcome["largest"])
            upper = [low + far for low, far in zip(plan.lower, plan.extent, strict=True)]
            info = build_info(
                (plan.lower, upper), request["properties"], source.shardings,
                describe_levels(source, plan, limits),
            )  # fmt: skip
            destination.write(f"{source.folder}/info", [dump_json(info)])
        said = {
            **{name: getattr(self.asked, name) for name in ABOUT},
            "input": self._identity,
            "facts": self.asked.facts,
            "counts": tables[0] if tables else None,
            "properties": request["properties"],
            "bytes": sum(outcome["bytes"] for _, outcome in written),
        }
        manifest = build_manifest(plan, rows, counts, said)
        destination.write(MANIFEST, [dump_json(manifest)])
        return manifest


def _build_nothing_left(counts: Counter[str]) -> UsageError:
    """Make the error for an input of which no row is left to publish."""
    listed = [
        f"{number:,} {reason}" for reason, number in counts.items() if number and reason != "read"
    ]
    if not listed:
        return UsageError("The input has no rows.", "Give a table with at least one synapse.")
    hint = "Check the columns of the input."
    if counts["without a synapse"] and not counts["read"]:
        hint = "Give the table of synapses that these predictions belong to."
    return UsageError(f"No row can be published: {', '.join(listed)}.", hint)


def _name_compressor() -> str:
    with needs_extra("publish", "Publishing needs isal."):
        from isal import __version__
    return f"isal {__version__}"
