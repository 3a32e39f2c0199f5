"""Render links through templates; the only module that imports Jinja2.

Values in templates are data: markup in a tag or in a server's text is escaped by the rules of each
format.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape

from synglancer.errors import UsageError
from synglancer.render.escapes import (
    escape_latex,
    escape_latex_url,
    escape_markdown,
    escape_markdown_url,
    escape_rst,
    escape_rst_url,
    format_json,
    format_latex_rgb,
    format_python,
)
from synglancer.render.picture_options import check_latex_name
from synglancer.render.templates import templates_folder
from synglancer.settings import UNKNOWN_TYPE
from synglancer.states.layer_names import get_sign, split_layer_name
from synglancer.states.login import build_login_notice
from synglancer.states.reader import list_layers
from synglancer.text.printable import printable
from synglancer.view.colors import PALETTES, choose_colors, is_color

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from synglancer.links.link_record import LinkRecord

CardFormat = Literal["markdown", "html", "latex", "rst"]

_TEMPLATES: dict[CardFormat, str] = {
    "markdown": "card.md.j2",
    "html": "card.html.j2",
    "latex": "card.tex.j2",
    "rst": "card.rst.j2",
}
_HTML = "html.j2"
# Errors that a user's template can raise.
_FAILURES = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, RecursionError)
_BAR_BLOCKS = 20


@dataclass(frozen=True)
class CountRow:
    """One row of a card's table.

    Attributes
    ----------
    direction, tag
        The synapses.
    count
        Their number.
    bar
        Length of their bar, as text of block characters.
    share
        The same as a share of the longest bar, 0 to 1.
    colour
        Of their layer, ``#rrggbb``.
    sign
        A character that looks like their markers; empty for other layers.
    """

    direction: str
    tag: str
    count: int
    bar: str
    share: float
    colour: str
    sign: str = ""


@dataclass(frozen=True)
class TypeRow:
    """One type of the partners.

    Attributes
    ----------
    name
        The type.
    partners
        Number of cells of this type.
    colour
        Its colour in the view, ``#rrggbb``; None if the view is coloured by something else.
    """

    name: str
    partners: int
    colour: str | None


def render_card(
    link: LinkRecord,
    card_format: CardFormat,
    *,
    template: Path | None = None,
    picture: Path | str | None = None,
    qr: Path | str | None = None,
) -> str:
    """Render one link as a card: the link, its counts and their source.

    Parameters
    ----------
    link
        The link.
    card_format
        Markdown, HTML (a fragment), reStructuredText or LaTeX (needs ``hyperref``, ``graphicx``
        where there is a picture, and ``xcolor`` for its colours).
    template
        The user's own template, instead of ours.
    picture, qr
        A picture of the view and a QR code. A path is named in the card; HTML holds the file
        itself. Text is used as it is: an address, or a data URI.

    Returns
    -------
    str
        Text to paste, without a final line break.

    Raises
    ------
    UsageError
        When the format cannot show a picture of that name, or the user's template fails.
    """
    return render_template(
        _TEMPLATES[card_format],
        template,
        link=link,
        timestamp=f"{link.timestamp:%Y-%m-%d}",
        rows=build_count_rows(link),
        types=build_type_rows(link),
        filters=describe_filters(link.filters),
        notice=build_login_notice(link.url, link.state),
        table_notice=link.provenance.notice,
        picture=_place_picture(picture, card_format),
        qr=_place_picture(qr, card_format),
    ).strip()


def build_count_rows(link: LinkRecord) -> list[CountRow]:
    """Build the rows of a table of counts, in the order of the link's counts."""
    rows = [
        (direction, tag, count)
        for direction, tags in link.counts_by_tag.items()
        for tag, count in tags.items()
    ]
    most = max((count for _, _, count in rows), default=0)
    colours = choose_colors([tag for _, tag, _ in rows], PALETTES["paper"])
    for layer in list_layers(link.state):
        direction, tag = split_layer_name(layer["name"])
        colour = layer.get("annotationColor")
        if is_color(colour):
            colours[f"{direction}: {tag}"] = colour
    return [
        CountRow(
            direction,
            tag,
            count,
            bar=_format_bar(count / most if most else 0),
            share=count / most if most else 0,
            colour=colours.get(f"{direction}: {tag}", colours[tag]),
            sign=get_sign(direction),
        )
        for direction, tag, count in rows
    ]


