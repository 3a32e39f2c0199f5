"""Pictures are taken of states of every form that viewers open."""

from __future__ import annotations

import pytest

from synglancer.render.screenshots import _expect, change_background
from synglancer.view.colors import BACKGROUNDS
from synglancer.view.shaders import format_color

POINT = {"id": "1", "type": "point", "point": [1, 2, 3]}
SEGMENTATION = {
    "type": "segmentation",
    "source": "precomputed://gs://bucket/segmentation",
    "segmentColors": {"7": BACKGROUNDS["dark"].cell, "8": "#123456"},
}
RINGS = {
    "type": "annotation",
    "annotations": [POINT, {**POINT, "id": "2"}, POINT],
    "shader": f"setBorder({format_color(BACKGROUNDS['dark'].ring)});",
}
AS_LIST = {"layers": [{"name": "cells", **SEGMENTATION}, {"name": "rings", **RINGS}]}
AS_OBJECT = {"layers": {"cells": SEGMENTATION, "rings": RINGS}}


@pytest.mark.parametrize("state", [AS_LIST, AS_OBJECT])
def test_the_background_changes_what_must_stand_out_from_it(state) -> None:
    """Cells and rings in our own colours follow the background; other colours stay."""
    white = BACKGROUNDS["white"]
    changed = change_background({"title": "t", **state}, "white")
    cells, rings = changed["layers"]
    assert (cells["name"], rings["name"]) == ("cells", "rings")
    assert cells["segmentColors"] == {"7": white.cell, "8": "#123456"}
    assert rings["shader"] == f"setBorder({format_color(white.ring)});"
    assert changed["title"] == "t"
    assert changed["projectionBackgroundColor"] == white.projection
    assert changed["crossSectionBackgroundColor"] == white.cross_section


@pytest.mark.parametrize("state", [AS_LIST, AS_OBJECT])
def test_a_picture_waits_for_each_annotation_once(state) -> None:
    """Viewers merge annotations that share an ID; layers without annotations only have to load."""
    assert _expect(state) == {"cells": None, "rings": 2}


@pytest.mark.parametrize(
    ("annotations", "count"), [([], 0), (None, None), (5, None), ([None, 5, {"id": ["x"]}, {}], 2)]
)
def test_odd_annotations_are_counted_without_an_error(annotations, count) -> None:
    """A picture of another tool's state is taken, whatever its lists hold."""
    layer = {"type": "annotation", "name": "notes", "annotations": annotations}
    assert _expect({"layers": [layer, "precomputed://gs://bucket/images"]}) == {
        "notes": count,
        "": None,
    }


def test_colours_of_another_form_stay() -> None:
    """Only the colours of segments that are an object are ours to change."""
    layer = {"type": "segmentation", "name": "s", "segmentColors": 5}
    assert change_background({"layers": [layer]}, "white")["layers"] == [layer]
