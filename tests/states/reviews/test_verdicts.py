"""A reviewer's marks are read back, however the viewer has rewritten the state."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.states.predictions import parse_predictions
from synglancer.states.provenance import parse_provenance, parse_settings
from synglancer.states.reviews.marks import list_marks
from synglancer.states.reviews.verdicts import COLUMNS, parse_verdicts
from synglancer.states.table import build_annotation_table
from view.kinds.test_review import MANY, MARKINGS, TAGS, build, build_many, find_review

FOLDER = Path(__file__).parents[2] / "data" / "reviews"
"""States as the viewers wrote them after keys were pressed and text was typed in a browser."""

MADE = {marking: build(marking, 12) for marking in MARKINGS}
MARKS = list_marks(TAGS)

IDS = ["291322241", "333503074", "338528122", "373003074", "387785874"]
SEEN = {
    "spelunker-2024": ["right", "is_shaft", "unsure", "unmarked", "contradictory"],
    "spelunker-2026": ["right", "is_shaft", "unsure", "unmarked", "contradictory"],
    "google": ["right", "is_shaft", "unsure", "unmarked", "is_shaft"],
    "wheel": ["is_shaft", "unmarked", "unmarked", "unmarked", "unmarked"],
}


@pytest.mark.parametrize("as_text", [False, True], ids=["as numbers", "as text"])
def test_verdicts_beyond_a_byte_are_read(as_text: bool) -> None:
    """With hundreds of tags, the number of a verdict has more than 8 bits, also written as text."""
    state = build_many("labels")
    layer = find_review(state)
    number = 2 + len(MANY)  # unmarked is 0, then come right and unsure
    layer["annotations"][0]["props"][-1] = str(number) if as_text else number
    read = parse_verdicts(state)
    assert read.problems == []
    assert read.table["reviewed_tag"].tolist() == [MANY[-1]] + [""] * (len(MANY) - 1)
    assert read.table["tag"].tolist() == MANY
    shown = build_annotation_table(state)
    assert shown["predicted"].tolist() == MANY


def load(name: str) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return state


@pytest.mark.parametrize("name", SEEN)
def test_states_as_each_viewer_shared_them(name: str) -> None:
    """Marks, comments, IDs and confidences are read from the state of each viewer."""
    read = parse_verdicts(load(name))
    assert {column: str(kind) for column, kind in read.table.dtypes.items()} == COLUMNS
    assert len(read.table) == 10
    first = read.table.head(5)
    assert first["id"].astype(str).tolist() == IDS
    assert first["verdict"].tolist() == SEEN[name]
    assert set(read.table["verdict"][5:]) == {"unmarked"}
    assert read.table["confidence"].astype(str).tolist()[5] == "0.3417122"
    said = {"right": "spine", "is_shaft": "shaft"}
    assert first["reviewed_tag"].tolist() == [said.get(one, "") for one in SEEN[name]]
    assert first["comment"].tolist()[0] == ("sits on the shaft" if name == "wheel" else "")
    clash = "Synapse 387785874 has marks that exclude each other: right and is_shaft."
    assert read.problems == ([clash] if "spelunker" in name else [])
    assert read.marked == sum(one != "unmarked" for one in SEEN[name])


@pytest.mark.parametrize("name", SEEN)
def test_shared_reviews_are_known_as_ours(name: str) -> None:
    """The record, its filters and the counts by direction and tag survive the viewer."""
    state = load(name)
    assert "synglancer" not in state
    told, warnings = parse_provenance(state)
    assert (told.cell, told.version, told.shown) == (864691135276234469, 1718, 10)
    assert told.counts == {"inputs": {"spine": 10}, "outputs": {}}
    assert warnings == []
    asked = parse_settings(state)
    assert (asked.review, asked.max_confidence) == (True, 0.38)


marked = st.lists(st.sampled_from([None, *MARKS]), min_size=12, max_size=12)


@given(marked, st.sampled_from(["tags", "labels"]), st.booleans(), st.randoms())
def test_any_marks_come_back(marks, marking, as_text, random) -> None:
    """Any marks, with properties in any order, as numbers or text, are read back."""
    state = copy.deepcopy(MADE[marking])
    layer = find_review(state)
    names = [spec["id"] for spec in layer["annotationProperties"]]
    for note, mark in zip(layer["annotations"], marks, strict=True):
        if mark is None:
            continue
        place = names.index(mark.name if marking == "tags" else "verdict")
        value = 1 if marking == "tags" else MARKS.index(mark) + 1
        note["props"][place] = str(value) if as_text else value
    order = list(range(len(names)))
    random.shuffle(order)
    layer["annotationProperties"] = [layer["annotationProperties"][place] for place in order]
    for note in layer["annotations"]:
        note["props"] = [note["props"][place] for place in order]
    state.pop("synglancer")
    read = parse_verdicts(json.loads(json.dumps(state)))
    assert read.problems == []
    assert read.table["verdict"].tolist() == [mark.name if mark else "unmarked" for mark in marks]
    predicted = read.table["tag"].tolist()
    assert read.table["reviewed_tag"].tolist() == [
        mark.means(tag) if mark else "" for mark, tag in zip(marks, predicted, strict=True)
    ]
    assert read.marked == sum(mark is not None for mark in marks)


@given(marked, st.text(st.characters(exclude_characters="=", exclude_categories=["Cs"])))
def test_any_typed_marks_come_back(marks, comment) -> None:
    """Text typed after the description is a mark and a comment, whatever the comment says."""
    state = copy.deepcopy(MADE["text"])
    for note, mark in zip(find_review(state)["annotations"], marks, strict=True):
        if mark is not None:
            note["description"] += f"={mark.name} {comment}"
    read = parse_verdicts(state)
    assert read.table["verdict"].tolist() == [mark.name if mark else "unmarked" for mark in marks]
    told = " ".join(comment.split())
    assert read.table["comment"].tolist() == [told if mark else "" for mark in marks]


def test_what_was_predicted_is_not_read_from_edited_annotations() -> None:
    """A confidence changed by hand is reported, and that of the prediction is used."""
    state = copy.deepcopy(MADE["labels"])
    before = parse_verdicts(state).table
    notes = find_review(state)["annotations"]
    notes[3]["props"][0] = 0.999
    notes[4]["props"][3] = 2  # the predicted tag
    notes[5]["description"] = None
    read = parse_verdicts(state)
    assert read.table.equals(before)
    (problem,) = read.problems
    assert re.fullmatch(
        r"The confidence of synapse \d+ was changed in the viewer to 0.999; the predicted "
        r"confidence, 0\.\d+, is used\.",
        problem,
    )


def test_a_single_synapse_or_point_is_told_in_the_singular() -> None:
    """One deleted synapse is missing, and one added point is not of the review."""
    state = copy.deepcopy(MADE["tags"])
    notes = find_review(state)["annotations"]
    notes[0] = {"type": "point", "id": "5b2f", "point": [1, 2, 3], "props": [0] * 11}
    missing, added = parse_verdicts(state).problems
    assert missing.startswith("1 synapse of the review is missing from the link")
    assert added.startswith("1 annotation of the layer is not of this review")


def test_deleted_synapses_are_missing_and_added_points_are_named() -> None:
    """A deleted synapse is in the table as missing; a reviewer's own point is not in it."""
    state = copy.deepcopy(MADE["tags"])
    notes = find_review(state)["annotations"]
    gone = [notes.pop(4)["id"], notes.pop(0)["id"]]
    own = {"type": "point", "id": "5b2f", "point": [1, 2, 3], "props": [0] * 11}
    notes[3:3] = [own, own]
    read = parse_verdicts(state)
    assert len(read.table) == 12
    rows = read.table[read.table["verdict"] == "missing"]
    assert sorted(rows["id"].astype(str)) == sorted(gone)
    assert rows["x_nm"].isna().all()
    assert read.problems[0].startswith("2 synapses of the review are missing from the link")
    assert read.problems[0].endswith(f"may have been deleted: {', '.join(reversed(gone))}.")
    assert read.problems[1].startswith("2 annotations of the layer are not of this review and not ")
    there = read.table[read.table["verdict"] != "missing"]
    places = build_annotation_table(state).set_index("id").loc[there["id"].astype(str)]
    axes = ["x_nm", "y_nm", "z_nm"]
    assert there[axes].to_numpy().tolist() == places[axes].to_numpy().tolist()


