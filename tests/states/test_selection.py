"""IDs and timestamps are read exactly, in every form in which states hold them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from synglancer.states.fields import read_id
from synglancer.states.selection import count_wrong_segments, read_pin, read_segments


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("864691135276234469", 864691135276234469),
        (864691135276234469, 864691135276234469),
        ("18446744073709551615", 2**64 - 1),
        (2**64 - 1, 2**64 - 1),
        (0, 0),
        ("18446744073709551616", 0),
        (2**64, 0),
        (-1, 0),
        ("-1", 0),
        ("1" * 21, 0),
        ("0" * 20 + "7", 0),
        ("", 0),
        ("12x", 0),
        (" 12", 0),
        ("٣", 0),
        (True, 0),
        (None, 0),
        (1.0, 0),
        (10**5000, 0),
        (float("nan"), 0),
    ],
    ids=lambda value: repr(value % 10**6 if isinstance(value, int) else value),
)
def test_ids_are_read_digit_by_digit(given: object, read: int) -> None:
    """Anything but a whole number of 64 bits is no ID, however large or odd."""
    assert read_id(given) == read


@pytest.mark.parametrize("groups", [[["7", "8", "9"]], [["8", "9"], ["9", "7"]]])
def test_a_segment_stands_for_all_that_are_merged_with_it(groups: list[list[str]]) -> None:
    """Segments of one group, or of groups that share a segment, are one cell in the viewer."""
    layer = {"type": "segmentation", "segments": ["9", "5"], "equivalences": groups}
    assert {*read_segments(layer)} == {5, 7, 8, 9}
    assert read_segments({**layer, "segments": ["5"]}) == [5]


MADE = datetime(2026, 3, 7, tzinfo=timezone.utc)
SECONDS = int(MADE.timestamp())


def pin(timestamp: object) -> Any:
    source = "graphene://https://example.org/segmentation/table/minnie3_v1"
    layer = {"type": "segmentation", "name": "s", "source": source, "timestamp": timestamp}
    return read_pin({"layers": [layer]})


@pytest.mark.parametrize(
    "timestamp",
    [
        *(SECONDS, SECONDS * 1000, float(SECONDS), str(SECONDS), f" {SECONDS * 1000} "),
        f"{SECONDS:020}",
    ],
)
def test_timestamps_of_each_form_mean_the_same(timestamp: object) -> None:
    """Viewers write seconds or milliseconds, as numbers or as texts."""
    assert pin(timestamp) == MADE


@pytest.mark.parametrize(
    "timestamp",
    [
        *(None, True, 0, -1, "-1", "", "now", "٣", f"{SECONDS}x", [SECONDS]),
        *(float("nan"), float("inf"), 10**400, 10**5000, "9" * 20, "1" * 5000, f"{SECONDS:021}"),
    ],
    ids=lambda value: repr(value % 10**6 if isinstance(value, int) else value)[:20],
)
def test_other_timestamps_do_not_pin(timestamp: object) -> None:
    """A link is said to be pinned only where its viewer pins it, and nothing makes reading fail."""
    assert pin(timestamp) is None


@pytest.mark.parametrize(
    ("timestamp", "pinned"),
    [
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc)),
        (10**11 - 1, datetime(5138, 11, 16, 9, 46, 39, tzinfo=timezone.utc)),
        (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=timezone.utc)),
    ],
)
def test_numbers_below_a_hundred_billion_are_seconds(timestamp: int, pinned: datetime) -> None:
    """In milliseconds they would be before March 1973."""
    assert pin(timestamp) == pinned


@pytest.mark.parametrize(("asked", "count"), [(None, 3), (None, 1), ("precomputed://b", 0)])
def test_segments_that_are_no_64_bit_ids_are_counted(asked: str | None, count: int) -> None:
    """Hidden segments and the zero are not, nor those of another segmentation than was asked."""
    wrong = ["X0", 1e29, "9" * 30][: count or 3]
    layer = {"type": "segmentation", "name": "cells", "source": "precomputed://a"}
    state = {"layers": [{**layer, "segments": ["7", "!x", "!8", "0", *wrong]}]}
    assert count_wrong_segments(state, asked) == count
    assert count_wrong_segments(state, "precomputed://a") == len(wrong)
