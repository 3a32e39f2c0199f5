"""Save a link as a card, a state or a plot, depending on the file extension."""

from __future__ import annotations

from contextlib import suppress
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from synglancer.cache.files import write_file
from synglancer.errors import PictureError, ServiceError, UsageError
from synglancer.render.cards import CardFormat, format_data_uri, render_card
from synglancer.render.plot import plot_state

if TYPE_CHECKING:
    from synglancer.links.link_record import LinkRecord

_CARD_SIZE = (480, 320)  # of the picture in a card, in pixels
_CARDS: dict[str, CardFormat] = {".md": "markdown", ".rst": "rst", ".tex": "latex"}
_PAGES = (".html", ".htm")
_PLOTS = (".png", ".svg")
_ENDINGS = (*_PAGES, *_CARDS, ".json", *_PLOTS)


def save_link(link: LinkRecord, path: str | Path) -> Path:
    """Write a file about a link, as `synglancer.Link.save` says.

    Raises
    ------
    UsageError
        When the extension is not supported, or the file cannot be written.
    """
    path = Path(path).expanduser()
    if not path.parent.is_dir():
        raise UsageError(
            f"The file {path} cannot be written: its folder does not exist.",
            "Make the folder first.",
        )
    content = _render(link, path)
    try:
        write_file(path, content)
    except OSError as error:
        raise UsageError(
            f"The file {path} cannot be written: {error.strerror or type(error).__name__}.",
            "Choose a file in a folder that exists and that you may write to.",
        ) from error
    return path


def _render(link: LinkRecord, path: Path) -> bytes:
    suffix = path.suffix.lower()
    if suffix in _PAGES:
        return _wrap_page(link, render_page_card(link)).encode()
    if suffix in _CARDS:
        return f"{render_card(link, _CARDS[suffix])}\n".encode()
    if suffix == ".json":
        return link.state_json + b"\n"
    if suffix in _PLOTS:
        return plot_state(link.state, suffix=suffix, scale=2 if suffix == ".png" else 1)
    raise UsageError(
        f"The name {path.name!r} has no known extension.",
        f"Use one of the extensions {', '.join(_ENDINGS)}.",
    )


def render_page_card(link: LinkRecord) -> str:
    """Render a link as a card in HTML, with a plot of its synapses if it has any."""
    picture = None
    if link.shown:
        with suppress(ServiceError, PictureError):  # its source cannot be read, or it shows nothing
            content = plot_state(link.state, size=_CARD_SIZE, scale=2)
            picture = format_data_uri(content, ".png")
    return render_card(link, "html", picture=picture)


def _wrap_page(link: LinkRecord, card: str) -> str:
    title = escape(f"Synapses of {link.subject}")
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{title}</title></head>\n<body>\n{card}\n</body>\n</html>\n"
    )
