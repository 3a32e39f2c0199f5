"""Templates list their variables, so that users can write their own."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from jinja2 import meta

from synglancer.render.cards import CountRow, _environment
from synglancer.render.templates import list_templates, read_template
from synglancer.report.summary import CellSummary, Group, Report, Row

NAMES = list(list_templates())


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
