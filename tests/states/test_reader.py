"""The state of a link is parsed, or refused with the right error."""

from __future__ import annotations

import pytest

from synglancer.errors import BadAnswerError, UsageError
from synglancer.states.reader import parse_link_state
from synglancer.states.urls import ParsedLink

SITE = "https://viewer.example.org/"
STORED = ParsedLink(SITE, "https://cave.example.org/nglstate/5", None)
INLINE = ParsedLink(SITE, None, b'{"layers":[],"title":"inline"}')
FILE = ParsedLink(SITE, None, b"[]", "a.json")


def test_the_state_is_the_fetched_one_or_the_one_in_the_link() -> None:
    """A fetched state has precedence."""
    assert parse_link_state(INLINE, None) == {"layers": [], "title": "inline"}
    assert parse_link_state(STORED, b'{"layers":[]}') == {"layers": []}


@pytest.mark.parametrize(
    ("link", "fetched", "error", "place"),
    [
        (STORED, b"", BadAnswerError, "https://cave.example.org/nglstate/5"),
        (STORED, b"<html>", BadAnswerError, "https://cave.example.org/nglstate/5"),
        (ParsedLink(SITE, None, b"{}"), None, UsageError, "The link"),
        (FILE, None, UsageError, "The file a.json"),
    ],
)
def test_what_is_no_state_is_refused_with_its_place(link, fetched, error, place) -> None:
    """A bad answer is the server's fault, and a bad link or file is the user's."""
    with pytest.raises(error) as refused:
        parse_link_state(link, fetched)
    assert str(refused.value) == f"{place} holds no Neuroglancer state."
    assert refused.value.hint == "Check that it is the right one, and that it is complete."


@pytest.mark.parametrize(
    ("text", "number", "line"),
    [
        ('{"layers": [],\n"x": NaN}', "NaN", 2),
        ("NaN\n", "NaN", 1),
        ('{"layers":[],"x":NaN}', "NaN", 1),
        ('{"layers": [],\n\n"x": [1, -Infinity]}', "-Infinity", 3),
        ('{"x":{"y":1e400}}', "1e400", 1),
        ('{"x":[-1.5E+999,2]}', "-1.5E+999", 1),
        ('{"x":' + "9" * 400 + "}", "9" * 59 + "…", 1),
    ],
)
def test_a_number_that_json_does_not_have_is_named(text, number, line) -> None:
    """Python and R write such numbers into files that no viewer can read."""
    with pytest.raises(UsageError) as refused:
        parse_link_state(ParsedLink(SITE, None, text.encode(), "a.json"), None)
    assert str(refused.value) == (
        f"The file a.json is not valid JSON: '{number}' in line {line} is not a number that JSON "
        "can hold."
    )


@pytest.mark.parametrize("text", ['{"layers": [', '{"x" 5}', '{"x": "NaN', '{"x": NaNa}', "[5 6]"])
def test_other_texts_hold_no_state(text) -> None:
    """A number is only blamed where it is the fault."""
    with pytest.raises(UsageError, match=r"a\.json holds no Neuroglancer state"):
        parse_link_state(ParsedLink(SITE, None, text.encode(), "a.json"), None)
