"""The annotations of a state by layer: shapes, positions in nm, properties, tags and segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synglancer.states.coordinates import UnplacedError, find_placement, is_point, stack_points
from synglancer.states.fields import MAX_DIGITS, MAX_EXACT, is_wrong_id, is_wrong_number
from synglancer.states.layer_names import split_layer_name
from synglancer.states.reader import (
    is_own_points,
    list_annotation_layers,
    list_layers,
    list_source_urls,
)
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Array = np.ndarray[Any, Any]
    Note = Mapping[str, Any]

DIRECTION = "direction"
"""The property with the direction of each annotation, in layers with several directions."""

_MOST_URLS, _LONGEST_URL = 3, 200  # of a layer's sources, in a sentence
_CORNERS = ("pointA", "pointB")
_SHAPES = {
    "point": ("point",),
    "line": _CORNERS,
    "axis_aligned_bounding_box": _CORNERS,
    "ellipsoid": ("center",),
}
"""The keys with the points of each shape; a shape with two points is placed in their middle."""

_UNNAMED = "segments"
"""The relationship of layers that do not name theirs, as viewers have it."""

_OWN_PROPERTIES = ("partner_type", "verdict", DIRECTION)
"""Enums that do not hold tags."""


@dataclass(frozen=True)
class LayerAnnotations:
    """The readable annotations of one layer.

    Attributes
    ----------
    layer
        The layer in the state.
    notes
        The annotations, in their order.
    positions : array, shape (n, 3), nm
        Their positions: the middle of a line or box, the centre of an ellipsoid.
    problems
        Annotations that could not be read or placed, one sentence each.
    properties
        The layer's properties, in the order of the values in annotations.
    """

    layer: Mapping[str, Any]
    notes: Sequence[Note]
    positions: Array
    problems: tuple[str, ...] = ()
    properties: tuple[Mapping[str, Any], ...] = ()

    @property
    def wrong_ids(self) -> tuple[str, ...]:
        """Numbers in the place of IDs that are not 64-bit IDs, one sentence each."""
        ids = sum(is_wrong_number(note.get("id")) for note in self.notes)
        related = [ids for name in self.relationships for ids in self.read_related(name)]
        segments = sum(is_wrong_id(one) for ids in related for one in ids)
        where = f"of the layer {quote(self.name)}"
        sentences = []
        if ids:
            verb = "has" if ids == 1 else "have"
            sentences.append(f"{_count(ids)} {where} {verb} an ID that is not a 64-bit ID.")
        if segments:
            which = "related segment" if segments == 1 else "related segments"
            verb = "has" if segments == 1 else "have"
            sentences.append(
                f"{segments:,} {which} {where} {verb} an ID that is not a 64-bit ID and "
                f"{'is' if segments == 1 else 'are'} not read."
            )
        return tuple(sentences)

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.layer["name"])

    @property
    def shapes(self) -> list[str]:
        """The shape of each annotation, such as ``point``."""
        return [_read_shape(note) for note in self.notes]

    def keep_points(self) -> LayerAnnotations:
        """Keep the points, and leave out other shapes."""
        kept = [place for place, shape in enumerate(self.shapes) if shape == "point"]
        if len(kept) == len(self.notes):
            return self
        notes = [self.notes[place] for place in kept]
        return replace(self, notes=notes, positions=self.positions[kept])

    def read_property(self, name: str) -> list[Any]:
        """Read a property of each annotation; None if it has no such property."""
        names = [spec.get("id") for spec in self.properties]
        if name not in names:
            return [None] * len(self.notes)
        place = names.index(name)
        return [_pick(note.get("props"), place) for note in self.notes]

    @property
    def relationships(self) -> list[str]:
        """Names of the relationships to segments, such as ``pre``.

        A layer that names none has the viewer's own, ``segments``, if it uses it.
        """
        if "annotationRelationships" not in self.layer:
            return [_UNNAMED] if any(note.get("segments") for note in self.notes) else []
        return [
            name
            for name in _read_list(self.layer.get("annotationRelationships"))
            if isinstance(name, str)
        ]

    def read_related(self, relationship: str) -> list[list[Any]]:
        """Read the related segments of each annotation in one relationship."""
        names = self.relationships
        if relationship not in names:
            return [[] for _ in self.notes]
        place = names.index(relationship)
        return [_pick_segments(note.get("segments"), place, len(names)) for note in self.notes]

    def read_directions(self) -> list[str]:
        """Read the direction of each annotation from the layer's name or a property; or empty."""
        own = self.read_own(DIRECTION)
        if own is not None:
            return own
        direction, _ = split_layer_name(self.name)
        labels = {} if direction else read_labels(self.layer, DIRECTION)
        return [find_label(labels, value, direction) for value in self.read_property(DIRECTION)]

    def read_tags(self) -> list[str]:
        """Read the tag of each annotation.

        In a layer named ``inputs: spine``, all have this tag. Otherwise the tag comes from an enum
        property, tag properties or the tag IDs of older viewers, or else from the layer's name. For
        a user's own points, it comes from an enum property ``tag``.
        """
        own = self.read_own("tag")
        if own is not None:
            return own
        direction, tag = split_layer_name(self.name)
        read = None if direction else self._find_tag_reader()
        if read is None:
            return [tag] * len(self.notes)
        return [read(note) for note in self.notes]

    def read_own(self, name: str) -> list[str] | None:
        """Read an enum property of a user's own points; None if there is none."""
        labels = read_labels(self.layer, name) if is_own_points(self.layer) else {}
        if not labels:
            return None
        return [find_label(labels, value, "") for value in self.read_property(name)]

    def _find_tag_reader(self) -> Callable[[Note], str] | None:
        for place, spec in enumerate(self.properties):
            labels = _read_enum(spec)
            if labels and spec.get("id") not in _OWN_PROPERTIES:
                return lambda note: find_label(labels, _pick(note.get("props"), place), "")
        marks = {
            place: str(spec["tag"])
            for place, spec in enumerate(self.properties)
            if isinstance(spec.get("tag"), str)
        }
        if marks:
            return lambda note: ", ".join(
                tag for place, tag in marks.items() if _pick(note.get("props"), place)
            )
        named = _read_old_tags(self.layer)
        if named:
            return lambda note: ", ".join(
                named[key]
                for key in _read_list(note.get("tagIds"))
                if isinstance(key, int | str) and key in named
            )
        return None


