"""Values of a state's record are read strictly, and written in one form."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from synglancer.states.fields import read_timestamp, write_timestamp

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
