"""Make chosen requests fail as networks, proxies and services do (see docs/faults.md).

The faults in `AFTER` alter a correct answer: the request has been served, and a posted state is
kept. The others replace the service's answer.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from cave_sandbox.errors import InputError
from cave_sandbox.web.damage import (
    ARROW_DAMAGES,
    HTML_PAGE,
    NESTED,
    NOT_GZIP,
    alter_content,
    pack_bomb,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cave_sandbox.web.handler import Handler

_LONGEST_LATENCY = 3_600_000  # ms

RULE = re.compile(
    r"(?P<pattern>[^=]+)=(?P<fault>[a-z0-9-]+)"
    r"(?:(?<==silence):(?P<silence>\d+(?:\.\d+)?)|(?<==429):retry-after=(?P<after>\d+))?"
    r"(?:\*(?P<times>\d+))?(?:@(?P<nth>[1-9]\d*))?"
)

#: Statuses of answers without a body.
BODILESS = frozenset({204, 304})

#: Seconds between checks whether the client of a silent request has disconnected.
SLICE = 0.05


@dataclass
class Rule:
    """One rule of a specification, and how often it has matched."""

    pattern: str  # glob over METHOD /path
    fault: str
    seconds: float | None = None  # how long a silence lasts, or the value of Retry-After
    times: int | None = None  # how many matching requests it acts on; None for all
    nth: int = 1  # the first matching request that it acts on, counted from 1
    matched: int = field(default=0, compare=False)  # how many requests have matched so far

    def acts_on(self, line: str) -> bool:
        """Count a request, ``METHOD /path``, if it matches; return whether the rule acts on it."""
        if not fnmatchcase(line, self.pattern):
            return False
        self.matched += 1
        behind = self.matched - self.nth
        return behind >= 0 and (self.times is None or behind < self.times)


def parse_faults(spec: str | None) -> list[Rule]:
    """Read a specification: ``PATTERN=FAULT[*TIMES][@NTH]``, separated by commas.

    Examples
    --------
    >>> parse_faults("POST */query=503*2")[0].times
    2
    """
    return [_parse_rule(text.strip()) for text in (spec or "").split(",") if text.strip()]


def _parse_rule(text: str) -> Rule:
    match = RULE.fullmatch(text)
    if match is None or not (match["silence"] or match["fault"] in BEFORE | AFTER):
        known = ", ".join(sorted(BEFORE | AFTER | {"silence:SECONDS", "429:retry-after=N"}))
        raise InputError(
            f"The fault {text!r} cannot be read.",
            f"Write PATTERN=FAULT[*TIMES][@NTH] with one of: {known}.",
        )
    pattern = match["pattern"].strip()
    seconds = match["silence"] or match["after"]
    return Rule(
        pattern=pattern if " " in pattern else f"* {pattern}",
        fault=match["fault"],
        seconds=float(seconds) if seconds else None,
        times=None if match["times"] is None else int(match["times"]),
        nth=int(match["nth"] or 1),
    )


class Faults:
    """The rules for faults, and the latency of each request in milliseconds."""

    def __init__(self, rules: list[Rule], latency_ms: float = 0) -> None:
        if not 0 <= latency_ms <= _LONGEST_LATENCY:
            raise InputError(
                f"A latency of {latency_ms} ms is out of range.",
                f"Give milliseconds between 0 and {_LONGEST_LATENCY}.",
            )
        self.rules = rules
        self.latency = latency_ms / 1000

    async def before(self, handler: Handler) -> bool:
        """Apply the latency and any fault to a request before it is handled.

        Return True if the fault was the answer or the connection is lost, so nothing is left to do.
        """
        if self.latency and await _keep_silent(handler, self.latency):
            return True
        line = f"{handler.request.method} {handler.request.path}"
        # Every rule counts, even after one that acts, so rules do not shift each other's counts.
        acting = [rule for rule in self.rules if rule.acts_on(line)]
        if not acting:
            return False
        rule = acting[0]
        if rule.fault == "silence":
            return await _keep_silent(handler, rule.seconds or 0)
        if rule.fault in AFTER:
            handler.fault = rule
        elif rule.fault in ANSWERS:
            ANSWERS[rule.fault](handler)
        else:
            if rule.seconds is not None:
                handler.set_header("Retry-After", str(int(rule.seconds)))
            handler.send_error_page(int(rule.fault))
        return rule.fault not in AFTER

    def after(self, handler: Handler, body: bytes) -> bytes:
        """Apply any fault of a request to its answer, and return the body to send.

        The given body has the content encoding that the headers name.
        """
        rule, handler.fault = handler.fault, None
        if rule is None or handler.get_status() in BODILESS:
            return body
        handler.clear_header("Content-Length")
        if rule.fault == "empty":
            return b""
        if rule.fault == "reset-body":
            return _cut_connection(handler, body)
        if rule.fault == "bad-gzip":
            handler.set_header("Content-Encoding", "gzip")
            return NOT_GZIP
        plain = handler.unpacked(body)
        handler.clear_header("Content-Encoding")
        if rule.fault == "truncated-arrow":
            return plain[: len(plain) // 2]
        return alter_content(plain, rule.fault)


async def _keep_silent(handler: Handler, seconds: float) -> bool:
    """Wait until the time is up or the client disconnects; return whether it disconnected."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    # Checked repeatedly, because tornado tells a handler only once about a lost client.
    while loop.time() < end and not handler.stream.closed():  # noqa: ASYNC110
        await asyncio.sleep(max(min(SLICE, end - loop.time()), 0))
    return bool(handler.stream.closed())


def _cut_connection(handler: Handler, body: bytes) -> bytes:
    """Send the headers and half of the body, then close."""
    handler.set_header("Content-Length", str(max(len(body), 2)))
    handler.write(body[: len(body) // 2] or b" ")
    handler.flush()
    handler.stream.close()
    return b""


def _reset(handler: Handler) -> None:
    linger = struct.pack("ii", 1, 0)  # close() then sends RST instead of FIN
    handler.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.stream.close()


def _send_bomb(handler: Handler) -> None:
    handler.set_header("Content-Encoding", "gzip")
    handler.send_bytes(pack_bomb(), "application/json")


#: Functions that send the answer, for faults that replace it by more than an error page.
ANSWERS: dict[str, Callable[[Handler], None]] = {
    "refused": lambda handler: handler.stream.close(),
    "reset": _reset,
    "401": lambda handler: handler.refuse_token(),
    "403": lambda handler: handler.refuse_permission("sandbox"),
    "tos": lambda handler: handler.refuse_terms(),
    "hidden-429": lambda handler: handler.send_failure("429 Too Many Requests: 2 per 1 minute"),
    "hidden-404": lambda handler: handler.send_failure(
        "404 Not Found: nothing is served at this address"
    ),
    "html": lambda handler: handler.send_text(HTML_PAGE),
    "nested": lambda handler: handler.send_bytes(NESTED, "application/json"),
    "gzip-bomb": _send_bomb,
}
STATUSES = frozenset({"401", "403", "404", "429", "500", "502", "503", "504"})
#: Faults that replace an answer.
BEFORE = STATUSES | ANSWERS.keys()
#: Faults that alter an answer on its way out.
AFTER = frozenset({"reset-body", "empty", "truncated-arrow", "bad-gzip", *ARROW_DAMAGES})
