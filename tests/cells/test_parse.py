"""What was typed becomes a root ID, or an error and a hint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synglancer.cells.parse import LinkCells, Nucleus, RootId, Synapse, parse_cell, parse_root_id
from synglancer.errors import UsageError

CELL = 864691135276234469
MAX = 2**64 - 1


def is_supervoxel(number: int) -> bool:
    return number >> 56 == 1


roots = st.integers(1, MAX).filter(lambda number: not is_supervoxel(number))


@given(roots)
@example(1)
@example(CELL)
@example(2**53 + 1)
@example(2**63)
@example(MAX)
def test_any_root_id_comes_back_exactly(number):
    """Every 64-bit number outside the supervoxels' layer is read exactly."""
    assert parse_cell(str(number)) == RootId(number)
    assert parse_cell(number) == RootId(number)
    assert parse_cell(np.uint64(number)) == RootId(number)
    assert parse_cell(str(RootId(number))) == RootId(number)


@given(roots, st.sampled_from([" {} ", "\t{}\n", "+{}", "000{}", "\u00a0{}"]))
def test_what_surrounds_a_number_is_overlooked(number, form):
    """White space, a plus sign and leading zeros do not change an ID."""
    cell = parse_root_id(form.format(number))
    assert cell == number
    assert type(cell) is int


@pytest.mark.parametrize(
    ("given_text", "reason"),
    [
        ("", "No cell was given"),
        (" \t\n", "No cell was given"),
        ("abc", "is a whole number"),
        ("cells.txt", "no file"),
        ("https://spelunker.cave-explorer.org/", "not a Neuroglancer link"),
        ("86469113527623446x", "is a whole number"),
        ("neuron 1", "is a whole number"),
        ("a,b,c", "is a whole number"),
        ("0x10", "is a whole number"),
        ("1_000", "is a whole number"),
        ("caf\udce9.txt", "not text in UTF-8"),
        ("--5", "is a whole number"),
        ("\u0668\u0666\u0664", "is a whole number"),
        ("\uff18\uff16\uff14", "is a whole number"),
        ("²", "is a whole number"),
        ("nan", "is a whole number"),
        ("inf", "is a whole number"),
        ("None", "is a whole number"),
        ("0", "above zero"),
        ("-0", "above zero"),
        ("-864691135276234469", "above zero"),
        ("8.64691135276234e17", "rounded number"),
        ("8.64691135276234469E+17", "rounded number"),
        ("864691135276234e3", "rounded number"),
        ("123.0", "rounded number"),
        ("123.", "rounded number"),
        (str(2**64), "too large"),
        ("864691135276234469864691135276234469", "too large"),
        pytest.param("9" * 100_000, "too large", id="very-long"),
        ("88954888800920543", "supervoxel"),
        (str(1 << 56), "supervoxel"),
        (str((2 << 56) - 1), "supervoxel"),
    ],
)
def test_wrong_text_is_refused_with_its_reason(given_text, reason):
    """Each kind of invalid input is recognised and quoted briefly, with a hint."""
    with pytest.raises(UsageError) as caught:
        parse_cell(given_text)
    message, hint = str(caught.value), caught.value.hint
    assert reason in message
    assert message.endswith(".")
    assert hint.endswith(".")
    assert len(message) < 200
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("given_value", "reason"),
    [
        (8.64691135276234e17, "rounded number"),
        (123.0, "rounded number"),
        (np.float64(123), "rounded number"),
        (float("nan"), "whole number"),
        (None, "whole number"),
        (True, "whole number"),
        (b"864691135276234469", "whole number"),
        ([CELL], "whole number"),
        (0, "above zero"),
        (-1, "above zero"),
        (2**64, "too large"),
        pytest.param(10**5000, "too large", id="10**5000"),
        pytest.param(-(10**5000), "too large", id="-10**5000"),
    ],
)
def test_wrong_values_from_a_notebook_are_refused(given_value, reason):
    """Values that are not text or integers are refused, above all floats, which have lost
    digits."""
    with pytest.raises(UsageError, match=reason):
        parse_cell(given_value)


