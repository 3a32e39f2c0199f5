"""Many cells: a link or a reason for each, in order, even if one of them fails."""

from __future__ import annotations

import pandas as pd
import pytest

from cli.outcome import CELL
from synglancer import Link, Skipped, add_links, html_link, make_link, make_links
from synglancer.errors import LoginError, NotServedError, UnreachableError, UsageError

OTHERS = ["864691135937424949", "864691135617152361", "864691136334080603"]
UNKNOWN = "864691135000000001"


def ask(sandbox, **options):
    return {"server": sandbox.origin, **options}


def test_each_cell_has_its_own_link(sandbox) -> None:
    """Links come in the order of the cells, each as `make_link` makes it."""
    cells = [OTHERS[0], CELL, *OTHERS[1:]]
    links = make_links(cells, **ask(sandbox))
    assert [str(link.cell) for link in links] == cells
    for link in links:
        alone = make_link(link.cell, no_cache=True, **ask(sandbox))
        assert (link.state_sha256, link.counts_by_tag) == (alone.state_sha256, alone.counts_by_tag)


def test_a_failing_cell_stops_no_other(sandbox) -> None:
    """An unknown cell and a typing error are skipped with their reasons; the others get links."""
    first, unknown, typed, last = make_links([CELL, UNKNOWN, "12x", OTHERS[0]], **ask(sandbox))
    assert isinstance(first, Link)
    assert isinstance(last, Link)
    assert isinstance(unknown, Skipped)
    assert (unknown.given, unknown.exit_code) == (UNKNOWN, 3)
    assert (typed.given, typed.exit_code) == ("12x", 2)


def test_a_repeated_cell_is_asked_for_once(sandbox) -> None:
    """A cell given three times costs the requests of one, and has one link."""
    links = make_links([CELL, CELL, int(CELL)], **ask(sandbox))
    assert len({link.url for link in links}) == 1
    posts = [request for request in sandbox.requests if request.path.endswith("/post")]
    assert len(posts) == 1


def test_what_is_shared_is_asked_once(sandbox) -> None:
    """Further cells cost one upload each and two queries together; the table is queried only
    once."""
    make_links([CELL], **ask(sandbox, no_cache=True))
    alone = len(sandbox.requests)
    make_links([CELL, *OTHERS], **ask(sandbox, no_cache=True))
    further = (len(sandbox.requests) - 2 * alone) / len(OTHERS)
    assert further == 2 + 2 / 3  # the upload, reading it back, and two queries for all


def test_a_batch_goes_on_where_it_was(sandbox) -> None:
    """When repeated, finished cells cost one request each."""
    make_links([CELL, OTHERS[0]], **ask(sandbox))
    before = len(sandbox.requests)
    make_links([CELL, OTHERS[0]], **ask(sandbox))
    assert len(sandbox.requests) - before == 2


def test_a_refused_login_stops_the_batch(sandbox, monkeypatch) -> None:
    """An error that all cells would have is raised once."""
    monkeypatch.setenv("CAVE_TOKEN", "a-wrong-token")
    with pytest.raises(LoginError):
        make_links([CELL, *OTHERS], **ask(sandbox))
    assert len(sandbox.requests) < 8


def test_an_unknown_table_stops_the_batch(sandbox) -> None:
    """A missing table is reported once, too."""
    with pytest.raises(NotServedError):
        make_links([CELL, *OTHERS], **ask(sandbox, table="no_such_table"))


def test_a_server_that_is_down_stops_the_batch() -> None:
    """A server that does not answer at all is reported once, too."""
    with pytest.raises(UnreachableError):
        make_links([CELL, *OTHERS], server="http://127.0.0.1:9", timeout=0.5)


@pytest.mark.parametrize("kind", ["int64", "uint64", "Int64", "object", "string"])
def test_links_for_a_table(sandbox, kind) -> None:
    """Root IDs in any type of column get their links; the given table stays unchanged."""
    cells = pd.Series([int(CELL), int(OTHERS[0])], index=[7, 3])
    typed = cells.astype(str) if kind == "object" else cells.astype(kind)
    given = pd.DataFrame({"pt_root_id": typed, "note": ["a", "b"]})
    frame = add_links(given, **ask(sandbox))
    assert list(given.columns) == ["pt_root_id", "note"]
    assert list(frame.columns) == ["pt_root_id", "note", "link", "link_problem", "link_note"]
    assert list(frame.index) == [7, 3]
    assert frame["pt_root_id"].dtype == given["pt_root_id"].dtype
    expected = [make_link(cell, **ask(sandbox)).url for cell in cells]
    assert list(frame["link"]) == expected
    assert list(frame["link_problem"]) == ["", ""]


def test_a_row_without_a_link_says_why(sandbox) -> None:
    """Missing, unknown and mistyped cells have an empty link, and the reason beside it."""
    given = pd.DataFrame({"cell": [CELL, None, UNKNOWN, "8.6e17"]})
    frame = add_links(given, "cell", **ask(sandbox))
    assert frame["link"].astype(bool).tolist() == [True, False, False, False]
    assert frame["link_problem"][1] == "This row names no cell."
    assert UNKNOWN in frame["link_problem"][2]
    assert "rounded" in frame["link_problem"][3]


def test_rounded_ids_are_refused() -> None:
    """A column of floats is refused as a whole, and the hint says how to read it."""
    with pytest.raises(UsageError, match="rounded") as refusal:
        add_links(pd.DataFrame({"pt_root_id": [float(CELL)]}))
    assert "Int64" in refusal.value.hint


@pytest.mark.parametrize(
    ("columns", "words"),
    [(["cell"], "no column"), (["pt_root_id", "link"], "already")],
)
def test_tables_that_do_not_fit_are_refused(columns, words) -> None:
    """A missing column is named, and a user's own column is not overwritten."""
    with pytest.raises(UsageError, match=words):
        add_links(pd.DataFrame({name: ["1"] for name in columns}))


def test_a_link_in_a_styled_table_is_text_and_address() -> None:
    """html_link escapes both texts; an empty link stays empty."""
    assert html_link("") == ""
    shown = html_link('https://x/#!a"b&c', "<b>")
    assert 'href="https://x/#!a&quot;b&amp;c"' in shown
    assert "&lt;b&gt;" in shown
