"""Collect the numbers and words of a report from the links of many cells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from synglancer.report.measures import BINS, PARTNER_STEPS, Measures, measure
from synglancer.report.statistics import Statistics, build_statistics
from synglancer.settings import SAME_SPINE, SYNAPSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synglancer.links.link_record import LinkRecord, Skipped
    from synglancer.report.baseline import Baseline
    from synglancer.report.measures import MeasurePaths

_NOTEBOOK_COLUMNS = ("cell", "link")
_CITATIONS = [
    "Pedigo et al. (2026), for the predicted targets.",
    (
        "The MICrONS Consortium (2025). Functional connectomics spanning multiple areas of mouse "
        "visual cortex. Nature 640, 435-447. https://doi.org/10.1038/s41586-025-08790-w"
    ),
    (
        "Dorkenwald et al. (2025). CAVE: Connectome Annotation Versioning Engine. Nature Methods "
        "22, 1112-1120. https://doi.org/10.1038/s41592-024-02426-z"
    ),
]


@dataclass(frozen=True)
class CellSummary:
    """The summary of one cell in a report.

    Attributes
    ----------
    link
        The link's record, as ``--output json`` prints it.
    server
        The CAVE server.
    measures
        The measurements of its synapses.
    picture
        An SVG element, or the address of a picture (a data URI), or empty.
    notice
        The notice of the table's owner, or empty.
    picture_problem
        Why the picture is a plot instead of a screenshot, or empty.
    followed
        The given root ID and its replacement, if it was outdated; or empty.
    """

    link: Mapping[str, Any]
    server: str
    measures: Measures
    picture: str = ""
    notice: str = ""
    picture_problem: str = ""
    followed: str = ""

    @property
    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Shown synapses: direction → tag → count."""
        return self.link["counts"]

    @property
    def is_synapse(self) -> bool:
        """Whether the row is a single synapse rather than a cell."""
        return bool(self.link.get("synapses"))

    @property
    def name(self) -> str:
        """The subject of the row: a root ID, or ``synapse:ID``."""
        synapses = [f"synapse:{one['id']}" for one in self.link.get("synapses", ())]
        return " ".join(synapses) or str(self.link["cell"])

    def total(self, direction: str) -> int:
        """Shown synapses in a direction."""
        return sum(self.counts.get(direction, {}).values())

    def all_synapses(self, direction: str) -> int | None:
        """All synapses of the cell in a direction, with or without a prediction."""
        if self.is_synapse or direction in {SYNAPSE, SAME_SPINE}:  # all requested synapses
            return self.total(direction)
        counted: Mapping[str, int] = self.link.get("all_synapses") or {}
        return counted.get(direction)

    def count(self, direction: str, tag: str) -> int:
        """Shown synapses with a tag."""
        return self.counts.get(direction, {}).get(tag, 0)

    def share(self, direction: str, tag: str) -> float:
        """Share of a tag among the shown synapses of a direction, 0 to 1; 0 if there are none."""
        return self.count(direction, tag) / max(self.total(direction), 1)


def summarise(
    link: LinkRecord, picture: str = "", measure_paths: MeasurePaths | None = None
) -> CellSummary:
    """Summarise a link for a report, with path lengths if requested."""
    server, notice = link.provenance.server, link.provenance.notice
    # The first warnings are about followed root IDs.
    followed = " ".join(link.warnings[: len(link.followed)])
    measures = measure(link, measure_paths)
    return CellSummary(link.to_record(), server, measures, picture, notice, followed=followed)


@dataclass(frozen=True)
class Row:
    """One row of a report: a given cell and its result.

    Attributes
    ----------
    given
        The cell as it was given.
    extras
        The values of the report's columns, as text.
    group
        The group, or empty.
    summary, skipped
        The summary of the cell, or why it was skipped. One of them is None.
    number
        Number of the row, counted from 1.
    """

    given: str
    extras: list[str]
    group: str
    summary: CellSummary | None
    skipped: Skipped | None
    number: int = 0

    @property
    def notes(self) -> Sequence[str]:
        """The warnings of the row's link, one sentence each."""
        return self.summary.link["warnings"] if self.summary else ()

    @property
    def followed(self) -> str:
        """A sentence that names the replacement of an outdated root ID; empty if there is none."""
        return self.summary.followed if self.summary else ""


