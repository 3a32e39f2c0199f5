"""Read the provenance and the options of a link from its state.

States made by synglancer give every value exactly, other states as far as possible. Every value is
checked, because states come from anywhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.states.record import Provenance, parse_record
from synglancer.states.record_copy import read_record
from synglancer.states.selection import EPOCH, read_pin, read_selected_cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.settings import Settings


def parse_provenance(state: Mapping[str, Any]) -> tuple[Provenance, list[str]]:
    """Read the provenance of a state.

    Parameters
    ----------
    state
        A Neuroglancer state.

    Returns
    -------
    tuple
        The provenance, with the counts of its synapses; and warnings, one sentence each. Values
        that the state does not hold are 0, empty or the year 1970, and are listed in the warnings.
    """
    from synglancer.states.annotations import count_annotations, explain_unread  # numpy

    raw, contradiction = read_record(state)
    record, wrong = parse_record(raw)
    cells = record.cells or read_selected_cells(state)
    counts = count_annotations(state)
    shown = sum(count for tags in counts.values() for count in tags.values())
    found = replace(
        record,
        # If several cells are selected, none of them is *the* cell.
        cell=record.cell or (cells[0] if len(cells) == 1 else 0),
        cells=cells,
        timestamp=(read_pin(state) or EPOCH) if record.timestamp == EPOCH else record.timestamp,
        counts=_merge_asked(counts, record.counts),
        shown=shown,
        total=max(shown, record.total),
    )
    known = {"cell": found.cell, "version": found.version, "timestamp": found.timestamp != EPOCH}
    missing = [name for name, value in known.items() if not value]
    warnings = [f"The state does not say which {', '.join(missing)} it shows."] if missing else []
    # A layer that a user added beside ours has a name without a direction.
    ours = sum(sum(tags.values()) for direction, tags in counts.items() if direction)
    if raw and record.shown != ours:
        warnings.append(
            f"The state was changed after it was made: the number of synapses is {ours:,} in "
            f"the state but {record.shown:,} in its record."
        )
    if wrong:
        warnings.append(
            f"Its provenance record has invalid values for {', '.join(wrong)}, which are ignored."
        )
    if contradiction:
        warnings.append(contradiction)
    return found, [*warnings, *explain_unread(state)]


def parse_settings(state: Mapping[str, Any]) -> Settings:
    """Read the options of a link from a state made by synglancer.

    Raises
    ------
    UsageError
        When the state has no provenance record, or its record was changed and is invalid.
    """
    raw, _ = read_record(state)
    if not raw:
        raise UsageError(
            "The state has no provenance record of synglancer, so the options of the link are "
            "not known.",
            "Use the link's state or its predictions instead.",
        )
    try:
        return Provenance.from_json(raw).settings()
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(
            "The state's provenance record was changed, or comes from another version of "
            "synglancer.",
            "Make the link again from its cell.",
        ) from error


def _merge_asked(
    counts: dict[str, dict[str, int]], recorded: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Keep requested directions without synapses; tags are sorted."""
    asked = [*recorded, *counts]
    return {name: dict(sorted(counts.get(name, {}).items())) for name in dict.fromkeys(asked)}


def read_recorded(state: Mapping[str, Any]) -> Provenance:
    """Read what the record of a state says; what it does not say is 0, empty or the year 1970."""
    return parse_record(read_record(state)[0])[0]


def read_recorded_cells(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Read the cells of a record or a receipt: one, or several with the main cell first."""
    return parse_record(record)[0].cells


def read_recorded_synapses(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Read the requested synapses of a record or a receipt; empty for links to cells."""
    return tuple(one.id for one in parse_record(record)[0].synapses)


def read_shown_cells(state: Mapping[str, Any]) -> tuple[int, ...]:
    """Read the cells of a state: those in its record, or else all selected cells."""
    return read_recorded(state).cells or read_selected_cells(state)
