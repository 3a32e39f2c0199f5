"""Text from outside is shown as far as it is safe."""

from __future__ import annotations

import pytest

from synglancer.text.printable import conceal, list_names, quote


@pytest.mark.parametrize(
    "text",
    [
        "864691135276234469",
        "8.64691135276234469E+17",
        "nucleus:99999999999999999999",
        "186000.5,134000.5,20900.5@nm",
        "results/cells-2026-11-27.txt",
        "cells-of-the-lab-2026-11-27.csv",
        "post_pt_root_id_at_some_version",
        "aibs_metamodel_mtypes_v661_v2",
        "minnie65_phase3_synapses_2026",
        "neuron 12345 of the left hemisphere",
        "https://cave.example.org/#!x12345",
        "",
    ],
)
def test_what_is_no_token_is_shown(text):
    """IDs, positions, names of files and columns, links and sentences are kept."""
    assert conceal(text) == text


@pytest.mark.parametrize(
    "token",
    [
        "0123456789abcdef0123456789abcdef",
        " 0123456789abcdef0123456789abcdef\n",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3",
        "550e8400-e29b-41d4-a716-446655440000",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    ],
)
def test_a_token_is_hidden_but_for_its_beginning(token):
    """Four characters say which it is."""
    assert conceal(token) == f"{token.strip()[:4]}…"


def test_names_of_columns_are_listed_safely():
    """Names are cut, at most 40 are listed, and what may be a token is hidden."""
    assert list_names(["a", "x" * 100, "0123456789abcdef0123456789abcdef", "b\x1bc"]) == (
        f"a, {'x' * 59}…, 0123…, b c"
    )
    assert list_names(range(50)).endswith("38, 39 and 10 more")


class Broken:
    """An object without a representation."""

    def __repr__(self):
        raise TypeError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a\x1bb", "'a\\x1bb'"),
        ("x" * 100, f"'{'x' * 59}…'"),
        ("0123456789abcdef0123456789abcdef", "'0123…'"),
        (5.0, "5.0"),
        ([1] * 100, "[" + "1, " * 19 + "1…"),
        (10**5000, "A number with thousands of digits"),
        (Broken(), "an object of the type Broken"),
    ],
    ids=range(7),
)
def test_any_value_can_be_quoted(value, shown):
    """Long values are cut, control characters escaped, and no object fails."""
    assert quote(value) == shown
