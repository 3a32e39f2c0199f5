"""Values of a state's record are read strictly, and written in one form."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from synglancer.states.fields import (
    Reader,
    read_count,
    read_number,
    read_point,
    read_text,
    read_timestamp,
    write_timestamp,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENT = datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc)


@pytest.fixture
def _tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine in another time zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_tokyo")
@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-07T08:10:01.190228+00:00", MOMENT),
        ("2026-03-07T08:10:01.190228Z", MOMENT),
        ("2026-03-07T08:10:01.190228", MOMENT),
        ("2026-03-07T10:10:01.190228+02:00", MOMENT),
        ("2026-03-07T08:10:01", MOMENT.replace(microsecond=0)),
    ],
)
def test_timestamps_are_in_utc_in_every_time_zone(written: str, moment: datetime) -> None:
    """A link says the same moment, wherever it is made and read."""
    assert read_timestamp(written) == moment
    assert read_timestamp(written).utcoffset() is not None
    there = moment.astimezone(timezone(timedelta(hours=-7)))
    assert write_timestamp(there) == f"2026-03-07T08:10:01.{moment.microsecond:06}+00:00"


def test_invalid_fields_are_named() -> None:
    """An optional field is read as missing, a required one is refused, and all are named at the
    end."""
    reader = Reader({"count": "3", "name": 5, "empty": "", "live": 1})
    assert (reader.maybe("count", read_count), reader.text("name")) == (None, "")
    assert (reader.flag("live"), reader.flag("other")) == (False, False)
    for need in (
        lambda name: reader.need(name, read_count),
        reader.need_text,
    ):
        for name in ("empty", "missing"):
            with pytest.raises(ValueError, match=rf"^{name}$"):
                need(name)
    with pytest.raises(ValueError, match=r"^count, name, live, empty$"):
        reader.check()


def test_what_is_no_object_has_no_fields() -> None:
    """A list or a text instead of an object is one error, not one for each field."""
    for given in ([], "x", None):
        reader = Reader(given)
        assert reader.text("name") == ""
        with pytest.raises(ValueError, match=r"^the whole$"):
            reader.check()
    Reader({}).check()


@pytest.mark.parametrize("wrong", [True, "1", None, [1], -1, float("inf"), float("nan")])
def test_what_is_no_amount_is_refused(wrong):
    """A number is finite, not negative, and never a boolean or a text."""
    assert (read_number(0), read_number(2.5)) == (0, 2.5)
    with pytest.raises(ValueError, match=re.escape(str(wrong))):
        read_number(wrong)


def test_a_required_field_is_named():
    """A required field that is missing is named in the error."""
    with pytest.raises(ValueError, match=r"^cell$"):
        Reader({"other": "5"}).need("cell", read_text)


@pytest.mark.parametrize("wrong", [5, [1, 2], [1, 2, 3, 4], [1, 2, True], [1, 2, float("nan")]])
def test_what_is_no_position_is_refused(wrong):
    """A position is three finite numbers."""
    assert read_point([1, 2.5, -3]) == (1, 2.5, -3)
    with pytest.raises(ValueError, match=r"values|\[|5"):
        read_point(wrong)
