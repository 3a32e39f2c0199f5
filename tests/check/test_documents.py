"""Links are found in any document, in time proportional to its length."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from synglancer.check import documents
from synglancer.check.documents import find_links, list_documents

if TYPE_CHECKING:
    import re
    from pathlib import Path

SITE = "https://viewer.example.org/"
SHADER = '{"layers":[{"name":"a [b] (c)","shader":"#uicontrol float a\\n#!{ }"}]}'
ENCODED = SITE + "#!" + quote(SHADER, safe="")
OLD = "{'layers':[{'type':'image'_'name':'a_b'_'source':'gs://b/x'}]_'position':[1_2]}"
MIXED = SITE + "#!" + SHADER.replace("{", "%7B").replace('"', "%22").replace(" ", "%20")


@pytest.mark.parametrize(
    "link", [ENCODED, MIXED, SITE + "#!" + quote(quote(SHADER)), SITE + "#!" + OLD]
)
@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", "See {}, and ({}). '{}'"),
        (".md", "[a]({}) and **{}**, <{}>"),
        (".html", "<a href=\"{}\">x</a> <p>{}</p> '{}'"),
        (".csv", '1,"{}"\n2,{}\n3,"{}"\n'),
    ],
)
def test_states_end_with_their_last_brace(link, suffix, text) -> None:
    """A state's own '#', brackets and braces belong to the link; the document's do not."""
    assert [found.url for found in find_links(text.format(link, link, link), suffix)] == [link] * 3


@pytest.mark.parametrize(
    "link",
    [
        f"{SITE}#!gs://some-bucket/explore.json",
        f"{SITE}#!s3://some-bucket/a/explore.json",
        f"{SITE}?json_url=https://example.org/nglstate/5409525645443072",
        f"{SITE}#!middleauth+https://example.org/nglstate/5",
        SITE + "#!" + SHADER,
        SITE + "#!" + OLD,
        SITE + "#!+" + OLD,
    ],
)
def test_other_forms(link) -> None:
    """Addresses in buckets, older forms and unencoded states are found completely."""
    assert [found.url for found in find_links(f"x {link} y\n{link}.", ".txt")] == [link] * 2


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("""{"title":"it's {here","layers":[]}""", """{"title":"it's {here","layers":[]}"""),
        ("""{"title":"a b","layers":[]}""", """{"title":"a b","layers":[]}"""),
        ("""{"title": "a","layers":[]}""", ""),
        ("""{'title':'a b'_'layers':[]}""", ""),
        ("""{'title':'a"_'layers':[]}""", ""),
        ("""{"title":"a<b","layers":[]}""", ""),
        ("""%7B%22title%22:1","layers%7D""", "%7B%22title%22:1"),
    ],
)
def test_where_a_state_that_is_not_encoded_ends(text, state) -> None:
    """Spaces belong to texts in double quotes, and single quotes to these as well; a bare quote
    ends an encoded state.

    Of a state that ends elsewhere, only the viewer's address is taken, which is reported as bad.
    """
    (found,) = find_links(f"see {SITE}#!{text} and more", ".txt")
    assert found.url == f"{SITE}#!{state}"


def test_a_link_that_was_cut_short_is_found_too() -> None:
    """A state with unclosed braces ends where any link must end, so that it can be reported as
    bad."""
    (found,) = find_links(f'<a href="{ENCODED[:-20]}">', ".html")
    assert found.url.startswith(f"{SITE}#!%7B%22layers")


@example("%22{")
@given(st.text(alphabet="ab {}[]()\"'#!:,%27\\n<>", max_size=40))
def test_any_state_is_found_whole(text) -> None:
    """Whatever texts a state holds, its encoded link is found completely between other words."""
    link = f"{SITE}#!{quote(orjson.dumps({'layers': [], 'a': text}), safe=':,[]')}"
    assert [found.url for found in find_links(f"({link}) and {link}, too", ".txt")] == [link] * 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_links_are_found_in_their_lines(end) -> None:
    """Lines count from 1, whatever ends them; a link without encryption is one too."""
    first, second = (f"{scheme}://viewer.example.org/#!gs://b/x" for scheme in ("http", "https"))
    lone = ["a #! that follows no address", '#!{"layers":[]}', f"#!{SITE}"]
    text = end.join([first, *lone, f"http:// or {second} {first}", f"http://a.b or {first}"])
    found = find_links(text, ".txt")
    places = [(first, 1), (second, 5), (first, 5), (first, 6)]
    assert [(one.url, one.line) for one in found] == places
    assert [text[one.start : one.end] for one in found] == [url for url, _ in places]


class Counting:
    """A pattern that counts the characters that it scans."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.pattern, self.seen = pattern, 0

    def finditer(self, text: str, start: int) -> Any:
        for found in self.pattern.finditer(text, start):
            self.seen += found.end() - start
            start = found.end()
            yield found


@pytest.mark.parametrize(
    "piece",
    ["http://a.b/c,", 'https://a.b/#!{"', "https://a.b/#!%7B%22", 'https://a.b/#!{"a":["', "#!{"],
)
def test_the_cost_grows_with_the_document(monkeypatch, piece) -> None:
    """Each character is scanned a bounded number of times, however many links begin and never
    end."""
    counting = Counting(documents._STATE_PIECE)
    monkeypatch.setattr(documents, "_STATE_PIECE", counting)
    text = piece * 16_000
    find_links(text, ".md")
    assert counting.seen <= 3 * len(text)


def test_folders_are_read_in_order(tmp_path: Path) -> None:
    """Text files are listed by name; hidden files, other kinds and linked folders are left out."""
    for name in ("b.md", "a.tex", ".hidden.md", "c.png", "sub/d.csv", ".git/e.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.md")  # would wait for a writer
    (tmp_path / "zeros.md").symlink_to("/dev/null")
    (tmp_path / "gone.md").symlink_to("nowhere")  # is named as unreadable
    found = [str(path.relative_to(tmp_path)) for path in list_documents(tmp_path)]
    assert found == ["a.tex", "b.md", "gone.md", "sub/d.csv"]


@pytest.mark.parametrize("tilde", ["~", r"\~{}", r"\textasciitilde{}"])
def test_a_tilde_in_latex(tilde) -> None:
    """Every LaTeX notation for a tilde is read as a tilde."""
    text = rf"See \href{{https://s.org/{tilde}lab/\#!https://g.org/a\_b/1}}{{it}}."
    [found] = find_links(text, ".tex")
    assert found.url == "https://s.org/~lab/#!https://g.org/a_b/1"
