"""The record of a link, for cards, reports and JSON; or the reason why there is no link."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cells.naming import enumerate_some, name_cells
from synglancer.links.opening import OpenedLink, name_for_files
from synglancer.states.fields import write_timestamp
from synglancer.states.record import Provenance
from synglancer.states.record_copy import read_record
from synglancer.states.urls import parse_link
from synglancer.text.printable import for_message
from synglancer.view.tag_order import sort_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from typing_extensions import Self

    from synglancer.errors import SynglancerError


@dataclass(frozen=True)
class LinkRecord:
    """A link that shows the synapses of a cell, or of several cells together, with its provenance.

    Cards, reports and JSON are made from it. `synglancer.Link` adds methods for users.

    Attributes
    ----------
    given
        What was typed.
    url
        The link.
    state_url
        Address of the stored state; None for a link that carries it.
    state_id
        The state's number on its server, as a decimal string, or None.
    state_sha256
        SHA-256 of the canonical state, in hexadecimal.
    provenance
        What the link shows, and where the data come from.
    warnings
        What readers should know, one sentence each.
    elapsed_s
        Seconds that making the link took.
    state_json
        The canonical state, as bytes of JSON.
    """

    given: str
    url: str
    state_url: str | None
    state_id: str | None
    state_sha256: str
    provenance: Provenance
    warnings: Sequence[str]
    elapsed_s: float = field(compare=False)
    state_json: bytes = field(repr=False)

    def __hash__(self) -> int:
        """Hash the link for sets and dicts: equal links have the same address and state."""
        return hash((self.url, self.state_sha256))

    @property
    def cell(self) -> int:
        """The root ID that is shown; the first, if there are several."""
        return self.provenance.cell

    @property
    def cells(self) -> tuple[int, ...]:
        """All root IDs that are shown, in the given order."""
        return self.provenance.cells

    @property
    def datastack(self) -> str:
        """The datastack."""
        return self.provenance.datastack

    @property
    def version(self) -> int:
        """The materialization version."""
        return self.provenance.version

    @property
    def timestamp(self) -> datetime:
        """The timestamp of the version (UTC)."""
        return self.provenance.timestamp

    @property
    def table(self) -> str:
        """The table of predictions."""
        return self.provenance.table

    @property
    def counts_by_tag(self) -> Mapping[str, Mapping[str, int]]:
        """Numbers of shown synapses: direction → tag → count, in the order of the layers."""
        return {
            direction: {tag: counts[tag] for tag in sort_tags(counts)}
            for direction, counts in self.provenance.counts.items()
        }

    @property
    def shown(self) -> int:
        """Number of synapses in the link."""
        return self.provenance.shown

    @property
    def total(self) -> int:
        """Number of synapses before filtering."""
        return self.provenance.total

    @property
    def filters(self) -> Mapping[str, Any]:
        """The filters, by option name; empty when there are none."""
        return self.provenance.filters

    @property
    def all_synapses(self) -> Mapping[str, int] | None:
        """All synapses by direction, with or without a prediction; None unless requested."""
        return self.provenance.all_synapses

    @property
    def followed(self) -> tuple[Mapping[str, str], ...]:
        """For each outdated root ID: the ID, until when it was valid, and its replacement."""
        return tuple(one.to_json() for one in self.provenance.followed)

    @property
    def live(self) -> bool:
        """Whether the version has expired and live queries at its timestamp were used."""
        return self.provenance.live

    @property
    def multi_input(self) -> Mapping[str, Any] | None:
        """The table of shared spines, and the original tags of these synapses; or None."""
        described = self.provenance.multi_input
        return None if described is None else described.to_json()

    @property
    def cell_types(self) -> Mapping[str, Any] | None:
        """The view with cell types, and the numbers of synapses and partners by type; or None."""
        described = self.provenance.cell_types
        return None if described is None else described.to_json()

    @cached_property
    def state(self) -> dict[str, Any]:
        """The Neuroglancer state, as a dict; 64-bit IDs are strings."""
        return orjson.loads(self.state_json)

    def to_record(self) -> dict[str, Any]:
        """Return what ``--output json`` prints: 64-bit IDs are strings, and keys are stable.

        Links to several cells also have ``cells``, and a list as ``followed``.
        """
        return {
            "cell": str(self.cell),
            "given": self.given,
            "url": self.url,
            "state_url": self.state_url,
            "state_id": self.state_id,
            "state_sha256": self.state_sha256,
            "datastack": self.datastack,
            "version": self.version,
            "timestamp": write_timestamp(self.timestamp).replace("+00:00", "Z"),
            "table": self.table,
            "counts": {
                name: dict(sorted(tags.items())) for name, tags in self.counts_by_tag.items()
            },
            "shown": self.shown,
            "total": self.total,
            "filters": dict(self.filters),
            "warnings": list(self.warnings),
            "elapsed_s": round(self.elapsed_s, 3),
            **({"live": True} if self.live else {}),
            **self.provenance.write_cells(),
            **self.provenance.write_found(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], state_json: bytes, **changes: Any) -> Self:
        """Make a link from what `to_record` returned, and its state.

        Raises
        ------
        ValueError
            When the record was changed and is no longer valid.
        """
        stored, _ = read_record(orjson.loads(state_json))
        own = ("given", "url", "state_url", "state_id", "state_sha256", "warnings", "elapsed_s")
        values = {
            **{name: record[name] for name in own},
            "provenance": Provenance.from_json({**stored, **record}),
            "state_json": state_json,
            **changes,
        }
        return cls(**values)

    @property
    def subject(self) -> str:
        """The cells in one line of text; or the synapses, for links to synapses."""
        synapses = self.provenance.synapses
        if synapses:
            named = enumerate_some([one.id for one in synapses], 3)
            return f"synapse{'' if len(synapses) == 1 else 's'} {named}"
        return name_cells(self.cells or (self.cell,))

    @property
    def heading(self) -> str:
        """A heading that says what the link shows."""
        subject = self.subject
        return subject.capitalize() if self.provenance.synapses else f"Synapses of {subject}"

    @property
    def file_name(self) -> str:
        """The part of file names that stands for the link."""
        return name_for_files(self.cells, self.provenance.synapses)

    def opened(self) -> OpenedLink:
        """Return the link with its state, as `synglancer.links.opening.open_link` does."""
        return OpenedLink(self.url, parse_link(self.url).site, self.state)


_LONGEST_NAME = 200  # characters of what was typed, which may be a state in a link


@dataclass(frozen=True)
class Skipped:
    """A cell without a link, and the reason.

    Attributes
    ----------
    given
        What was typed.
    reason
        One sentence that says what happened.
    hint
        One sentence that says what to do.
    exit_code
        The exit code of the error.
    """

    given: str
    reason: str
    hint: str
    exit_code: int

    @classmethod
    def from_error(cls, given: str, error: SynglancerError) -> Skipped:
        """Make it from the error that kept a cell from having a link."""
        return cls(given, str(error), error.advice, error.exit_code)

    @property
    def sentence(self) -> str:
        """The reason, preceded by the cell as it was typed unless the reason contains it."""
        if self.given in self.reason:
            return self.reason
        given = for_message(self.given, _LONGEST_NAME)
        return self.reason if given in self.reason else f"{given}: {self.reason}"
