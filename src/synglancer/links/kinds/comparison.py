"""Compare a cell at two versions, or in two links, and make a link that shows the changes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from synglancer.cave.session import Session
from synglancer.cells.parse import parse_cell
from synglancer.errors import CellError, NotServedError, ServiceError, UsageError
from synglancer.links.filling import fill_state
from synglancer.links.make import LinkMaker
from synglancer.links.opening import open_link
from synglancer.links.record import build_filters, list_changed
from synglancer.links.upload import place_state
from synglancer.option_values import read_value
from synglancer.settings import Question, Settings
from synglancer.states.fields import write_timestamp
from synglancer.states.provenance import parse_provenance, parse_settings, read_recorded
from synglancer.states.record_copy import read_record
from synglancer.states.urls import is_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.states.record import Provenance

_OWN = ("server", "sandbox", "token_file", "timeout", "no_cache", "site", "inline")
"""Options that always come from the user, not from a link."""

_OF_LINK = ("version", "table", "datastack", *_OWN)
"""Options that may be combined with a link, or whose defaults look the same as given values."""

_ALIKE = {
    "directions": "directions",
    "with_unlabelled": "synapses without a prediction",
    "multi_input_table": "division by shared spines",
}

_MOST_NAMED = 5


@dataclass(frozen=True)
class Side:
    """The cell at one of the two versions.

    Attributes
    ----------
    settings
        The options.
    provenance
        The provenance of its synapses.
    synapses
        Columns and dtypes as `synglancer.columns.DTYPES`.
    warnings
        What readers should know, one sentence each.
    """

    settings: Settings
    provenance: Provenance
    synapses: pd.DataFrame
    warnings: Sequence[str] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the entry for the record; 64-bit IDs are strings."""
        told = self.provenance
        return {
            "cell": str(told.cell),
            "version": told.version,
            "timestamp": write_timestamp(told.timestamp).replace("+00:00", "Z"),
            "table": told.table,
            "shown": len(self.synapses),
        }


@dataclass(frozen=True)
class Comparison:
    """The changes of a cell.

    Attributes
    ----------
    url
        The link that shows it.
    state_url
        Address of the stored state; None for a link that carries it.
    state_sha256
        SHA-256 of the canonical state, in hexadecimal.
    state_json
        The canonical state, as bytes of JSON.
    before, after
        The two sides.
    changes
        A row for each synapse, as `synglancer.synapses.changes.find_changes` returns them.
    counts
        By direction and tag, as `synglancer.synapses.changes.count_changes` returns them.
    warnings
        What readers should know, one sentence each.
    """

    url: str
    state_url: str | None
    state_sha256: str
    state_json: bytes = field(repr=False)
    before: Side
    after: Side
    changes: pd.DataFrame = field(repr=False)
    counts: pd.DataFrame
    warnings: Sequence[str]

    def to_record(self) -> dict[str, Any]:
        """Return what ``--output json`` prints; 64-bit IDs are strings."""
        return {
            "url": self.url,
            "state_url": self.state_url,
            "state_sha256": self.state_sha256,
            "datastack": self.after.provenance.datastack,
            "before": self.before.to_record(),
            "after": self.after.to_record(),
            "filters": build_filters(self.after.settings),
            "counts": _nest(self.counts),
            "warnings": list(self.warnings),
        }


def compare(
    *given: str, question: Question, from_: str | None = None, to: str | None = None
) -> Comparison:
    """Compare a cell at two versions, a link with a version, or two links.

    Parameters
    ----------
    *given
        A cell, a link, or two links.
    question
        The options; with a link, only those of the connection are used.
    from_, to
        The two versions: by default that of the question, or of the link, and the latest.

    Raises
    ------
    UsageError
        When they cannot be compared.
    CellError
        When the cell is not known at both versions, or the links show different cells.
    ServiceError
        When a service refuses or fails.
    """
    _check_words(given, question, from_, to)
    if len(given) == 1 and not is_link(given[0]):
        parse_cell(given[0])  # a typing error costs no request
        asked = Settings(**{one.name: getattr(question, one.name) for one in fields(question)})
        older = replace(asked, version=from_ or asked.version)
        newer = replace(asked, version=to or "latest")  # both are checked before any request
        return _show(_load(given[0], older), _load(given[0], newer))
    before = _read(given[0], question)
    if len(given) == 1:
        settings = replace(before.settings, version=to or "latest")
        return _show(before, _load(str(before.provenance.cell), settings))
    after = _read(given[1], question)
    _check_alike(before, after)
    return _show(before, after)


