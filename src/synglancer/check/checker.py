"""Check links: fetch their states, and query CAVE about versions and cells.

The token is sent only to the chosen CAVE server. Other hosts named in a link or a state get
requests without it.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from synglancer.cache.receipts import Receipt, read_receipts
from synglancer.cave.access import Access, Answers
from synglancer.cave.auth import read_origin
from synglancer.cave.metadata import fetch_datastack, fetch_materialization
from synglancer.cave.records import Datastack, Materialization
from synglancer.check import missing
from synglancer.check.results import (
    CheckResult,
    Finding,
    compare_layers,
    count_layers,
    find_flaws,
    read_expected,
    read_server,
)
from synglancer.check.sources import read_held
from synglancer.errors import (
    BadAnswerError,
    LoginError,
    NotServedError,
    PermissionMissingError,
    RateLimitError,
    ServiceError,
    SynglancerError,
    TermsOfServiceError,
    UnreachableError,
    UsageError,
)
from synglancer.states.fields import Reader, read_count, read_timestamp
from synglancer.states.provenance import read_recorded_cells
from synglancer.states.reader import list_segmentation_layers, parse_state
from synglancer.states.record_copy import read_record
from synglancer.states.selection import is_graph, is_source, read_pin, read_selected_cells
from synglancer.states.urls import hash_state, parse_link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from synglancer.settings import Service

    Answer = TypeVar("Answer")

_SIDE_BY_SIDE = 8
_REFUSED = (
    BadAnswerError,
    LoginError,
    PermissionMissingError,
    RateLimitError,
    TermsOfServiceError,
    UnreachableError,
)
"""Errors after which it is unknown whether a state exists."""


class Checker:
    """Checks links, and requests shared data once.

    Parameters
    ----------
    service
        The CAVE server, its token and the timeout; the datastack is used for states made by other
        tools.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._access = Access(service)
        self._server = self._access.server
        self._states = Answers()

    def check(self, links: Sequence[str]) -> list[CheckResult]:
        """Check links, each of them given once, step by step; the results are in their order."""
        receipts = _index_receipts()
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            self._states.clear()  # each state is downloaded once, even if links share it
            findings = list(pool.map(self._open, links))
            findings = self._ask_again(findings, receipts)
            for finding in findings:
                _compare(finding, receipts.get(finding.url))
            stacks = self._ask_datastacks(pool, findings)
            self._ask_versions(pool, findings, stacks)
            self._ask_cells(pool, findings, stacks)
        return [_conclude(finding) for finding in findings]

    def _open(self, url: str) -> Finding:
        """Read the state that a link carries, or fetch it (1 request)."""
        finding = Finding(url)
        try:
            parsed = parse_link(url)
        except UsageError as error:
            finding.problems.append(str(error))
            finding.facts.update(parses=False)
            return finding
        content = parsed.state
        if parsed.state_url is not None:
            finding.state_url = parsed.state_url
            content = self._fetch(parsed.state_url, finding)
        if content is None:
            return finding
        try:
            finding.state = parse_state(content, parsed.place)
        except BadAnswerError as error:
            if parsed.state_url is not None and hash_state(content) is None:
                finding.unknown.append(str(error))  # a proxy's page, for instance
                return finding
            finding.problems.append(str(error))
        finding.facts.update(reachable=True, parses=finding.state is not None)
        finding.facts["sha256"] = hash_state(content)
        finding.held = read_held(finding)
        return finding

    def _fetch(self, state_url: str, finding: Finding) -> bytes | None:
        try:
            return self._states.get(state_url, lambda: self._access.fetch_state(state_url))
        except _REFUSED as error:
            finding.unknown.append(str(error))
        except ServiceError as error:
            if not error.transient:
                finding.missing_url = state_url
            finding.unknown.append(str(error))
        return None

    def _ask_again(
        self, findings: Sequence[Finding], receipts: Mapping[str, Receipt]
    ) -> list[Finding]:
        """Request states again if their server failed; pause first, unless the server works."""
        suspects = {finding.missing_url for finding in findings if finding.missing_url}
        if not suspects:
            return [*findings]
        seen = [finding.state_url for finding in findings if finding.state is not None]
        made = [receipt.record.get("state_url") for receipt in reversed([*receipts.values()])]
        witnesses = [url for url in (*seen, *made) if isinstance(url, str) and url not in suspects]
        fetch = self._access.fetch_state
        missing.wait_for_servers(suspects, witnesses, fetch)
        findings = [
            self._open(finding.url) if finding.missing_url else finding for finding in findings
        ]
        suspects = {finding.missing_url for finding in findings if finding.missing_url}
        gone = missing.find_missing(suspects, witnesses, fetch)
        for finding in findings:
            if finding.missing_url in gone:
                finding.facts.update(reachable=False)
                finding.problems.append(f"The state no longer exists: {finding.unknown.pop()}")
            elif finding.missing_url:
                finding.unknown.append(
                    "Either its state is gone or its server fails: no other state could be "
                    "read from that server."
                )
        return findings

    def _ask_datastacks(
        self, pool: ThreadPoolExecutor, findings: Iterable[Finding]
    ) -> dict[str, Datastack | SynglancerError]:
        """Ask about the datastacks of these links (1 request each)."""
        for finding in findings:
            if finding.state is not None and finding.facts.get("source") is None:
                _read_foreign(finding, self._service.datastack)
            made_with = read_server(finding.facts.get("source") or {})
            if made_with is not None and read_origin(made_with) != read_origin(self._server):
                # A server named in a state never gets the token.
                finding.unknown.append(
                    f"It was made with the CAVE server {made_with}, but {self._server} was used "
                    "for this check."
                )
                finding.facts.update(datastack=None)
        names = {finding.facts.get("datastack") for finding in findings} - {None}
        return _ask_all(pool, names, self._ask_datastack)

    def _ask_datastack(self, name: str) -> Datastack:
        datastack = fetch_datastack(self._access.fetcher, self._server, name)
        self._access.credentials.trust(datastack.server)
        return datastack

    def _ask_versions(
        self,
        pool: ThreadPoolExecutor,
        findings: Iterable[Finding],
        stacks: Mapping[str, Datastack | SynglancerError],
    ) -> None:
        """Ask whether the versions of these links are still served (1 request each)."""
        keys = {_version_of(finding) for finding in findings} - {None}

        def ask(key: tuple[str, int]) -> Materialization:
            return fetch_materialization(self._access.fetcher, _or_raise(stacks[key[0]]), key[1])

        answers = _ask_all(pool, keys, ask)
        for finding in findings:
            key = _version_of(finding)
            if key is not None:
                _judge_version(finding, key, answers[key])

    def _ask_cells(
        self,
        pool: ThreadPoolExecutor,
        findings: Sequence[Finding],
        stacks: Mapping[str, Datastack | SynglancerError],
    ) -> None:
        """Ask whether the cells are valid at each link's timestamp, and now (2 requests each)."""
        now = datetime.now(timezone.utc)
        asked: dict[tuple[str, datetime], set[int]] = defaultdict(set)
        for finding in findings:
            if not _is_of(finding, stacks):
                finding.facts.update(datastack=None)
            for timestamp in (finding.timestamp, now):
                if timestamp is not None and finding.facts.get("datastack"):
                    asked[finding.facts["datastack"], timestamp].update(finding.facts["cells"])
        questions = {(name, at, tuple(sorted(ids))) for (name, at), ids in asked.items() if ids}

        def ask(question: tuple[str, datetime, tuple[int, ...]]) -> dict[int, bool]:
            name, at, cells = question
            stack = _or_raise(stacks[name])
            return self._access.build_client(name).fetch_validity(stack, cells, at)

        answers = _ask_all(pool, questions, ask)
        by_timestamp = {(name, at): answer for (name, at, _), answer in answers.items()}
        for finding in findings:
            name = finding.facts.get("datastack")
            then = by_timestamp.get((name, finding.timestamp))
            _judge_cells(finding, then, by_timestamp.get((name, now)))


