"""Each option that changes a link is in its record, and in the question that its cache answers."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import pytest

from synglancer.links.record import build_filters, build_question
from synglancer.settings import Settings

SESSION: Any = SimpleNamespace(server="https://cave.example.org", version=1718)
ASKED: list[dict[str, Any]] = [
    *({"datastack": "other"}, {"table": "other"}, {"site": "google"}, {"inline": True}),
    *({"inputs": True}, {"outputs": True}, {"tag": ("soma",)}, {"min_size": 5.0}),
    *({"min_confidence": 0.5}, {"max_confidence": 0.5}, {"review": True}),
    {"min_confidence": 0.5, "soft_filter": True},
    *({"with_unlabelled": True}, {"with_total": True}),
    *({"multi_input": True, "multi_input_table": name} for name in ("spines", "others")),
    {"cell_types": True, "cell_type_view": "types"},
    {"cell_types": True, "cell_type_view": "others"},
    {"cell_types": True, "cell_type_view": "types", "cell_type_column": "other"},
    *({"layout": "3d"}, {"background": "white"}, {"figure": True}, {"palette": "safe"}),
    *({"color_by": "confidence"}, {"panel": True}, {"filter_by_selection": True}, {"partners": 3}),
]
ELSEWHERE = {"server", "sandbox", "version", "strict", "annotations"}
"""Options that the session or the cache's reader stands for."""
OF_SOURCES = {"source", "publish_to", "public_url", "upload"}
UNSEEN = {"token_file", "timeout", "concurrency", "no_cache"}


def test_no_two_settings_ask_the_same_question() -> None:
    """Otherwise one of them would get the link of the other."""
    questions = [build_question(replace(Settings(), **one), SESSION, [5]) for one in [{}, *ASKED]]
    assert [one for place, one in enumerate(questions) if one in questions[:place]] == []
    covered = {name for one in ASKED for name in one}
    assert covered == {one.name for one in fields(Settings)} - ELSEWHERE - OF_SOURCES - UNSEEN


@pytest.mark.parametrize(
    "asked",
    [
        {"tag": ["shaft", "spine"]},
        {"min_confidence": 0.5},
        {"max_confidence": 0.5},
        {"min_size": 5.0},
        {"min_confidence": 0.5, "soft_filter": True},
        {},
    ],
)
def test_only_active_filters_are_recorded(asked) -> None:
    """They are named like their options; a tag that was given twice is recorded once."""
    tags = tuple(asked.get("tag", ()))[::-1] * 2
    assert build_filters(replace(Settings(), **{**asked, "tag": tags})) == asked
