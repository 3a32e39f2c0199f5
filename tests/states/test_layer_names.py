"""A layer's name holds direction and tag, and shows how its markers look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.states.layer_names import (
    format_layer_name,
    get_sign,
    spell_out,
    split_known_name,
    split_layer_name,
)


@given(st.sampled_from(["inputs", "outputs", "between"]), st.text())
def test_names_are_read_back(direction: str, tag: str) -> None:
    """Direction and tag come back from a name, whatever the tag, and from the name in words."""
    name = format_layer_name(direction, tag)
    assert spell_out(name) == f"{direction}: {tag}" != name
    assert split_layer_name(name) == split_layer_name(spell_out(name)) == (direction, tag)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("my notes", ("", "my notes")),
        ("● my notes", ("", "● my notes")),
        ("axon: cut", ("axon", "cut")),
        ("● inputs: spine", ("inputs", "spine")),
        ("in: spine", ("in", "spine")),
        ("○ in: spine", ("○ in", "spine")),
        ("", ("", "")),
    ],
)
def test_other_names_stay_as_they_are(name: str, read: tuple[str, str]) -> None:
    """A sign that does not belong to the direction is part of a user's name."""
    assert split_layer_name(name) == read


@pytest.mark.parametrize(
    ("direction", "sign"), [("inputs", "●"), ("outputs", "○"), ("between", "◎"), ("axon", "")]
)
def test_each_direction_has_a_sign(direction: str, sign: str) -> None:
    """It is the beginning of the layer's name; other words have none."""
    assert get_sign(direction) == sign
    if sign:
        assert format_layer_name(direction, "spine").startswith(f"{sign} ")


def test_only_names_like_ours_are_known() -> None:
    """Other names give two empty texts, and in words they stay as they are."""
    assert split_known_name("○ out: soma") == ("outputs", "soma")
    assert split_known_name("gained: soma") == split_known_name("my notes") == ("", "")
    assert spell_out("my notes") == "my notes"
    assert spell_out("gained: soma") == "gained: soma"
