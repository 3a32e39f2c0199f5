"""Links are replaced with the format's own escapes, and every other byte stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.check.documents import _LAYERS, Document, encode_text, find_links, read_document
from synglancer.check.rewriting import replace_links, rewrite_file
from synglancer.errors import UsageError

OLD = "https://s.org/a_b/?x=1&y=2#!https://g.org/nglstate/api/v1/1"
SITES = st.text("abcXYZ019_-~.=&?/%", max_size=20).map(lambda path: f"https://s.org/{path}?q=z")
STATES = st.integers(1, 2**63).map(lambda number: f"https://g_h.org/nglstate/api/v1/{number}")
LINKS = st.builds(lambda site, state: f"{site}#!middleauth+{state}", SITES, STATES)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, str]:
    """A text in a format that holds OLD, with any of its characters escaped or bare."""
    suffix = draw(st.sampled_from([*_LAYERS, ".txt"]))
    text = OLD
    for layer in reversed(_LAYERS.get(suffix, ())):
        escaped = draw(st.booleans())
        text = "".join(layer.escapes.get(char, char) if escaped else char for char in text)
    around = st.sampled_from([' "', '" ', "\r\n", "é", " (", ") ", " \\& ", "&amp; ", " \udcff "])
    return suffix, f"{draw(around)} {text} {draw(around)} {text}\n"


@given(documents(), LINKS)
def test_a_new_link_stands_where_the_old_one_stood(document, new) -> None:
    """The new link can be read back in each place, and the surrounding text is unchanged."""
    suffix, text = document
    content = text.encode("utf-8", "surrogateescape")
    found = tuple(find_links(text, suffix))
    assert [one.url for one in found] == [OLD, OLD]
    old = Document(Path(f"a{suffix}"), content, text, "utf-8", found)
    written = replace_links(old, {OLD: new}).decode("utf-8", "surrogateescape")
    again = find_links(written, suffix)
    assert [one.url for one in again] == [new, new]
    for before, after in zip(found, again, strict=True):
        assert written[after.end :][:1] == text[before.end :][:1]
    assert written[: again[0].start] == text[: found[0].start]
    assert written[again[0].end : again[1].start] == text[found[0].end : found[1].start]
    assert written[again[1].end :] == text[found[1].end :]
    assert replace_links(old, {}) == content == encode_text(old, text)


def test_a_state_in_a_link_breaks_no_table(tmp_path) -> None:
    """Separators that were escaped in the old link are escaped in the new one, too."""
    table = tmp_path / "links.csv"
    table.write_text("id,link\n1,https://s.org/#!%7B%22a%22:1%2C%22b%22:2%7D\n")
    document = read_document(table)
    new = {document.found[0].url: "https://s.org/#!%7B%22a%22:1,%22b%22:3%7D"}
    assert replace_links(document, new) == (
        b"id,link\n1,https://s.org/#!%7B%22a%22:1%2C%22b%22:3%7D\n"
    )


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path) -> None:
    """Changes made since the file was read are not lost."""
    paper = tmp_path / "paper.md"
    paper.write_text(OLD)
    document = read_document(paper)
    paper.write_text(f"new words {OLD}")
    with pytest.raises(UsageError, match="was changed"):
        rewrite_file(document, b"x")
    assert paper.read_text() == f"new words {OLD}"
    assert list(tmp_path.glob("paper*")) == [paper]


def test_half_a_character_of_utf16_is_refused(tmp_path) -> None:
    """A file that only begins like UTF-16 is named, with a hint."""
    (tmp_path / "odd.txt").write_bytes(b"\xff\xfea")
    with pytest.raises(UsageError, match="UTF-16"):
        read_document(tmp_path / "odd.txt")


@pytest.mark.parametrize(
    ("old", "new", "written"),
    [
        # an unescaped link, as in \url, gets no escapes
        ("https://s.org/#!https://g.org/1", "https://s.org/a_b/#!https://g.org/2?x=%", None),
        # one with an escape gets the escapes that LaTeX needs
        (
            r"https://s.org/\#!https://g.org/1",
            "https://s.org/a_b~c/#!https://g.org/2",
            r"https://s.org/a\_b\textasciitilde{}c/\#!https://g.org/2",
        ),
        # a character that is bare in the old link stays bare
        (
            r"https://s.org/a_b/\#!https://g.org/1",
            "https://s.org/a_b/#!https://g.org/2&3",
            r"https://s.org/a_b/\#!https://g.org/2\&3",
        ),
        # the tilde is written as the old link writes it
        (
            r"https://s.org/\~{}lab/\#!https://g.org/1",
            "https://s.org/~lab/#!https://g.org/2",
            r"https://s.org/\~{}lab/\#!https://g.org/2",
        ),
    ],
)
def test_a_link_in_latex_is_escaped_as_the_old_one(old, new, written, tmp_path) -> None:
    """Characters escaped in the old link are escaped in the new one; bare characters stay bare."""
    paper = tmp_path / "paper.tex"
    paper.write_text(f"\\url{{{old}}}\n")
    document = read_document(paper)
    [found] = document.found
    assert replace_links(document, {found.url: new}).decode() == f"\\url{{{written or new}}}\n"
