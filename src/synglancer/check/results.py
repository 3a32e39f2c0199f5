"""Check what a state alone tells, and record the results of a check."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from synglancer.states.annotations import DIRECTION, read_labels, read_layer, read_layers
from synglancer.states.coordinates import read_state_resolution
from synglancer.states.fields import MAX_EXACT
from synglancer.states.layer_names import spell_out
from synglancer.states.reader import list_layers, list_segmentation_layers
from synglancer.states.selection import count_wrong_segments, read_segments
from synglancer.synapses.damage import explain_damage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime


Status = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of checking one link.

    Attributes
    ----------
    url
        The link.
    reachable
        Whether its state exists; None if unknown.
    parses
        Whether that is a Neuroglancer state; None if there is none to read.
    layers
        Number of annotations per layer, by name; None for a layer whose annotations are elsewhere.
    expected
        The expected numbers, by the layer's name; None if no record says.
    expected_from
        The record with these numbers: the receipt on this machine, or the record in the state.
    cells
        The root IDs that the link shows.
    valid_then, valid_now
        Whether all of them were valid at the link's timestamp, and are valid now.
    datastack, version
        Where its synapses come from.
    served, served_until
        Whether that version is still available, and until when (UTC), if the service says so.
    problems
        What is wrong, one sentence each.
    unknown
        What could not be checked, one sentence each.
    notes
        Other facts that are worth knowing.
    source
        The receipt, or the record in the state, from which the link can be made again.
    """

    url: str
    reachable: bool | None = None
    parses: bool | None = None
    layers: Mapping[str, int | None] = field(default_factory=dict)
    expected: Mapping[str, int] | None = None
    expected_from: Literal["receipt", "record"] | None = None
    cells: tuple[int, ...] = ()
    valid_then: bool | None = None
    valid_now: bool | None = None
    datastack: str | None = None
    version: int | None = None
    served: bool | None = None
    served_until: datetime | None = None
    problems: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    source: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def status(self) -> Status:
        """``bad`` if something is wrong, ``unknown`` if something could not be checked."""
        if self.problems:
            return "bad"
        return "unknown" if self.unknown else "good"

    def to_record(self) -> dict[str, Any]:
        """Return what ``--output json`` prints: 64-bit IDs are strings."""
        until = self.served_until
        return {
            "url": self.url,
            "status": self.status,
            "reachable": self.reachable,
            "parses": self.parses,
            "layers": dict(self.layers),
            "expected": None if self.expected is None else dict(self.expected),
            "expected_from": self.expected_from,
            "cells": [str(cell) for cell in self.cells],
            "valid_then": self.valid_then,
            "valid_now": self.valid_now,
            "datastack": self.datastack,
            "version": self.version,
            "served": self.served,
            "served_until": until.isoformat().replace("+00:00", "Z") if until else None,
            "problems": list(self.problems),
            "unknown": list(self.unknown),
            "notes": list(self.notes),
        }


@dataclass
class Finding:
    """The findings on a link while it is being checked."""

    url: str
    state: dict[str, Any] | None = None
    held: Mapping[str, Any] | None = None
    state_url: str | None = None
    missing_url: str | None = None
    timestamp: datetime | None = None
    problems: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def count_layers(state: Mapping[str, Any]) -> dict[str, int | None]:
    """Count the annotations of each layer, by its name in words.

    The count is None for a layer that holds no annotations itself. A layer whose annotations have a
    direction each, as in a review, counts as one layer for each direction and tag.
    """
    counts: dict[str, int | None] = {}
    for layer in list_layers(state):
        notes = layer.get("annotations")
        local = isinstance(notes, list) and layer.get("type") == "annotation"
        if local and notes and read_labels(layer, DIRECTION):
            read = read_layer(layer, state)
            pairs = zip(read.read_directions(), read.read_tags(), strict=True)
            counts |= Counter(f"{direction}: {tag}" for direction, tag in pairs)
            continue
        counts[spell_out(layer["name"])] = len(notes or ()) if local else None
    return counts


def read_expected(source: Mapping[str, Any]) -> dict[str, int] | None:
    """Read the expected number of annotations of each layer from a receipt or a record."""
    counts = source.get("counts")
    if not isinstance(counts, dict):
        return None
    return {
        f"{direction}: {tag}": number
        for direction, tags in counts.items()
        if isinstance(tags, dict)
        for tag, number in tags.items()
        if isinstance(number, int) and number > 0
    }


def read_server(source: Mapping[str, Any]) -> str | None:
    """Read the CAVE server of a link from a receipt or a record."""
    options = source.get("options")
    server = source.get("server") or (isinstance(options, dict) and options.get("server"))
    return server if isinstance(server, str) else None


def compare_layers(layers: Mapping[str, int | None], expected: Mapping[str, int]) -> list[str]:
    """List layers that are missing or have another number of synapses, one sentence each."""
    sentences = []
    for name, number in expected.items():
        if name not in layers:
            sentences.append(f"The layer {name!r} with its {_count(number)} is missing.")
        elif layers[name] != number:
            held = _count(layers[name] or 0)
            sentences.append(f"The layer {name!r} has {held} instead of {number:,}.")
    return sentences


def _count(number: int) -> str:
    return f"{number:,} synapse{'' if number == 1 else 's'}"


def find_flaws(state: Mapping[str, Any], cells: Sequence[int], *, ours: bool = False) -> list[str]:
    """List problems that make a viewer show something else, one sentence each.

    Parameters
    ----------
    state
        A Neuroglancer state.
    cells
        The root IDs that it should select.
    ours
        Whether synglancer made the state, so that each synapse can be read whole.
    """
    sentences = explain_damage(state) if ours else []
    named = () if ours else read_layers(state)
    sentences.extend(one for layer in named for one in layer.wrong_ids)
    if wrong := count_wrong_segments(state):
        which = "segment has" if wrong == 1 else "segments have"
        sentences.append(f"{wrong:,} selected {which} an ID that is not a 64-bit ID.")
    if ours and read_state_resolution(state) is None and any(list_layers(state)):
        sentences.append("The state's dimensions are not lengths of x, y and z.")
    if not any(list_layers(state)):
        sentences.append("The state has no layers, so the viewer stays empty.")
    if any(number > MAX_EXACT for number in _integers(state)):
        sentences.append("The state holds IDs as numbers, and viewers round them to other IDs.")
    selected = {cell for layer in list_segmentation_layers(state) for cell in read_segments(layer)}
    sentences.extend(f"The cell {cell} is not selected." for cell in cells if cell not in selected)
    return sentences


def _integers(value: Any) -> Iterator[int]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, int):
            yield abs(item)
