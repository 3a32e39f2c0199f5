"""Cards in real renderers: docutils, pdfLaTeX and a Markdown parser; and their content."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest
from docutils.core import publish_parts
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from PIL import Image

from cli.latex import compile_latex as engine
from render.card_examples import NASTY, URL, example_link, one_line, tell
from synglancer.errors import UsageError
from synglancer.render.cards import build_count_rows, render_card
from synglancer.render.escapes import escape_rst


def make_pixel() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (2, 2), "#fb49b0").save(content, "PNG")
    return content.getvalue()


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        self.text = one_line(" ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


def read_rst(text: str) -> Page:
    """Read reStructuredText as Sphinx does; any complaint is an error."""
    settings = {"halt_level": 2, "report_level": 2, "raw_enabled": False}
    return Page(publish_parts(text, writer="html5", settings_overrides=settings)["html_body"])


@pytest.mark.parametrize("word", NASTY)
def test_markup_arrives_as_text_in_rst(word):
    """docutils renders any text as text, without complaint, and the table stays a table."""
    page, plain = (read_rst(render_card(example_link(w), "rst")) for w in (word, "word"))
    assert page.elements == plain.elements
    assert page.text.count(one_line(word)) == 6


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20))
def test_any_word_arrives_as_text_in_rst(word):
    """The same holds for any printable text, next to other text."""
    page = read_rst(f"a {escape_rst(word)} b")
    assert set(page.elements) <= {"main", "p"}
    assert page.text == f"a {word} b"


@pytest.mark.parametrize("url", [URL, "https://a.org/#!http://b.org/x_", "https://a.org/#!a`b<c>_"])
def test_addresses_survive_rst(url):
    """docutils links to exactly the address, whatever its end."""
    page = read_rst(render_card(example_link(url=url), "rst"))
    href = next(value or "" for key, value in page.attributes if key == "href")
    assert href.replace("%60", "`").replace("%3C", "<").replace("%3E", ">") == url


def compile_latex(text: str, folder, *, expect_pages: int = 1, packages: str = "graphicx") -> str:
    """Compile with a real engine, in which any error fails the test, and return its log."""
    head = rf"\documentclass{{article}}\usepackage{{{packages}}}\usepackage{{hyperref}}"
    (folder / "card.tex").write_text(
        f"{head}\\begin{{document}}\n{text}\n\\end{{document}}\n", encoding="utf-8"
    )
    log = engine(folder / "card.tex")
    assert f"({expect_pages} page" in log
    return log


def test_latex_compiles_with_every_nasty_word(tmp_path):
    """pdfLaTeX compiles cards with all difficult texts in one document without errors."""
    words = [*NASTY, "[x]", "*", "שלום", "👩‍🔬 neuron", "ÅØßłžñ", "µm ≥ 3"]
    cards = "\\newpage\n".join(render_card(example_link(word), "latex") for word in words)
    compile_latex(cards, tmp_path, expect_pages=len(words))


def test_latex_holds_the_very_address_and_the_picture(tmp_path):
    """The link in the PDF is the address, with its '#!', '%' and '_', and the picture is
    included."""
    (tmp_path / "a_cell.png").write_bytes(make_pixel())
    url = "https://a.org/x_y#!%7B%22a%22:1%7D&b"
    card = render_card(example_link(url=url), "latex", picture=Path("a_cell.png"))
    log = compile_latex("\\pdfcompresslevel=0\\pdfobjcompresslevel=0\n" + card, tmp_path)
    assert "a_cell.png" in log
    assert f"/URI({url})".encode() in (tmp_path / "card.pdf").read_bytes().replace(b" ", b"")


@pytest.mark.parametrize("package", ["xcolor", "color", "graphicx"])
def test_latex_has_the_colours_of_the_layers(tmp_path, package):
    """Markers and bars have the layers' colours in the PDF, and no colours without a package for
    them."""
    counts = {"inputs": {"spine": 10}, "outputs": {"soma": 5}, "between": {"shaft": 1}}
    card = render_card(tell(example_link(), counts=counts), "latex")
    text = "\\pdfcompresslevel=0\\pdfobjcompresslevel=0\n" + card
    compile_latex(text, tmp_path, packages=package)
    page = (tmp_path / "card.pdf").read_bytes()
    for colour in ("0.984 0.286 0.690", "0.000 0.745 1.000", "0.867 0.702 0.063"):
        assert page.count(f"{colour} rg".encode()) == (0 if package == "graphicx" else 2), colour
    assert ["$\\bullet$" in card, "$\\circ$" in card, "$\\odot$" in card] == [True] * 3


@pytest.mark.parametrize(("card_format", "mark"), [("markdown", "| "), ("rst", "- ")])
def test_signs_stand_for_markers_where_there_are_no_colours(card_format, mark):
    """Markdown and reStructuredText, which have no colours, mark each direction with its sign."""
    counts = {"inputs": {"spine": 10}, "outputs": {"soma": 5}, "between": {"shaft": 1}}
    card = render_card(tell(example_link(), counts=counts), card_format)
    for named in ("● inputs", "○ outputs", "◎ between"):
        assert f"{mark}{named}" in card


@pytest.mark.parametrize("name", ["a%b.png", "a#b.png", "cell.svg"])
def test_latex_refuses_pictures_that_it_cannot_include(name):
    """A name that LaTeX would misread is refused instead of breaking the document."""
    with pytest.raises(UsageError):
        render_card(example_link(), "latex", picture=Path(name))


def test_pictures_stand_beside_text_cards_and_inside_html(tmp_path):
    """Markdown and reStructuredText name the picture file; HTML contains it."""
    path = tmp_path / "my (cell) 1.png"
    path.write_bytes(make_pixel())
    html = Page(render_card(example_link(), "html", picture=path))
    assert (dict(html.attributes)["src"] or "").startswith("data:image/png;base64,iVBOR")
    name = Path("pictures/my (cell) 1.png")
    markdown = Page(MarkdownIt("gfm-like", {"linkify": False}).render(
        render_card(example_link(), "markdown", picture=name, qr=name)
    ))  # fmt: skip
    assert [value for key, value in markdown.attributes if key == "src"] == [
        "pictures/my%20%28cell%29%201.png"
    ] * 2
    rst = read_rst(render_card(example_link(), "rst", picture=name))
    assert ("src", "pictures/my%20%28cell%29%201.png") in rst.attributes


def test_every_picture_has_words_for_those_who_cannot_see_it():
    """Each image of a card has an alternative text."""
    for card_format in ("html", "markdown", "rst"):
        card = render_card(example_link(), card_format, picture="a.png", qr="b.svg")
        card = {"html": str, "markdown": MarkdownIt("commonmark").render}.get(
            card_format, lambda text: publish_parts(text, writer="html5")["html_body"]
        )(card)
        page = Page(card)
        assert page.elements.count("img") == 2
        assert [value for key, value in page.attributes if key == "alt"] == [
            f"Synapses of {example_link().cell}",
            "QR code of the link",
        ]


@pytest.mark.parametrize("card_format", ["html", "markdown", "latex", "rst"])
def test_login_is_announced_where_there_is_one(card_format):
    """Readers of a CAVE link are told to log in; readers of a sandbox or public link are not."""
    private = render_card(example_link(), card_format)
    assert "Google account" in private
    assert "sticky" in private
    public = render_card(
        example_link(url="http://127.0.0.1:1/v/s/#!http://127.0.0.1:1/nglstate/api/v1/5"),
        card_format,
    )
    assert "Google account" not in public
    other = example_link(url="https://a.org/#!https://b.org/nglstate/api/v1/5")
    source = {"url": "graphene://middleauth+https://cave.example.org/table/x"}
    state = orjson.dumps({"layers": [{"type": "segmentation", "source": [source]}]})
    assert "log in at" in render_card(replace(other, state_json=state), card_format)


@pytest.mark.parametrize("card_format", ["html", "markdown", "latex", "rst"])
def test_filters_are_named(card_format):
    """A card lists the filters if not all synapses were requested; a soft filter keeps all."""
    filters = {"tag": ["shaft", "spine"], "min_confidence": 0.9, "min_size": 1500.0}
    card = render_card(tell(example_link(), filters=filters), card_format)
    text = card.replace("\\", "")
    assert "(tag shaft or spine, confidence at least 0.9, size at least 1,500 voxels)" in text
    bounded = render_card(tell(example_link(), filters={"max_confidence": 0.7}), card_format)
    assert "(confidence at most 0.7)" in bounded.replace("\\", "")
    soft = {"min_confidence": 0.9, "soft_filter": True}
    for every in ({}, soft):
        card = render_card(tell(example_link(), filters=every), card_format)
        assert "confidence at least" not in card


def test_bars_are_in_proportion_and_in_the_layers_colours():
    """The longest bar is the largest count; every count has a bar; colours are those of the
    state."""
    state = {"layers": [{"name": "inputs: shaft", "annotationColor": "#123456"}]}
    link = tell(
        example_link(),
        counts={"inputs": {"shaft": 1000, "spine": 500, "soma": 1, "x": 0}},
    )
    link = replace(link, state_json=orjson.dumps(state))
    rows = build_count_rows(link)
    assert [row.tag for row in rows] == ["spine", "shaft", "soma", "x"]
    assert [row.bar for row in rows] == ["█" * 10, "█" * 20, "▏", ""]
    assert [row.share for row in rows] == [0.5, 1.0, 0.001, 0.0]
    assert [row.colour for row in rows[:2]] == ["#fb49b0", "#123456"]
    assert {row.sign for row in rows} == {"●"}
    card = render_card(link, "html")
    sign, bar = re.findall(r'<span style="color: #123456[^"]*"[^>]*>([^<]*)</span>', card)
    assert (sign, bar) == ("●", "█" * 20)


def test_a_card_says_itself_how_it_looks():
    """Each part of a table overrides the styles that pages give tables, and a QR code stays
    square."""
    card = render_card(example_link(), "html", picture="a.png", qr="b.svg")
    for element in re.findall(r"<(?:table|thead|tbody|tr|th|td|p|img)\b[^>]*>", card):
        assert " style=" in element, element
    for mark in re.findall(r"<span\b[^>]*>", card):
        assert "display: inline;" in mark
    assert "text-transform: none" in re.search(r"<a [^>]*><strong>", card)[0]
    for cell in re.findall(r"<t[hd]\b[^>]*>", card):
        assert "border: 0" in cell
        assert "background: none" in cell
        assert re.search("text-align: (left|right)", cell)
    assert re.search(r'<img src="b.svg"[^>]*width: 160px; height: 160px; max-width: none', card)


def test_latex_compiles_within_another_macro_and_fits_a_column(tmp_path):
    """A card fits into a beamer frame, whose body is a macro's argument, and into a narrow
    column."""
    counts = {"inputs": {"spine": 123456, "shaft": 5}, "outputs": {"multi-input": 12345}}
    card = render_card(tell(example_link(), counts=counts), "latex")
    text = "\\long\\def\\frameof#1{#1}\\hsize=80mm\\linewidth=80mm\\frameof{" + card + "}"
    log = compile_latex(text, tmp_path, packages="xcolor,graphicx")
    assert "Overfull" not in log


def test_text_before_a_card_in_latex_is_a_paragraph_of_its_own(tmp_path):
    """Its last line is not stretched to the width of the card."""
    log = compile_latex(f"A few words.\n{render_card(example_link(), 'latex')}", tmp_path)
    assert "Underfull" not in log


def test_markdown_escapes_what_would_be_markup_and_nothing_else():
    """Names of tables, hyphens and parentheses stay unchanged; sentences are paragraphs."""
    link = tell(example_link(), table="synapse_target_predictions_ssa_v2")
    link = replace(link, warnings=["One (1) 6P-CT: 50%.", "Two_ *new*."])
    card = render_card(link, "markdown")
    assert "· synapse_target_predictions_ssa_v2\n\n" in card
    assert "\n\nOne (1) 6P-CT: 50%.\n\nTwo\\_ \\*new\\*." in card
    page = Page(MarkdownIt("gfm-like", {"linkify": False}).render(card))
    assert "One (1) 6P-CT: 50%. Two_ *new*." in page.text
    assert page.elements.count("p") == 5
