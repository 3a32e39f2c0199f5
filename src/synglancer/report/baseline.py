"""Baselines for proportions of tags: from the whole table, a file, or a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synglancer.cells.tables import read_table
from synglancer.errors import SynglancerError, UsageError
from synglancer.publish.manifest import MANIFEST, parse_manifest
from synglancer.settings import DEFAULT_TABLE
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from synglancer.settings import Settings

_KNOWN = {DEFAULT_TABLE: {"spine": 123_000_000, "shaft": 79_000_000, "soma": 5_000_000}}
"""Rows of tables by tag, to the nearest million."""

_HINT = (
    f"Give a CSV or Parquet file with columns 'tag' and 'count', the {MANIFEST} of a published "
    "table, or, with --group-by, the name of a group."
)


@dataclass(frozen=True)
class Baseline:
    """Proportions for comparison.

    Attributes
    ----------
    name
        Description for readers.
    counts
        Tag → number of synapses, the same for each direction.
    group
        The group of the report's cells that serves as the baseline, or None.
    """

    name: str
    counts: Mapping[str, int] | None = None
    group: str | None = None


def find_known_baseline(settings: Settings, *, synthetic: bool) -> Baseline | None:
    """Find the proportions of the whole table.

    None if filters are set, or if the data are synthetic, from a table of the same name.
    """
    counts = _KNOWN.get(str(settings.table))
    selected = settings.tag or settings.min_confidence or settings.min_size or settings.multi_input
    if counts is None or selected or synthetic:
        return None
    return Baseline("whole table (rounded)", counts)


def read_baseline(path: Path) -> Baseline:
    """Read a baseline from a file.

    Raises
    ------
    UsageError
        When it cannot be read, or has no counts of tags.
    """
    if path.suffix == ".json":
        try:
            manifest = parse_manifest(path.read_bytes(), str(path.parent))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.", _HINT) from error
        except SynglancerError as error:
            raise UsageError(str(error), _HINT) from error
        counts = {source.tag: source.rows for source in manifest.tags}
        return Baseline(f"whole table, {manifest.datastack} version {manifest.version}", counts)
    table = read_table(path)
    if not {"tag", "count"} <= set(table.names):
        raise UsageError(f"{path} has no columns 'tag' and 'count'.", _HINT)
    tag, count = table.names.index("tag"), table.names.index("count")
    counts = {}
    for row, line in zip(table.rows, table.lines, strict=True):
        if not row[count].isdecimal():
            raise UsageError(
                f"{path} has no valid count in {table.unit} {line}: {quote(row[count])}.",
                "Give a whole number of synapses for each tag.",
            )
        counts[row[tag]] = counts.get(row[tag], 0) + int(row[count])
    if not sum(counts.values()):
        raise UsageError(f"{path} counts no synapses.", _HINT)
    return Baseline(path.name, counts)