@given(st.text())
def test_any_text_is_a_cell_or_two_sentences(text):
    """No text raises any other exception, or reaches a terminal unescaped."""
    try:
        assert parse_cell(str(parse_cell(text))) == parse_cell(text)
    except UsageError as error:
        assert (str(error) + error.hint).isprintable()  # noqa: PT017  # both outcomes are right


@given(st.integers(1, 2**63 - 1), st.sampled_from(["nucleus:{}", " Nucleus: {} ", "NUCLEUS:{}\n"]))
def test_a_nucleus_is_read_exactly(number, form):
    """A nucleus ID is read exactly, and written as one would type it."""
    assert parse_cell(form.format(number)) == Nucleus(number)
    assert parse_cell(str(Nucleus(number))) == Nucleus(number)


@pytest.mark.parametrize(
    "text", ["nucleus:", "nucleus:0", "nucleus:-1", "nucleus:1.5", "nucleus:²"]
)
def test_a_wrong_nucleus_is_refused(text):
    """An invalid nucleus ID is refused, and the hint says how to give one."""
    with pytest.raises(UsageError, match="does not name a nucleus") as caught:
        parse_cell(text)
    assert "nucleus:264824" in caught.value.hint


@pytest.mark.parametrize("kind", ["nucleus", "synapse"])
@pytest.mark.parametrize("number", [2**63, 10**30])
def test_an_id_that_no_table_holds_is_too_large(kind, number):
    """An ID above 2^63-1 has a digit too many, and the error says so."""
    with pytest.raises(UsageError, match=f"is too large for the ID of a {kind}") as caught:
        parse_cell(f"{kind}:{number}")
    assert "digit too many" in caught.value.hint


@given(st.integers(1, 2**63 - 1), st.sampled_from(["synapse:{}", " Synapse: {}", '="synapse:{}"']))
def test_a_synapse_is_read_exactly(number, form):
    """A synapse ID is read exactly, and written as one would type it."""
    assert parse_cell(form.format(number)) == Synapse(number)
    assert parse_cell(str(Synapse(number))) == Synapse(number)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        *((f"synapse:{text}", "digits alone") for text in ("", "0", "-1", "²", "5,000")),
        *((f"synapse:{text}", "rounded") for text in ("1.5", "2.9e8", "291322241.0")),
    ],
)
def test_a_wrong_synapse_is_refused(text, hint):
    """An invalid synapse ID is refused; for a rounded one, the hint says how to keep its digits."""
    with pytest.raises(UsageError, match="does not name a synapse") as caught:
        parse_cell(text)
    assert hint in caught.value.hint


@given(roots, st.sampled_from(['="{}"', "'{}", '"{}"', "='{}'"]))
def test_a_number_that_a_spreadsheet_keeps_as_text_is_read(number, form):
    """Spreadsheet notations that protect an ID from rounding are removed."""
    assert parse_cell(form.format(number)) == RootId(number)


@given(st.integers(10**15, MAX), st.sampled_from([",", ".", " ", "'", "_"]))
def test_thousands_separators_are_named(number, separator):
    """A number with separators is refused, and the hint gives its digits."""
    with pytest.raises(UsageError, match="thousands separators") as caught:
        parse_cell(f"{number:,}".replace(",", separator))
    assert str(number) in caught.value.hint


@pytest.mark.parametrize("separator", [",", " ", ";", ", ", "\n", "/"])
@pytest.mark.parametrize("many", [2, 3, 4])
def test_several_ids_in_one_word_are_counted(separator, many):
    """Several IDs in one word are refused as such, even three of them."""
    with pytest.raises(UsageError, match=f"holds {many} root IDs"):
        parse_cell(separator.join([str(CELL)] * many))


def test_a_link_is_kept_whole():
    """A Neuroglancer link is kept unchanged, whatever it contains."""
    url = "https://spelunker.cave-explorer.org/#!middleauth+https://global.daf-apis.com/nglstate/1"
    assert parse_cell(f" {url}\n") == LinkCells(url)
    assert str(LinkCells(url)) == url
