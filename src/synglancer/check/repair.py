"""Links that are bad, made anew with what was asked then.

What was asked stands in the receipt on this machine, or in the record inside the state; it is asked
again through the same pipeline. Whatever a state names, only the user's own server is asked.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from synglancer.cells.parse import enumerate_some
from synglancer.errors import ServiceError, SynglancerError, UsageError
from synglancer.links.batch import THREADS
from synglancer.links.link_record import LinkRecord, Skipped
from synglancer.links.makers import open_maker
from synglancer.settings import Service, Settings
from synglancer.states.provenance import parse_settings, read_recorded_synapses
from synglancer.states.record import RECORD, parse_record
from synglancer.states.urls import format_inline_link, format_link, parse_link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.check.checker import Checker
    from synglancer.check.results import CheckResult

_OWN = ("server", "sandbox", "token_file", "timeout")
"""What the user says now, whatever was said then."""

_KINDS = {float: (float, int), type(None): (str, int, type(None))}
"""What an option may be beside the kind of its default."""


@dataclass(frozen=True)
class Refreshed:
    """A link that was made anew.

    Attributes
    ----------
    old, url
        The link as it was, and the one to take its place: in the same viewer.
    made
        What was made.
    """

    old: str
    url: str
    made: LinkRecord

    def to_record(self) -> dict[str, Any]:
        """Return what ``--output json`` prints: 64-bit IDs are strings."""
        record = self.made.to_record()
        told = ("cell", "cells", "version", "counts", "shown", "state_sha256", "warnings")
        return {"url": self.url, **{name: record[name] for name in told if name in record}}


@dataclass(frozen=True)
class Asked:
    """What was asked when a link was made.

    Attributes
    ----------
    cells
        What it shows: root IDs, or synapses as ``synapse:ID``; one, or several together.
    settings
        All else; server, token and timeout are those of now.
    """

    cells: tuple[int | str, ...]
    settings: Settings

    def __str__(self) -> str:
        """Say it in a few words."""
        asked, cells = self.settings, enumerate_some(self.cells, 3)
        return f"{cells} in {asked.datastack} at version {asked.version}"


def read_asked(result: CheckResult, own: Service) -> Asked:
    """Read what was asked when a link was made.

    Parameters
    ----------
    result
        What was found of the link.
    own
        What the user says now: server, token and timeout.

    Raises
    ------
    UsageError
        When nothing says it, or it was asked of another server.
    """
    source = result.source
    if result.status != "bad":
        raise UsageError(
            f"It is {result.status} when asked for again, so it is left as it is.",
            "Check it again.",
        )
    if source is None:
        raise UsageError(
            "It cannot be made again, because neither the history on this machine nor its state "
            "says what was asked.",
            "Make it again with make-link, and replace it by hand.",
        )
    if source.get("given_rows"):
        raise UsageError(
            "It cannot be made again, because its synapses were given as tables.",
            "Make it again from the tables, and replace it by hand.",
        )
    if result.datastack is None:
        raise UsageError(
            "It cannot be made again, because it was made with another CAVE server than is asked.",
            "Name that one with --server.",
        )
    points = parse_record(source)[0].annotations
    if points:
        raise UsageError(
            f"It shows points of {points[0].name} beside the synapses, so it is not made again "
            "without them.",
            "Make it again with make-link and --annotations, and replace it by hand.",
        )
    try:
        settings = (
            _read_receipt(source) if "options" in source else parse_settings({RECORD: source})
        )
        settings = replace(settings, **{name: getattr(own, name) for name in _OWN})
        inline = parse_link(result.url).state_url is None
        settings = replace(
            settings, inline=inline, upload=settings.source is not None and not inline
        )
        _check_kinds(settings)
        synapses = [f"synapse:{one}" for one in read_recorded_synapses(source)]
        return Asked(tuple(synapses) or _some(result.cells), settings)
    except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
        raise UsageError(
            "It cannot be made again, because its receipt or record was changed.",
            "Make it again with make-link, and replace it by hand.",
        ) from error


def _check_kinds(settings: Settings) -> None:
    """Refuse what JSON can hold in the place of an option, and no command line would give."""
    for field in fields(settings):
        value, kind = getattr(settings, field.name), type(field.default)
        if not isinstance(value, _KINDS.get(kind, kind)):
            raise TypeError(field.name)
    if not all(isinstance(tag, str) for tag in settings.tag):
        raise TypeError("tag")


def _some(cells: tuple[int, ...]) -> tuple[int, ...]:
    if not cells:
        raise ValueError("no cell")
    return cells


def _read_receipt(receipt: Mapping[str, Any]) -> Settings:
    """Read what a receipt says, with the version that the link shows in the place of a day."""
    options = {name: value for name, value in receipt["options"].items() if name not in _OWN}
    shown = {name: receipt[name] or None for name in ("datastack", "version", "table")}
    return Settings(**{**options, **shown})


def refresh_links(
    checker: Checker,
    checked: Sequence[CheckResult],
    own: Service,
    command: Sequence[str] | None = None,
) -> dict[str, Refreshed | Skipped]:
    """Make bad links anew, what several ask alike once; what is not good then is not taken.

    Each is asked for a second time before: a server that failed for a moment lost nothing.

    Parameters
    ----------
    checker
        Checks what was made as all links are checked.
    checked
        What was found of each link.
    own
        What the user says now: server, token and timeout.
    command
        The words that were typed, for the receipts.

    Returns
    -------
    dict
        Bad link → what takes its place, or why nothing does.
    """
    results: dict[str, Refreshed | Skipped] = {}
    alike: dict[Asked, list[CheckResult]] = {}
    bad = [result.url for result in checked if result.status == "bad"]
    for result in checker.check(bad) if bad else ():
        asked = _find_asked(result, own)
        if isinstance(asked, Skipped):
            results[result.url] = asked
        else:
            alike.setdefault(asked, []).append(result)
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        jobs = [pool.submit(_make, asked, these, command) for asked, these in alike.items()]
        for job in jobs:
            results.update(job.result())
    made = list(dict.fromkeys(one.url for one in results.values() if isinstance(one, Refreshed)))
    judged = {result.url: result for result in (checker.check(made) if made else ())}
    return {url: _judge(one, judged) for url, one in results.items()}


def _find_asked(result: CheckResult, own: Service) -> Asked | Skipped:
    try:
        return read_asked(result, own)
    except SynglancerError as error:
        return _skip(result.url, error)


def _judge(one: Refreshed | Skipped, judged: Mapping[str, CheckResult]) -> Refreshed | Skipped:
    """Take a new link only where it is good."""
    if isinstance(one, Skipped) or judged[one.url].status == "good":
        return one
    why = [*judged[one.url].problems, *judged[one.url].unknown][0]
    return Skipped(
        one.old,
        f"It was made anew as {one.url}, which is not good either: {why}",
        "Check that one again, and replace it by hand.",
        ServiceError.exit_code,
    )


def _make(
    asked: Asked, bad: Sequence[CheckResult], command: Sequence[str] | None
) -> dict[str, Refreshed | Skipped]:
    """Make one link that takes the place of all that asked for the same."""
    urls = [result.url for result in bad]
    try:
        made = open_maker(asked.settings, command).make(*asked.cells)
        if _is_as_bad(made, bad):  # what is kept on this machine knows no better: all is asked
            settings = replace(asked.settings, no_cache=True)
            made = open_maker(settings, command).make(*asked.cells)
        return {url: Refreshed(url, _place(made, parse_link(url).site), made) for url in urls}
    except SynglancerError as error:
        return {url: _skip(url, error) for url in urls}


def _is_as_bad(made: LinkRecord, bad: Sequence[CheckResult]) -> bool:
    """Whether a link is one of the bad ones, or shows a version as if it were served still."""
    if made.state_url in {parse_link(result.url).state_url for result in bad} - {None}:
        return True
    return not made.live and any(result.served is False for result in bad)


def _place(made: LinkRecord, site: str) -> str:
    """Make the link for the viewer that the old one opens."""
    if made.state_url is None:
        return format_inline_link(site, made.state_json)
    return format_link(site, made.state_url)


def _skip(url: str, error: SynglancerError) -> Skipped:
    return Skipped(url, str(error), error.advice, error.exit_code)
