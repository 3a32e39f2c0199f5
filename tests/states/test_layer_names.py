"""A layer's name holds direction and tag, and shows how its markers look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.states.layer_names import format_layer_name, spell_out, split_layer_name


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