@dataclass(frozen=True)
class Group:
    """Cells with the same value in the group column.

    Attributes
    ----------
    name
        That value.
    cells, members
        The number of cells with a link; and these cells, each once.
    mean, low, high
        Direction → tag → share of the cells' synapses: the mean over cells, the least, the most.
        Cells without a synapse in a direction are not counted there.
    """

    name: str
    cells: int
    members: list[CellSummary]
    mean: dict[str, dict[str, float]]
    low: dict[str, dict[str, float]]
    high: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Report:
    """The contents of a report, which templates get as ``report``.

    Attributes
    ----------
    rows
        One for each given cell, in their order.
    columns
        Names of the table's columns; pages leave out the column of cells if each cell is shown as
        given.
    group_by
        Name of the group column, or empty.
    directions, tags, colours
        The requested directions; the tags found; tag → ``#rrggbb``.
    synthetic
        Whether the data are the sandbox's, according to the table's notice.
    filters, options
        The filters in words; and all options, by the names in `Settings`.
    notice
        The notice of the table's owner, or empty.
    baseline
        The proportions for comparison, or None.
    cells_link
        A link to all cells in one view, with their numbers in its list of segments, or empty.
    """

    rows: list[Row]
    columns: list[str]
    group_by: str
    directions: tuple[str, ...]
    tags: list[str]
    colours: dict[str, str]
    synthetic: bool
    notice: str
    generator: str
    made_on: str
    filters: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    baseline: Baseline | None = None
    cells_link: str = ""

    @cached_property
    def statistics(self) -> Statistics:
        """The statistics of the report."""
        return build_statistics(self)

    @cached_property
    def followed(self) -> list[str]:
        """A sentence for each row with a replaced root ID, each once."""
        return list(dict.fromkeys(row.followed for row in self.rows if row.followed))

    @cached_property
    def cells(self) -> list[CellSummary]:
        """The cells with a link, each once, even if several rows name it."""
        return _list_distinct(self.rows)

    @cached_property
    def title(self) -> str:
        """The title of the report."""
        return f"Synapses of {self._count_subjects()}"

    def _count_subjects(self) -> str:
        """Count the cells and the single synapses in words."""
        single = sum(cell.is_synapse for cell in self.cells)
        cells = len(self.cells) - single
        counted = f"{cells:,} cell{'s' * (cells != 1)}"
        return counted + f" and {single:,} single synapse{'s' * (single != 1)}" * bool(single)

    @cached_property
    def whole_cells(self) -> list[CellSummary]:
        """The members of `cells` that are not single synapses."""
        return [cell for cell in self.cells if not cell.is_synapse]

    @cached_property
    def skipped(self) -> list[Skipped]:
        """The cells without a link."""
        return [row.skipped for row in self.rows if row.skipped]

    @cached_property
    def provenance(self) -> CellSummary | None:
        """A cell whose link holds the server, datastack, version and table of all cells."""
        return self.cells[0] if self.cells else None

    @cached_property
    def given(self) -> dict[str, list[str]]:
        """The file's columns as text; names that a notebook needs itself end with ``_given``."""
        return {
            f"{name}_given" if name in _NOTEBOOK_COLUMNS else name: [
                row.extras[i] for row in self.rows
            ]
            for i, name in enumerate(self.columns)
        }

    @cached_property
    def picture_problems(self) -> dict[str, int]:
        """Reason why plots replace screenshots → number of cells."""
        return Counter(cell.picture_problem for cell in self.cells if cell.picture_problem)

    @cached_property
    def confidence(self) -> dict[str, list[int]]:
        """Tag → synapses of all cells, in all directions, in each of `BINS` bins."""
        zero = [0] * BINS
        parts = {
            tag: [
                bins.get(tag, zero)
                for cell in self.cells
                for bins in cell.measures.confidence.values()
            ]
            for tag in self.tags
        }
        return {tag: [*map(sum, zip(*part, strict=True))] for tag, part in parts.items()}

    @cached_property
    def partners(self) -> dict[str, list[int]]:
        """Direction → partners of all cells for each of `PARTNER_STEPS`."""
        zero = [0] * len(PARTNER_STEPS)
        parts = {
            side: [cell.measures.partners.get(side, zero) for cell in self.cells]
            for side in self.directions
        }
        return {side: [*map(sum, zip(*part, strict=True))] for side, part in parts.items()}

    @cached_property
    def totals(self) -> dict[str, int]:
        """Direction → number of all synapses of all cells, if they were counted."""
        return {
            side: sum(cell.all_synapses(side) or 0 for cell in self.cells)
            for side in self.directions
            if side not in {SYNAPSE, SAME_SPINE}
            and any(cell.all_synapses(side) is not None for cell in self.cells)
        }

    @cached_property
    def groups(self) -> list[Group]:
        """The groups, in the order of their names."""
        if not self.group_by:
            return []
        names = sorted({row.group for row in self.rows})
        return [self._compare(name) for name in names]

    def _compare(self, name: str) -> Group:
        cells = _list_distinct([row for row in self.rows if row.group == name])
        parts = {side: [cell for cell in cells if cell.total(side)] for side in self.directions}

        def over(take: Any) -> dict[str, dict[str, float]]:
            return {
                side: {tag: take([one.share(side, tag) for one in part]) for tag in self.tags}
                if part
                else {}
                for side, part in parts.items()
            }

        return Group(name, len(cells), cells, over(fmean), over(min), over(max))

    @property
    def methods(self) -> str:
        """A paragraph for the methods section of a paper."""
        origin = self.provenance
        if origin is None:
            return "No cell could be shown."
        link, many = origin.link, sum(not cell.is_synapse for cell in self.cells)
        filtered = bool(self.filters)
        filters = f" Only synapses with {' and '.join(self.filters)} are shown." * filtered
        totals = " and ".join(f"{count:,} {side}" for side, count in self.totals.items())
        having = "these cells have" if many > 1 else "this cell has"
        in_all = f"; with or without one, {having} {totals}" * bool(totals)
        unpredicted = "or without " * bool(self.options.get("with_unlabelled"))
        table = (link.get("multi_input") or {}).get("table")
        found = f" Synapses on spines with several inputs were found with the table {table}."
        several = found * bool(table)
        synthetic = " These data are SYNTHETIC and do not describe a real cell." * self.synthetic
        return (
            f"Synapses of {self._count_subjects()} and their predicted postsynaptic targets "
            f"were taken from the table {link['table']} of the datastack {link['datastack']} at "
            f"materialization version {link['version']} ({link['timestamp'][:10]}), through "
            f"CAVE at {origin.server}.{filters} Counts are of synapses with {unpredicted}a "
            f"prediction{in_all}.{several} Each link shows the synapses in Neuroglancer at that "
            f"version. Made with {self.generator}.{synthetic}"
        )

    @property
    def citations(self) -> list[str]:
        """The works to cite, if they are known."""
        origin = self.provenance
        known = origin and origin.link["datastack"] == "minnie65_public" and not self.synthetic
        return _CITATIONS[:] if known else []


def _list_distinct(rows: Sequence[Row]) -> list[CellSummary]:
    """List the cells of rows, each once.

    Several root IDs may lead to the same cell; a row with the cell itself comes before rows that
    were followed to it.
    """
    distinct: dict[str, CellSummary] = {}
    for summary in (row.summary for row in rows if row.summary):
        known = distinct.get(summary.name)
        if known is None or (known.followed and not summary.followed):
            distinct[summary.name] = summary
    return list(distinct.values())
