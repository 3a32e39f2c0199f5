"""A state → where it comes from and what was asked: the way back of the provenance record.

For our own states every answer comes back as it was; for others as much as they say. States are
data from anywhere: nothing in them is believed that does not have the right form.
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
    """Read what a state says of itself.

    Parameters
    ----------
    state
        A Neuroglancer state.

    Returns
    -------
    tuple
        Where it comes from, with the counts of what it shows; and what a reader should know of it,
        a sentence each. What the state does not say is 0, empty or the year 1970, and named there.
    """
    from synglancer.states.annotations import count_annotations, explain_unread  # numpy

    raw, contradiction = read_record(state)
    record, wrong = parse_record(raw)
    cells = record.cells or read_selected_cells(state)
    counts = count_annotations(state)
    shown = sum(count for tags in counts.values() for count in tags.values())
    found = replace(
        record,
        # Of several that are just selected, none is *the* cell.
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
    if raw and record.shown != shown:
        warnings.append(
            f"The state was changed after it was made: it shows {shown:,} synapses, and its record "
            f"says {record.shown:,}."
        )
    if wrong:
        warnings.append(
            f"What its provenance record says of {', '.join(wrong)} has not the right form, and is "
            "not used."
        )
    if contradiction:
        warnings.append(contradiction)
    return found, [*warnings, *explain_unread(state)]


def parse_settings(state: Mapping[str, Any]) -> Settings:
    """Read what was asked, beside the cell, from a state that synglancer made.

    Raises
    ------
    UsageError
        When the state has no provenance record, or one that was changed into what cannot be asked.
    """
    raw, _ = read_record(state)
    if not raw:
        raise UsageError(
            "The state has no provenance record of synglancer, so what was asked is not known.",
            "Use the link's state or its predictions instead.",
        )
    try:
        return Provenance.from_json(raw).settings()
    except (AttributeError, TypeError, ValueError) as error:
        raise UsageError(
            "The state's provenance record was changed, or is of another version of synglancer.",
            "Make the link again from its cell.",
        ) from error


def _merge_asked(
    counts: dict[str, dict[str, int]], recorded: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Keep the directions that were asked for and have no synapse; tags are sorted."""
    asked = [*recorded, *counts]
    return {name: dict(sorted(counts.get(name, {}).items())) for name in dict.fromkeys(asked)}


def read_recorded_cells(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Read which cells a record or a receipt names: one, or several of which it is the first."""
    return parse_record(record)[0].cells


def read_recorded_synapses(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Read which synapses a record or a receipt was asked for; empty where it was for cells."""
    return tuple(one.id for one in parse_record(record)[0].synapses)


def read_shown_cells(state: Mapping[str, Any]) -> tuple[int, ...]:
    """Read which cells a state shows: those of its record, or else all that are selected."""
    return read_recorded_cells(read_record(state)[0]) or read_selected_cells(state)
