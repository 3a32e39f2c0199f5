"""The options of a link apart from the cell, checked when the record is made.

`cli` fills it from command-line options, environment variables and a file; in Python, it is filled
from keywords. Only the default profile below is specific to minnie65.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal
from urllib.parse import urlsplit

from synglancer.errors import UsageError
from synglancer.option_values import check_past, settle_values
from synglancer.text.printable import quote
from synglancer.view_settings import SITES, ViewSettings, check_review, split_site

DEFAULT_SERVER = "https://global.daf-apis.com"
DEFAULT_DATASTACK = "minnie65_public"
DEFAULT_VERSION = 1718
DEFAULT_TABLE = "synapse_target_predictions_ssa_v2"
DEFAULT_MULTI_INPUT_TABLE = "synapse_spine_mapping_v2"
DEFAULT_CELL_TYPE_VIEW = "aibs_cell_info"
DEFAULT_CELL_TYPE_COLUMN = "cell_type"

MAX_STATE = 100_000_000
"""Largest size of a state in bytes, which is the limit of the state server."""

DEFAULT_CONCURRENCY = 8
MAX_CONCURRENCY = 64

BETWEEN = "between"
"""Name of the direction of synapses between cells that are shown together."""

SYNAPSE: Literal["synapse"] = "synapse"
"""Name of the direction of synapses that were given by their IDs."""

SAME_SPINE = "same spine"
"""Name of the direction of other synapses on the same spines."""

MULTI_INPUT = "multi-input"
"""Our own tag for synapses on spines with several inputs."""

UNLABELLED = "unlabelled"
"""Our own tag for synapses without a prediction."""

UNKNOWN_TYPE = "unknown"
"""Name of an unknown cell type: the cell has no type, or there is no cell."""

_MAX_DIGITS = 10


@dataclass(frozen=True, kw_only=True)
class Service:
    """The CAVE server, the datastack, the token, and how long requests may take.

    Parameters
    ----------
    server
        CAVE server (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token (otherwise CAVE_TOKEN, or the token that caveclient saved).
    sandbox
        Use the embedded CAVE on this machine, with a synthetic cell.
    datastack
        Name of the datastack.
    timeout
        Longest time for one request, retries included, in seconds.
    concurrency
        Most requests to the server at a time.

    Raises
    ------
    UsageError
        When a value cannot be used.
    """

    server: str | None = None
    token_file: str | None = None
    sandbox: bool = False
    datastack: str = DEFAULT_DATASTACK
    timeout: float = 60.0
    concurrency: int = DEFAULT_CONCURRENCY

    def __post_init__(self) -> None:
        """Refuse invalid values."""
        settle_values(self)
        if not 0 < self.concurrency <= MAX_CONCURRENCY:
            raise UsageError(
                f"{self.concurrency} requests at a time are out of range.",
                f"Give --concurrency as a whole number between 1 and {MAX_CONCURRENCY}.",
            )
        if not 0 < self.timeout <= 24 * 3600:
            raise UsageError(
                f"A timeout of {self.timeout:g} s is out of range.",
                "Give --timeout in seconds, above 0 and at most a day.",
            )
        if not self.datastack.strip():
            raise UsageError("No datastack was given.", "Name one with --datastack.")
        if self.sandbox and self.server:
            raise UsageError(
                "Both --sandbox and --server were given, but only one server can be used.",
                "Give only one of them.",
            )
        _check_address("server", self.server)


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which synapses to query, and from where.

    Parameters
    ----------
    datastack
        Name of the datastack.
    version
        Materialization version: number, latest, or day such as 2026-03-07 (minnie65_public: 1718).
    table
        Table of predictions (minnie65_public: synapse_target_predictions_ssa_v2).
    server
        CAVE server (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token (otherwise CAVE_TOKEN, or the token that caveclient saved).
    sandbox
        Use the embedded CAVE on this machine, with a synthetic cell.
    inputs
        Show only the synapses that the cell receives.
    outputs
        Show only the synapses that the cell makes.
    tag
        Show only synapses with this tag; can be repeated.
    min_confidence
        Keep predictions with at least this confidence (0 to 1).
    max_confidence
        Keep predictions with at most this confidence (0 to 1).
    min_size
        Keep synapses of at least this size, in voxels.
    with_unlabelled
        Show synapses without a prediction as well.
    with_total
        Also count all synapses, with or without a prediction (2 more requests).
    multi_input
        Show synapses on spines with several inputs in layers of their own.
    multi_input_table
        Table that groups synapses by spine (minnie65_public: synapse_spine_mapping_v2).
    cell_types
        Show the cell type of each synapse's partner.
    cell_type_view
        CAVE view with cell types (minnie65_public: aibs_cell_info).
    cell_type_column
        Column of that view, such as cell_type, mtype or broad_type.
    strict
        Refuse an outdated root ID instead of following it to its successor.
    site
        Viewer: spelunker, google, an address (otherwise the datastack's own), or
        spelunker=ADDRESS for a copy.
    inline
        Put the whole state into the link, and upload nothing.
    timeout
        Longest time for one request, retries included, in seconds.
    concurrency
        Most requests to the server at a time, for all workers together.
    no_cache
        Do not use the local cache.

    Raises
    ------
    UsageError
        When a value cannot be used.
    """

    datastack: str = DEFAULT_DATASTACK
    version: str | int | None = None
    table: str | None = None
    server: str | None = None
    token_file: str | None = None
    sandbox: bool = False
    inputs: bool = False
    outputs: bool = False
    tag: tuple[str, ...] = ()
    min_confidence: float = 0.0
    max_confidence: float = 1.0
    min_size: float = 0.0
    with_unlabelled: bool = False
    with_total: bool = False
    multi_input: bool = False
    multi_input_table: str | None = None
    cell_types: bool = False
    cell_type_view: str | None = None
    cell_type_column: str = DEFAULT_CELL_TYPE_COLUMN
    strict: bool = False
    site: str | None = None
    inline: bool = False
    timeout: float = 60.0
    concurrency: int = DEFAULT_CONCURRENCY
    no_cache: bool = False

    def __post_init__(self) -> None:
        """Fill in the default profile, and refuse invalid values."""
        settle_values(self)
        is_default = self.datastack == DEFAULT_DATASTACK
        version = self.version
        if version is None:
            version = DEFAULT_VERSION if is_default else "latest"
        object.__setattr__(self, "version", _read_version(version))
        if self.table is None and is_default:
            object.__setattr__(self, "table", DEFAULT_TABLE)
        self._settle_extras(is_default=is_default)
        _ = self.service  # the record checks its own values
        _check_question(self)
        _check_address("site", self.site)

    @property
    def service(self) -> Service:
        """The address of the CAVE server."""
        return Service(**{field.name: getattr(self, field.name) for field in fields(Service)})

    def _settle_extras(self, *, is_default: bool) -> None:
        """Fill in the tables of spines and cell types, and drop tables not requested."""
        spines = self.multi_input_table or (DEFAULT_MULTI_INPUT_TABLE if is_default else None)
        view = self.cell_type_view or (DEFAULT_CELL_TYPE_VIEW if is_default else None)
        settled = {
            "multi_input_table": spines if self.multi_input else None,
            "cell_type_view": view if self.cell_types else None,
            "cell_type_column": (
                self.cell_type_column if self.cell_types else DEFAULT_CELL_TYPE_COLUMN
            ),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    @property
    def directions(self) -> tuple[Literal["inputs", "outputs"], ...]:
        """The requested directions: both, unless only one was chosen."""
        if self.inputs == self.outputs:
            return ("inputs", "outputs")
        return ("inputs",) if self.inputs else ("outputs",)


@dataclass(frozen=True, kw_only=True)
class Settings(ViewSettings, Question):
    """All options of a link: which synapses it shows, and how.

    All parameters of `Question`, then all of `synglancer.view_settings.ViewSettings`.

    Parameters
    ----------
    source
        Show synapses from a published source instead of querying CAVE.
    publish_to
        Publish the synapses of these cells there, and link to them.
    public_url
        Address at which viewers find the folder of --source or --publish-to.
    upload
        Upload the state of links on a source as well, so that they are short.

    Raises
    ------
    UsageError
        When a value cannot be used.
    """

    source: str | None = None
    publish_to: str | None = None
    public_url: str | None = None
    upload: bool = False

    def __post_init__(self) -> None:
        """Check both parts, and their combination."""
        settle_values(self)
        if self.color_by == "partner-type":
            object.__setattr__(self, "cell_types", True)
        of_source = [] if self.source is None else self._list_unasked()
        Question.__post_init__(self)
        for name in of_source:
            object.__setattr__(self, name, None)
        ViewSettings.__post_init__(self)
        self._check_source()
        if self.soft_filter and not self.min_confidence:
            raise UsageError(
                "--soft-filter needs --min-confidence.",
                "Give the confidence at which the sliders start, such as --min-confidence 0.7.",
            )
        if self.review:
            check_review(self)

    def _list_unasked(self) -> list[str]:
        """List options whose values come from the source; until then, they hold placeholders."""
        unasked = [name for name in ("version", "table") if getattr(self, name) is None]
        for name in unasked:
            object.__setattr__(self, name, "latest")
        return unasked

    def _check_source(self) -> None:
        if self.inline and self.upload:
            raise UsageError("Both --inline and --upload were given.", "Give only one of them.")
        sources = (self.source is not None) + (self.publish_to is not None)
        if sources > 1:
            raise UsageError("Both --source and --publish-to were given.", "Give only one of them.")
        if self.public_url is not None and not sources:
            raise UsageError(
                "--public-url needs a source.", "Give the folder of the source with --source."
            )
        _check_address("public-url", self.public_url)


def _read_version(given: int | str) -> int | str:
    text = str(given).strip()
    if text.lower() == "latest":
        return "latest"
    if re.fullmatch(r"[vV][0-9]+", text):
        text = text[1:]
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        with suppress(ValueError):
            return check_past(date.fromisoformat(text)).isoformat()
    digits = len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit()
    if not (digits and 0 < int(text) < 2**31):
        raise UsageError(
            f"{quote(text)} is not a materialization version.",
            "Give the version as a number (1718), a day (2026-03-07), or latest.",
        )
    return int(text)


def _check_question(settings: Question) -> None:
    if not all(tag.strip() for tag in settings.tag):
        raise UsageError(
            "An empty tag was given.",
            "Give a tag with --tag, such as spine, or leave out --tag to show all tags.",
        )
    for name in ("min_confidence", "max_confidence"):
        if not 0 <= getattr(settings, name) <= 1:
            raise UsageError(
                f"A confidence of {getattr(settings, name):g} is out of range.",
                f"Give --{name.replace('_', '-')} between 0 and 1.",
            )
    if settings.max_confidence < settings.min_confidence:
        raise UsageError(
            f"--min-confidence {settings.min_confidence:g} is above --max-confidence "
            f"{settings.max_confidence:g}.",
            "Give a --max-confidence that is at least --min-confidence.",
        )
    if not 0 <= settings.min_size < float("inf"):
        raise UsageError(
            f"A size of {settings.min_size:g} is out of range.",
            "Give --min-size as a number of voxels, 0 or more.",
        )
    if not settings.table:
        raise UsageError(
            f"The datastack {quote(settings.datastack)} has no table of predictions by default.",
            "Check the name of the datastack, or choose a table with --table.",
        )
    if settings.multi_input and not settings.multi_input_table:
        raise UsageError(
            f"The datastack {quote(settings.datastack)} has no table of spines by default.",
            "Choose a table with --multi-input-table, or leave out --multi-input.",
        )
    if settings.cell_types and not settings.cell_type_view:
        raise UsageError(
            f"The datastack {quote(settings.datastack)} has no view of cell types by default.",
            "Choose a view with --cell-type-view, or leave out --cell-types.",
        )


def _check_address(option: str, given: str | None) -> None:
    is_site = option == "site"
    if given is not None and not is_address(split_site(given)[1] if is_site else given):
        names = f", or one of the names {', '.join(SITES)}, or spelunker=ADDRESS for a copy of it"
        raise UsageError(
            f"{quote(given, 200)} is not an address.",
            f"Give --{option} as an address that begins with https:// or http://, without a "
            f"login or '#'{names if is_site else ''}.",
        )


def is_address(text: str) -> bool:
    """Whether a text is an http(s) address without login details, fragment or white space."""
    if "#" in text or " " in text or not text.isprintable():
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
        host = parts.hostname or ""
        host.encode("idna")  # no empty part, as in a..org, nor one of 64 letters
    except ValueError:
        return False
    named = bool(host) and not host.startswith("*")  # which requests refuses
    return parts.scheme in {"http", "https"} and named and "@" not in parts.netloc
