"""Make bad links again with their original options.

The options are in the receipt on this machine, or in the record in the state. Only the user's own
server is used, even if a state names another one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from synglancer.cells.naming import enumerate_some
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
"""Options that come from the user now, not from the old link."""


@dataclass(frozen=True)
class Refreshed:
    """A link that was made again.

    Attributes
    ----------
    old, url
        The old link, and the new link in the same viewer.
    made
        The new link's record.
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
    """The original cells and options of a link.

    Attributes
    ----------
    cells
        The cells: root IDs, or synapses as ``synapse:ID``; one, or several together.
    settings
        The options; server, token and timeout are the present ones.
    """

    cells: tuple[int | str, ...]
    settings: Settings

    def __str__(self) -> str:
        """Describe them in a few words."""
        asked, cells = self.settings, enumerate_some(self.cells, 3)
        return f"{cells} in {asked.datastack} at version {asked.version}"


def read_asked(result: CheckResult, own: Service) -> Asked:
    """Read the original cells and options of a link, with the present server, token and timeout.

    Raises
    ------
    UsageError
        When they are unknown, or the link was made with another server.
    """
    source = result.source
    if result.status != "bad":
        raise UsageError(
            f"On a second check it is {result.status}, so it is left unchanged.",
            "Check it again.",
        )
    if source is None:
        raise UsageError(
            "It cannot be made again, because neither the history on this machine nor its "
            "state holds its options.",
            "Make it again with make-link, and replace it by hand.",
        )
    if source.get("given_rows"):
        raise UsageError(
            "It cannot be made again, because its synapses were given as tables.",
            "Make it again from the tables, and replace it by hand.",
        )
    if result.datastack is None:
        raise UsageError(
            "It cannot be made again, because it was made with another CAVE server.",
            "Choose that server with --server.",
        )
    points = parse_record(source)[0].annotations
    if points:
        raise UsageError(
            f"It also shows points from {points[0].name}, which are not available here, so it "
            "is not made again.",
            "Make it again with make-link and --annotations, and replace it by hand.",
        )
    try:
        recorded = "options" in source
        settings = _read_receipt(source) if recorded else parse_settings({RECORD: source})
        settings = replace(settings, **{name: getattr(own, name) for name in _OWN})
        inline = parse_link(result.url).state_url is None
        upload = settings.source is not None and not inline
        settings = replace(settings, inline=inline, upload=upload)
        synapses = [f"synapse:{one}" for one in read_recorded_synapses(source)]
        return Asked(tuple(synapses) or _some(result.cells), settings)
    except (AttributeError, KeyError, TypeError, ValueError, UsageError) as error:
        raise UsageError(
            "It cannot be made again, because its receipt or record was changed.",
            "Make it again with make-link, and replace it by hand.",
        ) from error


def _some(cells: tuple[int, ...]) -> tuple[int, ...]:
    if not cells:
        raise ValueError("no cell")
    return cells


def _read_receipt(receipt: Mapping[str, Any]) -> Settings:
    """Read a receipt, with the number of the link's version instead of a day."""
    options = {name: value for name, value in receipt["options"].items() if name not in _OWN}
    shown = {name: receipt[name] or None for name in ("datastack", "version", "table")}
    return Settings(**{**options, **shown})


def refresh_links(
    checker: Checker,
    checked: Sequence[CheckResult],
    own: Service,
    command: Sequence[str] | None = None,
) -> dict[str, Refreshed | Skipped]:
    """Make bad links again, equal ones once, and keep only good results.

    Each bad link is checked a second time first, because its server may have failed only for a
    moment.

    Parameters
    ----------
    checker
        Checks the new links.
    checked
        The result of each link.
    own
        The present server, token and timeout.
    command
        The words that were typed, for the receipts.

    Returns
    -------
    dict
        Bad link → its replacement, or why there is none.
    """
    results: dict[str, Refreshed | Skipped] = {}
    alike: dict[Asked, list[CheckResult]] = {}
    bad = [result.url for result in checked if result.status == "bad"]
    for result in checker.check(bad):
        try:
            alike.setdefault(read_asked(result, own), []).append(result)
        except SynglancerError as error:  # noqa: PERF203  # making links takes longer
            results[result.url] = Skipped.from_error(result.url, error)
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        jobs = [pool.submit(_make, asked, these, command) for asked, these in alike.items()]
        for job in jobs:
            results.update(job.result())
    made = list(dict.fromkeys(one.url for one in results.values() if isinstance(one, Refreshed)))
    judged = {result.url: result for result in checker.check(made)}
    return {url: _judge(one, judged) for url, one in results.items()}


def _judge(one: Refreshed | Skipped, judged: Mapping[str, CheckResult]) -> Refreshed | Skipped:
    """Accept a new link only if it is good."""
    if isinstance(one, Skipped) or judged[one.url].status == "good":
        return one
    why = [*judged[one.url].problems, *judged[one.url].unknown][0]
    return Skipped(
        one.old,
        f"It was made again as {one.url}, but the new link is not good either: {why}",
        "Check the new link, and replace the old one by hand.",
        ServiceError.exit_code,
    )


def _make(
    asked: Asked, bad: Sequence[CheckResult], command: Sequence[str] | None
) -> dict[str, Refreshed | Skipped]:
    """Make one link to replace all equal ones."""
    urls = [result.url for result in bad]
    try:
        made = open_maker(asked.settings, command).make(*asked.cells)
        if _is_as_bad(made, bad):  # the cache cannot know better, so query everything
            settings = replace(asked.settings, no_cache=True)
            made = open_maker(settings, command).make(*asked.cells)
        return {url: Refreshed(url, _place(made, parse_link(url).site), made) for url in urls}
    except SynglancerError as error:
        return {url: Skipped.from_error(url, error) for url in urls}


def _is_as_bad(made: LinkRecord, bad: Sequence[CheckResult]) -> bool:
    """Whether a link is bad, or shows an expired version as if it were available."""
    if made.state_url in {parse_link(result.url).state_url for result in bad} - {None}:
        return True
    return not made.live and any(result.served is False for result in bad)


def _place(made: LinkRecord, site: str) -> str:
    """Make the link for the viewer of the old one."""
    if made.state_url is None:
        return format_inline_link(site, made.state_json)
    return format_link(site, made.state_url)
