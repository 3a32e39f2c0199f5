"""Run all checks, in the order in which a person would look."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from synglancer.doctor.connection import Connection
from synglancer.doctor.machine import check_browser, check_cache, check_packages, check_python
from synglancer.doctor.outcome import Outcome
from synglancer.errors import SynglancerError, describe_os_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from synglancer.doctor.connection import MayWrite
    from synglancer.settings import Settings

    Check = tuple[str, tuple[str, ...], Callable[[], Outcome]]


def examine(
    settings: Settings, may_write: MayWrite, found: Sequence[Outcome] = ()
) -> Iterator[Outcome]:
    """Check everything that a link needs; each outcome is yielded as soon as it is known.

    Parameters
    ----------
    settings
        The server, datastack, version, table and viewer to check.
    may_write
        Asks the user whether a state may be stored on a server with a given address.
    found
        The outcome for the settings themselves.

    Yields
    ------
    Outcome
        In the order in which a person would look. A check is skipped when one that it depends on
        failed.
    """
    yield from _run([("python", (), check_python), ("packages", (), check_packages)])
    yield from found
    with closing(Connection(settings, may_write)) as connection:
        yield from _run(_list_checks(connection, site=settings.site))


def _list_checks(connection: Connection, *, site: str | None) -> list[Check]:
    """List the checks, each with the checks that it depends on."""
    return [
        ("token", (), connection.check_token),
        ("server", (), connection.check_server),
        ("login", ("token", "server"), connection.check_login),
        ("terms", ("login",), connection.check_terms),
        ("datastack", ("login", "terms"), connection.check_datastack),
        ("version", ("datastack",), connection.check_version),
        ("table", ("version",), connection.check_table),
        ("states", ("login", "terms"), connection.check_states),
        ("viewer", () if site else ("datastack",), connection.check_viewer),
        ("browser", (), check_browser),
        ("cache", (), check_cache),
    ]


def _run(checks: list[Check]) -> Iterator[Outcome]:
    """Run checks, and skip each that depends on one that failed."""
    failed: dict[str, str] = {}  # name of a check that did not pass -> the check that failed first
    for name, before, check in checks:
        first = next((failed[other] for other in before if other in failed), None)
        if first is not None:
            failed[name] = first
            reason = f"Not checked, because the check '{first}' failed."
            yield Outcome(name, "skipped", reason)
            continue
        outcome = _run_one(name, check)
        if outcome.status == "failed":
            failed[name] = name
        yield outcome


def _run_one(name: str, check: Callable[[], Outcome]) -> Outcome:
    """Run a check; an error becomes its outcome."""
    try:
        return check()
    except SynglancerError as error:
        return Outcome(name, "failed", str(error), error.hint)
    except ImportError as error:
        message = f"A package cannot be imported: {error}."
        return Outcome(
            name, "failed", message, "Install synglancer again with all of its dependencies."
        )
    except OSError as error:
        return Outcome(
            name, "failed", describe_os_error(error), "Check free space and permissions."
        )