def build_type_rows(link: LinkRecord) -> list[TypeRow]:
    """List the types of the partners, the most frequent first and unknown types last."""
    types = link.provenance.cell_types
    partners, colours = (types.partners, types.colours) if types else ({}, {})
    order = sorted(partners, key=lambda name: (name == UNKNOWN_TYPE, -partners[name], name))
    return [TypeRow(name, partners[name], colours.get(name)) for name in order]


def _format_bar(share: float) -> str:
    """Draw a bar of block characters; every count above 0 has at least the thinnest one."""
    eighths = max(round(share * _BAR_BLOCKS * 8), int(share > 0))
    return "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]


def describe_filters(filters: Mapping[str, Any]) -> list[str]:
    """Describe the active filters in words; empty if all synapses are shown.

    Soft filters are not listed, because the link's warnings say how many synapses the sliders hide
    at first.
    """
    described = []
    if tags := filters.get("tag"):
        described.append("tag " + " or ".join(tags))
    confidence = filters.get("min_confidence")
    if confidence is not None and not filters.get("soft_filter"):
        described.append(f"confidence at least {confidence:g}")
    if (most := filters.get("max_confidence")) is not None:
        described.append(f"confidence at most {most:g}")
    if (size := filters.get("min_size")) is not None:
        described.append(f"size at least {size:,g} voxels")
    return described


def format_data_uri(content: bytes, suffix: str) -> str:
    """Encode a picture as a data URI, so that a page needs no other file."""
    kind = {".svg": "svg+xml"}.get(suffix, suffix[1:])
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _place_picture(picture: Path | str | None, card_format: CardFormat) -> str | None:
    """Say how a card names a picture."""
    if picture is None or isinstance(picture, str):
        return picture
    if card_format == "html":
        return format_data_uri(picture.read_bytes(), picture.suffix.lower())
    name = picture.as_posix()
    if card_format != "latex":
        return quote(name, safe="/:.,+=@~")
    check_latex_name(name)
    return name


def render_template(name: str, own: Path | None = None, **variables: Any) -> str:
    """Render a template with variables.

    Parameters
    ----------
    name
        A built-in template, such as ``report.html.j2``.
    own
        The user's file to use instead. It may include and extend built-in templates; HTML is
        escaped as in the built-in template.
    **variables
        As the template documents them.

    Raises
    ------
    UsageError
        When the user's template cannot be read, or fails.
    """
    environment = _environment()
    if own is None:
        return environment.get_template(name).render(variables)
    folders = [str(own.parent), str(templates_folder())]
    overlay = environment.overlay(
        loader=FileSystemLoader(folders),
        autoescape=name.endswith(_HTML) or select_autoescape([_HTML]),
    )
    try:
        return overlay.get_template(own.name).render(variables)
    except (TemplateError, OSError, *_FAILURES) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise UsageError(
            f"The template {own} fails{where}: {str(error).rstrip('.')}.",
            "Compare it with the built-in template (`synglancer templates show`), which lists "
            "the variables at its top.",
        ) from error


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        # Jinja2 escapes HTML; for other formats, the filters below do.
        autoescape=select_autoescape([_HTML]),
        undefined=StrictUndefined,
        # A card can be printed on a terminal, whatever a tag's name contains.
        finalize=_finalize,
        keep_trailing_newline=False,
    )
    environment.filters.update(
        md=escape_markdown,
        mdurl=escape_markdown_url,
        tex=escape_latex,
        texurl=escape_latex_url,
        texrgb=format_latex_rgb,
        rst=escape_rst,
        rsturl=escape_rst_url,
        json=format_json,
        python=format_python,
    )
    return environment


def _finalize(value: Any) -> Any:
    """Make a text printable; markup has already been made from printable values."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
