"""Links that are made in groups are those of single cells and synapses, byte by byte."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from links.shelf import A, B, P, Q, stand_in
from synapses.served import OUTDATED, S, Served, choose, expire, fail_at
from synglancer.errors import BadAnswerError, ServiceError, SynglancerError, UnreachableError
from synglancer.links.batch import map_links
from synglancer.links.kinds.synapse import SynapseMaker
from synglancer.links.link_record import LinkRecord, Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = [
    *map(str, (A, B, P, Q, A + 2**20, OUTDATED)),
    "12x",
    *(f"synapse:{S + number}" for number in range(1, 13)),
    "synapse:x",
]
"""Cells with synapses between them, a valid cell without any, one that is followed, typing errors,
and synapses with and without a prediction, on shared spines, and one that does not exist."""
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"with_unlabelled": True, "min_confidence": 0.8},
    {"with_total": True, "outputs": True},
    {"multi_input": True},
    {"multi_input": True, "cell_types": True, "with_unlabelled": True},
    {"strict": True},
    {"tag": "spine"},  # refused for synapses
)


def know(session: Served) -> Served:
    """Let the session also know which cell an outdated root ID has become."""
    when = datetime(2024, 2, 29, tzinfo=timezone.utc)
    session.fetch_first_timestamps = lambda cells: [when for _ in cells]
    session.fetch_lifetime = lambda _: (when, when)
    session.fetch_related = lambda cell: [A] if cell == OUTDATED else []
    return session


def open_maker(session: Served, **options: Any) -> SynapseMaker:
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, session)
        return SynapseMaker(choose(inline=True, **options))


def tell(made: LinkRecord | Skipped | SynglancerError) -> tuple[Any, ...]:
    """Return the parts of a link or a reason that must be equal."""
    if isinstance(made, LinkRecord):
        return (made.url, made.provenance.counts, made.warnings)
    if isinstance(made, Skipped):
        return (made.reason, made.hint, made.exit_code)
    return (str(made), made.hint, made.exit_code)


def ask_together(session: Served, words: Sequence[str], **options: Any) -> list[tuple[Any, ...]]:
    """Make the links of a batch, in groups."""
    maker = open_maker(session, **options)
    made = map_links(words, choose(inline=True, **options), lambda link: link, maker=maker)
    return [tell(link) for link in made]


@cache
def ask_alone(word: str, number: int, *, expired: bool) -> tuple[Any, ...]:
    """Make one link in a new session."""
    session = know(expire() if expired else Served())
    try:
        return tell(open_maker(session, no_cache=True, **OPTIONS[number]).make(word))
    except SynglancerError as error:
        return tell(error)


@settings(max_examples=8)
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=3, max_size=7),
    number=st.sampled_from(range(len(OPTIONS))),
    expired=st.booleans(),
    no_cache=st.booleans(),
)
@example(words=WORDS, number=0, expired=True, no_cache=True)
@example(words=WORDS, number=4, expired=False, no_cache=True)
def test_links_in_groups_are_those_of_single_ones(words, number, expired, no_cache) -> None:
    """In any order, with any options, from the cache or not, also if the version has expired;
    what is refused has the same reason."""
    expired = expired and not OPTIONS[number].get("cell_types")  # which is refused for all
    session = know(expire() if expired else Served())
    made = ask_together(session, words, no_cache=no_cache, **OPTIONS[number])
    assert made == [ask_alone(word, number, expired=expired) for word in words]


@pytest.mark.parametrize(
    ("bad", "error"),
    [(B, ServiceError), (B, BadAnswerError), (B, UnreachableError), (S + 6, ServiceError)],
)
def test_what_spoils_its_group_is_named(bad, error) -> None:
    """If a service fails for one cell or synapse of a group, only that one is skipped."""
    session = know(Served())
    session.trouble = fail_at("predictions", bad, error=error)
    words = [str(A), str(P), str(B), f"synapse:{S + 5}", f"synapse:{S + 6}", f"synapse:{S + 8}"]
    failed = [told[0] == "No answer." for told in ask_together(session, words)]
    assert failed == [word.endswith(str(bad)) for word in words]
