"""Checks run in order; a failed check skips only the checks that depend on it."""

from __future__ import annotations

import pytest

from synglancer.doctor.examination import _run, _run_one
from synglancer.doctor.outcome import Outcome
from synglancer.errors import ServiceError


def passing(name: str, ran: list[str]):
    def check() -> Outcome:
        ran.append(name)
        return Outcome(name, "ok", "Good.")

    return check


def failing() -> Outcome:
    raise ServiceError("It failed.", "Mend it.")


def test_what_stands_behind_a_failure_is_skipped() -> None:
    """A check behind a skipped one is also skipped, and names the check that failed first."""
    ran: list[str] = []
    checks = [
        ("first", (), failing),
        ("second", ("first",), passing("second", ran)),
        ("third", ("second",), passing("third", ran)),
        ("other", (), passing("other", ran)),
    ]
    found = list(_run(checks))
    assert found == [
        Outcome("first", "failed", "It failed.", "Mend it."),
        Outcome("second", "skipped", "Not checked, because the check 'first' failed."),
        Outcome("third", "skipped", "Not checked, because the check 'first' failed."),
        Outcome("other", "ok", "Good."),
    ]
    assert ran == ["other"]


def test_a_skipped_check_stands_in_nobodys_way() -> None:
    """A check that was skipped without a failure does not skip others."""
    ran: list[str] = []
    checks = [
        ("first", (), lambda: Outcome("first", "skipped", "Not now.")),
        ("second", ("first",), passing("second", ran)),
    ]
    assert [outcome.status for outcome in _run(checks)] == ["skipped", "ok"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("no module named 'packaging'"), "no module named 'packaging'"),
        (PermissionError(13, "Permission denied", "/cache"), "(/cache): Permission denied"),
    ],
)
def test_what_a_check_meets_is_what_it_found(error, words) -> None:
    """A broken package and an unreadable file are outcomes, not crashes."""

    def check() -> Outcome:
        raise error

    found = _run_one("cache", check)
    assert found.status == "failed"
    assert words in found.message
    assert found.hint
