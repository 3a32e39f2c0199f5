"""The class `Link` of the Python API: a link with its tables, settings and view.

pandas is imported only for tables, and Jinja2 and numpy only for cards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, overload

import orjson

from synglancer.errors import UsageError
from synglancer.links.link_record import LinkRecord
from synglancer.option_values import read_value
from synglancer.python.boundary import public, say_in_python
from synglancer.settings import Service
from synglancer.states.urls import hash_state, parse_link
from synglancer.text.printable import quote

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
    """A link that shows the synapses of a cell, or of several cells together.

    Its attributes are those of `synglancer.links.link_record.LinkRecord`.
    """

    @classmethod
    def of(cls, record: LinkRecord) -> Link:
        """Make a `Link` from a record, with its warnings in terms of Python."""
        known = {field.name: getattr(record, field.name) for field in fields(record)}
        known["warnings"] = [say_in_python(sentence) for sentence in record.warnings]
        return cls(**known)

    __hash__ = LinkRecord.__hash__  # a dataclass would hash its fields, and some are lists

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Numbers of shown synapses by direction and tag.

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

        Columns and dtypes as `synglancer.columns.DTYPES`; positions in nm. If the link shows cell
        types, the column ``partner_type`` holds the partner's type. As in tables from caveclient,
        ``attrs`` holds the source and the unit, so you can pass a part of the rows to `make_link`
        as ``inputs`` or ``outputs``.
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
        """The marks of a review, read from the link that the reviewer shared.

        Columns and dtypes as `synglancer.states.reviews.verdicts.COLUMNS`: a row for each synapse.

        Raises
        ------
        UsageError
            When the link is not a review.
        """
        from synglancer.states.reviews.verdicts import parse_verdicts

        return parse_verdicts(self.state).table

    @cached_property
    @public
    def settings(self) -> Settings:
        """The options of the link, read from the provenance record in its state.

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
        """Read a link: one made by synglancer completely, any other as far as possible.

        Parameters
        ----------
        url
            The link, with the address of a state (1 request) or with the state itself (no request).
        token
            Token for the host in the link. By default, your own CAVE server (``SYNGLANCER_SERVER``,
            or else the default server) gets your token as usual, and any other host gets only a
            token that was saved for that host.
        timeout
            Longest time for the request, in seconds, retries included.

        Returns
        -------
        Link
            ``predictions`` holds the synapses in the state, and ``settings`` the options. Values
            that the state does not hold are 0 or empty, and listed in ``warnings``.

        Raises
        ------
        UsageError
            When it is not a Neuroglancer link.
        ServiceError
            When its state cannot be fetched or is not a Neuroglancer state.

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
        if not isinstance(url, str | PurePath):
            raise UsageError(
                f"{quote(url)} is not a link.",
                "Give a Neuroglancer link as text, or the path of a state's JSON file.",
            )
        token = read_value("token", token, str | None)
        timeout = Service(timeout=timeout).timeout  # which checks it
        url = str(url)
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
            state_json=orjson.dumps(state),  # in the order of the axes
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
        """Store a state, and make a short link that opens it.

        Parameters
        ----------
        state
            The result of `viewer_state` with your changes, any ViewerState or viewer of nglui or
            neuroglancer, a dict, JSON text, or the path of a JSON file.
        settings
            Options as a record.
        client
            Your ``caveclient.CAVEclient``: its server and token are used.
        **options
            Options by keyword: ``server``, ``token_file``, ``sandbox``, ``datastack`` (its viewer
            opens the link), ``site``, ``inline`` (nothing is stored), ``timeout`` and ``no_cache``,
            as in `synglancer.Settings`.

        Returns
        -------
        Link
            Its state has been stored and read back. Its attributes are read from the state, as in
            `from_url`, and ``warnings`` lists problems that keep viewers from showing it.

        Raises
        ------
        UsageError
            When it is not a state, or holds a rounded ID.
        ServiceError
            When the server refuses the state or returns a different one.

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
        """Return the view as an object of nglui or neuroglancer.

        Parameters
        ----------
        library
            ``nglui`` for an ``nglui.statebuilder.ViewerState``; ``neuroglancer`` for a
            ``neuroglancer.ViewerState``. Both hold the whole state. You can add layers and make a
            new link with `from_state`.

        Raises
        ------
        UsageError
            When the library is not one of these.

        Examples
        --------
        >>> link.viewer_state().layer_names  # doctest: +SKIP
        """
        from synglancer.view.objects import build_viewer_state  # imports nglui

        return build_viewer_state(self.state, library)

    @public
    def open(self) -> None:
        """Open the link in the web browser on this machine.

        Raises
        ------
        UsageError
            When there is no browser, for instance on a server. Then copy `url` instead.
        """
        import webbrowser

        if not webbrowser.open(self.url):
            raise UsageError(
                "No browser could be opened on this machine.",
                "Copy link.url into a browser, or use link.show() in a notebook.",
            )

    @public
    def save(self, path: str | Path) -> Path:
        """Save the link as a card, a state or a picture, depending on the file extension.

        Parameters
        ----------
        path
            ``.html``, ``.md``, ``.rst`` or ``.tex`` for a card (the page holds a plot of the
            synapses); ``.json`` for the state, which `from_state` and all ``synglancer`` commands
            can read; ``.png`` or ``.svg`` for a plot.

        Returns
        -------
        pathlib.Path
            Path of the file, which is written completely or not at all.

        Raises
        ------
        UsageError
            When the extension is not one of these, or the file cannot be written.

        Examples
        --------
        >>> link.save("card.html")  # doctest: +SKIP
        """
        from synglancer.render.saving import save_link  # Jinja2, numpy

        return save_link(self, path)

    @public
    def show(self, width: int | str = "100%", height: int | str = 600) -> None:
        """Show the viewer in a notebook, below the current notebook cell.

        A link to the sandbox can be shown only if the browser and the sandbox are on the same
        machine. If the data need a login, the viewer asks for it.

        Parameters
        ----------
        width, height
            In pixels, or a CSS length such as ``100%``.

        Raises
        ------
        UsageError
            When a length is invalid, or IPython is not installed.

        Examples
        --------
        >>> make_link(864691135276234469, sandbox=True).show(height=400)  # doctest: +SKIP
        """
        from synglancer.render.notebook import show_link

        show_link(self, width, height)

    def __repr__(self) -> str:
        """Describe the link in one line: cells, synapses, datastack and version."""
        shown = f"{self.shown:,} synapse{'' if self.shown == 1 else 's'}"
        place = f"{self.datastack} version {self.version}" if self.datastack else "another tool"
        return f"<Link to {self.subject or 'no cell'}: {shown}, {place}>"

    def __str__(self) -> str:
        """Return the URL, so that ``print(link)`` prints it."""
        return self.url

    def _repr_html_(self) -> str:
        """Show the link in Jupyter as a card: a plot, the link, the counts and the provenance."""
        from synglancer.render.saving import render_page_card  # Jinja2, numpy

        return render_page_card(self)

    def _repr_markdown_(self) -> str:
        """Show the link as a card in Markdown."""
        from synglancer.render.cards import render_card

        return render_card(self, "markdown")
