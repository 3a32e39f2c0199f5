"""Answers cut off at the server's row limit are completed, and the link is the same."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cave_sandbox.server import Sandbox
from cli.outcome import CELL, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def ask(make_link, options, loaded_sample, monkeypatch) -> Callable[..., tuple[dict, int]]:
    """Make the link at a row limit, always at the same address, which is part of the state."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    port = 0

    def call(limit: int | None, *words: str) -> tuple[dict, int]:
        nonlocal port
        with Sandbox(replace(options, row_limit=limit, port=port), loaded_sample) as sandbox:
            port = int(sandbox.origin.rsplit(":", 1)[1])
            made = make_link(
                CELL, "--server", sandbox.origin, "--output", "json", "--no-cache", *words
            )
            queries = sum(request.path.endswith("/query") for request in sandbox.requests)
        assert made.code == 0, made.err
        return json.loads(made.out), queries

    return call


def same(one: dict, other: dict) -> bool:
    names = ("state_sha256", "counts", "shown", "total", "warnings")
    return all(one[name] == other[name] for name in names)


@pytest.mark.parametrize("words", [(), ("--with-unlabelled",)])
def test_a_limit_of_250_rows_gives_the_same_link(ask, words) -> None:
    """3,076 inputs in parts of 250 rows give the same link as an unlimited answer, byte for
    byte."""
    whole, few = ask(None, *words)
    parts, many = ask(250, *words)
    assert whole["total"] >= 3076 + 316
    assert same(parts, whole)
    assert few == (5 if words else 3)
    assert (whole["total"] // 250) < many < 6 * whole["total"] // 250


@pytest.mark.parametrize("limit", [3075, 3076, 3077])
def test_a_limit_at_the_number_of_rows(ask, limit) -> None:
    """Links are the same one row below, at and above the limit; at the limit, the server warns
    although all rows came."""
    whole, _ = ask(None, "--inputs")
    parts, queries = ask(limit, "--inputs")
    assert same(parts, whole)
    assert whole["total"] == 3076
    assert queries == 2 if limit == 3077 else queries > 2


def test_what_is_asked_again_is_said(
    make_link, options, loaded_sample, monkeypatch, caplog
) -> None:
    """--verbose says that an answer was cut off, and how many requests completed it."""
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    with Sandbox(replace(options, row_limit=200), loaded_sample) as sandbox:
        made = make_link(CELL, "--server", sandbox.origin, "--outputs", "--verbose")
    assert made.code == 0
    assert "cut off after 200 rows. Fetching it in ranges of IDs" in caplog.text
    assert "The answer is complete after" in caplog.text
