"""Whatever the tags are called, a card shows them as text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cave_sandbox.sample import identity
from render.card_examples import CELL, NASTY, URL, example_link, one_line
from synglancer.render.cards import CardFormat, render_card
from synglancer.render.escapes import (
    escape_latex,
    escape_latex_url,
    escape_markdown,
    escape_markdown_url,
)
from synglancer.render.templates import templates_folder
from synglancer.states.record import SYNTHETIC
from synglancer.states.urls import format_inline_link

FORMATS = get_args(CardFormat)
printable = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
LATEX_SPECIALS = {
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
}


class Page(HTMLParser):
    """Parse a page as a browser would: elements, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.cells: list[str] = []
        self._in_cell = False
        self.feed(text)
        self.close()
        self.text = one_line(" ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag in {"td", "th"}:
            self._in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self._in_cell = False

    def handle_data(self, data):
        self.words.append(data)
        if self._in_cell:
            self.cells[-1] += data


def read_html(link) -> Page:
    return Page(render_card(link, "html"))


def read_markdown(link) -> Page:
    """Read Markdown like a page that allows HTML, tables and strike-through, as on GitHub."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return Page(reader.render(render_card(link, "markdown")))


@pytest.mark.parametrize("word", NASTY)
def test_markup_arrives_as_text_in_html(word):
    """No text becomes an element or an attribute; each is shown unchanged."""
    page, plain = read_html(example_link(word)), read_html(example_link("word"))
    assert page.elements == plain.elements
    assert page.attributes == plain.attributes
    assert page.text.count(one_line(word)) == 6
    assert one_line(word) in [one_line(cell) for cell in page.cells]


@pytest.mark.parametrize("word", NASTY)
def test_markup_arrives_as_text_in_markdown(word):
    """Rendered as Markdown with HTML allowed, a text is text, and the table stays a table."""
    page, plain = read_markdown(example_link(word)), read_markdown(example_link("word"))
    assert page.elements == plain.elements
    assert page.attributes == plain.attributes
    assert page.text.count(one_line(word)) == 6
    assert [one_line(cell) for cell in page.cells] == [
        one_line(word) if cell == "word" else cell for cell in plain.cells
    ]


@settings(max_examples=60)
@given(printable)
def test_any_word_arrives_as_text(word):
    """The same holds for any printable text, in both formats."""
    for read in (read_html, read_markdown):
        page = read(example_link(word))
        assert page.elements == read(example_link("word")).elements
        assert one_line(word) in [one_line(cell) for cell in page.cells]


def test_markdown_shows_the_link_and_the_counts():
    """A card begins with the link, followed by the counts as a table."""
    page = read_markdown(example_link())
    assert ("href", URL) in page.attributes
    assert page.cells[-4:] == ["● inputs", "shaft", "1,234", "█" * 20]
    assert "1,234 of 5,678 synapses shown" in page.text
    assert "version 1718 (2026-03-07)" in page.text


@pytest.mark.parametrize("card_format", FORMATS)
@pytest.mark.parametrize("word", NASTY)
def test_cards_can_be_printed_on_a_terminal(card_format, word):
    """No card holds terminal commands."""
    card = render_card(example_link(word), card_format)
    assert all(line.isprintable() for line in card.split("\n"))


@pytest.mark.parametrize("card_format", FORMATS)
def test_cards_have_one_form(card_format):
    """A card holds cell, link and counts, and neither begins nor ends with a line break."""
    card = render_card(example_link(), card_format)
    assert str(CELL) in card
    assert "1,234" in card
    assert card == card.strip()


@pytest.mark.parametrize(("character", "escaped"), LATEX_SPECIALS.items())
def test_latex_escapes_each_special_character(character, escaped):
    """Each character that LaTeX would interpret or misprint is escaped so that it is shown."""
    assert escape_latex(f"a{character}b") == f"a{escaped}b"


@given(st.text())
@example("--")
def test_latex_obeys_nothing_of_a_text(text):
    """Apart from the escapes, no text contains a special character of LaTeX."""
    rest = re.sub(
        r"\\ifdefined\\Umathchar ([^\x00-\x7f]+)\\else \[U\+[0-9A-F U+]+\]\\fi\{\}",
        r"\1",
        escape_latex(text),
    )
    for escaped in sorted({*LATEX_SPECIALS.values(), r"\textperiodcentered{}"}, key=len)[::-1]:
        rest = rest.replace(escaped, "")
    rest = re.sub(r"([-'`?!])\{\}", r"\1", rest)  # keeps two characters from being joined
    assert not set(rest) & set(LATEX_SPECIALS)
    assert rest.isprintable()


@pytest.mark.parametrize("word", NASTY)
def test_a_latex_card_has_balanced_braces_and_no_commands_of_others(word):
    """The only commands are ours, and every brace is closed."""
    card = render_card(example_link(word), "latex")
    plain = render_card(example_link("word"), "latex")
    commands, ours = (set(re.findall(r"\\([A-Za-z]+)", text)) for text in (card, plain))
    ours |= {"ifdefined", "Umathchar", "else", "fi"}
    assert commands <= ours | {
        escaped[1:-2] for escaped in LATEX_SPECIALS.values() if escaped.endswith("{}")
    }
    bare = re.sub(r"\\[{}\\]", "", card)
    assert bare.count("{") == bare.count("}")
    special = re.compile(r"(?<!\\)[%$#_^~]")
    assert special.findall(card) == special.findall(plain)
    columns = re.compile(r"(?<!\\)&")
    assert len(columns.findall(card)) == len(columns.findall(plain))


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9)))
def test_addresses_survive_each_format(content):
    """A link with any state is the same address after each format's escapes."""
    url = format_inline_link("https://a.org/~x/$y", repr(content).encode())
    latex = escape_latex_url(url)
    assert re.search(r"(?<!\\)[#%&_]|[{}^~$]", latex) is None
    back = re.sub(r"\\([#%&_])", r"\1", latex)
    assert back.replace("%7E", "~").replace("%24", "$") == url
    reader = MarkdownIt("commonmark")
    page = Page(reader.render(f"[x]({escape_markdown_url(url)})"))
    assert page.elements == ["p", "a"]
    href = dict(page.attributes)["href"] or ""
    assert href.replace("%60", "`") == url.replace("%60", "`")


def test_markdown_urls_stay_inside_their_parentheses():
    """Characters that would end a Markdown link are percent-encoded."""
    escaped = escape_markdown_url("https://a.org/(x)<y> z|`*\\")
    assert escaped == "https://a.org/%28x%29%3Cy%3E%20z%7C%60%2A%5C"


def test_html_urls_stay_inside_their_attribute():
    """A quote in an address does not end the attribute."""
    page = read_html(example_link(url='https://a.org/#!"><script>'))
    assert ("href", 'https://a.org/#!"><script>') in page.attributes
    assert "script" not in page.elements


def test_plain_words_stay_readable():
    """Text without special characters is unchanged."""
    assert escape_markdown("épine 12, soma; ok.") == "épine 12, soma; ok."
    assert escape_latex("épine 12, soma; ok.") == "épine 12, soma; ok."


def test_characters_stay_apart_in_latex():
    """Two hyphens do not become a dash, nor two quotes another quote."""
    assert escape_latex("--tag '' a-b ---") == "-{}-tag '{}' a-b -{}-{}-"


def test_templates_are_found():
    """The folder of templates holds a card for each format."""
    assert len(list(templates_folder().glob("card.*.j2"))) == len(FORMATS)


def test_the_sandbox_says_that_its_data_are_synthetic():
    """The notice of the sandbox's table begins like that of synthetic data."""
    assert identity.SYNTHETIC.startswith(SYNTHETIC)
