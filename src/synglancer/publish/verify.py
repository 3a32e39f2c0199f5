"""Check a published source against its input with tensorstore, an independent reader."""

from __future__ import annotations

import hashlib
import random
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.errors import SynglancerError, UnreachableError, UsageError
from synglancer.publish.destinations import TIMEOUT
from synglancer.publish.encoding import RELATIONSHIPS
from synglancer.publish.manifest import COUNTS, load_manifest, name_counts
from synglancer.publish.reading.comparison import Input
from synglancer.publish.sharding import mix
from synglancer.publish.source import RELATIONSHIP_OF
from synglancer.publish.tag_reader import TagReader, open_files, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

_AT_ONCE = 4096
_UNANSWERED = ("ABORTED:", "UNAVAILABLE:", "DEADLINE_EXCEEDED:")
"""How tensorstore begins when it could not read a store."""

_DIRECTIONS = {relationship: direction for direction, relationship in RELATIONSHIP_OF.items()}


@dataclass
class Findings:
    """The findings of a check.

    Attributes
    ----------
    checked
        Things that are right, one sentence each.
    problems
        Things that are wrong.
    """

    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"good": not self.problems, "checked": self.checked, "problems": self.problems}


@dataclass
class _Sum:
    """Compares sets of IDs without keeping them, by their number and two sums of hashed IDs."""

    rows: int = 0
    once: int = 0
    twice: int = 0

    def add(self, ids: NDArray[np.uint64]) -> None:
        mixed = mix(ids)
        self.rows += len(ids)
        self.once = (self.once + int(mixed.sum(dtype=np.uint64))) % 2**64
        self.twice = (self.twice + int(mix(mixed).sum(dtype=np.uint64))) % 2**64


@dataclass
class _Counted:
    """Compares counts of cells without keeping them; cells without rows are ignored."""

    rows: int = 0
    weighted: int = 0

    def add(self, cells: NDArray[np.uint64], rows: NDArray[np.uint64]) -> None:
        self.rows += int(rows.sum())
        self.weighted = (self.weighted + int((mix(cells) * rows).sum(dtype=np.uint64))) % 2**64


def verify(address: str, inputs: Sequence[str] = (), cells: int = 20) -> Findings:
    """Check a published source.

    Parameters
    ----------
    address
        A folder, or an address that tensorstore reads.
    inputs
        The published files, for comparison.
    cells
        Number of random cells and IDs to compare for each tag.

    Raises
    ------
    UsageError
        When there is nothing to check.
    """
    if cells < 0:
        raise UsageError(f"--cells {cells} is not a number of cells.", "Give 0 or more.")
    address = address.rstrip("/").removeprefix("file://")
    manifest = load_manifest(read_manifest(address), address)
    findings = Findings()
    total = sum(one["rows"] for one in manifest["tags"])
    if total != manifest["rows"]:
        findings.problems.append(
            f"The tags have {total:,} rows, but the manifest says {manifest['rows']:,}."
        )
    compare = Input(inputs, manifest) if inputs else None
    counted: dict[str, _Counted] = {}
    for one in manifest["tags"]:
        with _listed(one["folder"], address, findings):
            reader = TagReader(f"{address}/{one['folder']}", manifest["properties"])
            counted.update(_check_tag(reader, one, cells, compare, findings))
    if manifest.get("counts"):
        with _listed(COUNTS, address, findings):
            stored = open_files(address).read(COUNTS).result(TIMEOUT)
            _check_counts(bytes(stored.value), manifest, counted, findings)
    return findings


@contextmanager
def _listed(name: str, address: str, findings: Findings) -> Iterator[None]:
    """List what cannot be read among the problems.

    Raises
    ------
    UnreachableError
        When the store does not answer, which is no problem of the source.
    """
    try:
        yield
    except UnreachableError:
        raise
    except (ValueError, OSError, SynglancerError) as error:
        if isinstance(error, TimeoutError) or str(error).startswith(_UNANSWERED):
            raise UnreachableError(
                f"{address} does not answer: {_say(error)}.",
                "Check the address and the connection.",
            ) from error
        findings.problems.append(f"{name} cannot be read: {_say(error)}.")


def _check_tag(
    reader: TagReader,
    one: dict[str, Any],
    cells: int,
    compare: Input | None,
    findings: Findings,
) -> dict[str, _Counted]:
    """Check the source of one tag: every index, then random cells and IDs; return its counts."""
    counted: dict[str, _Counted] = {}
    name, rows = one["folder"], one["rows"]
    before = len(findings.problems)
    single, keys, sides = _sum_single(reader)
    levels = _Sum()
    for level in reader.levels:
        _check_level(reader, level, levels, findings, name)
    _expect(findings, f"{name}: IDs", single.rows, rows)
    _expect(findings, f"{name}: annotations over all levels", levels.rows, rows)
    if (levels.once, levels.twice) != (single.once, single.twice):
        findings.problems.append(f"{name}: the levels and by_id hold different annotations.")
    generator = random.Random(rows)  # noqa: S311  # the same choice each time
    for index in reader.info["relationships"]:
        found, neurons, counts = _sum_groups(reader, index)
        counted[f"{_DIRECTIONS[index['id']]}_{one['tag']}"] = counts
        expected = sides[index["id"]]
        _expect(findings, f"{name}: rows of {index['id']}", found.rows, expected.rows)
        if found != expected:
            findings.problems.append(f"{name}: {index['id']} and by_id hold different rows.")
        if compare is not None:
            picked = generator.sample(neurons, min(cells, len(neurons)))
            compare.check_neurons(reader, one["tag"], index, picked, findings)
    if compare is not None:
        picked = generator.sample(keys, min(cells, len(keys)))
        compare.check_ids(reader, one["tag"], picked, findings)
    if len(findings.problems) == before:
        levels_read = _count(len(reader.levels), "level")
        findings.checked.append(
            f"{name}: {_count(rows, 'annotation')}, each once in {levels_read}."
        )
    return counted