def test_marks_that_cannot_be_read_are_named() -> None:
    """The synapse, and where one may type, the words that are marks."""
    state = copy.deepcopy(MADE["text"])
    first, second = find_review(state)["annotations"][:2]
    first["description"] += "=soam one =soam two"
    second["description"] += " a; b"
    read = parse_verdicts(state)
    (problem,) = read.problems
    assert problem == (
        f"'=soam' on synapse {first['id']} is not a mark and is read as a comment. The marks are "
        "=right, =unsure, =spine, =shaft, =soma, =multi_input, =ach_so."
    )

    state = copy.deepcopy(MADE["tags"])
    note = find_review(state)["annotations"][0]
    for values in ("marked", 5, None):
        note["props"] = values
        read = parse_verdicts(state)
        assert f"A mark of synapse {note['id']} is not a number and is ignored." in read.problems

    state = copy.deepcopy(MADE["labels"])
    layer = find_review(state)
    names = [spec["id"] for spec in layer["annotationProperties"]]
    layer["annotations"][0]["props"][names.index("verdict")] = 99
    assert parse_verdicts(state).problems == [
        f"The verdict 99 on synapse {layer['annotations'][0]['id']} has no label and is ignored."
    ]


def test_a_layer_without_any_synapse_left_is_read() -> None:
    """If all synapses were deleted, the table lists all of them as missing."""
    state = copy.deepcopy(MADE["text"])
    find_review(state).pop("annotations")
    table = parse_verdicts(state).table
    assert (set(table["verdict"]), set(table["comment"])) == ({"missing"}, {""})


