"""Links are replaced with the format's own escapes, and every other byte stays the same."""

from __future__ import annotations

import os
from dataclasses import replace
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
    new = {document.found[0].url: "https://s.org/#!%7B%22a%22:1,%22b%22:%22#!%22%7D"}
    assert replace_links(document, new) == (
        b"id,link\n1,https://s.org/#!%7B%22a%22:1%2C%22b%22:%22#!%22%7D\n"
    )


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path) -> None:
    """Changes made since the file was read are not lost."""
    paper = tmp_path / "paper.md"
    paper.write_text(OLD)
    document = read_document(paper)
    paper.write_text(f"new words {OLD}")
    with pytest.raises(UsageError, match="was changed") as refused:
        rewrite_file(document, b"x")
    assert refused.value.hint == "Run the same command again."
    assert paper.read_text() == f"new words {OLD}"
    assert list(tmp_path.glob("paper*")) == [paper]


@pytest.mark.parametrize(
    ("content", "said", "advice"),
    [
        (b"\xff\xfea", "begins like UTF-16 text, but cannot be read as such.", "Save it as UTF-8 "),
        (b"%PDF\0", "is not a text file.", "Export it as Markdown, HTML, LaTeX, CSV "),
        (None, "cannot be read: No such file or directory.", "Give a Neuroglancer link in quotes"),
    ],
)
def test_a_file_that_is_no_text_is_refused(content, said, advice, tmp_path) -> None:
    """The file is named, with what is wrong with it and what to do."""
    path = tmp_path / "odd.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_document(path)
    assert str(refused.value) == f"{path} {said}"
    assert refused.value.hint.startswith(advice)


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf16_stays_utf16(order, tmp_path) -> None:
    """In either order of bytes, even with half a character pair in the text."""
    mark = b"\xff\xfe" if order == "le" else b"\xfe\xff"
    path = tmp_path / "notes.txt"
    path.write_bytes(mark + f"µ \ud800 {OLD} \n".encode(f"utf-16-{order}", "surrogatepass"))
    document = read_document(path)
    assert [found.url for found in document.found] == [OLD]
    new = OLD.replace("v1/1", "v1/2")
    expected = mark + f"µ \ud800 {new} \n".encode(f"utf-16-{order}", "surrogatepass")
    assert replace_links(document, {OLD: new}) == expected


def test_a_file_is_rewritten_beside_its_backup(tmp_path) -> None:
    """The backup has the old bytes, time and permissions; an older backup is never overwritten."""
    path = tmp_path / "paper.md"
    for number, name in enumerate(["paper.md.bak", "paper.md.bak.1"]):
        path.write_bytes(b"old %d" % number)
        path.chmod(0o640)
        os.utime(path, (1_700_000_000, 1_700_000_000 + number))
        assert rewrite_file(read_document(path), b"new") == tmp_path / name
        assert path.read_bytes() == b"new"
        kept = tmp_path / name
        assert kept.read_bytes() == b"old %d" % number
        assert (kept.stat().st_mtime, kept.stat().st_mode & 0o777) == (
            1_700_000_000 + number,
            0o640,
        )


def test_a_backup_is_for_its_owner_alone_until_it_has_the_files_permissions(
    tmp_path, monkeypatch
) -> None:
    """Nobody else can open it while it is written."""
    path = tmp_path / "paper.md"
    path.write_bytes(b"old")
    path.chmod(0o644)
    modes, fdopen = [], os.fdopen

    def look(handle, mode):
        modes.append(os.fstat(handle).st_mode & 0o777)
        return fdopen(handle, mode)

    document = read_document(path)
    monkeypatch.setattr("synglancer.check.rewriting.os.fdopen", look)
    backup = rewrite_file(document, b"new")
    assert modes[0] == 0o600
    assert backup.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("step", ["synglancer.check.rewriting.write_file", "pathlib.Path.chmod"])
def test_a_file_that_cannot_be_rewritten_leaves_no_backup(
    step, gone, tmp_path, monkeypatch
) -> None:
    """It stays as it was, and the error says what to check."""
    path = tmp_path / "paper.md"
    path.write_text(OLD)
    document = read_document(path)

    def fail(*_) -> None:
        if gone:
            (tmp_path / "paper.md.bak").unlink()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, fail)
    with pytest.raises(UsageError) as refused:
        rewrite_file(document, b"new")
    assert str(refused.value) == f"{path} cannot be rewritten: No space left on device."
    assert refused.value.hint.startswith("Check that you may write to it and to its folder")
    assert [*tmp_path.glob("paper*")] == [path]
    assert path.read_text() == OLD


def test_links_that_cannot_be_read_back_are_not_written(tmp_path) -> None:
    """A new link that would run into the text behind it is refused."""
    path = tmp_path / "notes.txt"
    path.write_text(f"{OLD}\n")
    document = read_document(path)
    for new in ["https://s.org/#!https://g.org/1 2", ""]:
        with pytest.raises(UsageError) as refused:
            replace_links(document, {OLD: new})
        assert str(refused.value) == (
            f"The links in {path} cannot be replaced without changing more."
        )
        assert refused.value.hint == "Replace them by hand."
    changed = replace(document, content=b"something else")
    with pytest.raises(UsageError, match="cannot be replaced"):
        replace_links(changed, {OLD: OLD.replace("v1/1", "v1/2")})


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


@pytest.mark.parametrize("sign", ["&", r"\&", "&amp;", r"\&amp;"])
def test_a_link_in_markdown_is_escaped_as_the_old_one(sign, tmp_path) -> None:
    """Markdown may hold the entities of HTML, or bare characters, each with a backslash or not."""
    paper = tmp_path / "paper.md"
    text = "See <https://s.org/?x=1{0}y=2#!https://g.org/{1}>.\n"
    paper.write_text(text.format(sign, 1))
    document = read_document(paper)
    new = {document.found[0].url: "https://s.org/?x=1&y=2#!https://g.org/2"}
    assert [*new] == ["https://s.org/?x=1&y=2#!https://g.org/1"]
    assert replace_links(document, new).decode() == text.format(sign, 2)
