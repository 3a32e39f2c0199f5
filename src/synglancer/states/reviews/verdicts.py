"""Read the marks of a reviewed state into a table with a row for each synapse.

The viewer rewrites the state when the reviewer shares it. So properties are read in the order of
the state, marks as integers in any form, and predictions from the comment in the shader, because
annotations can be edited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from synglancer.errors import UsageError
from synglancer.states.annotations import read_labels, read_layer
from synglancer.states.fields import read_id
from synglancer.states.reader import list_layers
from synglancer.states.reviews.marks import UNMARKED, VERDICT, list_marks, read_typed
from synglancer.states.reviews.rows import Row, read_rows
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.states.annotations import LayerAnnotations
    from synglancer.states.reviews.marks import Mark
    from synglancer.states.reviews.rows import Listing

COLUMNS = {
    "id": "uint64",
    "direction": "object",
    "tag": "object",
    "confidence": "float32",
    "verdict": "object",
    "reviewed_tag": "object",
    "comment": "object",
    "x_nm": "float64",
    "y_nm": "float64",
    "z_nm": "float64",
}
"""Columns of the table of verdicts, and their dtypes."""

CONTRADICTORY, MISSING = "contradictory", "missing"
"""Verdicts on a synapse with marks that exclude each other, and on one that was deleted."""

_MOST_DIGITS = 10  # of a uint32


@dataclass
class _Found:
    """The content of the layers for one synapse."""

    marks: dict[str, Mark] = field(default_factory=dict)
    comments: dict[str, None] = field(default_factory=dict)
    position: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    confidence: float | None = None


@dataclass(frozen=True)
class Verdicts:
    """The marks of a reviewer.

    Attributes
    ----------
    table : DataFrame, shape (n,)
        The columns of `COLUMNS`, a row for each synapse in the order of the review. ``tag`` and
        ``confidence`` are what was predicted; ``verdict`` is the mark (``right``, ``unsure``,
        ``is_spine``, …), ``unmarked``, ``contradictory`` or ``missing``; ``reviewed_tag`` the tag
        that the synapse has according to it, or empty.
    problems
        Marks that could not be read, and changes by hand, one sentence each.
    """

    table: pd.DataFrame
    problems: Sequence[str]

    @property
    def marked(self) -> int:
        """Number of synapses with a mark."""
        return int((~self.table["verdict"].isin([UNMARKED, MISSING])).sum())


def parse_verdicts(state: Mapping[str, Any]) -> Verdicts:
    """Read the marks of a reviewer.

    Parameters
    ----------
    state
        The state of a review, as it was made or as a viewer shared it.

    Raises
    ------
    UsageError
        When it is not the state of a review.
    """
    listed = [
        (layer, listing)
        for layer in list_layers(state)
        if layer.get("type") == "annotation" and (listing := read_rows(layer.get("shader")))
    ]
    if not listed:
        raise UsageError(
            "The link is not a review: it has no layer of synapses to mark.",
            "Give links that were made with make-link --review and shared after marking.",
        )
    reader = _Reader(listed[0][1])
    for layer, _ in listed:
        notes = layer.get("annotations")
        given = {**layer, "annotations": notes if isinstance(notes, list) else []}
        reader.read(read_layer(given, state))
    return reader.conclude()


class _Reader:
    """Collects the marks of one review from its layers."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._marks = list_marks(listing.tags)
        self._prefixes = {
            row.id: " ".join(listing.describe(place).split())
            for place, row in enumerate(listing.rows)
        }
        self._found: dict[int, _Found] = {}
        self._problems: list[str] = []
        self._strangers = 0

    def read(self, layer: LayerAnnotations) -> None:
        """Read one layer; a copy of the layer adds further marks."""
        self._problems += layer.problems
        own = self._list_tools(layer)
        labels = read_labels(layer.layer, VERDICT)
        confidences = layer.read_property("confidence")
        verdicts = layer.read_property(VERDICT)
        for place, note in enumerate(layer.notes):
            synapse = read_id(note.get("id"))
            if synapse not in self._prefixes:
                self._strangers += 1
                continue
            found = self._found.setdefault(synapse, _Found())
            x, y, z = layer.positions[place].tolist()
            found.position = (x, y, z)
            found.confidence = _read_float(confidences[place])
            values = note.get("props")
            values = values if isinstance(values, list) else []
            for index, mark, word in own:
                if self._read_flag(values, index, synapse):
                    self._add(found, mark, word)
            if labels:
                self._read_label(found, labels, verdicts[place], synapse)
            self._read_text(found, note.get("description"), synapse)

    def _list_tools(self, layer: LayerAnnotations) -> list[tuple[int, Mark | None, str]]:
        """List the properties that are marks: position, mark and label.

        The mark is None for a tag that the reviewer added.
        """
        by_name = {mark.name: mark for mark in self._marks}
        named = [(index, str(spec.get("id")), spec) for index, spec in enumerate(layer.properties)]
        return [
            (index, by_name.get(name), str(spec.get("tag")))
            for index, name, spec in named
            if name in by_name or isinstance(spec.get("tag"), str)
        ]

    @staticmethod
    def _add(found: _Found, mark: Mark | None, word: str) -> None:
        """Add a mark; a tag that the reviewer added counts as a comment."""
        if mark is None:
            found.comments[word] = None
        else:
            found.marks[mark.name] = mark

    def _read_flag(self, values: Sequence[Any], index: int, synapse: int) -> bool:
        number = _read_whole(values[index]) if index < len(values) else None
        if number is None:
            self._problems.append(f"A mark of synapse {synapse} is not a number and is ignored.")
        return bool(number)

    def _read_label(
        self, found: _Found, labels: Mapping[Any, str], value: object, synapse: int
    ) -> None:
        """Read a mark from the label of a property."""
        label = labels.get(_read_whole(value))
        if label is None:
            self._problems.append(
                f"The verdict {quote(value)} on synapse {synapse} has no label and is ignored."
            )
        elif label != UNMARKED:
            marks = {mark.label: mark for mark in self._marks}
            self._add(found, marks.get(label), label)

    def _read_text(self, found: _Found, text: object, synapse: int) -> None:
        """Read marks and comment from a description, ignoring our own text."""
        given = " ".join(text.split()) if isinstance(text, str) else ""
        comment = given.replace(self._prefixes[synapse], " ", 1).strip()
        typed, unknown, comment = read_typed(comment, self._marks)
        for mark in typed:
            found.marks[mark.name] = mark
        for word in unknown:
            words = ", ".join(f"={mark.name.removeprefix('is_')}" for mark in self._marks)
            self._problems.append(
                f"{quote(word)} on synapse {synapse} is not a mark and is read as a comment. The "
                f"marks are {words}."
            )
        if comment:
            found.comments[comment] = None

    def conclude(self) -> Verdicts:
        """Build the table, and list missing, contradictory and changed synapses."""
        rows = [self._conclude_row(row) for row in self._listing.rows]
        columns = {name: [row[name] for row in rows] for name in COLUMNS}
        table = pd.DataFrame(
            {name: pd.Series(columns[name], dtype=kind) for name, kind in COLUMNS.items()}
        )
        missing = [str(row.id) for row in self._listing.rows if row.id not in self._found]
        if missing:
            self._problems.append(
                f"{_count(len(missing), 'synapse')} of the review {_be(len(missing))} missing from "
                f"the link and may have been deleted: {', '.join(missing)}."
            )
        if self._strangers:
            self._problems.append(
                f"{_count(self._strangers, 'annotation')} of the layer {_be(self._strangers)} not "
                "of this review and not in the table: `synglancer table` lists all annotations."
            )
        return Verdicts(table, list(dict.fromkeys(self._problems)))

    def _conclude_row(self, row: Row) -> dict[str, Any]:
        found = self._found.get(row.id, _Found())
        marks = list(found.marks.values())
        said = {mark.means(row.tag) for mark in marks}
        verdict = marks[0].name if marks else UNMARKED if row.id in self._found else MISSING
        if len(said) > 1:
            verdict = CONTRADICTORY
            names = " and ".join(mark.name for mark in marks)
            self._problems.append(f"Synapse {row.id} has marks that exclude each other: {names}.")
        if found.confidence is not None:
            self._check_confidence(row, found.confidence)
        x, y, z = found.position
        return {
            "id": row.id,
            "direction": row.direction,
            "tag": row.tag,
            "confidence": row.confidence,
            "verdict": verdict,
            "reviewed_tag": said.pop() if len(said) == 1 else "",
            "comment": "; ".join(found.comments),
            "x_nm": x,
            "y_nm": y,
            "z_nm": z,
        }

    def _check_confidence(self, row: Row, shown: float) -> None:
        with np.errstate(over="ignore"):  # viewers keep the confidence as a float32
            same = np.float32(shown) == np.float32(row.confidence)
        if not same:
            self._problems.append(
                f"The confidence of synapse {row.id} was changed in the viewer to {shown:g}; "
                f"the predicted confidence, {row.confidence:g}, is used."
            )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _read_whole(given: object) -> int | None:
    """Read an integer as viewers write it, also as text; None for anything else."""
    if isinstance(given, str):
        text = given.strip()
        whole = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
        return int(text) if whole else None
    if isinstance(given, bool | int) or (isinstance(given, float) and given.is_integer()):
        return int(given)
    return None


def _read_float(given: object) -> float | None:
    try:
        return float(given) if isinstance(given, int | float | str) else None
    except ValueError:
        return None
