"""In a notebook, a link shows its view, and says what readers must do first."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from IPython.utils.capture import capture_output

from render.card_examples import URL, example_link
from render.test_cards import Page
from shells import open_shell
from synglancer import Link
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SANDBOX = "http://127.0.0.1:1/v/synglancer/#!http://127.0.0.1:1/nglstate/api/v1/5"


@pytest.fixture
def shell() -> Iterator[None]:
    """IPython without a history."""
    with open_shell():
        yield


def show(url: str, **lengths: int | str) -> tuple[Page, str]:
    with capture_output() as shown:
        example_link(url=url).show(**lengths)
    (output,) = shown.outputs
    return Page(output.data["text/html"]), output.data["text/plain"]


def test_the_viewer_is_shown_in_its_size(shell) -> None:
    """The viewer is a frame with a title; without HTML, the link is shown."""
    page, plain = show(SANDBOX, height=300, width="80%")
    frame = dict(page.attributes)
    assert (frame["src"], frame["width"], frame["height"]) == (SANDBOX, "80%", "300")
    assert "864691135276234469" in (frame["title"] or "")
    assert plain == SANDBOX
    assert "synglancer sandbox start" in page.text
    assert "log in" not in page.text


def test_a_login_is_said(shell) -> None:
    """A view that needs a login is shown, with what readers must do first."""
    page, _ = show(URL)
    assert ("src", URL) in page.attributes
    assert "log in with a Google account" in page.text
    assert "sandbox" not in page.text


def test_nothing_but_the_frame_comes_of_a_link(shell) -> None:
    """A quote in an address does not end an attribute."""
    page, _ = show('https://a.org/#!"><script>')
    assert "script" not in page.elements


@pytest.mark.parametrize("length", [0, -5, "100%;x", '5"', "wide", 10**6])
def test_lengths_that_are_none_are_refused(shell, length) -> None:
    """Neither a negative number nor a piece of CSS is accepted as a height."""
    with pytest.raises(UsageError, match="not a valid width or height"):
        example_link().show(height=length)


def test_without_ipython_there_is_a_reason(monkeypatch) -> None:
    """If IPython is missing, the error says so, with a hint."""
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    with pytest.raises(UsageError, match="IPython") as refusal:
        example_link().show()
    assert "synglancer[notebook]" in refusal.value.hint


@pytest.mark.parametrize("named", [True, False])
def test_links_of_old_viewers_have_a_card(named) -> None:
    """Old states hold layers as an object by name, and a layer as its address alone."""
    image = "precomputed://gs://bucket/images"
    cells = {"type": "segmentation", "source": "precomputed://gs://b/s", "segments": ["7"]}
    state = {"layers": {"images": image, "cells": cells} if named else [image, cells]}
    link = Link.from_url(f"https://viewer.example.org/#!{json.dumps(state)}")
    card = Page(link._repr_html_())
    assert ("href", link.url) in card.attributes
    assert "log in" not in card.text
