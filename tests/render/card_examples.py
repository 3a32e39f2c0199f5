"""Links with difficult texts, shared by the tests of cards."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from synglancer.link import Link
from synglancer.states.record import Provenance

CELL = 864691135276234469
URL = (
    "https://spelunker.cave-explorer.org/#!middleauth+https://global.daf-apis.com/nglstate/api/v1/5"
)
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table><b>",
    "{{ 7*7 }}{% raw %}",
    "a|b",
    "[x](javascript:alert(1))",
    "![x](https://evil.example.org/x.png)",
    "<https://evil.example.org>",
    "`code` *bold* _em_ ~~gone~~ # head",
    "&lt;b&gt; &amp; &#x41;",
    "\\input{/etc/passwd}",
    "$x^2_3$ 100% #1 & ~ {braces} \\ end",
    "\\write18{id}",
    "line\r\nbreak\ttab",
    "\x1b[2J\x1b]0;owned\x07",
    "right\u202eto left",
    "épine ✓ 軸索",
    "$(id) `id` ;id",
]


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def example_link(word: str = "spine", url: str = URL) -> Link:
    """A link with a text wherever a server or a user could have put it."""
    plain = Link(
        given=str(CELL),
        url=url,
        state_url=None,
        state_id=None,
        state_sha256="0" * 64,
        provenance=Provenance(
            cell=CELL,
            datastack="minnie65_public",
            version=1718,
            timestamp=datetime(2026, 3, 7, tzinfo=timezone.utc),
            table="labels",
            counts={"inputs": {"shaft": 1234}, "outputs": {}},
            shown=1234,
            total=5678,
        ),
        warnings=[],
        elapsed_s=1.0,
        state_json=b"{}",
    )
    if word == "spine":
        return plain
    named = replace(
        plain.provenance,
        datastack=word,
        table=word,
        counts={"inputs": {word: 1234}, word: {"shaft": 2}},
    )
    return replace(plain, provenance=named, warnings=[word, word])


def tell(link: Link, **changes: object) -> Link:
    """Change values in the record of a link."""
    return replace(link, provenance=replace(link.provenance, **changes))
