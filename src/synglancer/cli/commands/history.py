"""synglancer history: the links that were made on this machine."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any, Literal

from synglancer.cli.options import OUTPUT, describe
from synglancer.cli.printing import for_terminal, print_json, print_table
from synglancer.errors import UsageError
from synglancer.settings import BETWEEN, SYNAPSE
from synglancer.text.printable import shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


_LONGEST = 200  # characters of a link in the table


def history(
    *cells: Annotated[str, describe(None, "CELL...")],
    limit: Annotated[int | None, describe(OUTPUT, "N")] = None,
    output: Annotated[Literal["table", "json", "url"], describe(OUTPUT)] = "table",
) -> None:
    """List the links that were made on this machine, newest last.

    Parameters
    ----------
    cells
        Show only links of these root IDs, or of synapse:ID.
    limit
        Show at most this many links, the newest ones.
    output
        Print a table that shortens long links, one JSON object per line, or only the links.
    """
    from synglancer.cache.receipts import Damaged, history_file, read_receipts
    from synglancer.cells.parse import parse_cell

    if limit is not None and limit < 1:
        raise UsageError(f"With --limit {limit}, no link is shown.", "Give --limit as 1 or more.")
    found: deque[Mapping[str, Any]] = deque(
        maxlen=None if limit is None else min(limit, sys.maxsize)
    )
    wanted = {str(parse_cell(cell)) for cell in cells}
    try:
        for item in read_receipts():
            if isinstance(item, Damaged):
                sentence = f"Line {item.line} of {item.path} is not a valid entry and is left out."
                print(for_terminal(sentence), file=sys.stderr)  # noqa: T201
            elif not wanted or wanted & _list_cells(item.record):
                found.append(item.record)
    except OSError as error:
        raise UsageError(
            f"The history {history_file()} cannot be read: {error.strerror}.",
            "Check the file's permissions, or choose another folder with SYNGLANCER_DATA_DIR.",
        ) from error
    if not found:
        of = " of this cell" if cells else ""
        print(f"No link{of} has been made on this machine yet.", file=sys.stderr)  # noqa: T201
    elif output == "table":
        _print_rows(found)
    else:
        for record in found:
            if output == "json":
                print_json(record)
            else:
                print(for_terminal(record["url"]))  # noqa: T201


def _print_rows(found: Collection[Mapping[str, Any]]) -> None:
    further = [BETWEEN, SYNAPSE]
    directions = ["inputs", "outputs"] + [
        name for name in further if any(name in _read_counts(record) for record in found)
    ]
    heads = ["when", "cell", ">version", *(f">{name}" for name in directions), "link"]
    print_table(heads, [_format_row(record, directions) for record in found])


def _list_cells(record: Mapping[str, Any]) -> set[str]:
    """List the IDs by which a link can be found: its root IDs and the requested synapses."""
    from synglancer.states.provenance import read_recorded_cells, read_recorded_synapses

    synapses = (f"synapse:{synapse}" for synapse in read_recorded_synapses(record))
    return {record["cell"], *map(str, read_recorded_cells(record)), *synapses}


def _read_counts(record: Mapping[str, Any]) -> Mapping[str, Any]:
    counts = record.get("counts")
    return counts if isinstance(counts, dict) else {}


def _format_row(record: Mapping[str, Any], directions: Sequence[str]) -> list[str]:
    from synglancer.states.provenance import read_recorded_cells, read_recorded_synapses

    counts, synapses = _read_counts(record), read_recorded_synapses(record)
    named = [f"synapse:{one}" for one in synapses] or [record["cell"]]
    more = len(synapses or read_recorded_cells(record) or named) - 1
    return [
        record["when"][:16].replace("T", " "),
        named[0] + (f" and {more} more" if more else ""),
        str(record.get("version", "")),
        *(_count(counts.get(direction)) for direction in directions),
        shorten(record["url"], _LONGEST),  # an inline link may have two million characters
    ]


def _count(tags: Any) -> str:
    if not isinstance(tags, dict):
        return ""
    return f"{sum(number for number in tags.values() if isinstance(number, int)):,}"