def test_tags_of_the_reviewers_own_are_comments() -> None:
    """A tag that a reviewer adds in the viewer is kept as a comment, beside the mark."""
    state = copy.deepcopy(MADE["tags"])
    layer = find_review(state)
    layer["annotationProperties"].append({"id": "tag11", "type": "uint8", "tag": "bouton"})
    for note in layer["annotations"]:
        note["props"].append(0)
    first = layer["annotations"][0]
    first["props"][4] = first["props"][-1] = 1
    first["description"] += " sits on the shaft"
    read = parse_verdicts(state)
    said = ["right", "bouton; sits on the shaft"]
    assert read.table.loc[0, ["verdict", "comment"]].tolist() == said
    assert read.problems == []


def test_a_label_of_the_reviewers_own_is_a_comment() -> None:
    """A verdict whose label was changed in the viewer is no mark of ours."""
    state = copy.deepcopy(MADE["labels"])
    layer = find_review(state)
    names = [spec["id"] for spec in layer["annotationProperties"]]
    place = names.index("verdict")
    layer["annotationProperties"][place]["enum_labels"][3] = "is bouton"
    layer["annotations"][0]["props"][place] = layer["annotationProperties"][place]["enum_values"][3]
    read = parse_verdicts(state)
    assert read.table.loc[0, ["verdict", "comment"]].tolist() == ["unmarked", "is bouton"]
    assert read.problems == []


def test_our_text_is_left_out_of_a_comment_once() -> None:
    """What a reviewer repeats of it is the reviewer's."""
    state = copy.deepcopy(MADE["text"])
    note = find_review(state)["annotations"][0]
    own = note["description"].strip()
    note["description"] = f"{own} not '{own}'"
    assert parse_verdicts(state).table.loc[0, "comment"] == f"not '{own}'"


def test_marks_are_counted_from_the_beginning_of_the_values() -> None:
    """Where values are missing at the end, the last marks are not numbers."""
    state = copy.deepcopy(MADE["tags"])
    note = find_review(state)["annotations"][0]
    note["props"].pop()
    note["props"][4] = 1
    read = parse_verdicts(state)
    assert read.table.loc[0, "verdict"] == "right"
    assert read.problems == [f"A mark of synapse {note['id']} is not a number and is ignored."]


