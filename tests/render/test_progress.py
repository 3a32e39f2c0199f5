"""A progress bar shows the number done, the rate, and the time left."""

from __future__ import annotations

import pytest

from synglancer.render import progress


@pytest.mark.parametrize(
    ("speed", "words"),
    [(None, ""), (0.0, ""), (12.34, "12.3/s"), (1.0, "1.0/s"), (0.05, "3.0/min")],
)
def test_rates_are_told_in_the_unit_that_fits(speed, words):
    """The rate is per second, or per minute if a step takes longer than a second."""
    assert progress.format_rate(speed) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0:00 left"), (75.2, "1:15 left"), (3_700, "1:01:40 left")]
)
def test_the_time_left_is_told_in_minutes(seconds, words):
    """Hours are shown only if there are any."""
    assert progress.format_left(seconds) == words


def test_without_a_terminal_nothing_is_printed(capfd):
    """In a script or a pipe, there is no bar, and steps can still be reported."""
    with progress.show_progress(2, "pictures") as step:
        step()
        step()
    assert capfd.readouterr() == ("", "")


def test_a_terminal_shows_count_rate_and_time_left(capfd, monkeypatch):
    """On a terminal, the bar names the steps and shows how many are done."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with progress.show_progress(4, "pictures") as step:
        step()
        step()
    shown = capfd.readouterr().err
    assert "Pictures" in shown
    assert "2/4" in shown
