"""The `Link` that a user holds: what is known of it, with its tables, its settings and its view.

pandas is imported only when a table is asked for, Jinja2 and numpy when a card is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import orjson

from synglancer.errors import UsageError
from synglancer.links.link_record import LinkRecord
from synglancer.python.boundary import public, say_in_python
from synglancer.states.urls import hash_state, parse_link

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from synglancer.settings import Settings


@dataclass(frozen=True, repr=False)
class Link(LinkRecord):
    """A link that shows the synapses of a cell, or of several together.

    Its attributes are those of `synglancer.links.link_record.LinkRecord`.
    """

    @classmethod
    def of(cls, record: LinkRecord) -> Link:
        """Make a link of what is known of it, its warnings in Python's words."""
        known = {field.name: getattr(record, field.name) for field in fields(record)}
        known["warnings"] = [say_in_python(sentence) for sentence in record.warnings]
        return cls(**known)

    __hash__ = LinkRecord.__hash__  # else a dataclass hashes its fields, some of which are lists

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
        """The synapses that the link shows, read from its state, or from its published source.

        Columns and dtypes as `synglancer.columns.DTYPES`; positions in nm. Where types
        of partners are shown, they are in a further column, ``partner_type``. ``attrs`` says where
        the rows are from and in which unit, as caveclient does, so that `make_link` takes a part
        of them as ``inputs`` or ``outputs``.
        """
        from synglancer.links.filling import fill_state
        from synglancer.states.predictions import parse_predictions

        frame = parse_predictions(fill_state(self.state))
        told = {
            "datastack_name": self.datastack,
            "materialization_version": self.version,
            "table_name": self.table,
        }
        frame.attrs |= {name: value for name, value in told.items() if value}
        frame.attrs["dataframe_resolution"] = [1.0, 1.0, 1.0]
        return frame

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
    @public
    def from_url(cls, url: str, token: str | None = None, timeout: float = 60.0) -> Link:
        """Read a link back: ours whole, any other Neuroglancer link as far as it says.

        Parameters
        ----------
        url
            The link: with a state's address (1 request) or with the state in it (none).
        token
            Sent to the host that the link names. Without it, your own CAVE server
            (``SYNGLANCER_SERVER``, else the default one) gets its token from where every command
            looks, and another host only one that was saved for that very host.
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
        from synglancer.cave.access import fetch_link_state  # imports requests
        from synglancer.links.filling import fill_state
        from synglancer.states.provenance import parse_provenance
        from synglancer.states.reader import parse_link_state

        started = time.monotonic()
        parsed = parse_link(url)
        text = parsed.state
        if parsed.state_url is not None:
            text = fetch_link_state(parsed.state_url, token=token, timeout=timeout)
        state = parse_link_state(parsed, text)
        provenance, warnings = parse_provenance(fill_state(state, partners=False))
        return cls(
            given=url,
            url=url.strip(),
            state_url=parsed.state_url,
            state_id=parsed.state_url.rsplit("/", 1)[-1] if parsed.state_url else None,
            state_sha256=hash_state(text or b"") or "",
            provenance=provenance,
            warnings=warnings,
            state_json=orjson.dumps(state),  # in its own order, which is that of axes
            elapsed_s=time.monotonic() - started,
        )

    @public
    def open(self) -> None:
        """Open the link in the browser of this machine.

        Raises
        ------
        UsageError
            When there is none, as on a server: copy `url` then.
        """
        import webbrowser

        if not webbrowser.open(self.url):
            raise UsageError(
                "No browser could be opened on this machine.",
                "Open link.url in a browser of your own, or use link.show() in a notebook.",
            )

    @public
    def save(self, path: str | Path) -> Path:
        """Save the link: as a card, its state, or a picture, by the ending of the file's name.

        Parameters
        ----------
        path
            ``.html``, ``.md``, ``.rst`` or ``.tex`` for a card (the page holds a plot of the
            synapses); ``.json`` for the state, which `from_state`, viewers and every command of
            ``synglancer`` read; ``.png`` or ``.svg`` for the plot alone.

        Returns
        -------
        pathlib.Path
            The file, which is written whole or not at all.

        Raises
        ------
        UsageError
            When the ending is another one, or the file cannot be written.

        Examples
        --------
        >>> link.save("card.html")  # doctest: +SKIP
        """
        from synglancer.render.saving import save_link  # Jinja2, numpy

        return save_link(self, path)

    @public
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

    def __repr__(self) -> str:
        """Name the cells, what is shown and where it comes from, in a line."""
        shown = f"{self.shown:,} synapse{'' if self.shown == 1 else 's'}"
        place = f"{self.datastack} version {self.version}" if self.datastack else "another tool"
        return f"<Link to {self.subject or 'no cell'}: {shown}, {place}>"

    def __str__(self) -> str:
        """Return the link itself, so that ``print(link)`` gives what is pasted."""
        return self.url

    def _repr_html_(self) -> str:
        """Show the link in Jupyter as a card: a plot, the link, the counts and the provenance."""
        from synglancer.render.saving import render_page_card  # Jinja2, numpy

        return render_page_card(self)

    def _repr_markdown_(self) -> str:
        """Show the link as a card in Markdown."""
        from synglancer.render.cards import render_card

        return render_card(self, "markdown")
