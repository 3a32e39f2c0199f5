"""A state → where it comes from and what was asked: the way back of the provenance record.

For our own states every answer comes back as it was; for others as much as they say. States are
data from anywhere: nothing in them is believed that does not have the right form.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.settings import Settings
from synglancer.states.selection import EPOCH, read_id, read_pin, read_selected_cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RECORD = "synglancer"
_FILTERS = ("tag", "min_confidence", "min_size", "soft_filter")


def parse_provenance(state: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a state says of itself.

    Parameters
    ----------
    state
        A Neuroglancer state.

    Returns
    -------
    dict
        ``cell`` (int), ``cells``, ``datastack``, ``version`` (int), ``timestamp`` (datetime),
        ``table``, ``counts_by_tag``, ``shown``, ``total``, ``filters``, ``all_synapses``,
        ``followed``, ``live``, ``multi_input``, ``cell_types`` and ``warnings``, as in
        `synglancer.Link`. What the state does not say is 0, empty or the year 1970, and
        named in the warnings.
    """
    from synglancer.states.annotations import count_annotations, explain_unread  # numpy

    record = _read_record(state)
    cells = read_shown_cells(state)
    counts = count_annotations(state)
    shown = sum(count for tags in counts.values() for count in tags.values())
    found: dict[str, Any] = {
        # Of several that are just selected, none is *the* cell.
        "cell": cells[0] if len(cells) == 1 or read_recorded_cells(record) else 0,
        "cells": cells,
        "datastack": _text(record.get("datastack")),
        "version": _whole(record.get("version")),
        "timestamp": read_timestamp(record.get("timestamp")) or read_pin(state) or EPOCH,
        "table": _text(record.get("table")),
        "counts_by_tag": _merge_asked(counts, record.get("counts")),
        "shown": shown,
        "total": max(shown, _whole(record.get("total"))),
        "filters": _mapping(record.get("filters")),
        "all_synapses": _mapping(record.get("all_synapses")) or None,
        "followed": read_followed(record.get("followed")),
        "live": record.get("live") is True,
        "multi_input": _read_multi_input(record.get("multi_input")),
        "cell_types": _read_cell_types(record.get("cell_types")),
    }
    names = {"cell": "cell", "version": "version", "timestamp": "timestamp"}
    missing = [name for key, name in names.items() if not found[key] or found[key] == EPOCH]
    warnings = [f"The state does not say which {', '.join(missing)} it shows."] if missing else []
    if record and _whole(record.get("shown")) != shown:
        warnings.append(
            f"The state was changed after it was made: it shows {shown:,} synapses, and its record "
            f"says {_whole(record.get('shown')):,}."
        )
    return {**found, "warnings": [*warnings, *explain_unread(state)]}


def parse_settings(state: Mapping[str, Any]) -> Settings:
    """Read what was asked, beside the cell, from a state that synglancer made.

    Raises
    ------
    UsageError
        When the state has no provenance record, or one that was changed into what cannot be asked.
    """
    record = _read_record(state)
    if not record:
        raise UsageError(
            "The state has no provenance record of synglancer, so what was asked is not known.",
            "Use the link's state or its predictions instead.",
        )
    directions = _mapping(record.get("counts"))
    filters = _mapping(record.get("filters"))
    try:
        return Settings(
            datastack=record["datastack"],
            version=record["version"],
            table=record["table"],
            server=record["server"],
            inputs="outputs" not in directions,
            outputs="inputs" not in directions,
            with_unlabelled=record.get("with_unlabelled", False),
            with_total="all_synapses" in record,
            **_read_asked_context(record),
            **{name: filters[name] for name in _FILTERS if name in filters},
            **{
                name: value
                for name, value in _mapping(record.get("view")).items()
                if name != "soft_filter"
            },
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            "The state's provenance record was changed, or is of another version of synglancer.",
            "Make the link again from its cell.",
        ) from error


def read_notice(state: Mapping[str, Any]) -> str:
    """Read what the owner of the table wants readers to know; empty where nothing is said."""
    return _text(_read_record(state).get("notice"))


