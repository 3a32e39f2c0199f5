"""The words of the project: the README is short, and no page is a riddle."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_WORDS = 900

spec = importlib.util.spec_from_file_location("sentences", ROOT / "docs" / "collect_sentences.py")
assert spec is not None
assert spec.loader is not None
sentences = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sentences)


def test_the_readme_is_short() -> None:
    """The README has at most 900 words: the rest is on the site."""
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= MOST_WORDS


def test_no_page_and_no_template_is_a_riddle() -> None:
    """No sentence of the documents and the templates has a turn of phrase to be decoded."""
    found = [
        sentence
        for sentence in sentences.collect_sentences()
        if not sentence.place.startswith("src/") and sentences.find_riddles(sentence.text)
    ]
    assert not found


def test_sentences_are_found_where_they_stand() -> None:
    """Messages, help, templates and pages are all collected, with what they leave open."""
    found = {text: place for place, text in sentences.collect_sentences()}
    hint = "Check the address given with --server."
    assert found[hint].startswith("src/synglancer/errors.py:")
    assert any(place.startswith("templates/") for place in found.values())
    assert any(place.startswith("docs/get-started.md") for place in found.values())
    assert any(place.startswith("docs/examples/links.ipynb") for place in found.values())
    assert any(place.startswith("src/cave_sandbox/web/home.html") for place in found.values())
    assert any(re.search(r"\{.+\}", text) for text in found)


def test_riddles_are_found() -> None:
    """A turn of phrase that has to be decoded is found, a plain sentence is not."""
    assert sentences.find_riddles("Version 1 is served no more.") == ["served no more"]
    assert not sentences.find_riddles("Version 1 has expired.")
