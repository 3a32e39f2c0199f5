"""A review's state has the form of its viewer, and never a mixture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from synglancer.states.reviews.rows import Listing, Row
from synglancer.view.kinds.review import KEYS, Review, build_review
from synglancer.view.scene import Scene, ViewOptions
from view.test_state import CELL, DATASTACK, VERSION, predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.view.kinds.review import Marking

TAGS = ["spine", "shaft", "soma", "multi-input", "Ach so"]
MARKINGS = ("tags", "labels", "text")


def build(
    marking: Marking, count: int = 40, tags: Sequence[str] = TAGS, **changes: Any
) -> dict[str, Any]:
    """Build a review with this many synapses."""
    frame = predictions([tags[i % len(tags)] for i in range(count)])
    rows = [
        Row(int(row.id), row.direction, row.tag, float(str(row.confidence)))
        for row in frame.itertuples()
    ]
    scene = Scene(
        cells=[CELL],
        datastack=DATASTACK,
        materialization=VERSION,
        groups=[],
        positions=frame.filter(like="position").to_numpy(dtype=float),
        somata=[],
        record={"cell": str(CELL)},
        **changes,
    )
    return build_review(scene, ViewOptions(), Review(Listing(rows, tags), frame, marking)).to_dict()


def find_review(state: dict[str, Any]) -> dict[str, Any]:
    return next(layer for layer in state["layers"] if layer["name"] == "review")


MANY = [f"tag {number}" for number in range(300)]


def build_many(marking: Marking) -> dict[str, Any]:
    """Build a review in which each synapse has a tag of its own."""
    return build(marking, len(MANY), MANY)


@pytest.mark.parametrize("marking", MARKINGS)
@pytest.mark.parametrize(
    "make", [build, build_many], ids=["few tags", "more tags than a byte holds"]
)
def test_numbers_fit_the_types_of_their_properties(marking, make) -> None:
    """A viewer refuses a layer with a number that its property's type cannot hold."""
    layer = find_review(make(marking))
    properties = layer["annotationProperties"]
    most = {"uint8": 2**8, "uint16": 2**16, "uint32": 2**32}
    for place, spec in enumerate(properties):
        if spec["type"] != "float32":
            numbers = [
                *spec.get("enum_values", []),
                *(n["props"][place] for n in layer["annotations"]),
            ]
            assert max(numbers) < most[spec["type"]], spec["id"]
    kinds = {spec["id"]: spec["type"] for spec in properties}
    assert kinds["predicted"] == ("uint16" if make is build_many else "uint8")
    assert kinds["direction"] == "uint8"


def test_the_shader_reads_no_more_properties_than_it_may() -> None:
    """WebGL gives a shader 16 inputs, and each property that it reads is one."""
    read = set(re.findall(r"prop_\w+", find_review(build_many("tags"))["shader"]))
    assert len(read) <= 12
    assert {"prop_right", "prop_unsure", "prop_predicted"} <= read


@pytest.mark.parametrize("marking", MARKINGS)
def test_the_first_synapse_is_picked_and_in_the_section(marking) -> None:
    """On opening, the least confident synapse is selected, in the centre, with its layer's list
    open."""
    state = build(marking)
    layer = find_review(state)
    first = layer["annotations"][0]
    picked = {"annotationId": first["id"], "annotationSource": 0, "annotationSubsource": "default"}
    assert state["selection"] == {"layers": {"review": picked}}
    assert state["selectedLayer"] == {"layer": "review", "visible": True}
    nm = [place * size for place, size in zip(state["position"], (4, 4, 40), strict=True)]
    assert nm == pytest.approx(first["point"], abs=1)
    assert state["crossSectionScale"] == 1.75
    assert layer["tab"] == "annotations"
    assert state["layers"][1]["timestampOwner"] == ["review"]


def test_each_form_has_the_tools_of_its_viewer_and_no_others() -> None:
    """Spelunker has keys for tags, Google's viewer for labels; a typed mark needs none."""
    tags, labels, text = (find_review(build(marking)) for marking in MARKINGS)
    assert tags["toolBindings"] == {
        "Q": "tagTool_right",
        "W": "tagTool_unsure",
        "A": "tagTool_is_spine",
        "S": "tagTool_is_shaft",
        "D": "tagTool_is_soma",
        "F": "tagTool_is_multi_input",
        "G": "tagTool_is_ach_so",
    }
    assert labels["toolBindings"] == {
        "V": {"type": "annotateEnumProperty", "property": "verdict"},
        "A": "selectPreviousAnnotation",
        "S": "selectNextAnnotation",
    }
    assert "toolBindings" not in text
    assert [spec["id"] for spec in text["annotationProperties"]] == [
        "confidence",
        "size",
        "direction",
        "predicted",
    ]
    named = {f"tagTool_{spec['id']}" for spec in tags["annotationProperties"] if "tag" in spec}
    assert named == set(tags["toolBindings"].values())
    assert labels["annotationProperties"][-1]["enum_labels"][:4] == [
        "unmarked", "right", "unsure", "is spine",
    ]  # fmt: skip
    assert len(set(KEYS)) == len(KEYS) == 26


@pytest.mark.parametrize("marking", MARKINGS)
def test_annotations_have_the_form_that_viewers_keep(marking) -> None:
    """IDs are unique texts, and each annotation has a value for each property."""
    layer = find_review(build(marking))
    notes = layer["annotations"]
    assert len({note["id"] for note in notes}) == len(notes) == 40
    for place, note in enumerate(notes, start=1):
        assert len(note["props"]) == len(layer["annotationProperties"])
        assert note["description"].startswith(f"{place}/40 ")
        assert all(len(ids) == 1 and ids[0].isdigit() for ids in note["segments"])
    for spec in layer["annotationProperties"]:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", spec["id"])
        assert f"prop_{spec['id']}()" in layer["shader"] or spec["id"] in {
            "confidence", "size", "direction",
        }  # fmt: skip


def test_stepping_swaps_partners_or_they_are_listed() -> None:
    """Spelunker swaps the cells at each step; elsewhere, 25 partners are shown and others
    listed."""
    tags, labels = build("tags"), build("labels")
    assert find_review(tags)["swapVisbleSegmentsOnMove"] is True
    assert len(tags["layers"][1]["segments"]) == 2
    assert find_review(labels)["swapVisbleSegmentsOnMove"] is False
    segments = labels["layers"][1]["segments"]
    assert segments[0] == str(CELL)
    assert [one.startswith("!") for one in segments] == [False] * 26 + [True] * 15
    partners = {one.lstrip("!") for one in segments[1:]}
    colours = labels["layers"][1]["segmentColors"]
    assert partners <= set(colours)
    assert colours[str(CELL)] != colours[segments[1]]


@pytest.mark.parametrize("marking", MARKINGS)
def test_a_review_without_synapses_is_a_state(marking) -> None:
    """With nothing to review, nothing is selected, and the layer exists."""
    state = build(marking, count=0)
    assert "selection" not in state
    assert find_review(state)["annotations"] == []