def _read_record(state: Mapping[str, Any]) -> dict[str, Any]:
    return _mapping(state.get(RECORD))


def _merge_asked(counts: dict[str, dict[str, int]], recorded: object) -> dict[str, dict[str, int]]:
    """Keep the directions that were asked for and have no synapse; tags are sorted."""
    asked = [*_mapping(recorded), *counts]
    return {name: dict(sorted(counts.get(name, {}).items())) for name in dict.fromkeys(asked)}


def write_followed(records: Sequence[Mapping[str, str]], cells: int) -> dict[str, Any]:
    """Say which root IDs were followed: an object where one cell was asked for, else a list."""
    followed = [dict(one) for one in records]
    if not followed:
        return {}
    return {"followed": followed[0] if len(followed) == cells == 1 else followed}


def read_followed(given: object) -> tuple[Mapping[str, str], ...]:
    """Read which root IDs were followed, as `write_followed` says it."""
    found = given if isinstance(given, list) else [given]
    return tuple(one for one in found if isinstance(one, dict))


def _read_multi_input(given: object) -> dict[str, Any] | None:
    """Read which synapses are said to share a spine; None where that is not said as we say it."""
    described = _mapping(given)
    former = _mapping(described.get("former_tags"))
    if not _text(described.get("table")) or not all(map(_is_count, former.values())):
        return None
    return {"table": described["table"], "former_tags": former}


def _read_cell_types(given: object) -> dict[str, Any] | None:
    """Read of what types the partners are; None where that is not said as we say it."""
    described = _mapping(given)
    whole = (
        _text(described.get("view"))
        and _text(described.get("column"))
        and _is_count(described.get("partners"))
        and all(map(_is_count, _mapping(described.get("synapses")).values()))
        and isinstance(described.get("synapses"), dict)
    )
    if not whole:
        return None
    colours = {
        name: colour
        for name, colour in _mapping(described.get("colours")).items()
        if re.fullmatch("#[0-9a-f]{6}", _text(colour))
    }
    named = ("view", "column", "synapses", "partners")
    return {
        **{name: described[name] for name in named},
        "known": _whole(described.get("known")),
        "ambiguous": _whole(described.get("ambiguous")),
        **({"colours": colours} if colours else {}),
    }


def _is_count(given: object) -> bool:
    """Whether it holds whole numbers by name."""
    return isinstance(given, dict) and all(_whole(number) for number in given.values())


def _read_asked_context(record: Mapping[str, Any]) -> dict[str, Any]:
    """Read which options named spines and types, as `Settings` takes them."""
    asked: dict[str, Any] = {}
    if "multi_input" in record:
        asked |= {"multi_input": True, "multi_input_table": record["multi_input"]["table"]}
    if "cell_types" in record:
        described = record["cell_types"]
        asked |= {
            "cell_types": True,
            "cell_type_view": described["view"],
            "cell_type_column": described["column"],
        }
    return asked


def read_recorded_cells(record: Mapping[str, Any]) -> tuple[int, ...]:
    """Read which cells a record or a receipt names: one, or several of which it is the first."""
    cell, listed = read_id(record.get("cell")), record.get("cells")
    cells = tuple(read_id(one) for one in listed) if isinstance(listed, list) else ()
    if not cell:
        return ()
    return tuple(dict.fromkeys(cells)) if all(cells) and cells[:1] == (cell,) else (cell,)


def read_shown_cells(state: Mapping[str, Any]) -> tuple[int, ...]:
    """Read which cells a state shows: those of its record, or else all that are selected."""
    return read_recorded_cells(_read_record(state)) or read_selected_cells(state)


def read_timestamp(given: object) -> datetime | None:
    """Read a timestamp in ISO 8601, UTC where it names no zone; None for what is none."""
    try:
        timestamp = datetime.fromisoformat(_text(given).replace("Z", "+00:00"))
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=timezone.utc)


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _whole(given: object) -> int:
    return given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else 0


def _mapping(given: object) -> dict[str, Any]:
    return dict(given) if isinstance(given, dict) else {}
