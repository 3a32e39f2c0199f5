"""Whatever is given to the public functions, their errors are ours, and name what is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import synglancer
from synglancer.errors import SynglancerError
from synglancer.python.given import list_separate_cells
from test_option_values import Broken

DEAD = {"server": "http://127.0.0.1:9", "no_cache": True}
"""A server that does not answer, for values that turn out to be good."""


ODD: list[Any] = [
    None,
    True,
    -1,
    10**400,
    1.5,
    float("nan"),
    1j,
    "",
    "x",
    "\ud800",
    "\0",
    "x" * 100_000,
    b"x",
    (),
    [],
    [None],
    [[1]],
    (1, 2, float("nan")),
    (1, 2, 10**400),
    {},
    {"a": 1},
    object(),
    Broken(),
    [Broken()],
    int,
    np.int64(5),
    np.float32(0.5),
    np.array(5),
    np.array([[1, 2], [3, 4]]),
    np.datetime64("NaT"),
    pd.NA,
    [pd.NA],
    pd.NaT,
    pd.Timestamp("2026-03-07"),
    pd.Series([1.5]),
    pd.DataFrame({"a": [1]}),
    pd.DataFrame({"pt_root_id": [None, pd.NA, 1.5, "x"]}),
]


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is dead is not asked again."""
    monkeypatch.setenv("CAVE_TOKEN", "a-token")
    monkeypatch.setattr("synglancer.cave.http._pause_before_retry", lambda *_, **__: None)


def attempt(function: Any, *args: Any, **options: Any) -> None:
    """Call a function, which may refuse what it was given in our own words."""
    try:
        function(*args, **options)
    except SynglancerError as error:
        said = f"{error} {error.hint}"  # both outcomes are right
        assert said.isprintable()
        assert len(said) < 600


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_odd_values_in_every_place(value):
    """No argument of a public function makes a TypeError or another error of Python's own."""
    table = pd.DataFrame({"pt_root_id": ["864691135276234469"]})
    attempt(synglancer.make_link, value, **DEAD)
    attempt(synglancer.make_links, value, **DEAD)
    attempt(synglancer.make_links, [value], **DEAD)
    attempt(synglancer.add_links, value, **DEAD)
    for name in ("settings", "client", "inputs", "outputs", "resolution"):
        attempt(synglancer.make_link, 1, **{**DEAD, name: value})
    for name in ("settings", "client", "workers", "scheduler", "progress"):
        if name != "workers" or not isinstance(value, int | np.integer):  # which are processes
            attempt(synglancer.make_links, [1], **{**DEAD, name: value})
    for name in ("column", "link_column", "settings", "client"):
        attempt(synglancer.add_links, table, **{**DEAD, name: value})
    for name in ("url", "token", "timeout"):
        given = {"url": "https://a.org/#!http://127.0.0.1:9/1", name: value}
        attempt(synglancer.Link.from_url, **given)


def test_a_number_with_thousands_of_digits_is_one_cell():
    """Python does not write such a number, so it is described."""
    assert list_separate_cells([5, 10**5000]) == [5, "A number with thousands of digits"]
