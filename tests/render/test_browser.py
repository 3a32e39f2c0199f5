"""Pictures are taken of states of every form that viewers open."""

from __future__ import annotations

import pytest

from cli.test_preview import needs_browser
from synglancer.errors import PictureError
from synglancer.links.opening import OpenedLink
from synglancer.render.browser import _expect, change_background
from synglancer.render.picture_options import PreviewOptions
from synglancer.render.screenshots import Painter
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
    assert change_background(changed, "dark")["layers"] == AS_LIST["layers"]


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


@pytest.mark.browser
@needs_browser
def test_a_browser_that_stops_answering_is_replaced(tmp_path, monkeypatch) -> None:
    """The picture is refused with a reason, and the next one is tried in another browser."""
    monkeypatch.setattr("synglancer.render.browser._MOST_VIEWS", 1)
    busy, idle = tmp_path / "busy.html", tmp_path / "idle.html"
    busy.write_text("<script>setTimeout(() => { for (;;); }, 100)</script>")
    idle.write_text("<p>No viewer.</p>")
    with Painter(PreviewOptions(size="200x200", wait=1)) as painter:
        for page, reason in ((idle, "after 1 s"), (busy, "closed"), (idle, "after 1 s")):
            monkeypatch.setattr("synglancer.render.browser._START_S", 2 if page is busy else 120)
            opened = OpenedLink(f"{page.as_uri()}#!{{}}", page.as_uri(), {"layers": []})
            with pytest.raises(PictureError, match=reason) as refused:
                painter.paint(opened, tmp_path / "picture.png")
            assert "--renderer plot" in refused.value.hint
    assert not (tmp_path / "picture.png").exists()
