"""A review holds the least confident synapses, each once, in the form of its viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.cave.records import PredictionTable
from synglancer.links.loaded import Loaded
from synglancer.links.review import MOST_ROWS, choose_marking, explain_marking, take_least_sure
from synglancer.settings import Settings
from synglancer.states.reviews.marks import ALWAYS, list_marks
from synglancer.synapses.loading import CellData
from synglancer.synapses.predictions import filter_predictions
from view.test_state import CELL, predictions

if TYPE_CHECKING:
    from collections.abc import Sequence


def load(confidences: Sequence[float]) -> Loaded:
    frame = predictions(["spine"] * len(confidences))
    frame["confidence"] = np.array(confidences, "float32")
    table = PredictionTable.__new__(PredictionTable)
    return Loaded([CELL], table, frame, frame, CellData([], set()))


@given(st.lists(st.floats(0, 1, width=32), max_size=30), st.integers(290, 310), st.integers(0, 99))
def test_the_least_sure_are_kept_and_the_next_ones_follow(few, count, seed) -> None:
    """Synapses left out are as confident or more, and the printed --min-confidence shows all of
    them."""
    confidences = [*few, *np.random.default_rng(seed).random(count)]
    loaded = load(confidences)
    taken = take_least_sure(loaded)
    kept, total = taken.shown, len(confidences)
    assert kept["confidence"].tolist() == sorted(loaded.shown["confidence"].tolist())[:MOST_ROWS]
    assert kept["id"].is_unique
    if total <= MOST_ROWS:
        assert taken.warnings == []
        return
    (told,) = taken.warnings
    assert told.startswith(f"{total - MOST_ROWS:,} more ")
    least = float(told.rpartition(" --min-confidence ")[2].split()[0])
    following = filter_predictions(loaded.shown, min_confidence=least)
    assert {*kept["id"], *following["id"]} == {*loaded.shown["id"]}


def test_ties_are_not_promised_to_be_passed() -> None:
    """If all are equally confident, --min-confidence would show the same ones, and is not
    suggested."""
    (told,) = take_least_sure(load([0.5] * 301)).warnings
    assert told == (
        "1 more synapse is not in this review, which holds the 300 least confident: add --tag, "
        "--min-size, --inputs or --outputs to see others."
    )


def test_what_is_left_out_is_counted() -> None:
    """The rows of a review are numbered from 0, and the count agrees with its verb."""
    taken = take_least_sure(load([*reversed(range(302))]))
    assert taken.shown.index.tolist() == [*range(MOST_ROWS)]
    assert "index" not in taken.shown
    (told,) = taken.warnings
    assert told.startswith("2 more synapses are not in this review, ")


def test_a_synapse_in_both_directions_stands_once() -> None:
    """A synapse of the cell onto itself is reviewed once, as an input."""
    loaded = load([0.5, 0.6])
    both = pd.concat([loaded.shown, loaded.shown.iloc[:1].assign(direction="outputs")])
    taken = take_least_sure(Loaded([CELL], loaded.table, both, both, loaded.data))
    assert taken.shown["direction"].tolist() == ["inputs", "inputs"]


class _Session:
    server = "http://127.0.0.1:9000"

    class datastack:  # noqa: N801
        viewer_site = "http://127.0.0.1:9000/v/synglancer/"


@pytest.mark.parametrize(
    ("site", "marking", "told"),
    [
        ("spelunker", "tags", False),
        ("https://spelunker.lab.org/", "tags", False),
        ("https://spelunker-beta.lab.org/x", "tags", False),
        ("google", "labels", False),
        ("https://neuroglancer-demo.appspot.com", "labels", False),
        (None, "text", False),
        ("https://ng.lab.org/", "text", True),
        ("spelunker=https://ng.lab.org/", "tags", False),
        ("google=https://ng.lab.org/", "labels", False),
        ("google=https://spelunker.lab.org/", "labels", False),
        ("https://lab.org/spelunker/", "text", True),
    ],
)
def test_the_site_decides_how_marks_are_made(site, marking, told) -> None:
    """Known viewers get their keys; in others, marks are typed, and a warning says so."""
    session: Any = _Session()
    found, sentence = choose_marking(Settings(site=site), session)
    assert (found, bool(sentence)) == (marking, told)


def test_the_keys_are_said() -> None:
    """Each form is explained with its keys or words."""
    marks = list_marks(ALWAYS)
    assert "Shift+Q right, Shift+W unsure, Shift+A is spine" in explain_marking("tags", marks)
    assert "then 1 unmarked, 2 right, 3 unsure, 4 is spine" in explain_marking("labels", marks)
    assert "=right, =unsure, =spine, =shaft, =soma" in explain_marking("text", marks)


def test_the_tenth_label_has_the_key_0() -> None:
    """As in Google's viewer; with more than ten labels, numbers are ended with Enter."""
    ten, eleven = (
        explain_marking("labels", list_marks([*ALWAYS, *(f"tag{n}" for n in range(count))]))
        for count in (4, 5)
    )
    assert "9 is tag2, 0 is tag3, and S or A to go to the next or previous synapse" in ten
    assert "9 is tag2, 10 is tag3, 11 is tag4 and Enter, and S or A to go to the next" in eleven
