"""Each option that changes a link is in its record, and in the question that its cache answers."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from links.shelf import TABLE, A, B, C, P, Q, R, Shelf, load, synapses
from synglancer import __version__
from synglancer.cells.resolve import Followed
from synglancer.links.loaded import combine
from synglancer.links.record import (
    build_filters,
    build_question,
    build_record,
    list_changed,
    list_given_options,
)
from synglancer.settings import Settings
from synglancer.states.record import Provenance
from synglancer.states.record_parts import CellTypes, MultiInput, Replacement
from synglancer.synapses import cell_types
from synglancer.synapses.context import Context
from synglancer.synapses.loading import CellData
from synglancer.synapses.predictions import Checked
from view.test_state import VERSION

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


def test_other_cells_servers_and_versions_ask_other_questions() -> None:
    """Cells are texts, because two root IDs can be the same number in JSON; and a new release makes
    new links, while the order of tags makes no difference."""
    other = SimpleNamespace(server="https://other.example.org", version=1718)
    newer = SimpleNamespace(server=SESSION.server, version=1822)
    asked = [(SESSION, [A]), (SESSION, [B]), (SESSION, [A, B]), (SESSION, [B, A]), (other, [A])]
    questions = [build_question(Settings(), *one) for one in [*asked, (newer, [A])]]
    assert [one for place, one in enumerate(questions) if one in questions[:place]] == []
    assert questions[2]["cells"] == ["864691135276234469", "864691135276234471"]
    assert questions[0]["generator"] == __version__
    assert build_question(Settings(), SESSION, [str(A)]) == questions[0]
    tagged = [Settings(tag=tags) for tags in [("b", "a"), ("a", "b", "b")]]
    assert len({str(build_question(one, SESSION, [A])) for one in tagged}) == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"min_confidence": 0.0, "max_confidence": 1.0, "min_size": 0.0}, {}),
        ({"min_confidence": 1.0}, {"min_confidence": 1.0}),
        ({"max_confidence": 0.0}, {"max_confidence": 0.0}),
        ({"min_size": 0.5}, {"min_size": 0.5}),
    ],
)
def test_a_filter_at_its_end_is_active_or_not(asked, told) -> None:
    """0 and 1 are valid bounds: at one end, they keep everything, and at the other almost
    nothing."""
    assert build_filters(Settings(**asked)) == told


def test_the_history_has_the_options_that_differ_from_their_defaults() -> None:
    """How it was asked, such as the file of the token, is not an option of the link."""
    settings = Settings(
        outputs=True, version=1822, layout="3d", token_file="/secret", timeout=5.0,
        concurrency=2, no_cache=True, annotations=("points.csv",),
    )  # fmt: skip
    told = {"version": 1822, "outputs": True, "layout": "3d"}
    assert list_given_options(settings) == told
    assert list_given_options(Settings(version=1718, inputs=False)) == {}
    assert list_changed(settings, ["layout", "no_cache", "tag"]) == ["layout", "no_cache"]


ROWS = [
    (2**63 + 1, "inputs", "spine", 0.9, 500, P, A),
    (2**63 + 2, "inputs", "spine", 0.6, 300, P, B),
    (2**63 + 3, "inputs", "shaft", 0.8, 200, Q, A),
    (2**63 + 4, "outputs", "spine", 0.7, 100, B, R),
    (2**63 + 5, "inputs", "soma", 0.95, 900, A, A),
    (2**63 + 5, "outputs", "soma", 0.95, 900, A, A),
    (2**63 + 6, "between", "shaft", 0.3, 50, A, B),
]


def test_the_record_of_two_cells_says_all_that_the_link_shows() -> None:
    """Counts are by direction and tag, also between the cells; of merged cells, no soma is told."""
    frame = synapses(*ROWS, (2**63 + 9, "inputs", "spine", 0.1, 10, P, A))
    somata = {A: [(1.5, 2.0, 3.0)], B: [(4.0, 5.0, 6.0), (7.0, 8.0, 9.0)]}
    until = datetime(2024, 2, 29, 1, 2, 3, tzinfo=timezone.utc)
    followed = Followed(C, A, until, None, "nucleus", 1718, earlier=False)
    data = CellData([], {A, B}, somata, {"inputs": 9, "outputs": 4, "between": 1})
    loaded = load(frame, [A, B], data, shown=frame.iloc[:-1], followed=[followed])
    settings = Settings(min_confidence=0.2, partners=2, palette="safe", with_unlabelled=True)
    assert build_record(settings, Shelf(), loaded) == Provenance(
        cell=A,
        cells=(A, B),
        datastack="minnie65_public",
        server="https://cave.example.org",
        version=1718,
        timestamp=VERSION.timestamp,
        table="predictions_v7",
        counts={
            "inputs": {"shaft": 1, "soma": 1, "spine": 2},
            "outputs": {"soma": 1, "spine": 1},
            "between": {"shaft": 1},
        },
        shown=7,
        total=8,
        autapses=1,
        followed=(Replacement(C, A, "2024-02-29T01:02:03.000+00:00", "", "nucleus"),),
        all_synapses={"inputs": 9, "outputs": 4, "between": 1},
        filters={"min_confidence": 0.2},
        generator=f"synglancer {__version__}",
        notice="The owner's notice.",
        with_unlabelled=True,
        view={"palette": "safe", "partners": 2},
        partners=((P, 2), (Q, 1)),
        somata={A: (1.5, 2.0, 3.0)},
    )


@pytest.mark.parametrize(
    ("options", "more", "told"),
    [
        ({}, {}, {"live": False, "given_rows": False, "total": 7, "partners": None}),
        ({}, {"expired": True}, {"live": True}),
        ({}, {"expired": True, "given": True}, {"live": False, "given_rows": True}),
        ({"review": True}, {}, {"total": 6, "shown": 7, "view": {"review": True}}),
        ({"partners": 1}, {}, {"partners": ((P, 2),), "view": {"partners": 1}}),
        ({"inputs": True}, {}, {"hidden": None, "filters": {}}),
        (
            {"min_confidence": 0.75, "soft_filter": True},
            {},
            {
                "filters": {"min_confidence": 0.75, "soft_filter": True},
                "hidden": {
                    "inputs": {"spine": 1},
                    "outputs": {"spine": 1},
                    "between": {"shaft": 1},
                },
            },
        ),
        ({}, {"notice": None}, {"notice": ""}),
    ],
)
def test_the_record_depends_on_what_was_asked_and_found(options, more, told) -> None:
    """Each part of the record stands for one thing; what was not asked for is absent, not 0."""
    session = Shelf(version=replace(VERSION, expired=more.get("expired", False)))
    table = replace(TABLE, notice=more.get("notice", TABLE.notice))
    loaded = load(synapses(*ROWS), table=table, given=more.get("given", False))
    record = build_record(Settings(**options), session, loaded)
    assert {name: getattr(record, name) for name in told} == told


def test_without_synapses_each_direction_that_was_asked_for_is_empty() -> None:
    """An empty table has no partner, no tag and no autapse."""
    record = build_record(Settings(outputs=True, partners=3), Shelf(), load(synapses(), [A, B]))
    assert record.counts == {"outputs": {}, "between": {}}
    assert (record.shown, record.total, record.autapses) == (0, 0, 0)
    assert (record.partners, record.hidden, record.somata) == ((), None, {})


TYPES = cell_types.CellTypes(
    "my_view", "mtype", pd.Series({P: "L2 IT", R: "BC"}, dtype=object), frozenset({Q})
)


def add_context(options: dict[str, Any], cells: list[int], **context: Any) -> Provenance:
    """Return the record of cells with a context."""
    settings, session = Settings(**options), Shelf()
    tables = [Checked(synapses(*ROWS[:-1]), synapses().assign(why=""))]
    data = CellData(tables, {*cells}, {}, context=Context(**context))
    return build_record(settings, session, combine(settings, session, TABLE, cells, data))


def test_multi_input_synapses_are_recorded_with_their_former_tags() -> None:
    """The table of spines is named, and each direction is listed, also between cells."""
    spines = {"multi_input": True, "multi_input_table": "spines_v3"}
    shared = np.array([2**63 + 2, 2**63 + 3, 2**63 + 4], "uint64")
    record = add_context({**spines, "min_confidence": 0.65}, [A, B], multi_input=shared)
    former = {"inputs": {"shaft": 1}, "outputs": {"spine": 1}, "between": {}}
    assert record.multi_input == MultiInput("spines_v3", former)
    assert record.counts["inputs"] == {"multi-input": 1, "soma": 1, "spine": 1}
    assert add_context(spines, [A]).multi_input is None
    assert add_context({}, [A], multi_input=shared).multi_input is None


@pytest.mark.parametrize("coloured", [False, True])
def test_the_types_of_partners_are_recorded(coloured) -> None:
    """Types count by direction and by partner; colours are told only if they are shown."""
    asked = {"color_by": "partner-type"} if coloured else {"cell_types": True}
    record = add_context(asked, [A, B], cell_types=TYPES)
    told = record.cell_types or CellTypes("", "")
    assert {*told.colours} == ({"L2 IT", "BC", "unknown"} if coloured else set())
    assert len({*told.colours.values()}) == len(told.colours)
    assert replace(told, colours={}) == CellTypes(
        view="my_view",
        column="mtype",
        synapses={
            "inputs": {"L2 IT": 2, "unknown": 2},
            "outputs": {"BC": 1, "unknown": 1},
            "between": {},
        },
        partners={"BC": 1, "L2 IT": 1, "unknown": 1},
        known=2,
        ambiguous=1,
    )
    assert add_context({}, [A]).cell_types is None