def _say(error: Exception) -> str:
    """Explain in one line why something cannot be read."""
    return (str(error) or type(error).__name__).splitlines()[0][:300].rstrip(".")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _expect(findings: Findings, what: str, found: int, expected: int) -> None:
    if found != expected:
        findings.problems.append(f"{what}: {found:,} instead of {expected:,}.")


def _sum_single(reader: TagReader) -> tuple[_Sum, list[int], dict[str, _Sum]]:
    """Sum up all annotations that are stored by ID, and those with a cell on either side."""
    total = _Sum()
    sides = {name: _Sum() for name in RELATIONSHIPS}
    sample: list[int] = []
    waiting: list[tuple[int, dict[str, Any]]] = []

    def add() -> None:
        ids = np.array([id_ for id_, _ in waiting], np.uint64)
        total.add(ids)
        for name in RELATIONSHIPS:
            linked = [id_ for id_, one in waiting if one[name]]
            sides[name].add(np.array(linked, np.uint64))
        waiting.clear()

    for id_, content in reader.read_all(reader.info["by_id"]):
        waiting.append((id_, reader.decode_single(content)))
        if len(sample) < _AT_ONCE or random.random() < _AT_ONCE / (total.rows + 1):  # noqa: S311
            sample[len(sample) % _AT_ONCE : len(sample) % _AT_ONCE + 1] = [id_]
        if len(waiting) >= _AT_ONCE:
            add()
    add()
    return total, sample, sides


def _sum_groups(reader: TagReader, index: dict[str, Any]) -> tuple[_Sum, list[int], _Counted]:
    total, keys, rows = _Sum(), [], []
    for key, content in reader.read_all(index):
        ids = reader.decode(content)["id"]
        total.add(ids)
        keys.append(key)
        rows.append(len(ids))
    counted = _Counted()
    counted.add(np.array(keys, np.uint64), np.array(rows, np.uint64))
    return total, keys, counted


def _check_counts(
    content: bytes, manifest: dict[str, Any], counted: dict[str, _Counted], findings: Findings
) -> None:
    """Check that the table of cells lists each cell once, with the number of rows in its index."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    said = manifest["counts"]
    name, before = COUNTS, len(findings.problems)
    if hashlib.sha256(content).hexdigest() != said["sha256"]:
        findings.problems.append(f"{name} is missing or differs from the manifest.")
        return
    columns = name_counts(one["tag"] for one in manifest["tags"])
    found = {column: _Counted() for column in columns}
    last, cells = -1, 0
    with pq.ParquetFile(pa.BufferReader(content)) as table:
        if table.schema_arrow.names != ["cell", *columns]:
            findings.problems.append(f"{name} has the columns {table.schema_arrow.names}.")
            return
        for batch in table.iter_batches():
            keys = np.array(batch.column("cell").cast(pa.uint64()), np.uint64)
            if int(keys[0]) <= last or (keys[1:] <= keys[:-1]).any():
                findings.problems.append(f"{name} lists cells twice or out of order.")
            last, cells = int(keys[-1]), cells + len(keys)
            for column, one in found.items():
                one.add(keys, np.array(batch.column(column), np.uint64))
    _expect(findings, f"{name}: cells", cells, said["cells"])
    for column, one in found.items():
        if column in counted and one != counted[column]:
            findings.problems.append(f"{name}: {column} differs from the index.")
    if len(findings.problems) == before:
        findings.checked.append(f"{name}: {_count(cells, 'cell')}, with the counts of the indexes.")


def _check_level(
    reader: TagReader, level: dict[str, Any], total: _Sum, findings: Findings, name: str
) -> None:
    """Check that each grid cell of a level holds its own annotations, and not too many."""
    lower = np.array(reader.info["lower_bound"])
    shape, size = level["grid_shape"], np.array(level["chunk_size"])
    if not np.all(lower + size * shape >= np.array(reader.info["upper_bound"])):
        findings.problems.append(f"{name}: {level['key']} does not reach the upper bound.")
    fullest, outside = 0, False
    for key, content in reader.read_all(level):
        rows = reader.decode(content)
        total.add(rows["id"])
        fullest = max(fullest, len(rows))
        corner = lower + size * np.array(_decode_morton(key, shape))
        points = rows["body"]["point"].astype(np.float64)
        outside |= not ((points >= corner) & (points < corner + size)).all()
    if outside:
        findings.problems.append(f"{name}: {level['key']} has points outside their grid cell.")
    if fullest > level["limit"]:
        findings.problems.append(
            f"{name}: a grid cell of {level['key']} has {fullest:,} annotations, but the limit "
            f"is {level['limit']:,}."
        )


def _decode_morton(code: int, shape: Sequence[int]) -> list[int]:
    """Return the place in a grid that a compressed Morton code stands for."""
    place = [0, 0, 0]
    bits = [max(0, (number - 1).bit_length()) for number in shape]
    taken = 0
    for bit in range(max(bits, default=0)):
        for axis in range(3):
            if bit < bits[axis]:
                place[axis] |= (code >> taken & 1) << bit
                taken += 1
    return place
