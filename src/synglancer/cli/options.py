"""The options of links as command-line options, in groups, with the commonest first."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from synglancer.settings import (
    DEFAULT_CELL_TYPE_COLUMN,
    DEFAULT_CONCURRENCY,
    DEFAULT_DATASTACK,
    Question,
    Service,
    Settings,
)
from synglancer.view_settings import BackgroundName, ColorBy, Layout, PaletteName  # noqa: TC001

if TYPE_CHECKING:
    from synglancer.links.spread import Spread

CELLS = Group.create_ordered("Cells and data")
SYNAPSES = Group.create_ordered("Which synapses")
VIEW = Group.create_ordered("View")
OUTPUT = Group.create_ordered("Output")
CONNECTION = Group.create_ordered("Connection")

_KNOWN = set(signature(Parameter).parameters)
"""The settings of parameters in this release of cyclopts; releases for Python 3.10 lack
``metavar``.
"""


def describe(group: Group | None, value: str | None = None, **more: Any) -> Parameter:
    """Describe an option for help: its group, and the word shown for its value."""
    shown: dict[str, Any] = {"metavar": value} if value and "metavar" in _KNOWN else {}
    where: dict[str, Any] = {} if group is None else {"group": group}
    return Parameter(**where, **shown, **more)


@dataclass(frozen=True, kw_only=True)
class ServiceSettings(Service):
    """`Service`, with each option in the group under which help shows it."""

    datastack: Annotated[str, describe(CELLS, "NAME")] = DEFAULT_DATASTACK
    sandbox: Annotated[bool, describe(CONNECTION)] = False
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None
    timeout: Annotated[float, describe(CONNECTION, "SECONDS")] = 60.0
    concurrency: Annotated[int, describe(CONNECTION, "N")] = DEFAULT_CONCURRENCY


@dataclass(frozen=True, kw_only=True)
class QuestionSettings(Question):
    """`Question`, with each option in the group under which help shows it."""

    version: Annotated[str | int | None, describe(CELLS, "VERSION")] = None
    datastack: Annotated[str, describe(CELLS, "NAME")] = DEFAULT_DATASTACK
    table: Annotated[str | None, describe(CELLS, "NAME")] = None
    strict: Annotated[bool, describe(CELLS)] = False
    inputs: Annotated[bool, describe(SYNAPSES)] = False
    outputs: Annotated[bool, describe(SYNAPSES)] = False
    tag: Annotated[tuple[str, ...], describe(SYNAPSES, "TAG")] = ()
    min_confidence: Annotated[float, describe(SYNAPSES, "0..1")] = 0.0
    max_confidence: Annotated[float, describe(SYNAPSES, "0..1")] = 1.0
    min_size: Annotated[float, describe(SYNAPSES, "VOXELS")] = 0.0
    with_unlabelled: Annotated[bool, describe(SYNAPSES)] = False
    with_total: Annotated[bool, describe(SYNAPSES)] = False
    multi_input: Annotated[bool, describe(SYNAPSES)] = False
    multi_input_table: Annotated[str | None, describe(SYNAPSES, "NAME")] = None
    cell_types: Annotated[bool, describe(SYNAPSES)] = False
    cell_type_view: Annotated[str | None, describe(SYNAPSES, "NAME")] = None
    cell_type_column: Annotated[str, describe(SYNAPSES, "NAME")] = DEFAULT_CELL_TYPE_COLUMN
    site: Annotated[str | None, describe(VIEW, "SITE")] = None
    inline: Annotated[bool, describe(OUTPUT)] = False
    sandbox: Annotated[bool, describe(CONNECTION)] = False
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None
    timeout: Annotated[float, describe(CONNECTION, "SECONDS")] = 60.0
    concurrency: Annotated[int, describe(CONNECTION, "N")] = DEFAULT_CONCURRENCY
    no_cache: Annotated[bool, describe(CONNECTION)] = False


@dataclass(frozen=True, kw_only=True)
class LinkSettings(QuestionSettings, Settings):
    """`Settings`, with each option in the group under which help shows it."""

    source: Annotated[str | None, describe(CELLS, "URL|FOLDER")] = None
    publish_to: Annotated[str | None, describe(CELLS, "FOLDER|BUCKET")] = None
    public_url: Annotated[str | None, describe(CELLS, "URL")] = None
    layout: Annotated[Layout, describe(VIEW)] = "xy-3d"
    background: Annotated[BackgroundName, describe(VIEW)] = "dark"
    figure: Annotated[bool, describe(VIEW)] = False
    palette: Annotated[PaletteName, describe(VIEW)] = "paper"
    color_by: Annotated[ColorBy, describe(VIEW)] = "tag"
    soft_filter: Annotated[bool, describe(VIEW)] = False
    partners: Annotated[str | int, describe(VIEW, "N")] = 0
    review: Annotated[bool, describe(VIEW)] = False
    annotations: Annotated[tuple[str, ...], describe(VIEW, "FILE")] = ()
    panel: Annotated[bool, describe(VIEW)] = False
    filter_by_selection: Annotated[bool, describe(VIEW)] = False
    upload: Annotated[bool, describe(OUTPUT)] = False


@dataclass(frozen=True, kw_only=True)
class Workers:
    """The processes or cluster that make the links of many cells.

    Parameters
    ----------
    workers
        Make the links of many cells in this many processes at a time.
    scheduler
        Have a Dask cluster make the links: the address of its scheduler.
    """

    workers: Annotated[int | None, describe(CONNECTION, "N")] = None
    scheduler: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None

    def __post_init__(self) -> None:
        """Refuse invalid values, also for one cell, which needs no workers."""
        if self.workers is not None:
            from synglancer.publish.writing.runner import check_workers

            check_workers(self.workers, self.scheduler)

    def spread(self) -> Spread | None:
        """Return the processes or cluster, or None for this process."""
        if self.scheduler is None and self.workers in {None, 1}:
            return None
        from synglancer.links.spread import Spread  # imports the batch

        return Spread(self.workers, self.scheduler)