def _ask_all(
    pool: ThreadPoolExecutor, keys: Iterable[Any], ask: Callable[[Any], Answer]
) -> dict[Any, Answer | SynglancerError]:
    """Run several queries in parallel; errors are results too."""

    def attempt(key: Any) -> Answer | SynglancerError:
        try:
            return ask(key)
        except SynglancerError as error:
            return error

    keys = list(keys)
    return dict(zip(keys, pool.map(attempt, keys), strict=True))


def _or_raise(answer: Datastack | SynglancerError) -> Datastack:
    if isinstance(answer, SynglancerError):
        raise answer
    return answer


def _index_receipts() -> dict[str, Receipt]:
    """Read which receipt each link has, the newest where there are several."""
    try:
        return {item.record["url"]: item for item in read_receipts() if isinstance(item, Receipt)}
    except OSError:
        return {}


def _compare(finding: Finding, receipt: Receipt | None) -> None:
    """Compare a state with the receipt on this machine and with its own record."""
    facts, state = finding.facts, finding.state
    inside = (read_record(state)[0] or None) if state is not None else None
    source = receipt.record if receipt else inside
    facts["source"] = source
    if source is not None:
        facts["cells"] = read_recorded_cells(source)
        reader = Reader(source)
        facts["datastack"] = reader.text("datastack") or None
        facts["version"] = reader.maybe("version", read_count)
        finding.timestamp = reader.maybe("timestamp", read_timestamp)
    if state is None:
        return
    facts["layers"] = count_layers(finding.held or state)
    finding.problems.extend(find_flaws(state, facts.get("cells", ()), ours=source is not None))
    for origin, told in (("receipt", receipt and receipt.record), ("record", inside)):
        expected = read_expected(told) if told else None
        if expected is None:
            continue
        if "expected" not in facts:
            facts.update(expected=expected, expected_from=origin)
            if finding.held is not None:
                finding.problems.extend(compare_layers(facts["layers"], expected))
        elif expected != facts["expected"]:
            finding.problems.append(
                "The record in the state differs from the receipt on this machine."
            )
    if receipt and facts.get("sha256") != receipt.record.get("state_sha256"):
        finding.problems.append(
            f"The state differs from the one that was made here ({receipt.record['when'][:10]})."
        )


