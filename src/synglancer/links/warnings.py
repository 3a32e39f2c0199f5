"""The warnings of links, one sentence each."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from synglancer.links.record import list_changed, list_given_options
from synglancer.text.spelling import find_meant

MANY_ANNOTATIONS = 10_000
"""Above this number, viewers become slow."""

_UNSHOWABLE = (
    "max_confidence", "min_size", "with_total", "with_unlabelled", "multi_input", "cell_types",
    "review",
)  # fmt: skip
"""Options that links on a published source do not support."""

_NOTHING_PASSES = "No synapse passes the filters"
_NO_PREDICTION = "no synapse with a prediction in this table"
_NOTHING_REQUESTED = "none of the requested synapses"
_NO_TAG = "No synapse here has the tag"
_AFTER_TAG = re.compile(r"\. (?=The tags are |Did you mean )")
_EXPIRED = "has expired. The synapses come from a live query"
_PIN_IGNORED = "ignores the timestamp and shows today's segmentation"
_ESSENTIAL = (
    _NOTHING_PASSES, _NO_PREDICTION, _NOTHING_REQUESTED, _NO_TAG, _EXPIRED, _PIN_IGNORED,
)  # fmt: skip
"""What `select_essential` recognises its sentences by, because links are stored as JSON."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.cave.records import Materialization
    from synglancer.links.link_record import LinkRecord
    from synglancer.settings import Settings
    from synglancer.states.record import Provenance
    from synglancer.states.record_parts import CellTypes, MultiInput


def explain_live(version: Materialization) -> str:
    """Explain that a version has expired, and what is shown instead."""
    return (
        f"Version {version.version} ({version.timestamp:%Y-%m-%d}) {_EXPIRED} at its "
        "timestamp, which may lack or add synapses that were edited later."
    )


def select_essential(made: LinkRecord) -> list[str]:
    """Select the warnings that are printed even with --quiet.

    They say that a link does not show what was requested: another cell, an expired version, nothing
    at all, a tag that does not exist, or today's segmentation.
    """
    return [
        warning
        for place, warning in enumerate(made.warnings)  # the first are about followed root IDs
        if place < len(made.followed) or any(mark in warning for mark in _ESSENTIAL)
    ]


def explain_missing(links: Sequence[Sequence[str]]) -> list[str]:
    """Say what all of several links lack, according to their warnings: a tag, or any synapse."""
    filled = [told for told in links if not any(_NO_PREDICTION in one for one in told)]
    if not filled:
        return []
    lines = [
        one if all(one in told for told in filled) else f"{start}."
        for one in filled[0]
        if (start := _AFTER_TAG.split(one)[0]).startswith(_NO_TAG)
        and all(any(other.startswith(f"{start}. ") for other in told) for told in filled)
    ]
    if all(any(_NOTHING_PASSES in one for one in told) for told in filled):
        lines.append(f"{_NOTHING_PASSES}.")
    return lines


def explain_autapses(count: int, cells: int = 1) -> str:
    """Count the synapses of cells onto themselves, and explain how they count."""
    one = count == 1
    whose = "the cell" if cells == 1 else "a cell"
    return (
        f"{count:,} {'synapse' if one else 'synapses'} of {whose} onto itself (autapse"
        f"{'' if one else 's'}) {'counts' if one else 'count'} once among inputs and once among "
        "outputs."
    )


def explain_emptiness(total: int, cells: int = 1) -> str:
    """Say why no synapse is shown."""
    if total:
        return f"{_NOTHING_PASSES}; {total:,} {'is' if total == 1 else 'are'} filtered out."
    having = "The cell has" if cells == 1 else "The cells have"
    return f"{having} {_NO_PREDICTION}."


def explain_silence(cell: int) -> str:
    """Say which of several cells has no synapse in the link."""
    return f"{cell} has {_NOTHING_REQUESTED}, but is still selected."


def explain_shared(count: int) -> str:
    """Explain that synapses between cells are in two layers of a source."""
    noun, verb = ("synapse", "is") if count == 1 else ("synapses", "are")
    place = "both among the inputs and among the outputs"
    return f"{count:,} {noun} from one of the cells onto another {verb} {place}."


def explain_sliders() -> str:
    """Explain how --min-confidence works on a source."""
    return (
        "Layers on a source hold all synapses. --min-confidence only sets where the confidence "
        "sliders start."
    )


def explain_tags(asked: Sequence[str], present: Sequence[str]) -> list[str]:
    """Name requested tags that no synapse has, because they may be typing errors."""
    if not present:
        return []
    return [
        f"{_NO_TAG} {tag!r}. {_suggest_tag(tag, present)}The tags are "
        f"{', '.join(map(repr, present))}."
        for tag in dict.fromkeys(asked)
        if tag not in present
    ]


def _suggest_tag(tag: str, present: Sequence[str]) -> str:
    """Ask whether a similar tag was meant."""
    near = find_meant(tag, present)
    return f"Did you mean {near!r}? " if near else ""


