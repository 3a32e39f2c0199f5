"""The options of links as command-line options, in groups, with the commonest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

from cyclopts import CoercionError, Group, Parameter

from synglancer.errors import UsageError
from synglancer.settings import Question, Service, Settings
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cyclopts import Token

    from synglancer.links.spread import Spread

Record = TypeVar("Record", bound=type)

CELLS = Group.create_ordered("Cells and data")
SYNAPSES = Group.create_ordered("Which synapses")
VIEW = Group.create_ordered("View")
OUTPUT = Group.create_ordered("Output")
CONNECTION = Group.create_ordered("Connection")

_MOST_DIGITS = 25  # no option needs more, and Python refuses to read some thousands
_KNOWN = set(signature(Parameter).parameters)
"""The settings of parameters in this release of cyclopts; releases for Python 3.10 lack
``metavar``.
"""


def describe(group: Group | None, value: str | None = None, **more: Any) -> Parameter:
    """Describe an option for help: its group, and the word shown for its value."""
    if value == "N":
        more["converter"] = _read_whole
    shown: dict[str, Any] = {"metavar": value} if value and "metavar" in _KNOWN else {}
    where: dict[str, Any] = {} if group is None else {"group": group}
    return Parameter(**where, **shown, **more)


def _read_whole(kind: Any, tokens: Sequence[Token]) -> int | str:
    """Read a whole number as it is written; cyclopts would round 1.5, and read 0x10 and 1_0."""
    (token,) = tokens
    text = token.value.strip()
    if kind is not int:  # which the settings read
        return text
    if not re.fullmatch("[+-]?[0-9]+", text):
        raise CoercionError(token=token, target_type=int)
    if len(text) > _MOST_DIGITS:
        raise UsageError(
            f"{quote(text)} is too large for {token.keyword}.", "Give a smaller number."
        )
    return int(text)


_OPTIONS = {
    name: describe(group, value)
    for group, options in (
        (CELLS, {
            "version": "VERSION", "datastack": "NAME", "table": "NAME", "strict": "",
            "source": "URL|FOLDER", "publish_to": "FOLDER|BUCKET", "public_url": "URL",
        }),
        (SYNAPSES, {
            "inputs": "", "outputs": "", "tag": "TAG", "min_confidence": "0..1",
            "max_confidence": "0..1", "min_size": "VOXELS", "with_unlabelled": "", "with_total": "",
            "multi_input": "", "multi_input_table": "NAME", "cell_types": "",
            "cell_type_view": "NAME", "cell_type_column": "NAME",
        }),
        (VIEW, {
            "site": "SITE", "layout": "", "background": "", "figure": "", "palette": "",
            "color_by": "", "soft_filter": "", "partners": "N", "review": "",
            "annotations": "FILE", "panel": "", "filter_by_selection": "",
        }),
        (OUTPUT, {"inline": "", "upload": ""}),
        (CONNECTION, {
            "sandbox": "", "server": "ADDRESS", "token_file": "FILE", "timeout": "SECONDS",
            "concurrency": "N", "no_cache": "",
        }),
    )
    for name, value in options.items()
}  # fmt: skip
"""The group under which help shows each option, and the word for its value."""


def show_as(options: Mapping[str, Parameter]) -> Callable[[Record], Record]:
    """Decorate a record that inherits its options, so that help shows them as described.

    All types are resolved, because cyclopts looks up their names in the record's own module. An
    option that has more than a default must be repeated in the record.
    """

    def decorate(record: Record) -> Record:
        record.__annotations__ = {
            name: Annotated[kind, options[name]] if name in options else kind
            for name, kind in get_type_hints(record).items()
        }
        return record

    return decorate


@dataclass(frozen=True, kw_only=True)
@show_as(_OPTIONS)
class ServiceSettings(Service):
    """`Service`, with each option in the group under which help shows it."""


@dataclass(frozen=True, kw_only=True)
@show_as(_OPTIONS)
class QuestionSettings(Question):
    """`Question`, with each option in the group under which help shows it."""


@dataclass(frozen=True, kw_only=True)
@show_as(_OPTIONS)
class LinkSettings(Settings):
    """`Settings`, with each option in the group under which help shows it."""

    annotations: tuple[str, ...] = ()


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
