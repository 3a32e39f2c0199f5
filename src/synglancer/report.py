"""Links → what people read, through the templates: the only module that imports Jinja2.

It must not know how a link is made. What a template is given is data: markup in a tag or a
server's words arrives as text, in each format by its own rules.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

if TYPE_CHECKING:
    from synglancer.links import Link

CardFormat = Literal["markdown", "html", "latex"]

_TEMPLATES: dict[CardFormat, str] = {
    "markdown": "card.md.j2",
    "html": "card.html.j2",
    "latex": "card.tex.j2",
}
_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "·": r"\textperiodcentered{}",
}


def render_card(link: Link, card_format: CardFormat) -> str:
    """Render one link as a card: the link, its counts and where they come from.

    Parameters
    ----------
    link
        The link.
    card_format
        Markdown, HTML (a fragment) or LaTeX (needs ``hyperref``).

    Returns
    -------
    str
        Text to paste, without a final line break.
    """
    template = _environment().get_template(_TEMPLATES[card_format])
    return template.render(link=link, timestamp=f"{link.timestamp:%Y-%m-%d}").strip()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_folder()),
        # HTML is escaped by Jinja2; for the others the filters below know the rules.
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        # Whatever a server calls a tag, a card can be printed on a terminal.
        finalize=lambda value: _printable(value) if isinstance(value, str) else value,
        keep_trailing_newline=False,
    )
    environment.filters.update(
        md=escape_markdown, mdurl=escape_markdown_url, tex=escape_latex, texurl=escape_latex_url
    )
    return environment


def templates_folder() -> Path:
    """Return the folder of the templates: in the package, or beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent.parent / "templates"


def escape_markdown(text: str) -> str:
    """Make a text mean itself in Markdown, also in a table and where HTML is allowed."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$^@:-])", r"\\\1", _one_line(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_markdown_url(url: str) -> str:
    """Make an address fit between the parentheses of a Markdown link."""
    return re.sub(r"[()<>\s\\|`*]", lambda found: f"%{ord(found[0]):02X}", url)


def escape_latex(text: str) -> str:
    """Make a text mean itself in LaTeX."""
    return "".join(_TEX.get(character, character) for character in _one_line(text))


def escape_latex_url(url: str) -> str:
    r"""Make an address fit into ``\href{}``, also within another macro's argument."""
    # hyperref undoes \# \% \& \_ only; the others mean the same when they are percent-encoded.
    encoded = re.sub(r"[{}~^\\$\s]", lambda found: f"%{ord(found[0]):02X}", url)
    return re.sub(r"([#%&_])", r"\\\1", encoded)


def _one_line(text: str) -> str:
    return " ".join(_printable(text).split())


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