def explain_inline(site: str, server: str, other: str = "without --inline") -> list[str]:
    """Explain how viewers can damage an inline link, except for the sandbox's own viewer.

    neuroglancer 2.41.2 updates its address 400 ms after the first change, even while it still reads
    an inline link, and loses a layer that it reads at that time. With the processor slowed down
    threefold, this happened to 16 of 16 inline links, small and large, and to 0 of 8 short links.
    Spelunker of 2024, slowed sixfold, lost a layer of 2 of 7.
    """
    if urlsplit(site).netloc == urlsplit(server).netloc:
        return []
    told = "'Cannot read properties of undefined'"
    advice = f"open the link again, or make it {other}"
    loss = "On a slow machine, viewers can lose a layer of an inline link"
    return [f"{loss}. If a viewer says {told}, {advice}."]


def explain_lost_pin(site: str, name: str | None, segmentation_source: str) -> list[str]:
    """Warn if the viewer ignores the timestamp of a segmentation that changes.

    Google's viewer, which has the name ``google``, drops the key; see
    ``docs/reference/viewers.md``.
    """
    host = urlsplit(site).netloc
    if name != "google" or not segmentation_source.startswith("graphene://"):
        return []
    told = (
        f"The viewer at {host} {_PIN_IGNORED}, in which the cell may have changed. To see the "
        "cell as it was, leave out --site."
    )
    return [told]


def explain_hidden(record: Provenance) -> list[str]:
    """Say how many synapses a soft filter hides, if any."""
    hidden = sum(count for tags in (record.hidden or {}).values() for count in tags.values())
    if not hidden:
        return []
    shown = record.shown
    hint = "lower the confidence sliders to see them"
    return [f"{hidden:,} of the {shown:,} synapses are hidden at first: {hint}."]


def explain_lost_receipt(error: OSError) -> str:
    """Say that the link could not be added to the history."""
    reason = error.strerror or type(error).__name__
    return f"This link could not be added to the history: {reason}."


def explain_size(shown: int, cells: Sequence[int], settings: Settings) -> list[str]:
    """Say how long viewers take to draw many annotations, measured in Chromium on two cores."""
    if shown < MANY_ANNOTATIONS:
        return []
    slow = "viewers become slow: 50,000 take about 16 s to draw, 200,000 about 41 s"
    advice = "Show fewer with --tag, --min-confidence, --inputs or --outputs"
    lost = list_unshowable(settings)
    without = f" (without {' and '.join(lost)})" if lost else ""
    command = describe_publishing(cells, settings)
    other = f"or publish the synapses, so that viewers draw them in 2 s{without}: {command}"
    return [f"The link has {shown:,} annotations, and {slow}. {advice}; {other}"]


def describe_publishing(cells: Sequence[int], settings: Settings) -> str:
    """Return the command that publishes the synapses of cells, as it can be typed."""
    given = {
        "together": len(cells) > 1,
        **list_given_options(settings),
        "token_file": settings.token_file,
        "annotations": tuple(one for one in settings.annotations if isinstance(one, str)),
    }
    words = ["make-link", *map(str, cells)]
    for name, value in given.items():
        option = f"--{name.replace('_', '-')}"
        if name.startswith((*_UNSHOWABLE, "cell_type")) or value == "partner-type":
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if one not in {None, False}:
                words += [option] if one is True else [option, str(one)]
    place = f"{cells[0]}-v{settings.version}"
    return shlex.join([*words, "--publish-to", place])


def list_unshowable(settings: Settings) -> list[str]:
    """List the given options that links on a published source do not support."""
    asked = [
        name
        for name in list_changed(settings, _UNSHOWABLE)
        if not (name == "with_unlabelled" and settings.source is not None)  # which may have them
    ]
    names = {"cell_types": "--cell-types and --color-by partner-type"}
    return [names.get(name, f"--{name.replace('_', '-')}") for name in asked]


def explain_context(record: Provenance) -> list[str]:
    """Explain how multi-input synapses count, and how many partners have a type."""
    sentences = []
    if record.multi_input:
        sentences.append(_explain_multi_input(record.multi_input, apart=not record.synapses))
    if record.cell_types:
        whose = "cells" if record.synapses else "partners"
        sentences.append(_explain_types(record.cell_types, whose))
    return sentences


def _explain_multi_input(described: MultiInput, *, apart: bool) -> str:
    table, former_tags = described.table, described.former_tags
    counts = {name: sum(tags.values()) for name, tags in former_tags.items() if tags}
    if not counts:
        return f"According to {table}, no synapse shown is on a spine with several inputs."
    total = sum(counts.values())
    tags = dict.fromkeys(tag for each in former_tags.values() for tag in each)
    each = " and ".join(f"{count:,} among {name}" for name, count in counts.items())
    where = f" ({each})" if apart and len(counts) > 1 else ""
    verb = "synapse is" if total == 1 else "synapses are"
    return (
        f"According to {table}, {total:,} {verb} on a spine with several inputs{where} and "
        f"counted as multi-input instead of {' or '.join(tags)}."
    )


def _explain_types(described: CellTypes, whose: str) -> str:
    total, several = sum(described.partners.values()), described.ambiguous
    why = "several types there, probably because they are merged cells"
    rest = f"; {several:,} of the others have {why}" if several else ""
    verb = "has" if described.known == 1 else "have"
    return (
        f"{described.known:,} of {total:,} {whose} {verb} a type in {described.view} "
        f"({described.column}){rest}."
    )
