"""Templates list their variables, so that users can write their own."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import meta

from synglancer.errors import UsageError
from synglancer.render.cards import CountRow, _environment, render_template
from synglancer.render.templates import check_template, list_templates, read_template
from synglancer.report.summary import CellSummary, Group, Report, Row

NAMES = list(list_templates())


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.starts: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.starts.append((tag, attrs))


def words_at_the_top(text: str) -> set[str]:
    return set(re.findall(r"\w+", text[: text.index("-#}")]))


def public_names(record: type) -> set[str]:
    properties = {name for name in vars(record) if not name.startswith("_")}
    return {field.name for field in fields(record)} | properties


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_is_named_at_the_top(name):
    """Each variable of a template is named in the comment at its beginning."""
    _, text = read_template(name)
    used = meta.find_undeclared_variables(_environment().parse(text))
    its_own = {"caller", "namespace", *re.findall(r"{%-? *set (\w+)", text)}
    assert used - its_own <= words_at_the_top(text)
    assert len(list_templates()[name]) > 10


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("report")])
def test_all_that_a_report_holds_is_named_at_the_top(name):
    """Each attribute of a report, a row, a cell and a group is named in each report template."""
    words = words_at_the_top(read_template(name)[1])
    for record in (Report, Row, CellSummary, Group):
        assert public_names(record) <= words | {"summary"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("card")])
def test_all_that_a_card_holds_is_named_at_the_top(name):
    """Each attribute of a row of counts is named in each card template."""
    assert public_names(CountRow) <= words_at_the_top(read_template(name)[1])


def _make_folder(path: Path) -> None:
    path.mkdir()


def _write_latin(path: Path) -> None:
    path.write_bytes("caf\xe9".encode("latin-1"))


ADVICE = "Give a Jinja2 file; `synglancer templates copy` copies a built-in template."


@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (_make_folder, "The template {} is a folder.", "Give a Jinja2 file."),
        (lambda _: None, "There is no template {}.", ADVICE),
        (_write_latin, "The template {} is not a text file in UTF-8.", ADVICE),
    ],
)
def test_what_is_no_template_is_refused(tmp_path, make, said, hint):
    """A folder, a missing file and one that is not text are refused before any request."""
    path = tmp_path / "own.j2"
    make(path)
    with pytest.raises(UsageError) as refused:
        check_template(path)
    assert (str(refused.value), refused.value.hint) == (said.format(path), hint)


def test_a_template_that_the_system_refuses_is_named(tmp_path, monkeypatch):
    """The reason of the system is in the error."""
    path = tmp_path / "own.j2"
    path.write_text("x")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UsageError) as refused:
        check_template(path)
    assert str(refused.value) == f"The template {path} cannot be read: Permission denied."
    assert refused.value.hint == "Check its permissions."


@pytest.mark.parametrize("name", ["json", "python"])
def test_text_in_ones_own_page_is_no_markup(tmp_path, name):
    """In HTML, the filters for JSON and Python give text, even in an attribute."""
    own = tmp_path / "own.j2"
    own.write_text(f'<p title="{{{{ value | {name} }}}}"></p>')
    nasty = '"><script>&'
    page = render_template("card.html.j2", own, value=nasty)
    (start,) = Elements(page).starts
    assert start[0] == "p"
    assert {"json": json.loads, "python": ast.literal_eval}[name](dict(start[1])["title"]) == nasty
