"""The provenance record of a state: its type, and its JSON.

A state is data from anywhere: each field is validated when a record is read, and a field that has
not the right form is named and not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synglancer.errors import UsageError
from synglancer.settings import Settings
from synglancer.states.fields import (
    Reader,
    read_cell,
    read_count,
    read_counts,
    read_filters,
    read_point,
    read_timestamp,
    read_two_levels,
    write_timestamp,
)
from synglancer.states.record_parts import (
    CellTypes,
    MultiInput,
    NamedSynapse,
    PointSource,
    PublishedSource,
    Replacement,
    copy_levels,
)
from synglancer.states.selection import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

RECORD = "synglancer"
"""The key of the record in a state, and the word before its copy in a shader."""

FORMAT = 1
"""Number of the record's format; records that name none were made by 0.1.0, and are of this one."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a link shows, and where it comes from.

    Attributes
    ----------
    cell, cells
        Root ID of the cell, the first one of several; and all of them. 0 and empty where no cell
        is known.
    datastack, server, version, timestamp, table
        Where the predictions come from; the timestamp is that of the version (UTC).
    counts
        Shown synapses: direction → tag → count.
    shown, total
        Synapses in the link, and those that passed before the filters.
    autapses
        Rows among the shown ones that are synapses of a cell onto itself.
    filters
        The filters in force, by option name.
    followed
        The root IDs that were followed to others.
    live
        Whether the version has expired, and live queries at its timestamp answered.
    given_rows
        Whether a user gave the rows as tables, and no query of ours asked for them.
    all_synapses
        All synapses by direction, with and without a prediction; None unless asked.
    generator
        Program and version that made the state.
    notice
        What the owner of the table wants readers to know.
    with_unlabelled
        Whether synapses without a prediction are shown too.
    view
        The options of the view that differ from the defaults.
    hidden
        Synapses that sliders hide at first: direction → tag → count; None without a soft filter.
    partners
        Root ID and number of synapses of the strongest partners; None unless asked.
    multi_input, cell_types
        What is known of shared spines and of the partners' types; None unless asked.
    somata
        Root ID → position of the soma, (x, y, z) in nm.
    synapses
        The synapses that were asked for by their IDs, whose cells are shown; empty where cells
        were asked for.
    source
        The published source that the layers are on, or None where the state holds the synapses.
    annotations
        The files of the user's own points that are shown beside the synapses.
    """

    cell: int = 0
    cells: tuple[int, ...] = ()
    datastack: str = ""
    server: str = ""
    version: int = 0
    timestamp: datetime = EPOCH
    table: str = ""
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    shown: int = 0
    total: int = 0
    autapses: int = 0
    filters: Mapping[str, Any] = field(default_factory=dict)
    followed: tuple[Replacement, ...] = ()
    live: bool = False
    given_rows: bool = False
    all_synapses: Mapping[str, int] | None = None
    generator: str = ""
    notice: str = ""
    with_unlabelled: bool = False
    view: Mapping[str, Any] = field(default_factory=dict)
    hidden: Mapping[str, Mapping[str, int]] | None = None
    partners: tuple[tuple[int, int], ...] | None = None
    multi_input: MultiInput | None = None
    cell_types: CellTypes | None = None
    somata: Mapping[int, tuple[float, float, float]] = field(default_factory=dict)
    synapses: tuple[NamedSynapse, ...] = ()
    source: PublishedSource | None = None
    annotations: tuple[PointSource, ...] = ()

    def __post_init__(self) -> None:
        """Where one cell is named, it is the first of all."""
        if self.cell and self.cells[:1] != (self.cell,):
            object.__setattr__(self, "cells", (self.cell,))

    def to_json(self) -> dict[str, Any]:
        """Return the record of a state; 64-bit IDs are strings.

        Returns
        -------
        dict
            ``cell`` and, for a cell alone, ``followed`` and ``soma`` (nm) are single values.
            Several cells have ``cells``, a list of ``followed``, and ``somata`` by root ID.
        """
        optional = {
            "live": self.live,
            "with_unlabelled": self.with_unlabelled,
            "notice": self.notice,
            "view": dict(self.view),
        }
        return {
            "format": FORMAT,
            "cell": str(self.cell),
            **self.write_cells(),
            "datastack": self.datastack,
            "server": self.server,
            "version": self.version,
            "timestamp": write_timestamp(self.timestamp),
            "table": self.table,
            "counts": copy_levels(self.counts),
            "shown": self.shown,
            "total": self.total,
            "autapses": self.autapses,
            "filters": dict(self.filters),
            "generator": self.generator,
            **{name: value for name, value in optional.items() if value},
            **({} if self.hidden is None else {"hidden": copy_levels(self.hidden)}),
            **self._write_partners(),
            **self.write_found(),
            **self._write_somata(),
        }

    def write_cells(self) -> dict[str, Any]:
        """Return the root IDs where there are several."""
        return {"cells": [str(cell) for cell in self.cells]} if len(self.cells) > 1 else {}

    def write_found(self) -> dict[str, Any]:
        """Return what was followed, counted and looked up, each where there is any."""
        followed: list[dict[str, str]] = [one.to_json() for one in self.followed]
        alone = len(followed) == len(self.cells) == 1
        synapses = [one.to_json() for one in self.synapses]
        points = [one.to_json() for one in self.annotations]
        return {
            **({"synapses": synapses} if synapses else {}),
            **({"given_rows": True} if self.given_rows else {}),
            **({"annotations": points} if points else {}),
            **({"followed": followed[0] if alone else followed} if followed else {}),
            **({} if self.all_synapses is None else {"all_synapses": dict(self.all_synapses)}),
            **({} if self.multi_input is None else {"multi_input": self.multi_input.to_json()}),
            **({} if self.cell_types is None else {"cell_types": self.cell_types.to_json()}),
            **({} if self.source is None else {"source": self.source.to_json()}),
        }

    def _write_partners(self) -> dict[str, Any]:
        if self.partners is None:
            return {}
        return {"partners": [[str(root), count] for root, count in self.partners]}

    def _write_somata(self) -> dict[str, Any]:
        somata = {str(cell): [*point] for cell, point in self.somata.items()}
        if not somata:
            return {}
        return {"somata": somata} if len(self.cells) > 1 else {"soma": next(iter(somata.values()))}

    @classmethod
    def from_json(cls, given: object) -> Provenance:
        """Read a record.

        Raises
        ------
        ValueError
            When a field has not the right form; it names each of these.
        """
        found, problems = parse_record(given)
        if problems:
            raise ValueError(", ".join(problems))
        return found

    def settings(self) -> Settings:
        """Return what was asked, beside the cells.

        Raises
        ------
        UsageError
            When it is what cannot be asked: the rows were given as tables, for instance.
        ValueError
            When the record does not say of which server, datastack, version and table.
        TypeError
            When ``view`` names what is no option.
        """
        if self.given_rows:
            raise UsageError(
                "The synapses of this link were given as tables, and no query asked for them.",
                "Make it again from the tables, or from its cell to ask for all of its synapses.",
            )
        where = self.table or self.source
        if not (self.server and self.datastack and self.version and where):
            raise ValueError("it names no server, datastack, version or table")
        asked: dict[str, Any] = {"source": self.source.address} if self.source else {}
        if self.multi_input:
            asked |= {"multi_input": True, "multi_input_table": self.multi_input.table}
        if self.cell_types:
            asked |= {
                "cell_types": True,
                "cell_type_view": self.cell_types.view,
                "cell_type_column": self.cell_types.column,
            }
        return Settings(
            datastack=self.datastack,
            version=self.version,
            table=self.table or None,
            server=self.server,
            inputs="outputs" not in self.counts and not self.synapses,
            outputs="inputs" not in self.counts and not self.synapses,
            with_unlabelled=self.with_unlabelled,
            with_total=self.all_synapses is not None,
            **asked,
            **self.filters,
            **{name: value for name, value in self.view.items() if name != "soft_filter"},
        )


def parse_record(given: object) -> tuple[Provenance, tuple[str, ...]]:
    """Read a record as far as its fields have the right form.

    Parameters
    ----------
    given
        JSON values.

    Returns
    -------
    tuple
        The record, with defaults for the fields that are missing or wrong; and the names of those
        that are wrong.
    """
    read = Reader(given)
    cell = read.maybe("cell", read_cell) or 0
    found = Provenance(
        cell=cell,
        cells=read.maybe("cells", lambda listed: _read_cells(listed, cell)) or (),
        datastack=read.text("datastack"),
        server=read.text("server"),
        version=read.maybe("version", read_count) or 0,
        timestamp=read.maybe("timestamp", read_timestamp) or EPOCH,
        table=read.text("table"),
        counts=read.maybe("counts", read_two_levels) or {},
        shown=read.maybe("shown", read_count) or 0,
        total=read.maybe("total", read_count) or 0,
        autapses=read.maybe("autapses", read_count) or 0,
        filters=read.maybe("filters", read_filters) or {},
        followed=read.maybe("followed", _read_followed) or (),
        live=read.flag("live"),
        given_rows=read.flag("given_rows"),
        all_synapses=read.maybe("all_synapses", read_counts),
        generator=read.text("generator"),
        notice=read.text("notice"),
        with_unlabelled=read.flag("with_unlabelled"),
        view=read.maybe("view", _read_view) or {},
        hidden=read.maybe("hidden", read_two_levels),
        partners=read.maybe("partners", _read_partners),
        multi_input=read.maybe("multi_input", MultiInput.from_json),
        cell_types=read.maybe("cell_types", CellTypes.from_json),
        somata=read.maybe("somata", _read_somata) or {},
        synapses=read.maybe("synapses", _read_synapses) or (),
        source=read.maybe("source", PublishedSource.from_json),
        annotations=read.maybe("annotations", _read_points) or (),
    )
    soma = read.maybe("soma", read_point)
    if read.maybe("format", read_count) not in {None, FORMAT}:
        read.wrong.append("format")
    if soma and cell and not found.somata:
        object.__setattr__(found, "somata", {cell: soma})
    return found, tuple(read.wrong)


def _read_cells(given: object, cell: int) -> tuple[int, ...]:
    """Read several root IDs, of which the cell is the first."""
    if not isinstance(given, list) or not given:
        raise ValueError(given)
    cells = tuple(dict.fromkeys(map(read_cell, given)))
    if cells[0] != cell:
        raise ValueError(cells)
    return cells


def _read_followed(given: object) -> tuple[Replacement, ...]:
    listed = given if isinstance(given, list) else [given]
    return tuple(map(Replacement.from_json, listed))


def _read_synapses(given: object) -> tuple[NamedSynapse, ...]:
    if not isinstance(given, list):
        raise ValueError(given)  # noqa: TRY004  # all that is wrong is one error
    return tuple(map(NamedSynapse.from_json, given))


def _read_points(given: object) -> tuple[PointSource, ...]:
    if not isinstance(given, list):
        raise ValueError(given)  # noqa: TRY004  # all that is wrong is one error
    return tuple(map(PointSource.from_json, given))


def _read_partners(given: object) -> tuple[tuple[int, int], ...]:
    if not isinstance(given, list):
        raise ValueError(given)  # noqa: TRY004  # all that is wrong is one error
    return tuple((read_cell(root), read_count(count)) for root, count in given)


def _read_somata(given: object) -> dict[int, tuple[float, float, float]]:
    if not isinstance(given, dict):
        raise ValueError(given)  # noqa: TRY004
    return {read_cell(cell): read_point(point) for cell, point in given.items()}


def _read_view(given: object) -> dict[str, Any]:
    """Read options of the view: plain values by name, which `Settings` checks."""
    if not isinstance(given, dict) or not all(
        isinstance(value, str | int | float | bool) for value in given.values()
    ):
        raise ValueError(given)
    return dict(given)
