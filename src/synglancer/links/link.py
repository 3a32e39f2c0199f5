"""The `Link` that a user holds, and `Skipped` where there is none.

pandas is imported only when a table is asked for.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from synglancer.cells.parse import name_cells
from synglancer.states.provenance import read_followed, write_followed
from synglancer.states.urls import parse_link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from synglancer.settings import Settings

_CARD_SIZE = (480, 320)  # of the picture in a card, in pixels


@dataclass(frozen=True)
class Link:
    """A link that shows the synapses of a cell, or of several together, and where it comes from.

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

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Shown synapses per direction and tag.

        Columns ``direction`` (str), ``tag`` (str), ``count`` (int64).
        """
        import pandas as pd

        rows = [
            (direction, tag, count)
            for direction, tags in self.counts_by_tag.items()
            for tag, count in tags.items()
        ]
        frame = pd.DataFrame(rows, columns=["direction", "tag", "count"])
        return frame.astype({"direction": object, "tag": object, "count": "int64"})

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """The synapses that the link shows, read from its state.

        Columns and dtypes as `synglancer.synapses.predictions.DTYPES`; positions in nm. Where types
        of partners are shown, they are in a further column, ``partner_type``.
        """
        from synglancer.states.predictions import parse_predictions

        return parse_predictions(self.state)

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
    def from_record(cls, record: Mapping[str, Any], state_json: bytes, **changes: Any) -> Link:
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

    @cached_property
    def settings(self) -> Settings:
        """What was asked, beside the cells, as the state's provenance record has it.

        Raises
        ------
        UsageError
            When the state has no such record.
        """
        from synglancer.states.provenance import parse_settings

        return parse_settings(self.state)

    @classmethod
    def from_url(cls, url: str, token: str | None = None, timeout: float = 60.0) -> Link:
        """Read a link back: ours whole, any other Neuroglancer link as far as it says.

        Parameters
        ----------
        url
            The link: with a state's address (1 request) or with the state in it (none).
        token
            Sent to the host that the link names. Without it, only a token that was saved for that
            very host is sent.
        timeout
            Seconds that the request may take, repetitions included.

        Returns
        -------
        Link
            ``predictions`` are what the state shows; ``settings`` what was asked. What the state
            does not say is 0 or empty, and named in ``warnings``.

        Raises
        ------
        UsageError
            When it is no Neuroglancer link.
        ServiceError
            When its state cannot be fetched, or is none.

        Examples
        --------
        >>> Link.from_url("https://spelunker.cave-explorer.org/#!" + '{"layers":[]}').shown
        0
        """
        from synglancer.states.provenance import check_state, parse_provenance

        started = time.monotonic()
        parsed = parse_link(url)
        text = parsed.state
        if parsed.state_url is not None:
            text = _fetch_state(parsed.state_url, token, timeout)
        try:
            content = orjson.loads(text or b"")
        except orjson.JSONDecodeError:
            content = None
        state = check_state(content, parsed.state_url or "The link")
        canonical = orjson.dumps(state, option=orjson.OPT_SORT_KEYS)
        return cls(
            given=url,
            url=url.strip(),
            state_url=parsed.state_url,
            state_id=parsed.state_url.rsplit("/", 1)[-1] if parsed.state_url else None,
            state_sha256=hashlib.sha256(canonical).hexdigest(),
            state_json=canonical,
            **parse_provenance(state),
            elapsed_s=time.monotonic() - started,
        )

    def show(self, width: int | str = "100%", height: int | str = 600) -> None:
        """Show the view itself in a notebook, below the cell that runs.

        A view of the sandbox is shown where the browser and the sandbox are on one machine. One
        that needs a login asks for it, and says so.

        Parameters
        ----------
        width, height
            In pixels; or as CSS has it, such as ``100%``.

        Raises
        ------
        UsageError
            When a length is none, or there is no IPython.

        Examples
        --------
        >>> make_link(864691135276234469, sandbox=True).show(height=400)  # doctest: +SKIP
        """
        from synglancer.render.notebook import show_link

        show_link(self, width, height)

    def __str__(self) -> str:
        """Return the link itself, so that ``print(link)`` gives what is pasted."""
        return self.url

    def _repr_html_(self) -> str:
        """Show the link in Jupyter as a card: a plot, the link, the counts and the provenance."""
        from synglancer.render.cards import format_data_uri, render_card  # Jinja2
        from synglancer.render.plot import plot_state  # imports numpy

        picture = None
        if self.shown:
            content = plot_state(self.state, size=_CARD_SIZE, scale=2)
            picture = format_data_uri(content, ".png")
        return render_card(self, "html", picture=picture)

    def _repr_markdown_(self) -> str:
        """Show the link as a card in Markdown."""
        from synglancer.render.cards import render_card

        return render_card(self, "markdown")


def _fetch_state(state_url: str, token: str | None, timeout: float) -> bytes:
    from synglancer.cave.auth import Credentials
    from synglancer.cave.http import Fetcher
    from synglancer.cave.tokens import find_saved_token

    address = urlsplit(state_url)
    if token is None and address.scheme == "https":
        token = find_saved_token(address.netloc)
    fetcher = Fetcher(Credentials(token, state_url), timeout)
    try:
        return fetcher.fetch(state_url)
    finally:
        fetcher.close()


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
