"""What is known of a link that was made, for cards, reports and JSON; or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from synglancer.cells.parse import name_cells
from synglancer.links.opening import OpenedLink
from synglancer.states.provenance import read_followed, write_followed
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self


@dataclass(frozen=True)
class LinkRecord:
    """A link that shows the synapses of a cell, or of several together, and where it comes from.

    Cards, reports and JSON are made from it; `synglancer.Link` adds what a user does with one.

    Attributes
    ----------
    cell
        The root ID that is shown; the first one of several.
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
    datastack, version, timestamp, table
        Where the predictions come from; the timestamp is that of the version (UTC).
    counts_by_tag
        Shown synapses: direction → tag → count.
    shown, total
        Synapses in the link, and those that passed before the filters.
    filters
        The filters, by option name; empty when there are none.
    warnings
        What a reader should know, a sentence each.
    elapsed_s
        Seconds that it took.
    state_json
        The canonical state, as bytes of JSON.
    all_synapses
        All synapses of the cells by direction, with and without a prediction; None unless asked.
    followed
        For each root ID that is not valid: which was given, when it was valid and what was used
        instead.
    live
        Whether the version has expired, and live queries at its timestamp answered.
    cells
        All root IDs that are shown, in the order in which they were given.
    multi_input
        Where it is known which synapses share a spine (``table``), and what tags those had that
        are shown as ``multi-input`` (``former_tags``); None unless asked.
    cell_types
        Where the types of cells come from (``view``, ``column``), the number of synapses by
        direction and the partner's type (``synapses``), of partners by type (``partners``), and
        the types' ``colours`` where they are shown; None unless asked.
    """

    cell: int
    given: str
    url: str
    state_url: str | None
    state_id: str | None
    state_sha256: str
    datastack: str
    version: int
    timestamp: datetime
    table: str
    counts_by_tag: Mapping[str, Mapping[str, int]]
    shown: int
    total: int
    filters: Mapping[str, Any]
    warnings: Sequence[str]
    elapsed_s: float
    state_json: bytes = field(repr=False)
    all_synapses: Mapping[str, int] | None = None
    followed: Sequence[Mapping[str, str]] = ()
    live: bool = False
    cells: tuple[int, ...] = ()
    multi_input: Mapping[str, Any] | None = None
    cell_types: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Where one cell is named, it is the first of all."""
        if self.cell and self.cells[:1] != (self.cell,):
            object.__setattr__(self, "cells", (self.cell,))

    @cached_property
    def state(self) -> dict[str, Any]:
        """The Neuroglancer state, as a dict; 64-bit IDs are strings."""
        state: dict[str, Any] = orjson.loads(self.state_json)
        return state

    def to_record(self) -> dict[str, Any]:
        """Return what ``--output json`` prints: 64-bit IDs are strings, keys are a contract.

        Links of several cells have ``cells`` too, and a list as ``followed``.
        """
        several = len(self.cells) > 1
        timestamp = self.timestamp.astimezone(timezone.utc).isoformat(timespec="microseconds")
        return {
            "cell": str(self.cell),
            "given": self.given,
            "url": self.url,
            "state_url": self.state_url,
            "state_id": self.state_id,
            "state_sha256": self.state_sha256,
            "datastack": self.datastack,
            "version": self.version,
            "timestamp": timestamp.replace("+00:00", "Z"),
            "table": self.table,
            "counts": {
                name: dict(sorted(tags.items())) for name, tags in self.counts_by_tag.items()
            },
            "shown": self.shown,
            "total": self.total,
            "filters": dict(self.filters),
            "warnings": list(self.warnings),
            "elapsed_s": round(self.elapsed_s, 3),
            **({} if self.all_synapses is None else {"all_synapses": dict(self.all_synapses)}),
            **write_followed(self.followed, len(self.cells)),
            **({"live": True} if self.live else {}),
            **({"cells": [str(cell) for cell in self.cells]} if several else {}),
            **({} if self.multi_input is None else {"multi_input": dict(self.multi_input)}),
            **({} if self.cell_types is None else {"cell_types": dict(self.cell_types)}),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], state_json: bytes, **changes: Any) -> Self:
        """Make a link from what `to_record` returned, and its state."""
        values = {
            **record,
            "cell": int(record["cell"]),
            "timestamp": datetime.fromisoformat(record["timestamp"].replace("Z", "+00:00")),
            "counts_by_tag": record["counts"],
            "cells": tuple(int(cell) for cell in record.get("cells", ())),
            "followed": read_followed(record.get("followed")),
            "state_json": state_json,
            **changes,
        }
        del values["counts"]
        return cls(**values)

    @property
    def subject(self) -> str:
        """The cells in a line, for people."""
        return name_cells(self.cells or (self.cell,))

    def open(self) -> OpenedLink:
        """Return the link with its state, as `synglancer.links.opening.open_link` does."""
        return OpenedLink(self.url, parse_link(self.url).site, self.state)


@dataclass(frozen=True)
class Skipped:
    """A cell that there is no link for, and why.

    Attributes
    ----------
    given
        What was typed.
    reason
        One sentence that says what happened.
    hint
        One sentence that says what to do.
    exit_code
        The exit code that the error has where it is the only one.
    """

    given: str
    reason: str
    hint: str
    exit_code: int

    @property
    def sentence(self) -> str:
        """The reason, with what was typed in front where it does not name that itself."""
        return self.reason if self.given in self.reason else f"{self.given}: {self.reason}"