@pytest.mark.parametrize(
    ("text", "verdict"), [("4294967295", "right"), ("04294967295", "unmarked"), (" 1 ", "right")]
)
def test_marks_written_as_texts_have_at_most_ten_digits(text, verdict) -> None:
    """No larger number fits into the property of a viewer."""
    state = copy.deepcopy(MADE["tags"])
    find_review(state)["annotations"][0]["props"][4] = text
    assert parse_verdicts(state).table.loc[0, "verdict"] == verdict


def test_a_layer_without_dimensions_of_its_own_is_in_those_of_the_state() -> None:
    """As in the viewer."""
    state = copy.deepcopy(MADE["tags"])
    axes = ["x_nm", "y_nm", "z_nm"]
    own = parse_verdicts(state).table[axes]
    find_review(state)["source"] = "local://annotations"
    state["dimensions"] = {axis: [2e-9, "m"] for axis in "xyz"}
    assert parse_verdicts(state).table[axes].equals(2 * own)


def test_right_and_the_predicted_tag_agree() -> None:
    """Marks with the same meaning do not contradict each other."""
    state = copy.deepcopy(MADE["tags"])
    layer = find_review(state)
    names = [spec["id"] for spec in layer["annotationProperties"]]
    first = layer["annotations"][0]
    for name in ("right", "is_spine"):
        first["props"][names.index(name)] = 1
    read = parse_verdicts(state)
    assert read.table.loc[0, ["tag", "verdict", "reviewed_tag"]].tolist() == [
        "spine", "right", "spine",
    ]  # fmt: skip
    assert read.problems == []


@pytest.mark.parametrize("value", [None, "x", 1.5, [1], {}])
def test_what_is_no_mark_is_named(value) -> None:
    """A value that is not an integer is reported as ignored, and the synapse is unmarked."""
    state = copy.deepcopy(MADE["tags"])
    find_review(state)["annotations"][0]["props"][4] = value
    read = parse_verdicts(state)
    assert read.table.loc[0, "verdict"] == "unmarked"
    assert len(read.problems) == 1
    assert "is not a number and is ignored" in read.problems[0]


def test_a_description_that_lost_its_beginning_still_says_the_mark() -> None:
    """Overwriting the end of the description loses no mark."""
    state = copy.deepcopy(MADE["text"])
    note = find_review(state)["annotations"][0]
    note["description"] = note["description"][:-1] + "=shaft"
    assert parse_verdicts(state).table.loc[0, "verdict"] == "is_shaft"


@pytest.mark.parametrize("state", [{"layers": []}, {"layers": [{"type": "annotation"}]}])
def test_a_state_without_a_review_is_refused(state) -> None:
    """A link of another kind is refused with an error and a hint."""
    with pytest.raises(UsageError, match="is not a review") as caught:
        parse_verdicts(state)
    assert "make-link --review" in caught.value.hint


JUNK = [None, True, -1, 1.5, 1e300, "x", "", "7", [], [[1]], {}, {"a": []}, 2**70]


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("value", JUNK, ids=repr)
def test_no_value_makes_a_reader_fail(place: int, value: Any) -> None:
    """Whatever a property is replaced with, no reader of states fails."""
    state = load("google")
    find_review(state)["annotations"][0]["props"][place] = value
    assert len(parse_verdicts(state).table) == 10
    assert parse_provenance(state)[0].shown == 10
    assert len(parse_predictions(state)) == len(build_annotation_table(state)) == 10


def test_labels_that_were_written_as_texts_are_labels_in_every_table() -> None:
    """Google's viewer writes a choice in a list as text, which still means its label."""
    table = build_annotation_table(load("google")).set_index("id")
    assert find_review(load("google"))["annotations"][4]["props"][4] == "4"
    assert table.loc["387785874", "verdict"] == "is shaft"
