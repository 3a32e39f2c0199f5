"""The names of marks are valid in every viewer, and are found in typed text."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.states.reviews.marks import ALWAYS, list_marks, read_typed
from synglancer.states.reviews.rows import Listing, Row, format_rows, read_rows

tags = st.lists(st.text(max_size=8), max_size=8, unique=True)
MARKS = list_marks([*ALWAYS, "multi-input"])


@given(tags)
def test_names_are_legal_in_every_viewer_and_differ(names: list[str]) -> None:
    """Whatever a table's tags are, marks have different names, and GLSL accepts each after
    prop_."""
    marks = list_marks(names)
    assert len({mark.name for mark in marks}) == len(names) + 2
    for mark in marks:
        assert re.fullmatch(r"[a-z](_?[a-z0-9])*", mark.name)
    assert [mark.tag for mark in marks[2:]] == names


def test_tags_that_would_share_a_name_are_numbered() -> None:
    """The first keeps the plain name, and the others count from 2."""
    names = [mark.name for mark in list_marks(["a b", "a-b", "A_B", "a_b_2"])[2:]]
    assert names == ["is_a_b", "is_a_b_2", "is_a_b_3", "is_a_b_2_2"]


def test_a_tag_without_a_latin_letter_is_named_by_its_place() -> None:
    """So that it can be typed as well."""
    names = [mark.name for mark in list_marks(["+", "spine", "µ"])[2:]]
    assert names == ["is_1", "is_spine", "is_3"]


@pytest.mark.parametrize(
    ("text", "names", "unknown", "rest"),
    [
        ("=shaft", ["is_shaft"], [], ""),
        ("= Shaft, thick", ["is_shaft"], [], "thick"),
        ("near the soma =so", ["is_soma"], [], "near the soma"),
        ("=is_spine", ["is_spine"], [], ""),
        ("=Multi-Input?", ["is_multi_input"], [], ""),
        ("=r =u", ["right", "unsure"], [], ""),
        ("=s", [], ["=s"], "=s"),
        ("=dendrite", [], ["=dendrite"], "=dendrite"),
        ("==shaft", ["is_shaft"], [], "="),
        ("0.3=spine", ["is_spine"], [], "0.3"),
        ("=", [], [], "="),
        ("spine", [], [], "spine"),
    ],
)
def test_typed_marks_are_read(text, names, unknown, rest) -> None:
    """A word or an unambiguous beginning of it is a mark; ambiguous text stays in the comment."""
    found, strange, kept = read_typed(text, MARKS)
    assert ([mark.name for mark in found], strange, kept) == (names, unknown, rest)


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    """No text makes reading fail, and only marks are removed from it."""
    found, unknown, rest = read_typed(text, MARKS)
    assert len(found) + len(unknown) <= text.count("=")
    if not found:
        assert rest == " ".join(text.split())


rows = st.builds(
    Row,
    st.integers(1, 2**64 - 1),
    st.sampled_from(["inputs", "outputs", "between"]),
    st.sampled_from(["spine", "*/ é\n", "#uicontrol"]),
    st.floats(0, 1, width=32),
)


@given(st.lists(rows, max_size=5))
def test_what_was_predicted_comes_back_from_the_shader(given_rows: list[Row]) -> None:
    """IDs, tags and confidences survive as one safe comment line anywhere in a shader."""
    listing = Listing(given_rows, ["spine", "*/ é\n", "#uicontrol"])
    line = format_rows(listing)
    assert line.count("\n") == 1
    assert line.isascii()
    assert not set(line) & set("*#<>&")
    assert read_rows("// synglancer: {}\n" + line + "void main() {}\n") == listing


@pytest.mark.parametrize(
    "shader",
    [
        None,
        "void main() {}",
        "// synglancer_rows: {}",
        "// synglancer_rows: {not json}",
        '// synglancer_rows: {"tags":["a"],"id":["1"],"direction":[9],"tag":[0],"confidence":[1]}',
        '// synglancer_rows: {"tags":["a"],"id":["x"],"direction":[0],"tag":[0],"confidence":[1]}',
        '// synglancer_rows: {"tags":["a"],"id":["1"],"direction":[0],"tag":[0],"confidence":[]}',
        *(
            '// synglancer_rows: {"tags":["a"],"id":["1"],"direction":[0],"tag":[0],'
            f'"confidence":[{number}]}}'
            for number in ("NaN", "Infinity", "true", '"0.5"', "null")
        ),
    ],
)
def test_a_damaged_comment_is_none(shader) -> None:
    """Text without the form of the comment is not read as synapses."""
    assert read_rows(shader) is None


@pytest.mark.parametrize("wrong", ["0.5", True, None, float("nan"), float("inf")])
def test_a_listing_with_a_confidence_that_is_no_number_is_damaged(wrong):
    """A damaged line holds no synapses, not some of them."""
    line = format_rows(Listing([Row(5, "inputs", "spine", 0.25)], ["spine"]))
    assert read_rows(line) is not None
    assert read_rows(line.replace("0.25", json.dumps(wrong))) is None
