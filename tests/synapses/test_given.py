"""What a user's table says about its source is read, whatever it holds."""

from __future__ import annotations

import pytest

from synglancer.synapses.given import Pin, read_pin


@pytest.mark.parametrize(
    ("attrs", "pin"),
    [
        (
            {"datastack_name": "a\ud800", "table_name": "", "materialization_version": 3},
            Pin(datastack="a?", version=3),
        ),
        (
            {"datastack_name": 5, "table_name": "t", "materialization_version": True},
            Pin(table="t"),
        ),
    ],
)
def test_the_source_of_a_table_is_text_and_a_number(attrs, pin) -> None:
    """Half a character becomes a question mark; what has another type is unknown."""
    assert read_pin(attrs) == pin
