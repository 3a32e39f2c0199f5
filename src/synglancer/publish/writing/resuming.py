"""Compare a resumed run with the earlier one, and explain and clean up failed runs."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from synglancer.cache.files import is_full
from synglancer.errors import OutputError, SynglancerError, UsageError
from synglancer.publish.destinations import build_full
from synglancer.publish.manifest import digest_inputs
from synglancer.publish.plan import PLAN
from synglancer.publish.writing.work import read_work

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from synglancer.publish.publication import Publication

_OPTIONS = {
    "destination": "--dest",
    "datastack": "--datastack",
    "version": "--version",
    "timestamp": "--timestamp",
    "table": "--table",
    "tag_column": "--tag-column",
    "resolution": "--resolution",
    "counts": "--counts",
}
_FILES = ("inputs", "synapses", "identity")


def check_finished(
    asked: Publication, identity: list[dict[str, Any]], manifest: Mapping[str, Any]
) -> None:
    """Check that a finished source matches the request.

    Raises
    ------
    UsageError
        The error names the options that differ, or says that the input files do.
    """
    before = {name: manifest.get(name) for name in ("datastack", "version", "table", "tag_column")}
    before |= {
        "resolution": manifest.get("resolution_nm"),
        "counts": "counts" in manifest,
        "identity": dict(manifest.get("input") or {}).get("sha256"),
    }
    now = {name: getattr(asked, name) for name in before if name != "identity"}
    now |= {"resolution": [*asked.resolution], "identity": digest_inputs(identity)}
    if asked.timestamp is not None:  # otherwise it may have come from CAVE
        before["timestamp"], now["timestamp"] = manifest.get("timestamp"), asked.timestamp
    changes = _list_changes(before, now)
    if changes:
        raise UsageError(
            f"{asked.destination} already holds a published source that was made with other "
            f"options or input: {changes}.",
            "Choose another destination, or remove that source first.",
        )


def check_unfinished(asked: Mapping[str, Any], path: Path, work: Path) -> None:
    """Check that a resumed run has the same request as before.

    Raises
    ------
    UsageError
        The error names the options that differ, or says that the input files do.
    """
    changes = _list_changes(read_work(path, work), json.loads(json.dumps(asked)))
    if changes:
        raise UsageError(
            f"The earlier run had other options or input: {changes}.",
            f"Give the same options and input, or remove {work} to start again.",
        )


def _list_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changed = [name for name in now if now[name] != before.get(name)]
    said = [
        f"{_OPTIONS[name]} was {_say(before.get(name))} and is now {_say(now[name])}"
        for name in changed
        if name in _OPTIONS
    ]
    if any(name in _FILES for name in changed):
        said.append("the input files are not the same")
    return ", ".join(said)


def _say(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "given" if value else "not given"
    if isinstance(value, (list, tuple)):
        return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in value)
    return str(value)


@contextmanager
def nothing_left_of_a_failed_start(folder: Path | None, *, fetching: bool) -> Iterator[None]:
    """Remove the folder of work when a run fails before there is anything to continue with.

    Parameters
    ----------
    folder
        The folder, or None if an earlier run began it.
    fetching
        Whether rows are fetched into it, so that failures of services count, too.
    """
    try:
        yield
    except SynglancerError as error:
        counts = fetching or isinstance(error, UsageError)
        if folder is not None and counts and not _is_worth_continuing(folder):
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _is_worth_continuing(folder: Path) -> bool:
    return (folder / PLAN).exists() or any(folder.glob("fetched/*.parquet"))


@contextmanager
def no_empty_folders(folder: Path) -> Iterator[None]:
    """Remove the folders above (and with) ``folder`` that a refused run made and left empty."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        yield
    except SynglancerError:
        with suppress(OSError):  # stops at the first folder that is not empty
            for one in made:
                if one.exists():
                    one.rmdir()
        raise


@contextmanager
def explained(work: Path) -> Iterator[None]:
    """Explain that the work folder could not be written or read.

    Raises
    ------
    OutputError
        In place of the errors of the system and libraries.
    """
    try:
        yield
    except SynglancerError:
        raise
    except Exception as error:
        if is_full(error):
            raise build_full(work) from error
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or str(error) or type(error).__name__
        raise OutputError(
            f"{error.filename or work} cannot be read or written: {reason.rstrip('.')}.",
            "Check the disk and the permissions, then try again; `synglancer publish` continues "
            "with --resume.",
        ) from error
