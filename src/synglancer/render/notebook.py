"""Views in a notebook."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from synglancer.cave.auth import is_loopback
from synglancer.errors import UsageError, needs_extra
from synglancer.render.cards import render_template
from synglancer.states.login import build_login_notice

if TYPE_CHECKING:
    from synglancer.links.link_record import LinkRecord

_LENGTH = re.compile(r"[1-9][0-9]{0,4}(px|%|em|rem|vw|vh)?")


def show_link(link: LinkRecord, width: int | str, height: int | str) -> None:
    """Display the viewer of a link below the cell that runs.

    Parameters
    ----------
    link
        The link.
    width, height
        In pixels, or a CSS length such as ``80%``.

    Raises
    ------
    UsageError
        When a length is invalid, or IPython is not installed.
    """
    for length in (width, height):
        if not _LENGTH.fullmatch(str(length)):
            raise UsageError(
                f"{length!r} is not a valid width or height.",
                "Give pixels, such as 600, or '100%'.",
            )
    told = "The view cannot be shown here without IPython."
    with needs_extra("notebook", told, "open link.url in a browser"):
        from IPython.display import display
    frame = render_template(
        "frame.html.j2",
        link=link,
        width=width,
        height=height,
        notice=build_login_notice(link.url, link.state),
        local=is_loopback(urlsplit(link.url).hostname),
    )
    # Where HTML cannot be shown, as in a terminal, show the link.
    display({"text/html": frame, "text/plain": link.url}, raw=True)
