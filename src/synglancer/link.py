"""The `Link` that a user holds: what is known of it, with its tables, its settings and its view.

pandas is imported only when a table is asked for, Jinja2 and numpy when a card is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import orjson

from synglancer.errors import UsageError
from synglancer.links.link_record import LinkRecord
from synglancer.python.boundary import public, say_in_python
from synglancer.states.urls import hash_state, parse_link

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from caveclient.frameworkclient import CAVEclient, CAVEclientGlobal
    from neuroglancer import ViewerState
    from nglui.statebuilder import ViewerState as NgluiState
    from typing_extensions import Unpack

    from synglancer.python.options import StorageOptions
    from synglancer.settings import Settings
    from synglancer.view.objects import Library


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
    @public
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
    @public
    def verdicts(self) -> pd.DataFrame:
        """What was marked in a review, read from the link that its reviewer shared.

        Columns and dtypes as `synglancer.states.reviews.verdicts.COLUMNS`: a row for each synapse.

        Raises
        ------
        UsageError
            When the link is no review.
        """
        from synglancer.states.reviews.verdicts import parse_verdicts

        return parse_verdicts(self.state).table

    @cached_property
    @public
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

    @classmethod
    @public
    def from_state(
        cls,
        state: Any,
        settings: Settings | None = None,
        *,
        client: CAVEclient | CAVEclientGlobal | None = None,
        **options: Unpack[StorageOptions],
    ) -> Link:
        """Store a state and make the short link that opens it.

        Parameters
        ----------
        state
            What `viewer_state` gave, with what you added to it; any ViewerState or viewer of nglui
            or neuroglancer; a dict, JSON text, or the path of a JSON file.
        settings
            Where it is stored, as a record.
        client
            Your ``caveclient.CAVEclient``: its server and token are used.
        **options
            Or by keyword: ``server``, ``token_file``, ``sandbox``, ``datastack`` (its viewer opens
            the link), ``site``, ``inline`` (nothing is stored), ``timeout`` and ``no_cache``, as in
            `synglancer.Settings`.

        Returns
        -------
        Link
            Its state was read back from where it is stored. What it shows is read from the state,
            as `from_url` does; ``warnings`` name what a viewer would not show.

        Raises
        ------
        UsageError
            When it is no state, or holds an ID that was rounded.
        ServiceError
            When the server refuses it, or gives back another one.

        Examples
        --------
        >>> view = link.viewer_state()  # doctest: +SKIP
        >>> view.add_points(df, point_column="pt_position", name="mine")  # doctest: +SKIP
        >>> Link.from_state(view, client=client)  # doctest: +SKIP
        """
        from synglancer.links.kinds.stored_state import store_state  # imports requests
        from synglancer.python.clients import settle_storage
        from synglancer.python.own_state import read_own_state

        asked = settle_storage(settings, options, client)
        return cls.of(store_state(read_own_state(state), asked.settings, asked.token))

    @overload
    def viewer_state(self, library: Literal["nglui"] = "nglui") -> NgluiState: ...

    @overload
    def viewer_state(self, library: Literal["neuroglancer"]) -> ViewerState: ...

    @public
    def viewer_state(self, library: Library = "nglui") -> Any:
        """Return the view as an object of the library that you make views with.

        Parameters
        ----------
        library
            ``nglui`` for an ``nglui.statebuilder.ViewerState``; ``neuroglancer`` for a
            ``neuroglancer.ViewerState``. Both hold the whole state, and take further layers;
            `from_state` makes a link of it again.

        Raises
        ------
        UsageError
            When the library is another one.

        Examples
        --------
        >>> link.viewer_state().layer_names  # doctest: +SKIP
        """
        from synglancer.view.objects import build_viewer_state  # imports nglui

        return build_viewer_state(self.state, library)

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