def read_layers(state: Mapping[str, Any]) -> list[LayerAnnotations]:
    """Read all layers with annotations in the state.

    Parameters
    ----------
    state
        A Neuroglancer state. Layers that are hidden or archived are read as well.
    """
    return [read_layer(layer, state) for layer in list_annotation_layers(state)]


def read_synapse_layers(state: Mapping[str, Any]) -> list[LayerAnnotations]:
    """Read all layers with annotations in the state, except a user's own points."""
    return [layer for layer in read_layers(state) if not is_own_points(layer.layer)]


def count_annotations(state: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Count the readable points of a state by direction and tag, without a user's own points."""
    counts: dict[str, dict[str, int]] = {}
    for layer in read_synapse_layers(state):
        direction, name = split_layer_name(layer.name)
        points = layer.keep_points()
        if not points.notes:
            counts.setdefault(direction, {})
        if not layer.notes:
            counts[direction].setdefault(name, 0)
        for side, tag in zip(points.read_directions(), points.read_tags(), strict=True):
            tags = counts.setdefault(side, {})
            tags[tag] = tags.get(tag, 0) + 1
    return counts


def explain_unread(state: Mapping[str, Any]) -> list[str]:
    """List what is not read of the synapses in a state, one sentence each.

    These are annotations that cannot be read or are no points, and numbers that are no IDs.
    """
    layers = read_synapse_layers(state)
    sentences = [one for layer in layers for one in (*layer.problems, *layer.wrong_ids)]
    others = sum(shape != "point" for layer in layers for shape in layer.shapes)
    if others:
        verb = "is not a point and is" if others == 1 else "are not points and are"
        sentences.append(f"{_count(others)} {verb} not read.")
    return sentences


def explain_unread_layers(state: Mapping[str, Any]) -> list[str]:
    """List the layers whose annotations are not lists in the state, one sentence each.

    Layers that cannot hold annotations, such as images, are not listed.
    """
    return [sentence for layer in list_layers(state) if (sentence := _explain_layer(layer))]


def _explain_layer(layer: Mapping[str, Any]) -> str:
    """Explain why annotations of a layer may not be read; empty if none are missing."""
    kind, notes, name = layer.get("type"), layer.get("annotations"), quote(layer["name"])
    foreign = [url for url in list_source_urls(layer) if not url.startswith("local://")]
    shown = ", ".join(quote(url, _LONGEST_URL) for url in foreign[:_MOST_URLS])
    if notes is not None and not isinstance(notes, list):
        return f"The annotations of the layer {name} are not a list and are not read."
    if notes and kind != "annotation":
        is_of = f"of the type {quote(kind)}" if kind else "without a type"
        return f"The layer {name} is {is_of}, so its {_count(len(notes))} cannot be read."
    if foreign and kind == "annotation":
        return f"The layer {name} shows annotations from {shown}, which are not read."
    if foreign and kind in {None, "auto", "new"}:
        return (
            f"The layer {name} only names its source, {shown}; if there are annotations at that "
            "address, they are not read."
        )
    return ""


def read_layer(layer: Mapping[str, Any], state: Mapping[str, Any]) -> LayerAnnotations:
    """Read the annotations of one listed layer; those without a known position become problems."""
    given = [note for note in layer["annotations"] if isinstance(note, dict)]
    name = layer["name"]
    properties = tuple(
        spec for spec in _read_list(layer.get("annotationProperties")) if isinstance(spec, dict)
    )
    try:
        placement = find_placement(layer, state)
    except UnplacedError as error:
        why = f"{_count(len(given))} of the layer {quote(name)} cannot be placed: {error}."
        return LayerAnnotations(layer, (), np.empty((0, 3)), (why,), properties)
    rank = placement.rank
    placed = [(note, keys) for note in given if (keys := _find_place(note, rank)) is not None]
    middles = stack_points([_find_middle(note, keys) for note, keys in placed], rank)
    with np.errstate(over="ignore", invalid="ignore"):  # too large for a number: not held below
        positions = placement.to_nm(middles)
    held: Array = np.all(np.abs(positions) <= MAX_EXACT, axis=1)
    problems = _explain_unreadable(layer, given, len(placed), rank)
    if far := int((~held).sum()):
        where = "its position is" if far == 1 else "their positions are"
        problems.append(
            f"{_count(far)} of the layer {quote(name)} cannot be placed: {where} beyond any volume."
        )
    notes = [note for (note, _), near in zip(placed, held, strict=True) if near]
    return LayerAnnotations(layer, notes, positions[held], tuple(problems), properties)


def _explain_unreadable(
    layer: Mapping[str, Any], given: Sequence[Note], placed: int, rank: int
) -> list[str]:
    """Explain why some annotations of a layer have no point, one sentence for each reason."""
    odd = sum(_find_place(note, rank) is None and _has_coordinates(note, rank) for note in given)
    reasons = {
        f"a shape or a number of coordinates other than {rank}": (
            len(layer["annotations"]) - placed - odd
        ),
        "a coordinate that is not a number": odd,
    }
    return [
        f"{_count(number)} of the layer {quote(layer['name'])} "
        f"{'has' if number == 1 else 'have'} {what} and cannot be read."
        for what, number in reasons.items()
        if number
    ]


def _has_coordinates(note: Note, rank: int) -> bool:
    """Whether an annotation has the right number of coordinates, whatever they are."""
    points = [note.get(key) for key in _SHAPES.get(_read_shape(note), ())]
    return bool(points) and all(isinstance(one, list) and len(one) == rank for one in points)


def _count(number: int) -> str:
    return f"{number:,} annotation{'' if number == 1 else 's'}"


def _read_shape(note: Note) -> str:
    shape = note.get("type", "point")
    return shape.lower() if isinstance(shape, str) else ""


def _find_place(note: Note, rank: int) -> tuple[str, ...] | None:
    keys = _SHAPES.get(_read_shape(note))
    if keys is None or not all(is_point(note.get(key), rank) for key in keys):
        return None
    return keys


def _find_middle(note: Note, keys: tuple[str, ...]) -> list[float]:
    if len(keys) == 1:
        return note[keys[0]]
    first, last = (note[key] for key in keys)
    return [(low + high) / 2 for low, high in zip(first, last, strict=True)]


def _read_list(given: object) -> list[Any]:
    return given if isinstance(given, list) else []


def _pick(values: object, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _pick_segments(lists: object, place: int, relationships: int) -> list[Any]:
    """Pick the segments of one relationship; with a single relationship, the list may be flat."""
    if not isinstance(lists, list):
        return []
    if relationships == 1 and lists and not isinstance(lists[0], list):
        return lists
    found = _pick(lists, place)
    return found if isinstance(found, list) else []


def read_labels(layer: Mapping[str, Any], name: str) -> dict[Any, str]:
    """Read the labels of the numbers of an enum property; empty if there are none."""
    for spec in _read_list(layer.get("annotationProperties")):
        if isinstance(spec, dict) and spec.get("id") == name:
            return _read_enum(spec)
    return {}


def find_label(labels: Mapping[Any, str], value: Any, otherwise: Any) -> Any:
    """Find the label of a value, even if a viewer has written the value as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS:
        value = int(value)
    return labels.get(value, otherwise) if isinstance(value, int | float) else otherwise


def _read_enum(spec: Mapping[str, Any]) -> dict[Any, str]:
    values, labels = _read_list(spec.get("enum_values")), _read_list(spec.get("enum_labels"))
    numbered = zip(values, labels, strict=False)
    return {value: str(label) for value, label in numbered if isinstance(value, int | float)}


def _read_old_tags(layer: Mapping[str, Any]) -> dict[Any, str]:
    """Read the tags of older viewers: objects with an ID and a label, kept beside the layer."""
    return {
        item["id"]: str(item.get("label", ""))
        for item in _read_list(layer.get("annotationTags"))
        if isinstance(item, dict) and isinstance(item.get("id"), int | str)
    }
