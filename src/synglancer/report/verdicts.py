"""Read the verdicts of review links into one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cells.naming import name_cells
from synglancer.errors import UsageError
from synglancer.links.opening import open_link
from synglancer.states.provenance import parse_provenance
from synglancer.states.urls import hash_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from synglancer.states.record import Provenance
    from synglancer.states.reviews.verdicts import Verdicts

_LONGEST = 2_000
"""Longest link that is repeated on each row; longer links carry their state."""


@dataclass(frozen=True)
class Reviewed:
    """The verdicts of reviewers.

    Attributes
    ----------
    table
        The columns of `synglancer.states.reviews.verdicts.COLUMNS`, with ``cell`` after ``id``,
        and at the end ``reviewer``, the number of the link, and ``link``. IDs are texts.
    notes
        What readers should know, one sentence each.
    """

    table: pd.DataFrame
    notes: Sequence[str]


def collect_verdicts(
    links: Sequence[str], *, server: str | None = None, token_file: str | None = None
) -> Reviewed:
    """Read the marks of reviewers from their links.

    Parameters
    ----------
    links
        Links that were made with ``make-link --review``, as reviewers shared them.
    server, token_file
        The CAVE server that gets a token, and the file with the token; as for `open_link`.

    Raises
    ------
    UsageError
        When a link is not a review or is given twice, or the reviews are of different predictions.
    ServiceError
        When a state cannot be fetched (1 request each).
    """
    import pandas as pd

    from synglancer.states.reviews.verdicts import parse_verdicts

    if not links:
        raise UsageError("No link was given.", "Give the links that reviewers shared.")
    if len(set(links)) < len(links):
        raise UsageError(
            "A link was given twice, but each reviewer has their own.", "Give each link once."
        )
    parts, notes, origins = [], [], []
    for number, link in enumerate(links, start=1):
        state = open_link(link, server=server, token_file=token_file).state
        name = f"Link {number}: " if len(links) > 1 else ""
        try:
            read = parse_verdicts(state)
        except UsageError as error:
            raise UsageError(f"{name}{error}", error.hint) from error
        told, _ = parse_provenance(state)
        origins.append(told)
        notes += [f"{name}{sentence}" for sentence in (_summarise(read), *read.problems)]
        columns = read.table.assign(id=read.table["id"].astype(str).astype(object))
        columns.insert(1, "cell", " ".join(map(str, told.cells)))
        parts.append(columns.assign(reviewer=number, link=_shorten(link, state)))
    notes += _compare_origins(origins)
    return Reviewed(pd.concat(parts, ignore_index=True), notes)


def _shorten(link: str, state: Mapping[str, Any]) -> str:
    """Return a link; if it carries its state, return its beginning and the hash of the state."""
    if len(link) <= _LONGEST:
        return link
    return f"{link[:80]}… ({len(link):,} characters, state {hash_state(orjson.dumps(state))})"


def _summarise(read: Verdicts) -> str:
    """Count the marks of a link in a sentence."""
    total = len(read.table)
    if not total:
        return "The review has no synapse."
    counts = read.table["verdict"].value_counts().to_dict()
    if not read.marked:
        return (
            f"None of {total:,} {'synapse' if total == 1 else 'synapses'} is marked. "
            "Share the view again in the viewer, and give the new link."
        )
    each = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    verb = "synapse is" if total == 1 else "synapses is" if read.marked == 1 else "synapses are"
    return f"{read.marked:,} of {total:,} {verb} marked: {each}."


def _compare_origins(origins: Sequence[Provenance]) -> list[str]:
    """Refuse reviews of different predictions, and warn if they are of different cells."""
    first = origins[0]
    for number, other in enumerate(origins[1:], start=2):
        for name in ("datastack", "server", "table", "version"):
            if getattr(first, name) != getattr(other, name):
                raise UsageError(
                    f"The links are reviews of different predictions: the {name} is "
                    f"{getattr(first, name)} in link 1 and {getattr(other, name)} in link "
                    f"{number}.",
                    "Give only links with the same version and table.",
                )
    cells = {name_cells(one.cells) for one in origins if one.cells}
    if len(cells) < 2:  # noqa: PLR2004
        return []
    named = ", ".join(sorted(cells))
    compared = "reviewers are compared only on synapses that both have"
    return [f"The links are reviews of different cells ({named}): {compared}."]
