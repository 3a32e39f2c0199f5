"""The words of the project: the README is short, and no sentence for users is a riddle."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MOST_WORDS = 900
FOR_USERS = ("message", "docstring", "page", "document")

spec = importlib.util.spec_from_file_location("sentences", ROOT / "docs" / "collect_sentences.py")
assert spec is not None
assert spec.loader is not None
sentences = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sentences)


def test_the_readme_is_short() -> None:
    """The README has at most 900 words; the rest is on the site."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= MOST_WORDS


@pytest.fixture(scope="module")
def collected() -> list[Any]:
    """All sentences that a user may read."""
    return list(sentences.collect_sentences(FOR_USERS))


def test_no_sentence_for_users_is_a_riddle(collected: list[Any]) -> None:
    """No message, page or document has a turn of phrase that has to be decoded."""
    assert not [
        one
        for one in collected
        if one.kind != "docstring"
        and not one.place.startswith("docs/collect_sentences.py")
        and sentences.find_riddles(one.text)
    ]


def test_sentences_are_found_where_they_stand(collected: list[Any]) -> None:
    """Every kind of sentence is collected, with the gaps that a program fills."""
    found = {one.text: one for one in collected}
    hint = found["Check the address given with --server."]
    assert hint.place.startswith("src/synglancer/errors.py:")
    assert hint.kind == "message"
    places = [
        ("templates/card.html.j2", "page"),
        ("src/cave_sandbox/web/home.html", "page"),
        ("src/synglancer/render/browser.js", "page"),
        ("src/synglancer/settings.py", "docstring"),
        ("src/synglancer/cave/http.py", "comment"),
        ("README.md", "document"),
        ("docs/get-started.md", "document"),
        ("docs/examples/links.ipynb", "document"),
        ("pyproject.toml", "document"),
        ("docs/conf.py", "test"),
        ("tests/assembled.py", "test"),
    ]
    assert {kind for _, kind in places} == {*sentences.KINDS} - {"message"}
    for place, kind in places:
        among = collected if kind in FOR_USERS else sentences.collect_sentences([kind])
        assert any(one.place.startswith(place) and one.kind == kind for one in among), place
    assert any(re.search(r"\{.+\}", one.text) for one in collected)


def test_riddles_are_found() -> None:
    """A turn of phrase that has to be decoded is found, but a plain sentence is not."""
    assert sentences.find_riddles("Version 1 is served no more.") == ["served no more"]
    assert not sentences.find_riddles("Version 1 has expired.")