def _check_words(
    given: Sequence[str], question: Question, from_: str | None, to: str | None
) -> None:
    links = [is_link(word) for word in given]
    if not given or len(given) > 2 or (len(given) == 2 and not all(links)):  # noqa: PLR2004
        raise UsageError(
            "You can compare one cell at two versions, one link with a version, or two links.",
            "Give CELL --from VERSION --to VERSION, LINK --to VERSION, or LINK LINK.",
        )
    for name, version in (("from", from_), ("to", to)):
        read_value(name, version, str | None)  # it is named by the option that was typed
    if question.with_total or question.cell_types:
        raise UsageError(
            "Totals and cell types are not compared.", "Leave out --with-total and --cell-types."
        )
    if any(links) and (from_ is not None or (len(given) > 1 and to is not None)):
        raise UsageError(
            "Links have their own version, but another version was given too.",
            "Leave out --from; with two links, also leave out --to.",
        )
    own = [one.name for one in fields(Question) if one.name not in _OF_LINK]
    typed = list_changed(question, own)
    if any(links) and typed:
        options = ", ".join("--" + name.replace("_", "-") for name in typed)
        raise UsageError(
            f"Links have their own options, but {options} was given too.",
            "Leave out that option, or give the cell instead of the link.",
        )


def _load(cell: str, settings: Settings) -> Side:
    """Load the cell at a version."""
    _, provenance, synapses, warnings = LinkMaker(settings).load(cell)
    return Side(settings, provenance, synapses, warnings)


def _read(link: str, question: Question) -> Side:
    """Read the cell in one of our links, and all of its synapses."""
    from synglancer.states.predictions import parse_predictions  # pandas
    from synglancer.synapses.damage import explain_damage  # numpy

    service = Session(question.service)
    state = open_link(link, server=service.server, token_file=question.token_file).state
    if not read_record(state)[0]:
        raise UsageError(
            "The link has no record of a cell, so it was not made by make-link or its state "
            "was changed.",
            "Give links from make-link, or a cell.",
        )
    asked = parse_settings(state)
    if asked.server != service.server:
        raise UsageError(
            f"The link was made with the CAVE server {asked.server}, not with {service.server}.",
            "Choose the link's server with --server, or with --sandbox for the sandbox.",
        )
    settings = replace(asked, **{name: getattr(question, name) for name in _OWN})
    provenance, warnings = parse_provenance(state)
    number, refusal = len(provenance.cells), ""
    if asked.review:
        refusal = (
            "The link is a review, which shows only the least confident synapses, and these may "
            "differ at another version."
        )
    elif provenance.synapses:
        refusal = "The link shows a single synapse, but only cells can be compared."
    elif number != 1:
        refusal = f"The link shows {number} cells, but only single cells can be compared."
    if refusal:
        raise UsageError(refusal, _advise_cells(provenance))
    synapses = parse_predictions(fill_state(state))
    recorded = read_recorded(state).shown
    changed = explain_damage(state)
    if len(synapses) != recorded:
        changed.append(f"it holds {len(synapses):,} of {recorded:,} synapses.")
    if not synapses["id"].all():
        changed.append("it holds synapses without an ID.")
    if changed:
        raise UsageError(
            f"The link's state was changed: {changed[0]}", "Give an unchanged link, or the cell."
        )
    return Side(settings, provenance, synapses, warnings)


def _advise_cells(told: Provenance) -> str:
    """Advise to compare the cells that a link shows, rather than the link."""
    cells = " ".join(map(str, told.cells)) if len(told.cells) <= _MOST_NAMED else "CELL..."
    return (
        f"To compare everything that it shows, run synglancer compare {cells} --from "
        f"{told.version} --to latest."
    )


def _check_alike(before: Side, after: Side) -> None:
    """Refuse two links whose synapses differ for other reasons than time."""
    old, new = before.settings, after.settings
    if old.datastack != new.datastack:
        raise UsageError(
            f"The links are of different datastacks: {old.datastack} and {new.datastack}.",
            "Give two links of the same datastack.",
        )
    different = [text for name, text in _ALIKE.items() if getattr(old, name) != getattr(new, name)]
    if build_filters(old) != build_filters(new):
        different.append("filters")
    if different:
        raise UsageError(
            f"The links were made with different {', '.join(different)}, so that synapses would "
            "seem gained or lost.",
            "Make both links with the same options.",
        )


