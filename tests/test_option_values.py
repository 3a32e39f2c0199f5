"""Whatever a Python user gives as an option is taken as it is meant, or refused by name."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import SynglancerError, UsageError
from synglancer.settings import Question, Service, Settings
from synglancer.view_settings import ViewSettings


class Broken:
    """An object that cannot even be shown."""

    def __repr__(self) -> str:
        raise TypeError("no")


ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    1j,
    "",
    "x",
    "\x1b[2J",
    "\ud800",
    "x" * 100_000,
    b"x",
    (),
    [],
    ["spine", 5],
    {},
    {"a": 1},
    {1},
    object(),
    Broken(),
    int,
    np.int64(5),
    np.uint64(2**63),
    np.float32(0.5),
    np.bool_(True),
    np.str_("x"),
    np.array(5),
    np.array([1, 2]),
    np.datetime64("2026-03-07T08:10:01", "ns"),
    np.datetime64("NaT"),
    pd.NA,
    pd.NaT,
    pd.Timestamp("2026-03-07", tz="UTC"),
    pd.Timestamp("2026-03-07"),
    pd.Series(["spine"]),
    pd.DataFrame({"a": [1]}),
    date(2026, 3, 7),
    datetime(2026, 3, 7, tzinfo=timezone.utc),
    timedelta(1),
    Decimal("0.5"),
    Path("x"),
    Settings(),
]
RECORDS = [Settings, Question, Service, ViewSettings]
CASES = [(record, field.name) for record in RECORDS for field in fields(record)]


@pytest.mark.parametrize(("record", "name"), CASES, ids=lambda one: getattr(one, "__name__", one))
def test_any_value_of_any_option_is_taken_or_refused_by_name(record, name):
    """No value makes another error than ours, which says which option is meant."""
    for value in ODD:
        try:
            record(**{name: value})
        except SynglancerError as error:  # noqa: PERF203
            said = f"{error} {error.hint}"
            assert said.isprintable()
            assert len(said) < 500
            words = name.replace("_", "-"), name, name.replace("_", " ")
            assert any(word in said for word in words), said


@given(st.sampled_from([field.name for field in fields(Settings)]), st.data())
def test_any_text_number_or_list_is_taken_or_refused(name, data):
    """The same for whatever hypothesis thinks of."""
    some = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.binary())
    value = data.draw(st.one_of(some, st.lists(some), st.dictionaries(st.text(), some)))
    try:
        Settings(**{name: value})
    except SynglancerError as error:
        assert (str(error) + error.hint).isprintable()  # noqa: PT017  # both outcomes are right


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("timeout", np.float64(5.0), 5.0),
        ("timeout", np.int32(5), 5),
        ("concurrency", np.int64(3), 3),
        ("min_confidence", np.array(0.5), 0.5),
        ("partners", np.uint8(3), 3),
        ("inputs", np.bool_(True), True),
        ("token_file", Path("folder/token"), "folder/token"),
        ("tag", "spine", ("spine",)),
        ("tag", np.array(["spine", "soma"]), ("spine", "soma")),
        ("tag", pd.Series(["spine"]), ("spine",)),
        ("annotations", Path("points.csv"), (Path("points.csv"),)),
        ("version", np.int64(1718), 1718),
        ("version", date(2026, 3, 7), "2026-03-07"),
        ("version", datetime(2026, 3, 7, 8), "2026-03-07"),  # noqa: DTZ001
        ("version", datetime(2026, 3, 7, 23, tzinfo=timezone(timedelta(hours=-8))), "2026-03-08"),
        ("version", pd.Timestamp("2026-03-07 08:10:01.19", tz="UTC"), "2026-03-07"),
        ("version", pd.Timestamp("2026-03-07 00:30", tz="Europe/Zurich"), "2026-03-06"),
        ("version", np.datetime64("2026-03-07T08:10:01.190228"), "2026-03-07"),
    ],
)
def test_scalars_paths_and_timestamps_become_plain_values(name, value, plain):
    """Values of numpy and pandas are taken, and a timestamp is its day in UTC."""
    taken = getattr(Settings(**{name: value}), name)
    assert taken == plain
    assert type(taken) is type(plain)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"timeout": "x"}, "Give a number of seconds."),
        ({"timeout": True}, "Give a number of seconds."),
        ({"tag": 5}, "Give a text, or a list of texts."),
        ({"tag": ["spine", 5]}, "Give a text, or a list of texts."),
        ({"tag": b"spine"}, "Give a text, or a list of texts."),
        ({"annotations": 5}, "Give a file or a table, or a list."),
        ({"concurrency": "x"}, "Give a whole number."),
        ({"concurrency": 1.5}, "Give a whole number."),
        ({"inputs": None}, "Give True or False."),
        ({"inputs": 1}, "Give True or False."),
        ({"version": True}, "Give a text or a whole number."),
        ({"version": pd.NaT}, "Give a text or a whole number."),
        ({"layout": np.array(["3d", "xy"])}, "Give a text."),
        ({"datastack": None}, "Give a text."),
    ],
)
def test_the_wrong_type_is_named_with_the_right_one(options, hint):
    """The error quotes the option with its value, and says what it takes."""
    (name,) = options
    with pytest.raises(UsageError, match=f"^{name}=.* is not a valid value.$") as caught:
        Settings(**options)
    assert caught.value.hint == hint