def _read_foreign(finding: Finding, datastack: str) -> None:
    """Read the cells and the timestamp of a state made by another tool."""
    state = finding.state or {}
    graphs = {**state, "layers": [*filter(is_graph, list_segmentation_layers(state))]}
    cells = read_selected_cells(graphs)
    finding.timestamp = read_pin(graphs)
    finding.facts.update(cells=cells, datastack=datastack if cells else None)
    finding.notes.append("There is no record of how many synapses it should show.")


def _is_of(finding: Finding, stacks: Mapping[str, Datastack | SynglancerError]) -> bool:
    """Whether a link's segmentation is the datastack's own, so that its IDs are cells there."""
    stack = stacks.get(finding.facts.get("datastack") or "")
    if finding.facts.get("source") is not None or not isinstance(stack, Datastack):
        return True
    layers = list_segmentation_layers(finding.state or {})
    return any(is_source(layer, stack.segmentation_source) for layer in layers)


def _version_of(finding: Finding) -> tuple[str, int] | None:
    name, version = finding.facts.get("datastack"), finding.facts.get("version")
    return (name, version) if name and version is not None else None


def _judge_version(
    finding: Finding, key: tuple[str, int], answer: Materialization | SynglancerError
) -> None:
    if isinstance(answer, NotServedError):
        finding.facts.update(served=False)
        finding.problems.append(str(answer))
    elif isinstance(answer, SynglancerError):
        finding.unknown.append(f"It is not known whether version {key[1]} is available: {answer}")
    elif answer.expired:
        finding.facts.update(served=False)
        live = finding.facts["source"].get("live") is True  # made when it was not either
        sentence = f"Version {key[1]} of {key[0]} has expired."
        if live:
            more = "The link was made with live queries at its timestamp."
            finding.notes.append(f"{sentence} {more}")
        else:
            more = "`synglancer compare` shows what has changed since."
            finding.problems.append(f"{sentence} {more}")
    else:
        finding.facts.update(served=True, served_until=answer.expires_on)


def _judge_cells(
    finding: Finding,
    then: dict[int, bool] | SynglancerError | None,
    now: dict[int, bool] | SynglancerError | None,
) -> None:
    cells = finding.facts.get("cells", ())
    if isinstance(then, SynglancerError) or isinstance(now, SynglancerError):
        error = then if isinstance(then, SynglancerError) else now
        finding.unknown.append(f"It is not known whether the cell is valid: {error}")
        return
    if then is not None:
        wrong = [cell for cell in cells if not then[cell]]
        finding.facts.update(valid_then=not wrong)
        finding.problems.extend(
            f"{cell} was not a valid root ID at the link's timestamp." for cell in wrong
        )
    if now is not None:
        edited = [cell for cell in cells if not now[cell]]
        finding.facts.update(valid_now=not edited)
        unpinned = finding.timestamp is None
        seen = "" if unpinned else "; the link still shows it as it was, so nothing needs doing"
        sentences = [
            f"{cell} has been edited since and now has another root ID{seen}." for cell in edited
        ]
        (finding.problems if unpinned else finding.notes).extend(sentences)


def _conclude(finding: Finding) -> CheckResult:
    facts = {name: value for name, value in finding.facts.items() if name != "sha256"}
    return CheckResult(
        url=finding.url,
        problems=tuple(dict.fromkeys(finding.problems)),
        unknown=tuple(dict.fromkeys(finding.unknown)),
        notes=tuple(dict.fromkeys(finding.notes)),
        **facts,
    )