def _check_cell(before: Side, after: Side, session: Session) -> None:
    """Refuse cells that have no part in common: 2 requests, where the root IDs differ."""
    old, new = before.provenance, after.provenance
    if old.cell == new.cell:
        return
    asked = max((old, new), key=lambda one: one.timestamp)
    other = new if asked is old else old
    later = Session(after.settings.service, session.store, asked.version)
    try:
        related = later.fetch_related(other.cell)
    except ServiceError as error:
        if type(error) not in {ServiceError, NotServedError}:
            raise
        related = []  # so the chunked graph answers for what never was a root ID
    if asked.cell not in related:
        raise CellError(
            f"{old.cell} and {new.cell} are not the same cell: no edit leads from one to the "
            "other.",
            "Give two links of the same cell.",
        )


def _show(before: Side, after: Side) -> Comparison:
    """Find what changed, and make the link that shows it."""
    from synglancer.synapses.changes import count_changes, find_changes
    from synglancer.view.kinds.comparison import Former, build_comparison
    from synglancer.view.tag_order import sort_tags

    settings = after.settings
    session = Session.begin(settings, version=after.provenance.version)
    _check_cell(before, after, session)
    try:
        changes = find_changes(before.synapses, after.synapses)
    except ValueError as error:
        raise UsageError(
            "A link's state was changed: it holds a synapse twice in one direction.",
            "Give an unchanged link, or the cell.",
        ) from error
    tags = sort_tags({*changes["tag"], *changes["former_tag"]} - {""})
    counts = count_changes(changes, settings.directions, tags)
    old, new = before.provenance, after.provenance
    record = {
        "datastack": new.datastack,
        "server": session.server,
        "before": before.to_record(),
        "after": after.to_record(),
        "filters": build_filters(settings),
        "counts": _nest(counts),
    }
    state = build_comparison(
        _build_scene(session, new, changes),
        Former(old.cell, old.timestamp),
        changes,
        record,
        f"{new.cell} · {new.datastack} v{old.version} → v{new.version}",
    )
    warnings = _explain(before, after)
    placed = place_state(session, settings, state)
    return Comparison(
        url=placed.url,
        state_url=placed.state_url,
        state_sha256=state.sha256,
        state_json=state.json,
        before=before,
        after=after,
        changes=changes,
        counts=counts,
        warnings=[*warnings, *placed.warnings],
    )


def _build_scene(session: Session, told: Provenance, changes: pd.DataFrame) -> Any:
    from synglancer.columns import POSITION_COLUMNS
    from synglancer.view.scene import Scene

    return Scene(
        cells=[told.cell],
        datastack=session.datastack,
        materialization=replace(session.materialization, timestamp=told.timestamp),
        positions=changes[POSITION_COLUMNS].to_numpy(dtype=float),
        somata=[*told.somata.values()],
    )


def _explain(before: Side, after: Side) -> list[str]:
    old, new = before.provenance, after.provenance
    warnings = list(dict.fromkeys([*before.warnings, *after.warnings]))
    if old.version == new.version and old.table == new.table:
        warnings.append(f"Both sides are version {old.version}.")
    if old.timestamp > new.timestamp:
        warnings.append(
            f"The order is from newer to older: version {old.version} ({old.timestamp:%Y-%m-%d}) "
            f"is compared with the earlier version {new.version} ({new.timestamp:%Y-%m-%d})."
        )
    if old.table != new.table:
        warnings.append(f"The predictions are from two tables: {old.table} and {new.table}.")
    return warnings


def _nest(counts: pd.DataFrame) -> dict[str, dict[str, dict[str, int]]]:
    """Write counts for JSON: direction → tag → kind of change → count."""
    nested: dict[str, dict[str, dict[str, int]]] = {}
    for row in counts.to_dict("records"):
        direction, tag = str(row.pop("direction")), str(row.pop("tag"))
        nested.setdefault(direction, {})[tag] = {str(name): int(row[name]) for name in row}
    return nested
